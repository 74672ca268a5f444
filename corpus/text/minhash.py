"""MinHash signatures, the keys of their bands, and the Jaccard similarity that they estimate.

Near-duplicate detection (GPT-3, Appendix A; Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", section 3.4). A signature only proposes candidates: whether two documents are
similar is decided by `jaccard` over their shingle sets (`corpus.text.ngrams.shingle_sets`).

Signatures are bit-identical to those of datasketch 2, scheme ``affine32``, with
``hashfunc=mmh3.hash(..., signed=False)`` over each shingle's words, joined by one space, as UTF-8:
an existing datasketch index can be queried with them, and the other way round.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.text import kernels
from corpus.text.kernel_cache import njit
from corpus.text.ngrams import check_size, text_buffers
from corpus.text.unicode_tables import word_tables

# Recorded beside signatures that are kept, with the seed, the shingle and the version of the words.
SIGNATURE_VERSION = "datasketch-affine32-murmur3-1"
BAND_KEY_VERSION = "fmix64-chain-1"

Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]


def signatures(
    texts: pa.Array, *, permutations: int, shingle: int, words: str, seed: int
) -> UInt32s:
    """Return the MinHash signature of each text.

    Args:
        texts: A string or large_string array without nulls.
        permutations: Length of a signature, at least 1.
        shingle: Words in a shingle, at least 1.
        words: Kind of words, one of `corpus.text.normalization.WORDS_VERSIONS`.
        seed: Seed of datasketch's permutations, 0 to 2^32 - 1.

    Returns:
        uint32[n, permutations]. A text of fewer than `shingle` words has the signature of the empty
        set, 2^32 - 1 throughout. All such texts share their bands: the caller keeps them apart.

    Raises:
        TypeError: As in `corpus.text.ngrams.text_buffers`.
        ValueError: Likewise, or a setting is out of its range.
    """
    return counted_signatures(
        texts, permutations=permutations, shingle=shingle, words=words, seed=seed
    )[0]


def counted_signatures(
    texts: pa.Array, *, permutations: int, shingle: int, words: str, seed: int
) -> tuple[UInt32s, Int64s]:
    """Return the MinHash signature of each text as `signatures` does, and its size.

    Returns:
        uint32[n, permutations], and int64[n], the number of shingles with their repetitions.
    """
    check_size(shingle)
    data, offsets = text_buffers(texts)
    tables = word_tables(words)
    factors, terms = _permutations(permutations, seed)
    found = kernels.minhash_signatures(
        data,
        offsets,
        tables.entries,
        tables.expansions,
        shingle,
        factors,
        terms,
    )
    return cast(tuple[UInt32s, Int64s], found)


def _permutations(count: int, seed: int) -> tuple[UInt32s, UInt32s]:
    """Return the factors and terms of datasketch's `affine32`, without the import of it and SciPy.

    It takes some 40 MB in every worker. NumPy keeps the stream of `RandomState` as it is for ever.
    """
    draw = np.random.RandomState(seed)
    factors = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, draw.randint(0, 1 << 32, count, dtype=np.uint32)


def band_keys(signatures: UInt32s, *, bands: int, rows: int) -> UInt64s:
    """Return one 64-bit key for each band of each signature; equal keys propose a candidate pair.

    Band b is the values b·rows to (b + 1)·rows - 1; what lies behind the last band is not used. A
    key begins as the mixed number of the band and takes in one value after the other, each time as
    ``key = mixed(key xor value)``, with the 64-bit finaliser of MurmurHash3. So keys of different
    bands can lie in one table.

    Args:
        signatures: uint32[n, permutations].
        bands: Number of bands, at least 1.
        rows: Values in a band, at least 1.

    Returns:
        uint64[n, bands].

    Raises:
        ValueError: The bands need more values than a signature has, or none.
    """
    documents, permutations = signatures.shape
    if bands < 1 or rows < 1 or bands * rows > permutations:
        raise ValueError(
            f"{bands} bands of {rows} rows cannot be taken from {permutations} permutations"
        )
    values = signatures[:, : bands * rows].reshape(documents, bands, rows)
    keys = np.tile(_mixed(np.arange(1, bands + 1, dtype=np.uint64)), (documents, 1))
    for row in range(rows):
        keys = _mixed(keys ^ values[:, :, row])
    return keys


def _mixed(values: UInt64s) -> UInt64s:
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _shared(a: UInt64s, b: UInt64s) -> int:
    shared = 0
    i = 0
    j = 0
    while i < len(a) and j < len(b):
        left, right = a[i], b[j]
        shared += left == right
        i += left <= right
        j += right <= left
    return shared


def jaccard(a: UInt64s, b: UInt64s) -> float:
    """Return the Jaccard similarity of two sets, given as sorted distinct hashes.

    Two empty sets have similarity 0: texts too short for a shingle are not alike for that.
    """
    shared = int(_shared(a, b))
    union = len(a) + len(b) - shared
    return shared / union if union else 0.0


def exact_keys(texts: pa.Array) -> UInt64s:
    """Return a 128-bit hash of each text's UTF-8 bytes: equal keys, equal texts.

    BLAKE2b, and not a faster hash, since a page could be made to collide with another one.

    Args:
        texts: A string or large_string array without nulls.

    Returns:
        uint64[n, 2], the digest's 16 bytes as two big-endian numbers.

    Raises:
        TypeError, ValueError: As in `corpus.text.ngrams.text_buffers`.
    """
    data, offsets = text_buffers(texts)
    contents = data.data
    digests = b"".join(
        hashlib.blake2b(contents[start:end], digest_size=16).digest()
        for start, end in itertools.pairwise(offsets.tolist())
    )
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)
