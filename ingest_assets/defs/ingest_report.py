"""Asset `ingest_report`: how far the ingestion is, shown in Dagit. The checklist's checks belong to it.

Belongs here: the report as metadata. Does not belong here: counting (`operations.report`), drawing
(`operations.pictures`), and the checks (`defs.checks`).
"""

from collections.abc import Mapping

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, asset

from ingest_assets.defs.instance import runs_not_started
from ingest_assets.defs.resources import PostgresResource
from ingest_assets.markdown import table
from ingest_assets.operations.report import Report, data_address, figures, read_report, tables
from ingest_assets.operations.status import Status

NAME = "ingest_report"
GROUP = "operations"


@asset(
    name=NAME,
    group_name=GROUP,
    owners=["team:data-engineering"],
    kinds={"postgres"},
    code_version="1",
    description="Throughput and backlog over the last day and month, states, pages, the commonest "
    "faults and cost, as pictures (`report`, Show Markdown) and numbers. Its checks are the "
    "verification checklist, over all documents.",
)
def ingest_report(
    context: AssetExecutionContext, database: PostgresResource
) -> MaterializeResult[None]:
    """Report the status as metadata; Dagit plots its numbers over time."""
    # It takes a second and 60 MB, and every run would pay.
    from ingest_assets.operations.pictures import draw  # noqa: PLC0415

    report = read_report(database.get())
    return MaterializeResult(
        metadata={
            "report": MetadataValue.md(_page(report, draw(report))),
            **_metadata(report.status),
            "textract_dollars": report.textract_dollars,
            "runs_not_started": runs_not_started(context.instance),
        }
    )


def _page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """The report in Markdown, with the pictures in it: some 30 KB."""
    parts = [
        table(list(figures(report)), [list(figures(report).values())]),
        *(f"![{title}]({data_address(png)})" for title, png in pictures.items()),
        *(f"**{title}**\n\n{table(*rows)}" for title, rows in tables(report).items()),
    ]
    return "\n\n".join(parts)


def _metadata(status: Status) -> Mapping[str, MetadataValue | str | int | float]:
    failures = [
        (f.original_file_name, f.state, f.stage, f"{f.error_class}, {f.error_code}",
         f"{f.error_message} {f.error_remedy or ''}", f"{f.finished_at:%Y-%m-%d %H:%M:%S}",
         f.partition_key)
        for f in status.latest_failures
    ]  # fmt: skip
    numbers: dict[str, int | float | None] = {
        "documents": status.total,
        "unfinished": status.unfinished,
        "documents_per_minute": status.documents_per_minute,
        "eta_seconds": status.eta_seconds,
        "incomplete": status.incomplete,
        "noted": status.noted,
        "ignored": sum(status.ignored.values()),
        **{f"state_{state}": count for state, count in status.by_state.items()},
    }
    return {
        "summary": str(status),
        "by_state": MetadataValue.md(table(("state", "sources"), status.by_state.items())),
        "by_stage": MetadataValue.md(table(("furthest stage", "sources"), status.by_stage.items())),
        "no_documents_by_reason": MetadataValue.md(
            table(("reason", "no documents"), status.no_documents.items())
        ),
        "ignored_by_pattern": MetadataValue.md(table(("pattern", "ignored"), status.ignored.items())),
        "latest_failures": MetadataValue.md(
            table(("file", "state", "stage", "kind", "what happened", "when", "partition"), failures)
        ),
        **{name: number for name, number in numbers.items() if number is not None},
    }
