"""`stage_attempts`, the history of what was tried: attempts begin, send heartbeats and end.

Belongs here: writing and closing attempts. Does not belong here: deciding what to try again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, func, select, text, update

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.log import get_logger
from ingest_assets.store.models import StageAttempt

_log = get_logger(__name__)

_CLOSED_BEFORE = (
    "Attempt %d has ended, but another run closed it as abandoned before: this run had lost the "
    "document's lock."
)
_ATTEMPTS = StageAttempt.__table__.columns

# Made once: to make a statement takes SQLAlchemy longer than to send it.
_CLOSE_ABANDONED = (
    update(StageAttempt)
    .where(_ATTEMPTS.partition_key.in_(bindparam("keys")), _ATTEMPTS.status == "running")
    .values(
        status="failed",
        error_class="transient",
        error_code="abandoned",
        error_message="The process that worked on it is gone: killed, or its machine was lost.",
        error_remedy="It was tried again.",
        finished_at=func.now(),
    )
    .returning(_ATTEMPTS.attempt_id, _ATTEMPTS.stage, _ATTEMPTS.partition_key, _ATTEMPTS.run_id)
)
_BEGIN = text("""
    INSERT INTO ingest.stage_attempts (partition_key, document_uuid, stage, attempt, run_id)
    SELECT partition_key, document_uuid, stage,
           (SELECT count(*) + 1 FROM ingest.stage_attempts AS earlier
            WHERE earlier.partition_key = new.partition_key AND earlier.stage = new.stage),
           :run_id
    FROM unnest(CAST(:keys AS text[]), CAST(:uuids AS uuid[]), CAST(:stages AS text[]))
        AS new (partition_key, document_uuid, stage)
    RETURNING partition_key, attempt_id
""")
_END = text("""
    UPDATE ingest.stage_attempts AS attempt
    SET status = 'succeeded', document_uuid = ended.document_uuid, finished_at = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:uuids AS uuid[]))
        AS ended (attempt_id, document_uuid)
    WHERE attempt.attempt_id = ended.attempt_id AND attempt.status = 'running'
    RETURNING attempt.attempt_id
""")


class Begin(NamedTuple):
    """An attempt that is to begin."""

    partition_key: str
    document_uuid: UUID | None
    stage: str


def close_abandoned(connection: Connection, partition_keys: Collection[str]) -> None:
    """Close attempts of dead processes as `abandoned`, in the caller's transaction.

    The caller holds the locks of the partitions. So no other process works on them, and an attempt that
    says `running` was left by a process that was killed or lost its connection.
    """
    abandoned = connection.execute(_CLOSE_ABANDONED, {"keys": list(partition_keys)})
    for attempt in abandoned:
        _log.warning(
            "Attempt %d (%s of %s) was left running by run %s, whose process is gone; it is closed as "
            "abandoned, and the document is tried again.",
            *attempt,
        )


def begin_attempts(connection: Connection, begins: Sequence[Begin], run_id: str) -> list[int]:
    """Add running attempts, in the caller's transaction. The caller holds their partitions' locks.

    Returns:
        The new attempts' ids, in the order of `begins`; no two of these have the same partition.
    """
    rows = connection.execute(
        _BEGIN,
        {
            "run_id": run_id,
            "keys": [begin.partition_key for begin in begins],
            "uuids": [begin.document_uuid and str(begin.document_uuid) for begin in begins],
            "stages": [begin.stage for begin in begins],
        },
    )
    ids = {row.partition_key: row.attempt_id for row in rows}
    return [ids[begin.partition_key] for begin in begins]


def end_attempts(connection: Connection, ended: Mapping[int, UUID | None]) -> None:
    """Close attempts as succeeded, in the caller's transaction.

    Args:
        ended: the id of each attempt, and the UUID of the document that its partition stands for.
    """
    closed = connection.execute(
        _END,
        {"ids": list(ended), "uuids": [uuid and str(uuid) for uuid in ended.values()]},
    )
    for attempt_id in ended.keys() - set(closed.scalars()):
        _log.warning(_CLOSED_BEFORE, attempt_id)


def fail_attempt(
    connection: Connection, attempt_id: int, document_uuid: UUID | None, error: IngestError
) -> None:
    """Close an attempt as failed, with its reason, in the caller's transaction."""
    closed = connection.execute(
        update(StageAttempt)
        .where(_ATTEMPTS.attempt_id == attempt_id, _ATTEMPTS.status == "running")
        .values(
            document_uuid=document_uuid,
            status="failed",
            error_class=error.error_class,
            error_code=error.code,
            error_message=_storable(error.message),
            error_remedy=_storable(error.remedy) if error.remedy else None,
            finished_at=func.now(),
        )
    )
    if closed.rowcount == 0:
        _log.warning(_CLOSED_BEFORE, attempt_id)


def latest_error(connection: Connection, partition_key: str) -> IngestError | None:
    """The permanent fault that the latest attempt of a partition ended with, if it ended with one."""
    row = connection.execute(
        select(
            _ATTEMPTS.error_class,
            _ATTEMPTS.error_code,
            _ATTEMPTS.error_message,
            _ATTEMPTS.error_remedy,
        )
        .where(_ATTEMPTS.partition_key == partition_key)
        .order_by(_ATTEMPTS.attempt_id.desc())
        .limit(1)
    ).one_or_none()
    if row is None or row.error_class != PermanentError.error_class:
        return None
    return PermanentError(*(value or "" for value in row[1:]))


def beat(connection: Connection, attempt_ids: Collection[int]) -> None:
    """Write the heartbeat of running attempts, in the caller's transaction."""
    connection.execute(
        update(StageAttempt)
        .where(_ATTEMPTS.attempt_id.in_(attempt_ids), _ATTEMPTS.status == "running")
        .values(heartbeat_at=func.now())
    )


def _storable(sentence: str) -> str:
    """Return a sentence as Postgres can store it: without NUL and lone surrogates."""
    return sentence.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
