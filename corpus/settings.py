"""YAML files to frozen models, with every error at once and each with its line.

YAML is read by the rules of version 1.2: `no` and `off` are words (a recipe may well name
Norwegian), `1e9` is a number, and a key may not be given twice.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from corpus import storage
from corpus.errors import InputError, RecipeError


class Settings(BaseModel):
    """Base of every settings model: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` where a number is asked for: pydantic takes it for 1."""
        if isinstance(value, bool) and info.field_name is not None:
            annotation = cls.model_fields[info.field_name].annotation
            if not _takes_bool(annotation):
                wanted = mapping_of(models_in(annotation))
                raise ValueError(wanted or f"`{str(value).lower()}` is neither a number nor text")
        return value


def _takes_bool(annotation: Any) -> bool:
    return annotation in (bool, Any) or any(map(_takes_bool, typing.get_args(annotation)))


S = TypeVar("S", bound=Settings)
Key = tuple[str | int, ...]


MOST_KEYS = 100_000  # in a file, aliases written out: a few lines of them can stand for billions

# What PyYAML raises: its own errors, and others of its constructors (`!!timestamp x`), of numbers
# with thousands of digits, and of nesting without end.
_YAML_ERRORS = (yaml.YAMLError, ValueError, RecursionError, AttributeError, KeyError)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2's core schema."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(node.value.replace("_", "").lower().replace(".inf", "inf"))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    return int(text, 16) if "x" in text else int(text)


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper; quotes text that a rule of YAML 1.1 or 1.2 takes for another type."""


_Dumper.yaml_implicit_resolvers = {
    first: [
        *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
        *_Loader.yaml_implicit_resolvers.get(first, []),
    ]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}


def dump_yaml(value: Mapping[str, Any]) -> str:
    """Return a mapping as YAML that `parse_yaml` reads as the same mapping, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def dotted(key: Key) -> str:
    """Return a key as a person writes it: `sources.webtext2.weight`."""
    return ".".join(str(part) for part in key)


def _lines(node: yaml.Node, key: Key, lines: dict[Key, int], problems: list[str]) -> None:
    lines[key] = node.start_mark.line + 1
    if len(lines) > MOST_KEYS:
        raise ValueError(f"there are more than {MOST_KEYS:,} keys")
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            name, line = str(key_node.value), key_node.start_mark.line + 1
            if key_node.tag != "tag:yaml.org,2002:str":
                problems.append(
                    f"line {line}: {dotted((*key, name))}: a key has to be text; write it in quotes"
                )
            if name in seen:
                problems.append(
                    f"line {line}: {dotted((*key, name))}: given twice (line {seen[name]})"
                )
            seen[name] = line
            _lines(value_node, (*key, name), lines, problems)
            lines[(*key, name)] = line
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _lines(item, (*key, index), lines, problems)


def _parse(text: str, where: str) -> tuple[Any, dict[Key, int]]:
    """Return any YAML value and the line of each of its keys.

    Raises:
        RecipeError: Not YAML, or a key that is given twice or is not text.
    """
    lines: dict[Key, int] = {}
    problems: list[str] = []
    try:
        node = yaml.compose(text, Loader=_Loader)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        if node is not None:
            _lines(node, (), lines, problems)
    except _YAML_ERRORS as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        why = getattr(error, "problem", None) or str(error)
        raise RecipeError("this is not valid YAML", where=place, why=str(why)) from error
    if problems:
        raise RecipeError(
            "\n".join(["there is something wrong with keys:", *problems]), where=where
        )
    return value, lines


def parse_yaml(text: str, where: str) -> tuple[dict[str, Any], dict[Key, int]]:
    """Return a YAML mapping and the line of each of its keys.

    Raises:
        RecipeError: Not YAML, not a mapping, or a key that is given twice or is not text.
    """
    value, lines = _parse(text, where)
    if not isinstance(value, dict):
        raise RecipeError(
            "the file is empty or not a mapping of keys",
            where=where,
            fix="Start from pipelines/tiny/mix.yaml",
        )
    return value, lines


def apply_overrides(value: dict[str, Any], overrides: Sequence[str]) -> list[Key]:
    """Set dotted keys in place: `filter.alpha=3`. The right-hand side is YAML.

    Returns:
        The keys that were set.

    Raises:
        RecipeError: An override without `=`, or through something that is no mapping.
    """
    keys: list[Key] = []
    for override in overrides:
        path, equals, right = override.partition("=")
        if not equals or not path:
            raise RecipeError(
                f"{override!r} is not key=value", where="--set", fix="Write --set filter.alpha=3"
            )
        *parents, last = path.split(".")
        place = value
        for parent in parents:
            inner = place.get(parent)
            if inner is None:
                inner = place[parent] = {}
            if not isinstance(inner, dict):
                raise RecipeError(f"{parent} is not a mapping of keys", where=f"--set {path}")
            place = inner
        place[last] = _parse(right, f"--set {path}")[0]
        keys.append((*parents, last))
    return keys


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def mapping_of(models: Sequence[type[BaseModel]]) -> str:
    """Return what to write where one of these models belongs; nothing of none."""
    names = sorted({name for one in models for name in one.model_fields})
    if not names:
        return ""
    empty = "; {} takes their defaults" if any(map(_may_be_empty, models)) else ""
    return f"keys belong here, of {', '.join(names)}{empty}"


def _may_be_empty(model: type[BaseModel]) -> bool:
    try:
        model()
    except ValidationError:
        return False
    return True


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


# What pydantic says in words of Python.
_PLAIN = {
    "dict_type": "a mapping belongs here, `{name: value}`",
    "tuple_type": "a list belongs here, `[one, another]`",
    "list_type": "a list belongs here, `[one, another]`",
}


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


def plain(annotation: Any) -> str:
    """Return a type as a person reads it, for the reference page."""
    if annotation is type(None):
        return "null"
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(plain(part) for part in typing.get_args(annotation))
    if origin is typing.Annotated:
        return plain(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return " or ".join(f"`{part}`" for part in typing.get_args(annotation))
    if origin in (list, tuple):
        return "list of " + plain(typing.get_args(annotation)[0])
    if origin in (dict, Mapping, typing.get_origin(Mapping[str, str])):
        key, inner = typing.get_args(annotation)
        return f"map of {plain(key)} to {plain(inner)}"
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return names.get(annotation) or str(getattr(annotation, "__name__", annotation))
