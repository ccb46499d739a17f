"""`stage_attempts`, the history of what was tried: begun, alive, ended.

Belongs here: writing and closing attempts. Does not belong here: deciding what to try again.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from ingest_assets.errors import IngestError
from ingest_assets.log import get_logger
from ingest_assets.store.models import StageAttempt

_log = get_logger(__name__)

_ATTEMPTS = StageAttempt.__table__.columns


def begin_attempt(
    connection: Connection, partition_key: str, document_uuid: UUID | None, stage: str, run_id: str
) -> int:
    """Add a running attempt, in the caller's transaction. The caller holds the partition's lock.

    Whoever holds the lock knows that an attempt which still says `running` is that of a process which
    is gone: it is closed as abandoned, so that the history says what happened.

    Returns:
        The new attempt's id.
    """
    _close_abandoned(connection, partition_key)
    earlier = (
        select(func.count())
        .where(_ATTEMPTS.partition_key == partition_key, _ATTEMPTS.stage == stage)
        .scalar_subquery()
    )
    attempt_id: int = connection.execute(
        insert(StageAttempt)
        .values(
            partition_key=partition_key,
            document_uuid=document_uuid,
            stage=stage,
            attempt=earlier + 1,
            run_id=run_id,
        )
        .returning(_ATTEMPTS.attempt_id)
    ).scalar_one()
    return attempt_id


def _close_abandoned(connection: Connection, partition_key: str) -> None:
    abandoned = connection.execute(
        update(StageAttempt)
        .where(_ATTEMPTS.partition_key == partition_key, _ATTEMPTS.status == "running")
        .values(
            status="failed",
            error_class="transient",
            error_code="abandoned",
            error_message="The process that worked on it is gone: killed, or its machine was lost.",
            error_remedy="It was tried again.",
            finished_at=func.now(),
        )
        .returning(_ATTEMPTS.attempt_id, _ATTEMPTS.stage, _ATTEMPTS.run_id)
    )
    for attempt in abandoned:
        _log.warning(
            "Attempt %d (%s of %s) was left running by run %s, whose process is gone; it is closed as "
            "abandoned, and the document is tried again.",
            attempt.attempt_id,
            attempt.stage,
            partition_key,
            attempt.run_id,
        )


def end_attempt(
    connection: Connection,
    attempt_id: int,
    document_uuid: UUID | None,
    error: IngestError | None = None,
) -> None:
    """Close an attempt, in the caller's transaction: succeeded, or failed with its reason."""
    ended = connection.execute(
        update(StageAttempt)
        .where(_ATTEMPTS.attempt_id == attempt_id, _ATTEMPTS.status == "running")
        .values(
            document_uuid=document_uuid,
            status="failed" if error else "succeeded",
            error_class=error.error_class if error else None,
            error_code=error.code if error else None,
            error_message=_storable(error.message) if error else None,
            error_remedy=_storable(error.remedy) if error and error.remedy else None,
            finished_at=func.now(),
        )
    )
    if ended.rowcount == 0:
        _log.warning(
            "Attempt %d has ended, but another run closed it as abandoned before: this run had lost "
            "the document's lock.",
            attempt_id,
        )


def beat(connection: Connection, attempt_ids: Collection[int]) -> None:
    """Say of running attempts that their process lives, in the caller's transaction."""
    connection.execute(
        update(StageAttempt)
        .where(_ATTEMPTS.attempt_id.in_(attempt_ids), _ATTEMPTS.status == "running")
        .values(heartbeat_at=func.now())
    )


def _storable(sentence: str) -> str:
    """Postgres holds neither NUL nor lone surrogates."""
    return sentence.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
