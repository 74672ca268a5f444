"""The cheap look at raw pages: what `filter` would drop anyway is spared the extraction.

Extraction by trafilatura costs ten times as much as the visible text of a page does (resiliparse),
and at the paper's alpha of 9 a hundredth of a crawl is kept. So address, language, length and, with
a classifier at hand, quality are looked at on the visible text first. A page is spared when it is

* under a blocked address, as `filter` will find as well;
* in another language than those that are kept, by three quarters of its long lines;
* shorter than the shortest document that the rules keep: the main text is a part of what it shows;
* of so low a score that, were its odds better by a factor, the margin, its Pareto draw would still
  be lost. The draw is the one that `filter` makes.

A fixed share of the spared pages is extracted all the same, and the scores of all that are
extracted are written down, so that `filter` can say what the look has cost
(`corpus.extract.prefilter_loss`). In: pages. Out: in the same order, those to extract, and a drop
for each page that is spared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpus.config import Recipe
from corpus.document import Drop, DropReason, Page
from corpus.engine import Engine
from corpus.extract.sandbox import Extracted, Failure, Sandbox
from corpus.manifest import Manifest, fingerprint
from corpus.progress import Progress

VERSION = 1  # of what is spared; raise it when the same page is judged otherwise
BATCH_PAGES, BATCH_BYTES = 64, 16 << 20  # pages that wait for their batch to be judged
# Navigation, labels and link lists are short lines; what an extractor keeps is mostly long ones. On
# 5,390 pages scores of these lines stood nearer to those of trafilatura's text than scores of all
# lines or of resiliparse's main content did. The better of two lengths counts.
LINE_WORDS = (12, 20)
OTHER_LANGUAGE = 0.75  # share of the text looked at in a language that is not kept
LANGUAGE_BYTES = 4096  # as for a document
LOOKS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string()),  # why it would have been spared, were it not audited
        pa.field("score", pa.float64()),  # of its long lines; null without a classifier
    ]
)

_HTML = "html"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """What a look asks for.

    Attributes:
        languages: Languages that are kept, or none for all.
        blocked: Path and digest of the entries of the lists of blocked addresses, or "".
        minimum_words: Least number of words of a document.
        classifier: Folder of a regression, or file of a fastText model, or "" without one.
        label: The fastText model's label, or "".
        alpha: The Pareto exponent of the draw.
        margin: How many times the odds of the long lines' score the document's own may have.
        audit: Share of the spared pages that are extracted all the same.
        seed: Of the draws.
    """

    languages: tuple[str, ...]
    blocked: tuple[str, str]
    minimum_words: int
    classifier: str
    label: str
    alpha: float
    margin: float
    audit: float
    seed: int


@dataclass
class Looks:
    """The pages that were looked at and are extracted, in order."""

    ids: list[str] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def table(self) -> pa.Table:
        """Return them in the schema `LOOKS`."""
        scores = np.array(self.scores, np.float64)
        column = pa.array(scores, pa.float64(), mask=np.isnan(scores))
        return pa.table([pa.array(self.ids, pa.string()), self.reasons, column], schema=LOOKS)


def look_of(
    recipe: Recipe, output: str, engine: Engine, progress: Progress
) -> tuple[Look | None, tuple[Manifest, ...]]:
    """Return the look that a recipe asks for, if it does, and the steps that it is made of.

    Raises:
        InputError: A list of addresses is not there or cannot be read.
    """
    settings, rules = recipe.extract.prefilter, recipe.filter
    if settings is None or rules is None:
        return None, ()
    from corpus.filter import blocklists, scoring
    from corpus.filter.rules import minimum_words

    steps: tuple[Manifest, ...] = ()
    blocked = ("", "")
    if rules.urls:
        steps = (blocklists.blocklists(rules.urls, output, engine, progress),)
        entries = steps[0].shards[0].output("entries")
        blocked = (steps[0].path(entries), entries.sha256)
    path, label = scoring.named(rules) if settings.quality else ("", "")
    alpha = settings.alpha or (0.0 if rules.alpha == "fit" else rules.alpha)
    look = Look(
        languages=tuple(sorted(rules.languages)),
        blocked=blocked,
        minimum_words=minimum_words(rules),
        classifier=path,
        label=label,
        alpha=alpha if path else 0.0,
        margin=settings.margin,
        audit=settings.audit,
        seed=recipe.seed,
    )
    return look, steps


def digest(look: Look) -> str:
    """Return what the outcome of a look depends on, its files' bytes included."""
    from corpus.filter import scoring

    model = scoring.model_digest(look.classifier, look.label) if look.classifier else ""
    rest = (look.minimum_words, look.alpha, look.margin, look.audit, look.seed)
    return fingerprint("prefilter", VERSION, look.languages, look.blocked[1], model, rest)


def looked(
    pages: Iterator[Page | Drop], rules: Look, sandbox: Sandbox, looks: Looks
) -> Iterator[Page | Drop]:
    """Yield the pages that are worth the extraction, and drops in place of the others.

    Args:
        pages: Pages, and drops that pass through.
        rules: What to ask for.
        sandbox: Gives the visible text of a page.
        looks: Takes the pages that were looked at and are to be extracted.
    """
    judge = _Judge(rules)
    batch: list[tuple[Page | Drop, Extracted | Failure | None]] = []
    size = number = 0
    for page, result in sandbox.map(pages):
        batch.append((page, result))
        if isinstance(page, Page):
            number, size = number + 1, size + len(page.body)
        if number >= BATCH_PAGES or size >= BATCH_BYTES:
            yield from _judged(batch, judge, rules, looks)
            batch, size, number = [], 0, 0
    yield from _judged(batch, judge, rules, looks)


def _judged(
    batch: list[tuple[Page | Drop, Extracted | Failure | None]],
    judge: _Judge,
    rules: Look,
    looks: Looks,
) -> Iterator[Page | Drop]:
    from corpus.text import quality

    # A page whose visible text could not be had is for the extraction to judge; text that is no
    # HTML is its own main text.
    asked = [
        (page, result.text)
        for page, result in batch
        if isinstance(page, Page) and isinstance(result, Extracted) and _HTML in page.mime_type
    ]
    ids = pa.array([page.id for page, _ in asked], pa.string())
    verdicts = iter(judge.verdicts([page for page, _ in asked], [text for _, text in asked], ids))
    audits = iter(quality.draws(ids, seed=rules.seed, purpose="audit") < rules.audit)
    chosen = {id(page) for page, _ in asked}
    for page, _ in batch:
        if isinstance(page, Drop) or id(page) not in chosen:
            yield page
            continue
        reason, detail, score = next(verdicts)
        audited = bool(next(audits))
        if reason is not None and not audited:
            yield Drop(page.id, page.url, reason, f"cheap look: {detail}", page.place)
            continue
        looks.ids.append(page.id)
        looks.reasons.append(reason)
        looks.scores.append(score)
        yield page


class _Judge:
    """Says of batches of pages which are spared; holds the classifier and the lists."""

    def __init__(self, rules: Look) -> None:
        from corpus.filter import blocklists, scoring

        self._rules = rules
        self._blocked = blocklists.load(*rules.blocked) if rules.blocked[0] else None
        self._scores = scoring.scorer(rules.classifier, rules.label) if rules.classifier else None

    def verdicts(
        self, pages: list[Page], texts: list[str], ids: pa.Array
    ) -> list[tuple[DropReason | None, str, float]]:
        """Return for each page why it is spared or None, in words, and the score or NaN."""
        from corpus.text import language, quality, url_lists

        rules = self._rules
        lines = [_counted_lines(text) for text in texts]
        longest = _long(lines, LINE_WORDS[0])
        reasons: list[tuple[DropReason | None, str]] = [(None, "")] * len(pages)
        scores = np.full(len(pages), np.nan)
        if self._scores is not None:
            scores = np.maximum.reduce([self._scores(_long(lines, n)) for n in LINE_WORDS])
            draws = quality.draws(ids, seed=rules.seed)
            lost = draws >= pass_probability(scores, alpha=rules.alpha, margin=rules.margin)
            for row in np.flatnonzero(lost).tolist():
                words = f"score {scores[row]:.4f} and a margin lose to draw {draws[row]:.4f}"
                reasons[row] = (DropReason.QUALITY, words)
        if rules.minimum_words:
            for row, text in enumerate(texts):
                count = len(text.split())
                if count < rules.minimum_words:
                    reasons[row] = (DropReason.GOPHER_QUALITY, f"{count} words in all")
        if rules.languages:
            # Not of the navigation, which may be in another language, unless there is nothing else.
            prose = pc.if_else(pc.equal(longest, ""), _column(texts), longest)
            codes, shares = language.identify(prose, maximum_bytes=LANGUAGE_BYTES)
            for row, (code, share) in enumerate(zip(codes.to_pylist(), shares, strict=True)):
                other = code not in (*rules.languages, language.UNKNOWN)
                if other and share >= OTHER_LANGUAGE:
                    reasons[row] = (DropReason.LANGUAGE, f"{code} {share:.2f}")
        if self._blocked is not None:
            addresses = pa.array([page.url for page in pages], pa.string())
            for row, entry in enumerate(url_lists.find(addresses, self._blocked).to_pylist()):
                if entry is not None:
                    reasons[row] = (DropReason.URL, entry)
        pairs = zip(reasons, scores, strict=True)
        return [(reason, words, float(score)) for (reason, words), score in pairs]


def _counted_lines(text: str) -> list[tuple[str, int]]:
    """Return the lines of a page that may be long, each with its number of words."""
    least = 2 * min(LINE_WORDS) - 1  # characters: words of one letter and spaces between them
    return [(line, len(line.split())) for line in text.split("\n") if len(line) >= least]


def _long(pages: list[list[tuple[str, int]]], least: int) -> pa.Array:
    """Return of each page the lines with so many words or more."""
    return _column(["\n".join(line for line, n in lines if n >= least) for lines in pages])


def _column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def pass_probability(scores: Floats, *, alpha: float, margin: float) -> Floats:
    """Return the probability, over draws, that the quality look does not spare a page.

    Args:
        scores: (n,) scores of the pages' long lines.
        alpha: The look's Pareto exponent.
        margin: The factor, 1 or more, by which the odds of a score, s / (1 - s), are raised.
    """
    from corpus.text import quality

    raised = margin * scores / (1.0 - scores + margin * scores)
    return quality.keep_probability(raised, alpha=alpha)
