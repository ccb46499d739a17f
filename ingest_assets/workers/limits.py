"""Limits that the operating system enforces on a worker process.

Belongs here: limits on resources, and ending with the process that asked for the worker. Does not
belong here: what follows when a limit is reached (`pool`).
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import sys
from pathlib import Path


def end_with(life: int) -> None:
    """Have this process end when the other end of that pipe is closed: by its holder, or with it.

    Linux then kills it whatever it is doing; another system only between two of Python's own steps.
    """
    if sys.platform == "linux":
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    else:
        signal.signal(signal.SIGIO, lambda *_: os._exit(1))
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:  # It was closed before the call above.
        os._exit(1)


def limit_process(memory_bytes: int, file_bytes: int) -> None:
    """Cap the address space and the size of files that this process writes; no core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    if sys.platform == "linux":  # macOS refuses or ignores this limit.
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def allow_cpu(seconds: float) -> None:
    """Let this process use this much more CPU time; the kernel then ends it with SIGXCPU.

    The kernel counts from the start of the process, so each task calls this again.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def address_space_bytes() -> int:
    """Return the address space in use now, in bytes; 0 if the system does not say."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[0]) * resource.getpagesize()
