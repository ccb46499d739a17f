"""The classes of errors. The class of an error decides what happens to the document next.

Belongs here: the classes. Does not belong here: what a code means and what a person does about it
(`catalogue`), and the sentence about one document, which is written where the error is raised.
"""

from __future__ import annotations

from typing import ClassVar

from ingest_assets import catalogue

ErrorClass = catalogue.ErrorClass


class IngestError(Exception):
    """A fault with a class, a stable code, a sentence for people and a remedy.

    Args:
        code: stable identifier in snake case, stored in ``stage_attempts.error_code``; one of
            `catalogue.FAULTS`.
        message: one sentence: what happened, to which document. Never holds a secret.
        remedy: what a person can do about it; by default what the catalogue says of the code.
    """

    error_class: ClassVar[ErrorClass]

    def __init__(self, code: str, message: str, remedy: str | None = None) -> None:
        if remedy is None:
            remedy = catalogue.FAULTS[code].remedy
        # All arguments go to Exception, so that the error survives pickling between processes.
        super().__init__(code, message, remedy)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class TransientError(IngestError):
    """The same work may pass later: network, throttling, a restarting server, a killed process."""

    error_class = "transient"


class RunEndedError(TransientError):
    """The run was ended while the document was worked on: the runner does not try it again."""


class PermanentError(IngestError):
    """This document will never pass as it is: corrupt, encrypted, unsupported, changed, too large."""

    error_class = "permanent"


class ConfigurationError(IngestError):
    """Credentials, bucket, region or schema are wrong: no document will pass until that is mended."""

    error_class = "configuration"
