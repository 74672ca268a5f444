"""What a model is asked: tokens of a context, and the tokens after it whose probability counts.

In: texts. Out: `Request`s, and the windows in which a request longer than the model's context is
computed.

Context and completion are encoded together, as text was in training: a word of the vocabulary may
lie across the border. The completion's tokens are those after the longest common beginning of the
tokens of both and of the context alone, so no character of a completion is left out; where a token
lies across the border, the little of the context in it counts as the completion's, for every
choice alike. (lm-eval cuts the tokens of both at the number of the context's, which is the same
wherever no token lies across.)

An empty context is the end-of-text token, which every document followed in training. Other contexts
are not preceded by one, as in lm-eval; the papers do not say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Request:
    """Tokens, and which of them count.

    Attributes:
        tokens: Of the context and the completion: int64 [n].
        first: Number of the first token that counts, at least 1: something has to be before it.
    """

    tokens: NDArray[np.int64]
    first: int


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a request that is computed at once.

    Attributes:
        begin: First token that the model is shown.
        first: First token whose probability counts.
        end: Token behind the last that counts.
    """

    begin: int
    first: int
    end: int


def encode(tokenizer: Tokenizer, text: str) -> NDArray[np.int64]:
    """Return the token ids of a text: int64 [n]."""
    return tokenizer.encode([text])[0].astype(np.int64)


def request(tokenizer: Tokenizer, context: str, completion: str) -> Request:
    """Return the request for the probability of a completion after a context.

    Raises:
        ValueError: The completion is empty: its probability would be 1 whatever the model.
    """
    if not completion:
        raise ValueError("an empty completion")
    both = encode(tokenizer, context + completion)
    alone = encode(tokenizer, context)
    shared = min(len(both), len(alone))
    same = both[:shared] == alone[:shared]
    first = shared if same.all() else int(np.argmin(same))
    if first == 0:
        return Request(np.concatenate([[tokenizer.end_of_text], both]), 1)
    return Request(both, first)


def document(tokenizer: Tokenizer, text: str) -> Request:
    """Return the request for the probability of all of a text, as a document."""
    return Request(np.concatenate([[tokenizer.end_of_text], encode(tokenizer, text)]), 1)


def windows(request: Request, *, context: int, stride: int) -> list[Window]:
    """Return the windows of a request; each token counts in one of them.

    Tokens that fit are computed in one window, with as much of the context as fits before them.
    Otherwise windows slide by `stride` tokens, so that every token but the first ones is predicted
    from at least `context - stride` tokens.

    Args:
        request: Of at least one token that counts.
        context: Most tokens that the model is shown.
        stride: Tokens that a window goes beyond the one before, 1 to `context`.
    """
    total, first = len(request.tokens), request.first
    if total - first <= context:
        return [Window(max(0, total - 1 - context), first, total)]
    begin = max(0, first - 1 - (context - stride))
    found = [Window(begin, first, begin + context + 1)]
    while found[-1].end < total:
        end = min(total, found[-1].end + stride)
        found.append(Window(end - 1 - context, found[-1].end, end))
    return found
