"""The bucket: writes and copies that never overwrite, streaming reads, and what S3's errors mean.

Belongs here: all calls of S3. Does not belong here: which key a document has
(`models.SourceDocument.s3_key`), and when it may be written (the stage `document_object`).
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast
from uuid import uuid4

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError
from ingest_assets.failpoints import failpoint
from ingest_assets.log import get_logger
from ingest_assets.store import aws_faults
from ingest_assets.store.names import s3_uri
from ingest_assets.store.small_objects import SmallObjects

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        CopySourceTypeDef,
        GetObjectOutputTypeDef,
    )
    from typing_extensions import Buffer

_log = get_logger(__name__)

# A file up to this size is sent in one request from memory; a larger one in parts of this size.
PART_BYTES = 16 * 1024 * 1024
# S3 takes at most 10,000 parts, so a very large file has larger parts.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MOST_PARTS = 10_000
_PARTS_IN_FLIGHT = 3
# A larger object is copied in parts. One request may copy 5 GiB, but S3 need not answer before it has,
# and an answer that takes too long is taken for a network that is cut.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/copy-object.html
COPY_BYTES = 1024**3
COPY_PART_BYTES = 512 * 1024**2
# How often all versions of an object are listed and removed, at most.
_ROUNDS = 4
# Each probe overwrites it, so that no right to remove objects is needed.
_PROBE_KEY = "derived/probe"
_READ_BYTES = 1024 * 1024
# Postgres has no year 9999 in every time zone, so its beginning is as far away as its end.
FOR_EVER = datetime(9999, 1, 1, tzinfo=timezone.utc)
# What the header of each of an object's user metadata begins with.
_METADATA = "x-amz-meta-"
_IN_PARTS = TransferConfig(multipart_chunksize=PART_BYTES, max_concurrency=_PARTS_IN_FLIGHT)

_OWN: Mapping[str, aws_faults.Kind] = {
    "InvalidBucketName": "refused",
    "NoSuchBucket": "refused",
    "NoSuchUpload": "unavailable",  # another run took the document over and removed the parts
    "InvalidObjectState": "rejected",  # archived, see below
}
_ALREADY_THERE = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_MISSING = {"NoSuchKey", "NotFound", "404"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "403"}


@dataclass(frozen=True)
class ObjectHead:
    """What S3 says of an object without its bytes.

    Attributes:
        size_bytes: size in bytes.
        etag: without quotes.
        sha256: hex digest that S3 itself computed over the whole object, or None (parts, old objects).
        sha256_of_parts: checksum that S3 computed over those of the object's parts, as S3 writes it;
            None if it has none.
        metadata: user metadata, keys in lower case.
        mime_type: the type that was given when the object was written.
        last_modified: when the object was written.
        version: the id of its version, where the bucket keeps versions.
    """

    size_bytes: int
    etag: str
    sha256: str | None
    metadata: Mapping[str, str]
    mime_type: str
    last_modified: datetime
    version: str | None = None
    sha256_of_parts: str | None = None


class ListedObject(NamedTuple):
    """One object in a listing. A tuple, because a listing may have millions.

    Attributes:
        etag: without quotes.
    """

    key: str
    size_bytes: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True)
class Written:
    """An object that was written.

    Attributes:
        sha256_of_parts: where it was sent in parts, what `ObjectHead.sha256_of_parts` is if S3 has put
            together these and no others.
    """

    sha256_of_parts: str | None = None


class Copied(NamedTuple):
    """What a copy on the server did.

    Attributes:
        written: False if the key held an object already, which is left as it is.
        sha256: hex digest that S3 computed over the whole copy, or None where it does not say.
    """

    written: bool
    sha256: str | None = None


class ObjectStore:
    """One bucket of any S3. Safe to share between threads.

    Args:
        client: boto3's client.
        credentials: those of the client; with them small objects take less computing.

    All methods raise `TransientError` if S3 or the network fails in a way that may pass, and
    `ConfigurationError` if credentials, bucket or rights are wrong.
    """

    def __init__(self, client: S3Client, bucket: str, credentials: Credentials | None = None) -> None:
        self.client = client
        self.bucket = bucket
        self._small = SmallObjects(client, bucket, credentials, PART_BYTES) if credentials else None

    def uri(self, key: str) -> str:
        """`s3://bucket/key`, the key percent-encoded."""
        return s3_uri(self.bucket, key)

    def head(self, key: str) -> ObjectHead | None:
        """The object's size, ETag, checksum and metadata; None when there is no such object."""
        if self._small and (headers := self._small.head(key)) is not None:
            return _head(headers)
        try:
            with _typed(f"reading the head of {self.uri(key)}"):
                response = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        except MissingObjectError:
            return None
        return _head(response["ResponseMetadata"]["HTTPHeaders"])

    def listing(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        """All objects whose key begins with `prefix`, page by page.

        Amazon's general purpose buckets list in the order of the keys' UTF-8 bytes. Other endpoints do
        not promise it: some walk a tree and list `a/b` before `a-b`.

        Args:
            after: list only keys behind this one.
        """
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=after
        )
        with _typed(f"listing {self.uri(prefix)}"):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield ListedObject(
                        found["Key"], found["Size"], found["ETag"].strip('"'), found["LastModified"]
                    )

    @contextmanager
    def open(self, key: str, etag: str | None = None) -> Iterator[BinaryIO]:
        """Open an object for reading: from its beginning to its end, or at any place.

        Each time that the reader goes elsewhere S3 is asked anew.

        Args:
            key: key of the object.
            etag: fail if the object is no longer the one of this ETag.

        Raises:
            PermanentError: there is no such object, or it was replaced.
        """
        condition = {"IfMatch": f'"{etag}"'} if etag else {}
        try:
            with _typed(f"reading {self.uri(key)}"):

                def fetch(start: int) -> GetObjectOutputTypeDef:
                    place = {"Range": f"bytes={start}-"} if start else {}
                    return self.client.get_object(Bucket=self.bucket, Key=key, **condition, **place)  # type: ignore[arg-type]

                with closing(_ObjectReader(fetch)) as reader:
                    yield cast(BinaryIO, reader)
        except _AlreadyThereError as error:
            raise _replaced(self.uri(key)) from error

    def stream(self, key: str, etag: str | None = None) -> Iterator[bytes]:
        """The object's bytes in blocks of at most 1 MiB.

        Args:
            key: key of the object.
            etag: fail if the object is no longer the one of this ETag.

        Raises:
            PermanentError: there is no such object, or it was replaced.
        """
        with self.open(key, etag) as body:
            while block := body.read(_READ_BYTES):
                yield block

    def download(self, key: str, target: BinaryIO) -> None:
        """Write the object's bytes to an open file; those of a large object piece by piece."""
        if self._small and (body := self._small.get(key)) is not None:
            target.write(body)
            return
        for block in self.stream(key):
            target.write(block)

    def sha256(self, key: str) -> str:
        """Hex digest of the object's bytes as they are now, read in full."""
        digest = hashlib.sha256()
        for block in self.stream(key):
            digest.update(block)
        return digest.hexdigest()

    def put_new(
        self,
        key: str,
        source: BinaryIO,
        *,
        size_bytes: int,
        sha256: str,
        mime_type: str,
        metadata: Mapping[str, str],
    ) -> Written | None:
        """Write an object under a key that holds none, if the bytes are those of `sha256`.

        The key shows nothing before the bytes were compared with `sha256`: a small file is compared
        before it is sent, a large one before S3 puts its parts together. Memory: at most four parts of
        `PART_BYTES`.

        Returns:
            None if the key held an object already, which is left as it is.

        Raises:
            PermanentError: `content_changed`, `source` does not yield those bytes.
        """
        if size_bytes <= PART_BYTES:
            body = source.read(size_bytes + 1)
            _compare(key, len(body), hashlib.sha256(body).hexdigest(), size_bytes, sha256)
            return Written() if self._put(key, body, sha256, mime_type, metadata) else None
        return self._put_parts(key, source, size_bytes, sha256, mime_type, metadata)

    def copy_new(
        self,
        source_key: str,
        key: str,
        *,
        etag: str,
        size_bytes: int,
        mime_type: str,
        metadata: Mapping[str, str],
    ) -> Copied:
        """Copy an object inside the bucket, on the server, to a key that holds none.

        Args:
            etag: the source's; the copy fails if it is no longer that object.
            size_bytes: the source's size.
            mime_type: the copy's type.
            metadata: the copy's user metadata, instead of the source's.

        Raises:
            PermanentError: the source is gone, or was replaced.
        """
        # Asked even if the endpoint honours If-None-Match: a refused copy does not say which of its two
        # conditions failed.
        if self.head(key) is not None:
            return Copied(written=False)
        source: CopySourceTypeDef = {"Bucket": self.bucket, "Key": source_key}
        copy = self._copy if size_bytes <= COPY_BYTES else self._copy_parts
        try:
            return Copied(True, copy(source, key, etag, size_bytes, mime_type, metadata))
        except _AlreadyThereError as error:
            head = self.head(source_key)
            if head is None or head.etag != etag:
                raise _replaced(self.uri(source_key)) from error
            return Copied(written=False)

    def probe(self) -> None:
        """Write and read a small object, to find out whether documents could be stored now.

        Raises:
            ConfigurationError: bucket, credentials or rights are wrong.
            TransientError: S3 does not answer just now.
        """
        self.put_derived(_PROBE_KEY, b"Can documents be stored?", "text/plain")
        self.get_derived(_PROBE_KEY)

    def answers(self) -> bool:
        """Whether S3 is reached now, whatever it answers."""
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except (ConnectionError, HTTPClientError) as error:
            _log.info("S3 is not reached: %s", error)
            return False
        except (BotoCoreError, ClientError):
            pass  # It has answered, or the fault is no matter of the network.
        return True

    def delete(self, key: str, etag: str) -> None:
        """Remove an object, if it still has this ETag.

        Some endpoints ignore the condition, so the caller compares the ETag right before, too.
        """
        try:
            with _typed(f"removing {self.uri(key)}"):
                self.client.delete_object(Bucket=self.bucket, Key=key, IfMatch=f'"{etag}"')
        except _AlreadyThereError as error:
            raise _replaced(self.uri(key)) from error

    def delete_all(self, place: str, *, below: bool = False) -> int:
        """Remove objects with all versions that the bucket keeps of them.

        Args:
            place: the key of one object.
            below: whether to remove all objects whose keys begin with `place` instead.

        Returns:
            How many objects and versions were removed.

        Raises:
            LockedObjectError: S3 keeps some of them; all others are removed.
        """
        removed = 0
        locked: dict[tuple[str, str], datetime] = {}
        with _typed(f"removing {self.uri(place)} with all versions"):
            # Again until there is none: an endpoint may keep the only version of an object under
            # another id as soon as the bucket keeps versions.
            for _ in range(_ROUNDS):
                pages = self.client.get_paginator("list_object_versions").paginate(
                    Bucket=self.bucket, Prefix=place
                )
                versions = [
                    (found["Key"], found.get("VersionId") or "null")
                    for page in pages
                    for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                    if below or found["Key"] == place
                ]
                versions = [version for version in versions if version not in locked]
                if not versions:
                    break
                for key, version in versions:
                    try:
                        self.client.delete_object(Bucket=self.bucket, Key=key, VersionId=version)
                        removed += 1
                    except ClientError:
                        until = self._locked_until(key, version)
                        if until is None:
                            raise
                        locked[key, version] = until
            for listed in self.listing(place):  # Where the endpoint lists no versions.
                if below or listed.key == place:
                    if any(key == listed.key for key, _ in locked):
                        continue
                    self.client.delete_object(Bucket=self.bucket, Key=listed.key)
                    removed += 1
        if locked:
            raise _locked(self.uri(place), max(locked.values()), removed)
        return removed

    def _locked_until(self, key: str, version: str) -> datetime | None:
        """Until when S3 keeps a version, by a retention or a legal hold; None if it does not."""
        # Each is an error where there is none, or where the bucket has no object lock.
        with suppress(ClientError):
            answer = self.client.get_object_legal_hold(Bucket=self.bucket, Key=key, VersionId=version)
            if answer["LegalHold"]["Status"] == "ON":
                return datetime.max.replace(tzinfo=timezone.utc)
        with suppress(ClientError):
            kept = self.client.get_object_retention(Bucket=self.bucket, Key=key, VersionId=version)
            until = kept["Retention"]["RetainUntilDate"]
            return until if until > datetime.now(timezone.utc) else None
        return None

    def put_derived(self, key: str, body: bytes, mime_type: str) -> None:
        """Write or overwrite an object under `derived/`, which holds results that can be made again."""
        if not key.startswith("derived/"):
            raise ValueError(f"{key} is not under derived/")
        if self._small and self._small.put(key, body, mime_type, overwrite=True):
            return
        with _typed(f"writing {self.uri(key)}"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=mime_type)

    def put_derived_file(self, key: str, path: Path, mime_type: str) -> None:
        """The same from a file, in parts where it is large."""
        if not key.startswith("derived/"):
            raise ValueError(f"{key} is not under derived/")
        with _typed(f"writing {self.uri(key)}"), path.open("rb") as file:
            self.client.upload_fileobj(
                file, self.bucket, key, ExtraArgs={"ContentType": mime_type}, Config=_IN_PARTS
            )

    def region(self) -> str | None:
        """The region that the bucket lies in; None where the endpoint does not say."""
        with _typed(f"asking for the region of bucket {self.bucket}"):
            response = self.client.head_bucket(Bucket=self.bucket)
        return response.get("BucketRegion") or response["ResponseMetadata"]["HTTPHeaders"].get(
            "x-amz-bucket-region"
        )

    def get_derived(self, key: str) -> bytes | None:
        """The bytes of a result, or None when there is none."""
        try:
            return b"".join(self.stream(key))
        except MissingObjectError:
            return None

    @cached_property
    def _copies_conditionally(self) -> bool:
        """Whether the endpoint honours If-None-Match on a copy; tried once.

        Many endpoints honour it on a put and ignore it on a copy. An object is copied onto itself: an
        endpoint that honours the condition refuses.
        """
        key = f"derived/probe-{uuid4()}"
        self.put_derived(key, b"Does a conditional copy overwrite?", "text/plain")
        failpoint("copy.probing")
        try:
            with _typed(f"trying a conditional copy of {self.uri(key)}"):
                self.client.copy_object(
                    Bucket=self.bucket,
                    Key=key,
                    CopySource={"Bucket": self.bucket, "Key": key},
                    MetadataDirective="REPLACE",
                    IfNoneMatch="*",
                )
        except _AlreadyThereError:
            return True
        except PermanentError:
            return False  # the endpoint refuses the header itself
        finally:
            try:
                self.client.delete_object(Bucket=self.bucket, Key=key)
            except (BotoCoreError, ClientError) as error:
                _log.warning("The probe %s stays behind: %s Remove it.", self.uri(key), error)
        return False

    def _copy(
        self,
        source: CopySourceTypeDef,
        key: str,
        etag: str,
        _size_bytes: int,
        mime_type: str,
        metadata: Mapping[str, str],
    ) -> str | None:
        condition = {"IfNoneMatch": "*"} if self._copies_conditionally else {}
        with _typed(f"copying to {self.uri(key)}"):
            response = self.client.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource=source,
                CopySourceIfMatch=f'"{etag}"',
                MetadataDirective="REPLACE",
                ContentType=mime_type,
                Metadata=dict(metadata),
                ChecksumAlgorithm="SHA256",
                **condition,  # type: ignore[arg-type]
            )
        checksum = response["CopyObjectResult"].get("ChecksumSHA256")
        return base64.b64decode(checksum).hex() if checksum and "-" not in checksum else None

    def _copy_parts(
        self,
        source: CopySourceTypeDef,
        key: str,
        etag: str,
        size_bytes: int,
        mime_type: str,
        metadata: Mapping[str, str],
    ) -> str | None:
        part_bytes = max(COPY_PART_BYTES, -(-size_bytes // _MOST_PARTS))
        upload_id = self._begin_parts(key, mime_type, metadata)

        def copy(number: int, start: int) -> CompletedPartTypeDef:
            response = self.client.upload_part_copy(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                CopySource=source,
                CopySourceIfMatch=f'"{etag}"',
                CopySourceRange=f"bytes={start}-{min(start + part_bytes, size_bytes) - 1}",
            )["CopyPartResult"]
            failpoint("part.copied")
            part: CompletedPartTypeDef = {"PartNumber": number, "ETag": response["ETag"]}
            if checksum := response.get("ChecksumSHA256"):
                part["ChecksumSHA256"] = checksum
            return part

        with (
            self._parts(key, upload_id),
            ThreadPoolExecutor(_PARTS_IN_FLIGHT, "copy-part") as pool,
        ):
            starts = range(0, size_bytes, part_bytes)
            parts = list(pool.map(copy, range(1, len(starts) + 1), starts))
            self._complete_parts(key, upload_id, parts)
        return None

    def _put(
        self, key: str, body: bytes, sha256: str, mime_type: str, metadata: Mapping[str, str]
    ) -> bool:
        if self._small:
            # S3 is given the SHA-256 of these bytes; `put_new` has compared it.
            written = self._small.put(key, body, mime_type, metadata, overwrite=False)
            if written is not None:
                return written
        try:
            with _typed(f"writing {self.uri(key)}"):
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=body,
                    ContentType=mime_type,
                    Metadata=dict(metadata),
                    ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                    IfNoneMatch="*",
                )
        except _AlreadyThereError:
            return False
        return True

    def _put_parts(
        self,
        key: str,
        source: BinaryIO,
        size_bytes: int,
        sha256: str,
        mime_type: str,
        metadata: Mapping[str, str],
    ) -> Written | None:
        part_bytes = max(PART_BYTES, -(-size_bytes // _MOST_PARTS))
        upload_id = self._begin_parts(key, mime_type, metadata)
        try:
            with self._parts(key, upload_id):
                parts = self._send_parts(key, upload_id, source, part_bytes, size_bytes, sha256)
                self._complete_parts(key, upload_id, parts)
        except _AlreadyThereError:
            return None
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
        digests = b"".join(base64.b64decode(part["ChecksumSHA256"]) for part in parts)
        return Written(f"{_base64_sha256(digests)}-{len(parts)}")

    def _begin_parts(self, key: str, mime_type: str, metadata: Mapping[str, str]) -> str:
        with _typed(f"writing {self.uri(key)}"):
            self._abort_left_over(key)
            upload_id = self.client.create_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                ContentType=mime_type,
                Metadata=dict(metadata),
                ChecksumAlgorithm="SHA256",
            )["UploadId"]
        failpoint("parts.begun")
        return upload_id

    def _complete_parts(self, key: str, upload_id: str, parts: Sequence[CompletedPartTypeDef]) -> None:
        failpoint("parts.completing")
        self.client.complete_multipart_upload(
            Bucket=self.bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )

    @contextmanager
    def _parts(self, key: str, upload_id: str) -> Iterator[None]:
        """Run the block; if it raises, remove the parts that were sent."""
        try:
            with _typed(f"writing {self.uri(key)}"):
                yield
        except BaseException:
            self._abort(key, upload_id)
            raise

    def _send_parts(
        self,
        key: str,
        upload_id: str,
        source: BinaryIO,
        part_bytes: int,
        size_bytes: int,
        sha256: str,
    ) -> list[CompletedPartTypeDef]:
        """Send the file part by part, a few at a time, and hash it meanwhile."""

        def send(number: int, body: bytes) -> CompletedPartTypeDef:
            checksum = _base64_sha256(body)
            response = self.client.upload_part(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
                ChecksumSHA256=checksum,
            )
            failpoint("part.sent")
            return {"PartNumber": number, "ETag": response["ETag"], "ChecksumSHA256": checksum}

        digest = hashlib.sha256()
        sent = 0
        parts: list[CompletedPartTypeDef] = []
        pending: deque[Future[CompletedPartTypeDef]] = deque()
        with ThreadPoolExecutor(_PARTS_IN_FLIGHT, "upload-part") as pool:
            # One byte more than announced is read at most: enough to notice a file that grows.
            while block := source.read(min(part_bytes, size_bytes + 1 - sent)):
                digest.update(block)
                sent += len(block)
                pending.append(pool.submit(send, len(parts) + len(pending) + 1, block))
                del block
                if len(pending) >= _PARTS_IN_FLIGHT:
                    parts.append(pending.popleft().result())
            parts.extend(future.result() for future in pending)
        _compare(key, sent, digest.hexdigest(), size_bytes, sha256)
        return parts

    def _abort_left_over(self, key: str) -> None:
        """Remove the parts that a killed process left; the caller holds the document's lock."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix=key
        )
        for page in pages:
            for upload in page.get("Uploads", ()):
                if upload["Key"] == key:
                    self._abort(key, upload["UploadId"])

    def _abort(self, key: str, upload_id: str) -> None:
        # Logged and not raised, so that the error which led here is the one that is reported.
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except (BotoCoreError, ClientError) as error:
            _log.warning(
                "The parts of the upload %s to %s stay behind, invisible but billed: %s The next try "
                "of the document removes them, or a lifecycle rule of the bucket does.",
                upload_id,
                self.uri(key),
                error,
            )


def _base64_sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _head(headers: Mapping[str, str]) -> ObjectHead:
    """What S3's answer to a HEAD says; the headers' names are in lower case."""
    checksum = headers.get("x-amz-checksum-sha256")
    in_parts = checksum and ("-" in checksum or headers.get("x-amz-checksum-type") == "COMPOSITE")
    return ObjectHead(
        size_bytes=int(headers["content-length"]),
        etag=headers["etag"].strip('"'),
        sha256=base64.b64decode(checksum).hex() if checksum and not in_parts else None,
        sha256_of_parts=checksum if in_parts else None,
        metadata={
            name.removeprefix(_METADATA): value
            for name, value in headers.items()
            if name.startswith(_METADATA)
        },
        mime_type=headers.get("content-type", ""),
        last_modified=parsedate_to_datetime(headers["last-modified"]),
        # The version of an object that was written before the bucket kept versions is "null".
        version=None if (version := headers.get("x-amz-version-id")) == "null" else version,
    )


def _compare(key: str, size: int, digest: str, expected_size: int, expected_digest: str) -> None:
    if (size, digest) != (expected_size, expected_digest):
        raise PermanentError(
            "content_changed",
            f"The bytes for {key} are not those that were registered: "
            f"{size} bytes with SHA-256 {digest[:12]}… instead of "
            f"{expected_size} bytes with {expected_digest[:12]}….",
            "Its present content is found as a new document; "
            "bring the registered content back to finish this one.",
        )


def _replaced(uri: str) -> PermanentError:
    return PermanentError("content_changed", f"{uri} was replaced since it was discovered.")


class _ObjectReader(io.RawIOBase):
    """An object of S3 as a file.

    Args:
        fetch: asks S3 for the object from a byte on.
    """

    def __init__(self, fetch: Callable[[int], GetObjectOutputTypeDef]) -> None:
        self._fetch = fetch
        response = fetch(0)
        self._size = response["ContentLength"]
        self._body: StreamingBody | None = response["Body"]
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        place = max(0, base + offset)
        if place != self._place and self._body is not None:
            self._body.close()
            self._body = None
        self._place = place
        return place

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        if self._place >= self._size or not view:
            return 0
        if self._body is None:
            self._body = self._fetch(self._place)["Body"]
        data = self._body.read(len(view))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
        super().close()


class _AlreadyThereError(Exception):
    """S3 refused a request because its condition (If-None-Match, If-Match) does not hold."""


class MissingObjectError(PermanentError):
    """The key holds no object."""


class ArchivedObjectError(PermanentError):
    """The object is in a storage class whose objects have to be restored before they can be read."""


class DeniedError(ConfigurationError):
    """S3 knows who asks, and does not let them: perhaps for this object alone."""


class LockedObjectError(TransientError):
    """S3 keeps an object, or a version of one, that was to be removed.

    Attributes:
        uri: the key, or what the keys begin with.
        until: when S3 lets it go; the year 9999 if it is held without an end.
        removed: how many others were removed.
    """

    uri: str
    until: datetime
    removed: int


def kept_by_lock(uri: str, until: datetime) -> str:
    """A sentence that says until when S3 keeps an object; `FOR_EVER` and later mean without an end."""
    ends = "without an end" if until >= FOR_EVER else f"until {until:%Y-%m-%d %H:%M %Z}"
    return f"S3 keeps {uri} {ends}, by the bucket's object lock."


def _locked(uri: str, until: datetime, removed: int) -> LockedObjectError:
    error = LockedObjectError("object_locked", kept_by_lock(uri, until))
    error.uri, error.until, error.removed = uri, until, removed
    return error


@contextmanager
def _typed(doing: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        fault = aws_faults.classify(error, _OWN)
        if fault.code in _ALREADY_THERE:
            raise _AlreadyThereError(doing) from error
        raise _ingest_error(fault, doing) from error


def _ingest_error(fault: aws_faults.AwsFault, doing: str) -> IngestError:
    if fault.code in _MISSING:
        return MissingObjectError("object_missing", f"S3 has no such object ({doing}).")
    if fault.kind == "refused" and not fault.status:
        return ConfigurationError(
            "object_store_refused",
            f"S3 cannot be asked: {fault.said}.",
            "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or a profile or role.",
        )
    if fault.code == "InvalidObjectState":
        return ArchivedObjectError("object_archived", f"S3 has archived it ({doing}): {fault.said}.")
    if fault.kind == "refused":
        kind = DeniedError if fault.code in _DENIED else ConfigurationError
        return kind("object_store_refused", f"S3 refuses {doing}: {fault}.")
    if fault.may_pass:
        how = (
            f"S3 fails {doing}: {fault}."
            if fault.status
            else f"S3 is not reached while {doing}: {fault.said}."
        )
        return TransientError("object_store_unavailable", how)
    return PermanentError("object_store_rejected", f"S3 rejects {doing}: {fault}.")
