"""The calls of S3 that each document needs, with less computing than boto3's client takes for them.

Small objects are written and read with obstore, which computes a tenth. obstore does not return the
SHA-256 of an object's head, so heads are asked for with libcurl, which signs and speaks HTTP outside
Python, without its lock: an eighth.

Belongs here: these calls in their usual course. Does not belong here: what S3's errors mean. Whatever
is unusual is left to `object_store`, which does the call again with boto3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import obstore
import pycurl
from botocore.exceptions import BotoCoreError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
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
        # Connections that no thread is asking by at the moment; they stay open.
        self._idle: deque[pycurl.Curl] = deque()

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
        if not {".", ".."}.isdisjoint(key.split("/")):
            return None  # Where libcurl signs, it also resolves these: it would ask for another object.
        lines: list[bytes] = []
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            frozen = self._credentials.get_frozen_credentials()
            token = [f"x-amz-security-token: {frozen.token}"] if frozen.token else []
            connection.setopt(pycurl.USERNAME, frozen.access_key)
            connection.setopt(pycurl.PASSWORD, frozen.secret_key)
            connection.setopt(pycurl.HTTPHEADER, ["x-amz-checksum-mode: ENABLED", *token])
            # As botocore escapes a key.
            connection.setopt(pycurl.URL, f"{self._bucket_url}/{quote(key, safe='/~')}")
            connection.setopt(pycurl.HEADERFUNCTION, lines.append)
            connection.perform()
            if connection.getinfo(pycurl.RESPONSE_CODE) != 200:
                return None
        except (BotoCoreError, pycurl.error) as error:
            self._note(error)
            return None
        finally:
            self._idle.append(connection)
        # A proxy's answer to CONNECT may come first.
        answer = b"".join(lines).decode("latin-1").strip().rpartition("\r\n\r\n")[2]
        headers = (line.partition(":") for line in answer.split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in headers}

    def _connect(self) -> pycurl.Curl:
        """A connection that asks for heads as boto3's client does; it is opened at the first call."""
        config: Any = self._client.meta.config
        proxies = get_environ_proxies(self._bucket_url)
        connection = pycurl.Curl()
        connection.setopt(pycurl.NOBODY, True)
        connection.setopt(pycurl.AWS_SIGV4, f"aws:amz:{self._client.meta.region_name}:s3")
        milliseconds = int(1000 * config.connect_timeout)
        connection.setopt(pycurl.CONNECTTIMEOUT_MS, milliseconds)
        connection.setopt(pycurl.TIMEOUT_MS, milliseconds + int(1000 * config.read_timeout))
        # The empty one keeps libcurl from reading the environment by rules of its own.
        connection.setopt(pycurl.PROXY, proxies.get(urlsplit(self._bucket_url).scheme, ""))
        # boto3 resolves AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE, and brings certificates of its own.
        verify = self._client._endpoint.http_session._verify  # type: ignore[attr-defined]
        connection.setopt(pycurl.CAINFO, get_cert_path(verify))
        # Signals of time-outs would reach another thread.
        connection.setopt(pycurl.NOSIGNAL, True)
        return connection

    def _note(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            what, *_ = str(error).splitlines()
            _log.warning("A call of S3 fails, so boto3's client does it again: %s", what)
