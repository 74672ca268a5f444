"""Invertible de-tokenizers: text that was cut into words for a benchmark, as people write it.

GPT-2, section 3.1: such text "is extremely out-of-distribution", de-tokenizers undo what they can,
and "since these de-tokenizers are invertible, we can still calculate the log probability of a
dataset". The paper's own are not published. In: lines of words and marks with spaces between. Out:
the line as it is written, and whether the way back leads to the words that it came from.

That is not left to chance: marks are joined to a word only where splitting what comes out gives
them back, and stay apart where it does not ("H ." would be taken for the initial "H."). What is
left are words that look like joined ones from the start ("t-shirt" in WikiText, where it should be
"t @-@ shirt"): a line with such a word stays as it is, `exact` tells, and the report counts them.
White space at the ends of a line and its width between words stand for nothing. `<unk>` and PTB's
`N` cannot be undone and stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

_CONTRACTION = re.compile(r"(?P<word>.+?)(?P<ending>n't|'(?:s|re|ve|ll|d|m))", re.IGNORECASE)
_ENDING = re.compile(r"n't|'(?:s|re|ve|ll|d|m)", re.IGNORECASE)
# A full stop belongs to an initial, to what has one inside, and to these.
_ABBREVIATION = re.compile(
    r"[A-Z]|.*\w\.\w.*|Mr|Mrs|Ms|Dr|St|Jr|Sr|Lt|Sgt|Col|Gen|Capt|Prof|Rev|vs|Nos?|Inc|Co|Corp|Ltd|"
    r"Bros|etc|approx|ca|cf|var"
)
_HYPHEN = re.compile(r"(?<=[^\W_])-(?=[^\W_])")
_DIGITS = {
    ",": re.compile(r"(?<=\d),(?=\d)"),
    ".": re.compile(r"(?<=\d)\.(?=\d)"),
    "-": _HYPHEN,
}


@dataclass(frozen=True, slots=True)
class Written:
    """A line as it is written.

    Attributes:
        text: The line; unchanged where it is not exact.
        exact: Its words can be told from it.
    """

    text: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Detokenizer:
    """How the text of a benchmark was cut into words.

    Attributes:
        name: Its name in a recipe.
        opening: Marks that stand before a word without a space.
        closing: Marks that stand behind a word without a space.
        quotes: What stands for an opening and for a closing double quote; None: none does.
        joins: Tokens between two words without spaces, and the sign that each stands for.
        signs: Tokens that stand for a sign: "-LRB-" for "(".
        contractions: "n't", "'s" and their like are words of their own.
        line_ends: The end of a line is counted as a word, as results on this benchmark count it.
    """

    name: str
    opening: frozenset[str] = frozenset()
    closing: frozenset[str] = frozenset()
    quotes: tuple[str, str] | None = None
    joins: Mapping[str, str] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)
    contractions: bool = False
    line_ends: bool = False

    def detokenize(self, line: str) -> Written:
        """Return a line as it is written."""
        tokens = line.split()
        if not self.contractions:
            return Written(line, True)
        pieces: list[str] = []
        is_open = False
        for chunk in self._chunks(tokens):
            joined, after = self._join(chunk, is_open)
            if self._split(joined, is_open) == (list(chunk), after):
                pieces.append(joined)
            else:
                pieces += [self._join((token,), is_open)[0] for token in chunk]
            is_open = after
        text = " ".join(pieces)
        if self.tokenize(text) != tokens:
            return Written(" ".join(tokens), False)
        return Written(text, True)

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a line that `detokenize` made."""
        if not self.contractions:
            return text.split()
        tokens: list[str] = []
        is_open = False
        for piece in text.split():
            found, is_open = self._split(piece, is_open)
            tokens += found
        return tokens

    def _chunks(self, tokens: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the tokens in groups that are written without a space inside."""
        chunks: list[list[str]] = []
        joined = is_open = False
        for number, token in enumerate(tokens):
            is_quote = self.quotes is not None and token in self.quotes
            to_left = (
                token in self.joins
                or self.signs.get(token, token) in self.closing
                or bool(_ENDING.fullmatch(token))
                or (token == "'" and number > 0 and tokens[number - 1].endswith("s"))
                or (is_quote and is_open)
            )
            if chunks and (joined or to_left):
                chunks[-1].append(token)
            else:
                chunks.append([token])
            joined = (
                token in self.joins
                or self.signs.get(token, token) in self.opening
                or (is_quote and not is_open)
            )
            is_open ^= is_quote
        return [tuple(chunk) for chunk in chunks]

    def _join(self, chunk: Sequence[str], is_open: bool) -> tuple[str, bool]:
        """Return a group as it is written, and whether a quote is open behind it."""
        text = ""
        for token in chunk:
            if self.quotes is not None and token in self.quotes:
                text += '"'
                is_open = not is_open
            elif len(chunk) > 1:
                text += self.joins.get(token, self.signs.get(token, token))
            else:
                text += self.signs.get(token, token)
        return text, is_open

    def _split(self, piece: str, is_open: bool) -> tuple[list[str], bool]:
        """Return the tokens of a piece without spaces, and whether a quote is open behind it."""
        head: list[str] = []
        tail: list[str] = []
        quote = '"' if self.quotes else ""
        while len(piece) > 1 and (piece[0] in self.opening or piece[0] == quote):
            head.append(piece[0])
            piece = piece[1:]
        while len(piece) > 1:
            if piece.endswith("...") and len(piece) > 3 and "." in self.closing:
                last = "..."
            elif piece[-1] == quote or (piece[-1] in self.closing and not self._is_initial(piece)):
                last = piece[-1]
            elif piece.endswith("s'"):
                last = "'"
            else:
                break
            tail.insert(0, last)
            piece = piece[: -len(last)]
        return self._marked([*head, *self._words(piece), *tail], is_open)

    def _is_initial(self, piece: str) -> bool:
        return piece == "..." or (piece[-1] == "." and bool(_ABBREVIATION.fullmatch(piece[:-1])))

    def _words(self, piece: str) -> list[str]:
        """Return a piece without marks round it, cut at its joins and before its contraction."""
        if piece in self.joins or not piece:
            return [piece] if piece else []
        found = _CONTRACTION.fullmatch(piece)
        parts = [found["word"], found["ending"]] if found else [piece]
        for token, sign in self.joins.items():
            cut: list[str] = []
            for part in parts:
                first, *rest = _DIGITS[sign].split(part)
                cut.append(first)
                for one in rest:
                    cut += [token, one]
            parts = cut
        return parts

    def _marked(self, tokens: list[str], is_open: bool) -> tuple[list[str], bool]:
        """Return tokens with the names that quotes and other signs have in the benchmark."""
        names = {sign: token for token, sign in self.signs.items()}
        found = []
        for token in tokens:
            if self.quotes is not None and token == '"':
                found.append(self.quotes[is_open])
                is_open = not is_open
            else:
                found.append(names.get(token, token))
        return found, is_open


_OPENING = frozenset("([{$£€")
_CLOSING = frozenset({*",.;:!?)]}%", "..."})
_BRACKETS = MappingProxyType({"-LRB-": "(", "-RRB-": ")"})

NONE = Detokenizer("none")
PTB = Detokenizer("ptb", opening=frozenset("$"), contractions=True, line_ends=True)
WIKITEXT = Detokenizer(
    "wikitext",
    opening=_OPENING,
    closing=_CLOSING,
    quotes=('"', '"'),
    joins=MappingProxyType({"@-@": "-", "@,@": ",", "@.@": "."}),
    contractions=True,
    line_ends=True,
)
ONE_BILLION_WORDS = Detokenizer(
    "1bw",
    opening=_OPENING,
    closing=_CLOSING,
    quotes=('"', '"'),
    contractions=True,
    line_ends=True,
)
CBT = Detokenizer(
    "cbt",
    opening=_OPENING,
    closing=_CLOSING,
    quotes=("``", "''"),
    signs=_BRACKETS,
    contractions=True,
)
LAMBADA = Detokenizer(
    "lambada",
    opening=_OPENING,
    closing=_CLOSING,
    quotes=("``", "''"),
    contractions=True,
)

DETOKENIZERS: Mapping[str, Detokenizer] = MappingProxyType(
    {one.name: one for one in (NONE, PTB, WIKITEXT, ONE_BILLION_WORDS, LAMBADA, CBT)}
)
