"""Taking out what is inside a document: parts of mails, members of archives, embedded files.

One module a family of formats; each gives the parts in the order of the file, the same bytes each time.
"""

from __future__ import annotations

from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any

from ingest_assets import formats
from ingest_assets.ocr.sandbox.unpacking.contents import Contents

_UNPACKERS = {
    formats.ZIP: ("archives", "unpack_zip"),
    formats.SEVEN_ZIP: ("seven_zip", "unpack_7z"),
    formats.TAR: ("archives", "unpack_tar"),
    formats.GZIP: ("archives", "unpack_compressed"),
    formats.BZIP2: ("archives", "unpack_compressed"),
    formats.XZ: ("archives", "unpack_compressed"),
    formats.ZSTANDARD: ("archives", "unpack_compressed"),
    formats.LZMA: ("archives", "unpack_compressed"),
    formats.MAIL: ("mail", "unpack_mail"),
    formats.MSG: ("outlook", "unpack_msg"),
    formats.TNEF: ("outlook", "unpack_tnef"),
    formats.SIGNED: ("mail", "unpack_signed"),
    formats.PST: ("pst", "unpack_pst"),
    formats.MBOX: ("mail", "unpack_mailbox"),
    formats.WEB_ARCHIVE: ("mail", "unpack_web_archive"),
    formats.PDF: ("embedded", "unpack_pdf"),
    formats.DOCX: ("embedded", "unpack_office"),
    formats.XLSX: ("embedded", "unpack_office"),
    formats.XLSB: ("embedded", "unpack_office"),
    formats.PPTX: ("embedded", "unpack_office"),
    formats.VSDX: ("embedded", "unpack_office"),
    formats.ODT: ("embedded", "unpack_open_document"),
    formats.ODS: ("embedded", "unpack_open_document"),
    formats.ODP: ("embedded", "unpack_open_document"),
    formats.ODG: ("embedded", "unpack_open_document"),
    formats.FODT: ("embedded", "unpack_flat"),
    formats.FODS: ("embedded", "unpack_flat"),
    formats.FODP: ("embedded", "unpack_flat"),
    formats.FODG: ("embedded", "unpack_flat"),
    formats.FLAT_OFFICE: ("embedded", "unpack_flat"),
    formats.IWORK: ("embedded", "unpack_iwork"),
    formats.EPUB: ("embedded", "unpack_epub"),
    formats.DOC: ("old_office", "unpack_storages"),
    formats.XLS: ("old_office", "unpack_storages"),
    formats.PPT: ("old_office", "unpack_ppt"),
    formats.RTF: ("old_office", "unpack_rtf"),
}
_BY_TYPE = {format_.mime_type: unpacker for format_, unpacker in _UNPACKERS.items()}


def unpack(
    path: str,
    mime_type: str,
    name: str,
    folder: str,
    limits: dict[str, Any],
    before: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Write each part of a document to a file of its own.

    Args:
        name: the document's file name; what is packed alone is called after it.
        folder: an empty one, in which the parts are called `1`, `2`, …
        limits: `parts` at most, and `bytes` of all of them; `seconds` of computing after which a step
            ends.
        before: what the step before this one returned as `more`; its parts stay in the folder.

    Returns:
        `parts`, in order: `path` inside the document, `size_bytes`, and `problem`: None, or code and
        sentence, where there is no file. `notes`, kind and sentence of each. `more`: None, or what the
        next step has to be told, where this one ended before the last part.

    Raises:
        PermanentError: `corrupt_document`, `encrypted`.
    """
    seconds = limits.get("seconds", inf)
    contents = Contents(Path(folder), limits["parts"], limits["bytes"], seconds, before)
    if mime_type in _BY_TYPE:
        # Imported when needed: most workers never open an archive.
        module, unpacker = _BY_TYPE[mime_type]
        function = getattr(import_module(f"{__name__}.{module}"), unpacker)
        function(Path(path), contents, name)
    return contents.found()
