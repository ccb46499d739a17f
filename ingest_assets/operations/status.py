"""How far the ingestion is: counts, rate, time left, the latest failures.

Belongs here: what `ingest-assets status`, the progress line and Dagit's report say. Does not belong
here: whether all is well; that is verification.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database

# The rate is that of the last minute, or of less where the work began less long ago.
_RATE_WINDOW_SECONDS = 60
_LATEST_FAILURES = 10
# Heartbeats come every ten seconds.
SIGN_OF_LIFE_SECONDS = 60

STATES = (
    "discovered",
    "in_progress",
    "completed",
    "no_text",
    "duplicate",
    "failed",
    "rejected",
)
_UNFINISHED = ("discovered", "in_progress")


@dataclass(frozen=True)
class FailedDocument:
    """One document without a result, and why."""

    partition_key: str
    original_file_name: str
    state: str
    stage: str
    error_class: str
    error_code: str
    error_message: str
    error_remedy: str | None
    finished_at: datetime


@dataclass(frozen=True)
class Status:
    """Where all sources stand.

    Attributes:
        queued: without an outcome, waiting for a run or, if they are uploads, for a backfill.
        working: without an outcome, and a run works on them.
        stalled: without an outcome, and the run that worked on them gives no sign of life.
        by_state: sources by state, every state named.
        by_stage: sources by the furthest stage whose result is stored.
        documents_per_minute: outcomes a minute, lately; 0 when nothing ended in the last minute.
        eta_seconds: seconds until all have an outcome at this rate; 0 when all have, None when the
            rate is 0.
    """

    total: int
    queued: int
    working: int
    stalled: int
    by_state: dict[str, int]
    by_stage: dict[str, int]
    documents_per_minute: float
    eta_seconds: int | None
    latest_failures: list[FailedDocument]

    @property
    def unfinished(self) -> int:
        """Sources without an outcome."""
        return sum(self.by_state[state] for state in _UNFINISHED)

    def as_json(self) -> dict[str, Any]:
        """The documented keys, ready for `json.dumps(…, default=str)`."""
        return asdict(self)


def read_status(database: Database) -> Status:
    """Read the status in one consistent look."""
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        counts = reader.execute(
            text("SELECT state, stage, count(*) FROM ingest.document_progress GROUP BY 1, 2")
        ).all()
        outcomes, seconds = reader.execute(
            text("""
                SELECT count(*) FILTER (WHERE state <> ALL(:unfinished)
                                        AND finished_at > now() - make_interval(secs => :window)),
                       least(:window, extract(epoch FROM now() - min(started_at) FILTER (
                           WHERE finished_at > now() - make_interval(secs => :window))))
                FROM ingest.document_progress
            """),
            {"unfinished": list(_UNFINISHED), "window": _RATE_WINDOW_SECONDS},
        ).one()
        working, stalled = reader.execute(
            text("""
                SELECT count(*) FILTER (WHERE heartbeat_at > now() - make_interval(secs => :silence)),
                       count(*) FILTER (WHERE heartbeat_at <= now() - make_interval(secs => :silence))
                FROM ingest.stage_attempts WHERE status = 'running'
            """),
            {"silence": SIGN_OF_LIFE_SECONDS},
        ).one()
        failures = reader.execute(
            text("""
                SELECT partition_key, original_file_name, state, latest_stage AS stage, error_class,
                       error_code, error_message, error_remedy, finished_at
                FROM ingest.document_progress
                WHERE state IN ('failed', 'rejected')
                ORDER BY finished_at DESC LIMIT :latest
            """),
            {"latest": _LATEST_FAILURES},
        )
        latest_failures = [FailedDocument(**row._mapping) for row in failures]
    by_state = dict.fromkeys(STATES, 0)
    by_stage = dict.fromkeys(("discovered", *STAGES), 0)
    for state, stage, count in counts:
        by_state[state] += count
        by_stage[stage] += count
    rate = 60 * outcomes / float(seconds) if outcomes else 0.0
    unfinished = sum(by_state[state] for state in _UNFINISHED)
    eta = round(60 * unfinished / rate) if rate else None
    return Status(
        total=sum(by_state.values()),
        queued=unfinished - working - stalled,
        working=working,
        stalled=stalled,
        by_state=by_state,
        by_stage=by_stage,
        documents_per_minute=round(rate, 1),
        eta_seconds=eta if unfinished else 0,
        latest_failures=latest_failures,
    )


def progress_line(status: Status) -> str:
    """One line for a terminal: what is done, what went wrong, how long the rest takes."""
    done = status.total - status.unfinished
    parts = [f"{done} of {status.total} documents done"]
    parts += [
        f"{count} {state}" for state in ("no_text", "duplicate", "failed", "rejected")
        if (count := status.by_state[state])
    ]  # fmt: skip
    if status.stalled:
        parts.append(f"{status.stalled} stalled")
    if status.unfinished:
        parts.append(f"{status.documents_per_minute:g} a minute")
        if status.eta_seconds:
            parts.append(f"{status.eta_seconds // 60} min {status.eta_seconds % 60:02} s left")
    return " · ".join(parts)


def report(status: Status) -> str:
    """The status as a table for people, with the latest failures and what to do about them."""
    lines = [progress_line(status), ""]
    lines += [f"  {state:<16}{count:>8}" for state, count in status.by_state.items()]
    if status.unfinished:
        lines += ["", f"  {status.queued} wait for a run, {status.working} are worked on"]
        if status.stalled:
            lines += [
                f"  {status.stalled} stalled: their run gives no sign of life; they are begun again by "
                "the sensors"
            ]
    lines += ["", "  furthest stage stored"]
    lines += [f"  {stage:<16}{count:>8}" for stage, count in status.by_stage.items()]
    for failed in status.latest_failures:
        lines += [
            "",
            f"  {failed.original_file_name!r} {failed.state} at {failed.stage} "
            f"({failed.error_class}, {failed.error_code}), {failed.finished_at:%Y-%m-%d %H:%M:%S}",
            f"    {failed.error_message} {failed.error_remedy or ''}".rstrip(),
            f"    partition {failed.partition_key}",
        ]
    return "\n".join(lines)
