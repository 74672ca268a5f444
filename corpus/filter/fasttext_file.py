"""Opening fastText models for the score step.

In: the file of a model, `.bin` or `.ftz`. Out: a `corpus.text.fasttext.FastText` whose matrices are
the mapped file: DCLM's has 2.4 GB, and the workers of a machine share one copy of its pages.
"""

from __future__ import annotations

import functools

import numpy as np

from corpus import storage
from corpus.text import fasttext


def load(path: str) -> fasttext.FastText:
    """Return a fastText model.

    Its dictionary is indexed (a second or so for millions of words), once in a process for all
    parts that are scored with it.

    Args:
        path: A local path or URL. One of a store is copied to the temporary folder, by each
            process that scores with it.

    Raises:
        InputError: It cannot be read, or is no classifier of fastText's; see `fasttext.parse`.
    """
    return _loaded(path, storage.stamp(path))


@functools.lru_cache(maxsize=1)
def _loaded(path: str, stamp: str) -> fasttext.FastText:
    """Return the model of a file as it is at this stamp."""
    return fasttext.parse(np.frombuffer(storage.map_file(path), np.uint8), where=path)
