"""What two lines have to have in common to be one line: how they are normalised before comparison.

``ccnet``
    Wenzek et al. 2020 (CCNet), section 3.1: lower case, every digit a 0, no punctuation and no
    accent marks.
``exact``
    The characters as they are.

In both, white space counts as one space between words and not at all at the ends, and characters
that are not seen (Unicode categories Cc and Cf: NUL, soft hyphen, zero width, byte order mark) are
left out. A line of which nothing is left is like no other line.

What the paper leaves open, each decided by character so that no context counts:

* Lower case is Unicode's case folding: ß is ss, Σ and ς are σ.
* Digits are the characters of category Nd, of all scripts.
* Punctuation is ``string.punctuation`` and the categories P, as in
  `corpus.text.normalization.is_punctuation`. It vanishes: "e-mail" is "email".
* Accent marks are the combining marks of the blocks of diacritical marks that all scripts use,
  split off by canonical decomposition. The marks of Indic, Thai, Hebrew, Arabic or Japanese script,
  which are vowels and consonants, stay.

`normalized` is the plain reference. `corpus.text.line_kernels` does the same on UTF-8 bytes with
the tables of `line_tables`.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from corpus.text.normalization import is_punctuation

# The blocks of combining diacritical marks: plain, extended, supplement, for symbols, half marks.
_ACCENTS = ((0x300, 0x36F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))
_UNSEEN = ("Cc", "Cf")

# Of hashes that are kept across runs.
VERSIONS: Mapping[str, str] = MappingProxyType(
    {kind: f"{kind}-1-xxh64-unicode-{unicodedata.unidata_version}" for kind in ("ccnet", "exact")}
)

# An entry of 32 bits for every code point: the code point that it becomes, or the row of the
# expansions, and in the higher bits what is to be done.
CODE_MASK = (1 << 21) - 1
ACTION_SHIFT = 21
WRITE, SPACE, DROP, EXPAND = 0, 1, 2, 3
# What the table of ASCII says of a byte that does not become another one of ASCII.
ASCII_SPACE, ASCII_DROP = 0xFF, 0xFE


@dataclass(frozen=True)
class LineTables:
    """What a kernel needs to know about a normalisation.

    Attributes:
        ascii: uint8[128], what each ASCII character becomes, `ASCII_SPACE` or `ASCII_DROP`.
        entries: uint32[code points].
        expansions: uint32[rows, columns]: how many code points, then these.
        growth: The most bytes that a byte of text becomes.
    """

    ascii: npt.NDArray[np.uint8]
    entries: npt.NDArray[np.uint32]
    expansions: npt.NDArray[np.uint32]
    growth: int


def check_kind(kind: str) -> None:
    """Refuse a normalisation that does not exist.

    Raises:
        ValueError: `kind` is not one of `VERSIONS`.
    """
    if kind not in VERSIONS:
        raise ValueError(f"no normalisation of lines is called {kind!r}: {', '.join(VERSIONS)}")


def _character(character: str, kind: str) -> str:
    """Return what a character becomes; any white space is a space."""
    if character.isspace():
        return " "
    if kind == "exact":
        return "" if unicodedata.category(character) in _UNSEEN else character
    kept = []
    for part in unicodedata.normalize("NFD", character.casefold()):
        category = unicodedata.category(part)
        if category == "Nd":
            kept.append("0")
        elif not (
            category in _UNSEEN
            or is_punctuation(part)
            or any(first <= ord(part) <= last for first, last in _ACCENTS)
        ):
            kept.append(part)
    return "".join(kept)


def normalized(text: str, *, kind: str) -> str:
    """Return a line as it is compared: words with a space between them, or nothing.

    Args:
        text: A line or a paragraph.
        kind: ``"ccnet"`` or ``"exact"``.

    Raises:
        ValueError: There is no such kind.
    """
    check_kind(kind)
    written = "".join(_character(character, kind) for character in text)
    return " ".join(word for word in written.split(" ") if word)


@functools.cache
def line_tables(kind: str) -> LineTables:
    """Return the tables of one normalisation; built once in a process (about 1 s), 5 MB.

    Args:
        kind: As in `normalized`.

    Raises:
        ValueError: There is no such kind.
    """
    check_kind(kind)
    entries = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    rows: list[list[int]] = []
    growth = 1
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        # What is not assigned, private or half of a pair becomes itself.
        if unicodedata.category(character) in ("Cn", "Co", "Cs"):
            continue
        written = _character(character, kind)
        if written == " ":
            entries[code] = SPACE << ACTION_SHIFT
        elif not written:
            entries[code] = DROP << ACTION_SHIFT
        elif len(written) == 1:
            entries[code] = ord(written)
        else:
            entries[code] = len(rows) | (EXPAND << ACTION_SHIFT)
            rows.append([len(written), *map(ord, written)])
        growth = max(growth, -(-len(written.encode()) // len(character.encode())))
    expansions = np.zeros((max(len(rows), 1), max(map(len, rows), default=2)), dtype=np.uint32)
    for row, values in enumerate(rows):
        expansions[row, : len(values)] = values
    actions = entries[:128] >> np.uint32(ACTION_SHIFT)
    small = entries[:128].astype(np.uint8)
    ascii_table = np.where(
        actions == SPACE, ASCII_SPACE, np.where(actions == DROP, ASCII_DROP, small)
    ).astype(np.uint8)
    for array in (ascii_table, entries, expansions):
        array.setflags(write=False)
    return LineTables(ascii_table, entries, expansions, growth)
