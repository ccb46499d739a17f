"""Why a sensor launches no runs just now.

Revision ID: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.withheld_launches (
            sensor text CONSTRAINT pk_withheld_launches PRIMARY KEY,
            error_class text NOT NULL,
            error_code text NOT NULL,
            error_message text NOT NULL,
            error_remedy text NOT NULL,
            since timestamptz NOT NULL DEFAULT now()
        );
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ingest.withheld_launches;")
