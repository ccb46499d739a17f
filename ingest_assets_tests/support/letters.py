"""Servers that take alerts: mail and a webhook, on loopback.

Belongs here: receiving. Does not belong here: what is said about what was received.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from ingest_assets.embedded.ports import any_free_port

PASSWORD = "pa55-w0rd-of-the-mail"
TOKEN = "t0ken-of-the-hook"


class Mailbox:
    """A mail server that takes mail from a user who gives PASSWORD.

    Attributes:
        url: its address, with that password.
        mails: what was received.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        port = any_free_port()
        self.url = (
            f"mailto://writer:{PASSWORD}@localhost:{port}/?from=ingest@example.com&to=ops@example.com"
        )
        self._controller = Controller(
            self,
            hostname="localhost",
            port=port,
            auth_required=True,
            auth_require_tls=False,
            authenticator=self._login,
        )

    def _login(self, _server: SMTP, _session: Session, _: Envelope, _how: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    @property
    def texts(self) -> list[str]:
        """The plain text of each mail."""
        bodies = [mail.get_body(("plain",)) for mail in self.mails]
        return [body.get_content().replace("\r\n", "\n") for body in bodies if body is not None]

    @contextmanager
    def open(self) -> Iterator[Mailbox]:
        """A block in which it listens."""
        self._controller.start()
        try:
            yield self
        finally:
            self._controller.stop()


class Hook(ThreadingHTTPServer):
    """A webhook that keeps what it is sent.

    Attributes:
        url: its address as apprise takes it, with TOKEN in its path.
        status: what it answers.
        silent: it does not answer while this is not set.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[dict[str, Any]] = []
        self.gets: list[str] = []
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        self.address = f"127.0.0.1:{self.server_address[1]}/{TOKEN}"
        self.url = f"json://{self.address}"

    @contextmanager
    def open(self) -> Iterator[Hook]:
        """A block in which it listens."""
        thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self.answers.set()
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.wait()
        if self.server.status == 200:
            self.server.posts.append(json.loads(body))
        self._answer()

    def do_GET(self) -> None:
        self.server.gets.append(self.path)
        self._answer()

    def _answer(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
