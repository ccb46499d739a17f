"""The report: the status, and how it came about over the last day and month, as numbers and as a page.

Belongs here: the numbers behind the asset `ingest_report` and `ingest-assets report`, and that page.
Does not belong here: drawing (`pictures`), and how the numbers come about (the views
`ingest.statistics_…`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from html import escape
from typing import NamedTuple

from sqlalchemy import Connection, text

from ingest_assets.catalogue import FAULTS
from ingest_assets.operations.status import Status, read_status
from ingest_assets.store.database import Database

_COMMONEST_FAULTS = 10
# Of confidence, as the view of pages has them.
_LIMITS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


class Span(NamedTuple):
    """An hour or a day.

    Attributes:
        begin: in UTC.
        found, ended, failed: sources that were found in it, and that came to their outcome in it.
        backlog: sources without an outcome at its end.
    """

    begin: datetime
    found: int
    ended: int
    failed: int
    backlog: int


class Fault(NamedTuple):
    """One kind of fault, and how many documents have failed by it."""

    error_class: str
    error_code: str
    stage: str
    documents: int
    latest: datetime

    @property
    def what_to_do(self) -> str:
        """What the catalogue advises."""
        return FAULTS[self.error_code].remedy if self.error_code in FAULTS else ""


class Pages(NamedTuple):
    """Pages with text.

    Attributes:
        by_origin: `text-layer` or `ocr`.
        by_confidence: recognised ones by the confidence that they have at most, and above the one
            before, from the least on.
        confidence: that of all recognised ones, added up.
    """

    by_origin: dict[str, int]
    by_confidence: dict[float, int]
    confidence: float


@dataclass(frozen=True)
class Report:
    """What the report shows.

    Attributes:
        at: when it was made, in UTC.
        day: the last 24 hours, the present one last.
        month: the last 30 days, today last.
        pages: pages with text by origin, `text-layer` or `ocr`.
        confidence: recognised pages by the confidence that they have at most, and above the one before.
        faults: the ten commonest of documents that have failed now, the commonest first.
        textract_pages, textract_dollars: what Textract's jobs have cost so far, estimated.
    """

    at: datetime
    status: Status
    day: Sequence[Span]
    month: Sequence[Span]
    pages: Mapping[str, int]
    confidence: Mapping[float, int]
    faults: Sequence[Fault]
    textract_pages: int
    textract_dollars: float


def read_report(database: Database) -> Report:
    """Count everything."""
    status = read_status(database)
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        at: datetime = reader.execute(text("SELECT now() AT TIME ZONE 'UTC'")).scalar_one()
        at = at.replace(tzinfo=timezone.utc)
        hours = _hours(reader)
        pages = read_pages(reader)
        faults = [
            Fault(**row._mapping)
            for row in reader.execute(
                text("""
                    SELECT * FROM ingest.statistics_faults
                    ORDER BY documents DESC, error_code LIMIT :commonest
                """),
                {"commonest": _COMMONEST_FAULTS},
            )
        ]
        textract = reader.execute(
            text("""
                SELECT coalesce(sum(pages), 0)::bigint AS pages,
                    coalesce(sum(cost_usd), 0)::float AS usd
                FROM ingest.statistics_textract
            """)
        ).one()
    this_hour = at.replace(minute=0, second=0, microsecond=0)
    return Report(
        at=at,
        status=status,
        day=_spans(hours, this_hour, timedelta(hours=1), 24),
        month=_spans(hours, this_hour.replace(hour=0), timedelta(days=1), 30),
        pages=pages.by_origin,
        confidence=pages.by_confidence,
        faults=faults,
        textract_pages=textract.pages,
        textract_dollars=textract.usd,
    )


def read_pages(reader: Connection) -> Pages:
    """Count the pages whose text is stored."""
    by_origin, by_confidence = {"text-layer": 0, "ocr": 0}, dict.fromkeys(_LIMITS, 0)
    confidence = 0.0
    for row in reader.execute(text("SELECT * FROM ingest.statistics_pages")):
        by_origin[row.origin] += row.pages
        if row.at_most_confidence is not None:
            by_confidence[row.at_most_confidence] += row.pages
            confidence += row.confidence
    return Pages(by_origin, by_confidence, confidence)


def _hours(reader: Connection) -> list[Span]:
    return [
        Span(row.hour.astimezone(timezone.utc), row.found, row.ended, row.failed, row.backlog)
        for row in reader.execute(text("SELECT * FROM ingest.statistics_hours ORDER BY hour"))
    ]


def _spans(hours: Sequence[Span], last: datetime, length: timedelta, count: int) -> list[Span]:
    """Hours put together; of one in which nothing happened only the backlog is known."""
    spans = []
    for number in reversed(range(count)):
        begin = last - number * length
        within = [hour for hour in hours if begin <= hour.begin < begin + length]
        backlog = next((h.backlog for h in reversed(hours) if h.begin < begin + length), 0)
        spans.append(
            Span(
                begin,
                sum(hour.found for hour in within),
                sum(hour.ended for hour in within),
                sum(hour.failed for hour in within),
                backlog,
            )
        )
    return spans


def tables(report: Report) -> dict[str, tuple[Sequence[str], list[Sequence[object]]]]:
    """What the report has as tables: headings and rows by title; a table without rows is left out."""
    status = report.status
    shown: dict[str, tuple[Sequence[str], list[Sequence[object]]]] = {
        "Faults of documents that have failed": (
            ("documents", "fault", "stage", "latest", "what to do"),
            [
                (
                    f"{fault.documents:,}",
                    f"{fault.error_code} ({fault.error_class})",
                    fault.stage,
                    f"{fault.latest:%Y-%m-%d %H:%M}",
                    fault.what_to_do,
                )
                for fault in report.faults
            ],
        ),
        "Latest failures": (
            ("file", "stage", "what happened", "when", "partition"),
            [
                (
                    failure.original_file_name,
                    failure.stage,
                    failure.error_message,
                    f"{failure.finished_at:%Y-%m-%d %H:%M}",
                    failure.partition_key,
                )
                for failure in status.latest_failures
                if failure.state == "failed"
            ],
        ),
        "Files that are no documents": (("reason", "files"), list(status.no_documents.items())),
        "Files that were passed over": (("pattern", "files"), list(status.ignored.items())),
    }
    return {title: table for title, table in shown.items() if table[1]}


def figures(report: Report) -> dict[str, str]:
    """What the report has as single numbers, by what they count."""
    status, today = report.status, report.day
    numbers = {
        "documents": f"{status.total:,}",
        "with an outcome": f"{status.total - status.unfinished:,}",
        "waiting or worked on": f"{status.unfinished:,}",
        "failed": f"{status.by_state['failed']:,}",
        "with text left out": f"{status.incomplete:,}",
        "done in 24 hours": f"{sum(hour.ended for hour in today):,}",
        "pages": f"{sum(report.pages.values()):,}",
    }
    if report.textract_pages:
        numbers["US dollars for Textract"] = f"{report.textract_dollars:,.2f}"
    return numbers


def page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """The report as one HTML page that needs nothing else: no network, no script, no file.

    Args:
        pictures: PNG by title, as `pictures.draw` makes them.
    """
    tiles = "".join(
        f"<div><b>{escape(value)}</b><br>{escape(name)}</div>"
        for name, value in figures(report).items()
    )
    drawn = "".join(
        f'<img alt="{escape(title)}" src="{data_address(png)}">' for title, png in pictures.items()
    )
    listed = "".join(
        f"<h2>{escape(title)}</h2>{_table(*table)}" for title, table in tables(report).items()
    )
    return _PAGE.format(
        at=f"{report.at:%Y-%m-%d %H:%M} UTC",
        summary=escape(str(report.status)),
        tiles=tiles,
        drawn=drawn,
        listed=listed,
    )


def data_address(png: bytes) -> str:
    """The address of a picture that holds the picture."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["".join(f"<th>{escape(heading)}</th>" for heading in headings)]
    lines += ["".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


# The policy has browsers load nothing, whatever a name in the page may say.
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Document ingestion, {at}</title>
<style>
 body {{ font: 15px/1.5 system-ui, sans-serif; color: #1b2330; max-width: 76rem; margin: 2rem auto;
        padding: 0 1rem }}
 .tiles {{ display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 }}
 .tiles div {{ border: 1px solid #d5dbe3; border-radius: 8px; padding: .6rem 1rem; color: #5a6676 }}
 .tiles b {{ font-size: 1.5rem; color: #1b2330 }}
 img {{ width: 37rem; max-width: 100% }}
 table {{ border-collapse: collapse; margin: .5rem 0 1.5rem }}
 th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
          border-bottom: 1px solid #e4e8ee; overflow-wrap: break-word; max-width: 30rem }}
 h1 {{ margin-bottom: 0 }} h2 {{ font-size: 1.1rem }}
</style></head><body>
<h1>Document ingestion</h1>
<p>{at} · {summary}</p>
<div class="tiles">{tiles}</div>
{drawn}
{listed}
</body></html>
"""
