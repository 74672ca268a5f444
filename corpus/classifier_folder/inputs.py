"""What is read beside a classifier's recipe: documents of its sources, groups, and probes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from corpus import storage
from corpus.build import build
from corpus.classifier.config import ClassifierRecipe
from corpus.classifier.contributions import ScoredText, explain
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.parts import Part, parts
from corpus.progress import Progress
from corpus.text.quality import LinearModel

PROBES = "probes.jsonl"
_MOST_GROUPS_BYTES = 1 << 30
_WORDS_SHOWN = 4  # of each sign, for a probe

NewProgress = Callable[[], Progress]


def documents(
    recipe: ClassifierRecipe, output: str, engine: Engine, progress: Progress
) -> list[Part]:
    """Return the documents of the recipe's sources, built up to their text.

    Raises:
        InputError: A source cannot be read; it says how to name another place.
    """
    try:
        made = build(recipe.recipe(), output, engine, progress, until="extract")
    except InputError as error:
        for name, source in recipe.sources.items():
            given = getattr(source, source.kind)
            paths = getattr(given, "paths", given)
            if isinstance(paths, tuple) and error.where in paths:
                why = "The texts of a classifier are not in its folder: they are needed here"
                setting = f"sources.{name}.{source.kind}"
                fix = f"{error.fix}. Or name them: --set {setting}=PATH"
                raise InputError(error.what, where=error.where, why=why, fix=fix) from error
        raise
    return parts(made.stage("extract"), None)


def read_groups(path: str) -> dict[str, str]:
    """Return the group of each id or URL of a JSONL file.

    Raises:
        InputError: The file is too large, or a line of it is not what it should be.
    """
    fix = 'Write lines like {"url": "https://example.org/", "group": "shop"}'
    if storage.size(path) > _MOST_GROUPS_BYTES:
        raise InputError("the file of groups is too large", where=path, fix=fix)
    found: dict[str, str] = {}
    for number, line in enumerate(storage.read_bytes(path).splitlines(), 1):
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            where = f"{path}:{number}"
            raise InputError("this is not JSON", where=where, why=str(error), fix=fix) from error
        if value is None:
            continue
        key = (value.get("id") or value.get("url")) if isinstance(value, dict) else None
        group = value.get("group") if isinstance(value, dict) else None
        if not isinstance(key, str) or not isinstance(group, str):
            what = "a line needs `id` or `url`, and `group`, all text"
            raise InputError(what, where=f"{path}:{number}", fix=fix)
        found[key] = group
    return found


def read_probes(folder: str) -> list[tuple[str, str]]:
    """Return name and text of each probe of a classifier's folder; none without the file.

    Raises:
        InputError: A line of it is not what it should be.
    """
    path = storage.join(folder, PROBES)
    if not storage.exists(path):
        return []
    found = []
    for number, line in enumerate(storage.read_bytes(path).splitlines(), 1):
        try:
            value = json.loads(line)
            found.append((str(value["name"]), str(value["text"])))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                "this is not a probe",
                where=f"{path}:{number}",
                why=str(error),
                fix='Write lines like {"name": "shop page", "text": "..."}',
            ) from error
    return found


def probes(folder: str, model: LinearModel) -> list[dict[str, Any]]:
    """Return the entry of each probe of a classifier's folder."""
    return [probe(name, explain(text, model)) for name, text in read_probes(folder)]


def probe(name: str, scored: ScoredText) -> dict[str, Any]:
    """Return the entry of one probe: its score and the words that moved it most."""
    words = scored.contributions
    raised = [one.words for one in words[:_WORDS_SHOWN] if one.log_odds > 0]
    lowered = [one.words for one in words[::-1][:_WORDS_SHOWN] if one.log_odds < 0]
    return {"name": name, "score": scored.score, "raised_by": raised, "lowered_by": lowered}
