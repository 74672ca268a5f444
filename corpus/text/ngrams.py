"""Word n-grams of an Arrow column of text, as sets of 64-bit hashes.

The shingles of near-duplicate detection (GPT-3, Appendix A; Broder 1997) and the 13-grams of
decontamination (Appendix C). A column goes in; out come flat arrays, one slice a document.

The hash of an n-gram is that of its words and not of their joined bytes: with w the XXH64 of a
word's UTF-8 bytes, ``mixed64((w1·B^(n-1) + w2·B^(n-2) + … + wn) mod 2^64)``, where B is
0x9E3779B97F4A7C15 and mixed64 the finaliser of MurmurHash3. It rolls on by one word at a cost that
does not depend on n. Two different n-grams have the same hash with a probability of about 2^-64:
some 10^-7 for any two among a million n-grams.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.text import kernels
from corpus.text.kernel_cache import njit
from corpus.text.unicode_tables import word_tables


def text_buffers(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the bytes of a column of text, without copying them, and where each text begins.

    Args:
        texts: A string or large_string array without nulls; it may be a slice of a longer one.

    Returns:
        The UTF-8 bytes as a read-only view of the column's buffer, uint8, and int64[n + 1] offsets
        into it: text i is ``data[offsets[i]:offsets[i + 1]]``. A slice's first offset is not 0.

    Raises:
        TypeError: `texts` is no Arrow array of strings (a ChunkedArray is several of them).
        ValueError: `texts` has nulls.
    """
    if not isinstance(texts, (pa.StringArray, pa.LargeStringArray)):
        raise TypeError(f"expected an Arrow array of strings, not {type(texts).__name__}")
    if texts.null_count:
        raise ValueError(f"{texts.null_count} of {len(texts)} texts are null")
    width = np.dtype(np.int64 if isinstance(texts, pa.LargeStringArray) else np.int32)
    _, offset_buffer, data_buffer = texts.buffers()
    if len(texts) == 0 or offset_buffer is None:
        offsets = np.zeros(1, dtype=np.int64)
    else:
        at = texts.offset * width.itemsize
        offsets = np.frombuffer(offset_buffer, width, len(texts) + 1, at).astype(np.int64)
    if data_buffer is None:
        data = np.empty(0, dtype=np.uint8)
        data.setflags(write=False)
    else:
        data = np.frombuffer(data_buffer, dtype=np.uint8)
        # Buffers that Python allocated are writable; as one type, the kernels are compiled once.
        data.setflags(write=False)
    return data, offsets


def shingle_sets(
    texts: pa.Array, *, shingle: int, words: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return the set of word n-grams of each text, as sorted distinct hashes.

    Args:
        texts: As in `text_buffers`.
        shingle: Words in an n-gram, at least 1.
        words: Kind of words, one of `corpus.text.normalization.WORDS_VERSIONS`.

    Returns:
        int64[n + 1] offsets and the uint64 hashes: the set of text i is
        ``hashes[offsets[i]:offsets[i + 1]]``. A text of fewer than `shingle` words has none.

    Raises:
        TypeError: As in `text_buffers`.
        ValueError: Likewise, or a setting is out of its range.
    """
    check_size(shingle)
    data, offsets = text_buffers(texts)
    tables = word_tables(words)
    bounds, hashes = kernels.ngram_hashes(data, offsets, tables.entries, tables.expansions, shingle)
    for start, end in itertools.pairwise(bounds.tolist()):
        hashes[start:end].sort()
    starts = _keep_distinct(bounds, hashes)
    return starts, hashes[: starts[-1]].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _keep_distinct(
    bounds: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Move the distinct hashes of each document, which are sorted, to the start of the array.

    Returns:
        Where those of each document begin now, and behind them where the last end.
    """
    found = np.zeros(len(bounds), dtype=np.int64)
    used = 0
    for row in range(len(bounds) - 1):
        for at in range(bounds[row], bounds[row + 1]):
            if at == bounds[row] or hashes[at] != hashes[used - 1]:
                hashes[used] = hashes[at]
                used += 1
        found[row + 1] = used
    return found


def check_size(size: int) -> None:
    """Refuse a number of words that is no length of an n-gram.

    Raises:
        ValueError: `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"an n-gram has at least 1 word, not {size}")
