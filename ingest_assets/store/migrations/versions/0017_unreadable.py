"""Files and directories that the walk through the input directory could not look at.

Revision ID: 0017
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.unreadable_places (
            place text CONSTRAINT pk_unreadable_places PRIMARY KEY,
            since timestamptz NOT NULL DEFAULT now()
        );
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ingest.unreadable_places;")
