"""Sources that ended without a result and ask nothing of a person: no documents, and superseded files.

Belongs here: counting and naming them. Does not belong here: which faults are outcomes (`catalogue`),
and how Dagster shows them (`defs.outcomes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from ingest_assets.catalogue import NO_DOCUMENT, Outcome


class Ended(NamedTuple):
    """One source that ended so.

    Attributes:
        state: `rejected` or `superseded`.
        superseded_by: the partition of the file's next version; None where it was not found yet.
    """

    partition_key: str
    original_file_name: str
    state: Outcome
    error_code: str
    error_message: str
    error_remedy: str | None
    superseded_by: str | None

    @property
    def fault(self) -> tuple[str, str, str]:
        """Code, sentence and remedy, as an error takes them."""
        return self.error_code, self.error_message, self.error_remedy or ""


@dataclass(frozen=True)
class NoDocuments:
    """Files and parts that are no documents.

    Attributes:
        by_code: how many, by the reason's code, the most common first.
        latest: those that ended last, the latest first.
    """

    by_code: dict[str, int]
    latest: Sequence[Ended]


_COLUMNS = ", ".join(Ended._fields)


def no_documents(connection: Connection, most: int) -> NoDocuments:
    """Count what is no document, and name at most so many."""
    codes = ", ".join(map(repr, NO_DOCUMENT))
    # Constants, so that Postgres takes the index which has only such attempts.
    rejected = f"""
        ingest.document_progress WHERE state = 'rejected' AND partition_key IN (
            SELECT attempt.partition_key FROM ingest.stage_attempts AS attempt
            WHERE attempt.error_code IN ({codes}))
    """  # noqa: S608 - constants of this program
    counts = connection.execute(
        text(f"SELECT error_code, count(*) FROM {rejected} GROUP BY 1 ORDER BY 2 DESC, 1")  # noqa: S608
    ).all()
    latest = connection.execute(
        text(f"SELECT {_COLUMNS} FROM {rejected} ORDER BY finished_at DESC LIMIT :most"),  # noqa: S608
        {"most": most},
    )
    return NoDocuments(dict(map(tuple, counts)), [Ended(*row) for row in latest])


def unreported(connection: Connection, quiet_seconds: float, most: int) -> Sequence[Ended]:
    """Sources that ended so and are not in Dagster's event log yet, the oldest first, at most so many.

    Their run was killed before it reported them, or the file was replaced after its version had failed.

    Args:
        quiet_seconds: those that ended within this time are left to their run.
    """
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM ingest.document_progress
            JOIN (SELECT partition_key, sequence_number FROM ingest.document_sources
                  WHERE reported_at IS NULL) AS source USING (partition_key)
            WHERE state IN ('rejected', 'superseded')
              AND finished_at < now() - make_interval(secs => :quiet)
            ORDER BY sequence_number LIMIT :most
        """),  # noqa: S608 - names of this module
        {"quiet": quiet_seconds, "most": most},
    )
    return [Ended(*row) for row in rows]
