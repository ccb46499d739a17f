"""What people were told of what needs them, so that they are told once.

Revision ID: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.alert_channels (
            channel text CONSTRAINT pk_alert_channels PRIMARY KEY,
            sent_at timestamptz,
            digest_at timestamptz,
            failed_at timestamptz,
            error text
        );
        CREATE TABLE ingest.alerts (
            alert_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_alerts PRIMARY KEY,
            channel text NOT NULL
                CONSTRAINT fk_alerts_channel
                    REFERENCES ingest.alert_channels (channel) ON DELETE CASCADE,
            topic text NOT NULL,
            partition_key text
                CONSTRAINT fk_alerts_partition_key
                    REFERENCES ingest.document_sources (partition_key) ON DELETE CASCADE,
            title text NOT NULL,
            since timestamptz NOT NULL,
            told_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE UNIQUE INDEX ix_alerts_once
            ON ingest.alerts (channel, topic, coalesce(partition_key, ''));
        CREATE INDEX ix_alerts_partition_key ON ingest.alerts (partition_key);
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ingest.alerts, ingest.alert_channels;")
