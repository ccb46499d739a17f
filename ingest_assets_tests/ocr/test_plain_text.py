"""Plain text and web pages: every encoding, and what printers make of control characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.sandbox.encodings import decode_stated
from ingest_assets.ocr.sandbox.web_page import html_text
from ingest_assets_tests.support.scans import TEXT, stored

GREETING = "Grüße aus der Straße: “naïve” café\nzweite Zeile"
HTML = "text/html"
# One or two sentences, and the encodings that files in the language are found in; none says it.
LANGUAGES = {
    "German": (
        "Der Käufer überweist den Preis bis Ende März. Größere Mängel sind gemäß § 12 der Gemeinde "
        "Köln schriftlich anzuzeigen.",
        "cp1252 iso8859_15 cp850 mac_roman cp500 cp273",
    ),
    "French": (
        "Le procès-verbal a été signé à l'hôtel de ville, où la préfète s'était déjà engagée. "
        "Le garçon reçoit la façade.",
        "cp1252 iso8859_15 cp850 mac_roman",
    ),
    "Spanish": (
        "¿Cuándo llegará el camión? El niño pidió más información sobre la compañía de Málaga.",
        "cp1252 cp850 mac_roman",
    ),
    "Swedish": (
        "Alla människor är födda fria. Åtgärden gäller från första maj på Östermalm.",
        "cp1252 cp850 mac_roman",
    ),
    "Polish": (
        "Wszyscy ludzie rodzą się wolni. Umowę należy podpisać do końca września; łódź płynęła.",
        "cp1250 iso8859_2 cp852",
    ),
    "Czech": (
        "Všichni lidé rodí se svobodní. Příliš žluťoučký kůň úpěl ďábelské ódy.",
        "cp1250 iso8859_2 cp852",
    ),
    "Hungarian": (
        "Minden emberi lény szabadon születik. Árvíztűrő tükörfúrógép a következő hónap végéig.",
        "cp1250 iso8859_2 cp852",
    ),
    "Turkish": (
        "Bütün insanlar hür doğarlar. İşbu sözleşme güz ayında imzalanmıştır; çocuğun ağabeyi.",
        "cp1254 iso8859_9 cp857",
    ),
    "Lithuanian": (
        "Visi žmonės gimsta laisvi. Šis įstatymas įsigalioja nuo pirmųjų metų dienų.",
        "cp1257 iso8859_13",
    ),
    "Russian": (
        "Договор вступает в силу с момента подписания обеими сторонами и действует до конца года.",
        "cp1251 koi8_r cp866 iso8859_5 mac_cyrillic",
    ),
    "Ukrainian": ("Угода набирає чинності з дня її підписання у місті Києві.", "cp1251 koi8_u"),
    "Greek": (
        "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι. Η σύμβαση υπογράφεται στην Αθήνα.",
        "cp1253 iso8859_7 cp737",
    ),
    "Hebrew": ("ההסכם ייכנס לתוקף ביום חתימתו על ידי שני הצדדים בתל אביב.", "cp1255 iso8859_8 cp862"),
    "Arabic": ("يدخل هذا الاتفاق حيز التنفيذ من تاريخ توقيعه من قبل الطرفين في القاهرة.", "cp1256"),
    "Thai": ("สัญญานี้มีผลบังคับใช้ตั้งแต่วันที่ลงนาม และทุกคนเกิดมามีอิสระ", "cp874"),
    "Japanese": (
        "本契約は甲と乙の間で締結され、東京地方裁判所を管轄裁判所とする。カタカナも書く。",
        "shift_jis euc_jp iso2022_jp",
    ),
    "Chinese": (
        "本合同自双方签字之日起生效,一式两份,甲乙双方各执一份。北京市第一中级人民法院。",
        "gb2312 gb18030 hz",
    ),
    "Taiwanese": ("本合約自雙方簽字之日起生效,一式兩份。臺北地方法院為第一審管轄法院。", "big5"),
    "Korean": (
        "본 계약은 서울에서 서명한 날부터 효력을 가지며 모든 인간은 자유롭다.",
        "euc_kr johab iso2022_kr",
    ),
}
IN_ENCODINGS = [
    pytest.param(sentence, encoding, id=f"{language}-{encoding}")
    for language, (sentence, encodings) in LANGUAGES.items()
    for encoding in encodings.split()
]


def read(engine: LocalEngine, data: bytes, mime_type: str = TEXT) -> tuple[str, list[str]]:
    result = engine.recognise(stored(data, mime_type))
    return _text(result), [note.kind for note in result.notes]


def _text(result: Recognition) -> str:
    return "\n".join(page.text for page in result.pages)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_in_common_encodings(engine: LocalEngine, encoding: str) -> None:
    result = engine.recognise(stored(GREETING.replace("\n", "\r\n").encode(encoding), TEXT))
    assert [page.text for page in result.pages] == [GREETING]
    assert result.pages[0].origin == "text-layer"
    assert result.thumbnail is None


@pytest.mark.parametrize(("sentence", "encoding"), IN_ENCODINGS)
def test_encodings_are_found_by_the_letters(engine: LocalEngine, sentence: str, encoding: str) -> None:
    text, notes = read(engine, sentence.encode(encoding))
    assert text == sentence
    assert notes == ["encoding_guessed"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("language", ["German", "Russian", "Japanese", "Chinese", "Korean", "Arabic"])
def test_wide_encodings_without_a_mark(engine: LocalEngine, encoding: str, language: str) -> None:
    sentence = LANGUAGES[language][0] + "\n12 Seiten"
    assert read(engine, sentence.encode(encoding)) == (sentence, ["encoding_guessed"])


def test_the_encoding_is_judged_by_the_whole_file(engine: LocalEngine) -> None:
    text = "Plain letters for a long while.\n" * 4000 + "Gerichtsstand ist Köln, nahe Überseering."
    read_as, notes = read(engine, text.encode("cp1252"))
    assert (read_as, notes) == (text, ["encoding_guessed"])


def test_one_bad_byte_stays_one_bad_byte(engine: LocalEngine) -> None:
    text, notes = read(engine, "Prüfbericht über die F".encode() + b"\xfc" + "ße der Brücke".encode())
    assert text == "Prüfbericht über die F\ufffdße der Brücke"
    assert notes == ["bytes_replaced"]


def test_a_character_that_is_cut_at_the_end(engine: LocalEngine) -> None:
    assert read(engine, "Über die Straße ü".encode()[:-1]) == (
        "Über die Straße \ufffd",
        ["bytes_replaced"],
    )


def test_two_encodings_in_one_file(engine: LocalEngine) -> None:
    lines = ["Prüfung der Brücke", "Übergabe der Schlüssel", "größere Mängel"] * 2
    data = "\n".join(lines).encode() + b"\n" + "\n".join(lines).encode("cp1252")
    text, notes = read(engine, data)
    assert text.splitlines() == lines * 2
    assert notes == ["encoding_guessed"]


def test_halves_of_characters(engine: LocalEngine) -> None:
    """As some databases write what is beyond U+FFFF: two halves, each as if it were a character."""
    halves = "😀".encode("utf-16-be")
    data = b"".join(
        chr(int.from_bytes(halves[place : place + 2], "big")).encode("utf-8", "surrogatepass")
        for place in (0, 2)
    )
    assert read(engine, b"Gr\xc3\xbc\xc3\x9fe " + data)[0] == "Grüße 😀"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"INVENTORY\r\n12 sacks\r\n\x1a", "INVENTORY\n12 sacks"),
        (b"before\x1aafter", "beforeafter"),
        (b"Dear Ms Achterberg,\x0bnine crates", "Dear Ms Achterberg,\nnine crates"),
        (b"N\x08NA\x08AM\x08ME\x08E of _\x08t_\x08h_\x08e rock", "NAME of the rock"),
        (b"_\x08N\x08N_\x08A\x08A", "NA"),
        (b'Ko\x08"ln, caf"\x08e\x08', "Köln, cafë"),
        (b"a\x08z", "az"),
        (b"\x1b[1;31mred\x1b[0m and \x1b]0;title\x07blue", "red and blue"),
        (b"\x02HEADER of a message\x03", "HEADER of a message"),
        (b"Anna\x00\x00\x00\x00Berta\x00\x00\x00\x00", "Anna Berta"),
        (b"be\x00fore", "before"),
        (b"be\x00for", "befor"),
        (b"name\x1fplace\x1enext", "name\tplace\nnext"),
        (b"one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour"),
        (b"", ""),
    ],
)
def test_controls_are_obeyed_and_no_text_is_lost(
    engine: LocalEngine, data: bytes, expected: str
) -> None:
    assert read(engine, data) == (expected, [])


def test_form_feeds_part_pages(engine: LocalEngine) -> None:
    result = engine.recognise(stored(b"one\x0ctwo\x0cthree\x0c", TEXT))
    assert [page.text for page in result.pages] == ["one", "two", "three"]


@pytest.mark.parametrize("data", [b"x" * 33_000_000, b"x" * 130_000_000])
def test_more_text_than_is_stored(engine: LocalEngine, data: bytes) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(data, TEXT))
    assert caught.value.code == "too_much_text"


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=600))
def test_any_bytes_end_well(engine: LocalEngine, data: bytes) -> None:
    for mime_type in (TEXT, HTML):
        try:
            engine.recognise(stored(data, mime_type))
        except IngestError as error:
            assert error.code  # noqa: PT017  # Both an answer and an error are right.


def test_a_web_page_is_what_a_browser_shows(engine: LocalEngine) -> None:
    page = (
        "<!DOCTYPE html><html><head><title>tab</title><style>p { color: red }</style></head><body>"
        "<h1>Rules   of\nthe rock</h1><p>The <b>lamp</b>house&nbsp;is <i>k&ouml;niglich</i>."
        "<p hidden>secret</p><p style='display: none'>secret</p><script>secret()</script>"
        "<table><tr><td>oil</td><td>12</td></tr><tr><td>flags<td>7</table>"
        "<pre>kept\n  as it is</pre><ul><li>one<li>two<br>three</ul>"
        "<input value='in a field'><input type=hidden value=secret><img alt='a boat'></body></html>"
    )
    assert read(engine, page.encode(), HTML) == (
        "Rules of the rock\nThe lamphouse\xa0is königlich.\noil\t12\nflags\t7\nkept\n  as it is\n"
        "one\ntwo\nthree\nin a field a boat",
        [],
    )


@pytest.mark.parametrize(
    "page",
    [
        "<style>section { display: none } section[selected] { display: block }</style>"
        "<section>The lamphouse</section>",
        "<body style='visibility: hidden'><p>The lamphouse</p><script>show()</script>",
        "<frameset cols='1,2'><frame src='a.html'><noframes><p>The lamphouse</p></noframes></frameset>",
    ],
)
def test_a_web_page_that_shows_nothing_without_its_script_is_read(
    engine: LocalEngine, page: str
) -> None:
    assert read(engine, f"<!DOCTYPE html>{page}".encode(), HTML) == ("The lamphouse", ["not_shown"])


def test_a_web_page_says_its_encoding(engine: LocalEngine) -> None:
    page = "<meta charset=koi8-r><p>Мир и труд"
    assert read(engine, page.encode("koi8-r"), HTML) == ("Мир и труд", [])


@pytest.mark.parametrize("stated", ["utf-16", "gbk", "shift_jis"])
@pytest.mark.parametrize("end", ["", " "])
def test_a_web_page_in_utf_8_that_says_otherwise_is_read(
    engine: LocalEngine, stated: str, end: str
) -> None:
    page = f"<meta charset={stated}><p>契約書を添付します{end}"
    assert read(engine, page.encode(), HTML) == ("契約書を添付します", [])


@pytest.mark.parametrize("stated", ["gbk", "gb2312", "shift_jis", "big5", "euc-kr"])
@pytest.mark.parametrize(
    "text", ["The café opens", "The keeper’s word", "Dues:\u00a0€\u00a05", "Ahoy 😀", "See 契約"]
)
def test_few_characters_of_utf_8_under_an_east_asian_name_are_read(stated: str, text: str) -> None:
    assert decode_stated(text.encode(), stated) in (text, None)  # None: UTF-8 is tried next.


@pytest.mark.parametrize(
    ("stated", "text"), [("gbk", "Ship 没"), ("gbk", "To 王小明"), ("euc-kr", "Dear 가영")]
)
def test_few_characters_in_an_east_asian_encoding_are_read(stated: str, text: str) -> None:
    assert decode_stated(text.encode(stated), stated) == text


@pytest.mark.parametrize(
    ("math", "shown"),
    [
        ("<mfrac><mn>1</mn><mi>ab</mi></mfrac><mo>=</mo><msup><mi>c</mi><mn>2</mn></msup>", "1/ab=c²"),
        ("<msqrt><mi>x</mi><mo>+</mo><mi>y</mi></msqrt><mi>sin</mi><mi>z</mi>", "√(x+y)sin z"),
        (
            "<munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover><mfenced><mi>a</mi></mfenced>",
            "∑_iⁿ(a)",
        ),
        ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr></mtable>", "1, 2"),
        ("<semantics><mi>q</mi><annotation>LaTeX</annotation></semantics>", "q"),
        ("<mi x:y='1'>p</mi><mi>q</mi>", "p q"),
        ("<mrow>" * 3000 + "<mi>deep</mi>", "deep"),
    ],
)
def test_an_equation_of_a_web_page_is_written_in_a_line(math: str, shown: str) -> None:
    assert html_text(f"<p>Where <math>{math}</math> holds").split() == [
        "Where",
        *shown.split(),
        "holds",
    ]


def test_english_with_typographic_quotes_is_no_other_language(engine: LocalEngine) -> None:
    text = "The “quoted” keeper’s word costs € 5 – cheap…"
    assert read(engine, text.encode("cp1252")) == (text, ["encoding_guessed"])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Die Räume der Königstraße übergab größtenteils Jürgen Weiß.", "utf-7"),
        ("Café Zürich", "cp1252"),
        ("El niño, città", "cp1252"),
        ("<html><meta charset=utf-8><p>café über naïve", "cp1252"),
    ],
)
def test_few_letters_with_accents(engine: LocalEngine, text: str, encoding: str) -> None:
    assert read(engine, text.encode(encoding)) == (text, ["encoding_guessed"])


def test_sums_and_base64_are_no_utf_7(engine: LocalEngine) -> None:
    text = "1 + 1 = 2; C++, a+b-c, +4930-, q2+Abcd-, x+YzAb-"
    assert read(engine, text.encode()) == (text, [])
