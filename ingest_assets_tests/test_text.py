from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest_assets.text import clean_text


@given(st.text(st.characters()))
def test_clean_text_can_be_stored_and_stays_clean(text: str) -> None:
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    assert "\r" not in cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert clean_text(cleaned) == cleaned


def test_clean_text_keeps_what_people_read() -> None:
    assert clean_text("\r\nnaïve\tcafé, 東京 🙂  \r\n\r\nnext\x00\ud800\x02 line\n\n") == (
        "naïve\tcafé, 東京 🙂\n\nnext line"
    )
