"""What a recipe names beside its sources: there, and readable, before anything takes its time.

A stage finds for itself that a classifier or a list is missing, but only when its turn comes, which
may be days after the crawl began.
"""

from __future__ import annotations

from collections.abc import Collection

from corpus import storage
from corpus.build.indexes import open_indexes
from corpus.config import Recipe
from corpus.errors import InputError


def check_beside(recipe: Recipe, stages: Collection[str], output: str) -> None:
    """Look for the classifier, lists, indexes, benchmarks and vocabulary that stages will need.

    Args:
        recipe: The recipe.
        stages: Those that are to be made; what the others name is not looked for.
        output: The build's folder.

    Raises:
        InputError: One is not there, or is not what it should be.
        IntegrityError: An index is damaged.
    """
    if "filter" in stages and recipe.filter is not None:
        from corpus.classifier import artefact
        from corpus.filter import blocklists, scoring
        from corpus.filter.rules import word_lists

        path, label = scoring.named(recipe.filter)
        if path and not label:
            artefact.load(path)
        elif path and not storage.exists(path):
            raise InputError(
                "there is no such fastText model",
                where=path,
                fix="Check filter.classifier.fasttext",
            )
        for pattern in recipe.filter.urls or ():
            blocklists.find_lists(pattern)
        c4 = recipe.filter.heuristics.c4
        if c4 is not None and c4.bad_words is not None:
            word_lists(c4.bad_words)
    if "dedup" in stages and recipe.dedup is not None:
        open_indexes(recipe.dedup.index, output)
    if "decontaminate" in stages and recipe.decontaminate is not None:
        from corpus.decontaminate.benchmark_examples import named_files

        list(named_files(recipe.decontaminate))
    if "tokenize" in stages and recipe.tokenize is not None:
        from corpus.text import tokenizer

        if recipe.tokenize.vocabulary != "gpt2":  # that one is in the package
            tokenizer.load(recipe.tokenize.vocabulary)
