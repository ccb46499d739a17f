"""The plan file: what an inventory found, one JSON line a key, for `apply` and for people.

Belongs here: the file's form, and what is shown of it. Does not belong here: what is done with it.
The first line says of which bucket, when, how many of each class, and whether the look ran to its end.
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
from ingest_assets.markdown import table
from ingest_assets.operations.reconcile.inventory import ANOMALIES, CLASSES, Finding, Inventory

_VERSION = 1
# The header is written anew in its place while the look goes on, so its length must not change.
_HEADER_CHARACTERS = 4_000
_HEADER_SECONDS = 5.0
_SHOWN_PER_CLASS = 5

WHAT_TO_DO: Mapping[str, str] = {
    "orphan": "`ingest-assets reconcile apply --register`, or turn on the sensor "
    "`orphaned_uploads`; then launch a backfill of the new partitions. Objects of ours without "
    "their row: `ingest-assets rebuild-db`.",
    "lost": "`ingest-assets reconcile apply --restore-lost` uploads them again where the source "
    "still has the same bytes; else restore them from a backup of the bucket.",
    "differs": "Somebody wrote under the document's key. Find out who; move that object away, then "
    "materialise `document_object` again.",
    "unreadable": "The sentence beside each key says why; mend that and look again.",
}


@dataclass(frozen=True)
class Plan:
    """A plan file's header, and where its lines are."""

    path: Path
    bucket: str
    created_at: str
    counts: Mapping[str, int]
    complete: bool
    resume_after: str

    def require_bucket(self, bucket: str) -> None:
        """Refuse to be applied to another bucket than it was made of.

        Raises:
            ConfigurationError: it is another's plan.
        """
        if self.bucket != bucket:
            raise ConfigurationError(
                "plan_of_another_bucket",
                f"{self.path} is a plan of bucket {self.bucket}, not of {bucket}.",
            )

    def findings(self, *kinds: str) -> Iterator[Finding]:
        """The lines of these classes, one by one."""
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                fields = json.loads(line)
                if fields["class"] in kinds:
                    yield _parse(fields)


def plan_path(directory: Path) -> Path:
    """Where a plan goes that nobody named."""
    return directory / f"plan-{datetime.now(timezone.utc):%Y%m%dT%H%M%S%fZ}.jsonl"


def write_plan(inventory: Inventory, path: Path) -> Plan:
    """Look, and write what is found to the file; nothing else is written anywhere.

    A look that is interrupted leaves a plan that says so, with all that was found until then.
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


def summary(counts: Mapping[str, int]) -> str:
    """One line: how many of each class."""
    named = [f"{counts[kind]:,} {kind.replace('_', ' ')}" for kind in CLASSES if counts[kind]]
    return ", ".join(named) or "nothing in the bucket, nothing in the database"


def markdown(inventory: Inventory) -> str:
    """Some objects of each class that is not `matching`, and what to do, as Markdown."""
    # Keys come last: they are long, and Dagit cuts a table off at the right.
    rows = [
        (found.kind, found.detail, f"{found.size_bytes:,}", found.key)
        for kind in CLASSES
        for found in inventory.samples[kind][:_SHOWN_PER_CLASS]
    ]
    advice = [f"- **{kind}**: {WHAT_TO_DO[kind]}" for kind in ANOMALIES if inventory.counts[kind]]
    parts = [table(("class", "why", "bytes", "key"), rows)] if rows else []
    return "\n\n".join([*parts, *(["\n".join(advice)] if advice else [])]) or summary(inventory.counts)


def report(inventory: Inventory) -> Iterator[str]:
    """The same for a terminal, line by line."""
    yield f"{summary(inventory.counts)}. ({inventory.seconds:.1f} s)"
    if inventory.bytes_read:
        yield f"{inventory.bytes_read:,} bytes read and compared."
    for kind in CLASSES:
        samples = inventory.samples[kind]
        if samples:
            yield f"{kind}: {inventory.counts[kind]:,}"
            yield from (f"  {found.key!r}: {found.detail}" for found in samples[:_SHOWN_PER_CLASS])
            if kind in WHAT_TO_DO:
                yield f"  {WHAT_TO_DO[kind]}"


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
