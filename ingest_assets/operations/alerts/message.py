"""The text of a letter: one for all that is new, whatever their number.

Belongs here: words and their order. Does not belong here: what is new (`engine`),
and how a service shows text (apprise).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from ingest_assets.markdown import partition_link
from ingest_assets.operations.status import Status
from ingest_assets.text import counted

# What the topics of documents that failed begin with.
DOCUMENTS = "documents:"


class Letter(NamedTuple):
    """What is sent.

    Attributes:
        kind: `bad` if something needs a person, `good` if all is over, `info` otherwise.
    """

    title: str
    body: str
    kind: str = "bad"


class Group(NamedTuple):
    """All that is wrong for one reason.

    Attributes:
        title: a sentence; of documents what follows "12 documents ".
        documents: how many; 0 if it is not about documents, or if they were forgotten meanwhile.
        fresh: how many rows of it the channel was not told of.
        since: when the first began.
        first_fresh, last_fresh: when the first and the last of those began.
        names, partition_keys, stages: of the first few, those that are new before others.
    """

    topic: str
    title: str
    detail: str
    documents: int
    since: datetime
    fresh: int = 0
    first_fresh: datetime = datetime.max
    last_fresh: datetime = datetime.max
    names: Sequence[str] | None = None
    partition_keys: Sequence[str] | None = None
    stages: Sequence[str] | None = None

    @property
    def is_of_documents(self) -> bool:
        """Whether documents are what is wrong."""
        return self.topic.startswith(DOCUMENTS)

    @property
    def sentence(self) -> str:
        """The title with the number of documents."""
        return self._counted(self.documents)

    @property
    def new(self) -> str:
        """The same of what is new."""
        return self._counted(self.fresh)

    def _counted(self, count: int) -> str:
        if not self.is_of_documents:
            return self.title
        return f"{counted(count, 'document')} {self.title}" if count else f"documents {self.title}"


def news(groups: Sequence[Group], over: Sequence[Group], dagit: str, place: str) -> Letter:
    """What is new, what is over, and what lasts.

    Args:
        groups: all that is wrong now.
        over: what a channel was told of that is not wrong any more.
    """
    fresh = [group for group in groups if group.fresh]
    if fresh:
        title = fresh[0].new.rstrip(".") + (f", and {len(fresh) - 1} more" if len(fresh) > 1 else "")
    elif groups:
        title = "Over: " + over[0].sentence.rstrip(".")
    else:
        title = "All clear"
    lines = [*_fresh(fresh, dagit), *_over(over)]
    lasting = [group for group in groups if not group.fresh]
    lines += _list("Still so:", [_lasting(group) for group in lasting])
    if not groups:
        lines.append("Nothing needs a person now.\n")
    return Letter(
        f"[ingest_assets] {title}",
        "\n".join([*lines, *_end(dagit, place)]),
        "bad" if fresh else "info" if groups else "good",
    )


def daily(
    letter: Letter | None,
    groups: Sequence[Group],
    last_day: Mapping[str, int],
    status: Status,
    dagit: str,
    place: str,
) -> Letter:
    """The letter of a day; what would have been told now stands in it.

    Args:
        letter: that.
        last_day: documents by the state that they reached in the last 24 hours.
    """
    counts = ", ".join(f"{count:,} {state}" for state, count in last_day.items())
    lines = [f"In the last 24 hours: {counts or 'no document'}.", f"All: {status}.", ""]
    if letter:
        lines.append(letter.body)
    else:
        lines += _list("Needs a person:", [_lasting(group) for group in groups])
        lines += [] if groups else ["Nothing needs a person.", ""]
        lines += _end(dagit, place)
    return Letter(
        f"[ingest_assets] Daily: {needing(len(groups))}",
        "\n".join(lines),
        letter.kind if letter else "info",
    )


def needing(count: int) -> str:
    """How many things need a person."""
    things = {0: "nothing needs", 1: "one thing needs"}
    return f"{things.get(count, f'{count} things need')} a person"


def trial(dagit: str, place: str) -> Letter:
    """A letter that says that letters arrive."""
    lines = ["This is a test: alerts of ingest_assets arrive here.", "", *_end(dagit, place)]
    return Letter("[ingest_assets] Test", "\n".join(lines), "info")


def _fresh(groups: Sequence[Group], dagit: str) -> Iterator[str]:
    for group in groups:
        yield group.new + ("." if group.is_of_documents else "")
        if group.detail:
            yield group.detail
        columns = (group.names or (), group.partition_keys or (), group.stages or ())
        named = list(zip(*columns, strict=True))[: group.fresh]
        for name, key, stage in named:
            yield f"- {_printable(name)}"
            yield f"  {dagit}{partition_link(key, stage=stage).address}"
        if group.documents and group.fresh > len(named):
            yield f"- and {group.fresh - len(named):,} more"
        yield ""


def _over(groups: Sequence[Group]) -> Iterator[str]:
    yield from _list("Over:", [f"{group.sentence} (since {_time(group.since)})" for group in groups])


def _lasting(group: Group) -> str:
    return f"{group.sentence} (since {_time(group.since)})"


def _list(heading: str, items: Sequence[str]) -> list[str]:
    return [heading, *(f"- {item}" for item in items), ""] if items else []


def _end(dagit: str, place: str) -> Iterator[str]:
    yield f"Everything: {dagit}/assets/ingest_report, or `ingest-assets status` and `why NAME`."
    yield place


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M %Z}"


def _printable(name: str) -> str:
    """A file's name on one line: names may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
