"""The engine that asks Amazon Comprehend: limits, types, places, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest_assets.defs.resources import ExtractionResource, configured
from ingest_assets.errors import IngestError
from ingest_assets.extraction.comprehend import ComprehendEngine
from ingest_assets.settings import Settings
from ingest_assets.stages.runner import TRIES
from ingest_assets_tests.support.comprehend import REGION, StandIn, serving
from ingest_assets_tests.support.engines import RulesEngine
from ingest_assets_tests.support.pipeline import Pipeline


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    stand_in = StandIn()
    with serving(stand_in) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_COMPREHEND", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield stand_in


@pytest.fixture
def engine(stand_in: StandIn) -> Iterator[ComprehendEngine]:
    engine = ComprehendEngine(REGION, "en", RulesEngine())
    yield engine
    engine.close()


def test_types_values_and_places(stand_in: StandIn, engine: ComprehendEngine) -> None:
    text = (
        "🐙 Kite Pharma, Inc. of Delaware, Springfield, pays Dr. Ann B. Lee $5 million in 5 days. "
        "a@b.com"
    )
    stand_in.finds = {
        "Kite Pharma, Inc.": "ORGANIZATION",
        "Delaware": "LOCATION",
        "Springfield": "LOCATION",
        "Dr. Ann B. Lee": "PERSON",
        "$5 million": "QUANTITY",
        "5 days": "QUANTITY",
        "a@b.com": "OTHER",
    }
    found = [
        (m.entity_type, text[m.start : m.end], m.normalised, m.engine) for m in engine.extract(text)
    ]
    assert found == [
        ("organization", "Kite Pharma, Inc.", "kite pharma", "comprehend"),
        ("jurisdiction", "Delaware", "US-DE", "comprehend"),
        ("location", "Springfield", "springfield", "comprehend"),
        ("person", "Dr. Ann B. Lee", "ann lee", "comprehend"),
        ("money", "$5 million", "USD 5000000", "rules"),
        ("quantity", "5 days", "5 days", "comprehend"),
        ("email", "a@b.com", "a@b.com", "rules"),
    ]
    assert {m.confidence for m in engine.extract(text)} == {None, 0.9876}


@pytest.mark.parametrize("sentence", ["Acme met us. ", "Acme 漢字漢字漢字漢字。 ", "Acme 🐙🐙🐙🐙🐙. "])
def test_long_texts_go_in_batches_within_the_limits(
    stand_in: StandIn, engine: ComprehendEngine, sentence: str
) -> None:
    stand_in.finds = {"Acme": "ORGANIZATION"}
    text = sentence * 6_000
    mentions = engine.extract(text)
    assert [text[m.start : m.end] for m in mentions] == ["Acme"] * 6_000
    assert len(stand_in.batches) == stand_in.requests > 1
    assert {len(batch) for batch in stand_in.batches[:-1]} == {25}


def test_nothing_found_is_a_result(stand_in: StandIn, engine: ComprehendEngine) -> None:
    assert engine.extract("nothing of note") == ()
    assert stand_in.requests == 1


@pytest.mark.parametrize(
    ("status", "code", "error_class", "error_code", "requests"),
    [
        (400, "ThrottlingException", "transient", "comprehend_unavailable", 3),
        (500, "InternalServerException", "transient", "comprehend_unavailable", 3),
        (400, "AccessDeniedException", "configuration", "comprehend_refused", 1),
        (403, "UnrecognizedClientException", "configuration", "comprehend_refused", 1),
        (400, "UnsupportedLanguageException", "configuration", "comprehend_refused", 1),
        (400, "InvalidRequestException", "permanent", "comprehend_rejected", 1),
    ],
)
def test_what_errors_mean(
    stand_in: StandIn,
    engine: ComprehendEngine,
    status: int,
    code: str,
    error_class: str,
    error_code: str,
    requests: int,
) -> None:
    stand_in.faults.extend([(status, code)] * 3)
    with pytest.raises(IngestError) as raised:
        engine.extract("A text.")
    assert (raised.value.error_class, raised.value.code) == (error_class, error_code)
    assert code in str(raised.value)
    assert stand_in.requests == requests


def test_what_passes_at_once_is_no_error(stand_in: StandIn, engine: ComprehendEngine) -> None:
    stand_in.faults.append((400, "ThrottlingException"))
    assert engine.extract("A text.") == ()


@pytest.mark.parametrize(
    ("code", "error_class"),
    [("INTERNAL_SERVER_ERROR", "transient"), ("UNSUPPORTED_ENCODING", "permanent")],
)
def test_one_part_that_fails_fails_the_text(
    stand_in: StandIn, engine: ComprehendEngine, code: str, error_class: str
) -> None:
    stand_in.item_errors = {"the bad part": code}
    with pytest.raises(IngestError) as raised:
        engine.extract("A good sentence. " * 200 + "Here is the bad part. " + "Another. " * 200)
    assert raised.value.error_class == error_class


def test_places_that_do_not_fit_the_text_are_no_result(
    stand_in: StandIn, engine: ComprehendEngine
) -> None:
    stand_in.finds, stand_in.wrong_offsets = {"Acme": "ORGANIZATION"}, True
    with pytest.raises(IngestError, match="does not fit the text"):
        engine.extract("We are Acme here.")


def test_a_region_or_server_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(IngestError) as raised:
        ComprehendEngine(None, "en", RulesEngine()).extract("A text.")
    assert raised.value.error_class == "configuration"
    monkeypatch.setenv("AWS_ENDPOINT_URL_COMPREHEND", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(IngestError) as raised:
        ComprehendEngine(REGION, "en", RulesEngine()).extract("A text.")
    assert raised.value.error_class == "transient"


def test_throttled_in_the_graph(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the old chain stored as "no entities" and called completed."""
    stand_in = StandIn()
    stand_in.finds = {"Acme": "ORGANIZATION"}
    stand_in.faults.extend([(400, "ThrottlingException")] * 3 * TRIES)
    pipeline.put("note.txt", b"Acme pays $5.")
    (request,) = pipeline.requests()
    settings = Settings(_env_file=None, entity_engine="comprehend", aws_region=REGION, ocr_workers=1)
    pipeline.defs = pipeline.rebuilt({"extraction": configured(ExtractionResource, settings)})
    with serving(stand_in) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_COMPREHEND", address)
        assert not pipeline.launch(request).success
        assert pipeline.states() == {"note.txt": "failed"}
        assert pipeline.errors() == {"note.txt": "comprehend_unavailable"}
        assert pipeline.rows("SELECT FROM ingest.document_extractions") == []
        assert pipeline.launch(request).success
    assert pipeline.states() == {"note.txt": "completed"}
    found = pipeline.rows(
        "SELECT text, engine, confidence FROM ingest.entity_mentions ORDER BY char_start"
    )
    assert [tuple(row) for row in found] == [("Acme", "comprehend", 0.9876), ("$5", "rules", None)]
