"""The kind of each error that AWS answers with: the one place that decides it, for all services.

Belongs here: codes that several services share, and the order in which code and HTTP status decide.
Does not belong here: codes of one service alone, which its module passes as `own`, and the sentences
and stored codes that a person gets, which differ by service.

Sources of the codes: the standard retry mode of boto3 for what may pass
(https://docs.aws.amazon.com/boto3/latest/guide/retries.html), S3's list of error responses
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) and the errors that Textract and
Comprehend share with the other services
(https://docs.aws.amazon.com/textract/latest/APIReference/CommonErrors.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)

# throttled: the account or the bucket is asked too fast. unavailable: the service fails or is not
# reached. refused: credentials, rights, account or region are wrong, whatever is asked. rejected: this
# request is wrong, with any credentials.
Kind = Literal["throttled", "unavailable", "refused", "rejected"]

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_UNAVAILABLE = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "OperationAborted",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
    }
)
_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "NotSignedUp",
        "OptInRequired",
        "PermanentRedirect",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "SubscriptionRequiredException",
        "UnknownOperationException",
        "UnrecognizedClientException",
    }
)
_NOT_SET_UP = (
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)


class AwsFault(NamedTuple):
    """An error that AWS answered with, or that botocore raised because no answer came.

    Attributes:
        code: AWS's code, or the name of botocore's exception where no answer came.
        said: the reason that AWS gives, or botocore.
        status: HTTP status of the answer; 0 where none came.
    """

    kind: Kind
    code: str
    said: str
    status: int

    @property
    def may_pass(self) -> bool:
        """Whether the same request may go well later."""
        return self.kind in ("throttled", "unavailable")

    def __str__(self) -> str:
        return f"{self.code}, {self.said}"


def classify(
    error: BotoCoreError | ClientError, own: Mapping[str, Kind] = MappingProxyType({})
) -> AwsFault:
    """Return the kind of an error, with AWS's code and reason.

    Example: `classify(error, {"NoSuchBucket": "refused"}).kind`.

    Args:
        error: as boto3 raises it.
        own: kinds of codes that one service has; they override those of all services.
    """
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(told.get("Code", ""))
        said = str(told.get("Message") or "no reason given")
        return AwsFault(own.get(code) or _kind(code, status), code, said, status)
    kind: Kind = "refused" if isinstance(error, _NOT_SET_UP) else "unavailable"
    return AwsFault(kind, type(error).__name__, str(error), 0)


def _kind(code: str, status: int) -> Kind:
    if code in THROTTLED or status == 429:
        return "throttled"
    if code in _UNAVAILABLE or status >= 500:
        return "unavailable"
    if code in _REFUSED or status in (401, 403):
        return "refused"
    return "rejected"
