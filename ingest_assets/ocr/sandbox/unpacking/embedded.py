"""Files that are attached to a PDF or embedded in an Office document.

Belongs here: finding them. Does not belong here: limits and names (`contents`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pikepdf

from ingest_assets.errors import PermanentError
from ingest_assets.formats import OPEN_DOCUMENT
from ingest_assets.identification import identify
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.epub import is_file_of_its_own
from ingest_assets.ocr.sandbox.flat import package_of
from ingest_assets.ocr.sandbox.iwork import is_whole_preview
from ingest_assets.ocr.sandbox.unpacking.archives import open_zip, zip_blocks
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError
from ingest_assets.ocr.sandbox.unpacking.objects import add_object

# Of a package: what other programs made, and documents that were put in whole.
_EMBEDDED = re.compile(r"(?:word|xl|ppt|visio)/(?:embeddings/.+|afchunk[^/]*)", re.IGNORECASE)
# Of an OpenDocument file: its own parts. A folder with a content of its own is shown in the document.
_PARTS = re.compile(
    r"mimetype|[^/]+\.(?:xml|rdf|rels)$|layout-cache|(?:META-INF|Thumbnails|Pictures|Configurations2"
    r"|ObjectReplacements|Basic|Dialogs|Scripts|Fonts)/",
    re.IGNORECASE,
)
_SHOWN = ("content.xml", "settings.xml")


def unpack_pdf(path: Path, contents: Contents, name: str) -> None:
    """Take out the files that a PDF lists as attached, then those that are pinned to its pages."""
    try:
        with pikepdf.open(path) as pdf, suppress(TooManyPartsError):
            seen = set()
            for title, spec in _listed(pdf):
                for stream in _streams(spec):
                    if stream.is_indirect and stream.objgen in seen:
                        continue
                    seen.add(stream.objgen)
                    contents.add(_file_name(spec) or title, _unpacked(stream))
    except pikepdf.PasswordError as error:
        raise PermanentError("encrypted", "It opens only with a password.") from error
    except (pikepdf.PdfError, RuntimeError, ValueError) as error:
        raise corrupt(f"what is attached to it cannot be listed ({error})") from error


def _listed(pdf: pikepdf.Pdf) -> Iterator[tuple[str, pikepdf.Object]]:
    names = pdf.Root.get("/Names", pikepdf.Dictionary()).get("/EmbeddedFiles")
    if isinstance(names, pikepdf.Dictionary):
        yield from ((str(title), spec) for title, spec in pikepdf.NameTree(names).items())
    for page in pdf.pages:
        for annotation in page.obj.get("/Annots", ()):
            if (
                isinstance(annotation, pikepdf.Dictionary)
                and annotation.get("/Subtype") == "/FileAttachment"
            ):
                yield "attachment", annotation.get("/FS", pikepdf.Dictionary())


def _streams(spec: object) -> Iterator[pikepdf.Stream]:
    """Yield the one file of a file specification."""
    if isinstance(spec, pikepdf.Dictionary) and isinstance(
        files := spec.get("/EF"), pikepdf.Dictionary
    ):
        for key in ("/UF", "/F"):
            if isinstance(stream := files.get(key), pikepdf.Stream):
                yield stream
                return


def _file_name(spec: pikepdf.Object) -> str:
    stated = spec.get("/UF") or spec.get("/F")
    return PurePosixPath(str(stated).replace("\\", "/")).name if stated is not None else ""


def _unpacked(stream: pikepdf.Stream) -> Iterator[bytes]:
    yield stream.read_bytes()


def unpack_office(file: Path | BinaryIO, contents: Contents, name: str) -> None:
    """Take out what a package of Office holds of other documents."""
    _unpack_package(file, contents, lambda member: _EMBEDDED.fullmatch(member) is not None)


def unpack_open_document(file: Path | BinaryIO, contents: Contents, name: str) -> None:
    """Take out what an OpenDocument file holds of other documents; what is shown in it stays."""
    with open_zip(file, "a package") as package:
        names = package.namelist()
    inner = tuple(
        {f"{folder}/" for folder, _, base in (one.rpartition("/") for one in names) if base in _SHOWN}
        - {"/"}
    )
    _unpack_package(
        file,
        contents,
        lambda member: _PARTS.match(member) is None and not member.startswith(inner),
    )


def unpack_flat(path: Path, contents: Contents, name: str) -> None:
    """Take out what a document that is one XML file holds of other documents."""
    package = io.BytesIO(package_of(path))
    is_open = identify(package).mime_type.startswith(OPEN_DOCUMENT)
    (unpack_open_document if is_open else unpack_office)(package, contents, name)


def unpack_iwork(path: Path, contents: Contents, name: str) -> None:
    """Take out the preview of all pages of a Pages, Numbers or Keynote document."""
    _unpack_package(path, contents, is_whole_preview)


def unpack_epub(path: Path, contents: Contents, name: str) -> None:
    """Take out what a book holds besides its pages: films, sounds, documents."""
    _unpack_package(path, contents, is_file_of_its_own)


def _unpack_package(file: Path | BinaryIO, contents: Contents, is_part: Callable[[str], bool]) -> None:
    with open_zip(file, "a package") as package, suppress(TooManyPartsError):
        for member in package.infolist():
            if not member.filename or member.is_dir() or not is_part(member.filename):
                continue
            add_object(
                contents,
                PurePosixPath(member.filename).name,
                partial(zip_blocks, package, member),
            )
