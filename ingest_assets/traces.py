"""Traces of each document's way, for OpenTelemetry.

Belongs here: whether spans are made, where they go, and which trace a document has. Does not belong
here: what a span is made for (`stages.runner`, `workers.pool`).

Without the extra `otel`, or without a variable of OpenTelemetry that says where spans go, nothing is
imported and no span is made.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ingest_assets.log import get_logger

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext, Tracer

_log = get_logger(__name__)

# https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
_DESTINATIONS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)


def span(
    name: str, parent: Context | None = None, **attributes: object
) -> AbstractContextManager[object]:
    """A span as long as the block lasts; an error that leaves the block is its status.

    Args:
        parent: what it is a part of; by default the span that this thread is in.
        attributes: what it is about, `ingest.` before their names; None is left out.
    """
    tracer = _tracer()
    if tracer is None:
        return nullcontext()
    known = {f"ingest.{key}": str(value) for key, value in attributes.items() if value is not None}
    # An exception's traceback is in the run's log; spans may go to another company.
    return tracer.start_as_current_span(name, parent, attributes=known, record_exception=False)


def about(**attributes: object) -> None:
    """Add attributes to the span that this thread is in."""
    if _tracer() is not None:
        from opentelemetry import trace  # noqa: PLC0415  (an extra)

        trace.get_current_span().set_attributes(
            {f"ingest.{key}": str(value) for key, value in attributes.items() if value is not None}
        )


def here() -> Context | None:
    """What a span that another thread makes is a part of, if it is to be of this thread's."""
    if _tracer() is None:
        return None
    from opentelemetry import context  # noqa: PLC0415  (an extra)

    return context.get_current()


def of_document(partition_key: str) -> Context | None:
    """The trace of a document, which all runs on all machines find from its partition key."""
    if _tracer() is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415  (an extra)

    return trace.set_span_in_context(trace.NonRecordingSpan(_root(partition_key)))


def part_of(partition_key: str) -> None:
    """Link the span that this thread is in to the trace of the document that holds the part."""
    if _tracer() is not None:
        from opentelemetry import trace  # noqa: PLC0415  (an extra)

        trace.get_current_span().add_link(_root(partition_key))


def _root(partition_key: str) -> SpanContext:
    from opentelemetry import trace  # noqa: PLC0415  (an extra)

    digest = hashlib.sha256(partition_key.encode()).digest()
    return trace.SpanContext(
        int.from_bytes(digest[:16], "big"),
        int.from_bytes(digest[16:24], "big"),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )


@cache
def _tracer() -> Tracer | None:
    if not any(os.environ.get(name) for name in _DESTINATIONS):
        return None
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    if exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        _log.warning(
            "OpenTelemetry is set up, but not installed: no spans are made. "
            "`pip install -e '.[otel]'` in the project's folder installs it."
        )
        return None
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  (an extra)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    os.environ.setdefault("OTEL_SERVICE_NAME", "ingest-assets")
    provider = TracerProvider()  # It sends what is left when the process ends.
    provider.add_span_processor(BatchSpanProcessor(_exporter(exporter)))
    return provider.get_tracer("ingest_assets")


def _exporter(name: str) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415  (an extra)

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  (an extra)
        OTLPSpanExporter,
    )

    return OTLPSpanExporter()
