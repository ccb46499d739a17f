"""The nursery, and in each process that it forks a worker: takes one request after the other.

Belongs here: the worker's loop, and the limits set before its first task. Does not belong here: what
the requests do, the form of a message (`protocol`), and how workers are forked (`nursery`).
"""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO

from ingest_assets.errors import IngestError
from ingest_assets.workers import isolation, limits, nursery, protocol


def main() -> None:
    """Be the nursery until nobody asks it, or a worker until the input ends or memory is half used."""
    life = nursery.serve(sys.argv[1])
    if life is not None:
        limits.end_with(life)
        _work(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))


def _work(requests: BinaryIO, replies: BinaryIO) -> None:
    os.dup2(2, 1)  # So that what a library prints does not get between the replies.
    operations = import_module(sys.argv[1]).OPERATIONS
    config = _receive(requests)
    if config is None:
        return
    limits.limit_process(config["memory_bytes"], config["file_bytes"])
    limits.allow_cpu(config["task_seconds"])
    try:
        held = isolation.isolate(**config["reach"])
    except isolation.NotIsolatedError as error:
        _send(replies, {"not_isolated": str(error)})
        return
    _send(replies, {"value": held, "cpu_seconds": time.process_time()})
    while (request := _receive(requests)) is not None:
        limits.allow_cpu(config["task_seconds"])
        started = time.process_time()
        reply = _answer(partial(operations[request["do"]], **request["with"]))
        reply["cpu_seconds"] = time.process_time() - started
        # A process that leaks would soon fail a task that needs little: a fresh one takes the next.
        reply["last"] = limits.address_space_bytes() > config["memory_bytes"] / 2
        _send(replies, reply)
        if reply["last"]:
            return


def _answer(work: Callable[[], Any]) -> dict[str, Any]:  # noqa: PLR0911  # One for each kind.
    try:
        return {"value": work()}
    except IngestError as error:
        return {"error": [error.code, error.message, error.remedy]}
    except MemoryError:
        return {"out_of_memory": True}
    except PermissionError as error:
        # The worker is held to its document and its programs: `isolation`.
        return {"refused": f"{error.strerror}{f': {error.filename}' if error.filename else ''}"}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return {"disk_full": error.strerror}
        return {"fault": traceback.format_exc(limit=-8)}
    except Exception:  # noqa: BLE001  # Reported to the parent, which raises it there.
        return {"fault": traceback.format_exc(limit=-8)}


def _receive(requests: BinaryIO) -> Any:
    header = requests.read(protocol.HEADER_BYTES)
    return protocol.decode(requests.read(protocol.length_of(header))) if header else None


def _send(replies: BinaryIO, reply: dict[str, Any]) -> None:
    replies.write(protocol.encode(reply))
    replies.flush()


if __name__ == "__main__":
    main()
