"""What the process of a run prints, in the files that Dagit shows.

Belongs here: writing it there. Does not belong here: what the package logs, which is in the run's log
(`run_log`).

Dagster's own class has the run print to the files, and for each of them starts a `tail` that copies it
to where the run printed before, and a Python process that ends this `tail` if the run is killed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from ingest_assets.defs._internals import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    ComputeIOType,
    ConfigurableClassData,
    InstanceRef,
    LocalComputeLogManager,
    redirect_stream,
)


class RunOutput(LocalComputeLogManager):
    """Dagster's files, but a `tee` writes each, which ends by itself with the run."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> RunOutput:
        """Build it from `dagster.yaml`; Dagster's own method makes an object of Dagster's class."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """For the length of the block, write to the files too what this process prints."""
        with ExitStack() as stack:
            streams = {ComputeIOType.STDOUT: sys.stdout, ComputeIOType.STDERR: sys.stderr}
            for kind, stream in streams.items():
                path = Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_copied_to(path, stream))
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()  # type: ignore[no-untyped-call]


@contextmanager
def _copied_to(path: Path, stream: TextIO) -> Iterator[None]:
    # Ctrl-C goes to all processes of the terminal, and `dev` ends all that it started: `tee` ignores
    # both signals, because the run prints how it ends.
    command = ["sh", "-c", 'trap "" INT TERM; exec tee -a "$0"', str(path)]
    tee = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stream.fileno())
    assert tee.stdin is not None  # noqa: S101  # For the type checker.
    with redirect_stream(tee.stdin, stream):
        yield
    # It ends when all have that may print: processes that read documents live as long as the run.
    tee.stdin.close()


def with_run_output(instance: InstanceRef) -> InstanceRef:
    """The same instance with this class in the place of Dagster's own."""
    logs = instance.compute_logs_data
    if logs.class_name != LocalComputeLogManager.__name__:
        return instance
    return instance._replace(
        compute_logs_data=logs._replace(module_name=__name__, class_name=RunOutput.__name__)
    )
