"""/metrics: what Prometheus gets, and that the dashboard and the alerts ask for nothing else."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._serdes import serialize_value
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from ingest_assets.embedded.ports import any_free_port
from ingest_assets.errors import ConfigurationError
from ingest_assets.operations import metrics
from ingest_assets.operations.metrics import IngestCollector, serve
from ingest_assets.store.database import Database
from ingest_assets_tests.operations.verification.test_engine import add_source, change
from ingest_assets_tests.support.docs import ROOT
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.servers import Services, disconnect

DASHBOARD = ROOT / "deploy/grafana/ingest-assets.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def _always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_FRESH_SECONDS", 0.0)


@contextmanager
def served(database: Database, dagster: Database) -> Iterator[str]:
    port = any_free_port()
    with serve(database, dagster, port, "127.0.0.1"):
        yield f"http://127.0.0.1:{port}/metrics"


def families(url: str) -> dict[str, Metric]:
    with urllib.request.urlopen(url, timeout=240) as response:
        found = text_string_to_metric_families(response.read().decode())
        return {family.name: family for family in found}


def values(found: dict[str, Metric]) -> Values:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in found.values()
        for sample in family.samples
    }


def value(found: Values, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def test_what_became_of_documents_is_counted_and_nothing_falls_when_one_is_deleted(
    pipeline: Pipeline,
) -> None:
    pipeline.put("agreement.pdf", pdf("Between two parties.", "Signed."))
    pipeline.put("broken.pdf", b"%PDF-1.4 broken")
    pipeline.put("empty.pdf", b"")
    pipeline.ingest()
    key = add_source(pipeline, "waiting")
    change(
        pipeline,
        "INSERT INTO ingest.textract_jobs (client_request_token, document_uuid, attempt, first_page,"
        " region, s3_bucket, s3_key, status, pages, cost_usd, finished_at)"
        " SELECT document_uuid || '-1', document_uuid, 1, 1, 'r', 'b', 'k', 'succeeded', 2, 0.003,"
        " now()"
        " FROM ingest.source_documents WHERE original_file_name = 'agreement.pdf'",
        "INSERT INTO ingest.workers (name, host, queues, slots, expires_at) VALUES"
        " ('here', 'h', '{}', 2, now() + interval '20 s'),"
        " ('lost', 'h', '{}', 2, now() - interval '1 h')",
        "UPDATE ingest.document_sources SET discovered_at = now() - interval '1 h'"
        f" WHERE partition_key = '{key}'",
    )
    with served(pipeline.database, pipeline.database) as url:
        found = families(url)
        before = values(found)
        assert value(before, "ingest_up") == 1
        assert value(before, "ingest_documents", state="completed") == 1
        assert value(before, "ingest_documents", state="failed") == 1
        assert value(before, "ingest_documents", state="rejected") == 1
        assert value(before, "ingest_documents", state="discovered") == 1
        assert value(before, "ingest_documents", state="no_text") == 0
        failed = {"class": "permanent", "code": "corrupt_document", "stage": "document_text"}
        assert value(before, "ingest_documents_failed", **failed) == 1
        assert value(before, "ingest_errors_total", service="", **failed) == 1
        assert value(before, "ingest_queue_documents", kind="file") == 1
        assert value(before, "ingest_queue_documents", kind="s3") == 0
        assert 3600 <= value(before, "ingest_queue_age_seconds", kind="file") < 3700
        text_stage = {"stage": "document_text", "status": "succeeded"}
        assert value(before, "ingest_stage_seconds_count", **text_stage) == 1
        assert value(before, "ingest_stage_seconds_bucket", le="+Inf", **text_stage) == 1
        assert value(before, "ingest_stage_seconds_bucket", le="1800.0", **text_stage) == 1
        assert 0 < value(before, "ingest_stage_seconds_sum", **text_stage) < 60
        assert value(before, "ingest_pages", origin="text-layer") == 2
        assert value(before, "ingest_textract_pages_total") == 2
        assert value(before, "ingest_textract_dollars_total") == 0.003
        assert value(before, "ingest_workers") == 1
        assert value(before, "ingest_worker_slots") == 2
        assert 3600 <= value(before, "ingest_worker_heartbeat_age_seconds", worker="lost") < 3700
        assert {name for name in found if not name.startswith("ingest_")} == set()
        # As `forget` deletes them.
        change(
            pipeline,
            "DELETE FROM ingest.textract_jobs",
            "DELETE FROM ingest.stage_attempts WHERE stage = 'document_text'",
            "DELETE FROM ingest.stage_attempts WHERE stage = 'document_row'",
        )
        after = values(families(url))
        for (name, labels), number in before.items():
            if name.endswith(("_total", "_count", "_sum")) or name == "ingest_stage_seconds_bucket":
                assert after[name, labels] == pytest.approx(number), (name, labels)


def test_confidence_and_dagsters_signs_of_life(pipeline: Pipeline) -> None:
    pipeline.put("agreement.pdf", pdf("One.", "Two.", "Three."))
    pipeline.ingest()
    change(
        pipeline,
        "UPDATE ingest.document_pages SET origin = 'ocr', confidence = page_number * 0.3",
        "CREATE TABLE public.runs (status text, start_time float, create_timestamp timestamp)",
        "INSERT INTO runs VALUES ('SUCCESS', 1, now() AT TIME ZONE 'UTC'),"
        " ('FAILURE', NULL, now() AT TIME ZONE 'UTC')",
        "CREATE TABLE daemon_heartbeats (daemon_type text, timestamp timestamp)",
        "INSERT INTO daemon_heartbeats VALUES ('SENSOR', (now() AT TIME ZONE 'UTC') - interval '90 s')",
        "CREATE TABLE job_ticks (id serial, type text, status text, tick_body text)",
    )
    now = time.time()
    with pipeline.database.engine.begin() as connection:
        for status, began, ended in (
            (TickStatus.SKIPPED, now - 20, now - 19),
            (TickStatus.SKIPPED, now - 12, now - 10),
            (TickStatus.STARTED, now - 1, None),
        ):
            tick = TickData(
                "origin", "input_directory", InstigatorType.SENSOR, status, began, end_timestamp=ended
            )
            connection.execute(
                text("INSERT INTO job_ticks (type, status, tick_body) VALUES ('SENSOR', :s, :b)"),
                {"s": status.value, "b": serialize_value(tick)},
            )
    with served(pipeline.database, pipeline.database) as url:
        found = values(families(url))
    assert value(found, "ingest_ocr_confidence_bucket", le="0.5") == 1
    assert value(found, "ingest_ocr_confidence_bucket", le="0.6") == 2
    assert value(found, "ingest_ocr_confidence_bucket", le="+Inf") == 3
    assert value(found, "ingest_ocr_confidence_gcount") == 3
    assert value(found, "ingest_ocr_confidence_gsum") == pytest.approx(1.8)
    assert value(found, "ingest_pages", origin="ocr") == 3
    assert value(found, "ingest_sensor_tick_seconds", sensor="input_directory") == pytest.approx(
        2, abs=1
    )
    assert 10 <= value(found, "ingest_sensor_tick_age_seconds", sensor="input_directory") < 60
    assert 90 <= value(found, "ingest_daemon_heartbeat_age_seconds", daemon="sensor") < 150
    assert value(found, "ingest_runs", status="success") == 1
    assert value(found, "ingest_runs_not_started") == 1


def test_where_postgres_does_not_answer_that_is_said(
    services: Services, empty_database_url: str
) -> None:
    with (
        closing(Database(empty_database_url)) as database,
        served(database, database) as url,
    ):
        with database.engine.connect():
            disconnect(services, empty_database_url)
        assert values(families(url)) == {("ingest_up", ()): 0}  # It has no schema.


def test_a_port_in_use_is_told(database: Database) -> None:
    with (
        served(database, database) as url,
        pytest.raises(ConfigurationError) as caught,
        serve(database, database, int(url.split(":")[2].split("/")[0]), "127.0.0.1"),
    ):
        pass
    assert caught.value.code == "port_in_use"


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\bingest_[a-z0-9_]+\b", expression))


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(database: Database) -> None:
    registry = CollectorRegistry()
    registry.register(IngestCollector(database, database))
    suffixes = {
        "counter": ("_total",),
        "histogram": ("_bucket", "_sum", "_count"),
        "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    }
    there = {
        family.name + suffix
        for family in registry.collect()
        for suffix in suffixes.get(family.type, ("",))
    }
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["title"]
    assert dashboard["uid"]
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 8
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    for panel in panels:
        assert panel["title"]
        assert set(panel["gridPos"]) == {"x", "y", "w", "h"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    for rule in rules:
        assert {"alert", "expr", "labels", "annotations"} <= set(rule)
        assert rule["annotations"]["summary"]
    expressions += [rule["expr"] for rule in rules]
    for expression in expressions:
        assert asked(expression), expression
        assert asked(expression) <= there, expression
    # Each is of use to somebody.
    assert {name.rsplit("_bucket")[0] for name in there if "_sum" not in name} - set(
        re.findall(r"ingest_[a-z_]+?(?=_bucket|\b)", " ".join(expressions))
    ) <= {"ingest_scrape_seconds", "ingest_stage_seconds_count", "ingest_ocr_confidence_gcount",
          "ingest_ocr_confidence_gsum"}  # fmt: skip


def loops(plan: dict[str, Any], table: str) -> int:
    """How often a plan that was executed began to read a table."""
    own = int(plan["Actual Loops"]) if plan.get("Relation Name") == table else 0
    return own + sum(loops(part, table) for part in plan.get("Plans", ()))


def test_a_scrape_looks_up_attempts_of_unfinished_documents_only(database: Database) -> None:
    """At 100,000 documents a look-up for each would take seconds, and one pass takes half of one."""
    documents, failed = 3000, 30
    with database.engine.begin() as connection:
        connection.execute(text(_FILL), {"documents": documents, "every": documents // failed})
    with database.engine.connect() as connection:
        for view in ("states", "waiting", "attempts", "pages", "faults"):
            ((plan,),) = connection.execute(
                text(f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM ingest.statistics_{view}")
            ).scalars()
            assert loops(plan["Plan"], "stage_attempts") <= failed + 2, view


_FILL = """
    INSERT INTO ingest.document_sources (partition_key, source_uri, kind, original_file_name,
        size_bytes, source_version, batch_id, reported_at)
    SELECT 'document-' || lpad(to_hex(n), 12, '0'), 'file:///' || n, 'file', n || '.pdf', 1, '1',
        gen_random_uuid(), CASE WHEN n % :every > 0 THEN now() END
    FROM generate_series(1, :documents) AS n;
    INSERT INTO ingest.source_documents (sha256, original_file_name, s3_bucket, object_name,
        file_size_bytes, mime_type, partition_key, upload_timestamp)
    SELECT encode(sha256(partition_key::bytea), 'hex'), original_file_name, 'b', 'o', 1,
        'application/pdf', partition_key, now()
    FROM ingest.document_sources;
    UPDATE ingest.document_sources AS source SET document_uuid = document.document_uuid
    FROM ingest.source_documents AS document WHERE document.partition_key = source.partition_key;
    INSERT INTO ingest.stage_attempts (partition_key, document_uuid, stage, attempt, status, run_id,
        error_class, error_code, finished_at)
    SELECT partition_key, document_uuid, stage, 1, CASE WHEN fails THEN 'failed' ELSE 'succeeded' END,
        'r', CASE WHEN fails THEN 'permanent' END, CASE WHEN fails THEN 'encrypted' END, now()
    FROM ingest.document_sources, unnest(ARRAY['document_row', 'document_object', 'document_text',
        'document_chunks', 'document_entities']) AS stage,
        LATERAL (SELECT reported_at IS NULL AND stage = 'document_text' AS fails) AS outcome
    WHERE reported_at IS NOT NULL OR stage NOT IN ('document_chunks', 'document_entities');
    INSERT INTO ingest.document_texts (document_uuid, text, engine, engine_version, page_count)
    SELECT document_uuid, 'Text', 'e', '1', 1 FROM ingest.document_sources
    WHERE reported_at IS NOT NULL;
    INSERT INTO ingest.document_pages
    SELECT document_uuid, 1, 0, 4, 'ocr', 0.9 FROM ingest.document_texts;
    INSERT INTO ingest.document_chunkings (document_uuid, text_sha256, chunker, chunk_count, digest)
    SELECT document_uuid, '', 'c', 0, '' FROM ingest.document_texts;
    INSERT INTO ingest.document_extractions (document_uuid, text_sha256, engine, engine_version,
        mention_count, digest)
    SELECT document_uuid, '', 'e', '1', 0, '' FROM ingest.document_texts;
    ANALYZE;
"""
