"""Reading parts of a remote file, as politely and as stubbornly as whole files are fetched.

An index of a crawl is some hundred gigabytes of which a selection needs a few megabytes, and a
selected page is ten kilobytes of an archive of a gigabyte. Every range goes on where a connection
broke; all ranges of one reader are of the same file, or `Changed` is raised.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from corpus.errors import FetchError
from corpus.fetching.attempts import Attempts
from corpus.fetching.http_range import open_http
from corpus.fetching.session import Session
from corpus.fetching.transport import Answer, Fault, is_remote, open_local, open_storage


class Changed(Exception):  # noqa: N818 - not an error until it has happened too often
    """The server has another file than the one that the earlier ranges were of."""


class RangeReader:
    """Reads ranges of one file.

    Args:
        url: http(s)://, any scheme of fsspec, file:// or a local path.
        session: How to ask.
        validator: What earlier ranges came with (ETag), of an earlier process; or None.

    Attributes:
        validator: What the ranges came with, or None.
        length: Bytes of the whole file, or None before the first range.
        tries: The requests and their faults.
    """

    def __init__(self, url: str, session: Session, validator: str | None = None) -> None:
        self.url = url
        self.validator = validator
        self.length: int | None = None
        self.tries = Attempts(url, session.politeness, session.attempts)
        self._session = session

    def size(self) -> int:
        """Return the length of the file.

        Raises:
            FetchError: The server does not say, or what `read` raises.
            Changed: See `read`.
        """
        if self.length is None:
            self.read(0, 1)
        if self.length is None:
            raise FetchError("the server does not say how long the file is", where=self.url)
        return self.length

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes [start, end).

        Raises:
            FetchError: No such file or range, a server without ranges, or too many faults.
            InputError: A local file cannot be read.
            Changed: The file is another than before.
        """
        data = bytearray()
        while len(data) < end - start:
            before = len(data)
            self.tries.begin()
            try:
                with self._open(start + before, end) as answer:
                    self._take(answer, data, start, end)
                self.tries.succeeded()
            except Fault as fault:
                fix = "Run the same command again; what is finished is kept."
                self.tries.failed(fault, advanced=len(data) > before, fix=fix)
            except (FetchError, Changed):
                self.tries.answered()
                raise
        return bytes(data)

    def read_agreed(self, start: int, end: int) -> bytes:
        """Return the bytes [start, end) of which no checksum in the file would find a wrong one.

        TLS finds what the way changes. Over plain http they are read until two copies agree.

        Raises:
            FetchError: See `read`; or no two copies agree.
            Changed: See `read`.
        """
        copies = {self.read(start, end)}
        if not self.url.startswith("http://"):
            return copies.pop()
        for _ in range(self._session.attempts):
            copy = self.read(start, end)
            if copy in copies:
                return copy
            self.tries.note("corrupt")
            copies.add(copy)
        raise damaged_on_the_way(self.url, len(copies))

    def _open(self, start: int, end: int) -> AbstractContextManager[Answer]:
        if not is_remote(self.url):
            return open_local(self.url, start)
        if not self.url.startswith(("http://", "https://")):
            return open_storage(self.url, start, end)
        session = self._session
        return open_http(
            self.url,
            start,
            end,
            self.validator,
            user_agent=session.user_agent,
            timeout=session.timeout,
        )

    def _take(self, answer: Answer, data: bytearray, start: int, end: int) -> None:
        blocks = self.tries.counted(answer.blocks)
        block = next(blocks, b"")  # an error page under status 200 shows itself here
        self.tries.answered()
        if (self.validator is not None and answer.validator not in (None, self.validator)) or (
            self.length is not None and answer.length not in (None, self.length)
        ):
            raise Changed(self.url)
        self.validator = self.validator or answer.validator
        self.length = self.length if answer.length is None else answer.length
        if answer.start != start + len(data):
            raise FetchError(
                "the server does not serve ranges",
                where=self.url,
                fix="Take whole files from it (leave `pages` out), or use another base_url.",
            )
        if self.length is not None and self.length < end:
            raise FetchError(
                f"the bytes from {start} to {end} are asked for, but the file ends at "
                f"{self.length}",
                where=self.url,
                why="The index and the archives are not of the same crawl, or one is cut off.",
            )
        while block:
            data += block[: end - start - len(data)]
            if len(data) == end - start:
                return
            block = next(blocks, b"")
        raise Fault("truncated", f"{len(data)} of {end - start} bytes")


def damaged_on_the_way(url: str, copies: int) -> FetchError:
    """Return the error for a file of which no two copies are the same."""
    return FetchError(
        f"{copies} copies arrived damaged, each in another way",
        where=url,
        fix="Something on the way changes bytes; try https://, or without the proxy.",
    )
