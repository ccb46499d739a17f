"""Where alerts go: the addresses of INGEST_ALERT_URLS, through apprise.

Belongs here: reading the addresses, sending within a limit of time, and what is said of a failure.
Does not belong here: what is sent, and when (`engine`).

An address holds passwords and tokens, at any place in it. So a channel has a name of its own, its
number in the setting and its service, such as `2 Slack`; what apprise says of a failure is passed on
with every part of the address masked, the host of mail and web servers excepted; and nothing that
apprise logs reaches any other handler.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import apprise
from apprise import NotifyFormat, NotifyType, OverflowMode
from apprise.utils.parse import parse_urls

from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.alerts.message import Letter

# All channels together: a tick of a sensor has 60 s.
SEND_SECONDS = 20.0
_PING_SECONDS = 10.0
# Services that are addressed by a host, which is no secret; for others it is a token.
_WITH_HOST = ("json", "xml", "form", "mailto")
_KINDS = {"bad": NotifyType.WARNING, "good": NotifyType.SUCCESS, "info": NotifyType.INFO}


@dataclass(frozen=True)
class Channel:
    """One address.

    Attributes:
        name: its number in the setting, and its service; holds nothing of the address.
    """

    name: str
    plugin: Any
    masked: re.Pattern[str]

    def send(self, letter: Letter) -> str:
        """Send a letter; returns why it could not be sent, empty if it was."""
        lines: list[str] = []
        _lines.set(lines)
        try:
            sender = apprise.Apprise(asset=_ASSET)
            sender.add(self.plugin)
            sent = sender.notify(
                title=letter.title,
                body=letter.body,
                body_format=NotifyFormat.TEXT,
                notify_type=_KINDS[letter.kind],
            )
            why = "" if sent else " ".join(lines) or "It was not sent."
        except Exception as error:  # noqa: BLE001  # Each of a hundred plugins has its own.
            why = f"{type(error).__name__}: {error}"
        return self.masked.sub("****", why)


# Where the lines of one sending are kept; apprise sends in threads of its own, to which it copies this.
_lines: ContextVar[list[str] | None] = ContextVar("_lines", default=None)


class _Heard(logging.Filter):
    """Lets no line of apprise through to a handler, and keeps why a letter could not be sent.

    apprise logs wrong addresses whole, and at its debug level more of the others than is needed.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a line that says what is wrong."""
        said, lines = record.getMessage(), _lines.get()
        of_use = record.levelno >= logging.WARNING or said.startswith("Socket Exception")
        if lines is not None and of_use:
            lines.append(" ".join(said.split()))
        return False


logging.getLogger("apprise").addFilter(_Heard())
logging.getLogger("apprise").setLevel(logging.DEBUG)
# At its debug level it logs the path of each request.
logging.getLogger("urllib3").setLevel(logging.INFO)

_ASSET = apprise.AppriseAsset(app_id="ingest_assets", app_desc="ingest_assets", async_mode=False)


class Channels:
    """All addresses of INGEST_ALERT_URLS, and the one of INGEST_ALERT_HEARTBEAT_URL.

    Args:
        urls: addresses as apprise takes them, separated by spaces or commas.
        heartbeat_url: asked for after each healthy evaluation; none if empty.

    Raises:
        ConfigurationError: `alert_url_wrong`; the sentence has its number, and nothing of it.
    """

    def __init__(self, urls: str, heartbeat_url: str = "") -> None:
        self._heartbeat_url = heartbeat_url
        if heartbeat_url and not re.match(r"https?://[^/\s]+", heartbeat_url):
            raise ConfigurationError(
                "alert_url_wrong", "INGEST_ALERT_HEARTBEAT_URL is no address that begins with https://."
            )
        self.channels = [_channel(n, url) for n, url in enumerate(_split(urls), 1)]
        if urls.strip() and not self.channels:
            raise ConfigurationError("alert_url_wrong", "INGEST_ALERT_URLS has no address in it.")

    @property
    def names(self) -> Sequence[str]:
        """The channels' names, in the order of the setting."""
        return [channel.name for channel in self.channels]

    def send(self, letters: Mapping[str, Letter]) -> Mapping[str, str]:
        """Send a letter through each channel that is named, all at a time.

        A channel that takes too long is left to itself: its letter may arrive late, and once more.

        Returns:
            Why it could not be sent, by channel; empty where it was.
        """
        said: dict[str, str] = {}

        def send(channel: Channel, letter: Letter) -> None:
            said[channel.name] = channel.send(letter)

        threads = [
            threading.Thread(target=send, args=(channel, letters[channel.name]), daemon=True)
            for channel in self.channels
            if channel.name in letters
        ]
        _run(threads, SEND_SECONDS)
        late = f"It gave no answer in {SEND_SECONDS:.0f} seconds."
        done = dict(said)
        return {name: done.get(name, late) for name in letters}

    def ping(self) -> str:
        """Ask for the address that watches this program; returns why it gave no answer, or nothing."""
        if not self._heartbeat_url:
            return ""
        said = [f"INGEST_ALERT_HEARTBEAT_URL gave no answer in {_PING_SECONDS:.0f} seconds."]

        def ask() -> None:
            try:
                with urllib.request.urlopen(self._heartbeat_url, timeout=_PING_SECONDS):  # noqa: S310
                    said[0] = ""
            except Exception as error:  # noqa: BLE001  # Whatever it is: no answer.
                code = getattr(error, "code", None) or type(error).__name__
                said[0] = f"INGEST_ALERT_HEARTBEAT_URL could not be asked for: {code}."

        _run([threading.Thread(target=ask, daemon=True)], _PING_SECONDS)
        return said[0]


def _run(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Run threads; returns when all have ended, or after that time."""
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _split(urls: str) -> list[str]:
    found: list[str] = parse_urls(urls)  # type: ignore[no-untyped-call]
    return found


def _channel(number: int, url: str) -> Channel:
    plugin = apprise.Apprise.instantiate(url, asset=_ASSET, suppress_exceptions=True)
    if plugin is None:
        raise ConfigurationError(
            "alert_url_wrong",
            f"Address {number} of INGEST_ALERT_URLS is not one that apprise knows, or something is "
            "missing in it.",
        )
    if "overflow=" not in url:
        plugin.overflow_mode = OverflowMode.TRUNCATE  # Services refuse what is too long for them.
    if "format=" not in url and url.startswith("mailto"):
        plugin.notify_format = NotifyFormat.TEXT
    return Channel(f"{number} {plugin.service_name}", plugin, _secrets(url))


def _secrets(url: str) -> re.Pattern[str]:
    """Whatever stands in an address, but its scheme, port and, where it is one, its host."""
    parts = urlsplit(url)
    shown = {parts.scheme, ""}
    if parts.scheme.rstrip("s") in _WITH_HOST or parts.scheme in ("http", "https"):
        shown.add(re.sub(r".*@|:\d+$", "", parts.netloc))
    words = {word for word in re.split(r"[/:@?&=,+\s]", url) if word not in shown}
    words |= {unquote(word) for word in words} | {quote(word, safe="") for word in words}
    found = sorted(filter(None, words), key=len, reverse=True)
    return re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in found) or r"(?!)")
