"""Take documents of any type that has a MIME type: which of them are read is the program's business.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ONE_OF = """mime_type IN (
    'application/pdf', 'image/png', 'image/jpeg', 'image/tiff', 'text/plain',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document')"""


def upgrade() -> None:
    _check("mime_type ~ '^[a-z]+/[a-z0-9.+-]+$'")


def downgrade() -> None:
    # Documents of other types stay, and are not checked.
    _check(_ONE_OF, "NOT VALID")


def _check(condition: str, how: str = "") -> None:
    op.execute(f"""
        ALTER TABLE ingest.source_documents
            DROP CONSTRAINT ck_source_documents_mime_type,
            ADD CONSTRAINT ck_source_documents_mime_type CHECK ({condition}) {how};
    """)
