"""Textract's errors as errors that say whether they may pass, or document or set-up is at fault.

Belongs here: Textract's codes and messages, and the sentences for people. Does not belong here: what is
done about an error, and codes that several of Amazon's services share (`store.aws_faults`).

Codes: https://docs.aws.amazon.com/textract/latest/dg/API_StartDocumentTextDetection.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError
from ingest_assets.store.aws_faults import AwsFault, Kind, classify

# The account has as many jobs as its quota allows.
TOO_MANY_JOBS = "LimitExceededException"
# Textract cannot read the object, for a reason that it does not give.
OBJECT_NOT_READ = "InvalidS3ObjectException"
_PARAMETERS_DIFFER = "IdempotentParameterMismatchException"
JOB_UNKNOWN = "InvalidJobIdException"
NOT_TAKEN = "UnsupportedDocumentException"

_DOCUMENT = {
    NOT_TAKEN: "textract_unsupported",
    "BadDocumentException": "textract_bad_document",
    "DocumentTooLargeException": "textract_too_large",
    "InvalidParameterException": "textract_rejected",
}
_OWN: Mapping[str, Kind] = {"InvalidKMSKeyException": "refused"}
# Words in the message of a failed job that mean that the document is at fault. Without one of them a
# further job may succeed.
_OF_THE_DOCUMENT = re.compile(
    r"unsupported|not supported|invalid|corrupt|bad document|password|encrypt|too large|exceed|maximum",
    re.IGNORECASE,
)


def fault_of(error: BotoCoreError | ClientError) -> AwsFault:
    """Return the kind of an error, with Amazon's code and reason."""
    return classify(error, _OWN)


def is_worth_repeating(error: BotoCoreError | ClientError) -> bool:
    """Whether the same call may succeed a moment later.

    False if no connection could be made: a wrong AWS_ENDPOINT_URL_TEXTRACT has to fail at once, and not
    after ten minutes of repetitions.
    """
    fault = fault_of(error)
    return fault.may_pass and (bool(fault.status) or isinstance(error, HTTPClientError))


def typed(error: BotoCoreError | ClientError, doing: str) -> IngestError:
    """Return an error as one of this project, with its code and class.

    Args:
        doing: what was being done, as a noun: `reading s3://bucket/key`.
    """
    fault = fault_of(error)
    if fault.code in _DOCUMENT:
        return PermanentError(_DOCUMENT[fault.code], f"Textract rejects {doing}: {fault}.")
    if fault.code == _PARAMETERS_DIFFER:
        return TransientError(
            "textract_token_spent",
            f"Textract knows the request's token from another request ({doing}): {fault.said}.",
        )
    if fault.kind == "refused":
        return ConfigurationError("textract_refused", f"Textract refuses {doing}: {fault}.")
    if fault.kind == "throttled":
        return TransientError(
            "textract_throttled",
            f"Textract has taken as much as the account's quotas allow ({doing}): {fault}.",
        )
    if fault.kind == "unavailable":
        return TransientError(
            "textract_unavailable", f"Textract does not answer as it should ({doing}): {fault}."
        )
    return PermanentError("textract_rejected", f"Textract rejects {doing}: {fault}.")


def job_failed(name: str, message: str) -> IngestError:
    """Return the error for a job that ended as FAILED.

    Args:
        name: the job's name, for the sentence.
        message: the job's `StatusMessage`, the only place where Textract gives a reason.
    """
    sentence = f"Textract's job {name} failed: {message or 'no reason given'}."
    if _OF_THE_DOCUMENT.search(message):
        return PermanentError("textract_job_failed", sentence)
    return TransientError("textract_job_failed", sentence, "It is tried again, as a new job.")
