"""Collecting the parts of one document, within limits.

Belongs here: names, files and counts of parts, whatever they are taken out of. Does not belong here:
how one format is opened.
"""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from pathlib import Path
from typing import IO, Any

from ingest_assets.errors import PermanentError

_BLOCK_BYTES = 1 << 20
# Of a part's path, in bytes of UTF-8: it stands twice, percent-encoded, in the 2 KB that S3 takes.
_PATH_BYTES = 250
# What a worker may write to one file.
_PART_BYTES = 1 << 30
# Errors of the disk, which say nothing about the part.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE)


class TooManyPartsError(Exception):
    """The limit on the number of parts, or on the time of a step, is reached: what unpacks ends."""


class Contents:
    """The parts that were found so far.

    A document with many parts is unpacked in steps, so that none takes longer than a worker may. Each
    step passes over the parts of those before it, without unpacking them.

    Args:
        folder: where they are written, as files called by their number.
        most_parts: how many there may be.
        most_bytes: how many bytes all of them may have together.
        seconds: of computing, after which a step ends.
        before: what the step before this one returned as `more`.

    Attributes:
        seconds: what unpacks all parts at once sets it to infinity.
    """

    def __init__(
        self,
        folder: Path,
        most_parts: int,
        most_bytes: int,
        seconds: float = inf,
        before: Mapping[str, int] | None = None,
    ) -> None:
        self.seconds = seconds
        self._folder = folder
        self._most_parts = most_parts
        self._most_bytes = most_bytes
        before = before or {}
        self._passed = before.get("parts", 0)
        self._bytes = before.get("bytes", 0)
        self._large = before.get("large", 0)
        self._began = 0.0
        self._is_unfinished = False
        self._count = 0
        self._parts: list[dict[str, Any]] = []
        self._names: dict[str, int] = {}
        self._notes: list[list[str]] = []

    def add(self, name: str, blocks: Iterable[bytes], *, stated_bytes: int = 0) -> None:
        """Write a part. What the blocks raise becomes the reason for which this one part has no file.

        Args:
            name: as its container says it: a path, which leads nowhere here.
            stated_bytes: its size, where the container says it; a part that is too large is not begun.

        Raises:
            TooManyPartsError: there are as many parts as may be, or the step has to end.
        """
        number, path = self._next(name)
        if number <= self._passed:
            return
        target = self._folder / str(number)
        try:
            self._check(stated_bytes)
            size = 0
            with target.open("wb") as file:
                for block in blocks:
                    size += len(block)
                    self._check(size)
                    file.write(block)
        except PermanentError as error:
            self._refuse(path, target, error)
        except OSError as error:
            if error.errno in _OF_THE_DISK:
                raise
            self._refuse(path, target, damaged(f"It cannot be unpacked: {error}."))
        except (MemoryError, TooManyPartsError):
            raise
        except Exception as error:  # noqa: BLE001  # Parsers raise many kinds; each says that it failed.
            told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._refuse(path, target, damaged(f"It cannot be unpacked: {told}."))
        else:
            self._bytes += size
            self._parts.append({"path": path, "size_bytes": size, "problem": None})

    def left(self) -> int:
        """Return how many bytes the next part may have."""
        return min(self._most_bytes - self._bytes, _PART_BYTES)

    def too_large(self) -> PermanentError:
        """Return the error for a part that has more."""
        return PermanentError(
            "part_too_large",
            f"It unpacks to more than the {self.left():,} bytes that were left for it.",
        )

    def scratch(self, number: int) -> Path:
        """Return the path of a file beside the parts, for what cannot be unpacked in its order."""
        return self._folder / f"scratch-{number}"

    def refuse(self, name: str, error: PermanentError) -> None:
        """Note a part that is there and is not taken out.

        Raises:
            TooManyPartsError: there are as many parts as may be.
        """
        number, path = self._next(name)
        if number > self._passed:
            self._refuse(path, None, error)

    def note(self, kind: str, sentence: str) -> None:
        """Note what a person should know of the whole container."""
        self._notes.append([kind, sentence])

    def found(self) -> dict[str, Any]:
        """Return all that was found, as a worker answers."""
        more = None
        if self._is_unfinished:
            more = {"parts": self._count, "bytes": self._bytes, "large": self._large}
        elif self._large:
            self.note(
                "parts_left_out",
                f"{self._large} of its {self._count} parts were not unpacked, because all of them "
                f"together may have {self._most_bytes:,} bytes, and one {_PART_BYTES:,}",
            )
        return {"parts": self._parts, "notes": self._notes, "more": more}

    def _next(self, name: str) -> tuple[int, str]:
        if self._parts and time.process_time() - self._began > self.seconds:
            self._is_unfinished = True
            raise TooManyPartsError
        if self._count >= self._most_parts:
            self.note(
                "parts_left_out",
                f"only the first {self._most_parts:,} of its parts were unpacked; it holds more",
            )
            raise TooManyPartsError
        self._count += 1
        if self._count == self._passed + 1:
            self._began = time.process_time()
        path = _shown(name) or f"part {self._count}"
        # A container may hold a name twice; each part has a path of its own.
        count = self._names.get(path, 0) + 1
        self._names[path] = count
        while count > 1 and f"{path} ({count})" in self._names:
            count += 1
        unique = path if count == 1 else f"{path} ({count})"
        self._names.setdefault(unique, 1)
        return self._count, unique

    def _check(self, size: int) -> None:
        if size > self.left():
            raise self.too_large()

    def _refuse(self, path: str, target: Path | None, error: PermanentError) -> None:
        if target is not None:
            target.unlink(missing_ok=True)
        self._large += error.code == "part_too_large"
        problem = [error.code, error.message[:500]]
        self._parts.append({"path": path, "size_bytes": 0, "problem": problem})


def damaged(sentence: str) -> PermanentError:
    """Return the error for a part that cannot be unpacked."""
    return PermanentError("part_damaged", sentence)


def locked() -> PermanentError:
    """Return the error for a part that is encrypted."""
    return PermanentError("encrypted", "It can only be unpacked with a password.")


def no_file(what: str) -> PermanentError:
    """Return the error for an entry that is a link or a device."""
    return PermanentError("not_a_file", f"It is {what}, which is not followed.")


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what an open file holds, in blocks."""
    while block := file.read(_BLOCK_BYTES):
        yield block


def _shown(name: str) -> str:
    """Return a name as a person reads it and Postgres takes it: relative, and not too long."""
    path = "".join(character if character.isprintable() else "\ufffd" for character in name)
    path = "/".join(
        step for step in path.replace("\\", "/").split("/") if step.strip() not in ("", ".")
    )
    data = path.encode()
    if len(data) <= _PATH_BYTES:
        return path
    digest = hashlib.sha256(data).hexdigest()[:8]
    head = data[: _PATH_BYTES // 2].decode(errors="ignore")
    tail = data[-_PATH_BYTES // 3 :].decode(errors="ignore")
    return f"{head}…{digest}…{tail}"
