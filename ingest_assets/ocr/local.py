"""The local engine: text layers where they are good, Tesseract where they are not.

Belongs here: the order of work on one document, and how documents share the workers. Does not belong
here: anything that reads a document's bytes, which only worker processes do (`ocr.sandbox`).
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

from ingest_assets.errors import (
    ConfigurationError,
    IngestError,
    PermanentError,
    RunEndedError,
    TransientError,
)
from ingest_assets.failpoints import failpoint
from ingest_assets.notes import Note
from ingest_assets.ocr.engine import Contents, Page, Recognition, StoredObject
from ingest_assets.ocr.languages import describe, find_languages
from ingest_assets.ocr.unpacking import PartLimits, Unpacker
from ingest_assets.scratch import Scratch
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text
from ingest_assets.workers.isolation import Mode, Reach
from ingest_assets.workers.pool import Answer, FaultKind, Limits, WorkerError, WorkerPool

# Loaded by the worker processes. Of the 1 GiB that each may use its programs take 170 MB, the largest
# page 630 MB and the largest image 870 MB; a repaired PDF is a file that a worker writes.
OPERATIONS = "ingest_assets.ocr.sandbox.operations"

# Pages that one task reads at most; it also ends after one second, and another reads the rest.
_BATCH_PAGES = 512

# CPU time that a document may take in all: a base, and more for each scanned page that a file of its
# size may hold. (A page takes 3 to 6 s, and has at least 4 KB.) Without this limit a file of a few
# kilobytes that repeats one page thousands of times would be read for days.
_BASE_SECONDS = 600.0
_PAGE_SECONDS = 10.0
_PAGE_BYTES = 4096

# The first look at a document draws page 1, too. With these it may have failed at that, so it is
# repeated without: a document that cannot be drawn has its text all the same.
_PERHAPS_OF_DRAWING = ("page_timeout", "parser_crashed", "out_of_memory", "reader_failed")

NAME = "local"

# Raise this with a change that reads the same document in another way: Dagit then shows stored texts as
# out of date, and a run that asks for it reads those documents again.
_READING = 2
_PROGRAMS = (
    "tesserocr",
    "pypdfium2",
    "chardet",
    "selectolax",
    "pillow",
    "pi-heif",
    "xlrd",
    "olefile",
    "compressed-rtf",
    "asn1crypto",
)

# English data are installed with this package.
DEFAULT_LANGUAGES = "eng"


@cache
def version(languages: str = DEFAULT_LANGUAGES, tessdata_dir: str | None = None) -> str:
    """Return the versions of this code, its programs and its data, which decide how a document is read.

    Args:
        languages, tessdata_dir: as for `LocalEngine`; data that are not there are named so.
    """
    programs = (f"{program} {metadata.version(program)}" for program in _PROGRAMS)
    return f"reading {_READING}; {', '.join(programs)}; {describe(languages, tessdata_dir)}"


class LocalEngine:
    """Reads documents on this machine. Thread-safe; the threads share the worker processes.

    Args:
        workers: processes that parse and recognise; one a core.
        limits: what one page may use; see `Limits`.
        scratch: directory for documents while they are read; see `Scratch`.
        languages: Tesseract's names of those that are recognised, such as `eng+deu`.
        tessdata_dir: where to look for their data before the installed packages.
        sandbox: whether worker processes are held to their documents; see `Reach`.
        part_limits: what is taken out of one document.

    Raises:
        ConfigurationError: `ocr_language_missing` when there are no data of a language;
            `ocr_does_not_start` when the worker processes do not work here.
    """

    name = NAME
    documents_at_a_time: int | None = None

    def __init__(
        self,
        workers: int,
        limits: Limits | None = None,
        scratch: Path | None = None,
        *,
        languages: str = DEFAULT_LANGUAGES,
        tessdata_dir: str | None = None,
        sandbox: Mode = "auto",
        part_limits: PartLimits | None = None,
    ) -> None:
        self._workers = workers
        self._languages_load = False
        self._loading = Lock()
        self._languages = find_languages(languages, tessdata_dir).files
        self.version = version(languages, tessdata_dir)
        with room_on_disk():
            self._scratch = Scratch(scratch)
        data = {str(Path(file).parent) for file in self._languages}
        reach = Reach(sandbox, (str(self._scratch.path),), tuple(data))
        self._pool = self.start_pool(workers, limits or Limits(), reach)
        self._unpacker = Unpacker(
            self._pool, self.scratch_folder, room_on_disk, part_limits or PartLimits()
        )
        try:
            self._pool.submit("versions", languages=()).result()
        except BaseException:
            self.close()
            raise

    def start_pool(self, workers: int, limits: Limits, reach: Reach) -> WorkerPool:
        """Return the pool that does all work on documents."""
        return WorkerPool(workers, limits, OPERATIONS, _explain, reach)

    @property
    def isolation(self) -> str:
        """What holds the worker processes to their documents, for a person."""
        return self._pool.isolation

    def recognise(self, document: StoredObject) -> Recognition:
        """Read all pages of one document; see `OcrEngine`.

        Needs the object's size on disk, twice that if a PDF has to be repaired.
        """
        with self.scratch_folder() as folder:
            path = folder / "document"
            with room_on_disk(), path.open("wb") as file:
                document.download(file)
            reading = _Reading(self._pool, self._workers, path, document, self._load)
            try:
                pages = reading.pages()
            finally:
                reading.stop()
            return Recognition(
                pages=pages,
                engine=self.name,
                engine_version=self.version,
                notes=tuple(reading.notes),
                thumbnail=reading.thumbnail,
                message=reading.message,
            )

    def _load(self) -> tuple[str, ...]:
        """The files of the languages; sees to it once that a worker can load them.

        Only where pages are recognised, because it takes a tenth of a second of computing.
        """
        with self._loading:
            if not self._languages_load:
                try:
                    self._pool.submit("versions", languages=self._languages).result()
                except PermanentError as error:
                    raise ConfigurationError(
                        "ocr_does_not_start",
                        f"The languages' data cannot be loaded: {', '.join(self._languages)}. "
                        f"{error.message}",
                    ) from error
                self._languages_load = True
        return self._languages

    def contents(self, document: StoredObject) -> AbstractContextManager[Contents]:
        """Take out what is inside a document; see `OcrEngine` and `Unpacker`."""
        return self._unpacker.contents(document)

    def reads_as(self, mime_type: str) -> tuple[str, str]:
        """Return its name and version: it reads all types."""
        return self.name, self.version

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Have a worker do one operation of `ocr.sandbox.operations`; for other engines.

        Example: `reader.ask("survey", path="/tmp/document", mime_type="application/pdf")`.
        """
        return self._pool.submit(operation, **arguments).result().value

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """A folder for files that hold a document, which goes with the block.

        Raises:
            TransientError: `no_scratch_space`.
        """
        with ExitStack() as stack:
            with room_on_disk():
                folder = stack.enter_context(self._scratch.folder())
            yield folder

    def let_go(self) -> None:
        """Do nothing: documents do not wait outside this machine."""

    def close(self) -> None:
        """End the worker processes; documents that are being read fail with `engine_closed`."""
        self._pool.close()
        self._scratch.close()


@contextmanager
def room_on_disk() -> Iterator[None]:
    """Run the block; an error of the file system, such as a full disk, becomes one that may pass."""
    try:
        yield
    except OSError as error:
        raise _no_room(error.strerror) from error


def _no_room(reason: str | None) -> TransientError:
    return TransientError(
        "no_scratch_space", f"The document cannot be put on the disk to be read: {reason}."
    )


def _explain(fault: WorkerError) -> IngestError:
    """What a worker's fault means for the page or the pages that it was reading."""
    detail = fault.detail
    errors: dict[FaultKind, IngestError] = {
        "does_not_start": ConfigurationError(
            "ocr_does_not_start",
            f"The process that reads documents ended at its start, with {detail}.",
        ),
        "timed_out": PermanentError(
            "page_timeout", f"Reading one page took more than {detail} of computing."
        ),
        "stalled": TransientError("page_stalled", f"Reading a page stood still for {detail}."),
        "killed": TransientError(
            "worker_killed",
            "The process that read the document was killed from outside, perhaps because the "
            "machine was out of memory.",
        ),
        "crashed": PermanentError("parser_crashed", f"The document made its parser crash ({detail})."),
        "out_of_memory": PermanentError(
            "out_of_memory", f"Reading one page needs more than {detail} of memory."
        ),
        "disk_full": _no_room(detail),
        "answer_too_long": too_much_text(),
        "failed": PermanentError(
            "reader_failed", f"The program that reads documents failed on this one: {detail}"
        ),
        "refused": PermanentError(
            "forbidden_access",
            f"Reading the document tried to do what no document needs: {detail}.",
        ),
        "not_isolated": ConfigurationError(
            "sandbox_unavailable", f"Processes that read documents cannot be isolated: {detail}."
        ),
        "closed": RunEndedError(
            "engine_closed", "Reading the document was broken off, because its run ended."
        ),
    }
    return errors[fault.kind]


class _Reading:
    """The reading of one document.

    Has at most `share` tasks in the pool's queue at a time, so that a document of ten thousand pages
    does not keep others waiting: the pool serves its queue in order.
    """

    def __init__(
        self,
        pool: WorkerPool,
        share: int,
        path: Path,
        document: StoredObject,
        load_languages: Callable[[], tuple[str, ...]],
    ) -> None:
        self.notes: list[Note] = []
        self.message: Mapping[str, Any] | None = None
        self.thumbnail: bytes | None = None
        self._pool = pool
        self._share = share
        self._load_languages = load_languages
        self._path = str(path)
        self._repaired = str(path.with_name("repaired"))
        self._mime_type = document.mime_type
        self._pages: dict[int, Page] = {}
        self._text_bytes = 0
        self._page_count = 0
        self._seconds = 0.0
        self._most_seconds = _BASE_SECONDS + _PAGE_SECONDS * document.size_bytes / _PAGE_BYTES
        self._to_read: deque[tuple[int, int]] = deque()
        self._to_recognise: deque[int] = deque()
        # Tasks in the pool; for a task that reads, the last page of its range.
        self._under_way: dict[Future[Answer], int | None] = {}

    def pages(self) -> tuple[Page, ...]:
        """Read all pages. Raises what the first task to fail raises."""
        try:
            found = self._inspect()
        except PermanentError as error:
            if error.code not in _PERHAPS_OF_DRAWING:
                raise
            found = self._inspect(drawn=False)
            self.notes.append(Note("no_thumbnail", f"no thumbnail: {error.message}"))
        self._path = found["path"]
        self.message = found["message"]
        self.notes += (Note(kind, sentence) for kind, sentence in found["notes"])
        if found["thumbnail"] is not None:
            self.thumbnail = base64.b64decode(found["thumbnail"])
        self._page_count = count = found["page_count"]
        self._take(found["pages"])
        for first in range(len(found["pages"]) + 1, count + 1, _BATCH_PAGES):
            self._to_read.append((first, min(first + _BATCH_PAGES - 1, count)))
        while self._start():
            done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in done:
                self._finish(future, self._under_way.pop(future))
        return tuple(self._pages[number] for number in range(1, count + 1))

    def stop(self) -> None:
        """Cancel tasks that have not begun."""
        for future in self._under_way:
            future.cancel()

    def _inspect(self, **how: Any) -> Any:
        return self._submit("inspect", repaired=self._repaired, **how).result().value

    def _submit(self, operation: str, **arguments: Any) -> Future[Answer]:
        return self._pool.submit(operation, path=self._path, mime_type=self._mime_type, **arguments)

    def _start(self) -> bool:
        """Queue tasks up to the document's share; return whether any is in the pool."""
        while len(self._under_way) < self._share:
            if self._to_recognise:
                number = self._to_recognise.popleft()
                recognising = self._submit("recognise", number=number, languages=self._load_languages())
                self._under_way[recognising] = None
            elif self._to_read:
                first, last = self._to_read.popleft()
                self._under_way[self._submit("read", first=first, last=last)] = last
            else:
                break
        return bool(self._under_way)

    def _finish(self, future: Future[Answer], last: int | None) -> None:
        answer = future.result()
        self._count(answer.cpu_seconds)
        if last is None:
            page = answer.value
            self._add(Page(page["number"], page["text"], page["origin"], page["confidence"]))
            self._note(page)
        else:
            pages = answer.value
            self._take(pages)
            if pages[-1]["number"] < last:  # It ended after its second.
                self._to_read.appendleft((pages[-1]["number"] + 1, last))

    def _count(self, seconds: float) -> None:
        self._seconds += seconds
        if self._seconds > self._most_seconds:
            raise PermanentError(
                "document_timeout",
                f"Reading {len(self._pages)} of the document's {self._page_count} pages took more "
                f"than the {self._most_seconds:,.0f} s of computing that a file of its size is given.",
            )

    def _take(self, pages: Iterable[dict[str, Any]]) -> None:
        for page in pages:
            if page["text"] is None:
                self._to_recognise.append(page["number"])
            else:
                self._add(Page(page["number"], page["text"], "text-layer"))
                self._note(page)

    def _note(self, page: dict[str, Any]) -> None:
        self.notes += (Note(kind, sentence, page["number"]) for kind, sentence in page["notes"])

    def _add(self, page: Page) -> None:
        failpoint("page.read")
        self._pages[page.number] = page
        self._text_bytes += len(page.text.encode())
        if self._text_bytes > MAX_TEXT_BYTES:
            raise too_much_text()
