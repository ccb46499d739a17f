"""What Textract's errors mean: may it pass later, is it this document, or is it the set-up?

Belongs here: Amazon's codes and words, and the sentences that people get of them. Does not belong
here: what is done about an error.

Codes of Textract alone:
https://docs.aws.amazon.com/textract/latest/dg/API_StartDocumentTextDetection.html; `store.aws_faults`
knows those of all services.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError
from ingest_assets.store.aws_faults import AwsFault, Kind, classify

# More jobs exist than the account may have at a time.
TOO_MANY_JOBS = "LimitExceededException"
# Textract cannot get at the object; it does not say why.
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
# What a job that failed may say of its document; anything else may pass when it is tried again.
_OF_THE_DOCUMENT = re.compile(
    r"unsupported|not supported|invalid|corrupt|bad document|password|encrypt|too large|exceed|maximum",
    re.IGNORECASE,
)


def fault_of(error: BotoCoreError | ClientError) -> AwsFault:
    """What kind of fault it is, with Amazon's code and reason."""
    return classify(error, _OWN)


def is_worth_repeating(error: BotoCoreError | ClientError) -> bool:
    """Whether the same call may go well a moment later.

    An address that nothing answers at is left to the next try of the document: a wrong
    AWS_ENDPOINT_URL_TEXTRACT must not take ten minutes to show.
    """
    fault = fault_of(error)
    return fault.may_pass and (bool(fault.status) or isinstance(error, HTTPClientError))


def typed(error: BotoCoreError | ClientError, doing: str) -> IngestError:
    """Return what the error means.

    Args:
        doing: what was being done, as in "Textract was asked to …".
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
        name: the job's, for people.
        message: the `StatusMessage`, in which alone Textract says why.
    """
    sentence = f"Textract's job {name} failed: {message or 'no reason given'}."
    if _OF_THE_DOCUMENT.search(message):
        return PermanentError("textract_job_failed", sentence)
    return TransientError("textract_job_failed", sentence, "It is tried again, as a new job.")
