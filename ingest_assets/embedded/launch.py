"""A script that prepares its own process and then becomes a service by exec. Never imported.

Belongs here: what has to happen inside the new process. It uses the standard library alone, so that the
start of a service costs milliseconds. Does not belong here: choosing user, directory and signal, which
`processes` does.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def enter_user_namespace(inner_uid: int, inner_gid: int) -> None:
    """Enter a user namespace: the process sees itself as another user, files see the real one.

    Raises:
        OSError: the kernel or the container does not allow user namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inner_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inner_gid} {gid} 1")


def become(uid: int, gid: int) -> None:
    """Change to another user for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Have Linux send `death_signal` to this process when its parent ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # It ended before the call above, so no signal will come.
            sys.exit(125)


def main() -> None:
    """Prepare this process as the options say, then become the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--appear", type=int, nargs=2, metavar=("UID", "GID"))
    parser.add_argument("--become", type=int, nargs=2, metavar=("UID", "GID"))
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if options.appear:
        enter_user_namespace(*options.appear)
    elif options.become:
        become(*options.become)
    os.chdir(options.directory)
    # A shell makes its background processes ignore SIGINT, and exec would pass that on to the service.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # Last, because a change of user clears the death signal.
    die_with_parent(options.parent, options.death_signal)
    os.execv(options.command[0], options.command)  # noqa: S606  (no shell is the point)


if __name__ == "__main__":
    main()
