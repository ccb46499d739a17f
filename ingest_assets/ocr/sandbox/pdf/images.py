"""The images of a PDF, as their dictionaries and data describe them.

Belongs here: what can be told of an image without drawing it. Does not belong here: where on a page it
is drawn (`view`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import pikepdf

from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES
from ingest_assets.ocr.sandbox.pdf.entries import get

# An image with shorter sides, in pixels, holds no word.
_SHORT_SIDE, _LONG_SIDE = 8, 32

_MANY_BYTES = 10_000

# Twice the end of a line.
_END_OF_FAX = 2 * "000000000001"

# What is taken for the size of an image that says none.
_UNKNOWN_SIZE = (1 << 15, 1 << 15)


def may_hold_letters(image: pikepdf.Object) -> bool:
    """Tell whether an image is large enough for a word."""
    packed = image.get("/Length", 0)
    # What a small image cannot need makes it larger than it says: JPEG has its own size.
    return (isinstance(packed, int) and packed > _MANY_BYTES) or any(
        min(size) >= _SHORT_SIDE and max(size) >= _LONG_SIDE
        for size in map(_size, (image, *_masks(image)))
    )


def is_of_two_colours(image: pikepdf.Object) -> bool:
    """Tell whether an image says that it has no greys."""
    return image.get("/BitsPerComponent") == 1 or bool(image.get("/ImageMask"))


def lacks_colours(drawn: pikepdf.Object) -> bool:
    """Tell whether an image is a JPEG that only says itself which colours it has: PDFium draws none."""
    filters: object = get(drawn, "/Filter")
    return filters == "/DCTDecode" and "/ColorSpace" not in drawn and "/ImageMask" not in drawn


def breaks_off(image: pikepdf.Object) -> bool:
    """Tell whether the data of an image end before the image does."""
    filters = image.get("/Filter")
    if isinstance(filters, pikepdf.Array) and len(filters) == 1:
        filters = filters[0]
    packed = image.read_raw_bytes()
    if filters == "/FlateDecode":
        unpacker, size = zlib.decompressobj(), 0
        try:
            while packed and size < MAX_DECODED_BYTES:
                size += len(unpacker.decompress(packed, 1 << 20))
                packed = unpacker.unconsumed_tail
        except zlib.error:
            return True
        return not packed and not unpacker.eof
    if filters == "/DCTDecode":  # Its last marker is "end of image".
        return packed.rfind(b"\xff\xd9") < packed.rfind(b"\xff\xda")
    if filters == "/CCITTFaxDecode":
        return _is_fax_cut_off(image.get("/DecodeParms"), packed)
    if filters == "/JPXDecode":
        return packed.rfind(b"\xff\xd9") < len(packed) // 2
    return False


def _is_fax_cut_off(parameters: pikepdf.Object | None, packed: bytes) -> bool:
    """Tell whether a fax of Group 4 lacks the code that ends it (ISO 32000-1, table 11)."""
    if isinstance(parameters, pikepdf.Array) and len(parameters) == 1:
        parameters = parameters[0]
    group: object = get(parameters, "/K")
    ends: object = get(parameters, "/EndOfBlock")
    if not isinstance(group, int) or group >= 0 or ends is False:
        return False
    return _END_OF_FAX not in "".join(f"{byte:08b}" for byte in packed[-64:])


def sizes_with_masks(images: Iterable[pikepdf.Object]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for the size of an image that of its mask where this is finer: it decides what is seen."""
    return {_size(image): max(map(_size, masks)) for image in images if (masks := _masks(image))}


def _masks(image: pikepdf.Object) -> list[pikepdf.Object]:
    """Return the masks of an image, which may be what shows letters: the image is their ink."""
    masks = (image.get(key) for key in ("/SMask", "/Mask"))
    return [mask for mask in masks if isinstance(mask, pikepdf.Stream)]


def _size(image: pikepdf.Object) -> tuple[int, int]:
    """Return width and height in pixels, or a large size where they are no numbers."""
    try:
        return int(image.get("/Width", 0)), int(image.get("/Height", 0))
    except (TypeError, ValueError):
        return _UNKNOWN_SIZE
