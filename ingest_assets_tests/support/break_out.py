"""Operations of a parser that a document has taken over: each tries what no document needs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def warm_up() -> None:
    """There is nothing to load."""


def read(path: str) -> str:
    """Read a file, whatever it is."""
    return Path(path).read_text(errors="replace")[:20]


def write(path: str) -> int:
    """Write a file."""
    return Path(path).write_text("It was here.")


def listing(path: str) -> list[str]:
    """List a directory."""
    return [entry.name for entry in Path(path).iterdir()]


def open_rights(path: str) -> None:
    """Let everybody read a file."""
    Path(path).chmod(0o777)


def tcp() -> None:
    """Connect to a server."""
    socket.create_connection(("127.0.0.1", 22), timeout=1)


def udp() -> int:
    """Send a datagram, which needs no connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"It was here.", ("127.0.0.1", 9))


def unix_socket() -> None:
    """Make a socket as the C library does, past Python's."""
    number = ctypes.CDLL(None, use_errno=True).socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
    if number < 0:
        raise OSError(ctypes.get_errno(), "socket")


def ring() -> None:
    """Ask the kernel for a ring, by which it would do what the process may not."""
    parameters = ctypes.create_string_buffer(120)
    number = ctypes.CDLL(None, use_errno=True).syscall(425, 1, parameters)
    if number < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")


def run() -> int:
    """Start a program."""
    return subprocess.run([sys.executable, "-c", "1"], check=False, capture_output=True).returncode


def end(pid: int) -> None:
    """End another process of the same user."""
    os.kill(pid, signal.SIGTERM)


def loop() -> None:
    """Start an event loop, which makes a pair of sockets."""
    asyncio.new_event_loop().close()


OPERATIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        read, write, listing, open_rights, tcp, udp, unix_socket, ring, run, end, loop
    )
}  # fmt: skip
