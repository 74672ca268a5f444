r"""Words: how a text is normalised before its n-grams are taken.

Three readings of "word" are in use, each a plain function of the text and of the Unicode version
of the running Python:

``word``
    Runs of ``\w`` of the lower-cased text. The words of near-duplicate detection, where
    neither punctuation nor layout is to count.
``whitespace``
    The lower-cased text, split on whitespace. The words of the quality classifier (GPT-3,
    Appendix A: Spark's Tokenizer), hence those of Appendix A's deduplication, which uses "the same
    features".
``plain``
    GPT-3, Appendix C: "a lowercase, whitespace delimited word with no punctuation". The text is
    lower-cased and split on whitespace, every punctuation character is taken out of each word, and
    words that are empty after that vanish: "state-of-the-art" is one word, "stateoftheart", and a
    dash between spaces is none. Punctuation is ``string.punctuation`` together with every
    character of a Unicode category P (the paper does not define it).

Lower-casing is ``str.lower``, including its context rule for the Greek final sigma and its
expansion of U+0130; whitespace is that of ``str.split``.

`words` here is the plain reference. `corpus.text.kernels` computes the same words from UTF-8 bytes
with the tables of `corpus.text.unicode_tables`, and has to agree with it exactly.
"""

from __future__ import annotations

import functools
import re
import string
import sys
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

_WORD = re.compile(r"\w+")


def is_punctuation(character: str) -> bool:
    """Say whether a character is punctuation in the sense of the ``plain`` words."""
    return character in string.punctuation or unicodedata.category(character).startswith("P")


@functools.cache
def _without_punctuation() -> Mapping[int, None]:
    characters = map(chr, range(sys.maxunicode + 1))
    return {ord(character): None for character in characters if is_punctuation(character)}


def _word(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _whitespace(text: str) -> list[str]:
    return text.lower().split()


def _plain(text: str) -> list[str]:
    # No punctuation character is whitespace, so deleting before splitting gives the same words.
    return text.lower().translate(_without_punctuation()).split()


_SPLITTERS: Mapping[str, Callable[[str], list[str]]] = MappingProxyType(
    {"word": _word, "whitespace": _whitespace, "plain": _plain}
)

# What is kept across runs (signatures, an index) records the version of its words: which characters
# belong to a word, and what their lower case is, depends on these rules and on Unicode's tables.
WORDS_VERSIONS: Mapping[str, str] = MappingProxyType(
    {kind: f"{kind}-1-unicode-{unicodedata.unidata_version}" for kind in _SPLITTERS}
)


def check_kind(kind: str) -> None:
    """Refuse a kind of words that does not exist.

    Raises:
        ValueError: `kind` is not one of `WORDS_VERSIONS`.
    """
    if kind not in _SPLITTERS:
        raise ValueError(f"no kind of words is called {kind!r}; there are {', '.join(_SPLITTERS)}")


def words(text: str, *, kind: str) -> list[str]:
    """Return the normalised words of a text, in order.

    Args:
        text: Any text.
        kind: ``"word"``, ``"whitespace"`` or ``"plain"``, see the module's head.

    Raises:
        ValueError: `kind` is none of the three.
    """
    check_kind(kind)
    return _SPLITTERS[kind](text)
