"""JSON logs and traces: what they say of the document that is worked on, and what they hold back."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from dagster import DagsterInstance
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ingest_assets import log, traces
from ingest_assets.defs._internals import dagster_loggers, instigation_logger
from ingest_assets.defs.code_location import build_defs
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.settings import Settings
from ingest_assets.stage_names import STAGES
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline

PASSWORD = "correct-horse-battery"


@pytest.fixture
def console() -> Iterator[log.JsonConsole]:
    """The handler that `set_up` adds, with its lines in memory."""
    package = logging.getLogger("ingest_assets")
    level = package.level
    log.set_up("json")
    log.set_up("json")
    (handler,) = (one for one in package.handlers if isinstance(one, log.JsonConsole))
    handler.setStream(io.StringIO())
    yield handler
    package.removeHandler(handler)
    package.setLevel(level)


def lines(console: log.JsonConsole) -> list[dict[str, Any]]:
    return [json.loads(line) for line in console.stream.getvalue().splitlines()]


def test_a_line_is_an_object_without_secrets(
    console: log.JsonConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an/aws+secret=key")
    monkeypatch.setenv("INGEST_ALERT_URLS", "slack://first/token json://host/second-token")
    logger = log.get_logger("ingest_assets.store.database")
    logger.info('No "answer"\nfrom %s', f"postgresql://ingest:{PASSWORD}@host/ingest")
    logger.warning("The key is %s, not json://host/second-token.", "an/aws+secret=key")
    try:
        raise ValueError(f"redis://:{PASSWORD}@broker:6379/0")
    except ValueError:
        logger.exception("It failed.")
    logger.debug("Not wanted.")
    first, second, third = lines(console)
    assert first["event"] == 'No "answer"\nfrom postgresql://ingest:***@host/ingest'
    assert (first["level"], first["logger"]) == ("info", "ingest_assets.store.database")
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "The key is ***, not ***."
    assert "ValueError: redis://:***@broker" in third["exception"]
    assert PASSWORD not in console.stream.getvalue()


def logs_while_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    read = LocalEngine.recognise

    def recognise(self: LocalEngine, document: StoredObject) -> Recognition:
        log.get_logger("ingest_assets.ocr.local").warning("It is being read.")
        return read(self, document)

    monkeypatch.setattr(LocalEngine, "recognise", recognise)


def test_a_line_names_what_is_worked_on(
    pipeline: Pipeline, console: log.JsonConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs_while_it_reads(monkeypatch)
    for name in ("one", "two"):
        pipeline.put(f"{name}.pdf", pdf(f"Document {name}."))
    pipeline.tick()
    keys = [row.partition_key for row in pipeline.rows("SELECT * FROM ingest.document_sources")]
    pipeline.run_without_dagster(keys, "run-1")
    documents = {
        row.partition_key: str(row.document_uuid)
        for row in pipeline.rows("SELECT * FROM ingest.source_documents")
    }
    said = [line for line in lines(console) if line["event"] == "It is being read."]
    assert {line["partition"]: line["document"] for line in said} == documents
    assert {(line["run"], line["stage"]) for line in said} == {("run-1", "document_text")}


def test_a_run_under_dagster_writes_each_line_once(
    pipeline: Pipeline, console: log.JsonConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (dagster_loggers, instigation_logger):
        monkeypatch.setattr(module, "create_console_logger", None)  # Restored afterwards.
    defs = build_defs(Settings(_env_file=None, log_format="json"), pipeline.defs.resources)
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    logs_while_it_reads(monkeypatch)
    pipeline.put("one.pdf", pdf("One."))
    pipeline.requests()
    instigation_logger.InstigationLogger(logger_name="dagster").info("A tick.")
    with DagsterInstance.ephemeral() as instance:
        key = pipeline.rows("SELECT partition_key FROM ingest.document_sources")[0].partition_key
        instance.add_dynamic_partitions("documents", [key])
        assert defs.resolve_job_def("ingest_documents").execute_in_process(
            instance=instance, partition_key=key
        )
    written = [json.loads(line) for line in output.getvalue().splitlines() if line[:1] == "{"]
    written += lines(console)
    (said,) = (line for line in written if line["event"] == "It is being read.")
    assert said["partition"] == key
    assert said["run"]
    assert "A tick." in [line["event"] for line in written]
    assert said["document"]
    materialised = [one for one in written if one.get("dagster_event") == "ASSET_MATERIALIZATION"]
    assert [one["partition"] for one in materialised] == [key] * 5
    assert {one["document"] for one in materialised} == {said["document"]}
    assert len({one["stage"] for one in materialised}) == 5


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "_tracer", lambda: provider.get_tracer("test"))
    return exporter


def test_a_documents_way_is_one_trace_whatever_runs_it_took(
    pipeline: Pipeline, spans: InMemorySpanExporter
) -> None:
    pipeline.put("one.pdf", pdf("One."))
    pipeline.put("broken.pdf", b"%PDF-1.4 broken")
    pipeline.tick()
    rows = pipeline.rows("SELECT * FROM ingest.document_sources ORDER BY original_file_name DESC")
    one, broken = (row.partition_key for row in rows)
    pipeline.run_without_dagster([one, broken], "run-1")
    pipeline.run_without_dagster([one], "run-2")
    finished = spans.get_finished_spans()
    of_one = [span for span in finished if (span.attributes or {}).get("ingest.partition") == one]
    assert len({span.context.trace_id for span in of_one}) == 1
    roots = [span for span in of_one if span.name == "document"]
    assert [(span.attributes or {})["ingest.run"] for span in roots] == ["run-1", "run-2"]
    stages = [
        span for span in of_one if span.parent and span.parent.span_id == roots[0].context.span_id
    ]
    assert [span.name for span in stages] == list(STAGES)
    (document,) = pipeline.rows(
        "SELECT * FROM ingest.source_documents WHERE original_file_name = 'one.pdf'"
    )
    assert {(span.attributes or {})["ingest.document"] for span in stages} == {
        str(document.document_uuid)
    }
    text = stages[STAGES.index("document_text")]
    inside = [span for span in finished if span.parent and span.parent.span_id == text.context.span_id]
    assert inside
    assert {span.name.split()[0] for span in inside} == {"worker"}
    (failed,) = (
        span
        for span in finished
        if span.name == "document_text" and (span.attributes or {})["ingest.partition"] == broken
    )
    assert failed.status.status_code.name == "ERROR"
    assert failed.context.trace_id != text.context.trace_id


def test_the_trace_of_a_part_is_linked_to_that_of_its_container(
    pipeline: Pipeline, spans: InMemorySpanExporter
) -> None:
    pipeline.put("papers.zip", zipped({"note.txt": "Call on Monday."}))
    pipeline.tick()
    (container,) = pipeline.rows("SELECT partition_key FROM ingest.document_sources")
    pipeline.run_without_dagster([container.partition_key], "run-1")
    (part,) = pipeline.rows(
        "SELECT partition_key FROM ingest.document_sources WHERE parent_uuid IS NOT NULL"
    )
    for run in "run-2", "run-3":
        pipeline.run_without_dagster([part.partition_key], run)
    # Each run makes a span of the stage; the container is a part of nothing.
    whole, *parts = (span for span in spans.get_finished_spans() if span.name == "document_row")
    assert whole.links == ()
    assert len(parts) == 2
    for span in parts:
        (link,) = span.links
        assert link.context.trace_id == whole.context.trace_id != span.context.trace_id


@pytest.mark.parametrize(
    ("variables", "makes", "imports"),
    [
        ({}, False, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, True, True),
    ],
    ids=["not set up", "no exporter", "disabled", "console"],
)
def test_spans_are_made_where_they_are_asked_for(
    variables: dict[str, str], makes: bool, imports: bool
) -> None:
    code = (
        "import sys; from ingest_assets import traces\n"
        "with traces.span('document', traces.of_document('a-key'), partition='a-key'): pass\n"
        "print('OPENTELEMETRY' if 'opentelemetry' in sys.modules else 'nothing')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    assert ('"ingest.partition": "a-key"' in done.stdout) is makes
    assert ("OPENTELEMETRY" in done.stdout) is imports
