"""Small mails through all five stages, against a bare script with the same libraries.

    python bench/mail.py [--mails 1000] [--load 0]

Writes that many distinct mails of a few hundred words, in plain text and in HTML, and measures them as
`bench/ingest.py` measures documents: in one run, on the same Postgres and S3.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import click
import ingest

_WORDS = (
    *(
        "harbour",
        "dues",
        "lease",
        "lighthouse",
        "keel",
        "mast",
        "sail",
        "rope",
        "anchor",
        "tide",
        "quay",
    ),
    *("pilot", "cargo", "crane", "ledger", "notice", "payment", "agreement", "schedule", "weather"),
    *("master", "owner", "agent", "berth", "draft", "signed", "terms", "party", "Friday", "invoice"),
)


def mails(count: int) -> Iterator[bytes]:
    """Mails that differ, the same at each call."""
    chance = random.Random(1)
    begin = datetime(2024, 5, 3, 9, 41, tzinfo=timezone.utc)
    for number in range(count):
        text = "\n\n".join(" ".join(chance.choices(_WORDS, k=60)).capitalize() + "." for _ in range(4))
        message = EmailMessage()
        message["From"] = f"Ada Example {number % 20} <ada{number % 20}@example.org>"
        message["To"] = "Ben Example <ben@example.org>, carl@example.org"
        message["Date"] = format_datetime(begin + timedelta(minutes=number))
        message["Subject"] = f"Berth {number}: {' '.join(chance.choices(_WORDS, k=4))}"
        message["Message-ID"] = f"<{number}@example.org>"
        message.set_content(text)
        if number % 2:
            message.add_alternative(
                "".join(f"<p>{one}</p>" for one in text.split("\n\n")), subtype="html"
            )
        yield message.as_bytes()


@click.command()
@click.option("--mails", "count", default=1000, show_default=True)
@click.option("--load", default=0, show_default=True, help="Busy loops beside it.")
def main(count: int, load: int) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as directory:
        for number, data in enumerate(mails(count)):
            Path(directory, f"mail {number:05}.eml").write_bytes(data)
        ingest.measure(Path(directory), count, load)


if __name__ == "__main__":
    main()
