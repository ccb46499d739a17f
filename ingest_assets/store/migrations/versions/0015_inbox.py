"""Objects of an inbox in S3 as sources.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE ingest.document_sources
            DROP CONSTRAINT ck_document_sources_kind,
            ADD CONSTRAINT ck_document_sources_kind
                CHECK (kind IN ('file', 'inbox', 's3', 'part'));
    """)


def downgrade() -> None:
    # Objects of an inbox stay, as uploads that are in another bucket: files would be looked for.
    op.execute("""
        ALTER TABLE ingest.document_sources DROP CONSTRAINT ck_document_sources_kind;
        UPDATE ingest.document_sources SET kind = 's3' WHERE kind = 'inbox';
        ALTER TABLE ingest.document_sources
            ADD CONSTRAINT ck_document_sources_kind CHECK (kind IN ('file', 's3', 'part'));
    """)
