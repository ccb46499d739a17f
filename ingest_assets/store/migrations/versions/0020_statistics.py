"""No statistics are kept of the words of whole texts, which Postgres made by parsing each text again.

Revision ID: 0020

Postgres's autovacuum analyses a table when a tenth of it is new. Of the search index of whole texts it
made statistics, and parsed up to 30,000 texts for them each time, which takes as much as to store them.
Without statistics Postgres takes one text in a thousand to match, and asks the index.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER INDEX ingest.ix_document_texts_search ALTER COLUMN 1 SET STATISTICS 0")


def downgrade() -> None:
    op.execute("ALTER INDEX ingest.ix_document_texts_search ALTER COLUMN 1 SET STATISTICS -1")
