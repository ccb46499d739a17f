"""What a signature of S/MIME is wrapped around (CMS, RFC 5652): a mail, or any file.

Belongs here: finding the content. Does not belong here: whether the signature holds, which nobody asks.
"""

from __future__ import annotations

import base64
import re

from asn1crypto import cms, pem

_HEADERS = re.compile(
    rb"\s*(?:[A-Za-z-]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*)*?Content-Type:", re.IGNORECASE
)


def content_of(data: bytes) -> bytes | None:
    """Return what is signed; None where it is encrypted, or is not in the file.

    Args:
        data: in DER or BER, or that as text.

    Raises:
        ValueError: it is not what it should be.
    """
    if pem.detect(data):
        data = pem.unarmor(data)[2]
    elif data.lstrip()[:1] == b"M":
        data = base64.b64decode(data)
    try:
        message = cms.ContentInfo.load(data)
        if message["content_type"].native != "signed_data":
            return None
        content = message["content"]["encap_content_info"]["content"].native
    except (TypeError, KeyError, AttributeError, IndexError) as error:  # Of bytes that lie.
        raise ValueError(str(error)) from error
    return content if isinstance(content, bytes) else None


def is_mail(content: bytes) -> bool:
    """Tell whether what is signed is a mail, or the body of one, which begins with headers."""
    return _HEADERS.match(content[:10_000]) is not None
