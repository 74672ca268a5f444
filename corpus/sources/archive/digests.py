"""The digests that a WARC record carries of its own bytes, checked.

In: a record. Out: which digest is not that of what is there. `WARC-Block-Digest` is of the block,
`WARC-Payload-Digest` of what was transferred in it (WARC 1.1, sections 5.8 and 5.9): the body of an
HTTP response. Crawlers do not agree on what that is where the body was chunked, nor on how a digest
is written: body with and without chunks count as right, hexadecimal and base 32 and 64 are read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator

from corpus.sources.archive.http import parse_response, unchunked
from corpus.sources.archive.record import Record

_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_HTTP = ("application/http", "message/http", "")
_KINDS = ("response", "resource", "conversion")  # whose payload is in the record itself


def wrong_digest(record: Record) -> str | None:
    """Return which digest of a record differs, for a person; None when none does.

    A digest that cannot be read, of an algorithm that is not known, or of bytes that are not all
    there says nothing. Nor does that of the payload of a record which the crawler cut short, since
    some take it before the cut, or of a request or a revisit.
    """
    if record.truncated is not None or record.length != len(record.body):
        return None
    block = _parsed(record.headers.get("WARC-Block-Digest"))
    if block is not None and not _is_of(block, record.body):
        return "block digest differs"
    payload = _parsed(record.headers.get("WARC-Payload-Digest"))
    if payload is None or record.kind not in _KINDS or record.headers.get("WARC-Truncated"):
        return None
    if any(_is_of(payload, body) for body in _payloads(record)):
        return None
    return "payload digest differs"


def _payloads(record: Record) -> Iterator[bytes]:
    """Yield what the payload of a record may be."""
    media = (record.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if record.kind == "response" and media in _HTTP:
        body = parse_response(record.body).body
        yield body
        yield unchunked(body)
    else:
        yield record.body


def _parsed(value: str | None) -> tuple[str, bytes] | None:
    """Return algorithm and digest of `sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ`, or None."""
    name, colon, text = (value or "").strip().partition(":")
    algorithm = name.strip().lower().replace("-", "")
    if not colon or algorithm not in _ALGORITHMS:
        return None
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    for digest in _decoded(text.strip()):
        if len(digest) == size:
            return algorithm, digest
    return None


def _decoded(text: str) -> Iterator[bytes]:
    """Yield what a digest may be; the length of an algorithm's leaves one of them."""
    padding = "=" * (-len(text) % 8)
    decoders: tuple[Callable[[], bytes], ...] = (
        lambda: bytes.fromhex(text),
        lambda: base64.b32decode(text.upper() + padding),
        lambda: base64.b64decode(text + padding[: -len(text) % 4], altchars=b"-_", validate=True),
        lambda: base64.b64decode(text + padding[: -len(text) % 4], validate=True),
    )
    for decode in decoders:
        try:
            yield decode()
        except ValueError:  # binascii.Error is one
            continue


def _is_of(digest: tuple[str, bytes], data: bytes) -> bool:
    algorithm, expected = digest
    return hashlib.new(algorithm, data, usedforsecurity=False).digest() == expected
