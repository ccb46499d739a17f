"""Batches of files that have no outcome yet, and the runs that work on them.

Belongs here: which batches the sensor `input_directory` launches, and how often. Does not belong
here: how files become sources (`stages.discovery`).
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    RunRecord,
    RunRequest,
    RunsFilter,
)
from sqlalchemy import text

from ingest_assets.defs.instance import PRIORITY_TAG
from ingest_assets.defs.jobs import ingest_documents
from ingest_assets.defs.partitions import places, range_tags
from ingest_assets.defs.worker_runs import FROM_INPUT, INPUT_QUEUE, OTHER_QUEUE
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database
from ingest_assets.store.leases import Slots

BATCH_TAG = "ingest/batch"
# Runs that are queued or work at a time; further batches wait in the database, where they cost nothing.
_RUNS_IN_FLIGHT = 10
# A run may end without an outcome for all documents of its batch, because its process was killed. The
# batch is then launched again at once, this many times; after that only this long after its last run,
# so that a document which kills its run does not take the place of others.
_LAUNCHES = 5
_SLOW_LAUNCH_SECONDS = 600
# A batch of at most this share of the largest is launched before larger ones: a few files do not wait
# behind thousands.
_SMALL_SHARE = 0.25
# Where workers wait for runs, none of which is to be at work long after the others have ended: a run
# takes at most its share of the documents that are not launched yet, if each worker took two such runs.
# So runs get smaller towards the end; below this share of the largest, what a run costs outweighs it.
_RUNS_A_WORKER = 2
_LEAST_SHARE = 0.05
_ACTIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Batch:
    """Sources that are launched together and have no outcome yet, in the order of recording.

    Attributes:
        begun: whether a run had begun with any of them: it was cut off.
        stored: whether the bytes of all of them are in S3.
    """

    batch_id: UUID
    partition_keys: Sequence[str]
    begun: bool
    stored: bool = False


def unfinished(database: Database) -> list[Batch]:
    """Batches of files and parts without an outcome, or with one that Dagster's event log lacks."""
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT source.batch_id,
                       array_agg(source.partition_key ORDER BY source.sequence_number),
                       bool_or(latest.status IS NOT NULL),
                       bool_and(document.upload_timestamp IS NOT NULL)
                FROM ingest.document_sources AS source
                LEFT JOIN ingest.source_documents AS document USING (document_uuid)
                LEFT JOIN LATERAL (
                    SELECT attempt.status FROM ingest.stage_attempts AS attempt
                    WHERE attempt.partition_key = source.partition_key
                    ORDER BY attempt.attempt_id DESC LIMIT 1
                ) AS latest ON true
                WHERE source.kind IN ('file', 'inbox', 'part') AND source.reported_at IS NULL
                  AND latest.status IS DISTINCT FROM 'failed'
                GROUP BY source.batch_id
                ORDER BY min(source.sequence_number)
            """)
        )
        return [Batch(*row) for row in rows]


class Launcher:
    """Chooses, in one tick, the batches that are launched now.

    Args:
        most_documents: documents in one run.
        workers: what the workers that are there take; None where runs are processes of this machine.
    """

    def __init__(
        self,
        instance: DagsterInstance,
        database: Database,
        most_documents: int,
        log: logging.Logger,
        workers: Slots | None = None,
    ) -> None:
        self._workers = workers
        self._instance = instance
        self._database = database
        self._most = most_documents
        self._log = log
        self._launched: Mapping[str, Sequence[RunRecord]] = {}

    def requests(self, batches: Sequence[Batch]) -> list[RunRequest]:
        """Requests for runs of batches that no run is working on.

        Those that were cut off come first, then small ones, then the oldest. The key of a request is
        made of the batch and the number of its launches: a tick that is repeated after a crash
        requests the same key again, and Dagster launches it once.
        """
        if not batches:
            return []
        active = self._instance.get_runs(RunsFilter(job_name=ingest_documents.name, statuses=_ACTIVE))
        busy = {run.tags.get(BATCH_TAG) for run in active}
        waiting = [batch for batch in batches if str(batch.batch_id) not in busy]
        # What follows takes longer the more documents wait.
        if all(len(active) >= self._most_in_flight(self._urgency(batch)) for batch in waiting):
            return []
        self._launched = self._launches_of(waiting)
        # A range goes by the order of partitions. Rows that `rebuild-db` restored may be in another.
        order = places(self._instance, {key for batch in waiting for key in batch.partition_keys})
        waiting = self._joined(waiting, order)
        requests: list[RunRequest] = []
        left = sum(len(batch.partition_keys) for batch in waiting)
        urgent_first = sorted(waiting, key=self._urgency, reverse=True)
        queue = deque((self._urgency(batch), batch) for batch in urgent_first)
        while queue:
            urgency, batch = queue.popleft()
            if len(active) + len(requests) >= self._most_in_flight(urgency):
                break
            if (stages := self._stages(batch)) is None:
                continue
            if (launches := self._launches(batch)) is None:
                continue
            batch, *rest = self._cut(batch, self._share(left))
            queue.extendleft((urgency, one) for one in rest)
            left -= len(batch.partition_keys)
            keys = sorted(batch.partition_keys, key=lambda key: order.get(key, 0))
            requests.append(
                RunRequest(
                    run_key=f"{batch.batch_id}-{launches + 1}",
                    asset_selection=[AssetKey(stage) for stage in stages] if stages else None,
                    tags={
                        **range_tags(keys[0], keys[-1]),
                        BATCH_TAG: str(batch.batch_id),
                        # Dagster must not retry the run: the next tick requests what it left.
                        "dagster/max_retries": "0",
                        PRIORITY_TAG: str(urgency),
                    },
                )
            )
        return requests

    def _most_in_flight(self, urgency: int) -> int:
        most = max(_RUNS_IN_FLIGHT, _RUNS_A_WORKER * self._workers.runs if self._workers else 0)
        return most * (2 if urgency else 1)

    def _share(self, left: int) -> int:
        """How many documents the next run takes, of so many that are not launched yet."""
        if self._workers is None or not self._workers.runs:
            return self._most
        share = -(-left // (_RUNS_A_WORKER * self._workers.runs))
        return max(share, self._least)

    @property
    def _least(self) -> int:
        return max(1, round(_LEAST_SHARE * self._most))

    def _cut(self, batch: Batch, share: int) -> list[Batch]:
        """A new batch in two, of which the first has so many documents; any other batch whole.

        Whole also where next to nothing would be left. The first keeps the batch's id: a tick that is
        repeated after a crash requests its run by the same key.
        """
        if len(batch.partition_keys) < share + self._least or not self._is_new(batch):
            return [batch]
        head, tail = batch.partition_keys[:share], batch.partition_keys[share:]
        rest = replace(batch, batch_id=uuid4(), partition_keys=tail)
        with self._database.engine.begin() as connection:
            connection.execute(
                text("""
                    UPDATE ingest.document_sources SET batch_id = :rest
                    WHERE partition_key = ANY(CAST(:tail AS text[]))
                """),
                {"rest": rest.batch_id, "tail": list(tail)},
            )
        return [replace(batch, partition_keys=head), rest]

    def _stages(self, batch: Batch) -> Sequence[str] | None:
        """The stages that a run of the batch passes, empty for all; None where no worker can.

        Where some workers do not see the input directory, rows and objects are made by those that do,
        and what follows by any.
        """
        if self._workers is None or INPUT_QUEUE in self._workers.everywhere:
            return ()
        queue, stages = (
            (OTHER_QUEUE, STAGES[len(FROM_INPUT) :]) if batch.stored else (INPUT_QUEUE, FROM_INPUT)
        )
        if queue in self._workers.queues:
            return stages
        self._log.warning(
            "The batch of %s waits, because no worker takes from the queue `%s`.",
            batch.partition_keys[0],
            queue,
        )
        return None

    def _urgency(self, batch: Batch) -> int:
        if batch.begun:
            return 2
        return 1 if len(batch.partition_keys) <= _SMALL_SHARE * self._most else 0

    def _launches_of(self, batches: Sequence[Batch]) -> Mapping[str, Sequence[RunRecord]]:
        """The runs of these batches, by batch."""
        ids = [str(batch.batch_id) for batch in batches]
        found: dict[str, list[RunRecord]] = {}
        for record in self._instance.get_run_records(RunsFilter(tags={BATCH_TAG: ids})):
            found.setdefault(record.dagster_run.tags[BATCH_TAG], []).append(record)
        return found

    def _launches(self, batch: Batch) -> int | None:
        """How often the batch was launched; None where it has to wait before it is launched again."""
        records = self._launched.get(str(batch.batch_id), ())
        if not_begun := sum(record.start_time is None for record in records):
            self._log.warning(
                "%d runs of the batch of %s did not start: their pages in Dagit say why.",
                not_begun,
                batch.partition_keys[0],
            )
        if len(records) < _LAUNCHES:
            return len(records)
        self._log.warning(
            "%d documents from %s on have no outcome after %d runs: look at those runs. They are "
            "launched again every %d s.",
            len(batch.partition_keys),
            batch.partition_keys[0],
            len(records),
            _SLOW_LAUNCH_SECONDS,
        )
        last = max(record.update_timestamp.timestamp() for record in records)
        return None if time.time() - last < _SLOW_LAUNCH_SECONDS else len(records)

    def _joined(self, waiting: Sequence[Batch], order: Mapping[str, int]) -> list[Batch]:
        """The same with those joined to one that were never launched, are small and lie side by side.

        A tick makes a batch of what it finds: files that come one by one, while all runs are busy,
        would else each take a run of their own.
        """
        joined: list[Batch] = []
        with self._database.engine.begin() as connection:
            for group in self._neighbours(waiting, order):
                first, *others = group
                if others:
                    connection.execute(
                        text("""
                            UPDATE ingest.document_sources SET batch_id = :first
                            WHERE batch_id = ANY(CAST(:others AS uuid[]))
                        """),
                        {
                            "first": first.batch_id,
                            "others": [str(batch.batch_id) for batch in others],
                        },
                    )
                keys = [key for batch in group for key in batch.partition_keys]
                stored = all(batch.stored for batch in group)
                joined.append(Batch(first.batch_id, keys, first.begun, stored))
        return joined

    def _neighbours(
        self, waiting: Sequence[Batch], order: Mapping[str, int]
    ) -> Iterator[Sequence[Batch]]:
        group: list[Batch] = []
        for batch in waiting:
            if not (group and self._may_follow(group, batch, order)):
                if group:
                    yield group
                group = []
            group.append(batch)
        if group:
            yield group

    def _may_follow(self, group: Sequence[Batch], batch: Batch, order: Mapping[str, int]) -> bool:
        last, first = group[-1].partition_keys[-1], batch.partition_keys[0]
        return (
            sum(len(one.partition_keys) for one in (*group, batch)) <= self._most
            and order.get(last, -1) + 1 == order.get(first)
            and self._may_be_joined(group[-1])
            and self._may_be_joined(batch)
        )

    def _may_be_joined(self, batch: Batch) -> bool:
        return self._is_new(batch) and self._urgency(batch) == 1

    def _is_new(self, batch: Batch) -> bool:
        """Whether no run has had any of its documents."""
        return not batch.begun and str(batch.batch_id) not in self._launched
