"""What a service's process does between fork and exec. Run as a script, never imported.

Belongs here: what must happen inside the new process, with the standard library alone, because it
starts once per service and should cost milliseconds. Does not belong here: choosing any of it; see
`processes.py`.
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
    """Be another user in our own eyes, while files still see the one that we are.

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
    """Drop root for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Ask Linux for `death_signal` when the parent ends, be it by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # It ended before the line above: nobody will send the signal.
            sys.exit(125)


def main() -> None:
    """Do as the options say, then become the command."""
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
    # A shell that starts us in the background has us ignore SIGINT, and exec would hand that on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # Last, because a change of user clears it.
    die_with_parent(options.parent, options.death_signal)
    os.execv(options.command[0], options.command)  # noqa: S606  (no shell is the point)


if __name__ == "__main__":
    main()
