"""The verification checklist, as Dagster's asset checks.

Belongs here: questions as check specs, and answers as check results. Does not belong here: finding the
answers (`operations.verification`), and when they are asked for (`jobs`, `sensors`).

The checks belong to the asset `ingest_report`, not to the documents' assets. Dagster plans the checks
of every asset that a backfill materialises, but the run of documents does not execute them: each
backfill would show the whole checklist as skipped until the next verification.
"""

from collections.abc import Iterator, Sequence

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    multi_asset_check,
)

from ingest_assets.defs.ingest_report import NAME as REPORT
from ingest_assets.defs.partitions import shown_partitions
from ingest_assets.defs.resources import (
    InputDirectoryResource,
    ObjectStoreResource,
    PostgresResource,
    ReconciliationResource,
)
from ingest_assets.markdown import table
from ingest_assets.operations.verification.engine import CheckResult, verify
from ingest_assets.operations.verification.questions import CHECKS, Named


@multi_asset_check(
    name="verification",
    description="The verification checklist, over all documents.",
    specs=[
        AssetCheckSpec(check.name, asset=REPORT, description=f"{check.question} If not: {check.remedy}")
        for check in CHECKS
    ],
    can_subset=True,
)
def verification(
    context: AssetCheckExecutionContext,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
    input_files: InputDirectoryResource,
) -> Iterator[AssetCheckResult]:
    """Answer the questions that were selected, all from one reading of database and bucket."""
    found = verify(
        database.get(),
        object_store.get(),
        shown_partitions(context.instance),
        in_flight_seconds=reconciliation.in_flight_seconds,
        only={key.name for key in context.selected_asset_check_keys},
        inbox=input_files.get,
    )
    for check in found.checks:
        yield _result(check, found.in_flight)


def _result(check: CheckResult, in_flight: int) -> AssetCheckResult:
    answer = check.answer
    verdict = "Yes." if check.passed else f"No: {answer.count:,}. {check.remedy}"
    metadata: dict[str, MetadataValue] = {
        "failing": MetadataValue.int(answer.count),
        "in_flight": MetadataValue.int(in_flight),
    }
    if answer.failing:
        metadata["documents"] = MetadataValue.md(_documents(answer.failing))
        metadata["remedy"] = MetadataValue.text(check.remedy)
    if answer.note:
        metadata["note"] = MetadataValue.text(answer.note)
    if answer.explained:
        metadata["explained"] = MetadataValue.md(_documents(answer.explained))
    return AssetCheckResult(
        asset_key=AssetKey(REPORT),
        check_name=check.name,
        passed=check.passed,
        severity=AssetCheckSeverity.WARN if check.warns else AssetCheckSeverity.ERROR,
        description=f"{check.question} {verdict}",
        metadata=metadata,
    )


def _documents(documents: Sequence[Named]) -> str:
    return table(
        ("file", "why", "partition", "document", "object"),
        [(n.original_file_name, n.why, n.partition_key, n.document_uuid, n.s3_key) for n in documents],
    )
