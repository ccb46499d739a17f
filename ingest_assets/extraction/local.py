"""The local engine: rules, in worker processes with limits, because the texts are untrusted.

Belongs here: dividing a text into pieces, and what a worker's fault means for the document. Does not
belong here: the rules (`sandbox`).
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any

from ingest_assets.errors import (
    ConfigurationError,
    IngestError,
    PermanentError,
    RunEndedError,
    TransientError,
)
from ingest_assets.extraction.chunks import Chunk, Chunker
from ingest_assets.extraction.engine import Mention
from ingest_assets.workers.isolation import Mode, Reach
from ingest_assets.workers.pool import Answer, FaultKind, Limits, WorkerError, WorkerPool

NAME = "local"
# Raise "rules 1" with a change of `sandbox.patterns`, and "names 2" with one of `sandbox.names` or
# `sandbox.headers`, that finds something else in the same text: Dagit then shows stored entities as out
# of date. The libraries' versions come from their metadata, because this process must not load what
# searches untrusted texts.
RULES_VERSION = f"rules 1, eyecite {version('eyecite')}, phonenumbers {version('phonenumbers')}"
VERSION = f"{RULES_VERSION}; names 2, pycountry {version('pycountry')}, cleanco {version('cleanco')}"

# Loaded by the worker processes.
OPERATIONS = "ingest_assets.extraction.sandbox.operations"
# Pieces end with a paragraph or sentence, so few names are cut in two. A rule that took quadratic time
# would take it over one piece only.
_PIECES = Chunker(characters=10_000, overlap=0)
_LIMITS = Limits(cpu_seconds=20, wall_seconds=120)
# For one text. The longest that is stored, 32 MB, takes about a minute.
_CPU_SECONDS = 600.0
MAX_MENTIONS = 200_000


class LocalEngine:
    """Finds entities by rule on this machine. Thread-safe; the threads share the processes.

    Args:
        workers: number of processes; they start with the first text.
        sandbox: whether they are held to what they need; see `Reach`.
    """

    name = NAME
    version = VERSION

    def __init__(self, workers: int, sandbox: Mode = "auto") -> None:
        self._workers = workers
        self._pool = WorkerPool(workers, _LIMITS, OPERATIONS, _explain, Reach(sandbox))

    def extract(self, text: str) -> tuple[Mention, ...]:
        """All mentions; see `EntityEngine`.

        Raises:
            PermanentError: `extraction_timeout`, `too_many_mentions`, `extraction_failed`.
            TransientError: `extraction_stalled`, `engine_closed`.
        """
        mentions: list[Mention] = []
        cpu_seconds = 0.0
        # No more than there are processes, so that a long text does not keep others waiting.
        under_way: deque[tuple[Chunk, Future[Answer]]] = deque()
        pieces = _PIECES.split(text)
        try:
            while True:
                while len(under_way) < self._workers and (piece := next(pieces, None)):
                    part = text[piece.start : piece.end]
                    under_way.append((piece, self._pool.submit("entities", text=part)))
                if not under_way:
                    return tuple(mentions)
                piece, task = under_way.popleft()
                found = task.result()
                cpu_seconds += found.cpu_seconds
                mentions += (_placed(piece.start, *fields) for fields in found.value)
                require_few(mentions)
                if cpu_seconds > _CPU_SECONDS:
                    raise _timeout()
        finally:
            for _, task in under_way:
                task.cancel()

    def close(self) -> None:
        """End the processes; texts that are being worked on fail with `engine_closed`."""
        self._pool.close()


def require_few(mentions: list[Mention]) -> None:
    """Refuse a text with so many mentions that it is data rather than a document.

    Raises:
        PermanentError: `too_many_mentions`.
    """
    if len(mentions) > MAX_MENTIONS:
        raise PermanentError(
            "too_many_mentions", f"The text mentions more than {MAX_MENTIONS:,} entities."
        )


def _placed(offset: int, entity_type: str, start: int, end: int, *rest: Any) -> Mention:
    return Mention(entity_type, offset + start, offset + end, *rest)


def _explain(fault: WorkerError) -> IngestError:
    """What a worker's fault means for the text that it was searching."""
    stalled = TransientError(
        "extraction_stalled", "The process that finds entities was killed, or did not answer in time."
    )
    errors: dict[FaultKind, IngestError] = {
        "does_not_start": ConfigurationError(
            "extraction_does_not_start", "The process that finds entities ended at its start."
        ),
        "timed_out": _timeout(),
        "refused": PermanentError(
            "forbidden_access",
            f"Searching the text tried to do what no text needs: {fault.detail}.",
        ),
        "not_isolated": ConfigurationError(
            "sandbox_unavailable", f"Processes that search texts cannot be isolated: {fault.detail}."
        ),
        "stalled": stalled,
        "killed": stalled,
        "disk_full": stalled,
        "closed": RunEndedError(
            "engine_closed", "Finding entities was broken off, because its run ended."
        ),
    }
    failed = f"The program that finds entities failed on this text ({fault.kind}): {fault.detail}"
    return errors.get(fault.kind) or PermanentError("extraction_failed", failed)


def _timeout() -> PermanentError:
    return PermanentError(
        "extraction_timeout", "Finding the entities of this text takes too much computing."
    )
