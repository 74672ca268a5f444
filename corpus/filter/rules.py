"""The rules of `filter` that look at language, URL or text, in the order in which they hold."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus import config, storage
from corpus.config.heuristics import Heuristics
from corpus.document import DropReason
from corpus.errors import InputError
from corpus.filter import blocklists
from corpus.parts import Part, batches
from corpus.settings import Settings
from corpus.text import heuristics, url_lists
from corpus.text.c4 import C4
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import GopherQuality, GopherRepetition
from corpus.text.url_lists import UrlIndex

Objects = npt.NDArray[np.object_]
T = TypeVar("T")


@dataclass(frozen=True)
class Failures:
    """For each document the reason of the first rule that it fails, and that rule; None if none."""

    reasons: Objects
    rules: Objects


@dataclass(frozen=True)
class Blocklist:
    """The file of the entries of all lists of URLs, and its digest."""

    path: str
    sha256: str


def minimum_words(settings: config.Filter) -> int:
    """Return the least number of words of a document that the rules let pass."""
    gopher = settings.heuristics.gopher
    return (gopher.minimum_words or 0) if gopher else 0


def first_failures(part: Part, settings: config.Filter, blocked: Blocklist | None) -> Failures:
    """Return which rule each document of a part fails first.

    Args:
        part: The part.
        settings: Which rules there are.
        blocked: The lists of URLs, gathered, if there are any.

    Raises:
        InputError: A list of words cannot be read.
    """
    failures = Failures(
        np.full(part.rows, None, dtype=object), np.full(part.rows, None, dtype=object)
    )
    if not (settings.languages or blocked or settings.heuristics):
        return failures
    index = blocklists.load(blocked.path, blocked.sha256) if blocked else None
    sets = rule_sets(settings.heuristics)
    columns = ["url", "language", "language_score"]
    if sets:
        columns.append("text")
    for row, batch in batches(part, columns):
        span = slice(row, row + len(batch))
        _judge(batch, settings, index, sets, failures.reasons[span], failures.rules[span])
    return failures


def _judge(
    batch: pa.RecordBatch,
    settings: config.Filter,
    index: UrlIndex | None,
    sets: tuple[heuristics.RuleSet, ...],
    reasons: Objects,
    rules: Objects,
) -> None:
    """Fill in the failures of a batch."""
    if settings.languages:
        reasons[~_in_a_language(batch, settings)] = str(DropReason.LANGUAGE)
    if index is not None:
        left = _left(reasons)
        entries = url_lists.find(batch.column("url").take(pa.array(left)), index)
        hit = np.asarray(entries.is_valid().to_numpy(zero_copy_only=False))
        reasons[left[hit]] = str(DropReason.URL)
        rules[left[hit]] = entries.to_numpy(zero_copy_only=False)[hit]
    if sets:
        left = _left(reasons)
        texts = batch.column("text").take(pa.array(left))
        found, broken = heuristics.verdicts(texts, rule_sets=sets)
        reasons[left] = found.to_numpy(zero_copy_only=False)
        rules[left] = broken.to_numpy(zero_copy_only=False)


def _left(reasons: Objects) -> npt.NDArray[np.int64]:
    """Return the rows that have failed nothing so far."""
    return np.flatnonzero([reason is None for reason in reasons])


def _in_a_language(batch: pa.RecordBatch, settings: config.Filter) -> npt.NDArray[np.bool_]:
    """Return which documents are in one of the languages to keep, by its floor or more."""
    kept = np.zeros(len(batch), dtype=np.bool_)
    # The stored score is a float32: compare it with the floor as a float32 too.
    scores = batch.column("language_score").fill_null(0).to_numpy(zero_copy_only=False)
    for language, floor in settings.languages.items():
        same = pc.equal(batch.column("language"), language).fill_null(False)
        kept |= same.to_numpy(zero_copy_only=False) & (scores >= np.float32(floor))
    return kept


def rule_sets(settings: Heuristics) -> tuple[heuristics.RuleSet, ...]:
    """Return the sets that a recipe names, in the order in which they are asked.

    Raises:
        InputError: A list of words cannot be read.
    """
    sets: list[heuristics.RuleSet] = []
    if settings.gopher is not None:
        sets += [_made(GopherQuality, settings.gopher), _made(GopherRepetition, settings.gopher)]
    if settings.c4 is not None:
        sets.append(_made(C4, settings.c4, bad_words=bad_words(settings.c4.bad_words or ())))
    if settings.fineweb is not None:
        sets.append(_made(FineWeb, settings.fineweb))
    return tuple(sets)


def _made(kind: type[T], settings: Settings, **others: Any) -> T:
    """Return a rule set with the settings of the same names, and others."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    given = {name: getattr(settings, name) for name in names if name not in others}
    return kind(**given, **others)


def word_lists(patterns: tuple[str, ...]) -> list[str]:
    """Return the files that patterns name.

    Raises:
        InputError: One matches nothing.
    """
    paths: list[str] = []
    for pattern in patterns:
        found = storage.find(pattern)
        if not found:
            raise InputError(
                "there is no such list of words",
                where=pattern,
                fix="Check filter.heuristics.c4.bad_words in the recipe "
                "(relative paths are relative to it)",
            )
        paths += found
    return list(dict.fromkeys(paths))


def bad_words(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of lists, one a line, in lower case and in their order, each once."""
    words: dict[str, None] = {}
    for path in word_lists(patterns):
        try:
            text = storage.read_bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                "the list of words is not UTF-8",
                where=path,
                why=str(error),
                fix="Save it as UTF-8, one word a line",
            ) from error
        words |= dict.fromkeys(line.strip().lower() for line in text.splitlines() if line.strip())
    return tuple(words)
