"""Files to frozen models, with every error at once and each with its line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from corpus import storage
from corpus.errors import InputError, RecipeError
from corpus.settings.model import Settings, mapping_of, models_in
from corpus.settings.overrides import apply_overrides
from corpus.settings.yaml_text import Key, dotted, parse_yaml

S = TypeVar("S", bound=Settings)
# What pydantic says in words of Python.
_PLAIN = {
    "dict_type": "a mapping belongs here, `{name: value}`",
    "tuple_type": "a list belongs here, `[one, another]`",
    "list_type": "a list belongs here, `[one, another]`",
}


def _known_keys(model: type[BaseModel], key: Key) -> set[str]:
    """Return the keys that are known where `key` stands, following models, maps and lists."""
    return {name for candidate in _models_at(model, key) for name in candidate.model_fields}


def _models_at(model: type[BaseModel], key: Key) -> list[type[BaseModel]]:
    """Return the models whose keys are known where `key` stands."""
    models = [model]
    for part in key[:-1]:
        inner: list[type[BaseModel]] = []
        for candidate in models:
            field = candidate.model_fields.get(str(part))
            inner += models_in(field.annotation) if field else []
        # A part that is no field is a key of a map (a source's name) or a tag of a union: the
        # models stay the same.
        models = inner or models
    return models


def _explain(model: type[BaseModel], error: Mapping[str, Any], key: Key) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _known_keys(model, key)
        near = difflib.get_close_matches(str(key[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
        return f"there is no such key; {hint}"
    if kind == "missing":
        return "has to be given"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if kind in ("model_type", "model_attributes_type"):
        message = mapping_of(_models_at(model, (*key, ""))) or message
    message = _PLAIN.get(kind, message)
    given = error.get("input")
    if isinstance(given, bool):
        given = str(given).lower()
        return f"{message} (given: {given})"
    return f"{message} (given: {given!r})" if isinstance(given, str | int | float) else message


def _clean(location: Sequence[str | int], lines: Mapping[Key, int]) -> Key:
    """Drop the parts of a pydantic location that stand for members of a union, not for keys."""
    key: Key = ()
    for part in location:
        if (*key, part) in lines or not _is_union_member(part):
            key = (*key, part)
    return key


def _is_union_member(part: str | int) -> bool:
    # pydantic names a member of a union by its type: "ClassifierTraining", "str", "list[str]", or
    # "function-after[...]", or by the tag that we give it, "<path>": none is a key of a recipe.
    return isinstance(part, str) and bool(
        part[:1].isupper()
        or "[" in part
        or part.startswith("<")
        or part.startswith("constrained-")
        or part in {"str", "int", "float", "bool"}
    )


def validate(
    model: type[S],
    value: dict[str, Any],
    lines: Mapping[Key, int],
    where: str,
    context: Any = None,
    overridden: Sequence[Key] = (),
) -> S:
    """Return the model of a parsed file.

    Args:
        model: The model of the whole file.
        value: What was parsed.
        lines: The line of each key in the file.
        where: The file.
        context: Handed to the model's validators.
        overridden: Keys that are not from the file but from `--set`.

    Raises:
        RecipeError: With every problem, each with file, line and dotted key.
    """
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        problems: dict[str, None] = {}
        for one in error.errors(include_url=False):
            if one["type"] == "several":  # what a model says of several keys at once
                said = [(tuple(key.split(".")), text) for key, text in one["ctx"]["problems"]]
            else:
                cleaned = _clean(one["loc"], lines)
                said = [(cleaned, _explain(model, one, cleaned))]
            for key, message in said:
                problems[_problem(key, message, lines, where, overridden)] = None
        count = len(problems)
        heading = "there is 1 problem" if count == 1 else f"there are {count} problems"
        raise RecipeError("\n".join([f"{heading}:", *problems]), where=where) from None


def _problem(
    key: Key, message: str, lines: Mapping[Key, int], where: str, overridden: Sequence[Key]
) -> str:
    known = key
    while known not in lines and known:
        known = known[:-1]
    place = f"{where}:{lines[known]}" if known in lines else where
    if any(key[: len(one_set)] == one_set for one_set in overridden):
        place = "--set"
    return f"{place}: {dotted(key) or 'the recipe'}: {message}"


def load_settings(model: type[S], path: str, overrides: Sequence[str], context: Any = None) -> S:
    """Return the model of a YAML file.

    Args:
        model: The model of the whole file.
        path: A local path or a URL.
        overrides: `key.path=value` each, applied before validation.
        context: Handed to the model's validators.

    Raises:
        RecipeError: The file cannot be read, or anything in it is wrong.
    """
    try:
        text = storage.read_bytes(path).decode("utf-8")
    except InputError as error:
        raise RecipeError(error.what, where=path, why=error.why, fix="Check --config") from error
    except UnicodeDecodeError as error:
        raise RecipeError("the file is not UTF-8", where=path, why=str(error)) from error
    value, lines = parse_yaml(text, path)
    overridden = apply_overrides(value, overrides)
    return validate(model, value, lines, path, context, overridden)
