"""The recipe: `mix.yaml` as frozen models. Every default is here and nowhere else.

What defines the corpus has no default: the seed, the sources, their weights, the tokens of the run.
The docstring below each field is its entry in the reference page `docs/mix.md`.
"""

from __future__ import annotations

from corpus.config.crawl import Crawl
from corpus.config.decontaminate import FILE_NAMES, Benchmark, Decontaminate
from corpus.config.dedup import DEDUP_PRESETS, Dedup, DedupScheme, LineDedup
from corpus.config.extract import Extract, Prefilter
from corpus.config.filter import ClassifierTraining, FastTextClassifier, Filter
from corpus.config.mix import Mix
from corpus.config.plan import Planning, Prices
from corpus.config.recipe import Recipe, load_recipe
from corpus.config.sources import (
    KINDS,
    CommonCrawl,
    Documents,
    LinkedPages,
    Pages,
    Snapshot,
    Source,
    Stdlib,
    WebText,
)
from corpus.config.tokenize import Tokenize

__all__ = [
    "DEDUP_PRESETS",
    "FILE_NAMES",
    "KINDS",
    "Benchmark",
    "ClassifierTraining",
    "CommonCrawl",
    "Crawl",
    "Decontaminate",
    "Dedup",
    "DedupScheme",
    "Documents",
    "Extract",
    "FastTextClassifier",
    "Filter",
    "LineDedup",
    "LinkedPages",
    "Mix",
    "Pages",
    "Planning",
    "Prefilter",
    "Prices",
    "Recipe",
    "Snapshot",
    "Source",
    "Stdlib",
    "Tokenize",
    "WebText",
    "load_recipe",
]
