"""Cutting a text into chunks that fit an embedding model, each a place in the text.

Belongs here: where chunks begin and end. Does not belong here: storing them, and their pages.

`semantic-text-splitter` (MIT) cuts at ends of paragraphs, lines, sentences or words, the first of these
that fits. On 8.5 million characters of agreements it took 0.03 s, langchain-text-splitters 1.1.3 took
0.09 s and semchunk 4.1.1 0.38 s; it was also the only one that lost no character and cut no word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import NamedTuple

from semantic_text_splitter import TextSplitter

# The splitter gets this much text at a time: over text without ends of lines or sentences it takes
# quadratic time (90 s for 4 million characters).
_WINDOW_CHARACTERS = 50_000


class Chunk(NamedTuple):
    """A chunk's place in the text, in characters (code points): `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True)
class Chunker:
    """Cuts texts into chunks. Safe between threads.

    Args:
        characters: the most that a chunk has.
        overlap: characters, at most, that a chunk repeats of the one before it. It repeats whole
            sentences or words, so mostly fewer.

    Example:
        >>> [text[start:end] for start, end in Chunker(10, 0).split(text := "One. Two. Three.")]
        ['One. Two.', 'Three.']
    """

    characters: int = 1_500
    overlap: int = 200

    @cached_property
    def version(self) -> str:
        """Library and settings; the same version cuts the same text in the same places."""
        library = f"semantic-text-splitter {version('semantic-text-splitter')}"
        return f"{library} {self.characters}/{self.overlap}"

    def split(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in order. Every character that is no white space is in one of them.

        A word is cut only if it is longer than a chunk. No chunk begins or ends with white space.
        """
        splitter = TextSplitter(self.characters, overlap=self.overlap, trim=True)
        window = max(_WINDOW_CHARACTERS, 20 * self.characters)
        start = 0
        while start < len(text):
            end = start + window
            chunks = [
                Chunk(start + place, start + place + len(chunk))
                for place, chunk in splitter.chunk_indices(text[start:end])
            ]
            start = end
            if chunks and chunks[-1].end == end < len(text):
                # The window may have cut its last chunk short, so the next window begins with that.
                start = chunks.pop().start
            yield from chunks
