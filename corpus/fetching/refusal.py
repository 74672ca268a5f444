"""What a 403 means: that an address asks too often, or that it may not have what it asks for.

Common Crawl's front answers 403 AccessDenied to an address that asks too much, and a store of
objects answers the same to one without permission, or for a file that is not there. What tells them
apart is who answers and with which code: a store itself throttles with 503 and never with 403.

In: headers and the start of the body of a 403. Out: the reason as the server gives it, and whether
it is certain that asking again will not help.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

LARGEST = 4096  # bytes of a body that are looked at
_CODE = re.compile(rb"<Code>\s*([A-Za-z]{1,60})\s*</Code>")
_MESSAGE = re.compile(rb"<Message>\s*([^<]{1,200}?)\s*</Message>")
# Codes of S3, Google Cloud Storage and Azure that speak of keys, accounts and archived objects.
_CERTAIN = frozenset(
    {
        "AccountProblem",
        "AllAccessDisabled",
        "AuthenticationFailed",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidObjectState",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "PublicAccessNotPermitted",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
_DENIED = "AccessDenied"
# The request's number that a store puts on each answer, and what a front or a cache adds to it.
_STORES = ("x-amz-request-id", "x-guploader-uploadid", "x-ms-request-id")
_FRONTS = ("via", "x-cache", "x-amz-cf-id", "cf-ray", "x-served-by", "age")


class Refusal(NamedTuple):
    """What a 403 says.

    Attributes:
        detail: The server's own code and message, or "" without any.
        certain: Whether it will be refused however long one waits.
    """

    detail: str
    certain: bool


def read_refusal(headers: Mapping[str, str], body: bytes) -> Refusal:
    """Return what a 403 says.

    Args:
        headers: Of the answer; their names in any case.
        body: The start of what came with it.
    """
    names = {name.lower() for name in headers}
    found, said = _CODE.search(body), _MESSAGE.search(body)
    code = found[1].decode() if found else ""
    message = said[1].decode("utf-8", "replace") if said else ""
    detail = ": ".join(part for part in (code, message) if part)
    direct = not names.isdisjoint(_STORES) and names.isdisjoint(_FRONTS)
    asks_to_wait = "retry-after" in names
    certain = code in _CERTAIN or (code == _DENIED and direct)
    return Refusal(detail, certain and not asks_to_wait)
