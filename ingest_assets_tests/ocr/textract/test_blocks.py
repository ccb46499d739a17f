"""From blocks to text: reading order, confidence, and what is missing."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.textract.blocks import BlockReader, Line, in_reading_order


def column(name: str, left: float, width: float, count: int, top: float = 0.1) -> list[Line]:
    """Lines below each other."""
    return [
        Line(f"{name}{number}", left, top + 0.03 * number, left + width, top + 0.03 * number + 0.02)
        for number in range(count)
    ]


def read(lines: list[Line]) -> list[str]:
    """The order in which the lines are read, whatever order they come in."""
    orders = set()
    for seed in range(5):
        shuffled = random.Random(seed).sample(lines, len(lines))
        orders.add(tuple(line.text for line in in_reading_order(shuffled)))
    (order,) = orders
    return list(order)


def names(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_lines_are_read_from_top_to_bottom_and_left_to_right() -> None:
    lines = [
        Line("left", 0.1, 0.1, 0.3, 0.12),
        Line("a little higher", 0.5, 0.095, 0.8, 0.115),
        Line("below", 0.1, 0.2, 0.8, 0.22),
    ]
    assert read(lines) == ["left", "a little higher", "below"]


def test_columns_of_text_are_read_one_after_the_other() -> None:
    title = Line("title", 0.1, 0.02, 0.9, 0.05)
    left, right = column("left", 0.08, 0.4, 20), column("right", 0.53, 0.4, 18)
    across = Line("across", 0.1, 0.71, 0.9, 0.73)
    below_left, below_right = column("c", 0.08, 0.4, 6, 0.75), column("d", 0.53, 0.4, 6, 0.75)
    lines = [title, *left, *right, across, *below_left, *below_right]
    assert read(lines) == names(lines)


def test_three_columns_are_three() -> None:
    lines = [
        *column("a", 0.05, 0.27, 15),
        *column("b", 0.37, 0.27, 15),
        *column("c", 0.69, 0.27, 15),
    ]
    assert read(lines) == names(lines)


def test_a_table_is_read_row_by_row() -> None:
    goods, prices = column("goods", 0.1, 0.3, 10), column("price", 0.8, 0.1, 10)
    rows = [text for pair in zip(goods, prices, strict=True) for text in names(list(pair))]
    assert read([*goods, *prices]) == rows


def answer(*blocks: dict[str, Any], pages: int = 1) -> dict[str, Any]:
    return {"DocumentMetadata": {"Pages": pages}, "Blocks": list(blocks)}


def block(kind: str, page: int = 1, **fields: Any) -> dict[str, Any]:
    box = {"Left": 0.1, "Top": 0.1, "Width": 0.5, "Height": 0.1}
    return {"BlockType": kind, "Page": page, "Geometry": {"BoundingBox": box}, **fields}


def test_a_page_has_its_words_confidence_and_clean_text() -> None:
    reader = BlockReader()
    words = [block("WORD", Text="a", Confidence=99.0), block("WORD", Text="b", Confidence=50.0)]
    line = block("LINE", Text="a\x00 b\u2028", Confidence=70.0)
    reader.add(answer(block("PAGE"), line, *words, pages=2))
    first, second = reader.pages(first_page=11)
    assert (first.number, first.text, first.origin) == (11, "a b", "ocr")
    assert first.confidence == pytest.approx(0.745)
    assert (second.number, second.text, second.confidence) == (12, "", None)
    assert reader.missing(first_page=11) == [12]


def test_a_blank_page_is_not_missing() -> None:
    reader = BlockReader()
    reader.add(answer(block("PAGE")))
    assert reader.missing() == []


def test_a_picture_s_blocks_may_not_say_their_page() -> None:
    line = block("LINE", Text="text", Confidence=99.0)
    del line["Page"]
    reader = BlockReader()
    reader.add(answer(line))
    assert reader.pages()[0].text == "text"


def test_an_answer_of_a_page_that_there_is_not_is_an_error() -> None:
    with pytest.raises(PermanentError, match="page 3 of 2"):
        BlockReader().add(answer(block("PAGE", page=3), pages=2))
