"""Workers on other machines, and which of them has which run.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.workers (
            name text CONSTRAINT pk_workers PRIMARY KEY,
            host text NOT NULL,
            queues text[] NOT NULL,
            slots bigint NOT NULL CONSTRAINT ck_workers_slots CHECK (slots >= 1),
            started_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL
        );

        CREATE TABLE ingest.run_leases (
            run_id text CONSTRAINT pk_run_leases PRIMARY KEY,
            worker text NOT NULL,
            claimed_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL,
            cancel_requested_at timestamptz,
            ended_at timestamptz,
            lost_at timestamptz
        );
        CREATE INDEX ix_run_leases_open ON ingest.run_leases (worker)
            WHERE ended_at IS NULL AND lost_at IS NULL;
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ingest.run_leases, ingest.workers")
