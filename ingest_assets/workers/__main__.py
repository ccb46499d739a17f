"""The worker process: takes one request after the other from its input, until that ends.

Belongs here: the loop, and the limits set before anything is loaded. Does not belong here: what the
requests do, and the form of a message (`protocol`).
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO

from ingest_assets.errors import IngestError
from ingest_assets.workers import limits, protocol


def main() -> None:
    """Serve until the input ends or the address space is half used up."""
    config = json.loads(sys.argv[1])
    limits.die_with_parent(config["parent_pid"])
    limits.limit_process(config["memory_bytes"], config["file_bytes"])
    limits.allow_cpu(config["task_seconds"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle.
    # Before the libraries are loaded: two workers whose OpenMP starts two threads each run at half the
    # speed.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # So that what a library prints does not get between the replies.

    operations = import_module(config["operations"]).OPERATIONS  # After the above.

    _send(replies, {"value": "ready"})
    while header := requests.read(protocol.HEADER_BYTES):
        request = protocol.decode(requests.read(protocol.length_of(header)))
        limits.allow_cpu(config["task_seconds"])
        started = time.process_time()
        reply = _answer(partial(operations[request["do"]], **request["with"]))
        reply["cpu_seconds"] = time.process_time() - started
        # A process that leaks would soon fail a task that needs little: a fresh one takes the next.
        reply["last"] = limits.address_space_bytes() > config["memory_bytes"] / 2
        _send(replies, reply)
        if reply["last"]:
            return


def _answer(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": work()}
    except IngestError as error:
        return {"error": [error.code, error.message, error.remedy]}
    except MemoryError:
        return {"out_of_memory": True}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return {"disk_full": error.strerror}
        return {"fault": traceback.format_exc(limit=-8)}
    except Exception:  # noqa: BLE001  # Reported to the parent, which raises it there.
        return {"fault": traceback.format_exc(limit=-8)}


def _send(replies: BinaryIO, reply: dict[str, Any]) -> None:
    replies.write(protocol.encode(reply))
    replies.flush()


if __name__ == "__main__":
    main()
