"""What the walk through the input directory passed over, by pattern.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.ignored_names (
            pattern text CONSTRAINT pk_ignored_names PRIMARY KEY,
            count bigint NOT NULL CONSTRAINT ck_ignored_names_count CHECK (count >= 1),
            looked_at timestamptz NOT NULL DEFAULT now()
        );
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ingest.ignored_names;")
