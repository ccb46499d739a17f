"""Stage `document_text`: what was left out is stored; an earlier reading shows, and can be redone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pytest
from dagster import AssetKey

from ingest_assets.notes import KINDS, Note
from ingest_assets.ocr.engine import Contents, Page, Recognition, StoredObject
from ingest_assets.stages.runner import Outcome, Runner
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import STAGES, Pipeline


@dataclass
class Reader:
    """An engine that reads each document as two pages, with the notes that a test wants."""

    version: str = "1"
    notes: tuple[Note, ...] = ()
    name: str = "reader"
    documents_at_a_time: int | None = None

    def recognise(self, document: StoredObject) -> Recognition:
        pages = tuple(Page(number, f"as version {self.version} reads", "ocr") for number in (1, 2))
        return Recognition(pages, self.name, f"model 7; {self.version}", self.notes)

    def contents(self, document: StoredObject) -> AbstractContextManager[Contents]:
        return nullcontext(Contents(()))

    def reads_as(self, mime_type: str) -> tuple[str, str]:
        return self.name, self.version

    def let_go(self) -> None:
        pass

    def close(self) -> None:
        pass


def run(pipeline: Pipeline, reader: Reader, read_again: str = "") -> list[Outcome]:
    keys = pipeline.instance.get_dynamic_partitions("documents")
    services = pipeline.stage_services(reader)
    object.__setattr__(services, "read_again", read_again)
    return list(Runner(services, STAGES, "run", 2).run(keys))


@pytest.fixture
def agreement(pipeline: Pipeline) -> Pipeline:
    pipeline.put("agreement.pdf", pdf("An agreement."))
    pipeline.requests()
    return pipeline


def test_notes_are_stored_in_the_order_of_pages_and_say_whether_all_was_read(
    agreement: Pipeline,
) -> None:
    later, whole = Note("unread_ink", "a drawing", 2), Note("turned", "turned by 90°")
    outcomes = run(agreement, Reader(notes=(later, whole)))
    rows = agreement.rows(
        "SELECT note_number, page_number, kind, sentence, leaves_out FROM ingest.document_notes"
    )
    assert [tuple(row) for row in rows] == [
        (1, None, "turned", "turned by 90°", False),
        (2, 2, "unread_ink", "a drawing", True),
    ]
    (progress,) = agreement.rows("SELECT state, complete FROM ingest.document_progress")
    assert tuple(progress) == ("completed", False)
    (text,) = [o.result for o in outcomes if o.stage == "document_text" and o.result]
    assert text.details["complete"] is False
    assert "a drawing" in str(text.details["notes"])


@pytest.mark.parametrize(
    ("notes", "complete"),
    [((), True), ((Note("turned", "turned by 90°", 1),), True), ((Note("unread_ink", "ink"),), False)],
)
def test_a_document_is_complete_unless_something_was_left_out(
    agreement: Pipeline, notes: tuple[Note, ...], complete: bool
) -> None:
    (before,) = agreement.rows("SELECT complete FROM ingest.document_progress")
    run(agreement, Reader(notes=notes))
    (after,) = agreement.rows("SELECT complete FROM ingest.document_progress")
    assert (before.complete, after.complete) == (None, complete)


def test_a_note_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind"):
        Note("something", "a sentence")
    assert all(kind.meaning and kind.what_to_do for kind in KINDS.values())


@pytest.mark.parametrize(
    ("read_again", "engine", "text"),
    [
        ("", "reader", "1"),
        ("other-engine", "reader", "1"),
        ("other-engine", "another", "2"),
        ("other-version", "reader", "2"),
    ],
)
def test_what_an_earlier_version_read_is_read_again_where_a_run_asks_for_it(
    agreement: Pipeline, read_again: str, engine: str, text: str
) -> None:
    run(agreement, Reader("1", (Note("unread_ink", "ink"),)))
    outcomes = run(agreement, Reader("2", name=engine), read_again)
    (row,) = agreement.rows("SELECT text, engine FROM ingest.document_texts")
    assert row.text.startswith(f"as version {text} reads")
    (notes,) = agreement.rows("SELECT count(*) AS count FROM ingest.document_notes")
    assert notes.count == (1 if text == "1" else 0)
    assert agreement.states() == {"agreement.pdf": "completed"}
    # What stayed is shown as what it is: the result of the earlier version.
    (result,) = [o.result for o in outcomes if o.stage == "document_text" and o.result]
    assert result.code_version == ("1; reader: model 7; 1" if text == "1" else None)


def test_dagit_shows_the_text_of_an_earlier_version_as_out_of_date(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE ingest.document_texts SET engine_version = 'reading 1'")
    pipeline.run_range(key, key)
    event = pipeline.instance.get_latest_materialization_event(AssetKey("document_text"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.tags is not None
    assert event.asset_materialization.tags["dagster/code_version"] == "1; local: reading 1"
    spec = pipeline.defs.resolve_assets_def("document_text").specs_by_key[AssetKey("document_text")]
    assert spec.code_version != "1; local: reading 1"


def test_a_tag_that_says_nothing_known_is_refused(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    pipeline.requests()
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    result = pipeline.run_range(key, key, tags={"ingest/read_again": "everything"})
    assert not result.success
    assert pipeline.states() == {"note.txt": "discovered"}
