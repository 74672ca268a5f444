"""The rules of `filter` that look at language, URL or text, in the order in which they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import config, storage
from corpus.document import DropReason
from corpus.errors import InputError
from corpus.parts import Part, batches
from corpus.text import heuristics
from corpus.text.c4 import C4
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import GopherQuality, GopherRepetition

Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Failures:
    """For each document the reason of the first rule that it fails, and that rule; None if none."""

    reasons: Objects
    rules: Objects


# Rae et al. 2021 (Gopher), section A.1.1 and table A1.
GOPHER = (
    GopherQuality(
        minimum_words=50,
        maximum_words=100_000,
        minimum_mean_word_length=3,
        maximum_mean_word_length=10,
        maximum_symbol_ratio=0.1,
        maximum_bullet_lines=0.9,
        maximum_ellipsis_lines=0.3,
        minimum_alphabetic_words=0.8,
        stop_words=("the", "be", "to", "of", "and", "that", "have", "with"),
        minimum_stop_words=2,
    ),
    GopherRepetition(
        maximum_duplicate_lines=0.3,
        maximum_duplicate_paragraphs=0.3,
        maximum_duplicate_line_characters=0.2,
        maximum_duplicate_paragraph_characters=0.2,
        maximum_top_ngram_characters={2: 0.20, 3: 0.18, 4: 0.16},
        maximum_duplicate_ngram_characters={
            5: 0.15,
            6: 0.14,
            7: 0.13,
            8: 0.12,
            9: 0.11,
            10: 0.10,
        },
    ),
)
# Raffel et al. 2020 (T5), section 2.2, and the constants of its published code. The list of bad
# words is not shipped.
C4_RULES = C4(
    terminal_punctuation=True,
    minimum_words_per_line=5,
    maximum_word_length=1000,
    line_phrases=(
        "javascript",
        "terms of use",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
    ),
    page_phrases=("lorem ipsum", "{"),
    bad_words=(),
    minimum_sentences=3,
)
# Penedo et al. 2024 (FineWeb), section 3.6.
FINEWEB_RULES = FineWeb(
    minimum_punctuated_lines=0.12,
    maximum_duplicate_line_characters=0.1,
    short_line=30,
    maximum_short_lines=0.67,
)
RULE_SETS: Mapping[str, tuple[heuristics.RuleSet, ...]] = {
    "gopher": GOPHER,
    "c4": (C4_RULES,),
    "fineweb": (FINEWEB_RULES,),
}


def minimum_words(settings: config.Filter) -> int:
    """Return the least number of words of a document that the rules let pass."""
    return max(
        (
            rules.minimum_words
            for name in settings.heuristics
            for rules in RULE_SETS[name]
            if isinstance(rules, GopherQuality)
        ),
        default=0,
    )


def url_lists(settings: config.Filter) -> list[str]:
    """Return the files of blocked domains and URL prefixes.

    Raises:
        InputError: A pattern matches no file.
    """
    found: list[str] = []
    for pattern in settings.urls or ():
        paths = storage.find(pattern)
        if not paths:
            raise InputError(
                "there is no such list of URLs",
                where=pattern,
                fix="Check filter.urls in the recipe (relative paths are relative to it)",
            )
        found += paths
    return found


def first_failures(part: Part, settings: config.Filter, urls: Sequence[str]) -> Failures:
    """Return which rule each document of a part fails first.

    Args:
        part: The part.
        settings: Which rules there are.
        urls: Files of blocked domains and URL prefixes.
    """
    failures = Failures(
        np.full(part.rows, None, dtype=object), np.full(part.rows, None, dtype=object)
    )
    if not (settings.languages or urls or settings.heuristics):
        return failures
    blocked = blocked_urls(urls)
    columns = ["url", "language", "language_score"]
    if settings.heuristics:
        columns.append("text")
    for row, batch in batches(part, columns):
        span = slice(row, row + len(batch))
        _judge(batch, settings, blocked, failures.reasons[span], failures.rules[span])
    return failures


def _judge(
    batch: pa.RecordBatch,
    settings: config.Filter,
    blocked: frozenset[str],
    reasons: Objects,
    rules: Objects,
) -> None:
    """Fill in the failures of a batch."""
    if settings.languages:
        scores = batch.column("language_score").to_pylist()
        for index, language in enumerate(batch.column("language").to_pylist()):
            floor = settings.languages.get(language)
            # The stored score is a float32: compare it with the floor as a float32 too.
            if floor is None or np.float32(scores[index] or 0) < np.float32(floor):
                reasons[index] = str(DropReason.LANGUAGE)
    if blocked:
        for index, url in enumerate(batch.column("url").to_pylist()):
            if reasons[index] is None and url is not None and is_blocked(url, blocked):
                reasons[index] = str(DropReason.URL)
    if settings.heuristics:
        left = np.flatnonzero([reason is None for reason in reasons])
        texts = batch.column("text").take(pa.array(left, pa.int64()))
        sets = [rules for name in settings.heuristics for rules in RULE_SETS[name]]
        found, broken = heuristics.verdicts(texts, rule_sets=sets)
        reasons[left], rules[left] = found.to_pylist(), broken.to_pylist()


def blocked_urls(paths: Sequence[str]) -> frozenset[str]:
    """Return the entries of block lists: a domain or a URL prefix a line, `#` begins a comment."""
    entries: set[str] = set()
    for path in paths:
        for line in storage.read_bytes(path).decode("utf-8", "replace").splitlines():
            entry = line.split("#", 1)[0].strip().lower()
            entry = entry.split("://", 1)[-1].removeprefix("www.").rstrip("/")
            if entry:
                entries.add(entry)
    return frozenset(entries)


def is_blocked(url: str, blocked: frozenset[str]) -> bool:
    """Say whether a URL's domain, a parent domain, or a prefix of its path is on a list."""
    rest = url.lower().split("://", 1)[-1].split("?", 1)[0].split("#", 1)[0]
    host, _, path = rest.partition("/")
    host = host.rsplit("@", 1)[-1].split(":", 1)[0].removeprefix("www.")
    labels = host.split(".")
    if any(".".join(labels[start:]) in blocked for start in range(len(labels) - 1)):
        return True
    prefix = host
    for component in path.split("/"):
        prefix = f"{prefix}/{component}"
        if prefix.rstrip("/") in blocked:
            return True
    return False
