"""Cut benchmark text out of documents (GPT-3, Appendix C).

"We removed the colliding 13-gram as well as a 200 character window around it, splitting the
original document into pieces": pieces of fewer than 200 characters are discarded, and "documents
split into more than 10 pieces were considered contaminated and removed entirely". In go documents
and the hits of `corpus.text.contamination.find`, out come ranges of bytes to leave out.

Where the paper can be read in more than one way:

* The window is 200 characters on each side of the gram (as in EleutherAI's lm-evaluation-harness),
  not 200 in all: what is removed is the gram and up to 200 characters before and behind it, less at
  the ends of the document. A character is a code point. The gram reaches from the first to the
  last of its words as they were written, with the punctuation that is attached to them.
* Overlapping and touching windows are one cut. The pieces of a document are what is left before,
  between and behind its cuts, where that is not empty. They are counted before short ones are
  discarded.
* Only a document that was cut can lose a piece for being short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.document import CUTS, DropReason
from corpus.text import cut_kernels
from corpus.text.contamination import BenchmarkGrams, Hits
from corpus.text.ngrams import text_buffers

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_REASONS = {
    cut_kernels.KEPT: None,
    cut_kernels.CONTAMINATED: DropReason.CONTAMINATED,
    cut_kernels.NOTHING_LEFT: DropReason.NOTHING_LEFT,
}


@dataclass(frozen=True)
class Decontamination:
    """The verdicts on a column of documents, row by row.

    Attributes:
        kept: pa.bool_().
        reason: pa.string(), null where the document is kept.
        cuts: `corpus.document.CUTS`, half-open ranges of bytes, ascending, apart from each other,
            at boundaries of characters; empty for a document without a hit. Of a contaminated
            document: those that made the pieces.
        benchmarks: pa.list_(pa.string()), the benchmarks whose grams were found, in their order.
        pieces: int64[n], pieces that the grams and their windows leave, before short ones are
            discarded.
    """

    kept: pa.BooleanArray
    reason: pa.StringArray
    cuts: pa.ListArray
    benchmarks: pa.ListArray
    pieces: Int64s


def cut_documents(
    texts: pa.Array,
    hits: Hits,
    grams: BenchmarkGrams,
    *,
    ignored: Flags,
    window: int,
    minimum: int,
    maximum_pieces: int,
) -> Decontamination:
    """Cut the grams out of a column of documents.

    Args:
        texts: The string or large_string array, without nulls, that `hits` were found in.
        hits: What `corpus.text.contamination.find` found.
        grams: What it looked for.
        ignored: bool[grams]: grams that are left where they are, since too many documents have
            them (in the paper, more than 10).
        window: Characters on each side of a gram that are cut with it; 200 in the paper.
        minimum: Characters that a piece needs to be kept; 200 in the paper.
        maximum_pieces: A document in more pieces than this is dropped; 10 in the paper, at
            least 1.

    Raises:
        TypeError: As in `corpus.text.ngrams.text_buffers`.
        ValueError: Likewise, or a setting is too small, `ignored` is not as long as `grams`, or the
            hits lie outside the texts.
    """
    _check_settings(window, minimum, maximum_pieces)
    if len(ignored) != len(grams):
        raise ValueError(f"{len(ignored)} flags for {len(grams)} grams")
    data, offsets = text_buffers(texts)
    lengths = np.diff(offsets)
    if len(hits) and (hits.rows[-1] >= len(texts) or np.any(hits.ends > lengths[hits.rows])):
        raise ValueError("the hits were found in other texts")
    heeded = ~ignored[hits.grams]
    rows = hits.rows[heeded]
    documents = np.arange(len(texts) + 1)
    verdicts, pieces, cut_offsets, cuts = cut_kernels.cut_rows(
        data,
        offsets,
        np.stack([hits.starts[heeded], hits.ends[heeded]], axis=1),
        np.searchsorted(rows, documents).astype(np.int64),
        window,
        minimum,
        maximum_pieces,
    )
    spans = pa.StructArray.from_arrays(
        [pa.array(np.ascontiguousarray(column)) for column in cuts.T], fields=list(CUTS.value_type)
    )
    return Decontamination(
        kept=pa.array(verdicts == cut_kernels.KEPT),
        reason=pa.array([_REASONS[verdict] for verdict in verdicts.tolist()], type=pa.string()),
        cuts=_list_array(cut_offsets, spans),
        benchmarks=_benchmarks(rows, hits.grams[heeded], grams, documents),
        pieces=pieces,
    )


def _check_settings(window: int, minimum: int, maximum_pieces: int) -> None:
    least = {"window": (window, 0), "minimum": (minimum, 0), "maximum_pieces": (maximum_pieces, 1)}
    for name, (value, bound) in least.items():
        if value < bound:
            raise ValueError(f"{name} is {value}, less than {bound}")


def _list_array(offsets: Int64s, values: pa.Array) -> pa.ListArray:
    # Offsets of a list array have 32 bits; pa.array raises where a number does not fit.
    return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), values)


def _benchmarks(rows: Int64s, found: Int64s, grams: BenchmarkGrams, documents: Int64s) -> pa.Array:
    """Return the names of the benchmarks whose grams were found in each document."""
    sets = grams.sets[found]
    counts = np.diff(grams.offsets)[sets]
    # The members of the set of each hit's gram, one behind the other: where they begin, and then
    # counted on.
    begins = np.repeat(grams.offsets[:-1][sets] - (np.cumsum(counts) - counts), counts)
    members = grams.members[begins + np.arange(len(begins))]
    width = max(len(grams.names), 1)
    pairs = np.unique(np.repeat(rows, counts) * width + members)
    offsets = np.searchsorted(pairs, documents * width)
    names = pa.array(grams.names, type=pa.string())
    return _list_array(offsets, names.take(pa.array(pairs % width)))
