"""What a page shows is in its text, whatever it is made of; what nobody sees is not."""

from __future__ import annotations

import io
import itertools
import random
import re
import string
import textwrap
from collections.abc import Sequence

import pikepdf
import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.reorderGlyphs import reorderGlyphs
from fontTools.ttLib.tables._g_l_y_f import Glyph
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine
from ingest_assets_tests.support.pages import (
    A4,
    Page,
    drawn_font,
    embedded_font_pdf,
    form,
    image_object,
    outlines,
    scan,
    to_unicode,
)
from ingest_assets_tests.support.scans import LINES, PDF, encoded, lines_found, stored

HEADER = (
    "Supreme Court of the State, County of Kings. Index number 500123/2023. Filed with the clerk",
    "on 12 January 2024 at 10:44, document 17, received 12 January 2024. This is a copy of a pleading",
    "filed electronically under court rules which, at the time of its printing, had not yet been",
    "reviewed and approved by the clerk; readers should be aware that rules authorise rejection.",
)
FOOTER = "Stamped by the registry, page 1 of 1"


def read(engine: LocalEngine, data: bytes) -> Recognition:
    return engine.recognise(stored(data, PDF))


def text_of(result: Recognition) -> str:
    return "\n".join(page.text for page in result.pages)


def kinds(result: Recognition) -> set[str]:
    return {note.kind for note in result.notes}


def test_scan_below_a_long_header_is_recognised_between_header_and_footer(engine: LocalEngine) -> None:
    body = scan([*LINES[:8]]).crop((0, 0, 1654, 2000))
    page = Page().image(body, (0, 60, 595, 720)).text(HEADER, at=(40, 820), size=8)
    result = read(engine, page.text([FOOTER], at=(40, 20), size=8).saved())
    text = text_of(result)
    assert lines_found(text) == 8
    assert all(line in text for line in HEADER)
    assert text.index(HEADER[-1]) < text.index("lighthouse keeper") < text.index(FOOTER)
    assert result.pages[0].origin == "ocr"


def test_text_printed_over_the_lines_of_a_scan_hides_none_of_them(engine: LocalEngine) -> None:
    stamps = [f"Case 4:21-cv-00{n:03d} Document {n} Filed 01/02/2021 Page {n} of 90" for n in range(3)]
    page = Page().image(scan([*LINES[:8]])).text(stamps, at=(60, 785))
    text = text_of(read(engine, page.saved()))
    assert all(line in text for line in stamps)
    assert lines_found(text) == 8


def test_text_drawn_over_the_same_text_of_a_scan_is_not_doubled(engine: LocalEngine) -> None:
    page = Page().image(scan())
    for number, line in enumerate(LINES):  # Where the scan has them, in other letters.
        page.text([line], at=(31, 842 - 2.835 * (16 + 9 * number)), size=11)
    text = text_of(read(engine, page.saved()))
    assert text.splitlines() == list(LINES)


def test_scan_in_forms_within_forms_is_found(engine: LocalEngine) -> None:
    page = Page()
    drawn, instructions = image_object(page.pdf, scan()), f"q {A4[0]} 0 0 {A4[1]} 0 0 cm /X Do Q"
    for _ in range(4):
        drawn = form(page.pdf, instructions, Dictionary(XObject=Dictionary(X=drawn)))
        instructions = "/X Do"
    page.draw(f"{page.add(drawn)} Do").text(["Bates ABC 000123"], at=(40, 825), size=8)
    text = text_of(read(engine, page.saved()))
    assert lines_found(text) == len(LINES)
    assert "Bates ABC 000123" in text


def test_scan_that_fills_a_pattern_is_found(engine: LocalEngine) -> None:
    page = Page().text(HEADER, at=(40, 820), size=8)
    pattern = page.pdf.make_stream(
        f"q {A4[0]} 0 0 700 0 60 cm /X Do Q".encode(),
        Dictionary(
            Type=Name.Pattern,
            PatternType=1,
            PaintType=1,
            TilingType=1,
            BBox=Array([0, 0, *A4]),
            XStep=A4[0],
            YStep=A4[1],
            Resources=Dictionary(XObject=Dictionary(X=image_object(page.pdf, scan(LINES[:6])))),
        ),
    )
    page.draw("/Pattern cs /P scn 0 0 595 760 re f")

    def with_pattern(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Resources.Pattern = Dictionary(P=pattern)

    assert lines_found(text_of(read(engine, page.saved(with_pattern)))) == 6


def test_letters_in_the_mask_of_an_image_are_found(engine: LocalEngine) -> None:
    page = Page().text(HEADER, at=(40, 820), size=8)
    letters = ImageOps.invert(scan(LINES[:6]).crop((0, 0, 1654, 700)))
    ink = image_object(page.pdf, Image.new("L", (1, 1)), SMask=image_object(page.pdf, letters))
    page.draw(f"q 595 0 0 252 0 480 cm {page.add(ink)} Do Q")
    assert lines_found(text_of(read(engine, page.saved()))) == 6


def test_letters_in_the_mask_of_an_area_are_found(engine: LocalEngine) -> None:
    page = Page().text(HEADER, at=(40, 820), size=8)
    letters = image_object(page.pdf, ImageOps.invert(scan(LINES[:6]).crop((0, 0, 1654, 700))))
    group = form(page.pdf, "q 595 0 0 252 0 480 cm /X Do Q", Dictionary(XObject=Dictionary(X=letters)))
    group.Group = Dictionary(S=Name.Transparency, CS=Name.DeviceGray)
    mask = Dictionary(Type=Name.Mask, S=Name.Luminosity, G=group)
    page.draw("q /G gs 0 g 0 480 595 252 re f Q")

    def with_mask(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Resources.ExtGState = Dictionary(G=Dictionary(SMask=mask))

    assert lines_found(text_of(read(engine, page.saved(with_mask)))) == 6


def test_faint_print_below_a_header_is_found(engine: LocalEngine) -> None:
    faint = scan(LINES[:6]).point(lambda grey: 255 - (255 - grey) // 12)
    page = Page().image(faint, (0, 0, 595, 740)).text(HEADER, at=(40, 820), size=8)
    assert lines_found(text_of(read(engine, page.saved()))) == 6


def test_letters_drawn_as_outlines_are_recognised_beside_text(engine: LocalEngine) -> None:
    page = Page().text(HEADER[:2], at=(40, 820), size=8)
    for number, line in enumerate(LINES[:5]):
        page.draw(outlines(line, (60, 700 - 30 * number), 14))
    text = text_of(read(engine, page.saved()))
    assert lines_found(text) == 5
    assert HEADER[0] in text


def layer(page: Page, lines: tuple[str, ...], before: str = "3 Tr") -> Page:
    """Lay the text of a scan of `LINES` over it, as `page_image` has it."""
    for number, line in enumerate(lines):
        page.text([line], at=(31, 799 - 25.5 * number), size=12, before=before)
    return page


def garbage(seed: int, words: int = 9) -> str:
    source = random.Random(seed)
    return " ".join(
        "".join(source.choices("bcxzq;~^vJ1*,gm", k=source.randint(2, 6))) for _ in range(words)
    )


@pytest.mark.parametrize(
    ("before", "is_below"),
    [("3 Tr", True), ("3 Tr", False), ("1 g", True), ("0 g", True)],
    ids=["invisible below the scan", "invisible over it", "white below it", "black below it"],
)
def test_a_scanners_garbage_is_recognised_anew(
    engine: LocalEngine, before: str, is_below: bool
) -> None:
    page = Page()
    if not is_below:
        page.image(scan())
    layer(page, tuple(garbage(number) for number in range(len(LINES))), before)
    if is_below:
        page.image(scan())
    result = read(engine, page.saved())
    assert lines_found(text_of(result)) == len(LINES)
    assert garbage(0) not in text_of(result)


def test_a_layer_of_another_page_is_recognised_anew(engine: LocalEngine) -> None:
    other = tuple(line[::1].replace("keeper", "purchaser").upper() for line in HEADER * 4)
    result = read(engine, layer(Page().image(scan()), other).saved())
    assert lines_found(text_of(result)) == len(LINES)
    assert "SUPREME COURT" not in text_of(result)


def test_a_scans_right_layer_is_kept(engine: LocalEngine) -> None:
    spelt = (
        "Der Leuchtturmwärter prüft täglich die Größe der Öfen, zuverlässig und günstig.",
        *LINES[1:],
    )
    result = read(engine, layer(Page().image(scan()), spelt).saved())
    assert text_of(result).splitlines() == list(spelt)
    assert result.pages[0].origin == "text-layer"


def test_a_layer_that_stands_a_little_beside_the_scan_is_not_doubled(engine: LocalEngine) -> None:
    page = Page().image(scan())
    for number, line in enumerate(LINES):
        page.text([line], at=(28, 803 - 25.5 * number), size=12, before="3 Tr")
    result = read(engine, page.saved())
    assert text_of(result).splitlines() == list(LINES)
    assert result.pages[0].origin == "text-layer"


def test_a_layer_that_a_scanner_misread_is_recognised_anew(engine: LocalEngine) -> None:
    misread = tuple(line.replace("th", "tli").replace("or", "0r").replace("ri", "n") for line in LINES)
    result = read(engine, layer(Page().image(scan()), misread).saved())
    assert lines_found(text_of(result)) == len(LINES)
    assert "tli" not in text_of(result)


def layer_beside(lines: Sequence[str], step: float, beside: tuple[int, int]) -> Page:
    """A scan under a layer whose lines stand elsewhere, by so much and with other distances."""
    page = Page().image(scan())
    page.add_font("T", Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name("/Times-Roman")))
    for number, line in enumerate(lines):
        at = 31 + beside[0], 797 + beside[1] - step * number
        page.text([line], at=at, size=12, before="3 Tr", font="T")
    return page


@pytest.mark.parametrize(("step", "beside"), [(25.5, (-10, -24)), (26.3, (6, 8)), (24.2, (0, 30))])
def test_a_layer_that_stands_lines_beside_the_scan_is_not_doubled(
    engine: LocalEngine, step: float, beside: tuple[int, int]
) -> None:
    result = read(engine, layer_beside(LINES, step, beside).saved())
    assert text_of(result).splitlines() == list(LINES)
    assert (result.pages[0].origin, result.notes) == ("text-layer", ())


@pytest.mark.parametrize("beside", [(0, 0), (-12, -25), (8, 26), (0, -13)])
def test_what_the_layer_beside_a_scan_lacks_is_recognised(
    engine: LocalEngine, beside: tuple[int, int]
) -> None:
    text = text_of(read(engine, layer_beside(LINES[:9], 25.5, beside).saved()))
    assert [line for line in text.splitlines() if line] == list(LINES)


def test_what_a_scans_layer_lacks_is_recognised(engine: LocalEngine) -> None:
    result = read(engine, layer(Page().image(scan()), LINES[:8]).saved())
    assert text_of(result).splitlines()[:8] == list(LINES[:8])
    assert lines_found(text_of(result)) == len(LINES)


def test_few_words_over_a_picture_are_not_recognised_worse(engine: LocalEngine) -> None:
    # Coarse: of fine grain Tesseract makes letters for ten seconds.
    colours = Image.effect_noise((150, 200), 40).resize((1200, 1600), Image.Resampling.BICUBIC)
    words = ["zuverlässig, günstig, schön", "für Köln, Düsseldorf und Übach"]
    page = Page().image(colours.point(lambda grey: 200 + grey // 8)).text(words, at=(80, 500), size=24)
    text = text_of(read(engine, page.saved()))
    assert all(line in text for line in words)


def mapped_font(pdf: pikepdf.Pdf, mapping: dict[int, str], base: str = "Helvetica") -> Dictionary:
    """A font that says of its letters that they are others."""
    return Dictionary(
        Type=Name.Font,
        Subtype=Name.Type1,
        BaseFont=Name(f"/{base}"),
        Encoding=Name.WinAnsiEncoding,
        ToUnicode=pdf.make_stream(to_unicode(mapping)),
    )


def shifted(lines: tuple[str, ...], by: int) -> bytes:
    page = Page()
    mapping = {code: chr(code + by) for code in range(33, 126)} | {32: " "}
    font = mapped_font(page.pdf, mapping)
    return page.add_font("C", font).text(lines, font="C").saved()


def without_map(_: pikepdf.Pdf, font: pikepdf.Object) -> None:
    del font.ToUnicode


def swapped(pdf: pikepdf.Pdf, font: pikepdf.Object) -> None:
    # The map lists code and letter in pairs of <hex>; letters get their bytes swapped.
    cmap = font.ToUnicode.read_bytes().decode("latin-1")
    head, _, rest = cmap.partition("beginbf")
    lines = []
    for line in rest.splitlines():
        parts = line.split()
        if parts and all(part.startswith("<") and len(part) == 6 for part in parts):
            parts[-1] = f"<{parts[-1][3:5]}{parts[-1][1:3]}>"
        lines.append(" ".join(parts))
    font.ToUnicode = pdf.make_stream((head + "beginbf" + "\n".join(lines)).encode("latin-1"))


@pytest.mark.parametrize(
    "data",
    [
        shifted(LINES, 1),
        shifted(LINES, -1),
        embedded_font_pdf(LINES, without_map),
        embedded_font_pdf(LINES, swapped),
    ],
    ids=["shifted by one", "shifted back", "no map", "bytes swapped"],
)
def test_text_in_cipher_is_recognised(engine: LocalEngine, data: bytes) -> None:
    result = read(engine, data)
    assert lines_found(text_of(result)) == len(LINES)
    assert result.pages[0].origin == "ocr"


def test_one_font_in_cipher_is_recognised_and_the_other_kept(engine: LocalEngine) -> None:
    page = Page()
    mapping = {code: chr(code + 1) for code in range(33, 126)} | {32: " "}
    font = mapped_font(page.pdf, mapping, "Helvetica-Bold")
    page.add_font("C", font).text(["Standing orders for the keepers of lighthouses"], size=16, font="C")
    text = text_of(read(engine, page.text(LINES, at=(60, 740)).saved()))
    assert text.splitlines()[0] == "Standing orders for the keepers of lighthouses"
    assert lines_found(text) == len(LINES)


def test_a_line_in_cipher_below_a_line_that_is_none_is_recognised(engine: LocalEngine) -> None:
    mapping = {code: chr(code + 1) for code in range(33, 126)} | {32: " "}
    page = Page()
    font = mapped_font(page.pdf, mapping)
    page.text(["The quarterly report of the harbour trust"], at=(60, 700))
    page.add_font("C", font).text(["The landlord shall repair the roof"], at=(60, 600), font="C")
    text = text_of(read(engine, page.saved()))
    assert text.splitlines() == [
        "The quarterly report of the harbour trust",
        "The landlord shall repair the roof",
    ]


PARAGRAPH = (
    "The board shall pay the keeper 4,350 pounds and 27 pence, in twelve equal parts, by the end",
    "of each month, and will bring the oil and the coal before the first of August. Both parties",
    "may end this agreement after two years, and the keeper has to be told by hand, not by post.",
    "In 1968 the old lamp was sold for 12,806 pounds to a dealer who had been asked by the board.",
)


def with_letters(given: dict[str, str]) -> bytes:
    """A page in a font that names its glyphs by their letters, and maps some to others."""
    mapping = {code: given.get(chr(code), chr(code)) for code in range(32, 127)}
    page = Page()
    return page.add_font("C", mapped_font(page.pdf, mapping)).text(PARAGRAPH, font="C").saved()


def with_mapped_glyphs(given: dict[str, str | None], lines: Sequence[str] = PARAGRAPH) -> bytes:
    """A page in a font of numbered glyphs that maps some to other letters, or to none."""

    def change(pdf: pikepdf.Pdf, font: pikepdf.Object) -> None:
        cmap = font.ToUnicode.read_bytes().decode("latin-1")
        pairs = dict(re.findall(r"<(\w{4})> <(\w{4})>", cmap.partition("beginbfchar")[2]))
        letters = {int(code, 16): chr(int(letter, 16)) for code, letter in pairs.items()}
        mapping = {code: given.get(letter, letter) for code, letter in letters.items()}
        known = {code: letter for code, letter in mapping.items() if letter is not None}
        font.ToUnicode = pdf.make_stream(to_unicode(known, 2))

    return embedded_font_pdf(lines, change)


NAMES = {"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six"} | {
    **{"7": "seven", "8": "eight", "9": "nine", " ": "space", ",": "comma", ".": "period"}
}


def with_drawn_glyphs(
    named: dict[str, str], codes: dict[str, int], given: dict[str, str] | None = None
) -> bytes:
    """A page in a font whose glyphs are drawings: some are called by other letters, or mapped to them.

    Args:
        named: of what a glyph draws the letter that it is called by, where this is another.
        codes: the codes of some letters, where these are not those of ASCII.
        given: what its map has for what glyphs draw, where this is another; None without a map.
    """
    page = Page()
    letters = {codes.get(letter, ord(letter)): letter for letter in sorted({*"".join(PARAGRAPH)})}
    names = {
        code: NAMES.get(shown := named.get(letter, letter), shown) for code, letter in letters.items()
    }
    font = drawn_font(page.pdf, letters, names)
    if given is not None:
        mapping = {code: given.get(letter, letter) for code, letter in letters.items()}
        font.ToUnicode = page.pdf.make_stream(to_unicode(mapping))
    code_of = {letter: code for code, letter in letters.items()}
    lines = ["".join(chr(code_of[letter]) for letter in line) for line in PARAGRAPH]
    return page.add_font("C", font).text(lines, font="C").saved()


def words_of(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize(
    "data",
    [
        with_letters({"b": "d", "d": "b"}),
        with_letters({"2": "7", "7": "2"}),
        with_mapped_glyphs({"3": "8", "8": "3"}),
        with_mapped_glyphs({"h": None}),
        with_mapped_glyphs({"a": " "}),
        with_mapped_glyphs({"T": None}),
        with_mapped_glyphs({"y": None}),
        with_mapped_glyphs({"8": None}),
        with_mapped_glyphs({",": " "}),
        with_letters({capital: capital.lower() for capital in string.ascii_uppercase}),
        with_drawn_glyphs({"2": "7", "7": "2"}, {}),
        with_drawn_glyphs({}, {"2": ord("7"), "7": ord("2")}),
        with_drawn_glyphs({}, {}, {"2": "7", "7": "2"}),
    ],
    ids=[
        *("two letters", "two figures by name", "two figures by number", "none", "space", "a capital"),
        *("none at the end", "no figure", "space for a comma", "small for capitals"),
        *("drawings by other names", "drawings by other codes", "drawings mapped to others"),
    ],
)
def test_letters_that_a_font_mixes_up_are_recognised(engine: LocalEngine, data: bytes) -> None:
    assert words_of(text_of(read(engine, data))) == words_of(" ".join(PARAGRAPH))


@pytest.mark.parametrize("given", ["O", "f", "\ufffd", "", "€", "θ"])
def test_ligatures_that_a_font_takes_for_other_letters_are_recognised(
    engine: LocalEngine, given: str
) -> None:
    words = "They confirm the definition and find that fifty fish are fit to be filed"
    page = Page()
    font = mapped_font(page.pdf, {code: chr(code) for code in range(32, 127)} | {1: given})
    font.Encoding = Dictionary(BaseEncoding=Name.WinAnsiEncoding, Differences=[1, Name.fi])
    page.add_font("C", font).text([words.replace("fi", "\x01")], font="C")
    assert text_of(read(engine, page.saved())) == words


def test_letters_mixed_up_in_a_font_that_tells_nothing_are_recognised(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf, font: pikepdf.Object) -> None:
        cmap = font.ToUnicode.read_bytes().decode("latin-1")
        table = {"0068": "006e", "006e": "0068"}
        swap = re.sub(r"<(0068|006e)>$", lambda found: f"<{table[found[1]]}>", cmap, flags=re.M)
        font.ToUnicode = pdf.make_stream(swap.encode("latin-1"))
        program = font.DescendantFonts[0].FontDescriptor.FontFile2
        program.write(program.read_bytes().replace(b"cmap", b"CMAP", 1))

    data = embedded_font_pdf(PARAGRAPH, change)
    assert words_of(text_of(read(engine, data))) == words_of(" ".join(PARAGRAPH))


def test_ligatures_that_a_font_takes_for_spaces_are_recognised(engine: LocalEngine) -> None:
    lines = [
        "The first of the five officers has the final word on all that the board finds,",
        "and is paid for each definition that he has signed in the office of the county.",
    ]
    ligatures = [line.replace("fi", "\ufb01") for line in lines]
    text = text_of(read(engine, with_mapped_glyphs({"\ufb01": " "}, ligatures)))
    assert words_of(text) == words_of(" ".join(lines))


def test_figures_that_a_font_without_names_mixes_up_are_recognised(engine: LocalEngine) -> None:
    """Its glyphs are in no order, so that only their outlines tell which is an 8."""

    def change(pdf: pikepdf.Pdf, font: pikepdf.Object) -> None:
        descendant = font.DescendantFonts[0]
        program = TTFont(io.BytesIO(descendant.FontDescriptor.FontFile2.read_bytes()))
        names = program.getGlyphOrder()
        reorderGlyphs(program, [names[0], *random.Random(1).sample(names[1:], len(names) - 1)])
        for table in ("cmap", "post"):
            del program[table]
        out = io.BytesIO()
        program.save(out)
        descendant.FontDescriptor.FontFile2 = pdf.make_stream(out.getvalue())
        numbers = descendant.CIDToGIDMap.read_bytes()
        glyphs = [int.from_bytes(numbers[at : at + 2], "big") for at in range(0, len(numbers), 2)]
        placed = {name: number for number, name in enumerate(program.getGlyphOrder())}
        moved = b"".join(placed[names[glyph]].to_bytes(2, "big") for glyph in glyphs)
        descendant.CIDToGIDMap = pdf.make_stream(moved)
        cmap = font.ToUnicode.read_bytes().decode("latin-1")
        next_one = re.sub(
            r"<003(\d)>$", lambda found: f"<003{(int(found[1]) + 1) % 10}>", cmap, flags=re.M
        )
        font.ToUnicode = pdf.make_stream(next_one.encode("latin-1"))

    data = embedded_font_pdf(PARAGRAPH, change)
    assert words_of(text_of(read(engine, data))) == words_of(" ".join(PARAGRAPH))


def test_letters_of_another_script_that_look_the_same_are_those_of_the_word(
    engine: LocalEngine,
) -> None:
    data = with_mapped_glyphs(dict(zip("aeopT", "аеорТ", strict=True)))
    result = read(engine, data)
    assert words_of(text_of(result)) == words_of(" ".join(PARAGRAPH))
    assert result.pages[0].origin == "text-layer"


@pytest.mark.parametrize("letter", ["\u019f", "\u13b4"])
def test_words_with_letters_that_no_word_has_are_recognised(engine: LocalEngine, letter: str) -> None:
    mapping = {code: chr(code) for code in range(32, 127)} | {ord("f"): letter}
    page = Page()
    font = mapped_font(page.pdf, mapping)
    lines = ["The keepers of the harbour", "are after fifty different fishes"]
    text = text_of(read(engine, page.add_font("C", font).text(lines, font="C").saved()))
    assert text.splitlines() == lines


def test_capitals_that_few_languages_have_are_kept(engine: LocalEngine) -> None:
    words = "\u018fliyev in AZ\u018fRBAYCAN, \u01afng Ho\u00e0ng and \u021aara"
    mapping = {code: chr(code) for code in range(32, 127)} | dict(enumerate(words, 161))
    page = Page()
    font = mapped_font(page.pdf, mapping)
    coded = "".join(letter if letter == " " else chr(code) for code, letter in enumerate(words, 161))
    page.add_font("C", font).text(["The report of the harbour names", coded], font="C")
    assert words in text_of(read(engine, page.saved()))


def test_part_numbers_and_figures_are_kept(engine: LocalEngine) -> None:
    numbers = [
        f"QXJ-{7919 * number % 99991:05} ZKV{number:03}W 1,{number:03}.50" for number in range(40)
    ]
    result = read(engine, Page().text(numbers).saved())
    assert text_of(result).splitlines() == numbers
    assert kinds(result) == set()


def layers_off(pdf: pikepdf.Pdf) -> None:
    group = pdf.make_indirect(Dictionary(Type=Name.OCG, Name=pikepdf.String("hidden")))
    pdf.pages[0].obj.Resources.Properties = Dictionary(O=group)
    pdf.Root.OCProperties = Dictionary(OCGs=[group], D=Dictionary(Order=[group], OFF=[group]))


HIDDEN = "SEALED settlement of nine hundred thousand crowns"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1 1 1 rg", ""),
        ("3 Tr", ""),
        ("0 0 5 5 re W n", ""),
        ("0 400 595 442 re W n", ""),
        ("0 400 m 595 400 l 595 842 l 0 842 l h W n", ""),
        ("", "0 g 50 290 400 40 re f"),
        ("", "1 g 50 290 400 40 re f"),
        ("", "1 g 50 290 m 450 290 l 450 330 l 50 330 l h f"),
        ("/OC /O BDC", "EMC"),
        ("1 0 0 1 0 -2000 cm", ""),
    ],
    ids=[
        "white on white",
        "mode 3",
        "clipped",
        "clipped by half the page",
        "clipped by four lines",
        "redacted",
        "painted over",
        "painted over by four lines",
        "layer off",
        "off the page",
    ],
)
def test_what_nobody_sees_is_left_out_and_noted(engine: LocalEngine, before: str, after: str) -> None:
    page = Page().text(LINES[:6]).text([HIDDEN], at=(60, 305), before=before).draw(after)
    result = read(engine, page.saved(layers_off if "OC" in before else None))
    assert text_of(result).splitlines() == list(LINES[:6])
    assert kinds(result) == {"not_shown"}


ROUNDED = (
    "56 290 m 444 290 l 447 290 450 293 450 296 c 450 324 l 450 327 447 330 444 330 c "
    "56 330 l 53 330 50 327 50 324 c 50 296 l 50 293 53 290 56 290 c h"
)


def shading(first: float, last: float) -> Dictionary:
    """Grey that goes from one lightness to another across the page."""
    return Dictionary(
        ShadingType=2,
        ColorSpace=Name.DeviceGray,
        Coords=[0, 0, 600, 0],
        Extend=[True, True],
        Function=Dictionary(FunctionType=2, Domain=[0, 1], C0=[first], C1=[last], N=1),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"q 2 0 0 2 -50 -290 cm 0.5 0 0 0.5 25 145 cm 1 g {ROUNDED} f Q"),
        ("", "q 400 0 0 40 50 290 cm 1 g 0 0 1 1 re f Q"),
        ("", "0 G 30 w 50 310 m 450 310 l S"),
        ("", "q 1 g " + " ".join(f"50 {295 + step} 400 1.2 re f" for step in range(24)) + " Q"),
        ("", "0 g 58 300 330 14 re f"),
        ("", "q 50 290 400 40 re W n /S sh Q"),
        ("", "q 400 0 0 40 50 290 cm BI /W 1 /H 1 /CS /G /BPC 8 /F /AHx ID FF> EI Q"),
        ("q 0.2 0 0 0.2 0 0 cm 0 0 700 900 re W n 5 0 0 5 0 0 cm", "Q"),
        ("1 G 1 Tr", ""),
        ("/Table cs 0 sc", ""),
        ("/Lab cs 100 0 0 sc", ""),
        ("/White cs 0.6 scn", ""),
        ("/Pattern cs /P scn", ""),
        ("0 G 30 w 50 310 m 450 310 l S", ""),
        ("/Screen gs 1 g 50 290 400 40 re f 0 g", ""),
    ],
    ids=[
        "rounded box",
        "enlarged square",
        "thick line",
        "white strips",
        "box no higher than the line",
        "shading",
        "inline image",
        "small frame in small units",
        "white outlines",
        "white of a table",
        "Lab white",
        "white ink",
        "white shading",
        "black on a thick black line",
        "screen",
    ],
)
def test_what_is_covered_or_has_the_colour_of_its_ground_is_left_out(
    engine: LocalEngine, before: str, after: str
) -> None:
    page = Page().text([HIDDEN], at=(60, 305), before=before).draw(after).text(LINES[:6])

    def with_resources(pdf: pikepdf.Pdf) -> None:
        resources = pdf.pages[0].obj.Resources
        resources.Shading = Dictionary(S=shading(0.5, 0.9))
        resources.Pattern = Dictionary(P=Dictionary(PatternType=2, Shading=shading(1, 1)))
        table = Array([Name.Indexed, Name.DeviceRGB, 1, pikepdf.String(b"\xff\xff\xff\0\0\0")])
        ink = Dictionary(FunctionType=2, Domain=[0, 1], C0=[1], C1=[1], N=1)
        resources.ColorSpace = Dictionary(
            Table=table,
            Lab=Array([Name.Lab, Dictionary(WhitePoint=[0.95, 1, 1.08])]),
            White=Array([Name.Separation, Name.White, Name.DeviceGray, ink]),
        )
        resources.ExtGState = Dictionary(Screen=Dictionary(BM=Name.Screen))

    result = read(engine, page.saved(with_resources))
    assert text_of(result).splitlines() == list(LINES[:6])
    assert kinds(result) == {"not_shown"}


@pytest.mark.parametrize("glyph", ["6 0 0 0 6 8 d1", "6 0 d0 1 g 0 0 6 8 re f"])
def test_text_in_glyphs_that_draw_nothing_dark_is_left_out(engine: LocalEngine, glyph: str) -> None:
    page = Page().text(LINES[:6])
    codes = sorted(set(HIDDEN.encode()))
    font = mapped_font(page.pdf, {code: chr(code) for code in codes})
    font.Subtype, font.FontMatrix = Name.Type3, Array([0.1, 0, 0, 0.1, 0, 0])
    font.FontBBox, font.FirstChar, font.LastChar = Array([0, 0, 6, 8]), 0, 127
    font.Widths = Array([6] * 128)
    font.CharProcs = Dictionary({f"/c{code}": page.pdf.make_stream(glyph.encode()) for code in codes})
    named = [entry for code in codes for entry in (code, Name(f"/c{code}"))]
    font.Encoding = Dictionary(Type=Name.Encoding, Differences=Array(named))
    page.add_font("T", font).text([HIDDEN], at=(60, 305), font="T")
    result = read(engine, page.saved())
    assert text_of(result).splitlines() == [*LINES[:6]]
    assert kinds(result) == {"not_shown"}


MARKED = "The lamps were trimmed at sunset"


@pytest.mark.parametrize(
    ("before", "between"),
    [("", "0 g 50 290 400 40 re f 1 g"), ("", "1 g 58 300 330 14 re f 0 g"), ("3 Tr", "")],
    ids=["box with words", "other words", "invisible"],
)
def test_words_beneath_words_that_hide_them_are_left_out(
    engine: LocalEngine, before: str, between: str
) -> None:
    page = Page().text([HIDDEN], at=(60, 305), before=before).text(LINES[:6])
    result = read(engine, page.text([MARKED], at=(64, 305), before=between).saved())
    assert sorted(text_of(result).splitlines()) == sorted([*LINES[:6], MARKED])
    assert kinds(result) == {"not_shown"}


@pytest.mark.parametrize("is_first_off", [True, False])
def test_of_two_layers_in_one_place_the_one_that_is_on_is_read(
    engine: LocalEngine, is_first_off: bool
) -> None:
    page = Page().text(LINES[:6])
    page.draw("/OC /A BDC").text([HIDDEN], at=(60, 305)).draw("EMC")
    page.draw("/OC /B BDC").text([MARKED], at=(60, 305)).draw("EMC")

    def with_layers(pdf: pikepdf.Pdf) -> None:
        both = [pdf.make_indirect(Dictionary(Type=Name.OCG, Name=name)) for name in ("a", "b")]
        pdf.pages[0].obj.Resources.Properties = Dictionary(A=both[0], B=both[1])
        off = both[:1] if is_first_off else both[1:]
        pdf.Root.OCProperties = Dictionary(OCGs=Array(both), D=Dictionary(OFF=Array(off)))

    result = read(engine, page.saved(with_layers))
    assert text_of(result).splitlines() == [*LINES[:6], MARKED if is_first_off else HIDDEN]
    assert kinds(result) == {"not_shown"}


@pytest.mark.parametrize(
    ("side", "grey", "opacity", "is_form", "is_seen"),
    [
        (1, 0, None, False, False),
        (1, 255, 255, True, False),
        (1, 255, 0, True, True),
        (100, 0, None, True, False),
        (100, 255, 255, False, False),
        (100, 0, 120, False, True),
    ],
)
def test_what_an_even_image_covers_is_left_out(
    engine: LocalEngine, side: int, grey: int, opacity: int | None, is_form: bool, is_seen: bool
) -> None:
    page = Page().text([HIDDEN], at=(60, 305)).text(LINES[:6])
    image = image_object(page.pdf, Image.new("L", (side, side), grey))
    if opacity is not None:
        image.SMask = image_object(page.pdf, Image.new("L", (side, side), opacity))
    shown = "q 400 0 0 40 50 290 cm /X Do Q"
    drawn = form(page.pdf, shown, Dictionary(XObject=Dictionary(X=image)))
    page.draw(f"{page.add(drawn)} Do" if is_form else shown.replace("/X", page.add(image)))
    result = read(engine, page.saved())
    assert (HIDDEN in text_of(result)) == is_seen
    assert lines_found(text_of(result)) == 6
    assert kinds(result) == (set() if is_seen else {"not_shown"})


def test_words_that_are_nearly_transparent_are_seen(engine: LocalEngine) -> None:
    page = Page().text(LINES[:6]).text(["Copy of the tenant"], at=(60, 305), before="/G gs")

    def with_state(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Resources.ExtGState = Dictionary(G=Dictionary(ca=0.15))

    result = read(engine, page.saved(with_state))
    assert text_of(result).splitlines() == [*LINES[:6], "Copy of the tenant"]
    assert result.notes == ()


def test_text_of_a_pattern_that_strokes_is_recognised(engine: LocalEngine) -> None:
    page = Page().text(LINES[:6])
    words = "The lease ends in September"
    pattern = form(page.pdf, f"BT /F 20 Tf 60 300 Td ({words}) Tj ET", page.resources)
    pattern.Type, pattern.PatternType, pattern.PaintType, pattern.TilingType = Name.Pattern, 1, 1, 1
    pattern.XStep, pattern.YStep = A4
    page.draw("/Pattern CS /P SCN 60 w 0 310 m 595 310 l S")

    def with_pattern(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Resources.Pattern = Dictionary(P=pattern)

    assert words in text_of(read(engine, page.saved(with_pattern)))


def test_what_a_form_cuts_off_is_left_out(engine: LocalEngine) -> None:
    page = Page().text(LINES[:6])
    form = page.pdf.make_stream(f"BT /F 11 Tf 60 305 Td ({HIDDEN}) Tj ET".encode())
    form.Subtype, form.BBox, form.Resources = Name.Form, Array([0, 400, *A4]), page.resources
    result = read(engine, page.draw(f"{page.add(form)} Do").saved())
    assert text_of(result).splitlines() == list(LINES[:6])
    assert kinds(result) == {"not_shown"}


def test_words_that_run_off_the_page_are_left_out(engine: LocalEngine) -> None:
    page = Page().text(["The tenant pays the sum that is set by the court"], at=(460, 305))
    text = text_of(read(engine, page.text(LINES[:6]).saved()))
    assert "The tenant pays the" in text
    assert "court" not in text


def test_what_the_crop_box_cuts_off_is_left_out(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    page.entries["/CropBox"] = Array([0, 600, *A4])
    result = read(engine, page.saved())
    assert 9 <= lines_found(text_of(result)) < len(LINES)
    assert kinds(result) == {"not_shown"}


def test_white_text_on_a_dark_area_is_seen(engine: LocalEngine) -> None:
    page = Page().draw("0 0 0.4 rg 50 290 400 40 re f")
    page.text(["Heading in white on blue"], at=(60, 305), before="1 g").text(LINES)
    result = read(engine, page.saved())
    assert "Heading in white on blue" in text_of(result)
    assert result.notes == ()
    assert result.pages[0].origin == "text-layer"


def test_print_that_is_hardly_darker_than_the_paper_is_seen(engine: LocalEngine) -> None:
    page = Page().text(LINES[:6]).text(["Copy of the tenant"], at=(60, 305), before="0.9 g")
    result = read(engine, page.draw("0.5 g 60 100 80 40 re f").saved())
    assert "Copy of the tenant" in text_of(result)
    assert "not_shown" not in kinds(result)


def japanese_font(direction: str) -> Dictionary:
    """A font that is not in the file, for lines (H) or columns (V)."""
    return Dictionary(
        Type=Name.Font,
        Subtype=Name.Type0,
        BaseFont=Name("/HeiseiMin-W3"),
        Encoding=Name(f"/UniJIS-UCS2-{direction}"),
        DescendantFonts=[
            Dictionary(
                Type=Name.Font,
                Subtype=Name.CIDFontType0,
                BaseFont=Name("/HeiseiMin-W3"),
                CIDSystemInfo=Dictionary(Registry="Adobe", Ordering="Japan1", Supplement=4),
            )
        ],
    )


COLUMNS = (
    "吾輩は猫である名前は",
    "どこで生れたかとんと",
    "かぬ何でも薄暗い所で",
    "だけは記憶している事",
)


def shown_at(x: float, y: float, words: str) -> str:
    return f"BT /J 16 Tf 1 0 0 1 {x} {y} Tm <{words.encode('utf-16-be').hex()}> Tj ET"


@pytest.mark.parametrize("drawn", ["from the right", "from the left"])
def test_columns_are_read_from_right_to_left(engine: LocalEngine, drawn: str) -> None:
    page = Page().add_font("J", japanese_font("V"))
    heads = [(400 - 24 * number, 700, column) for number, column in enumerate(COLUMNS)]
    for head in heads if drawn == "from the right" else reversed(heads):
        page.draw(shown_at(*head))
    assert text_of(read(engine, page.saved())).splitlines() == list(COLUMNS)


@pytest.mark.parametrize("drawn", ["down the columns", "across the columns"])
def test_columns_that_are_drawn_letter_by_letter_are_read_down(engine: LocalEngine, drawn: str) -> None:
    page = Page()
    codes = dict(enumerate(sorted({*"".join(COLUMNS)}), 65))
    font = drawn_font(page.pdf, dict.fromkeys(codes, "H"), {code: f"g{code}" for code in codes})
    font.ToUnicode = page.pdf.make_stream(to_unicode(codes))
    code_of = {letter: chr(code) for code, letter in codes.items()}
    places = [(x, y) for x in range(len(COLUMNS)) for y in range(len(COLUMNS[0]))]
    if drawn == "across the columns":
        places.sort(key=lambda place: (place[1], -place[0]))
    for x, y in places:
        page.text([code_of[COLUMNS[x][y]]], at=(400 - 19 * x, 700 - 16 * y), size=16, font="J")
    text = text_of(read(engine, page.add_font("J", font).saved()))
    assert text.splitlines() == list(COLUMNS)


def test_rows_of_columns_are_read_from_the_top(engine: LocalEngine) -> None:
    page = Page().add_font("J", japanese_font("V"))
    for y, columns in ((700, COLUMNS[:2]), (500, COLUMNS[2:])):
        for number, column in enumerate(columns):
            page.draw(shown_at(400 - 24 * number, y, column))
    assert text_of(read(engine, page.saved())).splitlines() == list(COLUMNS)


@pytest.mark.parametrize("direction", ["H", "V"])
def test_text_without_its_font_is_kept_though_it_cannot_be_drawn(
    engine: LocalEngine, direction: str
) -> None:
    page = Page().add_font("J", japanese_font(direction))
    words = "甲と乙の間で締結された契約"
    shown = words.encode("utf-16-be").hex()
    page.draw(f"1 g 0 0 9 9 re f 0 g BT /J 14 Tf 60 700 Td <{shown}> Tj ET")
    assert words in text_of(read(engine, page.saved()))


def test_a_page_of_an_inch_with_a_sheet_on_it(engine: LocalEngine) -> None:
    result = read(engine, Page((72, 102)).image(scan()).saved())
    assert lines_found(text_of(result)) == len(LINES)


def test_a_page_that_counts_in_larger_units(engine: LocalEngine) -> None:
    page = Page((59.5, 84.2)).image(scan())
    page.entries["/UserUnit"] = 10
    assert lines_found(text_of(read(engine, page.saved()))) == len(LINES)


def test_a_jpeg_that_alone_says_its_colours_is_read(engine: LocalEngine) -> None:
    page, jpeg = Page(), io.BytesIO()
    scan(LINES[:2]).save(jpeg, "JPEG")
    image = image_object(page.pdf, scan(LINES[:2]), Filter=Name.DCTDecode)
    image.write(jpeg.getvalue(), filter=Name.DCTDecode)
    del image.ColorSpace
    result = read(engine, page.draw(f"q 595 0 0 842 0 0 cm {page.add(image)} Do Q").saved())
    assert lines_found(text_of(result)) == 2


def test_a_coarse_page_is_enlarged(engine: LocalEngine) -> None:
    result = read(engine, Page().image(scan(dpi=72)).saved())
    assert lines_found(text_of(result)) >= len(LINES) - 2


def test_many_objects_that_yield_no_letters(engine: LocalEngine) -> None:
    """Each letter a glyph of a font of bitmaps that has no names."""
    page = Page().text(["Page 7"], at=(280, 20), size=8)
    letters = sorted({letter for line in LINES[:6] for letter in line if letter != " "})
    font = ImageFont.load_default(size=40)
    glyphs, widths = {}, []
    for letter in letters:
        image = Image.new("1", (40, 56))
        ImageDraw.Draw(image).text((2, 0), letter, fill=1, font=font)
        width = font.getlength(letter)
        packed = image.tobytes().hex()
        glyphs[f"/g{ord(letter)}"] = page.pdf.make_stream(
            f"{width} 0 0 -12 40 44 d1 q 40 0 0 56 0 -12 cm BI /W 40 /H 56 /IM true /D [1 0] /F /AHx "
            f"ID {packed}> EI Q".encode()
        )
        widths.append(width)
    differences = [
        part for code, letter in enumerate(letters, 1) for part in (code, Name(f"/g{ord(letter)}"))
    ]
    page.add_font(
        "T",
        Dictionary(
            Type=Name.Font,
            Subtype=Name.Type3,
            FontBBox=Array([0, -12, 40, 44]),
            FontMatrix=Array([0.025, 0, 0, 0.025, 0, 0]),
            CharProcs=Dictionary(glyphs),
            Encoding=Dictionary(Type=Name.Encoding, Differences=Array(differences)),
            FirstChar=1,
            LastChar=len(letters),
            Widths=Array(widths),
        ),
    )
    for number, line in enumerate(LINES[:6]):
        left = 60.0
        for letter in line:
            if letter != " ":
                code = letters.index(letter) + 1
                page.draw(f"BT /T 14 Tf {left:.1f} {760 - 30 * number} Td <{code:02x}> Tj ET")
            left += 14 * font.getlength(letter) / 40 if letter != " " else 5
    assert lines_found(text_of(read(engine, page.saved()))) == 6


def test_a_drawing_without_words_is_noted_beside_text(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    source = random.Random(4)
    stroke = " ".join(f"{source.randint(60, 260)} {source.randint(60, 160)} l" for _ in range(60))
    page.draw(f"2 w 60 60 m {stroke} S")
    text = text_of(read(engine, page.saved()))
    assert lines_found(text) == len(LINES)
    assert len(text.split()) <= len(" ".join(LINES).split()) + 3


def test_letters_that_are_shown_in_any_order_are_recognised(engine: LocalEngine) -> None:
    lines = (
        "The lease for the warehouse ends in September",
        "and the tenant shall return all the keys",
    )
    letters = [
        (60 + 7 * across, 700 - 30 * down, letter)
        for down, line in enumerate(lines)
        for across, letter in enumerate(line)
    ]
    shown = "".join(f"1 0 0 1 {x} {y} Tm ({one}) Tj " for x, y, one in letters[::2] + letters[1::2])
    result = read(engine, Page().draw(f"BT /F 12 Tf {shown} ET").saved())
    assert "warehouse" in text_of(result)
    assert result.pages[0].origin == "ocr"


def test_text_whose_letters_are_all_the_same_is_recognised(engine: LocalEngine) -> None:
    page = Page()
    font = mapped_font(page.pdf, dict.fromkeys(range(33, 127), "A"))
    text = text_of(read(engine, page.add_font("C", font).text(LINES, font="C").saved()))
    assert lines_found(text) == len(LINES)


def test_text_on_a_ground_of_one_pixel_is_read(engine: LocalEngine) -> None:
    page = Page().image(Image.new("L", (1, 1), 30), (0, 700, 595, 142))
    text = text_of(read(engine, page.text(LINES[:2], before="1 g").saved()))
    assert lines_found(text) == 2


def test_an_image_that_is_larger_than_it_says_is_looked_at(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        drawn = next(iter(pdf.pages[0].obj.Resources.XObject.as_dict().values()))
        drawn.write(encoded(scan(), "JPEG"), filter=Name.DCTDecode)
        drawn.Width = drawn.Height = 10

    text = text_of(read(engine, Page().image(scan()).saved(change)))
    assert lines_found(text) == len(LINES)


@pytest.mark.parametrize(
    ("drawn", "given", "read", "kinds"),
    [
        (
            "The tenant pays the rent",
            "Nobody owes anything at all",
            "The tenant pays the rent",
            ["not_shown"],
        ),
        ("The offtial definition of rent", "The official definition of rent", None, []),
    ],
)
def test_words_in_place_of_those_that_are_drawn_only_correct_them(
    engine: LocalEngine, drawn: str, given: str, read: str | None, kinds: list[str]
) -> None:
    def replace(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0]
        page.contents_add(f"/Span <</ActualText ({given})>> BDC".encode(), prepend=True)
        page.contents_add(b"EMC")

    result = engine.recognise(stored(Page().text([drawn]).saved(replace), PDF))
    assert result.pages[0].text == (read or given)
    assert [note.kind for note in result.notes] == kinds


def test_an_accent_of_its_own_is_read_as_part_of_the_letter_below(engine: LocalEngine) -> None:
    page = Page().text(["The agreement was signed in the following places."])
    page.draw(r"BT /F 20 Tf 60 600 Td [(caf) -111 (\264) 444 (e, Gr) -111 (\250) 444 (o\337e)] TJ ET")
    page.draw(r"BT /F 20 Tf 60 560 Td [(L'etat, c\264est moi)] TJ ET")
    text = text_of(read(engine, page.saved()))
    assert "café, Größe" in text
    assert "c´est moi" in text  # Typed in place of an apostrophe.


def test_words_that_run_up_the_page_are_whole(engine: LocalEngine) -> None:
    page = Page().text(["The prices of timber in each month of the year"])
    # Letter by letter, as office programs draw them: PDFium ends a line at most of them.
    at = 300.0
    widths = (0.67, 0.5, 0.22, 0.5, 0.28, 0.83, 0.56, 0.33, 0.56, 0.56, 0.28, 0.56)
    for letter, width in zip("Axis Morpeth", widths, strict=True):
        page.draw(f"BT 0 1 -1 0 100 {at} Tm /F 12 Tf ({letter}) Tj ET")
        at += 12 * width
    assert "Axis Morpeth" in text_of(read(engine, page.saved()))


@pytest.mark.parametrize(
    ("turned", "rotate"), [("0 -1 1 0 0 842", 0), ("1 0 0 1 0 0", 90)], ids=["text", "page"]
)
def test_lines_of_a_page_on_its_side_are_in_order(
    engine: LocalEngine, turned: str, rotate: int
) -> None:
    page = Page().draw(f"q {turned} cm").text(LINES, at=(60, 500)).draw("Q")
    data = page.saved(lambda pdf: pdf.pages[0].obj.__setitem__("/Rotate", rotate))
    assert text_of(read(engine, data)).splitlines() == [*LINES]


def placed(line: str, between: float, *, apart: float = 0) -> str:
    """The letters of a line of Courier one by one, with so much between words, and between letters."""
    left, shown = 60.0, []
    for letter in line:
        if letter != " ":
            shown.append(f"BT /C 10 Tf {left:.2f} 700 Td ({letter}) Tj ET")
        left += between if letter == " " else 6 + apart
    return " ".join(shown)


@pytest.mark.parametrize(("between", "apart"), [(1.2, 0), (12, 4)], ids=["narrow", "wide"])
def test_gaps_between_words_are_those_that_are_wider(
    engine: LocalEngine, between: float, apart: float
) -> None:
    line = "The keeper trims all the lamps at sunset"
    page = Page()
    page.add_font("C", Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Courier))
    assert text_of(read(engine, page.draw(placed(line, between, apart=apart)).saved())) == line


@pytest.mark.parametrize(
    ("letters", "read_as"),
    [
        ("PELLETIER", "PELLETIER"),
        ("anna wild", "anna wild"),
        ("47291583", "47291583"),
        ("GB29NWBK60161331", "GB29NWBK60161331"),
        ("ABCDE", "A B C D E"),
        ("12345678", "1 2 3 4 5 6 7 8"),
        ("4711", "4 7 1 1"),
    ],
)
def test_letters_in_cells_of_a_form_are_a_word(engine: LocalEngine, letters: str, read_as: str) -> None:
    page = Page().text(LINES[:6])
    for index, letter in enumerate(letters):
        page.draw(f"{60 + 18 * index} 300 18 18 re S")
        if letter != " ":
            page.text([letter], at=(66 + 18 * index, 305))
    assert text_of(read(engine, page.saved())).splitlines() == [*LINES[:6], read_as]


ROWS = [
    ["Lamp oil", "40 gallons", "12.50", "1,204"],
    ["McDonald", "B12 sacks", "4.80", "87"],
    ["rent paid", "Owed", "117.25", "3"],
]


@pytest.mark.parametrize(
    "cells", [ROWS, [["12", "480", "1175"], ["1204", "34", "1"]]], ids=["both", "numbers"]
)
def test_cells_that_nearly_touch_are_apart(engine: LocalEngine, cells: list[list[str]]) -> None:
    page = Page()
    page.add_font("C", Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Courier))
    for number, row in enumerate(cells):
        x = 60.0
        for cell in row:
            page.text([cell], at=(x, 700 - 16 * number), font="C")
            x += 6.6 * len(cell) + 1.1  # A tenth of the letters' height apart.
    text = text_of(read(engine, page.saved()))
    assert text.splitlines() == [" ".join(row) for row in cells]


def test_lines_of_a_negative_size_are_in_order(engine: LocalEngine) -> None:
    page = Page()
    for number, line in enumerate(PARAGRAPH):  # Upright: the matrix turns them once more.
        page.draw(f"BT /F -11 Tf -1 0 0 -1 60 {700 - 16 * number} Tm ({line}) Tj ET")
    assert text_of(read(engine, page.saved())).splitlines() == list(PARAGRAPH)


BESIDE = (
    "Repairs to the roof are to begin in April, when the weather is better. The builder has asked for "
    "payment in three parts, the first of which falls due when work begins. It was agreed to accept.",
    "The treasurer explained that the fund for the harbour had grown by a tenth, mostly by gifts from "
    "visitors, and that the board may spend it on lamps, oil and coal, but not on wages or travel.",
    "The committee met on Monday and agreed that the accounts should be sent to all members before "
    "the end of March. The secretary reported that four members had resigned.",
)


@pytest.mark.parametrize(("count", "letters", "apart"), [(2, 38, 240), (3, 26, 170)])
def test_columns_that_are_drawn_row_by_row_are_read_one_after_the_other(
    engine: LocalEngine, count: int, letters: int, apart: float
) -> None:
    columns = [textwrap.wrap(text, letters) for text in BESIDE[:count]]
    head, foot = "The minutes of the annual meeting of all members of the board", "Page 12"
    page = Page().text([head], at=(50, 740))
    for y, row in enumerate(itertools.zip_longest(*columns, fillvalue="")):
        for x, line in enumerate(row):
            page.text([line], at=(50 + apart * x, 700 - 14 * y))
    lines = text_of(read(engine, page.text([foot], at=(270, 40)).saved())).splitlines()
    assert lines == [head, *itertools.chain(*columns), foot]


def test_tables_of_words_are_read_row_by_row(engine: LocalEngine) -> None:
    rows = [
        ("rent for a year of use", "what the tenant has to pay to the landlord"),
        ("Term of the whole lease", "Twelve months"),
        ("Notice to the other side", "A letter sent to the last known address"),
        ("Keys to the front door", "Two"),
        ("Repairs of the old roof", "at the landlord's cost, but for broken tiles"),
    ]
    page = Page()
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            page.text([cell], at=(60 + 200 * x, 700 - 14 * y))
    text = text_of(read(engine, page.saved()))
    assert text.splitlines() == [" ".join(row) for row in rows]


def test_a_layer_that_is_off_unless_it_is_named_is_not_read(engine: LocalEngine) -> None:
    page = Page().text(LINES).draw("/OC /Draft BDC").text(["Unseen draft"], at=(60, 300)).draw("EMC")

    def hide(pdf: pikepdf.Pdf) -> None:
        group = pdf.make_indirect(Dictionary(Type=Name.OCG, Name="Draft"))
        pdf.pages[0].resources.Properties = Dictionary(Draft=group)
        pdf.Root.OCProperties = Dictionary(OCGs=Array([group]), D=Dictionary(BaseState=Name.OFF))

    result = read(engine, page.saved(hide))
    assert text_of(result).splitlines() == [*LINES]
    assert kinds(result) == {"not_shown"}


@pytest.mark.parametrize("condition", ["AllOff", "AnyOff", "Not"])
def test_what_is_shown_only_while_a_layer_is_off_is_not_read(
    engine: LocalEngine, condition: str
) -> None:
    page = Page().text(LINES).draw("/OC /Draft BDC").text(["Unseen draft"], at=(60, 300)).draw("EMC")

    def hide(pdf: pikepdf.Pdf) -> None:
        group = pdf.make_indirect(Dictionary(Type=Name.OCG, Name="Final"))
        depends = Dictionary(Type=Name.OCMD, OCGs=Array([group]), P=Name(f"/{condition}"))
        if condition == "Not":
            depends = Dictionary(Type=Name.OCMD, VE=Array([Name.Not, group]))
        pdf.pages[0].resources.Properties = Dictionary(Draft=depends)
        pdf.Root.OCProperties = Dictionary(OCGs=Array([group]), D=Dictionary())

    result = read(engine, page.saved(hide))
    assert text_of(result).splitlines() == [*LINES]
    assert kinds(result) == {"not_shown"}


def test_text_in_no_ink_is_not_read(engine: LocalEngine) -> None:
    page = Page().text(LINES).text(["Unseen words"], at=(60, 300), before="/Ink cs 0 scn")

    def add_ink(pdf: pikepdf.Pdf) -> None:
        tint = Dictionary(FunctionType=2, Domain=[0, 1], C0=[0, 0, 0, 0], C1=[0, 0, 0, 1], N=1)
        space = Array([Name.Separation, Name.Black, Name.DeviceCMYK, tint])
        pdf.pages[0].resources.ColorSpace = Dictionary(Ink=space)

    result = read(engine, page.saved(add_ink))
    assert text_of(result).splitlines() == [*LINES]
    assert kinds(result) == {"not_shown"}


def test_a_scanners_line_where_the_scan_shows_nothing_stays(engine: LocalEngine) -> None:
    page = layer(Page().image(scan(LINES[:6])), LINES[:6])
    result = read(engine, page.text([HIDDEN], at=(60, 305), before="3 Tr").saved())
    assert HIDDEN in text_of(result)  # A layer may stand beside its scan, by a line or more.
    assert lines_found(text_of(result)) == 6


LABELS = ("Name:", "Date of birth: ________________", "Place:", "Occupation:")
ANSWERS = ("Jane Keeper", "4 May 1980", "Vienna", "Lighthouse keeper")


def test_answers_that_a_form_was_filled_with_later_follow_their_labels(engine: LocalEngine) -> None:
    page = Page().text(["Application to the harbour office"]).text(LABELS, at=(60, 700))
    page.text(["Return this form to the office before the end of the month."], at=(60, 200))
    for number, answer in enumerate(ANSWERS):
        page.text([answer], at=(180, 701 - 17.6 * number))
    result = read(engine, page.saved())
    answered = [line for pair in zip(LABELS, ANSWERS, strict=True) for line in pair]
    assert text_of(result).splitlines()[1:9] == answered


RUNNING = ("the keeper notes two things:", "the weather, and of the lamps:", "their oil. He counts:")


@pytest.mark.parametrize("column", [LABELS, (*RUNNING, "the birds, and", "the boats that", "pass by.")])
def test_columns_whose_lines_end_with_colons_stay_columns(
    engine: LocalEngine, column: Sequence[str]
) -> None:
    page = Page().text(column).text(column, at=(300, 780))
    assert text_of(read(engine, page.saved())).splitlines() == [*column, *column]


def test_text_that_is_very_far_from_its_page_is_left_out(engine: LocalEngine) -> None:
    result = read(engine, Page().text(LINES[:3]).text([HIDDEN], at=(10_000_000, 500)).saved())
    assert HIDDEN not in text_of(result)
    assert kinds(result) == {"not_shown"}


def test_text_in_a_font_of_empty_glyphs_is_left_out(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf, font: pikepdf.Object) -> None:
        program = font.DescendantFonts[0].FontDescriptor.FontFile2
        outlines = TTFont(io.BytesIO(program.read_bytes()))
        for name in outlines.getGlyphOrder():
            outlines["glyf"][name] = Glyph()
        empty = io.BytesIO()
        outlines.save(empty)
        program.write(empty.getvalue())

    result = read(engine, embedded_font_pdf(LINES[:3], change))
    assert (text_of(result), kinds(result)) == ("", {"not_shown"})
