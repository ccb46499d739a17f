"""An S3 that misbehaves: an HTTP proxy on loopback in front of the real one.

Belongs here: the faults of a network and of a busy object store. Requests pass with their signature and
their `Host` as they are, so that the real S3 checks them.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["slow down", "delay", "cut answer", "cut request", "denied", "archived"] | None

# What Amazon answers instead: status, code and message.
_ANSWERS = {
    "slow down": (503, "SlowDown", "Please reduce your request rate."),
    "denied": (403, "AccessDenied", "Access Denied"),
    "archived": (
        403,
        "InvalidObjectState",
        "The operation is not valid for the object's storage class",
    ),
}
_DELAY_SECONDS = 1.0


class FaultyS3:
    """What the tests steer.

    Attributes:
        url: the endpoint to give to clients.
        choose: what is wrong with a request, by its method and its path.
        faults: how often something was wrong.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.choose: Callable[[str, str], Fault] = lambda _method, _path: None
        self.faults = 0
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.begin()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def begin(self) -> None:
        """Listen, at the same port as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def fault(self, method: str, path: str) -> Fault:
        with self._lock:
            chosen = self.choose(method, path)
            self.faults += chosen is not None
            return chosen

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                with suppress(ConnectionError, http.client.HTTPException):
                    super().handle_one_request()
                self.close_connection = True

            def forward(self) -> None:
                fault = proxy.fault(self.command, self.path)
                length = int(self.headers.get("Content-Length", 0))
                if fault == "cut request":
                    self.rfile.read(length // 2)
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if self.headers.get("Expect", "").lower() == "100-continue":
                    del self.headers["Expect"]
                body = self.rfile.read(length)
                if fault in _ANSWERS:
                    status, code, message = _ANSWERS[fault]
                    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                    self.answer(status, [("Content-Type", "application/xml")], error.encode())
                    return
                if fault == "delay":
                    time.sleep(_DELAY_SECONDS)
                upstream = http.client.HTTPConnection(
                    str(proxy.upstream.hostname), proxy.upstream.port, timeout=60
                )
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body or None)
                response = upstream.getresponse()
                content = response.read()
                upstream.close()
                headers = [
                    (name, value)
                    for name, value in response.getheaders()
                    if name.lower() not in ("transfer-encoding", "content-length", "connection")
                ]
                size = int(response.getheader("Content-Length") or len(content))
                sent = content[: len(content) // 2] if fault == "cut answer" else content
                self.answer(response.status, headers, sent, size)

            def answer(
                self,
                status: int,
                headers: list[tuple[str, str]],
                content: bytes,
                size: int | None = None,
            ) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content) if size is None else size))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002
                """Say nothing."""

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815

        return Handler


@contextmanager
def faulty_s3(upstream: str) -> Iterator[FaultyS3]:
    """A proxy for the length of the block."""
    proxy = FaultyS3(upstream)
    try:
        yield proxy
    finally:
        proxy.end()
