"""What a request for a range of a file may bring, and where else than a web server to ask for one.

A transport asks once and says what came: the bytes from some offset on (`Answer`), or a `Fault`
that may pass, or an error that will not. It waits for nothing and repeats nothing: that is the
business of `corpus.fetching.fetch`. HTTP is in `corpus.fetching.http_range`; object storage and
local disks are here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from corpus.errors import FetchError, InputError

BLOCK = 1 << 16  # bytes read at a time
_CLIENTS = ("aiobotocore.", "aiohttp.", "botocore.", "gcsfs.", "google.")
_STORAGE_BLOCK = 1 << 23  # bytes of one request to object storage
# What a file has to begin with, by the end of its name: an error page does not.
_MAGIC = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".zst": b"\x28\xb5\x2f\xfd", ".xz": b"\xfd7zXZ\x00"}
_RATE = re.compile(r"rate.?limit|too many|slow.?down|quota", re.IGNORECASE)
_ERROR_PAGE = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html|error)\b", re.IGNORECASE)
HEAD = 256  # bytes that are enough to recognise an error page by


class Fault(Exception):  # noqa: N818 - not an error until it has been repeated too often
    """A request that failed in a way that may pass.

    Attributes:
        kind: `connection`, `reset`, `stall`, `truncated`, `throttled`, `error_page`, `forbidden`,
            `server_error`, `range`.
        retry_after: Seconds that the server asks to wait, or None.
    """

    def __init__(self, kind: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a file from some offset on.

    Attributes:
        start: Offset of the first byte; 0 although more was asked for when the server has no
            ranges, or has another file by now.
        length: Bytes of the whole file, or None when the server does not say.
        validator: An ETag or Last-Modified that is the same as long as the file is, or None.
        blocks: The bytes. Ends early, without an error, when the connection does.
    """

    start: int
    length: int | None
    validator: str | None
    blocks: Iterator[bytes]


def is_remote(url: str) -> bool:
    """Return whether a server has to be asked for `url`, as against a local disk."""
    return "://" in url and not url.startswith("file://")


def is_error_page(name: str, head: bytes) -> bool:
    """Return whether a body that begins with `head` is an error page and not the file `name`.

    S3 and the caches before it send their SlowDown XML with status 200 at times.
    """
    suffix = Path(urlsplit(name).path).suffix
    if suffix in _MAGIC:
        return bool(head) and not head.startswith(_MAGIC[suffix])
    if suffix in (".xml", ".html", ".htm"):
        return False
    return _ERROR_PAGE.match(head) is not None


@contextmanager
def open_local(url: str, start: int) -> Iterator[Answer]:
    """Open a file of this machine from a byte on.

    Args:
        url: A path or a file:// URL.
        start: First byte.

    Raises:
        InputError: The file cannot be read.
    """
    path = Path(unquote(urlsplit(url).path) if url.startswith("file://") else url)
    try:
        with path.open("rb") as stream:
            status = path.stat()
            stream.seek(start)
            validator = f"{status.st_mtime_ns}-{status.st_size}"
            yield Answer(start, status.st_size, validator, _blocks(stream))
    except OSError as error:
        raise InputError("cannot be read", where=str(path), why=str(error)) from error


@contextmanager
def open_storage(url: str, start: int, end: int | None = None) -> Iterator[Answer]:
    """Open a file of object storage from a byte on, or a range of it.

    The client library of the scheme finds the credentials and asks for 8 MiB at a time, or for the
    whole range, with its own retries; the rate limit counts the whole as one request.

    Args:
        url: Any URL that fsspec knows: s3://, gs://, memory://.
        start: First byte.
        end: End of a range, or None for the end of the file.

    Raises:
        Fault: The storage refuses or fails; it may pass.
        FetchError: No such file, no permission, or no such scheme.
    """
    import fsspec  # here, since most runs never need it

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise FetchError("cannot be reached", where=url, why=str(error)) from error
    try:
        info: dict[str, Any] = filesystem.info(path)
        validator = info.get("ETag") or info.get("etag") or info.get("created")
        named = None if validator is None else str(validator)
        if end is not None:
            data: bytes = filesystem.cat_file(path, start=start, end=end)
            yield Answer(start, info.get("size"), named, iter([data]))
            return
        with filesystem.open(path, "rb", block_size=_STORAGE_BLOCK) as stream:
            stream.seek(start)
            yield Answer(start, info.get("size"), named, _blocks(cast(BinaryIO, stream)))
    except FileNotFoundError as error:
        raise FetchError(
            "there is no such file", where=url, fix="Check base_url and the path."
        ) from error
    except PermissionError as error:
        if _RATE.search(str(error)):  # Google Cloud Storage has a 403 for that, too
            raise Fault("forbidden", str(error)) from error
        raise FetchError(
            "the storage denies access to this file",
            where=url,
            why=str(error),
            fix="Check the address, and that the credentials (as for the provider's own tools) may "
            "read it; a public file can be read over https://.",
        ) from error
    except OSError as error:
        raise Fault("server_error", str(error)) from error
    except Exception as error:
        # Not every client wraps its errors: botocore's have a root of their own.
        if not type(error).__module__.startswith(_CLIENTS):
            raise
        if "Credential" in type(error).__name__:
            raise FetchError(
                "the storage needs credentials",
                where=url,
                why=str(error),
                fix="Set them up as for the provider's own tools, or use an https:// base_url.",
            ) from error
        raise Fault("connection", str(error)) from error


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block
