from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.local import LocalEngine
from ingest_assets_tests.support.scans import (
    JPEG,
    LINES,
    PNG,
    TIFF,
    encoded,
    lines_found,
    page_image,
    stored,
)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_is_read(engine: LocalEngine, mode: str) -> None:
    grey = page_image(LINES[:5]).crop((0, 0, 1650, 700))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "RGBA":  # Black letters on nothing.
        image = Image.new("RGBA", grey.size)
        image.putalpha(grey.point(lambda value: 255 - value))
    else:
        image = grey.convert(mode)
    kind, mime_type = ("TIFF", TIFF) if mode == "CMYK" else ("PNG", PNG)
    result = engine.recognise(stored(encoded(image, kind), mime_type))
    assert lines_found(result.pages[0].text, LINES[:5]) == 5
    assert result.pages[0].origin == "ocr"


def test_every_frame_of_a_tiff_is_a_page(engine: LocalEngine) -> None:
    frames = [page_image(LINES[start : start + 4]).convert("1") for start in (0, 4, 8)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:], compression="group4")
    result = engine.recognise(stored(data, TIFF))
    assert [page.number for page in result.pages] == [1, 2, 3]
    for page, start in zip(result.pages, (0, 4, 8), strict=True):
        assert lines_found(page.text, LINES[start : start + 4]) == 4


@pytest.mark.parametrize(("orientation", "degrees"), [(3, 180), (6, 90), (8, 270)])
def test_exif_orientation_is_obeyed(engine: LocalEngine, orientation: int, degrees: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = page_image().rotate(degrees, expand=True)
    result = engine.recognise(stored(encoded(image, "JPEG", exif=exif), JPEG))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert result.notes == ()
    assert result.thumbnail is not None


def test_scan_at_600_dpi_is_read(engine: LocalEngine) -> None:
    data = encoded(page_image(dpi=600), "PNG", dpi=(600, 600))
    assert lines_found(engine.recognise(stored(data, PNG)).pages[0].text) == len(LINES)


def test_blank_image_is_no_error(engine: LocalEngine) -> None:
    result = engine.recognise(stored(encoded(Image.new("RGB", (800, 600), "white"), "PNG"), PNG))
    assert [(page.text, page.confidence) for page in result.pages] == [("", None)]


@pytest.mark.parametrize(("kind", "mime_type"), [("PNG", PNG), ("JPEG", JPEG), ("TIFF", TIFF)])
def test_truncated_image_is_corrupt(engine: LocalEngine, kind: str, mime_type: str) -> None:
    data = encoded(page_image(), kind)
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(data[: len(data) // 2], mime_type))
    assert caught.value.code == "corrupt_document"


def test_other_formats_under_a_false_name_are_refused(engine: LocalEngine) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(encoded(page_image(), "GIF"), PNG))
    assert caught.value.code == "corrupt_document"


def test_bomb_is_too_large(engine: LocalEngine) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    bomb += chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(bomb, PNG))
    assert caught.value.code == "image_too_large"
