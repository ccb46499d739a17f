"""What lies on a page beside its content: fields, comments, stamps, signatures, attachments, XFA."""

from __future__ import annotations

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine
from ingest_assets_tests.support.pages import (
    Change,
    Page,
    annotation,
    appearance,
    form,
    image_object,
    scan,
)
from ingest_assets_tests.support.scans import LINES, PDF, lines_found, stored


def read(engine: LocalEngine, change: Change, page: Page | None = None) -> Recognition:
    page = page or Page().text(LINES)
    return engine.recognise(stored(page.saved(change), PDF))


def annotated(*annotations: Dictionary) -> Change:
    def change(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Annots = Array([pdf.make_indirect(entry) for entry in annotations])

    return change


def text_of(result: Recognition) -> str:
    return result.pages[0].text


def test_a_text_box_stands_where_it_lies(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    box = annotation("FreeText", (300, 735, 580, 755), Contents=String("APPROVED by M. Rossetti"))
    box.AP = appearance(page.pdf, "APPROVED by M. Rossetti", 280, 20)
    result = read(engine, annotated(box), page)
    lines = text_of(result).splitlines()
    assert lines_found(text_of(result)) == len(LINES)
    assert 1 <= lines.index("APPROVED by M. Rossetti") <= 4
    assert result.notes == ()


def test_a_text_box_without_appearance_is_read(engine: LocalEngine) -> None:
    box = annotation("FreeText", Contents=String("Paid in full on 12 May"), DA=String("/Helv 12 Tf"))
    assert text_of(read(engine, annotated(box))).endswith("Paid in full on 12 May")


def test_the_caption_of_a_push_button_is_read(engine: LocalEngine) -> None:
    button = annotation(
        "Widget", FT=Name.Btn, Ff=1 << 16, MK=Dictionary(CA=String("Send to the clerk"))
    )
    assert text_of(read(engine, annotated(button))).endswith("Send to the clerk")


def test_the_appearance_of_a_link_is_read(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    link = annotation("Link", AP=appearance(page.pdf, "See Schedule C"))
    assert "See Schedule C" in text_of(read(engine, annotated(link), page))


def test_a_text_box_that_has_only_formatted_text_is_read(engine: LocalEngine) -> None:
    words = '<body xmlns="http://www.w3.org/1999/xhtml"><p>Paid <b>in full</b></p></body>'
    box = annotation("FreeText", RC=String(words), DA=String("/Helv 12 Tf"))
    assert text_of(read(engine, annotated(box))).endswith("Paid in full")


def test_stamps_are_read(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    drawn = annotation("Stamp", (300, 400, 540, 440), AP=appearance(page.pdf, "RECEIVED 3 JUNE"))
    named = annotation("Stamp", (300, 300, 540, 340), Name=Name.Confidential)
    text = text_of(read(engine, annotated(drawn, named), page))
    assert "RECEIVED 3 JUNE" in text
    assert "Confidential" in text


def test_a_stamp_that_is_a_picture_is_recognised(engine: LocalEngine) -> None:
    page = Page().text(LINES[:4])
    picture = image_object(page.pdf, scan(LINES[4:7]).crop((0, 0, 1654, 420)))
    box = (60, 300, 540, 422)
    drawing = form(
        page.pdf, "q 480 0 0 122 0 0 cm /X Do Q", Dictionary(XObject=Dictionary(X=picture)), box
    )
    drawing.BBox = Array([0, 0, 480, 122])
    result = read(engine, annotated(annotation("Stamp", box, AP=Dictionary(N=drawing))), page)
    assert lines_found(text_of(result)) == 7


def test_a_signature_shows_name_and_date(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    inner = appearance(page.pdf, "Digitally signed by Ottilie Brandt 2024-05-12").N
    outer = form(page.pdf, "q /FRM Do Q", Dictionary(XObject=Dictionary(FRM=inner)), (0, 0, 240, 40))
    field = annotation("Widget", AP=Dictionary(N=outer), FT=Name.Sig, T=String("Signature1"))
    field.V = Dictionary(Type=Name.Sig, Name=String("Ottilie Brandt"))

    def change(pdf: pikepdf.Pdf) -> None:
        annotated(field)(pdf)
        pdf.Root.AcroForm = Dictionary(Fields=pdf.pages[0].obj.Annots, SigFlags=3)

    assert "Digitally signed by Ottilie Brandt 2024-05-12" in text_of(read(engine, change, page))


def test_comments_are_read_with_their_author(engine: LocalEngine) -> None:
    note = annotation("Text", Contents=String("Ask Dr. Vasquez about clause 9"), T=String("Clerk"))
    mark = annotation("Highlight", Contents=String("Is this the right sum?"), QuadPoints=Array([0] * 8))
    popup = annotation("Popup", Contents=String("Ask Dr. Vasquez about clause 9"))
    lines = text_of(read(engine, annotated(note, mark, popup))).splitlines()
    assert lines[-2:] == [
        "Comment (Clerk): Ask Dr. Vasquez about clause 9",
        "Comment: Is this the right sum?",
    ]


def test_fields_that_no_form_lists_are_read(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    valued = annotation("Widget", FT=Name.Tx, T=String("surname"), V=String("Okonkwo"))
    drawn = annotation("Widget", (60, 200, 300, 240), AP=appearance(page.pdf, "Upper Itchen, beat 7"))
    text = text_of(read(engine, annotated(valued, drawn), page))
    assert "surname: Okonkwo" in text
    assert "Upper Itchen, beat 7" in text


def test_choices_ticks_and_parents(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        parent = pdf.make_indirect(Dictionary(FT=Name.Ch, T=String("river"), V=String("r2")))
        parent.Opt = Array(
            [Array([String("r1"), String("Test")]), Array([String("r2"), String("Itchen")])]
        )
        choice = annotation("Widget", Parent=parent, T=String("beat"))
        tick = annotation("Widget", FT=Name.Btn, T=String("licence"), AS=Name.Yes, V=Name.Yes)
        unticked = annotation("Widget", FT=Name.Btn, T=String("boat"), AS=Name.Off)
        secret = annotation("Widget", FT=Name.Tx, T=String("pin"), V=String("4711"), Ff=1 << 13)
        annotated(choice, tick, unticked, secret)(pdf)

    lines = text_of(read(engine, change)).splitlines()
    assert lines[-2:] == ["river.beat: Itchen (r2)", "licence: Yes"]
    assert "4711" not in lines


def test_the_flag_that_hides_unknown_annotations_hides_no_stamp(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    stamp = annotation("Stamp", (300, 300, 540, 340), AP=appearance(page.pdf, "RECEIVED 3 JUNE"))
    stamp.F = 1
    assert "RECEIVED 3 JUNE" in text_of(read(engine, annotated(stamp), page))


@pytest.mark.parametrize("kind", ["Stamp", "FreeText", "Text", "Widget", "Link"])
@pytest.mark.parametrize("condition", [None, "AllOn", "Not"])
def test_what_lies_on_a_layer_that_is_off_is_not_read(
    engine: LocalEngine, kind: str, condition: str | None
) -> None:
    page = Page().text(LINES)
    words = String("Sealed by the court")
    entry = annotation(kind, (60, 60, 300, 100), Contents=words, FT=Name.Tx, V=words)
    entry.AP = appearance(page.pdf, str(words))

    def change(pdf: pikepdf.Pdf) -> None:
        off, on = (pdf.make_indirect(Dictionary(Type=Name.OCG, Name=name)) for name in ("a", "b"))
        entry.OC = off
        if condition == "AllOn":
            entry.OC = Dictionary(Type=Name.OCMD, OCGs=Array([off, on]), P=Name.AllOn)
        elif condition == "Not":
            entry.OC = Dictionary(Type=Name.OCMD, VE=Array([Name.Not, on]))
        pdf.Root.OCProperties = Dictionary(OCGs=Array([off, on]), D=Dictionary(OFF=Array([off])))
        annotated(entry)(pdf)

    result = read(engine, change, page)
    assert text_of(result).splitlines() == [*LINES]
    assert {note.kind for note in result.notes} == ({"not_shown"} if kind == "Widget" else set())


@pytest.mark.parametrize("inner", [[], [Name.And]])
def test_an_annotation_whose_condition_is_damaged_is_read(
    engine: LocalEngine, inner: list[object]
) -> None:
    page = Page().text(LINES)
    stamp = annotation("Stamp", (60, 60, 300, 100), AP=appearance(page.pdf, "RECEIVED 3 JUNE"))
    stamp.OC = Dictionary(Type=Name.OCMD, VE=Array([Name.And, Array(inner)]))
    assert "RECEIVED 3 JUNE" in text_of(read(engine, annotated(stamp), page))


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (-400, 60, -100, 100)])
def test_a_field_that_has_no_place_on_its_page_is_noted_and_not_read(
    engine: LocalEngine, box: tuple[float, float, float, float]
) -> None:
    field = annotation("Widget", box, FT=Name.Tx, T=String("state"), V=String("internal-77"))
    result = read(engine, annotated(field))
    assert text_of(result).splitlines() == [*LINES]
    assert [note.kind for note in result.notes] == ["not_shown"]


def test_a_hidden_field_is_noted_and_not_read(engine: LocalEngine) -> None:
    hidden = annotation("Widget", FT=Name.Tx, T=String("state"), V=String("internal-77"))
    hidden.F = 2
    result = read(engine, annotated(hidden))
    assert "internal-77" not in text_of(result)
    assert [note.kind for note in result.notes] == ["not_shown"]


def test_a_field_whose_parents_are_a_circle(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        first = pdf.make_indirect(Dictionary(T=String("a")))
        first.Parent = pdf.make_indirect(Dictionary(T=String("b"), Parent=first))
        annotated(annotation("Widget", Parent=first, FT=Name.Tx, V=String("round and round")))(pdf)
        pdf.Root.AcroForm = Dictionary(Fields=Array([first]))

    assert "round and round" in text_of(read(engine, change))


def test_attachments_are_named_in_a_note(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        pdf.attachments["contract.pdf"] = b"%PDF-1.4 and so on"
        pdf.Root.Collection = Dictionary(Type=Name.Collection, View=Name.D)
        clip = annotation("FileAttachment", FS=Dictionary(Type=Name.Filespec, F=String("invoice.xlsx")))
        annotated(clip)(pdf)

    notes = read(engine, change).notes
    assert [(note.kind, note.page) for note in notes] == [
        ("attachment_unread", None),
        ("attachment_unread", 1),
    ]
    assert "contract.pdf" in notes[0].sentence
    assert "invoice.xlsx" in notes[1].sentence


XFA = """<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/">
<template xmlns="http://www.xfa.org/schema/xfa-template/2.8/"><subform>
<draw><value><text>Application for a berth</text></value></draw>
<field name="boat"><caption><value><text>Name of the boat</text></value></caption></field>
</subform></template>
<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form1><boat>Kittiwake</boat>
<berth/></form1></xfa:data></xfa:datasets></xdp:xdp>"""


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_form_that_only_adobe_reader_lays_out(engine: LocalEngine, in_parts: bool) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        middle = XFA.index("<xfa:datasets")
        parts = [XFA[:middle], XFA[middle:]] if in_parts else [XFA]
        streams = [pdf.make_stream(part.encode()) for part in parts]
        packets = Array([String("a"), streams[0], String("b"), streams[-1]]) if in_parts else streams[0]
        pdf.Root.AcroForm = Dictionary(Fields=Array(), XFA=packets)
        pdf.Root.NeedsRendering = True

    result = read(engine, change, Page().text(["Please wait while the form is loaded."]))
    assert text_of(result).splitlines()[1:] == [
        "Application for a berth",
        "Name of the boat",
        "boat: Kittiwake",
    ]
    assert [note.kind for note in result.notes] == ["form_unread"]


def test_values_that_are_on_the_page_are_not_doubled_by_xfa(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        field = annotation("Widget", FT=Name.Tx, T=String("boat"), V=String("Kittiwake"))
        annotated(field)(pdf)
        pdf.Root.AcroForm = Dictionary(
            Fields=pdf.pages[0].obj.Annots, XFA=pdf.make_stream(XFA.encode())
        )

    result = read(engine, change)
    assert text_of(result).count("Kittiwake") == 1
    assert result.notes == ()


def test_an_xfa_form_that_is_no_xml_is_noted(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        pdf.Root.AcroForm = Dictionary(Fields=Array(), XFA=pdf.make_stream(b"<xdp:xdp><template>"))

    result = read(engine, change)
    assert [note.kind for note in result.notes] == ["form_unread"]
    assert lines_found(text_of(result)) == len(LINES)


def test_a_field_that_shows_other_words_than_its_value_is_read_both_ways(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    sum_due = annotation("Widget", FT=Name.Tx, T=String("due"), V=String("1234.5"))
    sum_due.AP = appearance(page.pdf, "EUR 1,234.50")
    same = annotation("Widget", (60, 200, 300, 240), FT=Name.Tx, T=String("name"), V=String("Okonkwo"))
    same.AP = appearance(page.pdf, "Okonkwo")
    text = text_of(read(engine, annotated(sum_due, same), page))
    assert "due: 1234.5" in text
    assert "EUR 1,234.50" in text
    assert text.count("Okonkwo") == 1


def test_xfa_packets_that_make_no_document_together_are_read(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        template, _, data = XFA.partition("\n")[2].removesuffix("</xdp:xdp>").partition("<xfa:datasets")
        streams = [pdf.make_stream(part.encode()) for part in (template, "<xfa:datasets" + data)]
        packets = Array([String("template"), streams[0], String("datasets"), streams[1]])
        pdf.Root.AcroForm = Dictionary(Fields=Array(), XFA=packets)

    assert "boat: Kittiwake" in text_of(read(engine, change))
