"""Downloading one file: politely, resumably, and either whole or not at all.

Common Crawl answers with 503 when its bucket is overloaded and with 403 when an address asks too
much; connections break inside files of a gigabyte; error pages come under status 200. `fetch`
resumes by ranges (If-Range, RFC 9110), repeats with exponential backoff and full jitter, shares one
rate limit and one circuit breaker with all downloads of the run (`corpus.fetching.politeness`),
checks length and gzip members, and gives the file its name when it is whole. The bytes depend on
the server's file alone, never on the faults on the way.

With `corpus.fetching.partial` this is the one place beside `corpus.storage` that opens local files.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import urlsplit

from corpus.errors import FetchError, InputError
from corpus.fetching.attempts import Attempts
from corpus.fetching.http_range import open_http
from corpus.fetching.partial import Partial
from corpus.fetching.politeness import Politeness
from corpus.fetching.transport import Answer, Fault, is_remote, open_local, open_storage

_LARGEST = 1 << 40  # bytes of one file; the largest dump of Wikipedia has a tenth of that
_PROGRESS = 1 << 16  # bytes that make a request that failed in the end no failure


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was downloaded.

    Attributes:
        bytes: Size of the target.
        sha256: Hexadecimal SHA-256 of the target.
        etag: The server's ETag, or its Last-Modified without one; None without both.
        requests: Requests made, failed ones counted; 0 when all bytes were there already.
        faults: How often what went wrong: the kinds of `transport.Fault`, `changed` (the
            server has another file by now), `restarted` (it has no ranges), `corrupt` (a copy
            whose gzip members do not decode), `damaged_at_source` (they do not on the server
            either, so the file was taken as it is).
        complete: Whether the target is the whole file; False when a limit cut it.
    """

    bytes: int
    sha256: str
    etag: str | None
    requests: int
    faults: Mapping[str, int]
    complete: bool


def fetch(
    url: str,
    target: str,
    *,
    limit_bytes: int | None,
    limit_records: int | None,
    politeness: Politeness,
    user_agent: str,
    timeout: float,
    attempts: int,
) -> Fetched:
    """Download a file, going on from what an earlier call has left beside the target.

    Args:
        url: http(s)://, file://, a local path, or any scheme of fsspec (s3://, gs://).
        target: Local path. An existing file is replaced: the caller knows what is done already.
        limit_bytes: Stop after this many bytes and keep the whole gzip members of them, so that
            the target is a smaller archive and not a broken one; None for all.
        limit_records: Stop after the gzip member of this many pages (response, resource and
            conversion records, one a member as in any crawl), or before the first member that is
            damaged at its source: what comes after it cannot be counted. None for all.
        politeness: Shared rate limit and circuit breaker; local files do not use them.
        user_agent: Honest name of this program and how to reach its user.
        timeout: Seconds for a connection, and for each wait for more bytes.
        attempts: Requests in a row that may fail without bringing bytes, and copies of a damaged
            file that may differ from each other, before the download is given up.

    Raises:
        FetchError: No such file, refused for good, or `attempts` failures.
        InputError: A local file cannot be read, or `limit_bytes` cannot be kept to.
        OutputError: The target cannot be written.
    """
    compressed = (urlsplit(url).path if is_remote(url) else url).endswith(".gz")
    limit = "limit_bytes" if limit_records is None else "limit_records"
    if not compressed and (limit_bytes, limit_records) != (None, None):
        raise InputError(
            f"{limit} needs a file of gzip members",
            where=url,
            why="Any other file would break in the middle of a record.",
            fix=f"Leave {limit} out for this source.",
        )
    with Partial(target, url, limit_records) as partial:
        download = _Download(
            partial,
            limit_bytes,
            compressed,
            Attempts(url, politeness, attempts),
            user_agent,
            timeout,
        )
        cut = False
        while True:
            if not download.arrived():
                download.request()
                continue
            cut = partial.length is None or partial.size < partial.length
            if not compressed or download.sound(cut):
                break
        if cut or (limit_records is not None and partial.scanner.damage is not None):
            _keep_whole_members(partial, limit)
        partial.finish()
        return Fetched(
            partial.size,
            partial.sha256,
            partial.validator,
            download.tries.requests,
            dict(download.tries.faults),
            partial.size == partial.length,
        )


def _keep_whole_members(partial: Partial, limit: str) -> None:
    if not partial.scanner.members:
        raise InputError(
            f"there is no whole gzip member within {limit}",
            where=partial.url,
            fix=f"Raise {limit}; one member is one record of a WARC, or the whole of a file that "
            "was compressed at once.",
        )
    if partial.scanner.boundary < partial.size:
        partial.rewind(partial.scanner.boundary)


@dataclass(slots=True)
class _Download:
    """The requests for one file and what has become of them."""

    partial: Partial
    limit_bytes: int | None
    compressed: bool
    tries: Attempts
    user_agent: str
    timeout: float
    copies: set[str] = field(default_factory=set)  # digests of damaged copies
    doubted: set[int] = field(default_factory=set)  # where members that arrived damaged begin

    def end(self) -> int | None:
        """Return where the download ends, or None when only the server knows."""
        ends = (self.limit_bytes, self.partial.length, self.partial.scanner.reached)
        known = [size for size in ends if size is not None]
        return min(known) if known else None

    def arrived(self) -> bool:
        """Return whether all bytes that are wanted are there."""
        end = self.end()
        if end is None or self.partial.size < end:
            return False
        if self.partial.size > end:
            self.partial.rewind(end)
        return True

    def sound(self, cut: bool) -> bool:
        """Return whether the gzip members that arrived are what the server has.

        Args:
            cut: Whether `limit_bytes` stopped the download, so that a last member may be open.

        Raises:
            FetchError: Every copy arrives with other damage.
        """
        partial, scanner = self.partial, self.partial.scanner
        if scanner.damage is None and (cut or scanner.whole):
            return True
        if not is_remote(partial.url) or partial.sha256 in self.copies:
            # The same bytes twice are the server's own: the reader accounts for the damage.
            self.tries.note("damaged_at_source")
            return True
        self.tries.note("corrupt")
        self.copies.add(partial.sha256)
        if len(self.copies) > self.tries.most:
            raise FetchError(
                f"{len(self.copies)} copies arrived damaged, each in another way",
                where=partial.url,
                why=scanner.damage,
                fix="Something on the way changes bytes; try https://, or without the proxy.",
            )
        partial.rewind(scanner.boundary)  # what decoded with its CRC need not come again
        return False

    def request(self) -> None:
        """Ask once for what is missing; after a fault, wait as long as it asks for.

        Raises:
            FetchError: That was one failure too many, or one that will not pass.
        """
        partial, tries = self.partial, self.tries
        if partial.size and partial.validator is None:
            partial.begin(None, None)  # nothing would tell whether the rest is of the same file
        tries.begin()
        before = partial.size
        try:
            with self._open() as answer:
                self._take(answer)
            tries.succeeded()
            if self._in_doubt():
                tries.note("corrupt")
                self.doubted.add(partial.scanner.boundary)
                partial.rewind(partial.scanner.boundary)
        except Fault as fault:
            advanced = partial.size - before >= _PROGRESS
            if fault.kind == "range":
                partial.begin(None, None)
            fix = f"Run the same command again: it goes on from byte {partial.size}."
            tries.failed(fault, advanced=advanced, fix=fix)
        except FetchError:
            tries.answered()
            raise

    def _open(self) -> AbstractContextManager[Answer]:
        partial = self.partial
        url, start = partial.url, partial.size
        if not is_remote(url):
            return open_local(url, start)
        if not url.startswith(("http://", "https://")):
            return open_storage(url, start)
        return open_http(
            url,
            start,
            self.limit_bytes,
            partial.validator,
            user_agent=self.user_agent,
            timeout=self.timeout,
        )

    def _take(self, answer: Answer) -> None:
        partial = self.partial
        blocks = self.tries.counted(answer.blocks)
        first = next(blocks, b"")  # an error page under status 200 shows itself here
        self.tries.answered()
        changed = _differ(answer.validator, partial.validator) or _differ(
            answer.length, partial.length
        )
        if answer.start and changed:
            partial.begin(None, None)
            raise Fault("changed", "the server has another file than before")
        if not answer.start:
            if partial.size:
                self.tries.note("changed" if changed else "restarted")
            partial.begin(answer.validator, answer.length)
        end = self.end()
        stop = _LARGEST if end is None else end
        for block in chain((first,), blocks):
            partial.append(block[: stop - partial.size])
            if partial.size >= stop or partial.scanner.reached is not None or self._in_doubt():
                break
        if partial.size >= _LARGEST:
            raise FetchError(f"the file has more than {_LARGEST} bytes", where=partial.url)
        if partial.scanner.reached is not None or self._in_doubt():
            return
        if end is None or (partial.length is None and partial.size < end):
            partial.length = partial.size  # the server had not said, and ended here
        elif partial.size < end:
            raise Fault("truncated", f"{partial.size} of {end} bytes")

    def _in_doubt(self) -> bool:
        """Return whether a member arrived damaged for the first time.

        It is fetched again before anything after it, which may be most of a gigabyte, is.
        """
        scanner = self.partial.scanner
        doubtful = scanner.damage is not None and self.compressed and is_remote(self.partial.url)
        return doubtful and scanner.boundary not in self.doubted


def _differ(now: object | None, before: object | None) -> bool:
    """Return whether both are known and not the same."""
    return now is not None and before is not None and now != before
