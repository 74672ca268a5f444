"""Where documents begin and end in a batch: what a trainer needs to keep them apart.

GPT-3 (Appendix B) packs documents into a sequence and masks nothing. Who wants each token to see
its own document alone makes the mask from these, in the form that the attention takes: numbers of
documents (a mask, FlexAttention), positions that begin again, or cumulative lengths (varlen).

In: token ids, each document ended by end of text. Out: arrays of the same shape. numpy only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def _first_tokens(inputs: NDArray[Any], end_of_text: int) -> NDArray[np.bool_]:
    """Return which tokens begin a document, or a row: bool [B, T]."""
    first = np.ones(inputs.shape, dtype=bool)
    first[:, 1:] = inputs[:, :-1] == end_of_text
    return first


def document_numbers(inputs: NDArray[Any], end_of_text: int) -> NDArray[np.int32]:
    """Return the number of each token's document in its row, from 0: int32 [B, T].

    A token may attend to those before it with the same number. End of text belongs to the document
    that it ends.
    """
    return np.cumsum(_first_tokens(inputs, end_of_text), axis=1, dtype=np.int32) - 1


def document_positions(inputs: NDArray[Any], end_of_text: int) -> NDArray[np.int32]:
    """Return each token's place in its document, or in what of it is in the row: int32 [B, T]."""
    places = np.arange(inputs.shape[1], dtype=np.int32)
    starts = np.where(_first_tokens(inputs, end_of_text), places, 0)
    return places - np.maximum.accumulate(starts, axis=1).astype(np.int32)


def cumulative_lengths(inputs: NDArray[Any], end_of_text: int) -> tuple[NDArray[np.int32], int]:
    """Return where each document begins in the rows put end to end, and the longest.

    Returns:
        int32 [documents + 1], the last of which is B*T, and the longest document's length: what
        attention with variable lengths takes as `cu_seqlens` and `max_seqlen`.
    """
    starts = np.flatnonzero(_first_tokens(inputs, end_of_text))
    bounds = np.append(starts, inputs.size).astype(np.int32)
    return bounds, int(np.diff(bounds).max(initial=0))


def trained_targets(inputs: NDArray[Any], end_of_text: int) -> NDArray[np.bool_]:
    """Return which targets follow from their own document: bool [B, T].

    False where the input is end of text: the target begins another document, or is padding.
    """
    return np.asarray(inputs != end_of_text)
