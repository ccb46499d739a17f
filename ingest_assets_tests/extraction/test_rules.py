"""What the rules find, how it is normalised, and that no text makes them stall."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_assets.errors import PermanentError
from ingest_assets.extraction import local, normal
from ingest_assets.extraction.engine import ENTITY_TYPES
from ingest_assets.extraction.local import LocalEngine
from ingest_assets.extraction.sandbox.names import find as find_names
from ingest_assets.extraction.sandbox.operations import entities
from ingest_assets_tests.support.engines import RulesEngine

TOKENS = 'Inc. LLC , ( ) “ ” " a an the and of John $ % @ . / : - 1 20 2001 April § U.S. New York \n'


def found(text: str, *types: str) -> list[tuple[str, str, str]]:
    """Type, text and normalised value."""
    return [
        (mention.entity_type, text[mention.start : mention.end], mention.normalised)
        for mention in RulesEngine().extract(text)
        if not types or mention.entity_type in types
    ]


def test_people_and_organisations_in_the_headers_of_mails_are_found_whatever_they_are_called() -> None:
    mail = (
        'From: Jörg Ånström <joerg@example.org>\nTo: "Wójcik, Zofia" <z@example.org>, ben@example.org, '
        "Harbour Office <office@example.org>, Nordsee GmbH <info@example.org>\n"
        "Cc: Ludwig van der Rohe <l@example.org>, 4th Floor <x@example.org>, Solo <s@example.org>\n"
        "Date: Fri, 03 May 2024 09:41:00 +0000\nSubject: Dues\n\nTo: Nobody Here <a@example.org>\n"
    )
    assert found(mail, "person", "organization") == [
        ("person", "Jörg Ånström", "jörg ånström"),
        ("person", "Wójcik, Zofia", "zofia wójcik"),
        ("organization", "Harbour Office", "harbour office"),
        ("organization", "Nordsee GmbH", "nordsee"),
        ("person", "Ludwig van der Rohe", "ludwig van der rohe"),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("April 18, 2001", "2001-04-18"),
        ("APRIL 18TH, 2001", "2001-04-18"),
        ("Apr. 18 2001", "2001-04-18"),
        ("April\n18,\n2001", "2001-04-18"),
        ("18 April 2001", "2001-04-18"),
        ("18th day of April, 2001", "2001-04-18"),
        ("2001-04-18", "2001-04-18"),
        ("4/18/2001", "2001-04-18"),
        ("18/4/2001", "2001-04-18"),
        ("04-18-01", "2001-04-18"),
        ("April 2001", "2001-04"),
        ("February 29, 2000", "2000-02-29"),
    ],
)
def test_dates(text: str, value: str) -> None:
    assert found(f"dated as of {text}, by") == [("date", text, value)]


@pytest.mark.parametrize("text", ["February 30, 2001", "13/13/2001", "1/2/3/2004", "may 5", "1.2.2001"])
def test_what_is_no_date(text: str) -> None:
    assert found(f"on {text} or so", "date") == []


@pytest.mark.parametrize(
    ("text", "entity_type", "value"),
    [
        ("$1,250,000.50", "money", "USD 1250000.5"),
        ("US$ 2.5 million", "money", "USD 2500000"),
        ("€300", "money", "EUR 300"),
        ("GBP 40", "money", "GBP 40"),
        ("5,000 dollars", "money", "USD 5000"),
        ("12.50%", "percentage", "12.5"),
        ("5 percent", "percentage", "5"),
        ("John.Doe@Example.COM", "email", "john.doe@example.com"),
        ("https://www.Example.com/Path?q=1", "url", "example.com/Path?q=1"),
        ("(213) 892-5733", "phone", "+12138925733"),
        ("+44 20 7946 0958", "phone", "+442079460958"),
        ("410 U.S. 113", "citation", "410 u.s. 113"),
        ("42 U.S.C. § 1981", "citation", "42 u.s.c. § 1981"),
        ("Kite Pharma, Inc.", "organization", "kite pharma"),
        ("L. B. Foster Company", "organization", "l b foster"),
        ("SEARS, ROEBUCK AND CO.", "organization", "sears roebuck"),
        ("John J. Donahoe II", "person", "john donahoe ii"),
        ("MICHAEL WEINHOLD", "person", "michael weinhold"),
        ("New York", "jurisdiction", "US-NY"),
        ("DELAWARE", "jurisdiction", "US-DE"),
        ("United Kingdom", "jurisdiction", "GB"),
    ],
)
def test_one_of_each(text: str, entity_type: str, value: str) -> None:
    assert (entity_type, text, value) in found(f"it is said of {text} that")


def test_the_parties_of_an_agreement() -> None:
    text = (
        "CONFIDENTIALITY AGREEMENT\n\nThis Agreement is made as of February 10, 2017, between Kite "
        "Pharma, Inc., a Delaware corporation (the “Company”), Ixia (“Recipient”), and Mr. Eric Dean "
        "Sprunk. It is governed by the laws of the State of California."
    )
    assert found(text) == [
        ("date", "February 10, 2017", "2017-02-10"),
        ("organization", "Kite Pharma, Inc.", "kite pharma"),
        ("jurisdiction", "Delaware", "US-DE"),
        ("organization", "Ixia", "ixia"),
        ("person", "Eric Dean Sprunk", "eric dean sprunk"),
        ("jurisdiction", "California", "US-CA"),
    ]


def test_each_name_of_the_gazetteer_is_found_whole_and_in_no_other_word() -> None:
    names = [name.upper() for name in normal.gazetteer()]
    mentions = [
        mention for mention in find_names("; ".join(names)) if mention.entity_type == "jurisdiction"
    ]
    assert [mention.normalised for mention in mentions] == list(normal.gazetteer().values())
    inside = "; ".join(f"X{name}; {name}X; -{name}; {name}-" for name in names if name.isalpha())
    assert not [mention for mention in find_names(inside) if mention.entity_type == "jurisdiction"]
    assert found("West Virginia, New\n  York City, GUINEA-BISSAU", "jurisdiction") == [
        ("jurisdiction", "West Virginia", "US-WV"),
        ("jurisdiction", "New\n  York", "US-NY"),
        ("jurisdiction", "GUINEA-BISSAU", "GW"),
    ]


def test_mentions_lie_apart_and_the_surer_type_wins() -> None:
    assert found("Bank of New York Mellon Corp. and a@new-york.com") == [
        ("organization", "Bank of New York Mellon Corp.", "bank of new york mellon"),
        ("email", "a@new-york.com", "a@new-york.com"),
    ]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "Inc.",
                    "LLC",
                    ",",
                    "(",
                    ")",
                    "“",
                    "”",
                    '"',
                    "a",
                    "an",
                    "the",
                    "and",
                    "of",
                    "John",
                    "$",
                    "%",
                    "@",
                    ".",
                    "/",
                    ":",
                    "-",
                    "1",
                    "20",
                    "2001",
                    "April",
                    "§",
                    "U.S.",
                    "New",
                    "York\n",
                ]
            ),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        ),
        max_size=60,
    ).map(" ".join)
)
def test_whatever_the_text_mentions_are_places_in_it(text: str) -> None:
    end = 0
    for mention in RulesEngine().extract(text):
        assert end <= mention.start < mention.end <= len(text)
        assert mention.entity_type in ENTITY_TYPES
        assert mention.normalised
        assert len(mention.normalised) <= normal.MAX_CHARACTERS
        end = mention.end


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "1", "1,", "$1,", "a.", "a@", "A ", "Inc. ", "A, ", "John ", "(", "“", "www.", "-"),
        *("1/", "April ", "April 1 ", "(212) ", "1 U.S. ", "§ ", "U.S.C. § 1", "of the ", " (the "),
        *("\t", "\n", "%", "_", "a-", "+1", "John A. ", "New ", "9 F.3d 9, 9 "),
    ],
)
def test_no_text_stalls_a_worker(unit: str) -> None:
    """A piece is 10,000 characters: its worst must stay far below the 20 s that a worker has."""
    text = (unit * (10_000 // len(unit) + 1))[:10_000]
    started = time.process_time()
    entities(text)
    assert time.process_time() - started < 5


def test_a_text_that_takes_too_much_is_a_typed_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LocalEngine(workers=1)
    try:
        monkeypatch.setattr(local, "MAX_MENTIONS", 100)
        with pytest.raises(PermanentError, match="more than 100 entities") as raised:
            engine.extract("Acme, Inc. pays. " * 2_000)
        assert raised.value.code == "too_many_mentions"
        assert len(engine.extract("Acme, Inc. pays.")) == 1
        monkeypatch.setattr(local, "_CPU_SECONDS", -1.0)
        with pytest.raises(PermanentError, match="too much computing") as raised:
            engine.extract("Acme, Inc. pays.")
        assert raised.value.code == "extraction_timeout"
    finally:
        engine.close()


def test_a_long_text_is_taken_in_pieces_by_several_processes() -> None:
    line = "Acme Widgets, Inc. paid $5 on April 18, 2001. "
    text = "\n".join([line * 20] * 60)
    engine = LocalEngine(workers=2)
    try:
        mentions = engine.extract(text)
        assert engine.extract("") == ()
    finally:
        engine.close()
    assert len(mentions) == 3 * 20 * 60
    assert {text[m.start : m.end] for m in mentions} == {"Acme Widgets, Inc.", "$5", "April 18, 2001"}
    assert [m.start for m in mentions] == sorted(m.start for m in mentions)
