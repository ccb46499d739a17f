"""Citations are found as eyecite finds them, though eyecite is seldom asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eyecite import get_citations
from eyecite.tokenizers import EDITIONS_LOOKUP
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_assets.extraction.sandbox import citations

WORDS = [
    "see",
    "v.",
    "Jones,",
    "the Agreement",
    "5 May 2001",
    "§",
    "§ §",
    "¶",
    "id.",
    "supra",
    "at",
    "Mass. Gen. Laws ch. 1",
]
SPACES = st.sampled_from(["", " ", "  ", "\n", " \n ", " " * 300])


@st.composite
def cited(draw: st.DrawFn) -> str:
    """A reporter's name between numbers, with or without white space where eyecite takes it."""
    name = draw(st.sampled_from(sorted(EDITIONS_LOOKUP)))
    name = name.replace(".", "." + draw(SPACES)).replace(" ", draw(SPACES) or " ")
    volume = draw(st.sampled_from(["1", "12", "1999", "x", "§", ""]))
    page = draw(st.sampled_from(["1", "345", "_", "at 7", ""]))
    return f"{volume}{draw(SPACES)}{name}{draw(SPACES)}{page}"


TEXTS = st.lists(st.one_of(cited(), st.sampled_from(WORDS)), max_size=12).map(" ".join)


def all_of_eyecite(text: str) -> Iterator[object]:
    for citation in get_citations(text) if text else ():
        if isinstance(citation, citations.FULL):
            yield citation


# eyecite makes hundreds of expressions ready before it answers, and others for each text.
@settings(max_examples=min(settings().max_examples // 2, 40))
@given(text=TEXTS)
def test_the_same_as_eyecite_finds(text: str) -> None:
    assert places(citations.full_citations(text)) == places(all_of_eyecite(text))


def test_each_name_of_a_reporter_is_asked_for() -> None:
    left_out = [
        name
        for name in EDITIONS_LOOKUP
        # The other way round it is the same, and takes ten seconds.
        if not citations.may_cite(text := f"See 12 {name} 345 (2001).") and list(all_of_eyecite(text))
    ]
    assert left_out == []


@pytest.mark.parametrize(
    "text", ["", "5 May 2001", "12 months, 345 days", "Section 12 of the Agreement"]
)
def test_eyecite_is_not_asked_where_nothing_is_cited(text: str) -> None:
    assert not citations.may_cite(text)


def places(found: Iterator[object]) -> list[tuple[object, str]]:
    return [(one.span(), one.corrected_citation()) for one in found]  # type: ignore[attr-defined]
