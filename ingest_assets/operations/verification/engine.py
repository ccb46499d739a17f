"""Verification: one look at rows, objects, attempts and partitions, and who fails the checklist.

Belongs here: looking, telling who is in flight, and showing the answers. Does not belong here: the
questions (`checklist`), mending (`reconcile`), how far the work is (`status`), and asking Dagster: what
it shows is passed in.

A document that is being worked on, waits for a run that is queued, or came only just now, is in flight:
it is not judged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, func, select, text

from ingest_assets.errors import IngestError
from ingest_assets.operations.reconcile.inventory import Inventory
from ingest_assets.operations.verification.questions import CHECKS, Answer, Look
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore

_PARTITIONS_AT_A_TIME = 10_000

Shown = Literal["materialized", "failed", "in_progress"]


class ShownPartition(NamedTuple):
    """What Dagster shows of one partition.

    Attributes:
        states: one for each of `STAGES`, in their order; None where Dagster shows nothing.
    """

    partition_key: str
    states: tuple[Shown | None, ...]


@dataclass(frozen=True)
class CheckResult:
    """One question with its answer."""

    name: str
    question: str
    remedy: str
    answer: Answer

    @property
    def passed(self) -> bool:
        """Whether nobody fails."""
        return self.answer.count == 0


@dataclass(frozen=True)
class Verification:
    """All answers of one look.

    Attributes:
        in_flight: documents that were not judged.
    """

    checks: Sequence[CheckResult]
    in_flight: int

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

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
) -> Verification:
    """Ask all questions, or only those of these names.

    Args:
        shown: what Dagster shows, one for each partition there is, all read when the first is given
            out. The database is read after it, so that what Dagster shows as done is in there by then.
        in_flight_seconds: documents that gave a sign of life in this time, and objects younger than
            this, are not judged.
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
        look = Look(connection, cutoff, inventory)
        results = [
            CheckResult(check.name, check.question, check.remedy, check.ask(look)) for check in checks
        ]
        connection.rollback()  # and with it the temporary tables
    return Verification(results, in_flight)


def report(verification: Verification) -> str:
    """The answers as a table for people, then who fails and what to do about it."""
    width = max(len(check.name) for check in verification.checks)
    lines = [
        f"  {check.name:<{width}}  {'passed' if check.passed else 'FAILED':<6}  "
        f"{check.answer.count:>7,}"
        for check in verification.checks
    ]
    for check in verification.checks:
        answer = check.answer
        if not check.passed:
            lines += ["", f"{check.name}: {check.question} No: {answer.count:,}."]
            lines += [f"  {named}\n    {named.why}" for named in answer.failing]
            lines += [f"  … and {more:,} more."] if (more := answer.count - len(answer.failing)) else []
            lines += [f"  What to do: {check.remedy}"]
        if answer.note:
            lines += ["", f"{check.name}: {answer.note}"]
            lines += [f"  {named}\n    {named.why}" for named in answer.explained]
    if verification.in_flight:
        lines += ["", f"{verification.in_flight:,} documents are in flight and were not judged."]
    failed = sum(not check.passed for check in verification.checks)
    verdict = f"{failed} of {len(verification.checks)} checks failed." if failed else "All is well."
    return "\n".join([*lines, "", verdict])


def _load(shown: Iterable[ShownPartition], connection: Connection) -> None:
    """Put what Dagster shows into a table, so that it is compared there, in bulk."""
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
    # Not before the first batch has come: the transaction's snapshot begins with its first statement,
    # and it has to be younger than what Dagster shows.
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
    """Put the sources that lack a stage's result into a table; return how many of them are in flight.

    A file that nobody has begun waits for its turn as long as it was found after all those that got
    theirs, as long as somebody does. A registered object waits for a person.
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
                       OR progress.state = 'discovered' AND source.kind = 'file'
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
