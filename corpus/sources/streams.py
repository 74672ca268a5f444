"""Text of input files: lines of bounded length, whole small files, and the charset of plain text.

A path goes in, or the decompressed blocks of one (`corpus.sources.compression`); lines come out, or
text. No line and no file is held that is over its bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from corpus.sources.compression import DamagedStreamError as DamagedStreamError
from corpus.sources.compression import blocks as blocks
from corpus.sources.compression import plain_name as plain_name


def lines(path: str, *, max_line_bytes: int) -> Iterator[tuple[int, bytes | int]]:
    r"""Yield the lines of a file with their numbers, counted from 1, without `\n`.

    A line over the bound comes as its length in bytes instead of its bytes; it is never held whole.

    Raises:
        InputError: See `blocks`.
        DamagedStreamError: See `blocks`; a last line that is not whole is not yielded.
    """
    return lines_of(blocks(path), max_line_bytes=max_line_bytes)


def lines_of(content: Iterable[bytes], *, max_line_bytes: int) -> Iterator[tuple[int, bytes | int]]:
    """Yield the lines of decompressed bytes; see `lines`."""
    number = 1
    parts: list[bytes] = []
    length = 0
    for block in content:
        start = 0
        while True:
            end = block.find(b"\n", start)
            piece = block[start:] if end < 0 else block[start:end]
            length += len(piece)
            if length > max_line_bytes:
                parts.clear()
            elif piece:
                parts.append(piece)
            if end < 0:
                break
            yield number, (b"".join(parts) if length <= max_line_bytes else length)
            number += 1
            parts.clear()
            length = 0
            start = end + 1
    if length:
        yield number, (b"".join(parts) if length <= max_line_bytes else length)


def whole(path: str, *, max_bytes: int) -> bytes | None:
    """Return the decompressed bytes of a file, or None when there are more than `max_bytes`.

    Raises:
        InputError, DamagedStreamError: See `blocks`.
    """
    return whole_of(blocks(path), max_bytes=max_bytes)


def whole_of(content: Iterable[bytes], *, max_bytes: int) -> bytes | None:
    """Return decompressed bytes together, or None when there are more than `max_bytes`."""
    parts: list[bytes] = []
    length = 0
    for block in content:
        length += len(block)
        if length > max_bytes:
            return None
        parts.append(block)
    return b"".join(parts)


def decode(data: bytes) -> str | None:
    r"""Decode plain text by its byte order mark, else as UTF-8, else as windows-1252.

    windows-1252 is what files that call themselves Latin-1 hold in practice (WHATWG Encoding
    Standard, 4.2); its five unused bytes are read as Latin-1. Line ends become `\n`.

    Returns:
        The text, or None for bytes that are no text (a NUL byte, or damaged UTF-16 or UTF-32).
    """
    try:
        if data.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
            text = data.decode("utf-32")
        elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = data.decode("utf-16")
        elif b"\x00" in data:
            return None
        else:
            text = _decode_bytes(data.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeDecodeError:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode_bytes(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("windows-1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def repaired(text: str) -> str:
    r"""Replace lone surrogates, which JSON's `\ud800` can bring in and UTF-8 cannot hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
