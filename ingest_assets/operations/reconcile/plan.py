"""The plan file: what an inventory found, for a person to read and for `apply` to act on.

Its first line is the header: which bucket, when, how many keys of each class, and whether the
inventory ran to its end. Each further line is one finding. All lines are JSON.

Belongs here: writing and reading the file, and what to do about each class. Does not belong here:
doing it (`apply`), and showing it (`cli.render`, `defs.inventory`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.reconcile.inventory import Finding, Inventory

_VERSION = 1
# The header is rewritten in place while the inventory goes on, so its length must not change.
_HEADER_CHARACTERS = 4_000
_HEADER_SECONDS = 5.0

WHAT_TO_DO: Mapping[str, str] = {
    "orphan": "`ingest-assets reconcile apply --register`, or turn on the sensor "
    "`orphaned_uploads`; then launch a backfill of the new partitions. Stored documents that lost "
    "their row: `ingest-assets rebuild-db`.",
    "lost": "`ingest-assets reconcile apply --restore-lost` uploads them again where the source "
    "still has the same bytes; else restore them from a backup of the bucket.",
    "differs": "Somebody wrote under the document's key. Find out who; move that object away, then "
    "materialise `document_object` again.",
    "unreadable": "The sentence beside each key says why; mend that and make a new plan.",
}


@dataclass(frozen=True)
class Plan:
    """A plan file: its header, and the findings as they are read from it.

    Attributes:
        counts: how many keys of each class.
        complete: whether the inventory ran to its end.
        resume_after: the last key whose bytes were compared, if it did not; else empty.

    Example:
        >>> for orphan in read_plan(path).findings("orphan"):
        ...     print(orphan.key, orphan.detail)
    """

    path: Path
    bucket: str
    created_at: str
    counts: Mapping[str, int]
    complete: bool
    resume_after: str

    def require_bucket(self, bucket: str) -> None:
        """Make sure that the plan was made of this bucket.

        Raises:
            ConfigurationError: it was made of another one.
        """
        if self.bucket != bucket:
            raise ConfigurationError(
                "plan_of_another_bucket",
                f"{self.path} is a plan of bucket {self.bucket}, not of {bucket}.",
            )

    def findings(self, *kinds: str) -> Iterator[Finding]:
        """The findings of these classes, read from the file as they are needed."""
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                fields = json.loads(line)
                if fields["class"] in kinds:
                    yield _parse(fields)


def plan_path(directory: Path) -> Path:
    """The path of a new plan file, named by the time, for a plan without a path of its own."""
    return directory / f"plan-{datetime.now(timezone.utc):%Y%m%dT%H%M%S%fZ}.jsonl"


def write_plan(inventory: Inventory, path: Path) -> Plan:
    """Run the inventory and write what it finds to the file; change nothing else anywhere.

    If it is interrupted, the file holds what was found until then, and its header says that it is not
    complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    created_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with path.open("w", encoding="utf-8") as file:

        def header(complete: bool) -> None:
            fields = {
                "plan": _VERSION,
                "bucket": inventory.bucket,
                "created_at": created_at,
                "complete": complete,
                "seconds": round(inventory.seconds, 3),
                "resume_after": "" if complete else inventory.deep_reached,
                "counts": inventory.counts,
            }
            file.seek(0)
            file.write(json.dumps(fields).ljust(_HEADER_CHARACTERS) + "\n")
            file.seek(0, 2)
            file.flush()

        header(complete=False)
        written = time.monotonic()
        try:
            for finding in inventory:
                _write(finding, file)
                if time.monotonic() - written > _HEADER_SECONDS:
                    header(complete=False)
                    written = time.monotonic()
        except BaseException:
            header(complete=False)
            raise
        header(complete=inventory.reached is None)
    return read_plan(path)


def read_plan(path: Path) -> Plan:
    """Read a plan's header.

    Raises:
        ConfigurationError: the file is no plan.
    """
    try:
        with path.open(encoding="utf-8") as file:
            fields = json.loads(file.readline(_HEADER_CHARACTERS + 1))
        if fields["plan"] != _VERSION:
            raise ValueError(fields["plan"])
        return Plan(
            path,
            fields["bucket"],
            fields["created_at"],
            fields["counts"],
            fields["complete"],
            fields["resume_after"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError("plan_unreadable", f"{path} is no plan: {error}.") from error


def _write(finding: Finding, file: TextIO) -> None:
    fields: dict[str, Any] = {"class": finding.kind, **finding._asdict()}
    del fields["kind"]
    file.write(json.dumps(fields, default=str) + "\n")


def _parse(fields: Mapping[str, Any]) -> Finding:
    modified, document_uuid = fields["last_modified"], fields["document_uuid"]
    return Finding(
        kind=fields["class"],
        key=fields["key"],
        size_bytes=fields["size_bytes"],
        etag=fields["etag"],
        last_modified=datetime.fromisoformat(modified) if modified else None,
        document_uuid=UUID(document_uuid) if document_uuid else None,
        detail=fields["detail"],
    )
