"""The crash matrix: every failpoint, the scenario it is reached in, and what came of it.

    python -m ingest_assets_tests.crash.matrix docs/crash-matrix.md

runs all of it, with the engines' processes as in production, and writes the table;
`test_crash_matrix.py` runs the same as tests.
"""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from sqlalchemy import create_engine

import ingest_assets
from ingest_assets.markdown import table
from ingest_assets.store.database import sqlalchemy_url
from ingest_assets_tests.crash import hosts, invariants
from ingest_assets_tests.crash.invariants import World
from ingest_assets_tests.crash.scenarios import (
    SCENARIOS,
    act_again,
    act_until_killed,
    prepare,
)
from ingest_assets_tests.crash.site import Site, site, start_server
from ingest_assets_tests.support.pipeline import migrated_with_dagster
from ingest_assets_tests.support.servers import running_services

# A case waits for processes to start and for services.
AT_A_TIME = 4


@dataclass(frozen=True)
class Case:
    """One kill.

    Attributes:
        failpoint: where.
        scenario: what was going on.
        where: the place in words.
        passes: how often the place was passed unharmed before.
        in_engine: whether the engine is at work when the process is killed, or was a moment ago.
    """

    failpoint: str
    scenario: str
    where: str
    passes: int = 0
    in_engine: bool = False

    def __str__(self) -> str:
        return f"{self.failpoint}{'+' * self.passes} in {self.scenario}".replace(" ", "-")


CASES = (
    Case("sources.inserted", "files", "sources inserted, not committed"),
    Case("sources.committed", "two runs", "sources committed; no partitions yet"),
    Case("partitions.adding", "files", "before the partitions are added"),
    Case("partitions.added", "two runs", "partitions added; nothing launched"),
    Case("sensor.requesting", "two runs", "runs chosen; the tick has not returned"),
    Case("run.started", "two runs", "the run has begun; no document has"),
    Case("attempt.inserted", "files", "attempt inserted, not committed"),
    Case("attempt.committed", "files", "attempt committed; nothing done"),
    Case("attempt.committed", "files", "the same, after other documents", passes=1),
    Case("results.writing", "files", "stage done; nothing of it stored"),
    Case("results.written", "files", "results stored and attempt ended, not committed"),
    Case("results.committed", "files", "results committed; Dagster not told"),
    Case("results.committed", "files", "the same, in the midst of the run", passes=3),
    Case("attempt.failed", "files", "failed attempt ended; Dagster not told"),
    Case("row.inserted", "files", "row inserted, not committed"),
    Case("object.storing", "files", "before the object is put"),
    Case("object.stored", "files", "object put, not verified"),
    Case("object.verified", "files", "object verified; the row does not say so"),
    Case("timestamp.updated", "files", "timestamp updated, not committed"),
    Case("event.yielding", "files", "before an event of materialisation"),
    Case("event.yielded", "files", "after an event of materialisation"),
    Case("event.yielded", "files", "the same, after the fifth", passes=4),
    Case("events.storing", "files", "events wait to be stored"),
    Case("events.stored", "files", "some events stored; documents not marked as reported"),
    Case("run.ending", "two runs", "all events are out; the run has not ended"),
    Case("parts.begun", "large", "upload in parts begun; none sent"),
    Case("part.sent", "large", "after the first part"),
    Case("part.sent", "large", "after the second part", passes=1),
    Case("parts.completing", "large", "all parts sent, not put together"),
    Case("object.stored", "large", "parts put together, not verified"),
    Case("sources.committed", "inbox", "objects found; nothing launched"),
    Case("part.sent", "inbox", "after the first part of what is read from S3"),
    Case("sources.committed", "replaced", "object found; it is replaced before it is read"),
    Case("text.recognising", "scan", "before recognition"),
    Case("page.read", "scan", "after the first page", in_engine=True),
    Case("page.read", "scan", "after the second page", passes=1, in_engine=True),
    Case("text.recognised", "scan", "recognised; nothing stored", in_engine=True),
    Case("thumbnail.stored", "scan", "picture of page 1 stored; no text"),
    Case("text.inserted", "scan", "text and pages inserted, not committed"),
    Case("chunks.inserted", "scan", "chunks replaced, not committed"),
    Case("entities.found", "scan", "entities found; nothing stored", in_engine=True),
    Case("entities.inserted", "scan", "mentions and entities inserted, not committed"),
    Case("results.committed", "scan", "row committed; no object"),
    Case("results.committed", "scan", "timestamp committed; no text", passes=1),
    Case("results.committed", "scan", "text committed; no chunks", passes=2),
    Case("results.committed", "scan", "chunks committed; no entities", passes=3),
    Case("results.committed", "scan", "entities committed; Dagster not told", passes=4),
    Case("contents.inserted", "containers", "parts inserted with the text, not committed"),
    Case("results.committed", "containers", "text and parts committed; nothing launched", passes=2),
    Case("object.stored", "containers", "a part put, not verified", passes=2),
    Case("orphans.inserted", "adopt", "uploads inserted as sources, not committed"),
    Case("orphans.committed", "adopt", "uploads committed as sources; no partitions"),
    Case("partitions.added", "adopt", "partitions added; nobody told"),
    Case("results.committed", "adopt", "row of an upload committed; not copied"),
    Case("copy.probing", "adopt", "while the endpoint is tried out"),
    Case("object.stored", "adopt", "copied, not verified"),
    Case("results.committed", "adopt", "more of them committed", passes=2),
    Case("parts.begun", "adopt in parts", "copy in parts begun; none copied"),
    Case("part.copied", "adopt in parts", "after a part was copied"),
    Case("parts.completing", "adopt in parts", "all parts copied, not put together"),
    Case("original.deleting", "delete", "copy compared; original not removed"),
    Case("original.deleted", "delete", "one original removed"),
    Case("rebuild.inserted", "rebuild", "rows restored, not committed"),
    Case("rebuild.committed", "rebuild", "rows restored; no partitions"),
    Case("retry.requesting", "retry", "documents chosen; no backfill requested"),
    Case("retry.requested", "retry", "backfill requested; nobody told"),
    Case("forget.buried", "forget", "tombstone written, text removed; the rest is there"),
    Case("forget.objects", "forget", "objects removed; Dagster's records name it"),
    Case("forget.records", "forget", "Dagster's records masked; rows name it"),
    Case("forget.deleted", "forget", "rows deleted, not committed"),
    Case("forget.committed", "forget", "all gone; the tombstone does not say so"),
    Case("object.stored", "restore", "object stored again, not verified"),
    Case("timestamp.updated", "restore", "object verified, not committed"),
)


def _chains(scenario: str, *chains: tuple[str, ...]) -> Iterator[tuple[Case, ...]]:
    end = f"-in-{scenario.replace(' ', '-')}"
    cases = {str(case).removesuffix(end): case for case in CASES if case.scenario == scenario}
    for names in chains:
        yield tuple(cases[name] for name in names)


# Where the process that comes after one that was killed is killed too, further on: it has gone on from
# what the one before left, and the last, which nothing kills, goes on from what all have left. All
# other cases have a place to themselves; in `make test-all`, these have too.
CHAINS = (
    *_chains(
        "files",
        ("sources.inserted", "row.inserted"),
        ("partitions.adding", "object.storing"),
        ("attempt.inserted", "object.stored"),
        ("attempt.committed", "object.verified"),
        ("attempt.committed+", "timestamp.updated"),
        ("results.writing", "event.yielding"),
        ("results.written", "event.yielded"),
        ("results.committed", "event.yielded++++"),
        ("results.committed+++", "events.storing"),
        ("attempt.failed", "events.stored"),
    ),
    *_chains(
        "two runs",
        ("sources.committed", "sensor.requesting", "run.started"),
        ("partitions.added", "run.ending"),
    ),
    *_chains(
        "large", ("parts.begun", "part.sent+", "parts.completing"), ("part.sent", "object.stored")
    ),
    *_chains("inbox", ("sources.committed", "part.sent")),
    *_chains(
        "scan",
        ("page.read", "text.recognised"),
        ("page.read+", "entities.found"),
        ("results.committed", "text.recognising", "text.inserted"),
        ("results.committed+", "thumbnail.stored"),
        ("results.committed++", "chunks.inserted"),
        ("results.committed+++", "entities.inserted"),
    ),
    *_chains("containers", ("contents.inserted", "object.stored++")),
    *_chains(
        "adopt",
        ("orphans.inserted", "results.committed"),
        ("orphans.committed", "copy.probing"),
        ("partitions.added", "object.stored"),
    ),
    *_chains("adopt in parts", ("parts.begun", "parts.completing")),
    *_chains("delete", ("original.deleting", "original.deleted")),
    *_chains("rebuild", ("rebuild.inserted", "rebuild.committed")),
    *_chains("retry", ("retry.requesting", "retry.requested")),
    *_chains(
        "forget",
        ("forget.buried", "forget.records", "forget.committed"),
        ("forget.objects", "forget.deleted"),
    ),
)
_IN_CHAINS = {case for chain in CHAINS for case in chain}
# All cases, each once.
GROUPS: tuple[tuple[Case, ...], ...] = (
    *CHAINS, *((case,) for case in CASES if case not in _IN_CHAINS)
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What came of one kill.

    Attributes:
        broken: promises that did not hold, each in a sentence; empty is well.
        left: what the killed process left.
        then: what the next one did.
        seconds: wall time of all of it.
    """

    case: Case
    broken: list[str]
    left: str
    then: str
    seconds: float


def failpoints_in_the_code() -> set[str]:
    """Every failpoint that the package marks."""
    package = Path(ingest_assets.__file__).parent
    return {
        name
        for module in package.rglob("*.py")
        for name in re.findall(r'\bfailpoint\("([^"]+)"\)', module.read_text())
    }


def run_case(case: Case, place: Site) -> Result:
    """Kill, look, let the next process do its work, and look again."""
    return run_cases((case,), place)


def run_cases(cases: Sequence[Case], place: Site) -> Result:
    """Kill, look, kill the next process too where there are more cases, and then as `run_case`.

    Args:
        cases: of one scenario; the last is the result's.
    """
    started = time.monotonic()
    broken: list[str] = []
    scenario = SCENARIOS[cases[0].scenario]
    prepare(place, scenario)
    first, prepared = _look(place), len(place.recognitions())
    # What was lost before, to be restored, is no fault of the process that was killed.
    known = set(invariants.broken_at_any_instant(first))
    kills: list[World] = []
    had_text: dict[str, int] = {}  # By key, how many recognitions had begun when it was seen.
    for case in cases:
        code = place.run(act_until_killed, case.scenario, case.failpoint, case.passes)
        if code != -signal.SIGKILL:
            broken.append(
                f"The failpoint {case.failpoint} was not reached: exit code {code}.\n"
                f"{place.last_words()}"
            )
        killed = _look(place)
        kills.append(killed)
        broken += (
            f"After the kill at {case.failpoint}: {what}"
            for what in invariants.broken_at_any_instant(killed)
            if what not in known
        )
        texts = {row.document_uuid for row in killed.rows["texts"]}
        for row in killed.rows["documents"]:
            if row.document_uuid in texts:
                had_text.setdefault(row.s3_key, len(place.recognitions()))

    code = place.run(act_again, case.scenario)
    if code != 0:
        broken.append(f"The next process ended with exit code {code}.\n{place.last_words()}")
    end = _look(place)
    broken += invariants.broken_at_the_end(end)
    for before in (first, *kills):
        broken += _changed(before, end, scenario.changes)
    broken += recognised_too_often(place.recognitions()[prepared:], end)
    again = (key for key, begun in had_text.items() if key in place.recognitions()[begun:])
    broken += (f"G5: {key} had a text and was recognised again." for key in again)
    states: dict[str, list[str]] = {}
    for row in end.rows["progress"]:
        states.setdefault(row.original_file_name, []).append(row.state)
    if {name: sorted(found) for name, found in states.items()} != scenario.states:
        broken.append(f"G2, G9: the outcomes are {states}.")
    originals = [key for key in end.objects if key.startswith("documents/2025/")]
    if not scenario.originals and originals:
        broken.append(f"Originals are left: {originals}.")
    return Result(case, broken, _left(killed), _then(killed, end), time.monotonic() - started)


def _look(place: Site) -> World:
    engine = create_engine(sqlalchemy_url(place.database_url))
    try:
        return invariants.look(engine, place.services.s3_client(), place.bucket, place.input_dir)
    finally:
        engine.dispose()


def _changed(before: World, after: World, changes: str | None) -> Iterator[str]:
    for what in invariants.broken_between(before, after):
        if changes is None or not what.startswith(changes):
            yield what


def recognised_too_often(recognitions: Sequence[str], end: World) -> Iterator[str]:
    """Once a document, and once more for each attempt that is recorded as not having ended well."""
    keys = {row.document_uuid: row.s3_key for row in end.rows["documents"]}
    allowed = Counter(keys.values())
    for row in end.rows["attempts"]:
        if row.stage == "document_text" and row.status == "failed":
            allowed[keys[row.document_uuid]] += 1
    for key, count in (Counter(recognitions) - allowed).items():
        yield f"G5: {key} was recognised {count} times too often."


def _left(world: World) -> str:
    """What there is, in short."""
    counts = {
        "sources": len(world.rows["sources"]),
        "rows": len(world.rows["documents"]),
        "objects": sum(not key.startswith("documents/2025/") for key in world.objects),
        "texts": len(world.rows["texts"]),
        "open attempts": sum(row.status == "running" for row in world.rows["attempts"]),
        "open uploads": len(world.uploads),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"


def _then(killed: World, end: World) -> str:
    known = {row.attempt_id for row in killed.rows["attempts"]}
    new = [row for row in end.rows["attempts"] if row.attempt_id not in known]
    closed = sum(row.error_code == "abandoned" for row in end.rows["attempts"])
    return f"{len(new)} attempts" + (f", {closed} closed as abandoned" if closed else "")


def write_table(results: list[Result], seconds: float) -> str:
    """The page `docs/crash-matrix.md`."""
    held = sum(not result.broken for result in results)
    rows = [
        (
            result.case.failpoint,
            SCENARIOS[result.case.scenario].what,
            result.case.where,
            result.left,
            result.then,
            "held" if not result.broken else "BROKEN: " + " ".join(result.broken),
            f"{result.seconds:.1f}",
        )
        for result in results
    ]
    headings = (
        "failpoint", "in", "killed where", "left behind", "the next process", "G1 to G10", "s"
    )  # fmt: skip
    return "\n".join(
        [
            "# The crash matrix",
            "",
            "Written by `python -m ingest_assets_tests.crash.matrix docs/crash-matrix.md`; the same "
            "runs in `make test-all`, and in `make test` without the engines' processes where they "
            "have nothing to do when the process is killed. There, most of the kills come one after "
            "the other: the process that comes after the first is killed too, further on.",
            "",
            "A real process kills itself with SIGKILL at the failpoint. Then files, bucket and "
            "database are looked at directly: what must hold at any instant holds. The next process "
            "does what a restarted daemon does, or a person who repeats the command; then all "
            "promises are asked for, the verification checklist is passed, and one more look changes "
            "nothing.",
            "",
            f"{held} of {len(results)} held; {seconds:.0f} s for all, {AT_A_TIME} at a time.",
            "",
            table(headings, rows),
            "",
        ]
    )


@click.command()
@click.argument("page", type=click.Path(dir_okay=False, path_type=Path))
def main(page: Path) -> None:
    """Run all cases, and write the table."""
    started = time.monotonic()
    results = []
    with (
        TemporaryDirectory(prefix="crash-matrix-") as directory,
        running_services(Path(directory)) as services,
        migrated_with_dagster(services, Path(directory, "dagster")) as url,
        ThreadPoolExecutor(AT_A_TIME, "case") as pool,
    ):
        start_server(services, url, Path(directory, "server"))

        def run(case: Case) -> Result:
            with site(services, url, Path(directory, str(case))) as place:
                return run_case(case, place)

        for result in pool.map(run, CASES):
            results.append(result)
            click.echo(f"{result.case}: {'; '.join(result.broken) or 'held'}")
    _, _, rest = (page.read_text() if page.exists() else "").partition(hosts.HEADING)
    of_hosts = f"\n{hosts.HEADING}{rest}" if rest else ""
    page.write_text(write_table(results, time.monotonic() - started) + of_hosts)
    raise SystemExit(any(result.broken for result in results))


if __name__ == "__main__":
    main()
