"""The section `decontaminate`: which benchmarks are cut out."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from corpus.config import benchmark_presets
from corpus.config.sources import _as_paths
from corpus.config.values import Paths
from corpus.settings import Settings


class Benchmark(Settings):
    """One benchmark, from its published files."""

    paths: Paths
    """JSONL, JSON, CSV, TSV, Parquet or plain text files, but for Parquet also compressed."""
    preset: str | None = None
    """The fields of a public benchmark's published files: `piqa`, `squad`, `mmlu`, …"""
    fields: tuple[str, ...] | None = None
    """Fields whose text counts, instead of a preset; all text by default. A field may be a path
    into maps and lists, such as `question.choices.text`."""
    id: str | None = None
    """Field with an example's identifier; its file and number in it by default."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Benchmark:
        if self.preset is not None and self.fields is not None:
            raise ValueError("name a preset or fields, not both")
        if self.preset is not None and self.preset not in benchmark_presets.PRESETS:
            near = difflib.get_close_matches(self.preset, benchmark_presets.PRESETS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            known = f"there are {', '.join(benchmark_presets.PRESETS)}"
            raise ValueError(f"no benchmark preset is called {self.preset!r}; {hint or known}")
        return self


FILE_NAMES = ""  # instead of a benchmark's name: each file is one, of its own name


def _as_benchmarks(value: Any) -> Any:
    return {FILE_NAMES: {"paths": value}} if isinstance(value, str | list | tuple) else value


class Decontaminate(Settings):
    """How benchmark text is cut out of the corpus (GPT-3, Appendix C)."""

    benchmarks: Annotated[
        dict[
            str,
            Annotated[
                Benchmark,
                BeforeValidator(
                    _as_paths, json_schema_input_type=str | tuple[str, ...] | Benchmark
                ),
            ],
        ],
        BeforeValidator(
            _as_benchmarks,
            json_schema_input_type=str
            | tuple[str, ...]
            | dict[str, str | tuple[str, ...] | Benchmark],
        ),
        Field(min_length=1),
    ]
    """A pattern (each file is a benchmark), or a map of names to patterns or to
    `{paths, preset, fields, id}`."""
    ngram: Annotated[int, Field(ge=2, le=64)] = 13
    """Words in a colliding gram (Appendix C: 13)."""
    words: Literal["plain", "word"] = "plain"
    """What a word is: `plain` takes punctuation out of what lies between white space (Appendix C's
    words); `word` has a space for it, as the grams that OpenAI published as examples."""
    window: Annotated[int, Field(ge=0)] = 200
    """Characters cut on each side of a colliding gram (Appendix C: 200)."""
    min_piece: Annotated[int, Field(ge=0)] = 200
    """Pieces with fewer characters are discarded (Appendix C: 200)."""
    max_pieces: Annotated[int, Field(ge=1)] = 10
    """Documents in more pieces are dropped (Appendix C: 10)."""
    max_documents: Annotated[int, Field(ge=1)] = 10
    """Grams in more documents are ignored: they are common phrases (Appendix C: 10)."""
