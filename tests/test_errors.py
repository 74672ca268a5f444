"""Errors: one paragraph for a person, whole after a journey between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from corpus import errors
from corpus.errors import CorpusError, InputError, RecipeError, StageError

KINDS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, CorpusError)
]


def test_error_as_text_is_one_paragraph_of_sentences() -> None:
    error = InputError("it is broken", where="a/b.txt", why="A bit flipped", fix="Fetch it again")
    assert str(error) == "a/b.txt: it is broken. A bit flipped. Fetch it again."


def test_error_with_what_alone_has_no_empty_parts() -> None:
    assert str(StageError("it is broken")) == "it is broken."


@pytest.mark.parametrize("end", [".", "?", "!", ":"])
def test_sentence_that_is_already_ended_gets_no_second_full_stop(end: str) -> None:
    assert str(StageError(f"did you mean this{end}")) == f"did you mean this{end}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("journey", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_error_survives_pickling_with_class_and_fields(kind: type[CorpusError], journey) -> None:
    error = journey(kind("what", where="where", why="why", fix="fix"))
    assert type(error) is kind
    assert (error.what, error.where, error.why, error.fix) == ("what", "where", "why", "fix")
    assert str(error) == "where: what. why. fix."


@pytest.mark.parametrize("kind", KINDS)
def test_exit_code_is_2_for_the_recipe_alone(kind: type[CorpusError]) -> None:
    assert kind("what").exit_code == (2 if kind is RecipeError else 1)


def test_every_error_is_drawn_in_the_tree_of_the_docstring() -> None:
    assert errors.__doc__ is not None
    for kind in KINDS:
        assert kind.__name__ in errors.__doc__
