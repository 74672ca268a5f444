"""The probe: the chain on a seeded sample, measured, and nothing left of it but its constants.

It is built twice in a temporary folder, first from a quarter of the pieces and then from all of
them: what the first has made the second takes over. So each step has been done at two sizes, and
what it costs to start is told apart from what it costs to go on. In: a recipe. Out: `Constants`,
kept in `probe.json` beside `build.json` with a fingerprint of the recipe: another recipe has to be
probed anew, but for what changes nothing that is measured.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from corpus import storage
from corpus.build import Build, build, sections
from corpus.config import Recipe, Source
from corpus.crawl.page_tasks import CrawlRun
from corpus.engine import Engine
from corpus.errors import CorpusError, RecipeError
from corpus.manifest import fingerprint
from corpus.metering.meter import Key, Meter, Sums
from corpus.planning.constants import Constants, from_json
from corpus.planning.measure import by_documents, constants_of
from corpus.planning.sample import Sampled, quarter, sampled, with_pieces
from corpus.progress import Progress

PROBE = "probe.json"
VERSION = 1  # of what is measured


def recipe_fingerprint(recipe: Recipe) -> str:
    """Return what of a recipe the constants depend on: not prices, weights or amounts."""
    value = recipe.model_dump(mode="json", exclude_none=True)
    for key in ("name", "plan", "tokens", "mix"):
        value.pop(key, None)
    for source in value["sources"].values():
        source.pop("weight", None)
        source.get("commoncrawl", {}).pop("files", None)
    value["tokenize"] = {**value.get("tokenize", {}), "encoder": ""}
    return fingerprint("probe", VERSION, value)


def read_probe(recipe: Recipe, output: str) -> Constants | None:
    """Return the constants of a probe in an output folder, or None when it has none of the recipe.

    Raises:
        IntegrityError: The file is no probe.
    """
    path = storage.join(output, PROBE)
    if not storage.exists(path):
        return None
    kept = from_json(storage.read_json(path), where=path)
    return kept if kept.fingerprint == recipe_fingerprint(recipe) else None


def probe(recipe: Recipe, output: str, engine: Engine, progress: Progress) -> Constants:
    """Build a sample of a recipe's sources, keep what was measured, and return it.

    Args:
        recipe: The recipe.
        output: Its output folder, where `probe.json` is kept; nothing in it is used or changed.
        engine: What runs the tasks.
        progress: Who is told.

    Raises:
        RecipeError: No source can be sampled.
        CorpusError: A stage failed on the sample.
    """
    with tempfile.TemporaryDirectory(prefix="corpus-probe-") as folder:
        made = _Probe(recipe, Path(folder), engine, progress).run()
    storage.write_json(storage.join(output, PROBE), made.to_json())
    return made


class _Probe:
    """A probe in a temporary folder."""

    def __init__(self, recipe: Recipe, folder: Path, engine: Engine, progress: Progress) -> None:
        self._recipe = recipe
        self._folder = folder
        self._engine = engine
        self._progress = progress
        self._output = str(folder / "build")
        self._notes: list[str] = []

    def run(self) -> Constants:
        """Sample, build twice, and measure."""
        began = time.monotonic()
        samples = self._samples()
        seconds = time.monotonic() - began
        fetched = sum(sample.fetched for sample in samples.values())
        first = {
            name: with_pieces(sample, quarter(sample.pieces)) if sample.pieces else sample
            for name, sample in samples.items()
        }
        meters: list[Meter] = []
        steps: dict[Key, Sums] = {}
        if first != samples:
            try:
                start = self._build(first, meters)
                _add(steps, meters[-1], start, self._recipe)
            except CorpusError as error:
                # So little may be too little to train on; the whole sample has to do then.
                self._notes.append(f"start-up is not told apart: a quarter of the sample: {error}")
        whole = self._build(samples, meters)
        _add(steps, meters[-1], whole, self._recipe)
        tasks = sum(sums.tasks for sums in steps.values())
        last = sum(sums.tasks for sums in meters[-1].steps.values())
        here = [meter.leading for meter in meters]
        driver = (here[0], here[-1] / max(1, last)) if len(here) > 1 else (0.0, here[0] / tasks)
        return constants_of(
            self._recipe,
            whole,
            steps,
            origin=f"a probe of {self._recipe.name}",
            fingerprint=recipe_fingerprint(self._recipe),
            extents={name: sample.extent for name, sample in samples.items()},
            pieces={n: [p.bytes for p in s.pieces] for n, s in samples.items() if s.pieces},
            driver=driver,
            slowdown=meters[-1].slowdown(max(1, getattr(self._engine, "workers", 1))),
            rate=fetched / max(seconds, 1e-3) if fetched else None,
            notes=tuple(self._notes),
        )

    def _samples(self) -> dict[str, Sampled]:
        from corpus.fetching.keeper import make_keeper, scratch_folder
        from corpus.fetching.session import make_session

        recipe = self._recipe
        lists = self._output + "-lists"
        keeper = make_keeper(lists, self._engine)
        session = make_session(recipe.crawl, keeper)
        crawl = CrawlRun(recipe, lists, self._engine, self._progress, session)
        found: dict[str, Sampled] = {}
        for name, source in recipe.sources.items():

            def look(
                snapshot: str, what: str, name: str = name, source: Source = source
            ) -> list[str]:
                assert source.commoncrawl is not None
                return crawl.listed(name, source.commoncrawl.base_url, snapshot, what)

            own = self._folder / "pieces" / name
            sample = sampled(recipe, name, own, session, look)
            if sample is None:
                self._notes.append(
                    f"sources.{name} is not probed: which pages it has is only known from an index"
                )
            else:
                found[name] = sample
        keeper.clear()
        shutil.rmtree(scratch_folder(lists), ignore_errors=True)
        if not found:
            raise RecipeError("no source of the recipe can be probed", where="sources")
        return found

    def _build(self, samples: Mapping[str, Sampled], meters: list[Meter]) -> Build:
        recipe = self._recipe
        cut = recipe.model_copy(
            update={
                "name": "probe",
                "sources": {name: sample.source for name, sample in samples.items()},
                # A sample is no pattern: what a build would be stopped for is only measured here.
                "extract": recipe.extract.model_copy(update={"max_failures": 1.0}),
                "dedup": recipe.dedup and recipe.dedup.model_copy(update={"max_loss": 1.0}),
            }
        )
        last = [stage for stage in sections(cut) if stage != "mix"][-1]
        meters.append(Meter(self._progress, self._output))
        return build(cut, self._output, self._engine, meters[-1], last)


def _add(steps: dict[Key, Sums], meter: Meter, made: Build, recipe: Recipe) -> None:
    """Add what a build has cost."""
    for key, sums in by_documents(meter.steps, made, recipe).items():
        before = steps.setdefault(key, Sums())
        _, _, temporary = key
        # Workers of the second build still hold what later stages of the first have loaded.
        memory = 0 if temporary else before.memory
        before.join(sums)
        before.memory = memory or before.memory
