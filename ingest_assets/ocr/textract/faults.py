"""What Textract's errors mean: may it pass later, is it this document, or is it the set-up?

Belongs here: Amazon's codes and words, and the sentences that people get of them. Does not belong
here: what is done about an error.

Codes: https://docs.aws.amazon.com/textract/latest/dg/API_StartDocumentTextDetection.html and
https://docs.aws.amazon.com/textract/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# More jobs exist than the account may have at a time.
TOO_MANY_JOBS = "LimitExceededException"
# Textract cannot get at the object; it does not say why.
OBJECT_NOT_READ = "InvalidS3ObjectException"
PARAMETERS_DIFFER = "IdempotentParameterMismatchException"
JOB_UNKNOWN = "InvalidJobIdException"
NOT_TAKEN = "UnsupportedDocumentException"

_DOCUMENT = {
    NOT_TAKEN: "textract_unsupported",
    "BadDocumentException": "textract_bad_document",
    "DocumentTooLargeException": "textract_too_large",
    "InvalidParameterException": "textract_rejected",
}
_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidKMSKeyException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "SubscriptionRequiredException",
        "UnknownOperationException",
        "UnrecognizedClientException",
    }
)
_NOT_SET_UP = (NoCredentialsError, PartialCredentialsError, NoRegionError)
# What a job that failed may say of its document; anything else may pass when it is tried again.
_OF_THE_DOCUMENT = re.compile(
    r"unsupported|not supported|invalid|corrupt|bad document|password|encrypt|too large|exceed|maximum",
    re.IGNORECASE,
)


def code_of(error: BotoCoreError | ClientError) -> str:
    """Amazon's code of the error, or the name of the fault where no answer came."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def may_have_worked(error: BotoCoreError | ClientError) -> bool:
    """Whether the call may have been done although it says that it was not."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return bool(status >= 500) and code_of(error) not in THROTTLED
    return isinstance(error, HTTPClientError)


def may_pass(error: BotoCoreError | ClientError) -> bool:
    """Whether the same call may go well a moment later."""
    code = code_of(error)
    return code in THROTTLED or code == TOO_MANY_JOBS or may_have_worked(error)


def typed(error: BotoCoreError | ClientError, doing: str) -> IngestError:
    """Return what the error means.

    Args:
        doing: what was being done, as in "Textract was asked to …".
    """
    code = code_of(error)
    if isinstance(error, ClientError):
        said = error.response.get("Error", {}).get("Message") or "no reason given"
    else:
        said = str(error)
    if code in _DOCUMENT:
        return PermanentError(_DOCUMENT[code], f"Textract rejects {doing}: {code}, {said}.")
    if code in _REFUSED or isinstance(error, _NOT_SET_UP):
        return ConfigurationError("textract_refused", f"Textract refuses {doing}: {code}, {said}.")
    if code in THROTTLED or code == TOO_MANY_JOBS:
        return TransientError(
            "textract_throttled",
            f"Textract has taken as much as the account's quotas allow ({doing}): {code}, {said}.",
        )
    if may_have_worked(error) or isinstance(error, BotoCoreError):
        return TransientError(
            "textract_unavailable", f"Textract does not answer as it should ({doing}): {code}, {said}."
        )
    if code == PARAMETERS_DIFFER:
        return TransientError(
            "textract_token_spent",
            f"Textract knows the request's token from another request ({doing}): {said}.",
        )
    return PermanentError("textract_rejected", f"Textract rejects {doing}: {code}, {said}.")


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
