"""The names that documents go by: partition keys, source URIs and S3 keys.

Belongs here: pure functions from a file or an object to a name, and back. Does not belong here: looking
anything up.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit
from uuid import UUID

SLUG_LENGTH = 48
DIGEST_LENGTH = 12

# Amazon calls these characters safe in object keys:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_UNSAFE_IN_KEYS = re.compile(r"[^0-9A-Za-z!\-_.*'()]+")
# A key is at most 1,024 bytes; `documents/{uuid}/` takes 47 of them. 200 leaves room for `derived/`.
_OBJECT_NAME_LENGTH = 200
# Of the URI of a part: Postgres has it in an index, whose entries hold 2,704 bytes.
_URI_BYTES = 1500
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}_")
_DOCUMENT_KEY = re.compile(
    r"documents/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/[^/]+"
)


def file_uri(path: str) -> str:
    """`file://` URI of an absolute path; bytes that are not UTF-8 are percent-encoded as they are."""
    return "file://" + quote(os.fsencode(path))


def path_of(uri: str) -> str:
    """The path that `file_uri` was given, byte for byte."""
    return os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))


def s3_uri(bucket: str, key: str) -> str:
    """`s3://` URI of an object, its key percent-encoded."""
    return f"s3://{bucket}/{quote(key)}"


def s3_location(uri: str) -> tuple[str, str]:
    """The bucket and the key that `s3_uri` was given."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, unquote(key)


def uploaded_name(key: str) -> str:
    """The file's name in a key as the earlier pipeline made it: `…/{8 hexadecimal digits}_{name}`.

    A key of any other shape gives its last part as it is.
    """
    name = key.rstrip("/").rpartition("/")[2]
    return _UPLOAD_PREFIX.sub("", name, count=1) or name


def document_uuid_of(key: str) -> UUID | None:
    """The UUID in a key `documents/{uuid}/{name}`; None for a key of another shape."""
    match = _DOCUMENT_KEY.fullmatch(key)
    return UUID(match[1]) if match else None


def display_name(file_name: str) -> str:
    r"""The file's name as Postgres can hold it: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(file_name).decode("utf-8", errors="backslashreplace")


def partition_key(source_uri: str, size_bytes: int, source_version: str) -> str:
    """Key of the partition that stands for one sighting of one file or object.

    Args:
        source_uri: `file://…` or `s3://…`.
        size_bytes: size in bytes when it was seen.
        source_version: modification time in nanoseconds (file) or ETag (S3).

    Returns:
        `{slug, at most 48}-{12 hexadecimal digits}` in `[a-z0-9-]`, such as `nda-acme-3f9a01c27b5e`:
        commas and slashes break Dagit's backfill dialogue. The same sighting always has the same key.
    """
    name = unquote_to_bytes(urlsplit(source_uri).path.rsplit("/", 1)[-1])
    stem = Path(name.decode("utf-8", errors="replace")).stem
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_stem)[:SLUG_LENGTH].strip("-") or "document"
    return f"{slug}-{sighting_digest(source_uri, size_bytes, source_version)[:DIGEST_LENGTH]}"


def sighting_digest(source_uri: str, size_bytes: int, source_version: str) -> str:
    """SHA-256 of a sighting, in hexadecimal digits; a partition key ends with its first twelve."""
    return hashlib.sha256(f"{source_uri}\n{size_bytes}\n{source_version}".encode()).hexdigest()


def part_uri(container_uri: str, part_path: str) -> str:
    """Where a part is, for a person: its container's URI, an angle, its path; not too long."""
    uri = f"{container_uri} \u203a {part_path}"
    data = uri.encode()
    if len(data) <= _URI_BYTES:
        return uri
    head = data[: _URI_BYTES // 2].decode(errors="ignore")
    return f"{head}\u2026{data[-_URI_BYTES // 2 :].decode(errors='ignore')}"


def part_key(container_sha256: str, part_path: str) -> tuple[str, str]:
    """Partition key and version of a part: the same for the same path in the same bytes."""
    version = hashlib.sha256(f"{container_sha256}\n{part_path}".encode()).hexdigest()
    return partition_key(f"part:/{quote(part_path)}", 0, version), version


def object_name(file_name: str) -> str:
    """The file's name in the characters that S3 calls safe, extension kept, at most 200 characters."""
    ascii_name = unicodedata.normalize("NFKD", display_name(file_name)).encode("ascii", "ignore")
    safe = _UNSAFE_IN_KEYS.sub("_", ascii_name.decode()).lstrip(".") or "document"
    suffix = Path(safe).suffix[:20]
    return safe.removesuffix(suffix)[: _OBJECT_NAME_LENGTH - len(suffix)] + suffix


def metadata_value(value: str) -> str:
    """The value percent-encoded, because S3's user metadata is US-ASCII in HTTP headers."""
    return quote(value, safe="/:!'()*,;=@&+$~", errors="surrogateescape")
