"""Mentions and entities: what is one thing is one row, in whatever order documents came."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from dagster import AssetKey, AssetsDefinition, AssetSpec
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from sqlalchemy import text

from ingest_assets.errors import TransientError
from ingest_assets.extraction.engine import Mention
from ingest_assets.extraction.local import LocalEngine
from ingest_assets.extraction.similar import entity_uuid
from ingest_assets.markdown import marked
from ingest_assets.ocr.local import LocalEngine as Reader
from ingest_assets.stages import document_entities
from ingest_assets.stages.stage import Known, Services, Source
from ingest_assets.store.database import MIGRATIONS, Database, migrate
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline

FIRST = (
    "Agreement of April 18, 2001 between Kite Pharma, Inc. and John J. Donahoe, under the laws of the "
    "State of Delaware. Kite Pharma, Inc. pays $5."
)
SECOND = "On 4/18/2001 KITE PHARMA INC of Delaware met John Donahoe."


def test_mentions_in_two_documents_point_at_one_entity(pipeline: Pipeline) -> None:
    pipeline.put("first.pdf", pdf("A cover page.", FIRST))
    pipeline.put("second.txt", SECOND.encode())
    (run,) = pipeline.ingest()
    assert run.success
    rows = pipeline.rows("""
        SELECT entity_type, name, count(*) AS mentions, count(DISTINCT document_uuid) AS documents
        FROM ingest.entities JOIN ingest.entity_mentions USING (entity_uuid, entity_type)
        GROUP BY 1, 2 ORDER BY 1, 2
    """)
    assert [tuple(row) for row in rows] == [
        ("date", "2001-04-18", 2, 2),
        ("jurisdiction", "US-DE", 2, 2),
        ("money", "USD 5", 1, 1),
        ("organization", "kite pharma", 3, 2),
        ("person", "john donahoe", 2, 2),
    ]
    mentions = pipeline.rows("""
        SELECT mention.*, original_file_name,
               substr(whole.text, char_start::int + 1, (char_end - char_start)::int) AS place
        FROM ingest.entity_mentions AS mention
        JOIN ingest.document_texts AS whole USING (document_uuid)
        JOIN ingest.source_documents USING (document_uuid)
    """)
    assert all(row.text == row.place for row in mentions)
    assert {row.page_number for row in mentions if row.original_file_name == "first.pdf"} == {2}
    relations = pipeline.rows(
        """
        SELECT chunks, documents FROM ingest.entity_relations
        WHERE entity_uuid = :one AND other_uuid = :other
        """,
        one=entity_uuid("organization", "kite pharma"),
        other=entity_uuid("person", "john donahoe"),
    )
    assert [tuple(row) for row in relations] == [(2, 2)]


def test_what_a_person_sees_of_it_in_dagit(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", f"{FIRST} ![x](https://evil.example/x.png) <b>".encode())
    pipeline.ingest()
    event = pipeline.instance.get_latest_materialization_event(AssetKey("document_entities"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["mentions"].value == 7
    assert "| organization | Kite Pharma, Inc. | kite pharma | 2 |" in str(
        metadata["top_entities"].value
    )
    preview = str(metadata["preview"].value)
    assert "between **Kite Pharma\\, Inc\\.** (organization) and" in preview
    assert "\\!\\[x\\]\\(" in preview
    assert "\\<b\\>" in preview


def test_marks_and_nothing_else_are_rendered() -> None:
    text = "# *a* [b](c) `d`\n1. www.e.com"
    assert marked(text, [(2, 5, "x_y")]) == (
        "\\# **\\*a\\*** (x\\_y) \\[b\\]\\(c\\) \\`d\\` 1\\. www\\.e\\.com"
    )


def test_an_engines_failure_is_no_empty_result(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.put("note.txt", FIRST.encode())

    def throttled(self: LocalEngine, text: str) -> tuple[Mention, ...]:
        raise TransientError("comprehend_unavailable", "Amazon Comprehend is throttling.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "extract", throttled)
        (run,) = pipeline.ingest()
    assert not run.success
    assert pipeline.states() == {"note.txt": "failed"}
    assert set(pipeline.partition_states("document_chunks").values()) == {"MATERIALIZED"}
    assert set(pipeline.partition_states("document_entities").values()) == {"FAILED"}
    assert pipeline.rows("SELECT FROM ingest.document_extractions") == []
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    assert pipeline.run_range(key, key, assets=["document_entities"]).success
    assert pipeline.states() == {"note.txt": "completed"}


def test_a_text_without_entities_is_a_result(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"nothing to be named here")
    (run,) = pipeline.ingest()
    assert run.success
    assert pipeline.states() == {"note.txt": "completed"}
    ((mentions,),) = pipeline.rows("SELECT mention_count FROM ingest.document_extractions")
    assert mentions == 0


def test_documents_of_an_earlier_deployment_are_finished_without_reading_them_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.put("note.txt", FIRST.encode())
    pipeline.put("copy.txt", FIRST.encode())
    pipeline.put("blank.pdf", pdf(""))
    pipeline.ingest()
    texts = pipeline.rows("SELECT * FROM ingest.document_texts ORDER BY document_uuid")
    with pipeline.database.engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    assert sorted(pipeline.states().values()) == ["completed", "duplicate", "no_text"]

    migrate(os.environ["INGEST_DATABASE_URL"])
    assert set(pipeline.states().values()) == {"in_progress"}
    monkeypatch.setattr(Reader, "recognise", None)
    runs = pipeline.ingest()
    assert runs
    assert all(run.success for run in runs)
    assert sorted(pipeline.states().values()) == ["completed", "duplicate", "no_text"]
    assert pipeline.rows("SELECT * FROM ingest.document_texts ORDER BY document_uuid") == texts
    assert len(pipeline.rows("SELECT FROM ingest.document_extractions")) == 2


def specs(pipeline: Pipeline) -> Iterable[AssetSpec]:
    assert pipeline.defs.assets is not None
    (documents,) = (
        found
        for found in pipeline.defs.assets
        if isinstance(found, AssetsDefinition) and AssetKey("document_row") in found.keys
    )
    return documents.specs


def test_a_new_engine_version_shows_as_out_of_date(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", FIRST.encode())
    pipeline.ingest()
    (key,) = pipeline.instance.get_dynamic_partitions("documents")

    def stale(versions: dict[str, str] | None) -> dict[str, StaleStatus]:
        if versions:
            pipeline.defs = pipeline.rebuilt(code_versions=versions)
        graph = pipeline.defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(
            pipeline.instance, graph, LoadingContextForTest(pipeline.instance)
        )
        return {
            name: resolver.get_status(AssetKey(name), partition_key=key)
            for name in ("document_text", "document_chunks", "document_entities")
        }

    assert set(stale(None).values()) == {StaleStatus.FRESH}
    versions = {spec.key.to_user_string(): spec.code_version or "" for spec in specs(pipeline)}
    assert stale({**versions, "document_entities": "another"}) == {
        "document_text": StaleStatus.FRESH,
        "document_chunks": StaleStatus.FRESH,
        "document_entities": StaleStatus.STALE,
    }


class Names:
    """An engine that finds given organisations and nothing else."""

    name = "names"
    version = "1"

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def extract(self, text: str) -> tuple[Mention, ...]:
        return tuple(
            Mention("organization", n, n + 1, name, None, "test") for n, name in enumerate(self.names)
        )

    def close(self) -> None:
        pass


_DOCUMENT = """
    INSERT INTO ingest.document_sources (partition_key, source_uri, kind, original_file_name,
        size_bytes, source_version, batch_id)
    VALUES (%(key)s, %(key)s, 'file', 'note.txt', 1, '1', %(uuid)s);
    INSERT INTO ingest.source_documents (document_uuid, sha256, original_file_name, s3_bucket,
        object_name, file_size_bytes, mime_type, partition_key)
    VALUES (%(uuid)s, encode(sha256(%(key)s), 'hex'), 'note.txt', 'bucket', 'note.txt', 1, 'text/plain',
        %(key)s);
    INSERT INTO ingest.document_texts (document_uuid, text, engine, engine_version, page_count)
    VALUES (%(uuid)s, repeat('x', 100), 'engine', '1', 1);
    INSERT INTO ingest.document_pages (document_uuid, page_number, char_start, char_end, origin)
    VALUES (%(uuid)s, 1, 0, 100, 'ocr');
    INSERT INTO ingest.document_chunkings (document_uuid, text_sha256, chunker, chunk_count, digest)
    VALUES (%(uuid)s, '', '', 0, '');
"""


@pytest.fixture
def store(database: Database) -> Callable[[Sequence[str]], None]:
    """Stores a document whose text names these organisations."""

    def add(names: Sequence[str]) -> None:
        uuid = uuid4()
        with database.engine.begin() as connection:
            connection.exec_driver_sql(_DOCUMENT, {"key": f"note-{uuid.hex[:12]}", "uuid": str(uuid)})
        source = Source("n", "n", "file", "n", 1, "1", uuid)
        services = Services(database, None, None, None, None, Names(names))  # type: ignore[arg-type]
        extracted = document_entities.work(source, services, Known())
        assert isinstance(extracted, document_entities.Extracted)
        with database.engine.begin() as connection:
            document_entities.save(connection, [extracted])

    return add


# A misread letter, a plural, a chain in which only neighbours are alike, and what must stay apart.
DOCUMENTS = (
    ["acme widget systems", "gilead sciences"],
    ["acme widgets systems"],
    ["acme widgets sysfems", "acme fund ii holding"],
    ["acme wadgets sysfems", "acme fund iii holding", "gilead sciences"],
    ["beta"],
    ["beto"],
)


def entities(database: Database) -> list[tuple[str, ...]]:
    with database.engine.connect() as connection:
        return sorted(
            tuple(row)
            for row in connection.execute(
                text("""
                    SELECT entity.entity_uuid::text, name,
                           string_agg(DISTINCT known.normalised, '; ' ORDER BY known.normalised),
                           count(DISTINCT (document_uuid, char_start))::text
                    FROM ingest.entities AS entity
                    JOIN ingest.entity_names AS known USING (entity_uuid)
                    LEFT JOIN ingest.entity_mentions AS mention
                        ON mention.entity_uuid = known.entity_uuid
                        AND mention.normalised = known.normalised
                    GROUP BY 1, 2
                """)
            )
        )


def test_the_order_of_ingestion_changes_nothing(
    database: Database, store: Callable[[Sequence[str]], None]
) -> None:
    outcomes = set()
    for order in itertools.islice(itertools.permutations(DOCUMENTS), 0, 720, 48):
        for names in order:
            store(names)
        outcomes.add(tuple(entities(database)))
        with database.engine.begin() as connection:
            connection.execute(
                text(
                    "TRUNCATE ingest.entities, ingest.entity_names, ingest.entity_mentions,"
                    " ingest.document_extractions, ingest.document_sources CASCADE"
                )
            )
    ((*found,),) = outcomes
    assert {(name, names, mentions) for _, name, names, mentions in found} == {
        (
            "acme wadgets sysfems",
            "acme wadgets sysfems; acme widget systems; acme widgets sysfems; acme widgets systems",
            "4",
        ),
        ("gilead sciences", "gilead sciences", "2"),
        ("acme fund ii holding", "acme fund ii holding", "1"),
        ("acme fund iii holding", "acme fund iii holding", "1"),
        ("beta", "beta", "1"),
        ("beto", "beto", "1"),
    }


def test_many_documents_at_once_name_the_same_entities_once(
    database: Database, store: Callable[[Sequence[str]], None]
) -> None:
    def work(turn: int) -> None:
        for names in (*DOCUMENTS[turn:], *DOCUMENTS[:turn]):
            store(names)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    found = {name: mentions for _, name, _, mentions in entities(database)}
    assert found["acme wadgets sysfems"] == "16"
    assert found["gilead sciences"] == "8"
    assert len(found) == 6
