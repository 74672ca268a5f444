"""The constants of the last builds on this machine, kept in the user's cache.

Times belong to a machine and not to a corpus, and an output folder holds nothing that differs from
run to run: so they lie in `$XDG_CACHE_HOME/corpusmill/builds` (`~/.cache` without it), a file for
each output folder. A cache that cannot be written is done without. In: a build and its meter. Out:
the constants of the last build that a recipe is like.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from corpus import storage
from corpus.build import Build, sections
from corpus.config import Recipe
from corpus.errors import CorpusError
from corpus.manifest import fingerprint
from corpus.metering.meter import Key, Meter, Sums
from corpus.planning.constants import Constants, from_json
from corpus.planning.inputs import extents, form
from corpus.planning.measure import by_documents, constants_of
from corpus.planning.probe import recipe_fingerprint

KEPT = 50  # files; the oldest go


def folder() -> Path:
    """Return where the constants of builds are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "corpusmill" / "builds"


def record(recipe: Recipe, made: Build, meter: Meter, workers: int = 1) -> None:
    """Keep what a build has measured, with what earlier runs of it did of the steps it took over.

    Nothing is kept of a build that was not made to its end, and nothing is raised.
    """
    if "extract" not in made.manifests or not meter.steps:
        return
    path = _path(made.output)
    with contextlib.suppress(CorpusError, OSError):
        before = _read(path)
        steps = dict(before.steps) if before is not None else {}
        steps |= _better(by_documents(meter.steps, made, recipe), steps)
        known = extents(recipe)
        kept = constants_of(
            recipe,
            made,
            steps,
            origin=f"the build of {recipe.name} in {made.output}",
            fingerprint=recipe_fingerprint(recipe),
            # What was built is all of it, whatever such a file has usually.
            extents={n: e for n, e in known.items() if e is not None and e.how == "measured"},
            driver=(meter.leading, 0.0),
            slowdown=meter.slowdown(max(1, workers)),
        )
        storage.write_json(str(path), kept.to_json())
        _forget(path.parent)


def _better(new: Mapping[Key, Sums], old: Mapping[Key, Sums]) -> dict[Key, Sums]:
    """Return the steps of which now more was measured than before, or all that there is."""
    found: dict[Key, Sums] = {}
    for key, sums in new.items():
        most = old[key].tasks if key in old else 0
        if sums.tasks and (sums.tasks >= most or sums.tasks == sums.all_tasks):
            found[key] = sums
    return found


def last(recipe: Recipe) -> Constants | None:
    """Return the constants of the last build with files of the same kinds, or None.

    The recipe's own builds come first, then those that have measured most of its sources, and of
    these most of its stages: one that was stopped behind dedup knows of no tokens.
    """
    wanted = {form(source) for source in recipe.sources.values()}
    own = recipe_fingerprint(recipe)
    stages = set(sections(recipe))
    ranked: list[tuple[bool, int, int, float, Constants]] = []
    for path in folder().glob("*.json"):
        with contextlib.suppress(CorpusError, OSError):
            kept = _read(path)
            if kept is None:
                continue
            there = wanted & {source.form for source in kept.sources.values()}
            if there:
                units = (unit for source in kept.sources.values() for unit in source.units)
                measured = len(stages.intersection(stage for unit in units for stage in unit.into))
                own_build, when = kept.fingerprint == own, path.stat().st_mtime
                ranked.append((own_build, len(there), measured, when, kept))
    return max(ranked, key=lambda entry: entry[:4])[4] if ranked else None


def _path(output: str) -> Path:
    place = output if storage.is_remote(output) else str(Path(output).absolute())
    return folder() / f"{fingerprint('output', place)}.json"


def _read(path: Path) -> Constants | None:
    if not path.exists():
        return None
    return from_json(storage.read_json(str(path)), where=str(path))


def _forget(place: Path) -> None:
    """Remove the oldest files, beyond so many."""
    for path in sorted(place.glob("*.json"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
        path.unlink(missing_ok=True)
