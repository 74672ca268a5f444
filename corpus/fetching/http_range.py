"""One HTTP request for a range of a file.

urllib3 carries it and is told to repeat nothing, so that every request is counted and paced. What
the answer means is RFC 9110: ranges and If-Range (14), validators (8.8), Retry-After (10.2.3).
Two things are not in it, and S3 and the caches before it do both: an error page under status 200,
and a connection that closes before the promised length.
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

import urllib3

from corpus.errors import FetchError, NoSuchFileError
from corpus.fetching.refusal import LARGEST, read_refusal
from corpus.fetching.transport import BLOCK, HEAD, Answer, Fault, is_error_page

_SLOWEST = 1024  # bytes a second over `timeout` seconds; slower than this is a stall
_REDIRECTS = 5
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@contextmanager
def open_http(
    url: str,
    start: int,
    end: int | None,
    validator: str | None,
    *,
    user_agent: str,
    timeout: float,
) -> Iterator[Answer]:
    """Ask for the bytes [start, end) of a file, once.

    Args:
        url: http:// or https://.
        start: First byte.
        end: End of the range, or None for the end of the file.
        validator: What the earlier bytes came with (If-Range), or None.
        user_agent: Honest name of this program and how to reach its user.
        timeout: Seconds for the connection and for each wait for more bytes.

    Raises:
        Fault: The request may succeed another time; also raised by the answer's blocks.
        FetchError: It will not: no such file, no permission, or a request that this server does
            not take.
    """
    # The identity encoding: the bytes on disk are to be the server's file, not its text.
    headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
    if start or end is not None:
        headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if start and validator is not None:
            headers["If-Range"] = validator
    retries = urllib3.Retry(_REDIRECTS, connect=0, read=0, status=0, other=0, redirect=_REDIRECTS)
    retries.respect_retry_after_header = False
    with _pool(url, timeout) as pool, _faults():
        response = cast(
            urllib3.HTTPResponse,
            pool.request(
                "GET",
                url,
                headers=headers,
                retries=retries,
                preload_content=False,
                decode_content=False,
                enforce_content_length=False,  # a short body is ours to resume
            ),
        )
        try:
            yield _judge(response, url, start, timeout)
        finally:
            response.close()


def _judge(response: urllib3.HTTPResponse, url: str, start: int, timeout: float) -> Answer:
    """Turn status and headers into an answer, a fault or an error."""
    status, headers = response.status, response.headers
    retry_after = _retry_after(headers.get("Retry-After"), time.time())
    if status in (429, 503):
        raise Fault("throttled", f"status {status}", retry_after)
    if status == 403:
        refusal = read_refusal(headers, _start_of(response, timeout))
        if refusal.certain:
            raise FetchError(
                "the server denies access to this file (status 403)",
                where=url,
                why=refusal.detail,
                fix="Check the address and whether the file is public; a private bucket is read as "
                "s3:// or gs://, with credentials as for the provider's own tools.",
            )
        said = f", {refusal.detail}" if refusal.detail else ""
        raise Fault("forbidden", f"status 403{said}", retry_after)
    if status >= 500 or status in (408, 425):
        raise Fault("server_error", f"status {status}", retry_after)
    if status == 416:
        raise Fault("range", f"status 416, Content-Range {headers.get('Content-Range')}")
    if status in (404, 410):
        raise NoSuchFileError(
            f"there is no such file (status {status})",
            where=url,
            fix="Check base_url, the snapshot's id and, for a list of your own, the path: the "
            "names of a snapshot's files are in its warc.paths.gz.",
        )
    if status not in (200, 206):
        raise FetchError(
            f"the server answers with status {status}",
            where=url,
            why=response.reason,
            fix="Check base_url and whether the server needs a login.",
        )
    blocks = _paced(response, timeout)
    # Weak validators promise the same meaning, not the same bytes (RFC 9110, 8.8.1).
    etag = headers.get("ETag")
    strong = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    if status == 206:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if not found or found[1] is None or int(found[1]) != start:
            raise Fault("range", f"asked from {start}: {headers.get('Content-Range')}")
        length = None if found[3] == "*" else int(found[3])
        return Answer(start, length, strong, blocks if start else _data(url, blocks))
    declared = headers.get("Content-Length", "")
    return Answer(0, int(declared) if declared.isdecimal() else None, strong, _data(url, blocks))


def _start_of(response: urllib3.HTTPResponse, timeout: float) -> bytes:
    """Return the start of the body of a refusal, what comes of it before the connection breaks."""
    data, until = b"", time.monotonic() + timeout
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        while len(data) < LARGEST and (block := response.read1(LARGEST, decode_content=False)):
            data += block
            if time.monotonic() > until:
                break  # a server that sends a little before every timeout
    return data[:LARGEST]


def _data(url: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass a file on from its first byte, unless it is an error page under status 200."""
    head = b""
    for block in blocks:
        head += block
        if len(head) >= HEAD:
            break
    if is_error_page(url, head):
        raise Fault("error_page", f"no such file, but a page that begins with {head[:64]!r}")
    yield head
    yield from blocks


def _paced(response: urllib3.HTTPResponse, timeout: float) -> Iterator[bytes]:
    """Yield the body as it comes; raise a stall when it comes too slowly to ever end."""
    since, received = time.monotonic(), 0
    while block := response.read1(BLOCK, decode_content=False):
        yield block
        received += len(block)
        if (seconds := time.monotonic() - since) > timeout:
            if received < _SLOWEST * seconds:
                raise Fault("stall", f"{received} bytes in {seconds:.0f} s")
            since, received = time.monotonic(), 0


@contextmanager
def _faults() -> Iterator[None]:
    """Name what urllib3 raises."""
    try:
        yield
    except urllib3.exceptions.LocationValueError as error:
        raise FetchError("not a URL that can be asked for", why=str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        cause = getattr(error, "reason", None) or error
        kinds = urllib3.exceptions
        if isinstance(cause, kinds.ReadTimeoutError):
            kind = "stall"
        elif isinstance(cause, kinds.NewConnectionError | kinds.ConnectTimeoutError):
            kind = "connection"
        elif isinstance(cause, kinds.ProtocolError):
            kind = "reset"
        else:
            kind = "connection"  # TLS, proxy, too many redirects
        raise Fault(kind, str(cause)) from error


def _pool(url: str, timeout: float) -> urllib3.PoolManager:
    """Return a pool that goes by the proxy of the environment (https_proxy, no_proxy), if any."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, timeout=timeout)
    return urllib3.PoolManager(timeout=timeout)


def _retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), or None."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, moment.timestamp() - now)
