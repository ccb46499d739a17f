"""Verification: asks every question of the checklist about one snapshot of the database and the bucket.

Belongs here: reading the snapshot, and deciding which documents are in flight. Does not belong here:
the questions (`questions`), mending what they find (`reconcile`), counting how far the work is
(`status`), printing the answers (`cli.render`), and asking Dagster; the caller passes in what Dagster
shows of each partition.

A document is in flight while a run works on it, while it waits for its turn, or if it was found less
than `in_flight_seconds` ago. The checklist does not judge it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, func, select, text

from ingest_assets.errors import IngestError
from ingest_assets.operations.reconcile.inventory import Inventory
from ingest_assets.operations.verification.questions import CHECKS, Answer, Snapshot
from ingest_assets.stage_names import STAGES
from ingest_assets.stages.stage import Inbox
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore

_PARTITIONS_AT_A_TIME = 10_000

Shown = Literal["materialized", "failed", "in_progress"]


class ShownPartition(NamedTuple):
    """What Dagster shows of one partition.

    Attributes:
        states: one for each of `STAGES`, in their order; None for an asset that was never tried.
    """

    partition_key: str
    states: tuple[Shown | None, ...]


@dataclass(frozen=True)
class CheckResult:
    """One question of the checklist with its answer."""

    name: str
    question: str
    remedy: str
    answer: Answer
    warns: bool = False

    @property
    def passed(self) -> bool:
        """Whether no document fails."""
        return self.answer.count == 0

    @property
    def failed(self) -> bool:
        """Whether a document fails a question that does not merely warn."""
        return not self.passed and not self.warns


@dataclass(frozen=True)
class Verification:
    """The answers to all questions that were asked.

    Attributes:
        in_flight: how many documents were in flight, and so were not judged.
    """

    checks: Sequence[CheckResult]
    in_flight: int

    @property
    def passed(self) -> bool:
        """Whether no check failed; one that warns fails nothing."""
        return not any(check.failed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """The documented keys, ready for `json.dumps(…, default=str)`."""
        return {
            "passed": self.passed,
            "in_flight": self.in_flight,
            "checks": [
                {
                    "name": check.name,
                    "question": check.question,
                    "passed": check.passed,
                    "severity": "warning" if check.warns else "error",
                    "count": check.answer.count,
                    "failing": [vars(named) for named in check.answer.failing],
                    "explained": [vars(named) for named in check.answer.explained],
                    "note": check.answer.note,
                    "remedy": check.remedy,
                }
                for check in self.checks
            ],
        }


def verify(
    database: Database,
    objects: ObjectStore,
    shown: Iterable[ShownPartition],
    *,
    in_flight_seconds: float,
    only: Collection[str] | None = None,
    inbox: Callable[[], Inbox] | None = None,
) -> Verification:
    """Ask the questions of the checklist. Changes nothing.

    Args:
        shown: what Dagster shows of each partition that it has. It reads all of them before it yields
            the first; the snapshot of the database is taken after that, so that it holds the results
            of every stage that Dagster shows as materialised.
        in_flight_seconds: documents with a heartbeat in this time, and objects younger than this, are
            not judged.
        only: names of the checks to ask; by default, all.
        inbox: what makes the inbox; without it that is not asked about.

    Example:
        >>> found = verify(database, objects, shown_partitions(instance), in_flight_seconds=60)
        >>> [check.name for check in found.checks if not check.passed]
        ['objects_have_rows']
    """
    checks = [check for check in CHECKS if only is None or check.name in only]
    with database.engine.connect() as connection:
        now = connection.execute(select(func.now())).scalar_one()
    inventory: Inventory | IngestError | None = None
    if any(check.needs_inventory for check in checks):
        inventory = Inventory(database, objects, in_flight_seconds=in_flight_seconds)
        try:
            deque(inventory, maxlen=0)
        except IngestError as error:
            inventory = error
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        _load(shown, connection)
        cutoff = now - timedelta(seconds=in_flight_seconds)
        in_flight = _gather_unfinished(connection, cutoff)
        snapshot = Snapshot(connection, cutoff, inventory, _fault_of(inbox))
        results = [
            CheckResult(check.name, check.question, check.remedy, check.ask(snapshot), check.warns)
            for check in checks
        ]
        connection.rollback()  # and with it the temporary tables
    return Verification(results, in_flight)


def _fault_of(inbox: Callable[[], Inbox] | None) -> IngestError | None:
    try:
        if inbox is not None and (there := inbox()).kind == "inbox":
            there.require()
    except IngestError as error:
        return error
    return None


def _load(shown: Iterable[ShownPartition], connection: Connection) -> None:
    """Put what Dagster shows into a temporary table, so that one statement compares all partitions."""
    partitions = iter(shown)
    while batch := list(islice(partitions, _PARTITIONS_AT_A_TIME)):
        _create_shown(connection)
        connection.execute(
            text("""
                INSERT INTO pg_temp.shown
                SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:in_progress AS boolean[]),
                                     CAST(:failed_at AS text[]), CAST(:furthest AS int[]))
            """),
            {
                "keys": [partition.partition_key for partition in batch],
                "in_progress": ["in_progress" in partition.states for partition in batch],
                "failed_at": [
                    STAGES[partition.states.index("failed")] if "failed" in partition.states else None
                    for partition in batch
                ],
                "furthest": [
                    max(
                        (n for n, state in enumerate(partition.states, 1) if state == "materialized"),
                        default=0,
                    )
                    for partition in batch
                ],
            },
        )
    _create_shown(connection)
    connection.execute(text("ANALYZE pg_temp.shown"))


def _create_shown(connection: Connection) -> None:
    # Called once the first batch has been read: the transaction's snapshot begins with its first
    # statement, and has to be younger than what Dagster shows.
    connection.execute(
        text("""
            CREATE TEMP TABLE IF NOT EXISTS shown (
                partition_key text PRIMARY KEY,
                in_progress boolean NOT NULL,
                failed_at text,
                furthest int NOT NULL
            ) ON COMMIT DROP
        """)
    )


def _gather_unfinished(connection: Connection, cutoff: datetime) -> int:
    """Put the sources that lack a stage's result into a temporary table; count those in flight.

    Runs take files in the order in which they were found. So a file that no run has begun is in flight
    while runs work on files that were found before it: its turn has not come. If runs work on files
    that were found after it, or no run works at all, it was forgotten. An upload that was registered
    is never in flight before its first run, because a person launches that.
    """
    connection.execute(
        text("""
            CREATE TEMP TABLE unfinished ON COMMIT DROP AS
            SELECT progress.*,
                   source.kind,
                   progress.state IN ('discovered', 'in_progress') AND (
                       coalesce(shown.in_progress, false)
                       OR greatest(progress.discovered_at, progress.heartbeat_at,
                                   progress.finished_at) > :cutoff
                       OR progress.state = 'discovered' AND source.kind IN ('file', 'inbox', 'part')
                           AND source.sequence_number > coalesce(queue.reached, 'Infinity')
                   ) AS in_flight
            FROM ingest.document_progress AS progress
            JOIN ingest.document_sources AS source USING (partition_key)
            LEFT JOIN pg_temp.shown USING (partition_key)
            CROSS JOIN (
                SELECT max(begun.sequence_number)::numeric AS reached
                FROM ingest.stage_attempts AS attempt
                JOIN ingest.document_sources AS begun USING (partition_key)
                WHERE attempt.heartbeat_at > :cutoff
            ) AS queue
            WHERE progress.stage <> :last_stage
        """),
        {"cutoff": cutoff, "last_stage": STAGES[-1]},
    )
    connection.execute(text("ANALYZE pg_temp.unfinished"))
    count: int = connection.execute(
        text("SELECT count(*) FROM pg_temp.unfinished WHERE in_flight")
    ).scalar_one()
    return count
