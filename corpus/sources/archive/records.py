"""Every record of a WARC, WET or ARC archive, whatever state it is in.

FastWARC reads. It notices some damage (a corrupt member, a header that does not parse), and passes
over the rest in silence: a cut-off end, a `Content-Length` that swallows the next record, an empty
member. So a record is held back until its successor was found where it should be. From a record
where anything is odd, and for the last one of every archive, `corpus.sources.archive.members` reads
carefully, and hands back at the next healthy boundary. ARC is read carefully throughout:
it is an archive's history, and FastWARC does not read it.

In: the path of an archive, plain or compressed with gzip, zstd or LZ4. Out: `Record` and `Damage`.
"""

from __future__ import annotations

from collections.abc import Iterator

from corpus import storage
from corpus.errors import InputError
from corpus.sources.archive.dialects import ARC, WARC
from corpus.sources.archive.fast import Fast
from corpus.sources.archive.framed import LZ4_MAGIC, SKIPPABLE, ZSTD_MAGIC, framed
from corpus.sources.archive.gzip_members import (
    GZIP_MAGIC,
    Archive,
    GivenUp,
    inflated_head,
    next_member,
)
from corpus.sources.archive.members import Walk
from corpus.sources.archive.record import Damage, Record

_PROBE = 1 << 16
_PATIENCE = 4  # careful records before FastWARC is trusted again; doubled when that was in vain


def records(path: str, *, max_record_bytes: int) -> Iterator[Record | Damage]:
    """Yield every record of an archive, and every stretch of it that holds none.

    Args:
        path: Local path or URL of a WARC, WET or ARC file.
        max_record_bytes: Bytes kept of a record block; a longer one is cut there.

    Raises:
        InputError: The file cannot be read, or is no archive.
    """
    with storage.open_input(path) as file:
        archive = Archive(file, path)
        yield from _records(archive, max_record_bytes)


def _records(archive: Archive, limit: int) -> Iterator[Record | Damage]:
    head = archive.read_at(0, _PROBE)
    inner = inflated_head(head) if head.startswith(GZIP_MAGIC) else head.lstrip(b"\r\n")
    gzipped = head.startswith(GZIP_MAGIC)
    try:
        if ARC.start.match(inner):
            walk = Walk(archive, 0, limit=limit, gzipped=gzipped, dialect=ARC)
            yield from walk.items()
        elif head.startswith((ZSTD_MAGIC, LZ4_MAGIC)) or SKIPPABLE.match(head):
            yield from framed(archive, limit, head)
        elif WARC.start.match(inner):
            yield from _alternating(archive, limit, 0, gzipped=gzipped)
        elif not gzipped and WARC.inside.search(head):
            yield from _alternating(archive, limit, 0, gzipped=False)
        else:
            first = next_member(archive, 0, WARC.prefixes)
            if first is None:
                raise _no_archive(archive, head, inner)
            if not gzipped:
                yield Damage(0, f"{first} bytes before the first record")
            start = 0 if gzipped else first
            yield from _alternating(archive, limit, start, gzipped=True)
    except GivenUp:
        yield Damage(0, "given up: the damage makes every reader go over the same bytes again")


def _no_archive(archive: Archive, head: bytes, inner: bytes) -> InputError:
    start = (inner or head).lstrip()[:200].lower()
    if not head:
        why = "It is empty."
    elif b"<error" in start or b"<?xml" in start:
        why = "It is an XML document, as object stores send in place of a file they refuse."
    elif start.startswith((b"<!doctype", b"<html", b"<head", b"<!--")):
        why = "It is an HTML page, as servers send in place of a file they do not have."
    elif head.startswith(GZIP_MAGIC) and not inner:
        why = "It is a gzip file that is damaged from its first byte on or holds nothing."
    else:
        why = f"It begins with {bytes((inner or head)[:24])!r}, and no record starts in it."
    return InputError(
        "not a web archive", where=archive.path, why=why, fix="Fetch it again, or leave it out"
    )


def _alternating(
    archive: Archive, limit: int, offset: int, *, gzipped: bool
) -> Iterator[Record | Damage]:
    patience = _PATIENCE
    while True:
        fast = Fast(archive, offset, limit, gzipped=gzipped)
        seen = 0
        for record in fast.records():
            seen += 1
            yield record
        patience = _PATIENCE if seen > patience else 2 * patience
        walk = Walk(archive, fast.resume, limit=limit, gzipped=gzipped, dialect=WARC)
        back: int | None = None
        again = fast.again
        for count, item in enumerate(walk.items(), start=1):
            if again and isinstance(item, Record):
                again -= 1
                continue
            yield item
            if count >= patience:
                back = walk.boundary()
                if back is not None:
                    break
        if back is None:
            return
        offset = back
