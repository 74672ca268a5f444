"""YAML text to values with the line of each key, and back.

YAML is read by the rules of version 1.2: `no` and `off` are words (a recipe may well name
Norwegian), `1e9` is a number, and a key may not be given twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from corpus.errors import RecipeError

Key = tuple[str | int, ...]  # of a value in a file: names in mappings, numbers in lists


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


def parse_value(text: str, where: str) -> tuple[Any, dict[Key, int]]:
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
    value, lines = parse_value(text, where)
    if not isinstance(value, dict):
        raise RecipeError(
            "the file is empty or not a mapping of keys",
            where=where,
            fix="Start from pipelines/tiny/mix.yaml",
        )
    return value, lines
