"""The items of an evaluation's files, with typed fields and errors that name the line.

In: the path of a file that `corpus.sources.benchmark_items` reads (JSON lines, JSON, CSV, Parquet,
plain text; compressed or not): the reader of the decontamination, so both see the same items.
Out: `Item`s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from corpus import storage
from corpus.errors import InputError
from corpus.sources import benchmark_items, streams

_NAMED = 20  # fields that an error names


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a file.

    Attributes:
        where: File and line, or number.
        value: A JSON value; a string in a plain text file.
    """

    where: str
    value: Any

    def has(self, path: str) -> bool:
        """Say whether there is something at a path through maps: `question.stem`."""
        return self._at(path) is not None

    def _at(self, path: str) -> Any:
        found = self.value
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def get(self, path: str) -> Any:
        """Return what stands at a path.

        Raises:
            InputError: Nothing does.
        """
        found = self._at(path)
        if found is None:
            raise self.wrong(f"the item has no field {path!r}")
        return found

    def text(self, path: str) -> str:
        """Return the text at a path. Raises `InputError` when there is none."""
        found = self.get(path)
        if not isinstance(found, str) or not found.strip():
            raise self.wrong(f"the field {path!r} has no text")
        return found

    def texts(self, path: str) -> tuple[str, ...]:
        """Return the list of texts at a path. Raises `InputError` when it is something else."""
        found = self.get(path)
        if not isinstance(found, list) or not found:
            raise self.wrong(f"the field {path!r} is no list of texts")
        if not all(isinstance(text, str) for text in found):
            raise self.wrong(f"the field {path!r} is no list of texts")
        return tuple(found)

    def each(self, path: str) -> Iterator[Item]:
        """Yield the elements of the list at a path, which say their place in it.

        Raises:
            InputError: There is no list, or nothing in it.
        """
        found = self.get(path)
        if not isinstance(found, list) or not found:
            raise self.wrong(f"the field {path!r} is no list with anything in it")
        for number, value in enumerate(found, start=1):
            yield Item(f"{self.where}, {path} {number}", value)

    def number(self, path: str) -> int:
        """Return the integer at a path, also where it is written as text."""
        found = self.get(path)
        try:
            return int(found)
        except (TypeError, ValueError, OverflowError):
            raise self.wrong(f"the field {path!r} is no integer", f"It is {found!r}") from None

    def one_of(self, path: str, values: tuple[str, ...]) -> int:
        """Return which of the values stands at a path.

        Raises:
            InputError: None of them does.
        """
        found = self.get(path)
        if found not in values:
            raise self.wrong(
                f"the field {path!r} is none of {', '.join(values)}", f"It is {found!r}"
            )
        return values.index(found)

    def name(self, *paths: str) -> str:
        """Return the first identifier that is there; "" when none is."""
        for path in paths:
            found = self._at(path)
            if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
                return str(found)
        return ""

    def wrong(self, what: str, why: str | None = None) -> InputError:
        """Return the error to raise for this item."""
        if why is None:
            names = list(self.value)[:_NAMED] if isinstance(self.value, dict) else []
            why = f"It has: {', '.join(map(str, names)) or 'no fields'}"
        return InputError(
            what, where=self.where, why=why, fix="Check that the file is that of the task"
        )


def read(path: str, *, is_json: bool = False) -> Iterator[Item]:
    """Yield the items of a file, in order.

    Raises:
        InputError: It is missing or damaged, or not what its name says.
    """
    for where, value in benchmark_items.read(path, is_json=is_json):
        yield Item(where, value)


def whole(path: str) -> str:
    """Return a plain text file, which may be compressed.

    Raises:
        InputError: It is missing or damaged, too large to be held, or not UTF-8.
    """
    try:
        data = streams.whole(path, max_bytes=benchmark_items.MOST_FILE_BYTES)
    except streams.DamagedStreamError as error:
        raise InputError(
            "the file is damaged", where=path, why=str(error)[:200], fix="Fetch it again"
        ) from error
    if data is None:
        raise InputError(
            f"a text of more than {benchmark_items.MOST_FILE_BYTES:,} bytes is not read at once",
            where=path,
            fix="Set document: line, or cut the file",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("the file is not UTF-8", where=path, why=str(error)) from error


def files(pattern: str, *, key: str) -> list[str]:
    """Return the files that a pattern matches, sorted.

    Raises:
        InputError: None does.
    """
    found = storage.find(pattern)
    if not found:
        raise InputError(
            "no file matches", where=pattern, fix=f"Check {key} (from the working directory)"
        )
    return found
