"""Retention: documents that are old enough are forgotten, each as `forget` does it.

Belongs here: which documents are due, and when the first may go. Does not belong here: what is removed
and in which order (`forget`), and when this is asked for (`defs.jobs`).

Nobody's documents go by surprise. A number of days that is new, smaller than before, or was away for
some days removes nothing in the first 20 hours after the daily schedule has first seen it; `status`
says meanwhile how many are due. A document counts from when it was last seen: one that came again
yesterday is not due. What is held stays, with all that it is part of; so does what a run works on.
Files of the input directory are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from ingest_assets.operations.forget.engine import LOCK, Forgotten, forget_planned
from ingest_assets.operations.forget.plan import plan_of
from ingest_assets.operations.forget.traces import Places
from ingest_assets.store.database import Database

WHO = "retention"
# Less than a day, so that a daily schedule acts the second time.
_GRACE = timedelta(hours=20)
# A setting that was not looked at for so long had been taken away.
_AWAY = timedelta(days=3)
# To forget a document, all records of Dagster are gone through: some are forgotten together.
_TOGETHER = 20
_NAMED = 20

_DUE = """
    SELECT document.document_uuid, document.original_file_name, max(source.discovered_at) AS seen_at
    FROM ingest.source_documents AS document
    JOIN ingest.document_sources AS source USING (document_uuid)
    WHERE NOT EXISTS (
        SELECT FROM ingest.stage_attempts AS attempt
        WHERE attempt.status = 'running' AND attempt.partition_key = source.partition_key)
    GROUP BY document.document_uuid
    HAVING max(source.discovered_at) < now() - make_interval(days => :days)
       AND bool_or(source.kind <> 'part')
"""
_IN_ORDER = f"{_DUE} ORDER BY seen_at, document_uuid"


@dataclass(frozen=True)
class Due:
    """What a number of days means for the documents that are there.

    Attributes:
        count: documents that are older and not held; what is inside them goes along.
        held: documents that are older and stay, because they or a part of them are held.
        first: UUID, file name and last sighting of the oldest of those that go.
        begins_at: before this the schedule removes nothing; None if it has not seen this number yet.
    """

    days: int
    count: int
    held: int
    first: Sequence[tuple[UUID, str, datetime]]
    begins_at: datetime | None


def due(database: Database, days: int) -> Due:
    """Find out what is due; changes nothing."""
    with database.engine.connect() as connection:
        rows = connection.execute(text(_IN_ORDER), {"days": days}).all()
        held = _held(connection)
        going = [row for row in rows if row.document_uuid not in held]
        seen: Any = connection.execute(text("SELECT days, since FROM ingest.retention")).one_or_none()
    known = seen is not None and seen.days <= days
    return Due(
        days,
        len(going),
        len(rows) - len(going),
        [(row.document_uuid, row.original_file_name, row.seen_at) for row in going[:_NAMED]],
        seen.since + _GRACE if known else None,
    )


def expire(places: Places, days: int) -> Iterator[Forgotten]:
    """Forget what is due, some documents at a time; nothing while the number of days is new.

    Args:
        days: INGEST_RETENTION_DAYS.
    """
    if not _note(places.database, days):
        return
    with places.database.engine.connect() as connection:
        waiting = connection.execute(text(_IN_ORDER), {"days": days}).scalars().all()
    for start in range(0, len(waiting), _TOGETHER):
        with places.database.exclusive(LOCK):
            with places.database.engine.connect() as connection:
                held = _held(connection)
                some = _still_due(connection, waiting[start : start + _TOGETHER], days)
                roots = [root for root in some if root not in held]
                if not roots:
                    continue
                found = plan_of(connection, roots)

            def still_due(roots: Sequence[UUID] = roots) -> bool:
                with places.database.engine.connect() as connection:
                    return len(_still_due(connection, roots, days)) == len(roots)

            done = forget_planned(places, found, f"Older than {days} days.", WHO, still_due)
        if done:
            yield done


def _still_due(connection: Connection, roots: Sequence[UUID], days: int) -> Sequence[UUID]:
    """Those of some documents that are due now, in their order; some went with others."""
    return (
        connection.execute(
            text(f"""
                SELECT document_uuid FROM ({_DUE}) AS due
                WHERE document_uuid = ANY(CAST(:roots AS uuid[])) ORDER BY seen_at, document_uuid
            """),  # noqa: S608 - a constant of this module
            {"days": days, "roots": [str(root) for root in roots]},
        )
        .scalars()
        .all()
    )


def _held(connection: Connection) -> set[UUID]:
    """Documents that are held, and all that hold one of them."""
    return set(
        connection.execute(
            text("""
                WITH RECURSIVE held AS (
                    SELECT document_uuid FROM ingest.document_holds
                    UNION
                    SELECT source.parent_uuid FROM held
                    JOIN ingest.document_sources AS source USING (document_uuid)
                    WHERE source.parent_uuid IS NOT NULL
                ) SELECT document_uuid FROM held
            """)
        ).scalars()
    )


def _note(database: Database, days: int) -> bool:
    """Note that this number is set; returns whether it has been for long enough."""
    with database.engine.begin() as connection:
        old_enough: bool = connection.execute(
            text("""
                INSERT INTO ingest.retention AS known (days) VALUES (:days)
                ON CONFLICT (singleton) DO UPDATE SET
                    days = :days,
                    since = CASE WHEN :days < known.days OR known.looked_at < now() - :away
                            THEN now() ELSE known.since END,
                    looked_at = now()
                RETURNING since <= now() - :grace
            """),
            {"days": days, "away": _AWAY, "grace": _GRACE},
        ).scalar_one()
    return old_enough
