"""The ways in which work on a document can end badly.

Belongs here: the classes that say *what kind* of fault it is, because the kind decides what happens
next. Does not belong here: what each code means and what to do about it (`catalogue`), nor the faults
themselves; they are raised, with their code and sentence, where they are found.
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
    """The run is over, and what it worked with is closed: nothing is tried again in it."""


class PermanentError(IngestError):
    """This document will never pass as it is: corrupt, encrypted, unsupported, changed, too large."""

    error_class = "permanent"


class ConfigurationError(IngestError):
    """No document's fault: credentials, bucket, region, schema. Nothing will pass until mended."""

    error_class = "configuration"
