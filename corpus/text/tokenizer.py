"""Byte-level BPE: text to token ids and back, without network.

GPT-3 (section 2.1) "reuses the GPT-2 tokenizer"; GPT-2 (section 2.2) splits text with a regular
expression and merges bytes inside each piece. The encoder is tiktoken's, built here from the ranks:
the GPT-2 ranks are package data, others are read from a tiktoken ranks file or a `tokenizer.json`.

In: strings. Out: one array of token ids per string, without an end-of-text token. Special tokens
are never looked for in text: a page that says "<|endoftext|>" is encoded as those 13 characters.
"""

from __future__ import annotations

import binascii
import functools
import hashlib
import importlib.resources
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tiktoken

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.text.vocabulary import (
    END_OF_TEXT,
    FAST_SPLIT,
    MAX_FILE_BYTES,
    Vocabulary,
    from_json,
    from_ranks,
)

_GPT2_DIGEST = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
# The engine gives up after 1,000,000 steps back, which `\s+(?!\S)` reaches on a run of that many
# spaces (measured: 400,000 pass, 1,000,000 fail), so longer runs than this are cut beforehand.
_LONG_RUN = 1 << 16
_LOOK = 16  # characters
# \s of the Rust engine is Unicode's White_Space; Python's own \s has four control characters more.
_WHITE_SPACE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_LONG_RUN_END = re.compile(rf"{_WHITE_SPACE}{{{_LONG_RUN},}}+(?=.)", re.DOTALL)


class Encoded(NamedTuple):
    """The tokens of some texts, behind each other.

    Attributes:
        ids: uint32 [tokens].
        ends: int64 [texts], where the tokens of each text end in `ids`.
    """

    ids: npt.NDArray[np.uint32]
    ends: npt.NDArray[np.int64]

    @classmethod
    def join(cls, rows: Sequence[npt.NDArray[np.uint32]]) -> Encoded:
        """Put the rows of single texts behind each other."""
        ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        return cls(np.concatenate([np.zeros(0, dtype=np.uint32), *rows]), ends)

    def rows(self) -> list[npt.NDArray[np.uint32]]:
        """Return the tokens of each text."""
        return np.split(self.ids, self.ends[:-1]) if self.ends.size else []


class Tokenizer:
    """A byte-level BPE with the GPT-2 split.

    Attributes:
        name: "gpt2", or the name of the file.
        vocabulary_size: One more than the largest token id.
        end_of_text: The id that ends a document.
        digest: SHA-256 of the ranks, written as a tiktoken ranks file in ascending order.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.name = vocabulary.name
        self.vocabulary_size = vocabulary.size
        self.end_of_text = vocabulary.end_of_text
        ranks = sorted(vocabulary.ranks.items(), key=lambda item: item[1])
        self._ranks_file = b"".join(
            b"%s %d\n" % (binascii.b2a_base64(token, newline=False), rank) for token, rank in ranks
        )
        self.digest = hashlib.sha256(self._ranks_file).hexdigest()
        self._known = np.zeros(vocabulary.size, dtype=bool)
        self._known[[*vocabulary.ranks.values(), vocabulary.end_of_text]] = True
        self._encoding = tiktoken.Encoding(
            vocabulary.name,
            pat_str=FAST_SPLIT,
            mergeable_ranks=vocabulary.ranks,
            special_tokens={END_OF_TEXT: vocabulary.end_of_text},
        )

    def ranks_file(self) -> bytes:
        """Return the vocabulary as a tiktoken ranks file, in ascending order."""
        return self._ranks_file

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.uint32]]:
        """Return the token ids of each text.

        Time is n log n in the length of a text, also for one without spaces. Lone surrogates, which
        UTF-8 cannot hold, become U+FFFD.
        """
        return [self._encode(text) for text in texts]

    def encode_utf8(self, texts: Sequence[bytes]) -> Encoded:
        """Return the token ids of texts given as UTF-8."""
        return Encoded.join([self._encode(text.decode()) for text in texts])

    def _encode(self, text: str) -> npt.NDArray[np.uint32]:
        if len(text) <= _LONG_RUN:
            return self._encode_piece(text)
        pieces = cut(text)
        if len(pieces) == 1:
            return self._encode_piece(text)
        return np.concatenate([self._encode_piece(piece) for piece in pieces])

    def _encode_piece(self, text: str) -> npt.NDArray[np.uint32]:
        try:
            return self._encoding.encode_to_numpy(text, disallowed_special=())
        except UnicodeEncodeError:
            # As tiktoken does: pairs of surrogates are joined, lone ones replaced.
            repaired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            return self._encoding.encode_to_numpy(repaired, disallowed_special=())

    def decode_bytes(self, tokens: Sequence[int] | npt.NDArray[np.integer[Any]]) -> bytes:
        """Return the bytes that the tokens stand for; end of text is written as "<|endoftext|>".

        Raises:
            InputError: An id is not in the vocabulary.
        """
        ids = np.asarray(tokens, dtype=np.int64)
        inside = (ids >= 0) & (ids < self.vocabulary_size)
        wrong = ids[~inside] if not inside.all() else ids[~self._known[ids]]
        if wrong.size:
            raise InputError(
                f"token {wrong[0]} is not in the vocabulary {self.name}",
                why=f"Its {self.vocabulary_size:,} ids go from 0 to {self.vocabulary_size - 1:,}",
                fix="Read the shards with the vocabulary that they were written with",
            )
        return self._encoding.decode_bytes(ids.tolist())

    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer[Any]]) -> str:
        """Return the text that the tokens stand for; bytes that are not UTF-8 become U+FFFD."""
        return self.decode_bytes(tokens).decode("utf-8", errors="replace")


def cut(text: str) -> list[str]:
    r"""Cut a text where the GPT-2 split certainly cuts it: in white space of 65,536 and more.

    Such a run followed by a visible character is split before its last character (`\s+(?!\S)`
    takes all but that one). The split never looks back, and a run that ends a text is taken whole,
    so the ids of the pieces, put together, are the ids of the text.
    """
    # Such a run covers one of these places; looking at those alone takes no time.
    looks = range(0, len(text), _LONG_RUN - _LOOK)
    if not any(text[place : place + _LOOK].isspace() for place in looks):
        return [text]
    places = [match.end() - 1 for match in _LONG_RUN_END.finditer(text)]
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def load(
    vocabulary: str, *, end_of_text: str | int | None = None, size: int | None = None
) -> Tokenizer:
    """Load a vocabulary: "gpt2" (packaged), a tiktoken ranks file, or a `tokenizer.json`.

    A ranks file has one token a line, base64 and rank; its end-of-text id is the number of ranks,
    unless it was written from a `tokenizer.json` and both numbers are given (`from_ranks`). A
    `tokenizer.json` has to be a byte-level BPE with the GPT-2 split; which of its added tokens ends
    a document may be given, by its name or its id (`from_json`).

    Raises:
        InputError: The file cannot be read, or is not such a vocabulary.
        IntegrityError: The packaged ranks are damaged.
    """
    if vocabulary == "gpt2":
        data = importlib.resources.files("corpus.text").joinpath("gpt2.tiktoken").read_bytes()
        if hashlib.sha256(data).hexdigest() != _GPT2_DIGEST:
            raise IntegrityError(
                "the packaged GPT-2 ranks are damaged",
                where="corpus/text/gpt2.tiktoken",
                why=f"Their SHA-256 is not {_GPT2_DIGEST}",
                fix="Install the package again",
            )
        return _built(data, "gpt2", "corpus/text/gpt2.tiktoken")
    with storage.open_input(vocabulary) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    return _built(data, storage.name(vocabulary), vocabulary, end_of_text, size)


@functools.lru_cache(maxsize=2)
def _built(
    data: bytes,
    name: str,
    where: str,
    end_of_text: str | int | None = None,
    size: int | None = None,
) -> Tokenizer:
    """Build a vocabulary, or return the one built before: it takes as long as 5 MB of text."""
    if where.endswith(".json"):
        return Tokenizer(from_json(data, name=name, where=where, end_of_text=end_of_text))
    last = None if end_of_text is None else int(end_of_text)
    return Tokenizer(from_ranks(data, name=name, where=where, end_of_text=last, size=size))
