"""The section `filter`: which documents are good enough."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from corpus.config.heuristics import Heuristics, NamedHeuristics
from corpus.config.values import Paths, RecipePath, Share
from corpus.settings import Settings


class ClassifierTraining(Settings):
    """A quality classifier trained in the build, as GPT-3's was (Appendix A)."""

    positives: Annotated[tuple[str, ...], Field(min_length=1)]
    """Sources that stand for high quality."""
    negatives: Annotated[tuple[str, ...], Field(min_length=1)]
    """Unfiltered sources."""
    features: Annotated[int, Field(ge=2**8, le=2**24)] = 2**18
    """Number of hashed features (Spark's HashingTF: 2^18)."""
    ngrams: Literal[1, 2] = 1
    """Words alone, or words and pairs of words."""
    norm: Literal["l2", "none"] = "l2"
    """Whether counts are scaled to length 1; without it scores grow with the length of a page."""
    inverse_regularisation: Annotated[float, Field(gt=0)] = 1.0
    """Inverse strength of the L2 penalty: scikit-learn's C."""
    truncate_characters: Annotated[int, Field(ge=100)] = 20_000
    """Only so many characters of each document are trained on."""
    pieces: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most pieces of that many characters of a document, spread over it; 1: only its beginning."""
    balance: Literal["classes", "sources"] = "classes"
    """What counts the same whatever its size: each class, or within a class each source too."""
    documents: Annotated[int, Field(ge=20)] = 100_000
    """Most documents of each class, by a seeded sample; some 5 kB of memory each."""
    held_out: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of the sample that is kept for the evaluation: whole sites, or documents by text."""
    learning_curve: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Shares of the training documents that smaller models are fitted to, for the curve."""


class FastTextClassifier(Settings):
    """A fastText model, such as DCLM's, in place of the regression."""

    fasttext: RecipePath
    """Its file: `.bin`, or `.ftz` when it is quantised."""
    label: Annotated[str, Field(min_length=1)]
    """The label whose probability is the score, such as `__label__hq`."""


def _classifier_kind(value: Any) -> str:
    if isinstance(value, str):
        return "<path>"
    named = isinstance(value, FastTextClassifier) or "fasttext" in (
        value if isinstance(value, dict) else {}
    )
    return "<fasttext>" if named else "<training>"


class Filter(Settings):
    """Which pages of the filtered sources are kept (GPT-3, Appendix A)."""

    classifier: (
        Annotated[
            Annotated[RecipePath, Tag("<path>")]
            | Annotated[ClassifierTraining, Tag("<training>")]
            | Annotated[FastTextClassifier, Tag("<fasttext>")],
            Discriminator(_classifier_kind),
        ]
        | None
    ) = None
    """A trained classifier's folder, `{positives, negatives}` to train one, `{fasttext, label}`."""
    alpha: Annotated[float, Field(gt=0)] | Literal["fit"] = 9.0
    """A page is kept with probability (2 - score)^-alpha; `fit` matches the positives' scores."""
    heuristics: NamedHeuristics = Heuristics()
    """Rule sets to pass: `[gopher, c4]`, or with thresholds `{gopher: {minimum_words: 30}}`."""
    languages: dict[str, Share] = Field(default_factory=dict)
    """Languages to keep, each with the least share of the text that has to be in it."""
    urls: Paths | None = None
    """Lists of domains and URL prefixes to drop: files, one a line, or folders as those of UT1."""

    @model_validator(mode="after")
    def _fasttext_needs_label(self) -> Filter:
        if isinstance(self.classifier, str) and self.classifier.endswith((".bin", ".ftz")):
            raise ValueError(
                "of a fastText model the recipe has to say which label is the good one: "
                "`classifier: {fasttext: model.bin, label: __label__hq}`"
            )
        return self

    @model_validator(mode="after")
    def _fit_needs_a_classifier(self) -> Filter:
        if self.alpha == "fit" and self.classifier is None:
            raise ValueError("alpha: fit needs a classifier, whose positives it is fitted to")
        if self.alpha == "fit" and isinstance(self.classifier, FastTextClassifier):
            raise ValueError("alpha: fit needs scores of positives: a fastText model brings none")
        return self
