"""Taking out what is inside stored documents, once for all parts of a document that a run works on.

Belongs here: how long unpacked parts stay on disk, the limits, and what a worker's fault means for
them. Does not belong here: opening archives and mails, which only worker processes do (`ocr.sandbox`),
and what becomes of the parts (`stages.parts`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.engine import Contents, Part, Problem, StoredObject
from ingest_assets.workers.pool import WorkerError, WorkerPool

NAME = "unpacking"
# Raise this with a change that finds other parts: the next run looks into containers again.
VERSION = "unpacking 3; " + ", ".join(
    f"{program} {metadata.version(program)}" for program in ("asn1crypto", "libpff-python", "py7zr")
)

# What a small container may unpack to, whatever the ratio.
_LEAST_BYTES = 100_000_000
# Containers whose parts stay on disk when no document uses them: the parts of one follow each other.
_KEPT = 4
_KEPT_BYTES = 1 << 30


class PartLimits(NamedTuple):
    """What may be taken out of one container.

    Attributes:
        ratio: bytes of all parts for each byte of the container. An archive of a megabyte that unpacks
            to a gigabyte is an attack.
        step_seconds: of computing, after which a worker gives back what it has taken out, and is asked
            for the rest: all of it may take longer than a worker may compute.
    """

    parts: int = 10_000
    size_bytes: int = 4 << 30
    ratio: int = 100
    step_seconds: float = 10


@dataclass
class _Unpacked:
    """A container that is being unpacked, or was."""

    contents: Future[Contents] = field(default_factory=Future)
    folder: ExitStack = field(default_factory=ExitStack)
    users: int = 0

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.contents.result().parts)


class Unpacker:
    """Unpacks documents, and keeps the last of them unpacked. Thread-safe.

    Args:
        pool: the worker processes.
        new_folder: makes a folder on the disk that goes with its block.
        room_on_disk: a block whose errors of the file system become errors that may pass.
        limits: what is taken out of one document.
    """

    def __init__(
        self,
        pool: WorkerPool,
        new_folder: Callable[[], AbstractContextManager[Path]],
        room_on_disk: Callable[[], AbstractContextManager[None]],
        limits: PartLimits,
    ) -> None:
        self._pool = pool
        self._new_folder = new_folder
        self._room_on_disk = room_on_disk
        self._limits = limits
        self._kept: OrderedDict[UUID, _Unpacked] = OrderedDict()
        self._lock = threading.Lock()  # Guards the above, and the number of users.

    @contextmanager
    def contents(self, document: StoredObject) -> Iterator[Contents]:
        """What is inside a document; see `OcrEngine`. Threads that ask at once wait for one of them."""
        with self._lock:
            found = self._kept.get(document.document_uuid)
            is_mine = found is None
            if found is None:
                found = self._kept[document.document_uuid] = _Unpacked()
            found.users += 1
        try:
            if is_mine:
                self._unpack(document, found)
            yield found.contents.result()
        finally:
            self._give_back(document.document_uuid, found)

    def _unpack(self, document: StoredObject, unpacked: _Unpacked) -> None:
        try:
            folder = unpacked.folder.enter_context(self._new_folder())
            unpacked.contents.set_result(self._take_out(document, folder))
        except BaseException as error:  # noqa: BLE001  # The future raises it.
            with self._lock:  # The next who asks tries again.
                self._kept.pop(document.document_uuid, None)
            unpacked.contents.set_exception(error)

    def _take_out(self, document: StoredObject, folder: Path) -> Contents:
        whole = folder / "document"
        with self._room_on_disk(), whole.open("wb") as file:
            document.download(file)
        most_bytes = min(
            self._limits.size_bytes, max(_LEAST_BYTES, self._limits.ratio * document.size_bytes)
        )
        limits = {
            "parts": self._limits.parts,
            "bytes": most_bytes,
            "seconds": self._limits.step_seconds,
        }
        parts: list[Part] = []
        notes: dict[Note, None] = {}
        more: Mapping[str, int] | None = None
        while True:
            try:
                answer = self._pool.submit(
                    "unpack",
                    path=str(whole),
                    mime_type=document.mime_type,
                    name=document.file_name,
                    folder=str(folder),
                    limits=limits,
                    before=more,
                ).result()
            except PermanentError as error:
                raise _explained(error) from error
            found = answer.value
            first = len(parts) + 1
            parts += (_part(folder / str(n), part) for n, part in enumerate(found["parts"], first))
            notes |= {Note(kind, sentence): None for kind, sentence in found["notes"]}
            more = found["more"]
            if more is None:
                break
        whole.unlink()
        return Contents(parts, list(notes))

    def _give_back(self, document_uuid: UUID, unpacked: _Unpacked) -> None:
        gone = []
        with self._lock:
            unpacked.users -= 1
            if self._kept.get(document_uuid) is unpacked:
                self._kept.move_to_end(document_uuid)
            elif not unpacked.users:
                gone.append(unpacked)
            idle = [(key, one) for key, one in self._kept.items() if not one.users]
            # The last is kept, whatever its size: its other parts are likely to follow.
            size = 0
            for place, (key, one) in enumerate(reversed(idle)):
                size += one.size_bytes
                if place and (place >= _KEPT or size > _KEPT_BYTES):
                    gone.append(self._kept.pop(key))
        for one in gone:
            with suppress(OSError):  # `Scratch` removes what is left.
                one.folder.close()


def _part(file: Path, found: dict[str, object]) -> Part:
    problem = found["problem"]
    assert problem is None or isinstance(problem, list)  # noqa: S101  # For the type checker.
    return Part(
        str(found["path"]),
        int(str(found["size_bytes"])),
        Problem(*problem) if problem else None,
        None if problem else file,
    )


def _explained(error: IngestError) -> PermanentError:
    """What a worker's fault means: the sentence that the pool makes speaks of pages."""
    fault = error.__cause__
    if not isinstance(fault, WorkerError):
        return PermanentError(error.code, error.message, error.remedy)
    what = {
        "timed_out": f"it took more than {fault.detail} of computing",
        "out_of_memory": f"it needs more than {fault.detail} of memory",
        "crashed": f"it made its parser crash ({fault.detail})",
        "answer_too_long": "it holds too many parts",
    }.get(fault.kind, f"the program that unpacks failed on it: {fault.detail}")
    return PermanentError("unpack_failed", f"What is inside the document cannot be taken out: {what}.")
