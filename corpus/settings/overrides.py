"""Keys of a recipe that are set from the command line: `--set filter.alpha=3`.

A key is written as errors write it: names and, in a list, numbers from 0, with dots between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpus.errors import RecipeError
from corpus.settings.yaml_text import Key, dotted, parse_value

_MOST_DIGITS = 9  # of a number in a list: Python reads longer ones slowly, or not at all


def apply_overrides(value: dict[str, Any], overrides: Sequence[str]) -> list[Key]:
    """Set dotted keys in place: `filter.alpha=3`, `tasks.0.shots=[1]`. The right side is YAML.

    An item of a list is replaced, never added. What two places of a file share (an alias) is
    changed in the place that is named.

    Returns:
        The keys that were set.

    Raises:
        RecipeError: An override without `=`, through something that is neither a mapping nor a
            list, or of an item that a list has not.
    """
    keys: list[Key] = []
    for override in overrides:
        path, equals, right = override.partition("=")
        if not equals or "" in path.split("."):
            raise RecipeError(
                f"{override!r} is not key=value", where="--set", fix="Write --set filter.alpha=3"
            )
        *parents, last = path.split(".")
        key: Key = ()
        place: Any = value
        for parent in parents:
            key = (*key, _part(place, parent, key, path))
            inner = place.get(parent) if isinstance(place, dict) else place[key[-1]]
            if not isinstance(inner, dict | list | None):
                raise RecipeError(f"{dotted(key)} is not a mapping of keys", where=f"--set {path}")
            # A copy: an alias would carry the change to another place.
            place[key[-1]] = place = {} if inner is None else inner.copy()
        key = (*key, _part(place, last, key, path))
        place[key[-1]] = parse_value(right, f"--set {path}")[0]
        keys.append(key)
    return keys


def _part(place: dict[str, Any] | list[Any], part: str, key: Key, path: str) -> str | int:
    """Return one part of a key as Python takes it: of a list, the number of an item.

    Raises:
        RecipeError: The list has no such item.
    """
    if isinstance(place, dict):
        return part
    number = int(part) if part.isdecimal() and len(part) <= _MOST_DIGITS else len(place)
    if number < len(place):
        return number
    count = "1 item" if len(place) == 1 else f"{len(place)} items"
    numbers = "Write 0" if len(place) == 1 else f"Write a number from 0 to {len(place) - 1}"
    raise RecipeError(
        f"{dotted(key)} is a list of {count}, and {part!r} is none of them",
        where=f"--set {path}",
        fix=f"{numbers}, or set the whole list: --set {dotted(key)}=[...]"
        if place
        else f"Set the whole list: --set {dotted(key)}=[...]",
    )
