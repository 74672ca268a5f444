"""Gzip members out of the middle of an archive, fetched by range into one local file.

A Common Crawl archive is a gzip member a record, and its index says where each begins and how long
it is: any choice of members, one after the other, is an archive again. Neighbours are fetched in
one request, with the little that lies between them. Every member is decoded and its CRC-32 checked
before it counts; like a whole file (`corpus.fetching.fetch`), what was fetched survives a kill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate

from corpus.errors import FetchError
from corpus.fetching.members import MemberScanner
from corpus.fetching.partial import Partial
from corpus.fetching.ranges import Changed, RangeReader, damaged_on_the_way
from corpus.fetching.session import Session
from corpus.fetching.transport import is_remote

# Between the responses of a crawl lie requests and metadata of 2 kB. A request costs a turn of the
# rate limit, half a second: as long as it takes to receive megabytes that nobody wants.
GAP = 1 << 18  # bytes between two members that are fetched all the same
SPAN = 1 << 23  # bytes of one request for several members

Piece = tuple[int, int]  # offset and length


def fetch_pieces(url: str, target: str, pieces: Sequence[Piece], *, session: Session) -> None:
    """Write members of an archive into a file, one after the other.

    Args:
        url: The archive: http(s)://, a scheme of fsspec, file:// or a local path.
        target: Local path. An existing file is replaced.
        pieces: Offset and length of each member, in the order of the archive, none twice.
        session: How to ask.

    Raises:
        FetchError: No such file or range, too many faults, or a file that keeps changing.
        InputError: A local file cannot be read.
        OutputError: The target cannot be written.
    """
    ends = [0, *accumulate(length for _, length in pieces)]
    wanted = hashlib.sha256(repr(list(pieces)).encode()).hexdigest()
    with Partial(target, f"{url}#{wanted}") as partial:
        reader = RangeReader(url, session, partial.validator)
        done = max(count for count, end in enumerate(ends) if end <= partial.size)
        if partial.size > ends[done]:
            partial.rewind(ends[done])
        for _ in range(session.attempts):
            try:
                _append(partial, reader, pieces[done:], session)
            except Changed:
                reader.tries.note("changed")
                partial.begin(None, None)
                reader.validator = reader.length = None
                done = 0
            else:
                partial.finish()
                return
    raise FetchError("the file keeps changing while it is read", where=url)


def _append(
    partial: Partial, reader: RangeReader, pieces: Sequence[Piece], session: Session
) -> None:
    for group in groups(pieces):
        start, end = group[0][0], sum(group[-1])
        data = reader.read(start, end)
        if not partial.size and partial.validator is None:
            partial.begin(reader.validator, None)
        for offset, length in group:
            member = data[offset - start : offset - start + length]
            partial.append(_checked(reader, offset, member, session))


def groups(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Return the pieces that are fetched in one request each."""
    found: list[list[Piece]] = []
    for offset, length in pieces:
        last = found[-1] if found else None
        if last and offset - sum(last[-1]) <= GAP and offset + length - last[0][0] <= SPAN:
            last.append((offset, length))
        else:
            found.append([(offset, length)])
    return found


def _checked(reader: RangeReader, offset: int, member: bytes, session: Session) -> bytes:
    """Return a member as the server has it.

    Raises:
        FetchError: Every copy arrives with other damage.
    """
    copies = {member}
    while not _is_member(member):
        if not is_remote(reader.url):
            return member
        if len(copies) > session.attempts:
            raise damaged_on_the_way(reader.url, len(copies))
        reader.tries.note("corrupt")
        member = reader.read(offset, offset + len(member))
        if member in copies and not _is_member(member):
            # The same bytes twice are the server's own: the reader accounts for the damage.
            reader.tries.note("damaged_at_source")
            return member
        copies.add(member)
    return member


def _is_member(data: bytes) -> bool:
    scanner = MemberScanner()
    scanner.feed(data)
    return scanner.members == 1 and scanner.boundary == len(data)
