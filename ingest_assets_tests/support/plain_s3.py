"""An S3 that takes any key, as Amazon's does: SeaweedFS refuses `..`, and joins two slashes to one.

Belongs here: listing by pages, and reading with If-Match. It checks no signature.
"""

from __future__ import annotations

import bisect
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, unquote_to_bytes

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass
class PlainS3:
    """One bucket.

    Attributes:
        objects: bytes by key; `fill` puts them here.
        page_size: the most objects of a page.
        listings: how many pages were asked for.
    """

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    page_size: int = 3
    listings: int = 0
    _keys: list[bytes] = field(default_factory=list)

    def fill(self, objects: dict[str, bytes]) -> None:
        """These are the objects from now on."""
        self.objects, self._keys = objects, sorted(key.encode() for key in objects)

    def client(self) -> S3Client:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            region_name="us-east-1",
        )

    def page(self, query: dict[str, list[str]]) -> bytes:
        self.listings += 1
        (prefix,) = query.get("prefix", [""])
        (after,) = query.get("continuation-token") or query.get("start-after") or [""]
        first = bisect.bisect_right(self._keys, after.encode())
        first = max(first, bisect.bisect_left(self._keys, prefix.encode()))
        some = [key.decode() for key in self._keys[first : first + self.page_size + 1]]
        keys = [key for key in some if key.startswith(prefix)]
        found = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{etag(self.objects[key])}&quot;</ETag><Size>{len(self.objects[key])}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys[: self.page_size]
        )
        more = len(keys) > self.page_size
        last = quote(keys[self.page_size - 1]) if more else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
            f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{token}{found}</ListBucketResult>"
        ).encode()


def etag(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@contextmanager
def plain_s3() -> Iterator[PlainS3]:
    """One for the length of the block, with a bucket of any name."""
    bucket = PlainS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            key = unquote_to_bytes(path.split("/", 2)[2] if path.count("/") > 1 else "").decode()
            if not key:
                fields = parse_qs(query)
                if token := fields.get("continuation-token"):
                    fields["continuation-token"] = [unquote(token[0])]
                self._answer(200, bucket.page(fields))
                return
            content = bucket.objects.get(key)
            if content is None:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            elif self.headers.get("If-Match", f'"{etag(content)}"') != f'"{etag(content)}"':
                self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            else:
                self._answer(200, content, etag(content))

        def _answer(self, status: int, content: bytes, tag: str = "") -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            if tag:
                self.send_header("ETag", f'"{tag}"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
