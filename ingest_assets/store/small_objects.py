"""The calls of S3 that each document needs, with less computing than boto3's client takes for them.

Small objects are written and read with obstore, which computes a tenth. obstore does not return the
SHA-256 of an object's head, so heads are asked for with botocore's signature and connections,
without the rest of its client: half.

Belongs here: these calls in their usual course. Does not belong here: what S3's errors mean. Whatever
is unusual is left to `object_store`, which does the call again with boto3.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import obstore
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from ingest_assets.log import get_logger

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Credential

_log = get_logger(__name__)

# How long credentials are used before botocore is asked for them again, which renews them in time.
_CREDENTIALS_FOR = timedelta(minutes=5)


class SmallObjects:
    """One bucket, as boto3's client reaches it. Safe to share between threads.

    Args:
        client: where the bucket is, and in which region.
        credentials: what requests are signed with.
        most_bytes: larger objects are not read.
    """

    def __init__(
        self, client: S3Client, bucket: str, credentials: Credentials, most_bytes: int
    ) -> None:
        # botocore decides whether the bucket's name belongs to the host or to the path.
        url = urlsplit(client.generate_presigned_url("head_bucket", Params={"Bucket": bucket}))
        self._most_bytes = most_bytes
        self._failed = False
        self._client = client
        self._credentials = credentials
        self._bucket_url = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"

        def provide() -> S3Credential:
            frozen = credentials.get_frozen_credentials()
            return {
                "access_key_id": frozen.access_key or "",
                "secret_access_key": frozen.secret_key or "",
                "token": frozen.token,
                "expires_at": datetime.now(timezone.utc) + _CREDENTIALS_FOR,
            }

        self._store = S3Store(
            bucket,
            # Not `endpoint`, over which the environment takes precedence.
            aws_endpoint_url_s3=f"{url.scheme}://{url.netloc}",
            virtual_hosted_style_request=not url.path.strip("/"),
            region=client.meta.region_name,
            checksum_algorithm="SHA256",
            client_options={"allow_http": url.scheme == "http"},
            # boto3 tries again.
            retry_config={"max_retries": 0},
            credential_provider=provide,
        )

    def put(
        self,
        key: str,
        body: bytes,
        mime_type: str,
        metadata: Mapping[str, str] | None = None,
        *,
        overwrite: bool,
    ) -> bool | None:
        """Write an object; S3 compares the bytes with their SHA-256, and stores that.

        Returns:
            Whether it was written: False if there is one already, which is left as it is. None if it is
            not known, because something unusual happened.
        """
        try:
            obstore.put(
                self._store,
                key,
                body,
                attributes={"Content-Type": mime_type, **(metadata or {})},
                mode="overwrite" if overwrite else "create",
                use_multipart=False,
            )
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            self._note(error)
            return None
        return True

    def get(self, key: str) -> Any | None:
        """The bytes of an object, as a buffer; None if it is large or something unusual happened."""
        try:
            found = obstore.get(self._store, key)
            return found.bytes() if found.meta["size"] <= self._most_bytes else None
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            self._note(error)
            return None

    def head(self, key: str) -> Mapping[str, str] | None:
        """What S3 says of an object, by headers in lower case; None if something unusual happened."""
        request = AWSRequest(
            "HEAD",
            # As botocore escapes a key.
            f"{self._bucket_url}/{quote(key, safe='/~')}",
            headers={"x-amz-checksum-mode": "ENABLED"},
        )
        try:
            frozen = self._credentials.get_frozen_credentials()
            S3SigV4Auth(frozen, "s3", self._client.meta.region_name).add_auth(request)
            # The client's connections have its proxies, certificates and timeouts.
            response = self._client._endpoint.http_session.send(request.prepare())  # type: ignore[attr-defined]
        except BotoCoreError as error:
            self._note(error)
            return None
        if response.status_code != 200:
            return None
        return {name.lower(): value for name, value in response.headers.items()}

    def _note(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            what, *_ = str(error).splitlines()
            _log.warning("A call of S3 fails, so boto3's client does it again: %s", what)
