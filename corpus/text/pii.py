"""Masking what tells who a person is: email addresses, public IP addresses, phone numbers.

A column of text goes in; out come the same texts with a mark in the place of each, and how many of
each kind there were. The marks are Dolma's (Soldaini et al. 2024, arXiv:2402.00159): no text has
them by chance, nothing in them can be taken for an address again, and whoever trains on the text
can find them. Made-up addresses, as others put in, could not be told from real ones.

What is found is decided by the form alone, in two passes with bounded looks back and ahead: linear
time on any text. `docs/stages/tokenize.md` says which forms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.text import address_kernels, phone_kernels
from corpus.text.ngrams import text_buffers

VERSION = 1  # another number when the same text is masked in another way
MARKS = {
    "email": "|||EMAIL_ADDRESS|||",
    "ip": "|||IP_ADDRESS|||",
    "phone": "|||PHONE_NUMBER|||",
}
KINDS = tuple(MARKS)
_PHONES = KINDS.index("phone")  # the kernel of the others has their places in `KINDS`
# Words before a number, by what they say of it.
_PHONE, _NONE, _NUMBER = 1, 2, 3
_WORDS = {
    _PHONE: "tel tele phone telephone fax telefax mobile mobil mob cell call sms whatsapp telefon "
    "telefono teléfono tél téléphone móvil handy hotline phones ph dial helpline telefoon "
    "тел Тел телефон Телефон факс Факс",
    _NONE: "isbn issn doi id order invoice sku ref reference item model part serial patent account "
    "acct iban vat ein pmid arxiv version versions ver v release build rev revision firmware "
    "driver section sec chapter clause article update patch upgrade",
    _NUMBER: "no nr number nummer num numéro número",
}


@dataclass(frozen=True)
class Masked:
    """Masked texts.

    Attributes:
        texts: large_string; the same number of texts.
        counts: How many of each kind were masked.
    """

    texts: pa.LargeStringArray
    counts: Mapping[str, int]


def _word_table() -> NDArray[np.uint8]:
    rows = []
    for code, words in _WORDS.items():
        for word in dict.fromkeys(words.split()):
            row = np.zeros(16, np.uint8)
            data = word.encode()
            row[: len(data)] = np.frombuffer(data, np.uint8)
            row[15] = code
            rows.append(row)
    return np.stack(rows)


_TABLE = _word_table()


def find(texts: pa.Array, kinds: Sequence[str]) -> NDArray[np.int64]:
    """Return where something is to be masked, in order and without overlaps.

    Args:
        texts: StringArray or LargeStringArray of n texts, without nulls.
        kinds: Some of `KINDS`.

    Returns:
        (spans, 4): the text's place in the column, first and past-last byte in the text, and the
        place of the kind in `KINDS`.

    Raises:
        TypeError, ValueError: As in `corpus.text.ngrams.text_buffers`.
        ValueError: A kind that is none.
    """
    data, offsets = text_buffers(texts)
    spans = _spans(data, offsets, kinds)
    spans[:, 1:3] -= offsets[spans[:, 0]][:, np.newaxis]
    return spans


def mask(texts: pa.Array, kinds: Sequence[str]) -> Masked:
    """Return texts with a mark in the place of each address and number of the kinds.

    Args:
        texts: StringArray or LargeStringArray of n texts, without nulls.
        kinds: Some of `KINDS`.

    Raises:
        As `find`.
    """
    data, offsets = text_buffers(texts)
    spans = _spans(data, offsets, kinds)
    numbers = np.bincount(spans[:, 3], minlength=len(KINDS)).tolist()
    counts = {kind: int(numbers[place]) for place, kind in enumerate(KINDS) if kind in kinds}
    if not len(spans):
        return Masked(texts.cast(pa.large_string()), counts)
    marks = [mark.encode() for mark in MARKS.values()]
    pieces: list[bytes | memoryview] = []
    view = memoryview(data.data)
    at = int(offsets[0])
    for _, start, stop, kind in spans.tolist():
        pieces += (view[at:start], marks[kind])
        at = stop
    pieces.append(view[at : int(offsets[-1])])
    sizes = np.array([len(mark) for mark in marks])
    grown = np.zeros(len(texts), np.int64)
    np.add.at(grown, spans[:, 0], sizes[spans[:, 3]] - (spans[:, 2] - spans[:, 1]))
    lengths = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.diff(offsets) + grown)])
    buffers = [None, pa.py_buffer(lengths), pa.py_buffer(b"".join(pieces))]
    return Masked(pa.LargeStringArray.from_buffers(len(texts), buffers[1], buffers[2]), counts)


def _spans(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], kinds: Sequence[str]
) -> NDArray[np.int64]:
    """Return spans as `find` does, with places in the bytes of the whole column."""
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"{sorted(unknown)} are no kinds, they are {', '.join(KINDS)}")
    found = np.empty((0, 4), np.int64)
    if "email" in kinds or "ip" in kinds:
        found = address_kernels.find(data, offsets, "email" in kinds, "ip" in kinds, _TABLE)
    if "phone" not in kinds:
        return found
    phones = phone_kernels.find(data, offsets, _TABLE)
    # Addresses are the surer finding: a number that reaches into one is none.
    before = np.searchsorted(found[:, 1], phones[:, 2])  # addresses that begin before its end
    ends = np.concatenate([np.zeros(1, np.int64), found[:, 2]])
    phones = phones[ends[before] <= phones[:, 1]]
    phones = np.column_stack([phones, np.full(len(phones), _PHONES)])
    both = np.concatenate([found, phones])
    return both[np.argsort(both[:, 1], kind="stable")]
