"""Hebrew and Arabic come out in the order in which they are read."""

from __future__ import annotations

import pytest
from pikepdf import Array, Dictionary, Name

from ingest_assets.ocr.local import LocalEngine
from ingest_assets_tests.support.pages import Page, to_unicode
from ingest_assets_tests.support.scans import PDF, stored


def drawn(*glyphs: str, places: list[float] | None = None) -> bytes:
    """A line of glyphs, from left to right or each at its place; a glyph may stand for several letters.

    A space is a gap: most programs draw none. A line feed begins another line.
    """
    page = Page()
    mapping = dict(enumerate(sorted(set(glyphs) - {" ", "\n"}), 1))
    codes = {glyph: code for code, glyph in mapping.items()}
    box = page.pdf.make_stream(b"600 0 50 0 550 700 d1 50 0 500 700 re f")
    page.add_font(
        "T",
        Dictionary(
            Type=Name.Font,
            Subtype=Name.Type3,
            FontBBox=Array([0, -200, 600, 800]),
            FontMatrix=Array([0.001, 0, 0, 0.001, 0, 0]),
            CharProcs=Dictionary({"/b": box}),
            Encoding=Dictionary(
                Type=Name.Encoding,
                Differences=Array([part for code in mapping for part in (code, Name.b)]),
            ),
            FirstChar=1,
            LastChar=len(mapping),
            Widths=Array([600] * len(mapping)),
            ToUnicode=page.pdf.make_stream(to_unicode(mapping)),
        ),
    )
    start, baseline = 0, 700
    for index, glyph in enumerate(glyphs):
        left = 100 + 12 * (index - start if places is None else places[index])
        if glyph == "\n":
            start, baseline = index + 1, baseline - 30
        elif glyph != " ":
            page.draw(f"BT /T 20 Tf {left} {baseline} Td <{codes[glyph]:02x}> Tj ET")
    return page.saved()


def read(engine: LocalEngine, data: bytes) -> str:
    return engine.recognise(stored(data, PDF)).pages[0].text


def visual(text: str) -> list[str]:
    """The glyphs of right-to-left text from left to right."""
    return list(reversed(text))


@pytest.mark.parametrize("words", ["שלום עולם", "وزارة الداخلية", "البرمجة"])
@pytest.mark.parametrize("order", ["drawn from the left", "drawn from the right"])
def test_letters_are_read_from_right_to_left(engine: LocalEngine, words: str, order: str) -> None:
    glyphs = visual(words)
    places = [float(place) for place in range(len(glyphs))]
    if order == "drawn from the right":
        glyphs, places = glyphs[::-1], places[::-1]
    assert read(engine, drawn(*glyphs, places=places)) == words


def test_numbers_and_latin_words_keep_their_order(engine: LocalEngine) -> None:
    glyphs = [*"2024", " ", *visual("בשנת"), " ", *"Python", " ", *visual("הגרסה של")]
    assert read(engine, drawn(*glyphs)) == "הגרסה של Python בשנת 2024"


def test_a_phrase_within_a_line_of_latin_words_keeps_its_order(engine: LocalEngine) -> None:
    phrase = [*visual("בתל אביב"), " ", *"15", " ", *visual("חוזה שכירות")]
    glyphs = [*"see ", *phrase, *" of 2024", "\n", *"an agreement of lease"]
    assert "see חוזה שכירות 15 בתל אביב of 2024" in read(engine, drawn(*glyphs))


def test_a_line_keeps_its_order_on_a_page_of_latin_words(engine: LocalEngine) -> None:
    glyphs = [*visual("عقد إيجار بين الطرفين."), "\n", *"an agreement of lease of a house", "\n"]
    assert "عقد إيجار بين الطرفين." in read(engine, drawn(*glyphs, *"and of its garden"))


def test_brackets_are_turned(engine: LocalEngine) -> None:
    glyphs = ["(", *visual("ב"), ")", *"15", " ", *visual("סעיף")]
    assert read(engine, drawn(*glyphs)) == "סעיף 15(ב)"


@pytest.mark.parametrize("ligature", ["لا", "لإ"])
def test_the_letters_of_a_ligature_are_not_swapped(engine: LocalEngine, ligature: str) -> None:
    assert read(engine, drawn("م", ligature, "س")) == f"س{ligature}م"


@pytest.mark.parametrize("alef", "اأإآ")
def test_a_ligature_that_ghostscript_took_for_one_letter(engine: LocalEngine, alef: str) -> None:
    mangled = bytes([0x44, ord(alef) % 0x100]).decode("utf-16-be")
    assert read(engine, drawn("م", mangled, "س", " ", "ت", "ي", "ب")) == f"بيت سل{alef}م"


def test_words_drawn_the_wrong_way_round_are_read_as_meant(engine: LocalEngine) -> None:
    assert read(engine, drawn(*"وزارة الداخلية")) == "وزارة الداخلية"
    assert read(engine, drawn(*"שלום עולם")) == "שלום עולם"
