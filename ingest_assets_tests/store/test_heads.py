"""What libcurl sends when it asks for an object's head: the requests that boto3's client would make."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from ingest_assets.store.object_store import ObjectStore

Make = Callable[..., ObjectStore]


@dataclass
class Recorder:
    """An S3 that holds every key and checks no signature, and an HTTP proxy in front of it.

    Attributes:
        requests: what was asked for by HEAD: target as it was sent, and headers.
        connections: how many were accepted.
        tls: what it answers with inside the tunnels of CONNECT.
        keeps_open: whether a connection stays open after an answer.
    """

    port: int = 0
    requests: list[tuple[str, Message]] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    keeps_open: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    record = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            record.connections += 1
            super().setup()

        def do_HEAD(self) -> None:
            record.requests.append((self.path, self.headers))
            self.send_response_only(200)
            self.send_header("Content-Length", "3")
            self.send_header("ETag", '"tag"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            self.close_connection = not record.keeps_open

        def do_CONNECT(self) -> None:
            self.send_response_only(200)
            self.send_header("Content-Type", "of/the-proxy")
            self.end_headers()
            assert record.tls is not None
            try:
                self.request = record.tls.wrap_socket(self.connection, server_side=True)
            except ssl.SSLError:
                self.close_connection = True
            else:
                super().setup()
                self.close_connection = False

        def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    record.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield record
    server.shutdown()
    server.server_close()


@pytest.fixture
def make(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Make:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def make(endpoint: str = "", credentials: Credentials | None = None, **options: Any) -> ObjectStore:
        credentials = credentials or Credentials("the-key", "the-secret")
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint or recorder.url,
            aws_access_key_id="the-key",
            aws_secret_access_key="the-secret",
            region_name="eu-central-1",
            config=Config(retries={"total_max_attempts": 1}, **options),
        )
        client.meta.events.register("before-call", lambda **_: pytest.fail("boto3 asks"))
        return ObjectStore(client, "a-bucket", credentials)

    return make


def signature(target: str, headers: Message, credentials: Credentials) -> str:
    """How botocore signs a request that was received."""
    signed = headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest("HEAD", f"http://{headers['Host']}{target}")
    request.context["timestamp"] = headers["x-amz-date"]
    for name in signed:
        request.headers[name] = headers[name]
    signer = S3SigV4Auth(credentials.get_frozen_credentials(), "s3", "eu-central-1")
    return str(
        signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    )


@pytest.mark.parametrize(
    "key",
    [
        "documents/3fa9/plain.pdf",
        "documents/it's (a) *name*! =@+&$,;:~.pdf",
        "documents/100%, naïve 日本.pdf",
        "documents/a//b/...c",
        "documents/%2e%2e/question?mark#hash",
    ],
)
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_any_key_is_asked_for_and_signed(make: Make, recorder: Recorder, key: str, style: str) -> None:
    credentials = Credentials("the-key", "the-secret", "a/token+=")
    # Names below localhost lead to loopback.
    objects = make(f"http://localhost:{recorder.port}", credentials, s3={"addressing_style": style})
    head = objects.head(key)
    assert head is not None
    assert (head.size_bytes, head.etag, head.mime_type) == (3, "tag", "")
    ((target, headers),) = recorder.requests
    url = objects.client.generate_presigned_url(
        "head_object", Params={"Bucket": "a-bucket", "Key": key}
    )
    assert f"http://{headers['Host']}{target}" == url.partition("?")[0]
    assert headers["x-amz-checksum-mode"] == "ENABLED"
    assert headers["x-amz-security-token"] == "a/token+="
    _, _, signed = headers["Authorization"].partition("SignedHeaders=")
    names, _, sent = signed.partition(",")
    assert {"host", "x-amz-checksum-mode", "x-amz-date", "x-amz-security-token"} <= {*names.split(";")}
    assert sent.strip() == f"Signature={signature(target, headers, credentials)}"


@pytest.mark.parametrize("key", ["documents/a/../b", "documents/./b", "documents/.."])
def test_a_key_that_libcurl_would_resolve_is_left_to_boto3(
    make: Make, recorder: Recorder, key: str
) -> None:
    with pytest.raises(pytest.fail.Exception, match="boto3 asks"):
        make().head(key)
    assert recorder.requests == []


def test_credentials_are_renewed(make: Make, recorder: Recorder) -> None:
    credentials = Credentials("first", "the-secret", "its-token")
    objects = make(credentials=credentials)
    objects.head("a")
    credentials.access_key, credentials.secret_key, credentials.token = "second", "another", None
    objects.head("a")
    (_, before), (target, after) = recorder.requests
    assert "Credential=first/" in before["Authorization"]
    assert "Credential=second/" in after["Authorization"]
    assert after["x-amz-security-token"] is None
    assert after["Authorization"].endswith(signature(target, after, credentials))


def test_a_connection_is_kept_for_all_threads(make: Make, recorder: Recorder) -> None:
    objects = make()
    for _ in range(3):
        asking = threading.Thread(target=objects.head, args=("a",))
        asking.start()
        asking.join()
    assert (len(recorder.requests), recorder.connections) == (3, 1)


def test_a_connection_that_s3_has_closed_is_replaced(make: Make, recorder: Recorder) -> None:
    recorder.keeps_open = False
    objects = make()
    assert objects.head("a")
    assert objects.head("a")
    assert recorder.connections == 2


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_proxies_are_those_of_the_environment(
    make: Make, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, recorder.url)
    assert make("http://s3.invalid").head("a")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert make().head("a")
    assert [target for target, _ in recorder.requests] == [
        "http://s3.invalid/a-bucket/a",
        "/a-bucket/a",
    ]


def test_certificates_are_those_of_the_environment(
    make: Make, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, recorder.tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("s3.invalid").configure_cert(recorder.tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("HTTPS_PROXY", recorder.url)
    with pytest.raises(pytest.fail.Exception, match="boto3 asks"):
        make("https://s3.invalid").head("a")
    assert recorder.requests == []
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    head = make("https://s3.invalid").head("a")
    assert head is not None
    assert head.mime_type == ""  # Not what the proxy says of its tunnel.


def test_a_head_that_nobody_answers_ends(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        objects = make(url, connect_timeout=0.1, read_timeout=0.2)
        began = time.monotonic()
        with pytest.raises(pytest.fail.Exception, match="boto3 asks"):
            objects.head("a")
        assert 0.2 < time.monotonic() - began < 5
