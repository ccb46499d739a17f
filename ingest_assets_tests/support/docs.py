"""Writes what is generated in the documentation, from the code that it describes.

    python -m ingest_assets_tests.support.docs        or: make docs

Belongs here: pages that are made of the code alone, which `test_docs` compares with what is there. Does
not belong here: pages of measurements (`bench`) and of crashes (`crash.matrix`), which take minutes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from inspect import get_annotations
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from ingest_assets.catalogue import SECTIONS
from ingest_assets.formats import FORMATS, Format
from ingest_assets.notes import KINDS
from ingest_assets.ocr.sandbox.formats import READERS
from ingest_assets.settings import Settings

ROOT = Path(__file__).parents[2]

_ERRORS = """\
# Errors and notes

<!-- Made by `make docs` of ingest_assets/catalogue.py and ingest_assets/notes.py. -->

An error says why a document did not go on; [a note](#notes) says what a person should know of how one
was read.

## Errors

Each try of each stage is a row of `ingest.stage_attempts`; one that failed has a class, a code, a
sentence and a remedy. `ingest-assets why DOCUMENT` and Dagit show them; a command that fails ends with
such a sentence and its remedy. Here is what each code means in general; the sentence that you have says
which document, file or setting it is about.

The class decides what happens next:

- **transient**: it may pass. The run itself tries four times, then the sensor `retry_failed` launches
  another after one, two, four … minutes; a document that failed in five runs waits for a person.
- **permanent**: this document will not pass as it is. It waits for a person, who mends the file and
  then calls `ingest-assets retry --class permanent`, or materialises its partition.
- **configuration**: no document's fault. The run stops at once, and the sensors launch none until the
  set-up works again.
"""

_NOTES = """\
## Notes

A row of `ingest.document_notes` is one note on one document, or on one page of it. A document is
complete where no note says that text may be missing or wrong.
"""


def errors_page(_: str = "") -> str:
    """The page `docs/errors.md`."""
    parts = [_ERRORS]
    for heading, faults in SECTIONS.items():
        codes = ((f"`{code}`", *fault) for code, fault in sorted(faults.items()))
        parts += [
            f"### {heading}\n",
            _table(("code", "class", "what happened", "what to do"), codes),
            "",
        ]
    kinds = (
        (f"`{name}`", "yes" if kind.leaves_out else "", kind.meaning, kind.what_to_do)
        for name, kind in sorted(KINDS.items())
    )
    parts += [_NOTES, _table(("kind", "text may be missing", "what it says", "what to do"), kinds), ""]
    return "\n".join(parts)


_SETTINGS = """\
# Settings

<!-- Made by `make docs` of ingest_assets/settings.py. -->

Environment variables, or `.env` in the working directory. A service whose variable is set is used; one
whose variable is not set is embedded.

## Where documents and services are
"""


def readme(text: str) -> str:
    """The README with its table of settings as it has to be."""
    return _between("settings", settings_table(Settings), text)


def settings_page(_: str = "") -> str:
    """The page `docs/settings.md`: first what every process takes, then what one part of them does."""
    parts = [_SETTINGS, settings_table(Settings)]
    for group in reversed(Settings.__mro__):
        own = issubclass(group, BaseModel) and not issubclass(group, BaseSettings)
        if own and (table := settings_table(group)):
            heading = (group.__doc__ or "").split(".")[0]
            parts += [f"\n## {heading}\n", table]
    return "\n".join((*parts, ""))


def settings_table(group: type[BaseModel]) -> str:
    """The settings of one class, without those of its bases; empty if it has none."""
    fields = [
        (name, field) for name, field in Settings.model_fields.items() if name in get_annotations(group)
    ]
    rows = [
        (f"`{variable(name, field)}`", _default(field), field.description) for name, field in fields
    ]
    return _table(("variable", "default", ""), rows) if rows else ""


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"INGEST_{name.upper()}"


_FORMATS = """\
# Types of files

<!-- Made by `make docs` of ingest_assets/formats.py and ingest_assets/ocr/sandbox/formats.py. -->

The type of a file is judged by its content, never by its name. What a reader leaves out it says in a
note of the kind that stands in brackets; [what the kinds mean](errors.md#notes). Where Textract is
set, it takes PDF, PNG, JPEG and TIFF; all other types are read on this machine.
`document_texts.engine_version` has the versions of the programs.

## Read
"""

_OPENED = """
## Opened

What is inside these becomes documents of their own; their text is the list of it. What is inside a type
with “files in it” above becomes documents, too. The messages of a mail store come out as the MSG that
Outlook would save; a message that is attached to one of them is named and rejected, because libpff does
not give it.

A mail with an archive in which there is another mail, with a PDF, is five documents. Dagit lists what
is in each, with links to their partitions:

![What is inside an archive, in Dagit](parts.png)

`ingest-assets why papers.eml` prints the tree:

    Inside it: 4 documents.
      papers.zip completed (partition papers-73c7591ee34d)
        2024/lease.eml completed (partition lease-2a5b70857e04)
          agreement.pdf completed (partition agreement-05494be54b57)
        2024/note.txt completed (partition note-5dd142f54e60)

In SQL a part is a row of `document_sources` with the document that it is inside of:

    SELECT part.part_path, progress.state
    FROM ingest.source_documents AS container
    JOIN ingest.document_sources AS part ON part.parent_uuid = container.document_uuid
    JOIN ingest.document_progress AS progress ON progress.partition_key = part.partition_key
    WHERE container.original_file_name = 'papers.zip';
"""

_REFUSED = """
## Refused

The document's error, `unsupported_type`, says which type it is. A file of any other type is refused
under the name that libmagic's rules have for it.
"""


def formats_page(_: str = "") -> str:
    """The page `docs/formats.md`."""
    rows = (
        (
            "; ".join(_of_a_kind(format_) for format_ in reader.types),
            reader.known_by,
            reader.reads,
            "; ".join(
                f"{what} (`{kind}`)" if kind else f"{what} (without a note)"
                for kind, what in reader.leaves.items()
            ),
            "yes" if any(format_.holds != "never" for format_ in reader.types) else "",
            reader.programs,
        )
        for reader in READERS
    )
    table = _table(("type", "recognised by", "what is read", "what is not", "files in it", "by"), rows)
    refused = sorted(
        {_of_a_kind(format_) for format_ in FORMATS.values() if not format_.read},
        key=lambda name: name.casefold(),
    )
    opened = (_of_a_kind(found) for found in FORMATS.values() if found.holds == "only")
    lists = (_OPENED, *(f"- {name}" for name in opened), _REFUSED, *(f"- {name}" for name in refused))
    return "\n".join((_FORMATS, table, *lists, ""))


def _of_a_kind(format_: Format) -> str:
    """The name of a type with the end of its files' names, without the article."""
    name = format_.name.partition(" ")[2] if format_.name.startswith(("a ", "an ")) else format_.name
    return f"{name} `{format_.extension}`" if format_.extension else name


PAGES: dict[Path, Callable[[str], str]] = {
    ROOT / "README.md": readme,
    ROOT / "docs/errors.md": errors_page,
    ROOT / "docs/formats.md": formats_page,
    ROOT / "docs/settings.md": settings_page,
}


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None or value is PydanticUndefined:
        return ""  # The description says what holds where it is not set.
    if isinstance(value, list):
        value = ",".join(value).replace("\r", "\\r")
    return f"`./{value}`" if isinstance(value, Path) else f"`{value}`"


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def _between(name: str, content: str, text: str) -> str:
    begin, end = f"<!-- {name}: made by `make docs` -->", f"<!-- end of {name} -->"
    assert begin in text, f"The page has no line {begin}"
    return re.sub(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{content}\n{end}",
        text,
        flags=re.DOTALL,
    )


def main() -> None:
    """Write all pages."""
    for path, made in PAGES.items():
        path.write_text(made(path.read_text() if path.exists() else ""))


if __name__ == "__main__":
    main()
