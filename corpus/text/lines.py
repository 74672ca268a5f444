"""Lines of an Arrow column of text: where they are, what they are compared by, how they are cut.

A line ends at a line feed and nowhere else: not at a carriage return, a form feed or U+2028, which
are white space within it. A paragraph is a run of lines with more than white space in them. Pure
functions; the loops are in `corpus.text.line_kernels` and `corpus.text.line_cut_kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.text import line_cut_kernels, line_kernels
from corpus.text.line_normalization import line_tables
from corpus.text.ngrams import text_buffers

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
UNITS = ("line", "paragraph")


@dataclass(frozen=True)
class Lines:
    """The lines, or the paragraphs, of a column of texts, in their order.

    Attributes:
        bounds: int64[texts + 1]: those of text i are ``bounds[i]`` to ``bounds[i + 1] - 1``.
        starts: First byte within the text, int64.
        ends: The byte behind the last one, without the line feed, int64.
        hashes: XXH64 of the normalised line, uint64.
        words: Words of the normalised line, int32; 0 for one of which nothing is left, and -1 for
            one of white space alone, which are like no other.
    """

    bounds: Int64s
    starts: Int64s
    ends: Int64s
    hashes: UInt64s
    words: Int32s

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def rows(self) -> Int64s:
        """The text of each line, int64."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))


@dataclass(frozen=True)
class LineCuts:
    """What is cut out of a column of texts.

    Attributes:
        offsets: int64[texts + 1]: the cuts of text i are ``cuts[offsets[i]:offsets[i + 1]]``.
        cuts: int64[n, 2], half-open ranges of bytes, ascending and apart; each is of whole lines,
            or reaches to the end of the text.
        left: int64[texts], characters that are left; 0 where nothing but white space is.
    """

    offsets: Int64s
    cuts: Int64s
    left: Int64s


def find_lines(texts: pa.Array, *, unit: str, normalization: str) -> Lines:
    """Find and hash the lines of a column of texts.

    Args:
        texts: A string or large_string array without nulls.
        unit: ``"line"`` or ``"paragraph"``.
        normalization: One of `corpus.text.line_normalization.VERSIONS`.

    Raises:
        TypeError: As in `corpus.text.ngrams.text_buffers`.
        ValueError: Likewise, or there is no such unit or normalisation.
    """
    if unit not in UNITS:
        raise ValueError(f"no unit is called {unit!r}: {', '.join(UNITS)}")
    tables = line_tables(normalization)
    data, offsets = text_buffers(texts)
    return Lines(
        *line_kernels.find_lines(
            data,
            offsets,
            unit == "paragraph",
            tables.ascii,
            tables.entries,
            tables.expansions,
            tables.growth,
        )
    )


def cut_lines(texts: pa.Array, found: Lines, gone: npt.NDArray[np.bool_]) -> LineCuts:
    """Cut lines out of a column of texts, with their line feeds.

    Where a blank line stands before and behind what is cut, one of them goes with it; where nothing
    is left behind a cut, the text ends with the last line that is left, as it ended before.

    Args:
        texts: What the lines were found in.
        found: The lines.
        gone: bool[lines], which are cut.

    Raises:
        TypeError: As in `corpus.text.ngrams.text_buffers`.
        ValueError: Likewise, or `gone` is not as long as `found`.
    """
    if len(gone) != len(found):
        raise ValueError(f"{len(gone)} flags for {len(found)} lines")
    data, offsets = text_buffers(texts)
    return LineCuts(
        *line_cut_kernels.cut_lines(
            data, offsets, found.bounds, found.starts, found.ends, found.words, gone
        )
    )
