"""Tables: wrong states cannot be written, and the migrations make what the models describe."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from ingest_assets.errors import ConfigurationError
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.models import Base, DocumentSource, SourceDocument

KEY = "note-0123456789ab"
SOURCE = {
    "partition_key": KEY,
    "source_uri": "file:///input/note.txt",
    "kind": "file",
    "original_file_name": "note.txt",
    "size_bytes": 4,
    "source_version": "1",
    "batch_id": uuid4(),
}
DOCUMENT = {
    "sha256": "0" * 64,
    "original_file_name": "note.txt",
    "s3_bucket": "bucket",
    "object_name": "note.txt",
    "file_size_bytes": 4,
    "mime_type": "text/plain",
    "partition_key": KEY,
}


def test_migrations_make_what_the_models_describe(database: Database, database_url: str) -> None:
    migrate(database_url)  # once more: idempotent
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: kind != "schema" or name == "ingest",
                "version_table_schema": "ingest",
            },
        )
        # A user called like the schema would make it the default one, which has no name here.
        assert connection.dialect.default_schema_name != "ingest" or connection.execute(
            text("SET search_path TO public")
        )
        connection.dialect.default_schema_name = "public"
        assert compare_metadata(context, Base.metadata) == []


def test_the_key_holds_the_rows_own_uuid(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(insert(DocumentSource), SOURCE)
        row = connection.execute(
            insert(SourceDocument)
            .values(DOCUMENT)
            .returning(SourceDocument.document_uuid, SourceDocument.s3_key)
        ).one()
        assert row.s3_key == f"documents/{row.document_uuid}/note.txt"
    with pytest.raises(ProgrammingError), database.engine.begin() as connection:
        connection.execute(text("UPDATE ingest.source_documents SET s3_key = 'documents/x/y'"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"object_name": "../other/note.txt", "sha256": "1" * 64},
        {"sha256": "0" * 64},
        {"sha256": "not a digest"},
        {"mime_type": "a ZIP archive", "sha256": "1" * 64},
        {"file_size_bytes": 0, "sha256": "1" * 64},
        {"partition_key": "nobody-0123456789ab", "sha256": "1" * 64},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_documents_are_refused(database: Database, wrong: dict[str, object]) -> None:
    with database.engine.begin() as connection:
        connection.execute(insert(DocumentSource), SOURCE)
        connection.execute(insert(SourceDocument), DOCUMENT)
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(insert(SourceDocument), {**DOCUMENT, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [{"partition_key": "a,b/c"}, {"kind": "ftp"}, {"size_bytes": -1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_sources_are_refused(database: Database, wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(insert(DocumentSource), {**SOURCE, **wrong})


def test_a_lock_is_held_by_one_and_falls_with_its_holder(database: Database) -> None:
    order: list[str] = []

    def second() -> None:
        with database.exclusive("document"):
            order.append("second")

    with database.exclusive("document") as holder:
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.5)
        order.append("first")
        holder.connection.dbapi_connection.close()  # type: ignore[union-attr]
    waiting.join(240)
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://user:secret@localhost/db", "only Postgres"),
        ("not a url", "not a database URL"),
        ("postgresql://user:secret@127.0.0.1:1/db", "127.0.0.1"),
    ],
)
def test_a_wrong_url_names_the_setting_and_hides_the_password(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        migrate(url)
    assert words in str(refused.value)
    assert "INGEST_DATABASE_URL" in str(refused.value)
    assert "secret" not in str(refused.value)
