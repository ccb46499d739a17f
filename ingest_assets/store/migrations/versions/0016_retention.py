"""How long documents are kept, and what S3's object lock keeps of those that were forgotten.

Revision ID: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE ingest.forgotten_documents
            ADD COLUMN locked text[], ADD COLUMN locked_until timestamptz;
        CREATE TABLE ingest.retention (
            singleton boolean NOT NULL DEFAULT true
                CONSTRAINT pk_retention PRIMARY KEY CONSTRAINT ck_retention_singleton CHECK (singleton),
            days bigint NOT NULL,
            since timestamptz NOT NULL DEFAULT now(),
            looked_at timestamptz NOT NULL DEFAULT now()
        );
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE ingest.retention;
        ALTER TABLE ingest.forgotten_documents DROP COLUMN locked, DROP COLUMN locked_until;
    """)
