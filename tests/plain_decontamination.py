"""Appendix C, training side, in plain Python: what the stage decontaminate is compared with."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Gram = tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What becomes of a document: the cuts are in bytes of its UTF-8."""

    kept: bool
    reason: str | None
    cuts: list[tuple[int, int]]
    benchmarks: list[str]


def plain_words(text: str) -> list[tuple[str, int, int]]:
    """Return each word with the characters that it was written as."""
    found = []
    for match in re.finditer(r"\S+", text):
        word = "".join(
            c
            for c in match.group().lower()
            if c not in string.punctuation and not unicodedata.category(c).startswith("P")
        )
        if word:
            found.append((word, match.start(), match.end()))
    return found


def grams(text: str, size: int) -> list[tuple[Gram, int, int]]:
    words = plain_words(text)
    return [
        (tuple(w for w, _, _ in words[at : at + size]), words[at][1], words[at + size - 1][2])
        for at in range(len(words) - size + 1)
    ]


def decontaminate(
    documents: Mapping[str, str],
    benchmarks: Mapping[str, Sequence[str]],
    *,
    size: int = 13,
    window: int = 200,
    minimum: int = 200,
    most_pieces: int = 10,
    most_documents: int = 10,
) -> dict[str, Verdict]:
    """Return the verdict on every document."""
    known: dict[Gram, list[str]] = {}
    for name, items in benchmarks.items():
        for item in items:
            for gram, _, _ in grams(item, size):
                if name not in known.setdefault(gram, []):
                    known[gram].append(name)
    hits = {
        id: [hit for hit in grams(text, size) if hit[0] in known] for id, text in documents.items()
    }
    counts = Counter(gram for own in hits.values() for gram in {gram for gram, _, _ in own})
    verdicts: dict[str, Verdict] = {}
    for id, text in documents.items():
        own = [hit for hit in hits[id] if counts[hit[0]] <= most_documents]
        gone = bytearray(len(text))  # a flag for each character
        for _, start, end in own:
            first, last = max(start - window, 0), min(end + window, len(text))
            gone[first:last] = b"\x01" * (last - first)
        pieces = [match.span() for match in re.finditer(rb"\x00+", gone)]
        reason = None
        if len(pieces) > most_pieces:
            reason = "contaminated"
        elif own:
            for first, last in pieces:
                if last - first < minimum:
                    gone[first:last] = b"\x01" * (last - first)
            if all(gone):
                reason = "nothing_left"
        cuts = [match.span() for match in re.finditer(rb"\x01+", gone)]
        in_bytes = [(len(text[:a].encode()), len(text[:b].encode())) for a, b in cuts]
        names = {name for gram, _, _ in own for name in known[gram]}
        named = [name for name in benchmarks if name in names]
        verdicts[id] = Verdict(reason is None, reason, in_bytes, named)
    return verdicts
