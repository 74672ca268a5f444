"""The recipe of an evaluation: `evaluate.yaml` to frozen models. Every default stands here.

Paths are relative to the working directory, as those of train.yaml are.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from corpus.settings import Settings, load_settings
from corpus.trainer.evaluation.arithmetic import TESTS
from corpus.trainer.evaluation.detokenizers import DETOKENIZERS
from corpus.trainer.evaluation.tasks import TASKS

FEW = "few"
Shots = Annotated[int, Field(ge=0)] | Literal["few"]


class TaskConfig(Settings):
    """One task, and with how many examples in the prompt it is asked."""

    task: str
    """Its name: `lambada`, `hellaswag`, `two_digit_addition`, ... (see docs/evaluation.md)."""
    name: str | None = None
    """What its results are called; its task by default. A task that is asked twice needs two."""
    path: str | None = None
    """Its file or files; patterns are allowed."""
    generate: PositiveInt | None = None
    """Instead of a file: so many new questions, of GPT-3's ten tests of arithmetic."""
    train: str | None = None
    """Files that the examples of a prompt are drawn from. May be those of `path`."""
    shots: tuple[Shots, ...] = (0,)
    """Examples in the prompt, each number a result; `few` is K of Table H.1."""
    limit: PositiveInt | None = None
    """Only the first so many examples."""
    beams: PositiveInt | None = None
    """Of a written answer: 4 by default (section 2.4); 1 takes the likeliest token each time."""
    decontaminated: str | None = None
    """Name of the benchmark in the build's recipe; `name` by default."""

    @property
    def label(self) -> str:
        """What its results are called."""
        return self.name or self.task

    def k(self, shots: int | str) -> int:
        """Return a number of examples, that of Table H.1 for `few`."""
        few = TASKS[self.task].few if shots == FEW else int(shots)
        assert few is not None  # checked below
        return few

    @model_validator(mode="after")
    def _complete(self) -> TaskConfig:
        if self.task not in TASKS:
            near = difflib.get_close_matches(self.task, TASKS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(TASKS)}"
            raise ValueError(f"there is no task {self.task!r}; {hint}")
        if (self.path is None) == (self.generate is None):
            raise ValueError("give either path or generate")
        if self.generate is not None and self.task not in TESTS:
            raise ValueError(f"{self.task} has to have a path: only {', '.join(TESTS)} are made")
        if not self.shots or len(set(self.shots)) < len(self.shots):
            raise ValueError("shots: give at least one number, and none twice")
        task = TASKS[self.task]
        if FEW in self.shots and task.few is None:
            raise ValueError(f"{self.task} has no K in Table H.1: give a number")
        if self.train is None and self.generate is None and any(self.k(one) for one in self.shots):
            raise ValueError("train has to be given: a prompt's examples are drawn from it")
        if self.beams is not None and task.kind != "written":
            raise ValueError(f"beams: no answer is written in {self.task}")
        return self


class TextConfig(Settings):
    """Text whose probability is measured."""

    name: str
    """What its results are called."""
    path: str | None = None
    """Its file or files: plain text, or JSON lines, Parquet, ... with a field of text."""
    mixture: str | None = None
    """Instead of files: `mixture.json` or the output folder of a build, whose held-out documents
    are taken."""
    source: str | None = None
    """With `mixture`: the name of one source; by default every one that has held-out documents,
    each a result."""
    field: str = "text"
    """The field of the items of a file that is not plain text."""
    document: Literal["file", "line"] = "file"
    """What is a document in a plain text file: all of it, or each line that is not blank."""
    detokenizer: str = "none"
    """How the text was cut into words: none, ptb, wikitext, 1bw, lambada, cbt."""
    unit: Literal["word", "char", "byte"] = "byte"
    """What the result that is printed counts: perplexity a word, or bits a character or byte."""
    stride: PositiveInt | None = None
    """Tokens that the window slides over a long document; half of the context by default."""
    limit: PositiveInt | None = None
    """Only the first so many documents."""

    @model_validator(mode="after")
    def _complete(self) -> TextConfig:
        if (self.path is None) == (self.mixture is None):
            raise ValueError("give either path or mixture")
        if self.source is not None and self.mixture is None:
            raise ValueError("source is a source of a mixture; there is none")
        if self.detokenizer not in DETOKENIZERS:
            near = difflib.get_close_matches(self.detokenizer, DETOKENIZERS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(DETOKENIZERS)}"
            raise ValueError(f"there is no detokenizer {self.detokenizer!r}; {hint}")
        if self.mixture is not None and self.detokenizer != "none":
            raise ValueError("the text of a mixture has not been cut into words")
        return self


class EvaluateConfig(Settings):
    """All of `evaluate.yaml`."""

    model: str
    """Output folder of a training run, whose last checkpoint is taken, or one checkpoint."""
    output: str
    """Folder for the results. What is there already and still holds is not computed again."""
    seed: int = Field(ge=0, lt=2**63)
    """Seed of the examples that are drawn, and of the questions that are made."""
    tasks: tuple[TaskConfig, ...] = ()
    """Tasks in the way of GPT-3."""
    lm: tuple[TextConfig, ...] = ()
    """Language modelling in the way of GPT-2."""
    context: PositiveInt | None = None
    """Longest sequence that the model is shown; its own context by default. Give the length that
    it was trained on where that is less: positions beyond were never trained."""
    batch_tokens: PositiveInt = 16_384
    """Tokens that are computed at once: more is faster and takes more memory. Ours."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: one GPU where there is one, else the CPU."""
    decontaminated: str | None = None
    """Folder `evaluation-...` that corpus decontaminate --report has made: results are also given
    for the clean examples alone (GPT-3, Appendix C)."""

    @model_validator(mode="after")
    def _named(self) -> EvaluateConfig:
        if not self.tasks and not self.lm:
            raise ValueError("there is nothing to evaluate: give tasks or lm")
        names = [task.label for task in self.tasks] + [text.name for text in self.lm]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)}: the same name twice; give each its own")
        wrong = [name for name in names if "/" in name or name.startswith(".") or not name]
        if wrong:
            raise ValueError(f"{', '.join(map(repr, wrong))}: a name is that of a file too")
        return self


def load_evaluate_config(path: str, overrides: Sequence[str] = ()) -> EvaluateConfig:
    """Return the recipe of an evaluation.

    Args:
        path: `evaluate.yaml`, a local path or a URL.
        overrides: `key.path=value` each, applied before validation.

    Raises:
        RecipeError: The file cannot be read, or anything in it is wrong.
    """
    return load_settings(EvaluateConfig, path, overrides)
