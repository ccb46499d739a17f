"""A parser that a document has taken over reaches its document and nothing else."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.extraction import local as extraction
from ingest_assets.ocr import local
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.workers import isolation
from ingest_assets.workers.isolation import NotIsolatedError, Reach
from ingest_assets.workers.pool import Limits, WorkerError, WorkerPool

OPERATIONS = "ingest_assets_tests.support.break_out"

pytestmark = pytest.mark.skipif(
    not isolation._landlock_version() or os.uname().machine not in isolation._CALLS,
    reason="needs Linux with Landlock",
)


def told(error: WorkerError) -> IngestError:
    return PermanentError(error.kind, error.detail, "")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where documents are read: a folder for each."""
    directory = tmp_path_factory.mktemp("documents")
    (directory / "random").mkdir()
    (directory / "random" / "document").write_text("The document.")
    return directory


@pytest.fixture(scope="module")
def pool(documents: Path) -> Iterator[WorkerPool]:
    reach = Reach("required", (str(documents),))
    with closing(WorkerPool(1, Limits(), OPERATIONS, told, reach)) as pool:
        yield pool


def do(pool: WorkerPool, operation: str, **arguments: Any) -> Any:
    return pool.submit(operation, **arguments).result().value


def test_a_worker_reads_its_document_and_writes_beside_it(pool: WorkerPool, documents: Path) -> None:
    assert do(pool, "read", path=str(documents / "random" / "document")) == "The document."
    assert do(pool, "write", path=str(documents / "random" / "part")) == 12
    assert pool.isolation.startswith("Landlock ")
    assert pool.isolation.endswith(", seccomp")


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("read", {"path": "/etc/passwd"}),
        ("read", {"path": f"/proc/{os.getpid()}/environ"}),
        ("read", {"path": __file__}),
        ("write", {"path": str(Path.home() / "it-was-here")}),
        ("write", {"path": "/tmp/it-was-here"}),
        ("write", {"path": str(Path(local.__file__).with_name("it_was_here.py"))}),
        ("listing", {"path": str(Path.home())}),
        ("open_rights", {"path": "/etc/shadow"}),
        ("tcp", {}),
        ("udp", {}),
        ("unix_socket", {}),
        ("ring", {}),
        ("run", {}),
        ("loop", {}),
    ],
)
def test_what_no_document_needs_is_refused_and_named(
    pool: WorkerPool, operation: str, arguments: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if arguments.get("path") == __file__:
        arguments = {"path": str(request.config.rootpath / "Makefile")}
    with pytest.raises(PermanentError) as error:
        do(pool, operation, **arguments)
    assert error.value.code == "refused"
    assert "denied" in error.value.message.lower() or operation in ("unix_socket", "ring")
    if path := arguments.get("path"):
        assert path in error.value.message
        assert operation != "write" or not Path(path).exists()


def test_a_worker_does_not_find_other_documents(pool: WorkerPool, documents: Path) -> None:
    with pytest.raises(PermanentError, match="denied"):
        do(pool, "listing", path=str(documents))


def test_a_worker_ends_no_other_process(pool: WorkerPool) -> None:
    if isolation._landlock_version() < 6:
        pytest.skip("Landlock keeps signals from Linux 6.12 on")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        with pytest.raises(PermanentError) as error:
            do(pool, "end", pid=other.pid)
        assert error.value.code == "refused"
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSYS, "has no Landlock: it came with 5.13"),
        (errno.EOPNOTSUPP, "Landlock is switched off in Linux"),
        (errno.EPERM, "Landlock is kept from this process"),
    ],
)
def test_what_is_missing_is_said_so_that_a_person_can_mend_it(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lacking:
        """A C library on a system without Landlock, where nothing else happens either."""

        def syscall(self, *_: object) -> int:
            ctypes.set_errno(code)
            return -1

        def prctl(self, *_: object) -> int:
            return 0

    monkeypatch.setattr(isolation, "_libc", Lacking())
    assert said in isolation.isolate("auto", (), ())
    with pytest.raises(NotIsolatedError, match=said):
        isolation.isolate("required", (), ())


def test_without_isolation_the_same_succeeds(documents: Path) -> None:
    """So that the tests above cannot pass for another reason."""
    with closing(WorkerPool(1, Limits(), OPERATIONS, told, Reach("off"))) as pool:
        assert do(pool, "read", path="/etc/passwd")
        assert do(pool, "udp") == 12
        assert do(pool, "run") == 0
        assert do(pool, "write", path=str(documents / "other")) == 12
        assert pool.isolation == "none (switched off)"


def test_engines_name_the_fault() -> None:
    fault = WorkerError("refused", "Permission denied: /etc/passwd")
    for explained in (local._explain(fault), extraction._explain(fault)):
        assert isinstance(explained, PermanentError)
        assert explained.code == "forbidden_access"
        assert "/etc/passwd" in explained.message


def test_what_is_required_and_missing_stops_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_landlock_version", lambda: 0)
    monkeypatch.setattr(isolation, "_CALLS", {})
    with pytest.raises(NotIsolatedError, match=r"^files: .*Landlock.*; network: "):
        _in_a_fork(isolation.isolate, "required", [], [])
    assert _in_a_fork(isolation.isolate, "auto", [], []).startswith("none (NOT from files: ")
    for explain in (local._explain, extraction._explain):
        assert explain(WorkerError("not_isolated", "no Landlock")).error_class == "configuration"


def _in_a_fork(function: Any, *arguments: Any) -> Any:
    """No more than giving up new privileges happens, so this process can do it itself."""
    return function(*arguments)


def test_the_local_engine_says_what_holds_its_workers() -> None:
    with closing(LocalEngine(1, sandbox="required")) as engine:
        assert engine.isolation.endswith("seccomp")
