"""The section `tokenize`: how text becomes tokens."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ValidationInfo, model_validator

from corpus.config.values import ONE_OR_MORE as _ONE_OR_MORE
from corpus.config.values import resolve as _resolve
from corpus.settings import Settings


def _in_order(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(kinds)))  # in which order they are named changes nothing


class Tokenize(Settings):
    """How text becomes tokens."""

    vocabulary: str = "gpt2"
    """`gpt2`, or the path of a tiktoken ranks file or a byte-level `tokenizer.json`."""
    mask: Annotated[
        tuple[Literal["email", "ip", "phone"], ...], _ONE_OR_MORE, AfterValidator(_in_order)
    ] = ()
    """Personal data that a mark stands for in the tokens: `email`, `ip`, `phone`; nothing else."""
    encoder: Literal["auto", "tiktoken", "gigatoken"] = "auto"
    """`tiktoken`, the reference; `gigatoken`, of the extra `fast`, whose ids are compared with the
    reference's on a sample of every shard; `auto`: the fast one where it is installed. The tokens
    are the same."""

    @model_validator(mode="before")
    @classmethod
    def _path(cls, value: Any, info: ValidationInfo) -> Any:
        vocabulary = value.get("vocabulary") if isinstance(value, dict) else None
        if isinstance(vocabulary, str) and vocabulary != "gpt2":
            return {**value, "vocabulary": _resolve(vocabulary, info)}
        return value
