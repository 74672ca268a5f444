"""Files in a tar archive, one after the other as they come, without writing any to disk.

Decompressed blocks go in, the regular files come out, each to be read before the next. Headers are
those of POSIX ustar, pax and GNU tar with long names. An archive is hostile until shown otherwise:
every header has a checksum and a bound, names that lead out of a folder, links, devices and sparse
files are refused one by one, and nothing is kept of an entry when the next one comes. (The standard
library's `tarfile` keeps every header it has seen, and reads a long name whatever its length.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_BLOCK = 512
_READ = 1 << 18
_LARGEST_EXTENSION = 1 << 20  # bytes of a pax header or a long name
_LARGEST_NAME = 4096
_LARGEST_SIZE = 1 << 63
_REGULAR = (b"0", b"\x00", b"7")
_FOLDER = b"5"
_WHAT = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a character device",
    b"4": "a block device", b"6": "a pipe", b"S": "a sparse file",
}  # fmt: skip
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=\x00]{1,256})=")


class BrokenTarError(Exception):
    """The rest of an archive cannot be read.

    Attributes:
        cut_off: It ends too early; otherwise it is damaged, or no tar archive.
    """

    def __init__(self, what: str, *, cut_off: bool) -> None:
        super().__init__(what)
        self.cut_off = cut_off


@dataclass(frozen=True)
class Entry:
    """One file of an archive, to be read before the next one is asked for.

    Attributes:
        name: Path in the archive.
        size: Bytes.
        refused: Why it is none that is read, or None.
    """

    name: str
    size: int
    refused: str | None
    _content: _Content

    def read(self, size: int, /) -> bytes:
        """Return at most so many of the bytes that have not been read.

        Raises:
            BrokenTarError: The archive ends within the file.
        """
        return self._content.read(size)


class _Source:
    """The bytes of the archive in order."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._held = b""

    def take(self, size: int) -> bytes:
        """Return at most so many bytes; fewer when a block ends, none at the end."""
        while not self._held:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._held = block
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def exactly(self, size: int) -> bytes:
        """Return so many bytes, or fewer at the end."""
        parts = []
        while size and (part := self.take(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class _Content:
    """The bytes of one entry, and the padding behind them."""

    def __init__(self, source: _Source, size: int) -> None:
        self._source = source
        self._left = size
        self._padding = -size % _BLOCK

    def read(self, size: int) -> bytes:
        data = self._source.take(min(size, self._left))
        self._left -= len(data)
        if not data and self._left and size:
            raise BrokenTarError("the archive is cut off within a file", cut_off=True)
        return data

    def skip(self) -> None:
        while self._left:
            self.read(_READ)
        self._source.exactly(self._padding)


def entries(blocks: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the files of an archive, and what is refused; folders are passed over.

    Args:
        blocks: The decompressed bytes of the archive.

    Raises:
        BrokenTarError: A header is damaged or the archive ends too early, after every file before
            that has been yielded.
    """
    source = _Source(blocks)
    extended: dict[str, bytes] = {}
    while True:
        header = source.exactly(_BLOCK)
        if not header.strip(b"\x00") and len(header) in (0, _BLOCK):
            return  # the end is two blocks of zeros; many archives have one, or none
        if len(header) < _BLOCK:
            raise BrokenTarError("the archive is cut off within a header", cut_off=True)
        if _number(header[148:156]) not in _checksums(header):
            raise BrokenTarError("a header has another checksum than it says", cut_off=False)
        size, kind = _number(header[124:136]), header[156:157]
        if kind in (b"x", b"L", b"K", b"g"):
            if size is None or size > _LARGEST_EXTENSION:
                raise BrokenTarError(f"an extended header of {size} bytes", cut_off=False)
            data = source.exactly(size)
            source.exactly(-size % _BLOCK)
            if kind == b"x":
                extended |= _pax(data)
            elif kind == b"L":
                extended["path"] = data.rstrip(b"\x00")
            continue
        if "size" in extended and extended["size"].isdigit():
            size = int(extended["size"][:20])
        if size is None or size >= _LARGEST_SIZE:
            raise BrokenTarError("the size of an entry is no number", cut_off=False)
        name = _name(header, extended)
        content = _Content(source, size)
        sparse = any(key.startswith("GNU.sparse") for key in extended)
        extended = {}
        if kind != _FOLDER:
            yield Entry(name, size, _refusal(name, kind, is_sparse=sparse), content)
        content.skip()


def _checksums(header: bytes) -> tuple[int, int]:
    """Return the sums of unsigned and of signed bytes: some old programs took the latter."""
    summed = header[:148] + b" " * 8 + header[156:]
    unsigned = sum(summed)
    return unsigned, unsigned - 256 * sum(byte > 127 for byte in summed)


def _number(field: bytes) -> int | None:
    if field[:1] in (b"\x80", b"\xff"):  # GNU: binary, for what octal digits cannot hold
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else None
    digits = field.strip(b" \x00")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return None


def _pax(data: bytes) -> dict[str, bytes]:
    """Return the records `25 path=...` with a line end of an extended header."""
    found: dict[str, bytes] = {}
    at = 0
    while match := _PAX_RECORD.match(data, at):
        end = at + int(match[1])
        if end <= match.end() or end > len(data):
            break
        found[match[2].decode("utf-8", "replace")] = data[match.end() : end - 1]
        at = end
    return found


def _name(header: bytes, extended: dict[str, bytes]) -> str:
    if "path" in extended:
        return extended["path"][: _LARGEST_NAME + 1].decode("utf-8", "replace")
    name = header[:100].partition(b"\x00")[0]
    prefix = header[345:500].partition(b"\x00")[0] if header[257:262] == b"ustar" else b""
    if header[257:265] == b"ustar  \x00":  # old GNU tar: other fields stand there
        prefix = b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _refusal(name: str, kind: bytes, *, is_sparse: bool) -> str | None:
    """Return why an entry is not read, or None."""
    if kind not in _REGULAR or is_sparse:
        return _WHAT[b"S"] if is_sparse else _WHAT.get(kind, f"of unknown kind {kind!r}")
    if len(name) > _LARGEST_NAME:
        return f"a name over {_LARGEST_NAME:,} bytes"
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or "\x00" in name:
        return "a name that leads out of the archive's folder"
    return None
