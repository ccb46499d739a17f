"""Uploads a folder the way the earlier pipeline did: objects, and no rows.

    python bench/seed_orphans.py FOLDER --count 406 --twins 10 --not-a-document

S3 is that of AWS's variables and `INGEST_S3_BUCKET`; `eval "$(ingest-assets env)"` sets them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import boto3
import click

DAY = "2025/06/05"
# Zeros, and not the end of any document.
NOT_A_DOCUMENT = bytes(4096)


def old_key(name: str, day: str = DAY) -> str:
    """The key that the earlier pipeline made up."""
    return f"documents/{day}/{hashlib.md5(name.encode()).hexdigest()[:8]}_{name}"


def uploads(folder: Path, count: int, twins: int, not_a_document: bool) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of `count` objects; the twins and what is no document are among them."""
    own = count - twins - not_a_document
    files = list(islice(sorted(path for path in folder.rglob("*") if path.is_file()), own))
    if len(files) < own or own < twins:
        raise click.UsageError(f"{folder} holds {len(files)} files; {max(own, twins)} are needed.")
    for path in files:
        yield old_key(path.name), path.read_bytes()
    for path in files[:twins]:
        yield old_key(f"copy of {path.name}"), path.read_bytes()
    if not_a_document:
        yield old_key("core.dump"), NOT_A_DOCUMENT


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=406, show_default=True, help="Objects in all.")
@click.option("--twins", default=0, help="How many of them have the bytes of another.")
@click.option("--not-a-document", is_flag=True, help="One of them is none.")
def main(folder: Path, count: int, twins: int, not_a_document: bool) -> None:
    """Upload."""
    client, bucket = boto3.client("s3"), os.environ["INGEST_S3_BUCKET"]

    def put(upload: tuple[str, bytes]) -> int:
        key, body = upload
        client.put_object(Bucket=bucket, Key=key, Body=body)
        return len(body)

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(put, uploads(folder, count, twins, not_a_document)))
    print(f"{len(sizes)} objects, {sum(sizes):,} bytes, under s3://{bucket}/documents/{DAY}/")


if __name__ == "__main__":
    main()
