"""Image files: frames, and whatever colours they come in, to upright grey pictures.

Belongs here: all that knows image files. Does not belong here: recognition.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pi_heif
from PIL import (
    AvifImagePlugin,  # noqa: F401  # Importing it makes the format known, as with those below.
    DcxImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    ImageFilter,
    ImageOps,
    ImageStat,
    Jpeg2KImagePlugin,  # noqa: F401
    PcxImagePlugin,  # noqa: F401
    SgiImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
    XbmImagePlugin,  # noqa: F401
)
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PsdImagePlugin import PsdImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import (
    MAX_PAGES,
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

# A picture is not made smaller than this for the dots per inch that it states, in pixels on the shorter
# side: a page of so many can still be read.
_LEAST_SHORT_SIDE = 1200

# Pixels that are so many times as high as they are wide, or the other way round, are stretched; what
# states more than the second states a mistake.
_OBLONG, _TOO_OBLONG = 1.3, 4.0

# A frame no larger than this, in pixels, may be a small copy of the one before it without saying so.
_MAX_COPY_SIDE = 640

# Print differs from its paper by more than so many values of grey.
_LITTLE_CONTRAST = 60

# Of a picture on nothing, strokes lose more than this share when their edges are taken off, and a sheet
# of paper loses less.
_STROKES = 0.5

# A damaged frame of which less than this share was decoded has nothing to read.
_MIN_DECODED = 0.01

# Tags of TIFF, and what they say of a frame that is no page: a smaller copy or a mask of another one.
_NEW_SUBFILE_TYPE, _REDUCED_OR_MASK = 254, 1 | 4
_SUBFILE_TYPE, _REDUCED = 255, 2
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
# How its pixels are packed and what they are, where no decoder is at hand that takes them.
_COMPRESSION, _SAMPLES, _BITS, _SIGNED, _FLOATS, _COMPLEX = 259, 339, 258, 2, 3, {5, 6}
# Where its pixels lie, in strips or in tiles.
_PLACES = 273, 324
_PACKED = {
    **{33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34661: "JBIG", 34887: "LERC"},
    **{34933: "PNG", 34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"},
}

# What Pillow's decoders raise where bytes are missing or wrong.
_DAMAGED = (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error, zlib.error)

_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_WIDER_THAN_8_BITS = ("I", "I;16", "I;16B", "I;16L", "F")

# Nothing but these: Pillow knows dozens of formats, each one more way to be attacked.
_FORMATS = (
    *("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "JPEG2000", "PPM", "AVIF", "HEIF"),
    *("PCX", "DCX", "PSD", "SGI", "XBM"),
)

# Pictures of an animation that are read: so many that differ, in so many frames. A frame is another
# picture where a pixel's grey differs by more than what compression does to it.
_MOST_PICTURES = 100
_MOST_FRAMES = 2000
_SAME_GREY = 32

Image.preinit()  # Makes PNG, JPEG, GIF, BMP and PPM known.
pi_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # `_check_size` is stricter and gives a reason.


class ImageDocument:
    """An image file. A page is a frame that shows something else than the one before it.

    Frames of a TIFF that are masks or small copies of another are no pages.
    """

    pictured = True

    def __init__(self, file: Path | BinaryIO) -> None:
        # Of a path, Pillow maps the file into memory, and mixes up turned TIFFs that way.
        self._file = file.open("rb") if isinstance(file, Path) else file
        with _decoding():
            tags = _tags_of(self._file)
            if tags is not None:
                _check_pixels(tags)
            try:
                self._image = self._open()
            except UnidentifiedImageError:
                if tags is not None and any(place in tags for place in _PLACES):
                    bits = "+".join(map(str, tags.get(_BITS, (1,))))
                    raise _unread_pixels(f"numbers of {bits} bits") from None
                raise
        self._notes: list[Note] = []

    @property
    def page_count(self) -> int:
        """The number of frames; to count them is to go through the whole file."""
        return check_page_count(len(self._frames))

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a person should know about the whole file."""
        return tuple(self._notes) if self._frames else ()

    def page(self, number: int) -> PageContent:
        """Return the frame: images carry no text."""
        return PageContent((lambda: self.picture(number),))

    def picture(self, number: int) -> Picture:
        """Return a frame, upright, dark on light, in grey, at a resolution that reads well.

        A damaged frame is read as far as it goes. One of several that cannot be read at all is blank,
        with a note.
        """
        try:
            return self._picture(self._frames[number - 1])
        except PermanentError as error:
            if self.page_count == 1:
                raise
            return nothing_shown(Note("page_unreadable", f"its picture was not read: {error.message}"))

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Return the first page, small, in colour."""
        with _decoding():
            frame, _ = self._decode(self._frames[0], "RGB", (longest_side, longest_side))
            if frame.mode not in ("1", "L", "RGB", "CMYK", "YCbCr"):
                frame = to_grey(frame)
            frame.thumbnail((longest_side, longest_side))
            return ImageOps.exif_transpose(frame).convert("RGB")

    def close(self) -> None:
        """Close the file."""
        self._image.close()
        self._file.close()

    def _open(self) -> ImageFile.ImageFile:
        return Image.open(self._file, formats=_FORMATS)

    @cached_property
    def _frames(self) -> list[int]:
        """The frames that are pages.

        Behind a JPEG, cameras store the same picture again; those of a PSD are its layers.
        """
        if isinstance(self._image, (JpegImageFile, PsdImageFile)):
            return [self._image.tell()]
        if not isinstance(self._image, TiffImageFile):
            with _decoding():
                count = getattr(self._image, "n_frames", 1)
            return self._scenes(count) if count > 1 else [0]
        pages: list[int] = []
        copies: list[int] = []
        for index in range(MAX_PAGES + 1):
            try:
                self._image.seek(index)
            except EOFError:
                break
            except Exception as error:  # Pillow's parsers raise any kind on bad bytes.
                if not pages:
                    raise corrupt(f"the image cannot be opened ({str(error)[:200]})") from error
                self._notes.append(
                    Note("page_unreadable", f"the file is damaged behind page {len(pages)}")
                )
                self._image = self._open()
                break
            is_copy = _says_copy(self._image) or (pages and self._is_copy(index, pages[-1]))
            (copies if is_copy else pages).append(index)
        return pages or copies

    def _scenes(self, count: int) -> list[int]:
        """Return the frames of an animation that differ from the one before them."""
        scenes: list[int] = []
        last: npt.NDArray[np.int16] | None = None
        for index in range(min(count, _MOST_FRAMES)):
            try:
                grey = to_grey(self._decode(index)[0])
                view = np.asarray(grey.reduce(1 + max(grey.size) // 4000), dtype=np.int16)
            except PermanentError:
                if not scenes:
                    raise
                self._notes.append(
                    Note("page_unreadable", f"the file is damaged from frame {index + 1}")
                )
                return scenes
            if last is None or last.shape != view.shape or np.abs(view - last).max() > _SAME_GREY:
                if len(scenes) == _MOST_PICTURES:
                    break
                scenes.append(index)
                last = view
        else:
            index += 1
        if index < count:
            self._notes.append(
                Note(
                    "image_unreadable",
                    f"an animation of {count} frames: of these {index} were looked at",
                )
            )
        return scenes

    def _is_copy(self, index: int, original: int) -> bool:
        """Tell whether a small frame shows what a larger one shows."""
        self._image.seek(index)
        width, height = self._image.size
        self._image.seek(original)
        shape = (self._image.width * height) / (self._image.height * width)
        if (
            max(width, height) > _MAX_COPY_SIDE
            or self._image.width < 2 * width
            or not 0.97 < shape < 1.03
        ):
            return False
        try:
            size = max(8, width // 2), max(8, height // 2)
            views = [
                np.asarray(to_grey(self._decode(frame)[0]).resize(size, Image.Resampling.BOX))
                for frame in (index, original)
            ]
        except PermanentError:
            return False  # As a page, it gets the note that it cannot be read.
        if not all(view.std() for view in views):
            return False
        return bool(np.corrcoef(views[0].ravel(), views[1].ravel())[0, 1] > 0.95)

    def _picture(self, index: int) -> Picture:
        with _decoding():
            self._image.seek(index)
            if isinstance(self._image, TiffImageFile):
                _check_pixels(self._image.tag_v2)
            scale, dpi = _scale(self._image)
            width, height = (max(1, round(side * scale)) for side in self._image.size)
            # A JPEG is decoded to grey, and smaller, at once.
            frame, damaged = self._decode(index, "L", (width, height))
            frame = to_grey(frame)
            notes: list[Note] = []
            if damaged:
                frame, share = _without_missing(frame)
                if share < _MIN_DECODED:
                    raise corrupt("the image cannot be decoded")
                notes.append(
                    Note("image_unreadable", f"the image is damaged: {share:.0%} of it was decoded")
                )
            if max(frame.size) > max(width, height):
                frame.thumbnail((max(width, height),) * 2, Image.Resampling.LANCZOS)
            frame = _with_square_pixels(frame, self._image)
            frame = ImageOps.exif_transpose(frame)  # Copies it, so it is made small before.
            if scale < 1 and dpi < 0.5 * _ASSUMED_DPI:
                notes.append(Note("low_resolution", f"a huge image, recognised at {dpi} dpi"))
            return Picture(frame, dpi, tuple(notes))

    def _decode(
        self, index: int, mode: str | None = None, size: tuple[int, int] | None = None
    ) -> tuple[Image.Image, bool]:
        """Return a frame as far as it can be decoded, and whether it is damaged.

        Args:
            mode, size: what a JPEG may be decoded to at once; it is not made smaller than that.
        """
        with _decoding():
            try:
                return self._load(index, mode, size), False
            except _DAMAGED:
                self._image = self._open()
                with _lenient():
                    return self._load(index, mode, size), True

    def _load(self, index: int, mode: str | None, size: tuple[int, int] | None) -> Image.Image:
        self._image.seek(index)
        self._image.draft(mode, size)
        _check_size(self._image)
        in_16_bits = ";16" in _raw_mode(self._image)
        try:
            self._image.load()
        except OSError:
            # What libtiff decoded before it failed is there, and no tile is left to decode.
            if self._image.tile or not ImageFile.LOAD_TRUNCATED_IMAGES:
                raise
        return _widened(self._image) if in_16_bits else self._image


def nothing_shown(note: Note) -> Picture:
    """Return the picture of a page, or of part of one, that a note says could not be read."""
    return Picture(Image.new("L", (1, 1), 255), _ASSUMED_DPI, (note,))


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height of an image, in pixels; None where they cannot be told."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.width, image.height
    except Exception:  # noqa: BLE001  # Pillow raises any kind on bad bytes.
        return None


def to_grey(image: Image.Image) -> Image.Image:
    """Return a decoded image of any mode as 8 bits of grey, dark on light where it lies on nothing."""
    if image.mode in _WIDER_THAN_8_BITS:
        grey = _narrow(image)
        if isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            # Pillow heeds it up to 8 bits.
            grey = ImageOps.invert(grey)
    elif image.mode == "LAB":
        grey = image.getchannel("L")
    elif "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        grey = _on_paper(image.convert("RGBA"))
    else:
        grey = _in_contrast(image)
    if not isinstance(
        image, TiffImageFile
    ):  # Pillow has turned that already. For others, which way is up survives.
        grey.info["exif"] = image.getexif().tobytes()
    return grey


def _in_contrast(image: Image.Image) -> Image.Image:
    """Return an image as grey, or one of its colours where that shows more: red on a green as dark."""
    grey = image.convert("L")
    if image.mode in ("1", "L") or _contrast(grey) >= _LITTLE_CONTRAST:
        return grey
    colour = max(image.convert("RGB").split(), key=_contrast)
    return colour if _contrast(colour) >= 3 * _contrast(grey) else grey


def _contrast(grey: Image.Image) -> float:
    low, high = grey.getextrema()
    return float(high) - float(low)  # type: ignore[arg-type]  # of one channel both are numbers


def _on_paper(image: Image.Image) -> Image.Image:
    """Return what is seen of an image as dark on white, also where it is light and lies on nothing."""
    light, alpha = image.convert("L"), image.getchannel("A")
    backing = 255
    seen = alpha.point(lambda value: 255 * (value > 127))
    if seen.getbbox() and ImageStat.Stat(light, seen).median[0] > 160:
        small = seen.reduce(max(1, max(seen.size) // 1000))
        rest = small.filter(ImageFilter.MinFilter(15))
        if ImageStat.Stat(rest).sum[0] < _STROKES * ImageStat.Stat(small).sum[0]:
            backing = 0
    paper = Image.new("L", image.size, backing)
    paper.paste(light, mask=alpha)
    return paper if backing else ImageOps.invert(paper)


def _narrow(image: Image.Image) -> Image.Image:
    """Return 16-bit, 32-bit and floating-point grey as 8 bits."""
    values = np.asarray(image, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min(initial=0))
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high > 1:
        # Scanners put 10 and 12 bits into 16: the lightest grey says how many there are.
        low, high = 0.0, float((1 << max(8, int(high).bit_length())) - 1)
    elif low >= 0 and high > 0.25:
        low, high = 0.0, 1.0
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return how the pixels of an image that is not decoded yet lie in its file."""
    if not image.tile:
        return ""
    how = image.tile[0].args
    return how if isinstance(how, str) else str(how[0]) if how else ""


def _widened(image: Image.Image) -> Image.Image:
    """Return an image whose values fill 8 bits.

    Pillow keeps the upper 8 of 16 bits of a colour, and of 10 or 12 bits in 16 these are 2 or 4.
    """
    if image.mode in _WIDER_THAN_8_BITS:
        return image
    tables: list[int] = []
    for band in image.split():
        most = (1 << int(np.asarray(band).max()).bit_length()) - 1 or 255
        tables += (min(255, value * 255 // most) for value in range(256))
    return image.point(tables)


def _without_missing(frame: Image.Image) -> tuple[Image.Image, float]:
    """Paint as paper what was not decoded, and return the share of a frame that was.

    Decoders fill it with one grey, from one edge of the frame on: the lower one, before it is turned.
    """
    pixels = np.array(frame)
    missing = max((np.rot90(pixels, turn) for turn in range(4)), key=_rows_of_one_grey)
    count = _rows_of_one_grey(missing)
    missing[:count] = 255
    return Image.fromarray(pixels), 1 - count / len(missing)


def _rows_of_one_grey(pixels: npt.NDArray[np.uint8]) -> int:
    """Return how many rows from the top on have all the same grey, which is not that of paper."""
    same = (pixels == pixels[0, 0]).all(axis=1)
    return 0 if pixels[0, 0] > 250 else int(np.logical_and.accumulate(same).sum())


def _says_copy(frame: TiffImageFile) -> bool:
    kind = frame.tag_v2.get(_NEW_SUBFILE_TYPE, 0)
    return bool(kind & _REDUCED_OR_MASK) or frame.tag_v2.get(_SUBFILE_TYPE) == _REDUCED


def _scale(image: Image.Image) -> tuple[float, int]:
    """Return the factor, at most 1, to bring an image to a useful size, and its dpi after that."""
    width, height = image.size
    dpi = _stated_dpi(image)
    if dpi is None:
        scale = min(1.0, _MAX_USEFUL_SHORT_SIDE / min(width, height))
        dpi = _ASSUMED_DPI / scale
    else:
        # Programs write 600 and 1200 into pages that have far fewer pixels, too.
        least = _LEAST_SHORT_SIDE / min(width, height)
        scale = min(1.0, max(least, _MAX_USEFUL_DPI / dpi))
        dpi = min(dpi, _MAX_USEFUL_DPI / scale)
    scale = min(scale, math.sqrt(MAX_PIXELS / (width * height)), 32_000 / max(width, height))
    return scale, max(70, round(dpi * scale))


def _with_square_pixels(frame: Image.Image, stated: Image.Image) -> Image.Image:
    """Return a frame as wide and high as what it shows: faxes have half as many lines as columns."""
    across, down = (float(dpi) for dpi in stated.info.get("dpi", (0, 0))[:2])
    if not (
        across > 0 and down > 0 and _OBLONG <= max(across, down) / min(across, down) <= _TOO_OBLONG
    ):
        return frame
    width, height = frame.size
    stretched = (
        (width, round(height * across / down))
        if across > down
        else (round(width * down / across), height)
    )
    if stretched[0] * stretched[1] > MAX_PIXELS:
        return frame
    square = frame.resize(stretched, Image.Resampling.BICUBIC)
    square.info.update(frame.info)
    return square


def _stated_dpi(image: Image.Image) -> float | None:
    """Return the dots per inch that an image states, if they can be true of a page."""
    dpi = float(image.info.get("dpi", (0, 0))[0])
    # Cameras and screens write 72 and 96 into everything.
    return dpi if 100 <= dpi <= 2400 and min(image.size) / dpi >= 1 else None


def _check_size(image: Image.Image) -> None:
    check_decoded_size(*image.size, _BYTES_A_PIXEL.get(image.mode, 4))


def _tags_of(file: BinaryIO) -> ImageFileDirectory_v2 | None:
    """Return what a TIFF states of its first frame; Pillow says no more than that it is no TIFF."""
    head = file.read(8)
    tags = None
    if head.startswith((b"II*\0", b"MM\0*")):
        tags = ImageFileDirectory_v2(head)
        file.seek(tags.next)
        with suppress(*_DAMAGED):  # Pillow reads damaged ones as far as they go.
            tags.load(file)
    file.seek(0)
    return tags


def _check_pixels(stated: ImageFileDirectory_v2) -> None:
    """Refuse a frame of a TIFF whose pixels are whole, but of a kind that is not read."""
    samples, bits = (set(stated.get(tag, ())) for tag in (_SAMPLES, _BITS))
    packed, kind = _PACKED.get(stated.get(_COMPRESSION, 1)), ""
    if packed is not None:
        kind = f"packed as {packed}"
    elif samples & _COMPLEX or (_FLOATS in samples and bits != {32}):
        kind = f"floating-point numbers of {max(bits, default=0)} bits"
    elif samples == {_SIGNED} and bits == {8}:
        kind = "signed numbers of 8 bits"
    if kind:
        raise _unread_pixels(kind)


def _unread_pixels(kind: str) -> PermanentError:
    return PermanentError("unsupported_type", f"The pixels of the TIFF are {kind}, which is not read.")


@contextmanager
def _lenient() -> Iterator[None]:
    """Have Pillow give what it can decode of a damaged file."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (IngestError, MemoryError):
        raise
    except UnidentifiedImageError as error:  # Its own sentence names the file.
        raise corrupt("it is not an image that can be opened") from error
    except Exception as error:  # Pillow's decoders raise any kind on bad bytes.
        raise corrupt(f"the image cannot be decoded ({str(error)[:200]})") from error
