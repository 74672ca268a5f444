"""A text without what was cut out of it, and where in the whole text a place of the rest is.

A cut is a half-open range of bytes of the UTF-8 text. Cuts ascend and do not overlap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

import pyarrow as pa

Span = Mapping[str, int]
JOIN_VERSION = 2  # changes when a text with cuts becomes another one
_NEWLINE = 0x0A


def apply_cuts(text: str, spans: Sequence[Span] | None) -> str:
    """Return a text without the byte ranges that were cut out of it."""
    return cut_bytes(text.encode(), spans).decode() if spans else text


def cut_bytes(data: bytes, spans: Sequence[Span]) -> bytes:
    """Return a text in UTF-8 without the byte ranges that were cut out of it.

    The pieces are joined by a blank line, so that no word is made of the ends of two pieces. What
    stood around whole lines that were cut is joined as it is.
    """
    if not spans:
        return data
    left: list[bytes] = []
    at = 0
    whole = True  # what was cut since the piece before is of whole lines
    for span in [*spans, {"start": len(data), "end": len(data)}]:
        piece = data[at : span["start"]]
        if piece:
            if left and not whole:
                left.append(b"\n\n")
            left.append(piece)
            whole = True
        whole = whole and of_whole_lines(data, span)
        at = span["end"]
    return b"".join(left)


def without_cuts(texts: pa.Array, spans: Sequence[Sequence[Span] | None]) -> pa.Array:
    """Return a column of texts without the byte ranges that were cut out of each.

    Args:
        texts: A string or large_string array without nulls.
        spans: As many lists of cuts.
    """
    if not any(spans):
        return texts
    left = [apply_cuts(text, own) for text, own in zip(texts.to_pylist(), spans, strict=True)]
    return pa.array(left, texts.type)


def of_whole_lines(data: bytes, span: Span) -> bool:
    """Say whether a cut begins and ends where a line does."""
    start, end = span["start"], span["end"]
    return (start == 0 or data[start - 1] == _NEWLINE) and data[end - 1] == _NEWLINE


def in_whole_text(before: Sequence[Span], later: Sequence[Span]) -> list[dict[str, int]]:
    """Return cuts of what other cuts left, by bytes of the whole text.

    Args:
        before: Cuts of whole lines.
        later: Cuts of the text without them, as `apply_cuts` returns it.
    """
    # The place in the rest where each cut was, and how many bytes are gone up to and with it.
    places: list[int] = []
    gone: list[int] = [0]
    for span in before:
        places.append(span["start"] - gone[-1])
        gone.append(gone[-1] + span["end"] - span["start"])
    # A cut that lies at either end of a range is none of it.
    return [
        {
            "start": span["start"] + gone[bisect_right(places, span["start"])],
            "end": span["end"] + gone[bisect_left(places, span["end"])],
        }
        for span in later
    ]


def merged(one: Sequence[Span], other: Sequence[Span]) -> list[dict[str, int]]:
    """Return what either of two lists of cuts leaves out; cuts that overlap or touch are one."""
    whole: list[dict[str, int]] = []
    for start, end in sorted((span["start"], span["end"]) for span in [*one, *other]):
        if whole and start <= whole[-1]["end"]:
            whole[-1]["end"] = max(whole[-1]["end"], end)
        else:
            whole.append({"start": start, "end": end})
    return whole
