"""The examples of a task: objects of its files in, texts and labels out.

What is wrong in a file is named by file and line: a field that is missing or of another type, a
label that training has not seen, an answer that is none of the choices. Nothing is skipped unless
the recipe names its label under `ignore_labels`, and then it is counted.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.trainer.finetuning import lines
from corpus.trainer.finetuning.config import TaskConfig

MOST_CHOICES = 64
_NAMED = 10  # labels or fields that an error lists


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled input.

    Attributes:
        where: Its file and line.
        texts: classification: the text; entailment and similarity: both; multiple_choice: context
            and question, each of which may be "".
        choices: The choices of a multiple_choice example, else nothing.
        label: Name of its class, number of its choice, its score, or None where it is not labelled.
    """

    where: str
    texts: tuple[str, ...]
    choices: tuple[str, ...]
    label: str | int | float | None


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of a split.

    Attributes:
        examples: In the order of the files.
        ignored: Number of those that were left out for their label.
    """

    examples: tuple[Example, ...]
    ignored: int


def read(task: TaskConfig, patterns: str | Sequence[str], *, labelled: bool = True) -> Examples:
    """Return the examples of the files that match.

    Args:
        task: The task.
        patterns: Its files.
        labelled: Whether each example has to have a label; otherwise none is looked at.

    Raises:
        InputError: A file cannot be read or an example is not as the recipe says, by file and line;
            or there is no example at all.
    """
    found: list[Example] = []
    ignored = 0
    paths = lines.find(patterns)
    for path in paths:
        for where, value in lines.read(path):
            example = _example(task, value, where, labelled)
            if example.label in task.ignore_labels:
                ignored += 1
            else:
                found.append(example)
    if not found:
        raise InputError(
            "there is no example in these files",
            where=", ".join(paths),
            why=f"{ignored:,} were ignored for their label" if ignored else None,
        )
    return Examples(tuple(found), ignored)


def _example(task: TaskConfig, value: dict[str, Any], where: str, labelled: bool) -> Example:
    fields = task.fields
    if task.kind == "multiple_choice":
        texts = tuple(
            _text(value, path, where) if path else "" for path in (fields.context, fields.question)
        )
        choices = _choices(value, fields.choices or "", where)
        answer = _answer(task, value, choices, where) if labelled else None
        return Example(where, texts, choices, answer)
    paths = (fields.text,) if task.kind == "classification" else (fields.first, fields.second)
    texts = tuple(_text(value, path or "", where) for path in paths)
    label = _label(task, value, fields.label or "", where) if labelled else None
    return Example(where, texts, (), label)


def _missing(value: dict[str, Any], path: str, wanted: str, found: Any, where: str) -> InputError:
    names = ", ".join(list(value)[:_NAMED])
    if found is None:
        return InputError(
            f"there is no field {path!r} for {wanted}",
            where=where,
            why=f"The line has: {names or 'nothing'}",
            fix="Name it under task.fields",
        )
    return InputError(
        f"the field {path!r} is not {wanted} but {type(found).__name__}",
        where=where,
        fix="Name another under task.fields",
    )


def _text(value: dict[str, Any], path: str, where: str) -> str:
    found = lines.at(value, path)
    if not isinstance(found, str):
        raise _missing(value, path, "a text", found, where)
    return found


def _choices(value: dict[str, Any], paths: str | list[str], where: str) -> tuple[str, ...]:
    if isinstance(paths, list):
        return tuple(_text(value, path, where) for path in paths)
    found = lines.at(value, paths)
    if not isinstance(found, list) or not all(isinstance(choice, str) for choice in found):
        raise _missing(value, paths, "a list of texts", found, where)
    if not 2 <= len(found) <= MOST_CHOICES:
        raise InputError(
            f"a question with {len(found)} choices",
            where=where,
            why=f"It has to have 2 to {MOST_CHOICES}",
        )
    return tuple(found)


def _answer(task: TaskConfig, value: dict[str, Any], choices: tuple[str, ...], where: str) -> int:
    """Return the number, from 0, of the choice that is right."""
    path = task.fields.answer or ""
    found = lines.at(value, path)
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise _missing(value, path, "an answer (text or a whole number)", found, where)
    written = str(found).strip()
    names: Sequence[str]
    if task.answers == "index":
        names = [str(index) for index in range(len(choices))]
    elif task.answers == "number":
        names = [str(index + 1) for index in range(len(choices))]
    elif task.answers == "letter":
        names, written = list(string.ascii_uppercase[: len(choices)]), written.upper()
    elif task.answers == "text":
        names = [choice.strip() for choice in choices]
    else:
        keys = lines.at(value, task.fields.keys or "")
        if not isinstance(keys, list) or len(keys) != len(choices):
            raise _missing(value, task.fields.keys or "", "a key of each choice", keys, where)
        names = [str(key).strip() for key in keys]
    if written not in names:
        raise InputError(
            f"the answer {written[:80]!r} is none of the choices",
            where=where,
            why=f"With answers: {task.answers} it would be one of {', '.join(names)[:200]}",
            fix="Check task.fields.answer and task.answers",
        )
    return names.index(written)


def _label(task: TaskConfig, value: dict[str, Any], path: str, where: str) -> str | float:
    found = lines.at(value, path)
    if task.target == "score":
        try:
            score = math.nan if isinstance(found, bool | None) else float(found)
        except (TypeError, ValueError):
            score = math.nan
        if not math.isfinite(score):
            raise _missing(value, path, "a number", found, where)
        return score
    if isinstance(found, bool):
        return str(found).lower()
    if not isinstance(found, str | int):
        raise _missing(value, path, "a label (text or a whole number)", found, where)
    return str(found)


def label_names(task: TaskConfig, train: Examples) -> list[str]:
    """Return the classes in their order: the recipe's, or those of the training examples, sorted.

    Raises:
        InputError: Training examples all have the same label.
    """
    if task.kind == "multiple_choice" or task.target == "score":
        return []
    if task.labels is not None:
        return list(task.labels)
    names = sorted({str(example.label) for example in train.examples})
    if len(names) < 2:
        raise InputError(
            f"every training example has the label {names[0]!r}",
            where=train.examples[0].where,
            fix="Check task.fields.label",
        )
    return names


def targets(task: TaskConfig, split: Examples, labels: Sequence[str]) -> NDArray[Any]:
    """Return what is to be predicted of each example: its class or choice (int64), or score.

    Raises:
        InputError: A label is not among `labels`.
    """
    if task.target == "score":
        return np.array([example.label for example in split.examples], dtype=np.float64)
    if task.kind == "multiple_choice":
        return np.array([example.label for example in split.examples], dtype=np.int64)
    numbers = {label: number for number, label in enumerate(labels)}
    for example in split.examples:
        if example.label not in numbers:
            known = ", ".join(labels[:_NAMED]) + (", ..." if len(labels) > _NAMED else "")
            raise InputError(
                f"the label {example.label!r} is unknown",
                where=example.where,
                why=f"The labels are {known}",
                fix="Check the line, or name all labels under task.labels, or those to leave out "
                "under task.ignore_labels",
            )
    return np.array([numbers[str(example.label)] for example in split.examples], dtype=np.int64)
