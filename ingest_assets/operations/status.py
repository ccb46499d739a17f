"""How far the ingestion is: counts, rate, time left, the latest failures.

Belongs here: the numbers behind `ingest-assets status`, the progress line of `dev` and the asset
`ingest_report`. Does not belong here: their layout (`cli.render`, `defs.ingest_report`), and whether
rows, objects and partitions agree (`verification`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ingest_assets.operations.left_out import left_out
from ingest_assets.operations.outcomes import no_documents
from ingest_assets.operations.withheld import Withheld, withheld_launches
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database

# The rate is counted over this time, or over the time since the work began if that is shorter.
_RATE_WINDOW_SECONDS = 60
_LATEST_FAILURES = 10
# A run writes a heartbeat every ten seconds; a run without one for this long is taken for ended.
SIGN_OF_LIFE_SECONDS = 60

STATES = (
    "discovered",
    "in_progress",
    "completed",
    "no_text",
    "duplicate",
    "failed",
    "rejected",
    "superseded",
)
_UNFINISHED = ("discovered", "in_progress")

# The keys of sources of which no last stage is stored: they wait, are worked on, failed, or are no
# documents. `partition_key = ANY(…)` of this has Postgres look up the progress of these few by key;
# joined, it looks up the latest attempt of each of 100,000 finished ones too.
WITHOUT_RESULT = """ARRAY(
    SELECT partition_key FROM ingest.document_sources AS source
    WHERE NOT EXISTS (SELECT FROM ingest.document_extractions AS last
                      WHERE last.document_uuid = source.document_uuid))"""


@dataclass(frozen=True)
class FailedDocument:
    """One document that has no result, and the fault that its latest attempt ended with.

    Attributes:
        state: `failed` or `rejected`.
        stage: the stage that failed.
    """

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
class UntoldChannel:
    """An address for alerts through which nothing goes: its number and service, since when, and why."""

    channel: str
    failed_at: datetime
    error: str


@dataclass(frozen=True)
class Status:
    """How many sources are in which state. A source is one sighting of one file or object.

    Attributes:
        total: all sources.
        parts: how many of them are inside documents: attachments, members of archives, embedded files.
        queued: no outcome yet; a file waits for a run, an upload for a backfill.
        working: no outcome yet, and a run works on it.
        stalled: no outcome yet, and the run that worked on it has written no heartbeat for a minute.
        by_state: sources by state; a state without sources counts 0.
        by_stage: sources by the furthest stage whose result is stored.
        documents_per_minute: outcomes a minute over the last minute; 0 if there was none.
        eta_seconds: seconds until every source has an outcome at this rate; 0 if every source has
            one, None if the rate is 0.
        incomplete: documents with a note that something was left out of their text.
        noted: documents with any note of how they were read.
        ignored: files and directories of the input directory that the latest walk passed over, by the
            pattern that their name matches.
        unreadable: files and directories of the input directory that the latest walk could not look at,
            each with the reason; at most a hundred.
        no_documents: files and parts that are no documents, by the reason's code.
        withheld: sensors that launch no runs although documents wait, each with the reason.
        locked: how many documents are forgotten, while S3's object lock keeps what was stored of them.
        untold: addresses for alerts through which nothing goes just now.
        latest_failures: the ten sources that failed or were rejected last, the latest first, those that
            failed before the others.
    """

    total: int
    parts: int
    queued: int
    working: int
    stalled: int
    by_state: dict[str, int]
    by_stage: dict[str, int]
    documents_per_minute: float
    eta_seconds: int | None
    incomplete: int
    noted: int
    ignored: dict[str, int]
    unreadable: list[str]
    no_documents: dict[str, int]
    withheld: Sequence[Withheld]
    locked: int
    untold: list[UntoldChannel]
    latest_failures: list[FailedDocument]

    @property
    def unfinished(self) -> int:
        """How many sources have no outcome yet."""
        return sum(self.by_state[state] for state in _UNFINISHED)

    def __str__(self) -> str:
        """One line: what is done, what went wrong, how long the rest takes."""
        parts = [f"{self.total - self.unfinished:,} of {self.total:,} documents done"]
        if self.parts:
            parts.append(f"{self.parts:,} of them inside others")
        parts += [
            f"{self.by_state[state]:,} {state}"
            for state in ("no_text", "duplicate", "failed", "rejected", "superseded")
            if self.by_state[state]
        ]
        if self.incomplete:
            parts.append(f"{self.incomplete:,} with text left out")
        if self.stalled:
            parts.append(f"{self.stalled:,} stalled")
        if self.withheld:
            parts.append("no run is launched")
        if self.unfinished:
            parts.append(f"{self.documents_per_minute:g} a minute")
            if self.eta_seconds:
                parts.append(f"{self.eta_seconds // 60} min {self.eta_seconds % 60:02} s left")
        return " · ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """The documented keys, ready for `json.dumps(…, default=str)`."""
        return asdict(self)


def runs_not_started(dagster: Database) -> int:
    """How many runs failed in the last hour before they had begun: their pages in Dagit say why.

    Args:
        dagster: Dagster's own database. Dagster is not asked, because it takes seconds to load.
    """
    with dagster.engine.connect() as connection:
        if connection.execute(text("SELECT to_regclass('runs')")).scalar_one() is None:
            return 0  # It has never run.
        count: int = connection.execute(
            text("""
                SELECT count(*) FROM runs
                WHERE status = 'FAILURE' AND start_time IS NULL
                  AND create_timestamp > (now() AT TIME ZONE 'UTC') - interval '1 hour'
            """)
        ).scalar_one()
    return count


def read_status(database: Database) -> Status:
    """Count everything in one snapshot of the database."""
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        by_state, by_stage, rate = _progress(reader)
        working, stalled = _at_work(reader)
        unfinished = sum(by_state[state] for state in _UNFINISHED)
        eta = round(60 * unfinished / rate) if rate else None
        notes = left_out(reader, most=0)
        return Status(
            total=sum(by_state.values()),
            parts=_count(reader, "document_sources WHERE parent_uuid IS NOT NULL"),
            queued=unfinished - working - stalled,
            working=working,
            stalled=stalled,
            by_state=by_state,
            by_stage=by_stage,
            documents_per_minute=round(rate, 1),
            eta_seconds=eta if unfinished else 0,
            incomplete=notes.incomplete,
            noted=notes.noted,
            ignored=_ignored(reader),
            unreadable=_unreadable(reader),
            no_documents=no_documents(reader, most=0).by_code,
            withheld=withheld_launches(reader),
            locked=_count(reader, "forgotten_documents WHERE locked IS NOT NULL"),
            untold=_untold(reader),
            latest_failures=_latest_failures(reader),
        )


def _progress(reader: Connection) -> tuple[dict[str, int], dict[str, int], float]:
    """Sources by state and by stage, and outcomes a minute."""
    states: dict[str, int] = dict(
        reader.execute(text("SELECT state, documents FROM ingest.statistics_states")).all()
    )
    stages: dict[str, int] = dict(
        reader.execute(
            text(f"""
                SELECT stage, count(*) FROM ingest.document_progress
                WHERE partition_key = ANY({WITHOUT_RESULT}) GROUP BY stage
            """)  # noqa: S608 - a constant of this module
        ).all()
    )
    stages[STAGES[-1]] = sum(states.values()) - sum(stages.values())
    outcomes, seconds = reader.execute(
        text("""
            SELECT count(*), extract(epoch FROM now() - min(started_at))
            FROM ingest.document_progress
            WHERE partition_key = ANY(ARRAY(
                      SELECT partition_key FROM ingest.stage_attempts
                      WHERE finished_at > now() - make_interval(secs => :window)))
              AND state <> ALL(:unfinished)
              AND finished_at > now() - make_interval(secs => :window)
        """),
        {"unfinished": list(_UNFINISHED), "window": _RATE_WINDOW_SECONDS},
    ).one()
    rate = 60 * outcomes / min(float(seconds), _RATE_WINDOW_SECONDS) if outcomes else 0.0
    return dict.fromkeys(STATES, 0) | states, dict.fromkeys(("discovered", *STAGES), 0) | stages, rate


def _at_work(reader: Connection) -> tuple[int, int]:
    """How many sources a run works on, and how many have a run that gives no sign of life."""
    working, stalled = reader.execute(
        text("""
            SELECT count(*) FILTER (WHERE heartbeat_at > now() - make_interval(secs => :silence)),
                   count(*) FILTER (WHERE heartbeat_at <= now() - make_interval(secs => :silence))
            FROM ingest.stage_attempts WHERE status = 'running'
        """),
        {"silence": SIGN_OF_LIFE_SECONDS},
    ).one()
    return working, stalled


def _count(reader: Connection, rows: str) -> int:
    count: int = reader.execute(text(f"SELECT count(*) FROM ingest.{rows}")).scalar_one()  # noqa: S608
    return count


def _ignored(reader: Connection) -> dict[str, int]:
    rows = reader.execute(text("SELECT pattern, count FROM ingest.ignored_names ORDER BY pattern"))
    return dict(rows.all())


def _unreadable(reader: Connection) -> list[str]:
    rows = reader.execute(text("SELECT place FROM ingest.unreadable_places ORDER BY place"))
    return list(rows.scalars())


def _untold(reader: Connection) -> list[UntoldChannel]:
    rows = reader.execute(
        text("""
            SELECT channel, failed_at, error FROM ingest.alert_channels
            WHERE failed_at IS NOT NULL ORDER BY channel
        """)
    )
    return [UntoldChannel(*row) for row in rows]


def _latest_failures(reader: Connection) -> list[FailedDocument]:
    rows = reader.execute(
        text(f"""
            SELECT partition_key, original_file_name, state, latest_stage AS stage, error_class,
                   error_code, error_message, error_remedy, finished_at
            FROM ingest.document_progress
            WHERE partition_key = ANY({WITHOUT_RESULT}) AND state IN ('failed', 'rejected')
            ORDER BY state = 'rejected', finished_at DESC LIMIT :latest
        """),  # noqa: S608 - a constant of this module
        {"latest": _LATEST_FAILURES},
    )
    return [FailedDocument(**row._mapping) for row in rows]
