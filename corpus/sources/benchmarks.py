"""Benchmark examples: which text of an item counts, and what its identifier is.

A path and a preset or a list of fields go in; an `Example` comes out for each example. The texts of
an example's fields are joined by a line break, so that a page with question and answer in that
order collides across the border too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from corpus import storage
from corpus.config.benchmark_presets import PRESETS, Layout
from corpus.errors import InputError
from corpus.sources import benchmark_items

_NAMED = 20  # fields that an error names


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a benchmark.

    Attributes:
        id: Its own identifier, or the name of its file and its number in it, from 1.
        text: All of its text.
    """

    id: str
    text: str


def layouts(preset: str | None, fields: Sequence[str] | None, id: str | None) -> tuple[Layout, ...]:
    """Return the layouts that a benchmark's files may have.

    Args:
        preset: Name of one of `PRESETS`.
        fields: Paths of the fields whose text counts, instead; all with text in them by default.
        id: Path of the identifier, instead of the preset's.

    Raises:
        InputError: There is no such preset.
    """
    if preset is None:
        chosen: tuple[Layout, ...] = (Layout(fields=tuple(fields) if fields else None),)
    elif preset in PRESETS:
        chosen = PRESETS[preset]
    else:
        raise InputError(
            f"there is no benchmark preset {preset!r}", fix=f"There are: {', '.join(PRESETS)}"
        )
    return chosen if id is None else tuple(replace(layout, id=id) for layout in chosen)


def read(path: str, *, known: Sequence[Layout]) -> Iterator[Example]:
    """Yield the examples of one file; those without any text are left out.

    Args:
        path: The file, of any kind that `corpus.sources.benchmark_items` reads.
        known: What `layouts` returned. The first that fits the first item is that of the file.

    Raises:
        InputError: The file cannot be read, an item has not the fields, or there is no text at all.
    """
    columns = next((layout.columns for layout in known if layout.columns), ())
    if columns and not _has_head(path, known):
        known = [layout for layout in known if layout.columns]
    else:
        columns = ()
    is_json = any(layout.is_json for layout in known)
    layout: Layout | None = None
    number = found = 0
    for where, item in benchmark_items.read(path, columns=columns, is_json=is_json):
        if layout is None:
            layout = _fitting(item, known, where)
        for value in [item] if isinstance(item, str) else _expanded(item, layout.each):
            number += 1
            text = "\n".join(_texts(value, layout.fields, where))
            if text.strip():
                found += 1
                own = None if isinstance(value, str) or not layout.id else _id(value, layout.id)
                yield Example(own or f"{storage.name(path)}:{number}", text)
    if not found:
        raise InputError(
            "there is no benchmark text in this file",
            where=path,
            fix="Check decontaminate.benchmarks in the recipe",
        )


def _has_head(path: str, known: Sequence[Layout]) -> bool:
    """Say whether the first row of a table names the fields of a layout."""
    if not benchmark_items.is_table(path):
        return True
    _, first = next(benchmark_items.read(path), ("", {}))
    return any(set(layout.fields or ()) <= set(first) for layout in known)


def _fitting(item: Any, known: Sequence[Layout], where: str) -> Layout:
    if isinstance(item, str):
        for layout in known:
            if layout.is_text or layout.fields is None:
                return layout
        raise InputError(
            "a line of plain text has no fields",
            where=where,
            fix="Give the file the suffix of what it is (.jsonl, .json, .csv, .tsv, .parquet), or "
            "leave out decontaminate.benchmarks.<name>.fields",
        )
    missing: list[str] = []
    for layout in known:
        if layout.is_text:
            continue
        value = next(_expanded(item, layout.each), None)
        lacking = [name for name in layout.fields or () if not _has(value, name)]
        if not lacking:
            return layout
        missing.append(" and ".join(map(repr, lacking)))
    raise _no_field(item, " or ".join(missing), where)


def _no_field(item: Any, missing: str, where: str) -> InputError:
    names = list(_names(item))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return InputError(
        f"the item has no field {missing}",
        where=where,
        why=f"It has: {', '.join(names[:_NAMED]) or 'none'}{more}",
        fix="Name its fields in decontaminate.benchmarks.<name>.fields",
    )


def _names(value: Any, before: str = "") -> Iterator[str]:
    """Yield the paths of the fields of a value."""
    if isinstance(value, list):
        yield from _names(value[0] if value else None, before)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield f"{before}{name}"
            yield from _names(inner, f"{before}{name}.")


def _expanded(value: Any, path: str) -> Iterator[Any]:
    """Yield the value once for each element of the lists on a path, which takes their place."""
    if not path:
        yield value
        return
    name, _, rest = path.partition(".")
    inner = None
    if isinstance(value, dict):
        inner = list(value.values()) if name == "*" else value.get(name)
    elements = inner if isinstance(inner, list) else [] if inner is None else [inner]
    outer = {} if name == "*" else value
    for element in elements:
        for expanded in _expanded(element, rest):
            yield {**outer, name: expanded}


def _has(value: Any, path: str) -> bool:
    if isinstance(value, dict) and path in value:
        return True
    name, _, rest = path.partition(".")
    if isinstance(value, list):
        return all(_has(element, path) for element in value)
    return bool(rest) and isinstance(value, dict) and name in value and _has(value[name], rest)


def _texts(value: Any, fields: Sequence[str] | None, where: str) -> Iterator[str]:
    if fields is None or isinstance(value, str):
        yield from _strings(value)
        return
    for path in fields:
        if not _has(value, path):
            raise _no_field(value, repr(path), where)
        yield from _strings(_at(value, path))


def _at(value: Any, path: str) -> Any:
    """Return what stands at a path; of a list, what stands there in each element."""
    if isinstance(value, list):
        return [_at(element, path) for element in value]
    if isinstance(value, dict):
        if path in value:
            return value[path]
        name, _, rest = path.partition(".")
        return _at(value.get(name), rest) if rest else None
    return None


def _id(value: Any, path: str) -> str | None:
    found = _at(value, path)
    return str(found) if isinstance(found, str | int) and str(found).strip() else None


def _strings(value: Any) -> Iterator[str]:
    """Yield every string in a JSON value, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
