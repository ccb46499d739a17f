"""What a worker process may reach: its programs, the documents that it is given, and nothing else.

Belongs here: asking Linux to hold a process to that, by Landlock (files, signals) and seccomp (network,
other processes). Does not belong here: limits on memory and time (`limits`), and what a document's
fault is called (`pool`).

A parser that a document has taken over runs with the rights of the user that runs the pipeline. So each
worker gives them up before its first task, for good:

- it opens no file but its programs, read-only, and files below the directories that documents are
  read in. It may not list those: the names of folders in there are random, so that it finds the
  document that it was told of and no other;
- it makes no socket, starts no program, changes no file's rights, and signals no other process.

Landlock has been in Linux since 5.13, and seccomp since 3.17. Numbers and structures are those of
`linux/landlock.h`, `linux/seccomp.h` and `asm/unistd.h`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import struct
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

Mode = Literal["auto", "required", "off"]


@dataclass(frozen=True)
class Reach:
    """What workers are held to.

    Attributes:
        mode: `auto`: to what the system offers; `required`: a worker does not start without; `off`.
        documents: directories in which documents are read and unpacked.
        data: files and directories that are read, besides programs.
    """

    mode: Mode = "off"
    documents: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    def as_message(self) -> dict[str, Any]:
        """As the keywords of `isolate`, in a worker's configuration."""
        return asdict(self)


class NotIsolatedError(Exception):
    """The system does not offer what `required` asks for; says what is missing."""


# Landlock's rights to files.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REMOVE, _MAKE_DIR, _MAKE_FILE, _MAKE_LINK = 16 | 32, 128, 256, 4096
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
# All that a version of Landlock knows; the first has 13.
_KNOWN = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_PROGRAMS = _READ_FILE | _READ_DIR
_DOCUMENTS = _READ_FILE | _WRITE_FILE | _TRUNCATE | _MAKE_DIR | _MAKE_FILE | _REMOVE
_OWN = _DOCUMENTS | _READ_DIR | _MAKE_LINK
_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

# Read by the C library, by fonts, and by modules that are imported late.
_SYSTEM = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/fonts",
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu",
    "/dev/urandom",
    "/dev/zero",
)

# By machine: its name for seccomp, and system calls that a worker does without.
_CALLS: dict[str, tuple[int, tuple[int, ...]]] = {
    # socket, connect, accept, bind, listen, socketpair, execve, chmod, chown, lchown, ptrace,
    # pivot_root, chroot, mount, umount2, setxattr (3), add_key, request_key, keyctl, fchownat,
    # fchmodat, unshare, perf_event_open, open_by_handle_at, setns, process_vm_readv, process_vm_writev,
    # bpf, execveat, userfaultfd, io_uring (3), pidfd_open, pidfd_getfd, fchmodat2
    "x86_64": (
        0xC000003E,
        (41, 42, 43, 49, 50, 53, 59, 90, 92, 94, 101, 155, 161, 165, 166, 188, 189, 190, 248, 249, 250,
         260, 268, 272, 298, 304, 308, 310, 311, 321, 322, 323, 425, 426, 427, 434, 438, 452),
    ),
    # The same, as far as the machine has them.
    "aarch64": (
        0xC00000B7,
        (5, 6, 7, 39, 40, 41, 51, 53, 54, 97, 117, 198, 199, 200, 201, 202, 203, 217, 218, 219, 221,
         241, 265, 268, 270, 271, 280, 281, 282, 425, 426, 427, 434, 438, 452),
    ),
}  # fmt: skip
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 13, 0x80000000  # 13: EACCES
_SET_SECCOMP, _FILTER, _NO_NEW_PRIVILEGES = 22, 2, 38

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def isolate(mode: Mode, documents: Iterable[str], data: Iterable[str]) -> str:
    """Hold this process to its programs and these files, as far as the system can; see `Reach`.

    Returns:
        What holds it, for a person: `Landlock 7, seccomp`; what is missing, in brackets.

    Raises:
        NotIsolatedError: something is missing, and the mode is `required`.
    """
    if mode == "off":
        return "none (switched off)"
    held, missing = [], []
    version = _landlock_version()
    machine = platform.machine()
    if _libc is None or _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        version = 0
        machine = ""
    if version:
        _restrict_files(version, documents, data)
        held.append(f"Landlock {version}")
    else:
        missing.append(f"files: {_why_no_landlock()}")
    if machine in _CALLS and _restrict_calls(*_CALLS[machine]):
        held.append("seccomp")
    else:
        missing.append("network: this system or machine has no seccomp")
    if missing and mode == "required":
        raise NotIsolatedError("; ".join(missing))
    return ", ".join(held or ["none"]) + (f" (NOT from {'; '.join(missing)})" if missing else "")


def _landlock_version() -> int:
    """The version of Landlock that the system has; 0 if none."""
    if _libc is None:
        return 0
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    return max(0, version)


def _why_no_landlock() -> str:
    """What a person can do about it; Linux answers with an error that says which it is."""
    if _libc is None:
        return "Landlock is there on Linux alone"
    ctypes.set_errno(0)
    _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    release, code = platform.release(), ctypes.get_errno()
    if code == errno.EOPNOTSUPP:
        return f"Landlock is switched off in Linux {release}: add landlock to lsm= of its command line"
    if code == errno.EPERM:
        return "Landlock is kept from this process, as by a container's seccomp profile"
    return f"Linux {release} has no Landlock: it came with 5.13, where it is built in"


def _restrict_files(version: int, documents: Iterable[str], data: Iterable[str]) -> None:
    assert _libc is not None  # noqa: S101  # It has a version.
    known = (1 << _KNOWN[min(version, max(_KNOWN))]) - 1
    # Older versions take a shorter structure.
    attributes = struct.pack("=QQQ", known, _TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = attributes[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock makes no ruleset")
    documents = list(documents)
    rules = dict.fromkeys((*programs(), *_SYSTEM, *data), _PROGRAMS)
    rules |= dict.fromkeys(documents, _DOCUMENTS)
    rules["/dev/null"] = _READ_FILE | _WRITE_FILE
    if documents:
        # For temporary files. It goes with the directory of documents.
        tempfile.tempdir = tempfile.mkdtemp(prefix="worker-", dir=documents[0])
        rules[tempfile.tempdir] = _OWN
    try:
        for path, rights in rules.items():
            with suppress(FileNotFoundError, PermissionError):
                _allow(ruleset, path, rights & known)
        if _libc.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock does not take the ruleset")
    finally:
        os.close(ruleset)


@cache
def programs() -> frozenset[str]:
    """Directories of Python, of installed packages, and of packages imported from elsewhere.

    The nursery calls it once, for all processes that it forks.
    """
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {str(Path(sys.base_prefix, "lib")), str(Path(sys.prefix, "share"))}
    for name in {name.partition(".")[0] for name in sys.modules}:
        for place in getattr(sys.modules.get(name), "__path__", ()):
            if not place.startswith(tuple(found)):
                found.add(place)
    return frozenset(found)


def _allow(ruleset: int, path: str, rights: int) -> None:
    assert _libc is not None  # noqa: S101
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, place)
        if _libc.syscall(_ADD_RULE, ruleset, 1, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), f"Landlock does not take a rule for {path}")
    finally:
        os.close(place)


def _restrict_calls(architecture: int, refused: tuple[int, ...]) -> bool:
    """Have the system refuse these calls; returns whether it does."""
    assert _libc is not None  # noqa: S101  # `isolate` has asked.
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    # Calls by another architecture's numbers would pass the filter. Those of x32 begin at 2³⁰.
    lines = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (answer, 0, 0, _KILL),
        (load, 0, 0, 0),
        (at_least, len(refused) + 1, 0, 0x40000000),
        *((equal, len(refused) - place, 0, number) for place, number in enumerate(refused)),
        (answer, 0, 0, _ALLOW),
        (answer, 0, 0, _REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = struct.pack("@HP", len(lines), ctypes.addressof(code))
    return bool(_libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0) == 0)
