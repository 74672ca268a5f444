"""HTTP responses as crawlers recorded them: status, headers, body with its codings undone.

Tolerant where servers are sloppy (RFC 9112, section 2.2 and RFC 9110, section 8): bare LF, missing
reason phrases, headers of any length up to a bound, bytes outside ASCII, codings that are named but
not applied (Common Crawl stores bodies decoded and keeps the header). Every step is bounded.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

MAX_HEAD_BYTES = 1 << 20
_HEAD_END = re.compile(rb"\r{0,2}\n\r{0,2}\n")
_LINE = re.compile(rb"\r{0,2}\n")
_STATUS = re.compile(
    rb"\s*(?:HTTP/?[0-9.]*|ICY)?[ \t]*([1-5][0-9]{2})(?![0-9A-Za-z])", re.IGNORECASE
)
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]{0,4096})?\r?\n")
_CHARSET = re.compile(r"charset\s{0,16}=\s{0,16}[\"']?\s{0,16}([^\s\"';,]{1,40})", re.IGNORECASE)
_MAX_CODINGS = 4
_PIECE = 4096


class Headers(dict[str, str]):
    """Headers by lower-case name; of a name that repeats, the first value."""

    def get(self, key: str, default: str | None = None, /) -> str | None:  # type: ignore[override]
        """Return a header's value, the name in any case."""
        return super().get(key.lower(), default)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response.

    Attributes:
        status: Status code, or None when there is no status line.
        headers: The response headers.
        body: What follows the headers, codings not undone.
    """

    status: int | None
    headers: Headers
    body: bytes


class BodyTooLarge(Exception):  # noqa: N818 -- a finding about a page, not an error of the program
    """A body is over the bound once its codings are undone."""


def parse_headers(block: bytes) -> tuple[bytes, Headers]:
    """Split a header block into its first line and its headers.

    Lines that begin with white space continue the one before; lines without a colon are passed
    over. Values are UTF-8 where they can be, else Latin-1.
    """
    first, *lines = _LINE.split(block)
    fields: list[tuple[bytes, list[bytes]]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if fields:
                fields[-1][1].append(line.strip())
            continue
        name, colon, value = line.partition(b":")
        if colon:
            fields.append((name.strip().lower(), [value.strip()]))
    headers = Headers()
    for name, values in fields:
        headers.setdefault(_text(name), _text(b" ".join(values)))
    return first, headers


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def parse_response(block: bytes) -> Response:
    """Split a recorded response into its parts; without a status line all of it is body."""
    status = _STATUS.match(block, 0, 256)
    if not status:
        return Response(None, Headers(), block)
    end = _HEAD_END.search(block, 0, MAX_HEAD_BYTES)
    head = block[: end.start()] if end else block[:MAX_HEAD_BYTES]
    body = block[end.end() :] if end else b""
    return Response(int(status.group(1)), parse_headers(head)[1], body)


def media_type(content_type: str | None) -> tuple[str, str | None]:
    """Return the lower-case MIME type (empty when there is none) and the charset of a header."""
    value = content_type or ""
    charset = _CHARSET.search(value[:1024])
    mime_type = re.split(r"[;,\s]", value.strip()[:256], maxsplit=1)[0].lower()
    return mime_type, charset.group(1) if charset else None


def decoded_body(response: Response, *, limit: int) -> bytes:
    """Return the body with its transfer and content codings undone, those that are really there.

    Args:
        response: The response.
        limit: Bound on the body's bytes at every step.

    Raises:
        BodyTooLarge: The body is larger than `limit`.
    """
    body = response.body
    if "chunked" in (response.headers.get("Transfer-Encoding") or "").lower():
        body = unchunked(body)
    codings = (response.headers.get("Content-Encoding") or "").lower().split(",")
    for coding in reversed(codings[:_MAX_CODINGS]):
        decode = _DECODERS.get(coding.strip())
        if decode:
            body = decode(body, limit)
    if len(body) > limit:
        raise BodyTooLarge
    return body


def unchunked(body: bytes) -> bytes:
    """Undo the chunked transfer coding; a body that is not chunked comes back as it is.

    A body that breaks off in the middle gives the chunks that are there.
    """
    chunks: list[bytes] = []
    position = 0
    while position < len(body):
        size = _CHUNK_SIZE.match(body, position)
        if not size:
            # Chunk sizes that do not add up: no chunked body, unless only its end is missing.
            return b"".join(chunks) if chunks and len(body) - position < 16 else body
        length = int(size.group(1), 16)
        if length == 0:
            break
        chunks.append(body[size.end() : size.end() + length])
        position = size.end() + length
        if body.startswith(b"\r\n", position):
            position += 2
        elif body.startswith(b"\n", position):
            position += 1
    return b"".join(chunks)


def _inflated(body: bytes, limit: int, wbits: int) -> bytes:
    """Inflate as far as the bytes go; empty when they are nothing of the kind."""
    out = bytearray()
    position = 0
    inflate = zlib.decompressobj(wbits)
    while position < len(body):
        # Piece by piece, so that what precedes an error is kept, and nothing is copied twice.
        piece = body[position : position + _PIECE]
        position += len(piece)
        try:
            out += inflate.decompress(piece, limit + 1 - len(out))
        except zlib.error:
            break
        if len(out) > limit:
            raise BodyTooLarge
        if inflate.eof:
            position -= len(inflate.unused_data)
            inflate = zlib.decompressobj(wbits)
    return bytes(out)


def _gzip(body: bytes, limit: int) -> bytes:
    return _inflated(body, limit, 31) or body


def _deflate(body: bytes, limit: int) -> bytes:
    # Named after the format, but servers send it with and without the zlib wrapping.
    return _inflated(body, limit, 15) or _inflated(body, limit, -15) or body


def _streamed(open_reader: Callable[[io.BytesIO], object]) -> Callable[[bytes, int], bytes]:
    def decode(body: bytes, limit: int) -> bytes:
        out = bytearray()
        try:
            reader = open_reader(io.BytesIO(body))
            while len(out) <= limit:
                data: bytes = reader.read(_PIECE)  # type: ignore[attr-defined]
                if not data:
                    break
                out += data
        except (OSError, ValueError):
            return bytes(out) or body
        if len(out) > limit:
            raise BodyTooLarge
        return bytes(out) or body

    return decode


def _brotli_reader(raw: io.BytesIO) -> object:
    from fastwarc.stream_io import BrotliReader

    return BrotliReader(raw)


def _zstd_reader(raw: io.BytesIO) -> object:
    from fastwarc.stream_io import ZstdReader

    return ZstdReader(raw)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _streamed(_brotli_reader),
    "zstd": _streamed(_zstd_reader),
}
