"""Tombstones of documents that were forgotten, and holds on those that must not be.

Revision ID: 0012
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.forgotten_documents (
            sha256 text CONSTRAINT pk_forgotten_documents PRIMARY KEY
                CONSTRAINT ck_forgotten_documents_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
            reason text NOT NULL CONSTRAINT ck_forgotten_documents_reason CHECK (reason <> ''),
            forgotten_by text NOT NULL,
            begun_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz
        );
        CREATE TABLE ingest.forgotten_sightings (
            sighting text CONSTRAINT pk_forgotten_sightings PRIMARY KEY
                CONSTRAINT ck_forgotten_sightings_sighting CHECK (sighting ~ '^[0-9a-f]{64}$'),
            sha256 text NOT NULL
                CONSTRAINT fk_forgotten_sightings_sha256
                    REFERENCES ingest.forgotten_documents (sha256) ON DELETE CASCADE
        );
        CREATE INDEX ix_forgotten_sightings_sha256 ON ingest.forgotten_sightings (sha256);
        CREATE TABLE ingest.document_holds (
            document_uuid uuid
                CONSTRAINT pk_document_holds PRIMARY KEY
                CONSTRAINT fk_document_holds_document_uuid
                    REFERENCES ingest.source_documents (document_uuid),
            reason text NOT NULL CONSTRAINT ck_document_holds_reason CHECK (reason <> ''),
            held_by text NOT NULL,
            held_at timestamptz NOT NULL DEFAULT now()
        );
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE ingest.document_holds, ingest.forgotten_sightings, ingest.forgotten_documents;
    """)
