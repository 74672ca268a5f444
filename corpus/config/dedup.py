"""The section `dedup`: which documents are copies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from corpus.config.values import ONE_OR_MORE as _ONE_OR_MORE
from corpus.config.values import RecipePath, Share
from corpus.settings import Settings


class DedupScheme(Settings):
    """What a near-duplicate is, with every value given."""

    threshold: float
    words: Literal["word", "whitespace"]
    shingle: int
    bands: int
    rows: int
    scope: Literal["all", "within", "curated"] = "all"


DEDUP_PRESETS = {
    # Ours: 18 bands of 7 find 98.5 % of the pairs at 0.8, 99.9 % at 0.85. What they propose beyond
    # that costs little, since every candidate is verified.
    "thorough": DedupScheme(threshold=0.8, words="word", shingle=5, bands=18, rows=7),
    # Appendix A: Spark's MinHashLSH with 10 hashes (tables of one hash each) over the classifier's
    # features, which are words. The threshold is not published; the paper's 10 % removed is.
    "gpt3": DedupScheme(threshold=0.8, words="whitespace", shingle=1, bands=10, rows=1),
    # FineWeb: 112 hashes in 14 bands of 8, which finds 77 % of the pairs at 0.75 and 92 % at 0.8.
    "fineweb": DedupScheme(threshold=0.75, words="word", shingle=5, bands=14, rows=8),
    # Only what is all but the same: 20 bands of 10 find 99.98 % of the pairs at 0.9.
    "strict": DedupScheme(threshold=0.9, words="word", shingle=5, bands=20, rows=10),
}


class LineDedup(Settings):
    """Which lines are cut because another document has them, too (CCNet, section 3.1)."""

    unit: Literal["line", "paragraph"] = "line"
    """What is compared: a line, which CCNet calls a paragraph, or lines up to one that is blank."""
    normalization: Literal["ccnet", "exact"] = "ccnet"
    """By what: `ccnet` lets case, digits, punctuation and accents not count; `exact` all but white
    space."""
    scope: Literal["all", "within"] = "all"
    """Whose lines are compared: those of all documents, or those of one source."""
    sources: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """The sources that lose lines; all by default. Those that do not are visited first."""
    minimum_words: Annotated[int, Field(ge=1)] = 1
    """Lines of fewer words are left where they are (CCNet: no such bound)."""
    minimum_documents: Annotated[int, Field(ge=1)] = 1
    """Lines that are in fewer documents are left where they are; with 1 also what a document
    repeats of itself is cut (CCNet)."""
    minimum_left: Annotated[int, Field(ge=0)] = 200
    """A document that is cut to fewer characters is dropped, unless another lost a line for it."""


class Dedup(Settings):
    """Which documents count as near-duplicates of one that is kept (GPT-3, Appendix A)."""

    preset: Literal["thorough", "gpt3", "fineweb", "strict"] = "thorough"
    """A set of values for threshold, words, shingle, bands and rows; see docs/stages/dedup.md."""
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    """Least Jaccard index of two documents' shingle sets, verified, at which one is dropped."""
    words: Literal["word", "whitespace"] | None = None
    """What a word is: a run of letters and digits, or whatever stands between white space."""
    shingle: Annotated[int, Field(ge=1, le=64)] | None = None
    """Words in a shingle."""
    bands: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Bands of the signature; documents that agreement in a band connects are compared."""
    rows: Annotated[int, Field(ge=1, le=100)] | None = None
    """MinHash values in a band."""
    permutations: Annotated[int, Field(ge=2, le=1024)] | None = None
    """Length of the signature, instead of bands and rows, which are then the optimum."""
    scope: Literal["all", "within", "curated"] = "all"
    """What is compared: all documents, those of one source, or filtered sources with the others."""
    index: Annotated[tuple[RecipePath, ...], _ONE_OR_MORE] = ()
    """Earlier builds, with their indexes: what duplicates a document kept there is dropped."""
    urls: bool = False
    """Of documents with the same URL, up to what changes nothing of a page, keep the best alone."""
    lines: LineDedup | None = None
    """Of lines that several documents have, keep the first alone; left out without this key."""
    max_loss: Share = 0.9
    """The largest share of its documents, or of its text by `lines`, that a source may lose before
    the build stops."""

    @model_validator(mode="after")
    def _one_shape(self) -> Dedup:
        if self.permutations is not None and (self.bands is not None or self.rows is not None):
            raise ValueError("give either permutations, or bands and rows")
        try:
            self.scheme()
        except ValueError as error:
            raise ValueError(
                f"{self.permutations} permutations are too few for this threshold: they would make "
                "a single band"
            ) from error
        return self

    def scheme(self) -> DedupScheme:
        """Return the preset with what the recipe sets beside it."""
        given = {key: getattr(self, key) for key in DedupScheme.model_fields}
        changes = {key: value for key, value in given.items() if value is not None}
        scheme = DEDUP_PRESETS[self.preset].model_copy(update=changes)
        if self.permutations is None:
            return scheme
        from corpus.config.banding import optimal_bands

        bands, rows = optimal_bands(scheme.threshold, self.permutations)
        return scheme.model_copy(update={"bands": bands, "rows": rows})
