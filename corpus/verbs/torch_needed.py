"""What the verbs that need torch say where it is not installed: a plain error, and not a defect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from corpus.errors import StageError


@contextmanager
def torch_needed(who: str) -> Iterator[None]:
    """Import the trainer in this block: where torch is missing, say how to install it.

    Args:
        who: What needs it, for the message: "the trainer", ...

    Raises:
        StageError: torch or safetensors is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise StageError(
            f"{who} needs {error.name}, which is not installed",
            fix="Install it: pip install 'corpusmill[train]'",
        ) from error
