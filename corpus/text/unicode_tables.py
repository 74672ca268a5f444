"""Tables by code point from which the compiled kernels normalise UTF-8 exactly as Python does.

For each kind of words (`corpus.text.normalization`) there is one table with an entry of 32 bits for
every code point:

======  ==================================================================================
bits    meaning
======  ==================================================================================
0–20    the lower-cased code point, or with `EXPANDS` the row of `WordTables.expansions`
21–22   the action: `BREAK` ends a word, `KEEP` is part of it, `SKIP` is left out of it
23      `EXPANDS`: the lower case is several code points (in Unicode 14 to 16 only U+0130)
24–25   the context of the final sigma: 0, `CASED` or `IGNORABLE`
======  ==================================================================================

Action and lower case come from `str` and `unicodedata` of the running Python. So does the context:
Python does not publish the properties Cased and Case_Ignorable, but ``"AcΣ".lower()`` and
``" cΣ".lower()`` give them away for every c (Unicode, section 3.13, Final_Sigma).
"""

from __future__ import annotations

import functools
import string
import sys
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpus.text import normalization

CODE_POINTS = sys.maxunicode + 1
_BLOCK = 1 << 14  # code points that are probed at a time, so that a worker does not keep 90 MB more
CAPITAL_SIGMA = 0x3A3
FINAL_SIGMA = 0x3C2

BREAK, KEEP, SKIP = 0, 1, 2
CODE_POINT_MASK = (1 << 21) - 1
ACTION_SHIFT = 21
ACTION_MASK = 3
EXPANDS = 1 << 23
CONTEXT_SHIFT = 24
CASED, IGNORABLE = 1, 2

# What `character_flags` says of a code point, one bit each.
WHITESPACE, ALPHABETIC, WORD_CHARACTER = 1, 2, 4

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class WordTables:
    """What a kernel needs to know about one kind of words.

    Attributes:
        entries: uint32[CODE_POINTS], laid out as in the module's head.
        expansions: uint32[rows, columns]: how many code points are kept, whether the word ends
            after them (1 or 0), then the code points.
    """

    entries: Codes
    expansions: Codes


def _text(codes: Codes) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)


@functools.cache
def _every_character() -> str:
    return _text(np.arange(CODE_POINTS, dtype=np.uint32))


def _flags(predicate: object) -> Flags:
    return np.fromiter(predicate, dtype=np.bool_, count=CODE_POINTS)  # type: ignore[call-overload, no-any-return]


@functools.cache
def _long_lower_cases() -> dict[int, str]:
    lowered = map(str.lower, _every_character())
    return {code: lower for code, lower in enumerate(lowered) if len(lower) != 1}


def _probe(before: str, codes: Codes) -> Codes:
    """Return, for each code point c, the second and third of ``(before + c + "Σ ").lower()``."""
    probes = np.empty((len(codes), 4), dtype=np.uint32)
    probes[:, 0] = ord(before)
    probes[:, 1] = codes
    # A lower case of several code points would shift all that follows; `_contexts` does these.
    probes[np.isin(codes, list(_long_lower_cases())), 1] = ord(" ")
    probes[:, 2] = CAPITAL_SIGMA
    probes[:, 3] = ord(" ")
    return _codes(_text(probes.ravel()).lower()).reshape(len(codes), 4)[:, 1:3]


@functools.cache
def _lower_and_contexts() -> tuple[Codes, Codes]:
    lower = np.empty(CODE_POINTS, dtype=np.uint32)
    contexts = np.empty(CODE_POINTS, dtype=np.uint32)
    for start in range(0, CODE_POINTS, _BLOCK):
        codes = np.arange(start, min(start + _BLOCK, CODE_POINTS), dtype=np.uint32)
        after_letter, after_space = _probe("A", codes), _probe(" ", codes)
        # Behind a letter, a sigma is final if c is cased or ignorable; behind a space, if c is
        # cased and not ignorable (one that is both is passed over like any ignorable one).
        either = after_letter[:, 1] == FINAL_SIGMA
        cased = after_space[:, 1] == FINAL_SIGMA
        lower[codes] = after_letter[:, 0]
        contexts[codes] = np.where(cased, CASED, np.where(either, IGNORABLE, 0))
    for code in _long_lower_cases():
        is_cased = f" {chr(code)}Σ".lower().endswith("ς")
        is_either = f"A{chr(code)}Σ".lower().endswith("ς")
        contexts[code] = CASED if is_cased else IGNORABLE if is_either else 0
    return lower, contexts


def _actions(kind: str) -> Codes:
    """Return the action of every code point, taken as one of a text that is lower-cased already."""
    characters = _every_character()
    if kind == "word":
        kept = _flags(map(str.isalnum, characters))  # re's \w is isalnum and the underscore
        kept[ord("_")] = True
        return np.where(kept, KEEP, BREAK).astype(np.uint32)
    actions = np.where(_flags(map(str.isspace, characters)), BREAK, KEEP).astype(np.uint32)
    if kind == "plain":
        marks = _flags(category[0] == "P" for category in map(unicodedata.category, characters))
        marks[[ord(mark) for mark in string.punctuation]] = True
        actions[marks] = SKIP
    return actions


def _expansion(character: str, lower: str, actions: Codes) -> list[int]:
    """Return how many code points of a long lower case are kept, if a word ends there, and which.

    Raises:
        ValueError: A word would end and another begin within the lower case of one character. No
            version of Unicode has such a character; the kernels could not follow.
    """
    done = [int(actions[ord(part)]) for part in lower]
    kept = [ord(part) for part, action in zip(lower, done, strict=True) if action == KEEP]
    ends = BREAK in done
    if not kept or (ends and KEEP in done[done.index(BREAK) :]):
        raise ValueError(f"the lower case of U+{ord(character):04X} does not lie within one word")
    return [len(kept), int(ends), *kept]


@functools.cache
def word_tables(kind: str) -> WordTables:
    """Return the tables of one kind of words; built once in a process (about 0.4 s), 4.5 MB.

    Args:
        kind: One of `corpus.text.normalization.WORDS_VERSIONS`.

    Raises:
        ValueError: There is no such kind.
    """
    normalization.check_kind(kind)
    lower, contexts = _lower_and_contexts()
    actions = _actions(kind)
    entries = lower | (actions[lower] << np.uint32(ACTION_SHIFT))
    rows = []
    for row, (code, text) in enumerate(sorted(_long_lower_cases().items())):
        entries[code] = row | (KEEP << ACTION_SHIFT) | EXPANDS
        rows.append(_expansion(chr(code), text, actions))
    entries |= contexts << np.uint32(CONTEXT_SHIFT)
    expansions = np.zeros((len(rows), max(map(len, rows), default=2)), dtype=np.uint32)
    for row, values in enumerate(rows):
        expansions[row, : len(values)] = values
    entries.setflags(write=False)
    expansions.setflags(write=False)
    return WordTables(entries=entries, expansions=expansions)


@functools.cache
def character_flags() -> npt.NDArray[np.uint8]:
    """Return what each code point is: white space, alphabetic, part of a word as `re` has it.

    Returns:
        uint8[CODE_POINTS], the bits `WHITESPACE` (str.isspace), `ALPHABETIC` (str.isalpha) and
        `WORD_CHARACTER` (str.isalnum, or the underscore), 1.1 MB.
    """
    characters = _every_character()
    flags = _flags(map(str.isspace, characters)).astype(np.uint8) * WHITESPACE
    flags |= _flags(map(str.isalpha, characters)).astype(np.uint8) * ALPHABETIC
    flags |= _flags(map(str.isalnum, characters)).astype(np.uint8) * WORD_CHARACTER
    flags[ord("_")] |= WORD_CHARACTER
    flags.setflags(write=False)
    return flags


# What `ascii_table` says of a byte that is not a character of a word by itself.
WIDE, SKIPPED, ENDS = 0xFD, 0xFE, 0xFF


@functools.cache
def ascii_table(kind: str) -> npt.NDArray[np.uint8]:
    """Return what each byte is to one kind of words, uint8[256].

    The lower case of a character that belongs to a word; `SKIPPED` or `ENDS` for one that is left
    out of a word or ends it; `WIDE` for a byte of a character beyond ASCII.

    Args:
        kind: As in `word_tables`.

    Raises:
        ValueError: There is no such kind.
    """
    entries = word_tables(kind).entries[:128]
    actions = (entries >> np.uint32(ACTION_SHIFT)) & np.uint32(ACTION_MASK)
    lower = entries & np.uint32(CODE_POINT_MASK)
    table = np.full(256, WIDE, dtype=np.uint8)
    table[:128] = np.where(actions == KEEP, lower, np.where(actions == BREAK, ENDS, SKIPPED))
    table.setflags(write=False)
    return table
