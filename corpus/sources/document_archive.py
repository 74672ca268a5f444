"""Archives of documents as they are published: tar of text files or JSON lines, tar in tar.

OpenWebText is a tar.xz of `urlsf_subset00-1_data.xz` files, each of which is a tar of a thousand
text files; OpenWebText2 is a tar of monthly `.jsonl.zst`. Nothing is written to disk, and one
document is held at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from corpus.document import Document, Drop, DropReason
from corpus.errors import InputError
from corpus.sources import compression, streams, tars
from corpus.sources.document_rows import (
    damage_drop,
    document_of,
    drop,
    from_json_lines,
    most_line_bytes,
)

LINES = (".jsonl", ".ndjson", ".json")
TEXTS = (".txt", ".text", ".md")
# OpenWebText's inner archives do not say that they are any.
_ARCHIVE = re.compile(r"\.tar$|\.t(?:gz|bz2?|xz|zst)$|(?:^|/)urlsf_subset\d+-\d+_data$")
_MOST_NESTED = 3


def is_archive(name: str) -> bool:
    """Say whether a file is an archive, by its name."""
    return _ARCHIVE.search(streams.plain_name(name)) is not None


def read(
    path: str, name: str, columns: Mapping[str, str], max_document_bytes: int
) -> Iterator[Document | Drop]:
    """Yield the documents of an archive, and a drop for each file that is none.

    Args:
        path: Local path or URL.
        name: Stable name of the archive, for identifiers and provenance: rows count through it.
        columns: Our fields and the names of them in JSON lines.
        max_document_bytes: Bound on the UTF-8 bytes of a text.

    Raises:
        InputError: It is no archive at all.
    """
    walk = _Walk(name, columns, max_document_bytes)
    try:
        yield from walk.files(tars.entries(compression.blocks(path)), 1)
    except tars.BrokenTarError as error:
        if not walk.rows:
            raise InputError(
                "the file cannot be read as a tar archive",
                where=path,
                why=str(error),
                fix="Fetch the file again",
            ) from error
        yield walk.lost(error)
    except streams.DamagedStreamError as damage:
        yield damage_drop(damage, name, walk.rows + 1)


class _Walk:
    """Goes through an archive and those in it, and counts rows."""

    def __init__(self, name: str, columns: Mapping[str, str], max_document_bytes: int) -> None:
        self.rows = 0
        self._name, self._columns, self._most = name, columns, max_document_bytes

    def lost(self, error: tars.BrokenTarError) -> Drop:
        """Return the drop for the rest of an archive."""
        reason = DropReason.TRUNCATED_RECORD if error.cut_off else DropReason.DAMAGED_RECORD
        return self._drop(reason, f"{error}; the rest of the archive is lost")

    def _drop(self, reason: DropReason, detail: str) -> Drop:
        self.rows += 1
        return drop(self._name, self.rows, reason, detail)

    def files(self, entries: Iterator[tars.Entry], depth: int) -> Iterator[Document | Drop]:
        """Yield the documents of an archive's files.

        Raises:
            BrokenTarError, DamagedStreamError: Of this archive; those within it become drops.
        """
        for entry in entries:
            shown = repr(entry.name[:200])
            if entry.refused is not None:
                yield self._drop(DropReason.MALFORMED, f"{shown}: {entry.refused}")
                continue
            inner = _Inner(entry)
            try:
                yield from self._file(entry, inner, depth)
            except InputError as error:
                yield self._drop(DropReason.DAMAGED_RECORD, f"{shown}: {error.what}")
            except (tars.BrokenTarError, streams.DamagedStreamError) as error:
                if inner.broken is not None:  # the archive itself, and not what is in it
                    raise inner.broken from error
                reason = DropReason.DAMAGED_RECORD
                reason = DropReason.TRUNCATED_RECORD if error.cut_off else reason
                yield self._drop(reason, f"{shown}: {error}; the rest of it is lost")

    def _file(self, entry: tars.Entry, inner: _Inner, depth: int) -> Iterator[Document | Drop]:
        plain = streams.plain_name(entry.name)
        blocks = compression.blocks_of(inner, name=entry.name)
        if is_archive(entry.name) and depth < _MOST_NESTED:
            yield from self.files(tars.entries(blocks), depth + 1)
        elif plain.endswith(LINES):
            most = most_line_bytes(self._most)
            before, last = self.rows, 0
            lines = streams.lines_of(blocks, max_line_bytes=most)
            for row in from_json_lines(lines, self._name, self._columns, self._most, before=before):
                last = row.place.page or last
                self.rows = max(self.rows, last)
                yield row
        elif plain.endswith(TEXTS):
            yield self._text(entry.name, streams.whole_of(blocks, max_bytes=self._most))
        else:
            what = "nested too deeply" if is_archive(entry.name) else "no kind of document file"
            yield self._drop(DropReason.MALFORMED, f"{entry.name[:200]!r}: {what}")

    def _text(self, entry: str, data: bytes | None) -> Document | Drop:
        shown = repr(entry[:200])
        if data is None:
            return self._drop(DropReason.TEXT_TOO_LARGE, f"{shown}: more than {self._most:,} bytes")
        text = streams.decode(data)
        if text is None:
            return self._drop(DropReason.MALFORMED, f"{shown}: not text")
        self.rows += 1
        return document_of({"text": text}, entry, self._name, self.rows, self._most)


class _Inner:
    """What is read of an entry, which remembers whether the archive round it broke."""

    def __init__(self, entry: tars.Entry) -> None:
        self.broken: Exception | None = None
        self._entry = entry

    def read(self, size: int, /) -> bytes:
        try:
            return self._entry.read(size)
        except (tars.BrokenTarError, streams.DamagedStreamError) as error:
            self.broken = error
            raise
