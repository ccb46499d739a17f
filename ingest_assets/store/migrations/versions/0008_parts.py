"""Parts of documents as sources of their own, what containers hold, and the headers of mails.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The reference to the container is checked when a transaction ends: `rebuild-db` inserts sources
    # before documents, because each of the two tables refers to the other.
    op.execute("""
        ALTER TABLE ingest.document_sources
            ADD COLUMN parent_uuid uuid
                CONSTRAINT fk_document_sources_parent_uuid
                    REFERENCES ingest.source_documents (document_uuid)
                    DEFERRABLE INITIALLY DEFERRED,
            ADD COLUMN part_path text,
            DROP CONSTRAINT ck_document_sources_kind,
            ADD CONSTRAINT ck_document_sources_kind CHECK (kind IN ('file', 's3', 'part')),
            ADD CONSTRAINT ck_document_sources_part CHECK (
                (kind = 'part') = (parent_uuid IS NOT NULL)
                AND (kind = 'part') = (part_path IS NOT NULL));
        CREATE UNIQUE INDEX uq_document_sources_parent_uuid_part_path
            ON ingest.document_sources (parent_uuid, part_path) WHERE parent_uuid IS NOT NULL;

        CREATE TABLE ingest.document_containers (
            document_uuid uuid
                CONSTRAINT pk_document_containers PRIMARY KEY
                CONSTRAINT fk_document_containers_document_uuid
                    REFERENCES ingest.document_texts (document_uuid) ON DELETE CASCADE,
            part_count bigint NOT NULL
                CONSTRAINT ck_document_containers_part_count CHECK (part_count >= 0),
            unpacked_by text NOT NULL,
            unpacked_at timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE ingest.messages (
            document_uuid uuid
                CONSTRAINT pk_messages PRIMARY KEY
                CONSTRAINT fk_messages_document_uuid
                    REFERENCES ingest.document_containers (document_uuid) ON DELETE CASCADE,
            message_id text,
            in_reply_to text,
            from_address text,
            to_addresses text[] NOT NULL,
            cc_addresses text[] NOT NULL,
            sent_at timestamptz,
            subject text
        );
        CREATE INDEX ix_messages_message_id ON ingest.messages USING hash (message_id);
        CREATE INDEX ix_messages_in_reply_to ON ingest.messages USING hash (in_reply_to);
        CREATE INDEX ix_messages_from_address ON ingest.messages USING hash (from_address);
    """)


def downgrade() -> None:
    # Sources of parts stay, as uploads that are not where they say they are: files would be looked for.
    op.execute("""
        DROP TABLE ingest.messages, ingest.document_containers;
        ALTER TABLE ingest.document_sources
            DROP COLUMN parent_uuid,
            DROP COLUMN part_path,
            DROP CONSTRAINT ck_document_sources_kind;
        UPDATE ingest.document_sources SET kind = 's3' WHERE kind = 'part';
        ALTER TABLE ingest.document_sources
            ADD CONSTRAINT ck_document_sources_kind CHECK (kind IN ('file', 's3'));
    """)
