"""All that the commands print: tables, paragraphs, colours, and the live line of `dev`.

Belongs here: making text of what operations return. Does not belong here: finding it (`operations`),
and Markdown for Dagit (`defs`).

On a terminal there are colours, unless NO_COLOR is set, and paragraphs are broken between words.
Elsewhere there is neither: each paragraph is one line, for `grep`. No file name, key or UUID is ever
shortened or broken; a terminal that is too narrow for one wraps it without a line break, so that it
can be copied. What comes from a document (its name, its text, an error about it) is stripped of
control characters, so that no document can make a terminal do anything.
"""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ingest_assets.embedded.signals import StopRequested
from ingest_assets.text import counted

if TYPE_CHECKING:
    from ingest_assets.errors import IngestError
    from ingest_assets.operations.forget.engine import Forgotten
    from ingest_assets.operations.forget.plan import Plan
    from ingest_assets.operations.history import Attempt, Candidates, Document, History, Job
    from ingest_assets.operations.reconcile.apply import Done
    from ingest_assets.operations.reconcile.cost import Estimate
    from ingest_assets.operations.reconcile.inventory import Inventory
    from ingest_assets.operations.reconcile.rebuild import Rebuilt
    from ingest_assets.operations.retention import Due
    from ingest_assets.operations.retry_policy import Failure
    from ingest_assets.operations.search import Found, Passage
    from ingest_assets.operations.status import FailedDocument, Status
    from ingest_assets.operations.verification.engine import CheckResult, Verification
    from ingest_assets.operations.verification.questions import Named

# Wide enough that no paragraph is broken where the output is a file or a pipe.
_UNLIMITED = 1_000_000
_PROGRESS_SECONDS = 3
_BAR_COLUMNS = 24
_SIDE_BY_SIDE_COLUMNS = 76
_LISTED = 20
_PLACES_NAMED = 5
_LISTED_OF_A_CLASS = 5

_HEADING = "bold"
_NAME = "bold"
_ID = "cyan"
_QUIET = "dim"
_GOOD, _WARN, _BAD = "green", "yellow", "bold red"
_STATES = {
    "completed": _GOOD,
    "duplicate": _GOOD,
    "no_text": _GOOD,
    "in_progress": _WARN,
    "discovered": _WARN,
    "failed": _BAD,
    "rejected": "",
    "superseded": _GOOD,
}
_ATTEMPTS = {"succeeded": _GOOD, "running": _WARN, "failed": _BAD}


def show(*parts: RenderableType, to_stderr: bool = False) -> None:
    """Print to standard output, be it a terminal, a pipe or a file."""
    console = Console(stderr=to_stderr, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(*parts, sep="\n", crop=False)
    else:
        console.file.write(plain(*parts))


def show_json(data: object) -> None:
    """Print for programs."""
    sys.stdout.write(json.dumps(data, default=str, indent=2) + "\n")


def plain(*parts: RenderableType) -> str:
    """Return what `show` writes to a pipe or a file: no colours, and each paragraph on one line."""
    console = Console(
        file=io.StringIO(),
        width=_UNLIMITED,
        force_terminal=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(*parts, sep="\n", crop=False)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


class Paragraph:
    """Text that is broken between words at the right edge of a terminal, and nowhere else.

    Args:
        parts: strings, or strings with a style; a part that is a `_name` is never broken.
        indent: columns before the first line; further lines are indented by two more.
    """

    def __init__(self, *parts: str | tuple[str, str] | Text, indent: int = 0) -> None:
        self._text = Text()
        # The same text, with another character for each space at which it must not be broken.
        self._breakable = ""
        self._indent = indent
        for part in parts:
            before = len(self._text)
            if isinstance(part, tuple):
                self._text.append(*part)
            else:
                self._text.append(part)
            added = self._text.plain[before:]
            self._breakable += added.replace(" ", "\x00") if isinstance(part, Text) else added

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - self._indent - 2, 20)
        for number, line in enumerate(self._text.divide(self._breaks(width))):
            line.rstrip()
            line.no_wrap, line.overflow = True, "ignore"
            yield Text(" " * (self._indent + 2 * (number > 0)), no_wrap=True, end="")
            yield line

    def _breaks(self, width: int) -> list[int]:
        breaks, column = [], 0
        for word in re.finditer(r"\S+\s*", self._breakable):
            if column and column + cell_len(word.group().rstrip()) > width:
                breaks.append(word.start())
                column = 0
            column += cell_len(word.group())
        return breaks


def error(fault: IngestError) -> RenderableType:
    """A fault that ends the command; a list in its message keeps its lines."""
    first, *others = str(fault).splitlines()
    return Group(
        Paragraph(("Error: ", _BAD), _clean(first)),
        *(Paragraph(_clean(one), indent=2 if one.startswith("  ") else 0) for one in others),
    )


def line(text: str) -> RenderableType:
    """One sentence of a command."""
    return Paragraph(_clean(text))


# --- status, dev --------------------------------------------------------------------------------


def status(found: Status, runs_not_started: int = 0) -> RenderableType:
    """How far all documents are: by state, by stage, and what failed last.

    Args:
        runs_not_started: how many runs of the last hour failed before they had begun.
    """
    states = _table("state", "documents", "")
    for state, count in found.by_state.items():
        style = _STATES.get(state, "") if count else _QUIET
        states.add_row(Text(state, style), f"{count:,}", _Share(count, found.total, style))
    stages = _table("furthest stage stored", "documents")
    for stage, count in found.by_stage.items():
        stages.add_row(Text(stage, "" if count else _QUIET), f"{count:,}")
    parts: list[RenderableType] = [
        Paragraph((str(found), _HEADING)),
        "",
        _SideBySide(states, stages),
    ]
    if found.unfinished:
        parts += [
            "",
            Paragraph(f"{found.queued:,} wait for a run, {found.working:,} are worked on."),
        ]
    parts += [
        Paragraph((f"Since {_time(withheld.since)}: ", _BAD), _clean(str(withheld)))
        for withheld in found.withheld
    ]
    if runs_not_started:
        parts.append(
            Paragraph(
                (f"{counted(runs_not_started, 'run')} of the last hour did not start: ", _WARN),
                "Dagit's page of each says why. The sensors launch others.",
            )
        )
    if found.stalled:
        parts.append(
            Paragraph(
                (f"{found.stalled:,} stalled: ", _WARN),
                "the run that worked on them has written no heartbeat for a minute. The sensors launch "
                "another.",
            )
        )
    if found.noted:
        parts.append(
            Paragraph(
                f"{counted(found.noted, 'document')} with notes of how they were read; ",
                (f"{found.incomplete:,} with text left out", _WARN if found.incomplete else ""),
                " (`ingest-assets verify` names them).",
            )
        )
    if found.no_documents:
        reasons = ", ".join(f"{count:,} {code}" for code, count in found.no_documents.items())
        parts.append(
            Paragraph(
                "Files and parts that are no documents: "
                f"{sum(found.no_documents.values()):,} ({reasons}).",
            )
        )
    if found.ignored:
        # A name may end in a carriage return.
        named = ", ".join(f"{_clean(name)} {count:,}" for name, count in found.ignored.items())
        parts.append(
            Paragraph(
                f"{sum(found.ignored.values()):,} files and directories below INGEST_INPUT_DIR are "
                f"ignored, by pattern: {named}.",
            )
        )
    if found.unreadable:
        named = _clean("; ".join(found.unreadable[:_PLACES_NAMED]))
        more = "; …" * (len(found.unreadable) > _PLACES_NAMED)
        parts.append(
            Paragraph(
                (f"Not looked at below INGEST_INPUT_DIR: {len(found.unreadable):,}. ", _WARN),
                f"{named}{more}. Give the user that runs the pipeline the right to look at them; then "
                "what is in them is found by itself.",
            )
        )
    parts += _not_done(found)
    for heading, state in (("Latest failures", "failed"), ("Latest that are no documents", "rejected")):
        if latest := [failed for failed in found.latest_failures if failed.state == state]:
            parts += ["", Text(heading, _HEADING)]
        for failed in latest:
            parts += _failed_document(failed)
    return Group(*parts)


def _not_done(found: Status) -> Iterator[RenderableType]:
    """What the program was to do, and something outside keeps it from."""
    if found.locked:
        yield Paragraph(
            (f"{counted(found.locked, 'removal')} not finished: ", _WARN),
            "S3's object lock keeps objects of documents that are forgotten. `ingest-assets forget "
            "--resume` tries again.",
        )
    for untold in found.untold:
        yield Paragraph(
            (f"Alerts do not arrive at address {untold.channel} ", _WARN),
            f"since {_time(untold.failed_at)}: {_clean(untold.error)}",
        )


def _failed_document(failed: FailedDocument) -> Iterator[RenderableType]:
    yield Paragraph(
        _name(failed.original_file_name),
        " ",
        (failed.state, _STATES[failed.state]),
        f" at {failed.stage} ({failed.error_class}, {failed.error_code}), {_time(failed.finished_at)}",
        indent=2,
    )
    yield Paragraph(_clean(failed.error_message), indent=4)
    if failed.error_remedy:
        yield Paragraph("What to do: ", _clean(failed.error_remedy), indent=4)
    yield Paragraph("partition ", (failed.partition_key, _ID), indent=4)


class Progress:
    """How far all documents are, in one line; on a terminal with a bar before it."""

    def __init__(self, found: Status) -> None:
        self._found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        total, done = self._found.total, self._found.total - self._found.unfinished
        sentence = Text(str(self._found), no_wrap=True, overflow="ellipsis")
        if not total or not console.is_terminal or options.max_width < _SIDE_BY_SIDE_COLUMNS:
            yield sentence
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total, done, width=_BAR_COLUMNS), sentence)
        yield grid


class Screen:
    """The terminal of `dev`: lines, and below them one line of progress that is kept up to date.

    Where standard output is no terminal, the progress is printed whenever it has changed.

    Args:
        progress: what the line shows; called every three seconds.
    """

    def __init__(self, progress: Callable[[], RenderableType]) -> None:
        self._progress = progress
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._is_live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live: Live | None = None
        self._next = 0.0
        self._shown = ""

    def say(self, text: str) -> None:
        """Print a line above the progress. Does nothing if the terminal was closed."""
        with suppress(OSError):
            self._console.print(text, soft_wrap=True)

    def tick(self) -> None:
        """Bring the progress up to date if it is time to.

        Raises:
            StopRequested: the terminal was closed.
        """
        if self._is_live and not sys.stdout.isatty():
            raise StopRequested
        if time.monotonic() < self._next:
            return
        progress = self._progress()
        self._next = time.monotonic() + _PROGRESS_SECONDS
        try:
            self._show(progress)
        except OSError as error:
            raise StopRequested from error

    def _show(self, progress: RenderableType) -> None:
        if self._is_live:
            if self._live is None:
                self._live = Live(
                    console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
                )
                self._live.start()
            self._live.update(progress, refresh=True)
        elif (shown := plain(progress)) != self._shown:
            show(progress)
            sys.stdout.flush()
            self._shown = shown

    def close(self) -> None:
        """Remove the progress. Does nothing more if the terminal was closed."""
        if self._live is not None:
            with suppress(OSError):
                self._live.stop()
            self._live = None


# --- forget -------------------------------------------------------------------------------------


def to_forget(found: Plan) -> RenderableType:
    """What forgetting a document removes, and what it leaves."""
    sizes = ", ".join(f"{count:,} {table}" for table, count in found.counts.items() if count)
    return Group(
        Paragraph((f"To forget: {counted(len(found.documents), 'document')}", _HEADING)),
        *(
            Paragraph((str(uuid), _ID), f"  SHA-256 {digest}", indent=2)
            for uuid, digest in found.documents.items()
        ),
        Paragraph(f"{counted(len(found.partition_keys), 'partition')}:"),
        *(Paragraph((key, _ID), indent=2) for key in found.partition_keys),
        Paragraph(
            f"Their objects with all versions, {sizes or 'no rows'}, what Dagster has recorded of "
            "them, and their names in logs and plans."
        ),
        *(Paragraph("The upload ", _whole(key), " goes, too.") for key in found.uploads),
        *(
            Paragraph(
                ("Left alone, remove it yourself: ", _WARN), _whole(uri), " (passed over from now on)."
            )
            for uri in found.files
        ),
        *(
            Paragraph("Stays, for it was also seen elsewhere: ", _name(name), f" (document {uuid}).")
            for uuid, name in found.kept
        ),
        *(
            Paragraph(
                ("Its bytes stay inside ", _WARN),
                _name(name),
                f" (document {uuid}), as long as that is not forgotten, too.",
            )
            for uuid, name in found.holders
        ),
        *(
            Paragraph(("Held, so it cannot be forgotten: ", _BAD), f"{uuid}: {_clean(reason)}")
            for uuid, reason in found.held.items()
        ),
    )


def retention(found: Due, *, is_set: bool, named: bool = False) -> RenderableType:
    """How many documents are older than a number of days, and what becomes of them.

    Args:
        is_set: whether it is the number that is set, so that they go.
        named: whether to name the oldest.
    """
    if not is_set:
        then = "Nothing goes: that number is not set."
    elif found.begins_at is None:
        then = "The schedule `retention_daily` has not seen that number: its next run removes none."
    else:
        then = f"The schedule `retention_daily` forgets them, from {_time(found.begins_at)} on."
    stay = f" {counted(found.held, 'document')} more stay, for they are held." if found.held else ""
    return Group(
        Paragraph(
            (
                f"{counted(found.count, 'document')} older than {found.days:,} days: ",
                _WARN if found.count and is_set else "",
            ),
            then + stay,
        ),
        *(
            Paragraph(_name(name), f" last seen {_time(seen_at)}, ", (str(uuid), _ID), indent=2)
            for uuid, name, seen_at in (found.first if named else ())
        ),
    )


def forgotten(done: Forgotten) -> RenderableType:
    """What was removed, and what was found afterwards."""
    return Group(
        Paragraph(
            ("Forgotten: ", _GOOD),
            f"{counted(len(done.plan.documents), 'document')}; {done.objects:,} objects and versions, "
            f"{counted(done.records, 'record')} of Dagster's, names in "
            f"{counted(len(done.masked_files), 'file')}.",
        ),
        *(Paragraph(("Left: ", _BAD), _clean(place), indent=2) for place in done.left),
        Paragraph(
            "`ingest-assets forget --resume` tries again."
            if done.left
            else "Searched for keys and words of it afterwards: nothing is left."
        ),
    )


# --- why ----------------------------------------------------------------------------------------


def candidates(found: Candidates, wanted: str) -> RenderableType:
    """The documents that go by the name that was asked for: none, or more than one."""
    if not found.listed:
        return Paragraph("No document has ", _name(wanted), " as its UUID, partition key or name.")
    count = f"More than {len(found.listed)}" if found.more else f"{len(found.listed)}"
    return Group(
        Paragraph(
            f"{count} documents have ",
            _name(wanted),
            " in their file name; ask for one by its partition key:",
        ),
        *(
            Paragraph(
                (one.partition_key, _ID),
                "  ",
                (f"{one.state:<11}", _STATES[one.state]),
                "  ",
                _clean(one.source_uri),
                indent=2,
            )
            for one in found.listed
        ),
    )


def history(found: History, dagit: str) -> RenderableType:
    """The history of one document.

    Args:
        dagit: address of Dagit, for the links of runs.
    """
    seen = found.sighting
    return Group(
        Paragraph(
            _name(seen.original_file_name),
            ": ",
            (seen.state.replace("_", " "), _STATES[seen.state]),
        ),
        Paragraph("partition  ", (seen.partition_key, _ID), indent=2),
        Paragraph("document   ", (str(seen.document_uuid or "none yet"), _ID), indent=2),
        "",
        Paragraph(
            f"Seen at {_time(seen.discovered_at)} as ",
            _whole(seen.source_uri),
            f" ({seen.size_bytes:,} bytes).",
        ),
        *(
            [
                Paragraph(
                    "It is part of ",
                    _name(seen.container_name or ""),
                    f" (partition {seen.container_key}).",
                )
            ]
            if seen.container_key
            else []
        ),
        *_document(found),
        *_inner(found),
        "",
        *_attempts(found.attempts, found.sighting.now, dagit),
        "",
        Paragraph(("What happens next: ", _HEADING), _clean(found.next_step)),
    )


def _inner(found: History) -> Iterator[RenderableType]:
    """The documents inside it, as a tree."""
    if not found.inner:
        return
    yield Paragraph(f"Inside it: {counted(found.inner_count, 'document')}.")
    for part in found.inner:
        why = f": {part.error_message}" if part.error_message else ""
        yield Paragraph(
            _whole(part.part_path),
            " ",
            (part.state.replace("_", " "), _STATES[part.state]),
            _clean(why),
            f" (partition {part.partition_key})",
            indent=2 * part.depth,
        )
    if found.inner_count > len(found.inner):
        yield Paragraph(f"… and {found.inner_count - len(found.inner):,} more.", indent=2)


def _document(found: History) -> Iterator[RenderableType]:
    document = found.document
    if document is None:
        if found.sighting.document_uuid:
            yield Paragraph(
                f"It names document {found.sighting.document_uuid}, which has no row: "
                "`ingest-assets verify`."
            )
        return
    yield Paragraph(
        f"It is document {document.document_uuid}, {document.mime_type}, registered at "
        f"{_time(document.created_at)}, SHA-256 {document.sha256}."
    )
    if document.partition_key != found.sighting.partition_key:
        yield Paragraph(
            "It is a duplicate: ",
            _name(document.original_file_name),
            f" (partition {document.partition_key}) has the same bytes and was registered first.",
        )
    if found.other_sightings:
        yield Paragraph(f"The same bytes were seen elsewhere, too ({found.other_sightings_count:,}):")
        for other in found.other_sightings:
            yield Paragraph(_whole(other.source_uri), f" (partition {other.partition_key})", indent=2)
    yield _object(document)
    yield from _results(document)
    for note in found.notes:
        head = ("Left out", _WARN) if note.leaves_out else "Note"
        page = f"page {note.page_number}: " if note.page_number else ""
        yield Paragraph(head, f" ({note.kind}): {page}", _clean(note.sentence), indent=2)
    for job in found.textract_jobs:
        yield from _textract_job(job)


def _object(document: Document) -> RenderableType:
    where = _whole(f"s3://{document.s3_bucket}/{document.s3_key}")
    if document.upload_timestamp:
        return Paragraph("Its object is ", where, f", verified at {_time(document.upload_timestamp)}.")
    return Paragraph("It has no verified object yet; its place is ", where, ".")


def _results(document: Document) -> Iterator[RenderableType]:
    if document.recognised_at is None:
        yield Paragraph("It has no text yet.")
        return
    read = (
        f"read at {_time(document.recognised_at)} by {document.ocr_engine} "
        f"({document.ocr_engine_version}): {counted(document.page_count or 0, 'page')}, "
    )
    if not document.char_count:
        yield Paragraph(f"It was {read}nothing readable on them.")
        return
    confidence = document.mean_confidence
    yield Paragraph(
        f"Its text, {read}{document.char_count:,} characters"
        + (f", mean confidence {confidence:.2f}." if confidence is not None else ".")
    )
    if document.chunked_at is not None:
        chunks = counted(document.chunk_count or 0, "chunk")
        yield Paragraph(f"It has {chunks}, cut at {_time(document.chunked_at)}.")
    if document.extracted_at is not None:
        mentions = counted(document.mention_count or 0, "mention")
        yield Paragraph(
            f"It has {mentions} of entities, found at {_time(document.extracted_at)} by "
            f"{document.entity_engine} ({document.entity_engine_version})."
        )


def _textract_job(job: Job) -> Iterator[RenderableType]:
    first = f" from page {job.first_page} on" if job.first_page > 1 else ""
    cost = "" if job.cost_usd is None else f", {job.pages} pages, about ${job.cost_usd:.4f}"
    yield Paragraph(
        f"{_time(job.created_at)}  Textract, start {job.attempt}{first}: "
        f"{job.status.replace('_', ' ')}{cost}; job {job.job_id or 'without an id yet'}",
        indent=2,
    )
    if job.error_message:
        yield Paragraph(_clean(f"{job.error_message} ({job.error_code})"), indent=4)


def _attempts(attempts: Sequence[Attempt], now: datetime, dagit: str) -> Iterator[RenderableType]:
    if not attempts:
        yield Paragraph("Nothing was tried yet.")
        return
    yield Text("What was tried", _HEADING)
    run_id = None
    for attempt in attempts:
        if attempt.run_id != run_id:
            run_id = attempt.run_id
            yield Paragraph("run ", (f"{dagit}/runs/{run_id}", _ID), indent=2)
        yield from _attempt(attempt, now)


def _attempt(attempt: Attempt, now: datetime) -> Iterator[RenderableType]:
    end = attempt.finished_at
    took = f", {(end - attempt.started_at).total_seconds():.1f} s" if end else ""
    reason = f" ({attempt.error_class}, {attempt.error_code})" if attempt.error_class else ""
    yield Paragraph(
        (_time(attempt.started_at), _QUIET),
        f"  {attempt.stage}, attempt {attempt.attempt}: ",
        (attempt.status, _ATTEMPTS[attempt.status]),
        f"{reason}{took}",
        indent=4,
    )
    if attempt.status == "running":
        seconds = (now - attempt.heartbeat_at).total_seconds()
        yield Paragraph(f"Last sign of life {seconds:.0f} s ago.", indent=6)
    if attempt.error_message:
        yield Paragraph(_clean(attempt.error_message), indent=6)
    if attempt.error_remedy:
        yield Paragraph("What to do: ", _clean(attempt.error_remedy), indent=6)


# --- search, retry ------------------------------------------------------------------------------


def passages(found: Found, ranked: int) -> RenderableType:
    """The passages that match, each with what is needed to find it again.

    Args:
        ranked: how many passages a search ranks at most.
    """
    if not found.passages:
        return Paragraph("Nothing matches.")
    if found.matches >= ranked:
        end = f"The best of the first {ranked:,} passages that match; add a word to narrow it down."
    else:
        end = f"{len(found.passages):,} of {found.matches:,} that match."
    return Group(*(part for one in found.passages for part in _passage(one)), Paragraph((end, _QUIET)))


def _passage(passage: Passage) -> Iterator[RenderableType]:
    if passage.page_start is None:
        where = "in the whole document"
    elif passage.page_start == passage.page_end:
        where = f"page {passage.page_start}"
    else:
        where = f"pages {passage.page_start} to {passage.page_end}"
    yield Paragraph(
        _whole(passage.original_file_name, _NAME),
        f", {where}  (document ",
        (str(passage.document_uuid), _ID),
        ")",
    )
    if passage.attached_to:
        yield Paragraph("attached to ", ", ".join(map(_clean, passage.attached_to)), indent=4)
    snippet = re.split("(«[^»]*»)", _clean(passage.snippet))
    yield Paragraph(*((part, _WARN) if part.startswith("«") else part for part in snippet), indent=4)


def failures(found: Sequence[Failure]) -> RenderableType:
    """The documents that are tried again: how many, and the first of them."""
    return Group(
        Paragraph(f"{counted(len(found), 'document')}."),
        *(
            Paragraph(
                _name(failure.original_file_name),
                f" at {failure.stage} ({failure.error_class}, {failure.error_code}), failed runs: "
                f"{failure.runs}, partition ",
                (failure.partition_key, _ID),
                indent=2,
            )
            for failure in found[:_LISTED]
        ),
        *_more(len(found), _LISTED),
    )


# --- verify -------------------------------------------------------------------------------------


def verification(found: Verification) -> RenderableType:
    """The answers to the checklist, then the documents that fail and what to do about them."""
    answers = _table("check", "answer", "failing")
    for check in found.checks:
        answers.add_row(check.name, _verdict(check), f"{check.answer.count:,}")
    parts: list[RenderableType] = [answers]
    for check in found.checks:
        parts += _check(check)
    if found.in_flight:
        in_flight = counted(found.in_flight, "document")
        parts += ["", Paragraph(f"In flight, and so not judged: {in_flight}.")]
    failed = sum(check.failed for check in found.checks)
    verdict = (
        Text(f"{failed} of {len(found.checks)} checks failed.", _BAD)
        if failed
        else Text("All is well.", _GOOD)
    )
    return Group(*parts, "", verdict)


def _verdict(check: CheckResult) -> Text:
    if check.passed:
        return Text("passed", _GOOD)
    return Text("FAILED", _BAD) if check.failed else Text("warning", _WARN)


def _check(check: CheckResult) -> Iterator[RenderableType]:
    answer = check.answer
    if not check.passed:
        yield ""
        style = _BAD if check.failed else _WARN
        yield Paragraph((check.name, style), f": {check.question} No: {answer.count:,}.")
        yield from _named(answer.failing)
        yield from _more(answer.count, len(answer.failing))
        yield Paragraph("What to do: ", check.remedy, indent=2)
    if answer.note:
        yield ""
        yield Paragraph((check.name, _HEADING), f": {answer.note}")
        yield from _named(answer.explained)


def _named(documents: Iterable[Named]) -> Iterator[RenderableType]:
    for named in documents:
        yield Paragraph(_whole(str(named), _NAME), indent=2)
        yield Paragraph(_clean(named.why), indent=4)


def engine(sentences: Sequence[str], fault: IngestError | None, name: str) -> RenderableType:
    """Whether the engine that reads documents is set up."""
    if fault is not None:
        return Paragraph((f"{name}: ", _BAD), _clean(fault))
    return Group(*(Paragraph(_clean(sentence)) for sentence in sentences))


# --- reconcile, rebuild-db ----------------------------------------------------------------------


def inventory(found: Inventory, advice: Mapping[str, str]) -> RenderableType:
    """What an inventory found: each class with its first keys.

    Args:
        advice: what to do, by class.
    """
    parts: list[RenderableType] = [Paragraph((f"{found}.", _HEADING), f" ({found.seconds:.1f} s)")]
    for kind, samples in found.samples.items():
        if not samples:
            continue
        parts.append(Paragraph((f"{kind}: {found.counts[kind]:,}", _HEADING)))
        parts += [
            Paragraph(_name(one.key), ": ", _clean(one.detail), indent=2)
            for one in samples[:_LISTED_OF_A_CLASS]
        ]
        parts += _more(found.counts[kind], _LISTED_OF_A_CLASS)
        if kind in advice:
            parts.append(Paragraph("What to do: ", advice[kind], indent=2))
    if found.bytes_read:
        parts.append(Paragraph(f"{found.bytes_read:,} bytes read and compared."))
    return Group(*parts)


def estimate(found: Estimate, prefix: str = "") -> RenderableType:
    """What Textract would cost."""
    cost = (
        f"{counted(found.documents, 'document')}, {counted(found.pages, 'page')}, "
        f"about ${found.cost_usd:,.2f}"
    )
    how = (
        f" (the pages of {found.estimated:,} are estimated, at {found.bytes_per_page:,} bytes a page; "
        "--count-pages counts those of objects in the bucket)"
        if found.estimated
        else ""
    )
    return Paragraph(f"Textract: {prefix}{cost}{how}.")


def done(outcomes: Iterable[Done]) -> RenderableType:
    """What was done about each finding, or why it was not."""
    return Group(
        *(Paragraph(_whole(one.key), ": ", _clean(one.detail)) for one in outcomes),
    )


def rebuilt(found: Rebuilt) -> RenderableType:
    """What `rebuild-db` restored, and what it could not."""
    parts: list[RenderableType] = [
        Paragraph(
            f"{counted(found.objects, 'object')}: {counted(found.documents, 'document')} restored, "
            f"{found.already_there:,} had their rows, {len(found.not_restored):,} not restored."
        )
    ]
    for heading, entries in (
        ("Not restored", found.not_restored),
        ("Restored, but not everything of them is known", found.not_known),
    ):
        if entries:
            parts.append(Paragraph((f"{heading}:", _HEADING)))
        for key, what in entries[:_LISTED]:
            parts.append(Paragraph(_whole(key), ": ", _clean(what), indent=2))
        parts += _more(len(entries), _LISTED)
    if found.uploads:
        parts.append(
            Paragraph(
                f"{found.uploads:,} other objects have keys that name no document; "
                "`ingest-assets reconcile plan` lists those without a row."
            )
        )
    if found.documents:
        parts.append(
            Paragraph(
                "The bucket does not say which other files had the same content, nor what was tried "
                "before: the sensors find the files again, and a backfill reads the texts again."
            )
        )
    return Group(*parts)


# --- parts ---------------------------------------------------------------------------------------


class _SideBySide:
    """Two tables side by side on a terminal that is wide enough, else one below the other."""

    def __init__(self, left: Table, right: Table) -> None:
        self._left, self._right = left, right

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal and options.max_width >= _SIDE_BY_SIDE_COLUMNS:
            grid = Table.grid(padding=(0, 4))
            grid.add_row(self._left, self._right)
            yield grid
        else:
            yield Group(self._left, "", self._right)


class _Share:
    """A bar as long as the part is of the whole. Only on a terminal."""

    def __init__(self, part: int, whole: int, style: str) -> None:
        self._part, self._whole, self._style = part, whole, Style.parse(style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = _BAR_COLUMNS if console.is_terminal else 0
        return Measurement(width, width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal and self._whole:
            color = self._style.color or "default"
            yield Bar(self._whole, 0, self._part, width=_BAR_COLUMNS, color=color)


def _table(*headings: str) -> Table:
    """A table without lines: the first column holds words, those with numbers are aligned right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=_HEADING)
    for number, heading in enumerate(headings):
        right = number > 0 and heading in ("documents", "failing")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    return table


def _more(total: int, listed: int) -> Iterator[RenderableType]:
    if total > listed:
        yield Paragraph(f"… and {total - listed:,} more.", indent=2)


def _name(untrusted: str) -> Text:
    """A name in quotes, with its control characters escaped; never broken."""
    return Text(repr(untrusted), _NAME)


def _whole(untrusted: object, style: str = "") -> Text:
    """Text from outside that is never broken."""
    return Text(_clean(untrusted), style)


def _clean(untrusted: object) -> str:
    """Text from outside, on one line and without control characters."""
    one_line = " ".join(str(untrusted).split())
    return "".join(character if character.isprintable() else " " for character in one_line)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
