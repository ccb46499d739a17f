"""Chunks are places in the text: nothing is lost, doubled or cut where it should not be."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_assets.extraction.chunks import Chunker

# Whatever text there is, with much of what ends lines, words and sentences, and what makes one
# character of several code points.
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
PIECES = st.one_of(
    st.sampled_from(
        [
            " ",
            "\n",
            "\n\n",
            ".",
            ". ",
            "\t",
            "\u00a0",
            "e\u0301",
            "👨‍👩‍👧",
            "العربية",
            "漢字",
            "word",
            "\u200b",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
WILD = st.lists(PIECES, max_size=200).map("".join)


@given(WILD, st.integers(4, 60), st.integers(0, 3))
@example("a" * 200, 10, 0)
@example(" " * 100 + "x", 10, 2)
def test_chunks_hold_all_of_the_text_and_nothing_else(text: str, size: int, overlap: int) -> None:
    chunks = list(Chunker(size, overlap).split(text))
    assert all(0 <= chunk.start < chunk.end <= len(text) for chunk in chunks)
    assert all(one.start < other.start and one.end < other.end for one, other in pairwise(chunks))
    covered = bytearray(len(text))
    for chunk in chunks:
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
        # Longer than asked for only where one character takes more code points than that.
        assert chunk.end - chunk.start <= size or len(text[chunk.start : chunk.end].split()) == 1
    assert all(inside or not text[place].strip() for place, inside in enumerate(covered))


@given(st.lists(st.from_regex(r"[A-Za-z]{1,12}[.,;]?", fullmatch=True), max_size=300))
def test_no_word_is_cut(words: list[str]) -> None:
    text = " ".join(words)
    for start, end in Chunker(40, 10).split(text):
        assert start == 0 or text[start - 1] == " " or not text[start].isalpha()
        assert end == len(text) or not (text[end - 1].isalpha() and text[end].isalpha())


def test_chunks_end_with_sentences_and_overlap_by_them() -> None:
    sentences = [f"This is sentence number {number} of the agreement." for number in range(100)]
    text = " ".join(sentences)
    chunks = [text[start:end] for start, end in Chunker(300, 100).split(text)]
    assert all(chunk.startswith("This is") and chunk.endswith(".") for chunk in chunks)
    for one, other in pairwise(chunks):
        shared = re.findall(r"This is[^.]*\.", other)[0]
        assert shared in one


def test_windows_leave_no_trace() -> None:
    text = "\n".join(f"Line {number}: the parties agree." for number in range(8_000))
    chunks = list(Chunker(500, 0).split(text))
    assert "\n".join(text[start:end] for start, end in chunks) == text
    assert min(end - start for start, end in chunks[:-1]) > 400


@pytest.mark.parametrize("unit", ["a", "ab ", "e\u0301", " ", ".", FAMILY])
def test_a_text_without_structure_takes_linear_time(unit: str) -> None:
    def seconds(characters: int) -> float:
        started = time.process_time()
        for _ in Chunker().split(unit * (characters // len(unit))):
            pass
        return time.process_time() - started

    # Quadratic time would be 36 times as long.
    assert seconds(1_200_000) < 15 * max(seconds(200_000), 0.02)
