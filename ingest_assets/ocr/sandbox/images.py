"""PNG, JPEG and TIFF: frames, and whatever colours they come in, to upright grey pictures.

Belongs here: all that knows image files. Does not belong here: recognition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ingest_assets.errors import IngestError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import (
    MAX_PIXELS,
    PageContent,
    Picture,
    check_decoded_size,
    check_page_count,
    corrupt,
)

# What an image is taken to be when it does not say, in dots per inch.
_ASSUMED_DPI = 200

# More than this gains nothing: in dots per inch, and in pixels on the shorter side where the dots
# per inch are not known (a photograph of a sheet of paper).
_MAX_USEFUL_DPI = 300
_MAX_USEFUL_SHORT_SIDE = 2600

_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_WIDER_THAN_8_BITS = ("I", "I;16", "I;16B", "I;16L", "F")

Image.preinit()  # Makes PNG and JPEG known, as the import above does TIFF.
Image.MAX_IMAGE_PIXELS = None  # `_check_size` is stricter and gives a reason.


class ImageDocument:
    """An image file; each frame of a TIFF is a page."""

    pictured = True
    notes: tuple[Note, ...] = ()

    def __init__(self, path: Path) -> None:
        with _decoding():
            # Nothing but these: Pillow knows dozens of formats, each one more way to be attacked.
            self._image = Image.open(path, formats=("PNG", "JPEG", "TIFF"))

    @cached_property
    def page_count(self) -> int:
        """The number of frames; to count them is to go through the whole file."""
        with _decoding():
            frames = getattr(self._image, "n_frames", 1) if self._image.format == "TIFF" else 1
        return check_page_count(frames)

    def page(self, number: int) -> PageContent:
        """Return the frame: images carry no text."""
        return PageContent((lambda: self.picture(number),))

    def picture(self, number: int) -> Picture:
        """Return a frame, upright, grey, on white, at a resolution that reads well."""
        with _decoding():
            self._image.seek(number - 1)
            scale, dpi = _scale(self._image)
            width, height = self._image.size
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            # A JPEG is decoded to grey, and smaller, at once.
            self._image.draft("L", size)
            frame = to_grey(self._decode())
            if scale < 1:
                frame = frame.resize(size, Image.Resampling.LANCZOS)
            notes: tuple[Note, ...] = ()
            if scale < 1 and dpi < 0.5 * _ASSUMED_DPI:
                notes = (Note("low_resolution", f"a huge image, recognised at {dpi} dpi"),)
            return Picture(ImageOps.exif_transpose(frame), dpi, notes)

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Return the first frame, small, in colour."""
        with _decoding():
            self._image.seek(0)
            self._image.draft("RGB", (longest_side, longest_side))
            frame = self._decode()
            if frame.mode in _WIDER_THAN_8_BITS or "A" in frame.mode or frame.mode == "P":
                frame = to_grey(frame)
            frame.thumbnail((longest_side, longest_side))
            return ImageOps.exif_transpose(frame).convert("RGB")

    def close(self) -> None:
        """Close the file."""
        self._image.close()

    def _decode(self) -> Image.Image:
        _check_size(self._image)
        self._image.load()
        return self._image


def to_grey(image: Image.Image) -> Image.Image:
    """Return an image of any mode as 8 bits of grey, what is transparent as white."""
    exif = image.getexif()
    if image.mode in _WIDER_THAN_8_BITS:
        image = _narrow(image)
    elif "A" in image.mode or "transparency" in image.info:
        image = image.convert("LA")
        white = Image.new("LA", image.size, (255, 255))
        image = Image.alpha_composite(white.convert("RGBA"), image.convert("RGBA"))
    grey = image.convert("L")
    grey.info["exif"] = exif.tobytes()  # Which way is up survives the conversion.
    return grey


def _narrow(image: Image.Image) -> Image.Image:
    """Return 16-bit, 32-bit and floating-point grey as 8 bits, from darkest to lightest."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    low, high = float(np.min(values)), float(np.max(values))
    if image.mode.startswith("I;16") and high > 255:
        low, high = 0.0, 65535.0
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))


def _scale(image: Image.Image) -> tuple[float, int]:
    """Return the factor, at most 1, to bring an image to a useful size, and its dpi after that."""
    width, height = image.size
    dpi = _stated_dpi(image)
    if dpi is None:
        scale = min(1.0, _MAX_USEFUL_SHORT_SIDE / min(width, height))
        dpi = _ASSUMED_DPI / scale
    else:
        scale = min(1.0, _MAX_USEFUL_DPI / dpi)
    scale = min(scale, math.sqrt(MAX_PIXELS / (width * height)), 32_000 / max(width, height))
    return scale, max(70, round(dpi * scale))


def _stated_dpi(image: Image.Image) -> float | None:
    """Return the dots per inch that an image states, if they can be true of a page."""
    dpi = float(image.info.get("dpi", (0, 0))[0])
    # Cameras and screens write 72 and 96 into everything.
    return dpi if 100 <= dpi <= 2400 and min(image.size) / dpi >= 1 else None


def _check_size(image: Image.Image) -> None:
    check_decoded_size(*image.size, _BYTES_A_PIXEL.get(image.mode, 4))


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (IngestError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise any kind on bad bytes.
        raise corrupt(f"the image cannot be decoded ({str(error)[:200]})") from error
