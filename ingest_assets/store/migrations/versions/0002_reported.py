"""When Dagster was told of a source's last stage, so that a run killed before that is made up for.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE ingest.document_sources ADD COLUMN reported_at timestamptz;
        UPDATE ingest.document_sources SET reported_at = now()
        WHERE document_uuid IN (SELECT document_uuid FROM ingest.document_texts);
        CREATE INDEX ix_document_sources_unreported ON ingest.document_sources (sequence_number)
            WHERE reported_at IS NULL;
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE ingest.document_sources DROP COLUMN reported_at")
