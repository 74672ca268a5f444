"""The fast path of the encoder: gigatoken, where it is installed, watched by the reference.

gigatoken gives tiktoken's ids at a multiple of its speed. It is young, so nothing rests on it: the
extra `fast` installs it, a sample of every shard is encoded by both (corpus.stages.tokenize), and
documents that are very large go to the reference. Its cache of words has no bound (0.10), so it is
made anew after so many bytes.

In: texts as UTF-8. Out: what `Tokenizer.encode_utf8` returns.
"""

from __future__ import annotations

import functools
import importlib.util
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpus.text.tokenizer import Encoded, Tokenizer

# Of words that never come again, 66 MB take 600 MB of its cache; making it anew takes 0.05 s.
RECYCLE_BYTES = 64 << 20
LARGEST_TEXT = 16 << 20  # bytes; one such text alone could fill the cache
SAMPLED = 400  # one text in so many is encoded by both: a fiftieth of the fast encoder's time
MODULE = "gigatoken"


class EncodersDiffer(Exception):  # noqa: N818 - it is what happened, and never leaves the stage
    """The fast encoder gave other ids than the reference, or failed."""


def installed() -> bool:
    """Whether the fast encoder is there."""
    return importlib.util.find_spec(MODULE) is not None


class FastTokenizer:
    """A vocabulary's fast encoder.

    Args:
        reference: The encoder whose ids it gives.

    Raises:
        ValueError: It cannot hold the vocabulary.
    """

    def __init__(self, reference: Tokenizer) -> None:
        self.reference = reference
        self._encoded = 0
        self._encoder = self._make()

    def _make(self) -> Any:
        import gigatoken

        ranks = self.reference.ranks_file()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vocabulary.tiktoken"
            path.write_bytes(ranks)
            # No special tokens: text that looks like one is text. The split is named, not guessed.
            return gigatoken.Tokenizer.from_tiktoken(path, pretokenizer="gpt2", special_tokens={})

    def encode_utf8(self, texts: Sequence[bytes]) -> Encoded:
        """Return the token ids of texts given as UTF-8."""
        size = sum(map(len, texts))
        if size > LARGEST_TEXT:
            if len(texts) == 1:
                return self.reference.encode_utf8(texts)
            half = len(texts) // 2
            halves = self.encode_utf8(texts[:half]), self.encode_utf8(texts[half:])
            return Encoded.join([row for made in halves for row in made.rows()])
        if self._encoded > RECYCLE_BYTES:
            self._encoder, self._encoded = self._make(), 0
        self._encoded += size
        # One thread: the build runs as many processes as there are cores.
        made = self._encoder.encode_batch(list(texts), parallel=False).layout
        offsets = np.asarray(made.offsets.data, dtype=np.int64)
        return Encoded(np.asarray(made.content.data, dtype=np.uint32)[: offsets[-1]], offsets[1:])


@functools.lru_cache(maxsize=1)
def _shared(reference: Tokenizer) -> FastTokenizer:
    """Return the encoder that the shards of one process share: it takes 0.1 s to make."""
    return FastTokenizer(reference)


class Watched:
    """The fast encoder, some of whose texts are encoded by the reference, too.

    Args:
        reference: The encoder whose ids are right.
        seed: Of the sample: the first text, and one in `SAMPLED`.

    Raises:
        EncodersDiffer: It cannot hold the vocabulary.
    """

    def __init__(self, reference: Tokenizer, *, seed: str) -> None:
        self.vocabulary_size = reference.vocabulary_size
        self.end_of_text = reference.end_of_text
        self._draw = random.Random(seed)
        self._begun = False
        self._reference = reference
        try:
            self._fast = _shared(reference)
        except Exception as error:  # whatever it raises, the reference can do it
            raise EncodersDiffer(repr(error)) from error

    def encode_utf8(self, texts: Sequence[bytes]) -> Encoded:
        """Return the token ids of texts given as UTF-8.

        Raises:
            EncodersDiffer: Those of a text of the sample differ.
        """
        try:
            found = self._fast.encode_utf8(texts)
        except Exception as error:  # as above
            raise EncodersDiffer(repr(error)) from error
        if len(found.ends) != len(texts):
            raise EncodersDiffer(f"{len(texts)} texts gave {len(found.ends)} rows")
        chosen = [number for number in range(len(texts)) if self._draw.random() < 1 / SAMPLED]
        if texts and not self._begun:
            chosen, self._begun = [0, *chosen], True
        for number in chosen:
            right = self._reference.encode_utf8([texts[number]]).ids
            start = found.ends[number - 1] if number else 0
            if not np.array_equal(right, found.ids[start : found.ends[number]]):
                raise EncodersDiffer(f"text {texts[number][:80].decode(errors='replace')!r}")
        return found
