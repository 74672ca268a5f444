"""The plan: shares and tokens of a recipe, and what of it is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus.build import build, read_build
from corpus.config import Recipe, load_recipe
from corpus.manifest import with_digest
from corpus.mix.mixture import Mixture
from corpus.mix.plan import table
from corpus.planning import plan
from corpus.planning.plan import Plan
from corpus.storage import read_json

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "pipelines").glob("*/mix.yaml"))


def recipe_of(output: Path, *changes: str) -> Recipe:
    return load_recipe(str(output.parent / "mix.yaml"), changes)


def states(made: Plan) -> dict[str, str]:
    return {stage.stage: stage.state for stage in made.stages}


def shown(made: Plan) -> str:
    from corpus import tables

    blocks = plan.describe(made)
    return "\n".join(b if isinstance(b, str) else tables.plain(b) for b in blocks)


@pytest.mark.parametrize("path", RECIPES, ids=[path.parent.name for path in RECIPES])
def test_plan_of_every_recipe_needs_no_file_and_no_network(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(path))
    made = plan.plan(recipe, str(tmp_path / "nothing"))
    assert sum(source.share or 0 for source in made.sources) == pytest.approx(1)
    drawn = sum(source.drawn or 0 for source in made.sources)
    assert recipe.tokens is not None
    assert recipe.mix is not None
    assert abs(drawn - recipe.tokens) <= recipe.mix.sequence_length * (len(made.sources) + 1)
    assert set(states(made).values()) == {"to build"}
    assert "measured by building" in shown(made)
    assert not (tmp_path / "nothing").exists()


def test_plan_of_gpt3_normalises_the_weights_of_table_22() -> None:
    made = plan.plan(load_recipe(str(ROOT / "pipelines" / "gpt3" / "mix.yaml")), "data/none")
    shares = {source.name: source.share for source in made.sources}
    assert shares["common_crawl"] == pytest.approx(0.60 / 1.01)
    assert shares["wikipedia"] == pytest.approx(0.03 / 1.01)
    missing = {s.name for s in made.sources if s.inputs.missing}
    assert missing == {"wikipedia", "books1", "books2", "webtext2"}
    assert any("books2" in warning for warning in made.warnings)
    crawl = next(source for source in made.sources if source.name == "common_crawl")
    assert crawl.inputs.remote == ("41 snapshots, all files",)


def test_plan_of_a_finished_build_has_the_tokens_and_epochs_of_its_mixture(
    finished_build: Path,
) -> None:
    made = plan.plan(recipe_of(finished_build), str(finished_build))
    assert set(states(made).values()) == {"built"}
    mix = read_build(str(finished_build)).stage("mix")
    path = mix.path(mix.shards[0].output("mixture"))
    rows = {row.name: row for row in table(Mixture.from_json(read_json(path), where=path))}
    assert list(rows) == ["essays", "pages"]
    for source in made.sources[:2]:
        row = rows[source.name]
        assert source.tokens == row.tokens
        assert source.drawn == row.tokens_drawn
        assert source.epochs == row.epochs
    assert "measured by building" not in shown(made)


def test_plan_counts_the_local_files_of_each_source(finished_build: Path) -> None:
    made = plan.plan(recipe_of(finished_build), str(finished_build))
    inputs = {source.name: source.inputs for source in made.sources}
    assert (inputs["essays"].files, inputs["pages"].files) == (1, 2)
    folder = finished_build.parent
    assert inputs["pages"].bytes == sum(p.stat().st_size for p in folder.glob("pages-*.jsonl"))


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("filter.alpha=9", "filter"),
        ("sources.pages.filter=false", "filter"),
        ("dedup.threshold=0.9", "dedup"),
        ("decontaminate.window=100", "decontaminate"),
        ("mix.validation=0.2", "tokenize"),
        ("tokens=80_000", "mix"),
        ("sources.pages.weight=2", "mix"),
        ("extract.max_document_bytes=100_000", "extract"),
        ("sources.essays.documents=pages-0.jsonl", "crawl"),
        ("seed=8", "crawl"),
        ("crawl.attempts=3", None),
    ],
)
def test_plan_of_a_changed_recipe_says_where_the_build_starts_again(
    finished_build: Path, change: str, first: str | None
) -> None:
    made = states(plan.plan(recipe_of(finished_build, change), str(finished_build)))
    order = list(made)
    at = order.index(first) if first else len(order)
    assert [made[stage] for stage in order[:at]] == ["built"] * at
    if first is not None:
        assert made[first] == "changed"
        assert {made[stage] for stage in order[at + 1 :]} <= {"to build"}


def test_plan_agrees_with_what_the_build_then_does_again(
    copied_build: Path, finished_build: Path
) -> None:
    """A stage that is built keeps its folder, one whose keys have changed gets a new one."""
    from corpus.engine import LocalEngine
    from corpus.progress import Silent

    for change in ("dedup.threshold=0.95", "tokens=50_000", "filter.alpha=1"):
        recipe = recipe_of(finished_build, change)
        foretold = states(plan.plan(recipe, str(finished_build)))
        again = build(recipe, str(copied_build), LocalEngine(0), Silent())
        old = read_build(str(finished_build))
        for stage, state in foretold.items():
            same = again.stage(stage).fingerprint == old.stage(stage).fingerprint
            # After a change a stage may take in what it took in before: "to build" says nothing.
            assert state == "to build" or same == (state == "built"), (change, stage)
        assert "changed" in foretold.values()


def test_plan_of_the_other_order_of_sources_starts_again_at_the_crawl_or_dedup(
    finished_build: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(finished_build)
    turned = recipe.model_copy(update={"sources": dict(reversed(recipe.sources.items()))})
    made = states(plan.plan(turned, str(finished_build)))
    assert made["dedup"] != "built"


def test_plan_after_a_build_up_to_a_stage_has_the_rest_to_build(
    copied_build: Path, finished_build: Path
) -> None:
    path = copied_build / "build.json"
    value = json.loads(path.read_text())
    for stage in ("decontaminate", "tokenize", "mix"):
        del value["stages"][stage]
    path.write_text(json.dumps(with_digest(value)))
    made = plan.plan(recipe_of(finished_build), str(copied_build))
    assert states(made)["dedup"] == "built"
    assert states(made)["decontaminate"] == "to build"
    assert {source.tokens for source in made.sources} == {None}


def test_plan_warns_of_too_many_epochs(finished_build: Path) -> None:
    recipe = recipe_of(finished_build, "mix.max_epochs=0.5")
    made = plan.plan(recipe, str(finished_build))
    over = [source.name for source in made.sources if (source.epochs or 0) > 0.5]
    assert over
    for name in over:
        assert any(name in w and "epochs are over" in w for w in made.warnings)


def test_plan_of_a_source_without_weight_says_that_it_is_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(
        "name: a\nseed: 1\ntokens: 1000\ntokenize: {}\nmix: {}\nsources:\n"
        "  one: {weight: 1, documents: 'https://example.org/a.jsonl'}\n"
        "  two: {documents: none.jsonl}\n"
    )
    made = plan.plan(load_recipe(str(path)), str(tmp_path / "output"))
    one, two = made.sources
    assert (one.share, two.share, two.drawn) == (1.0, None, None)
    assert one.inputs.remote == ("https://example.org/a.jsonl",)
    assert any("two" in warning and "not mixed" in warning for warning in made.warnings)


def test_another_encoder_changes_nothing_that_is_built(finished_build: Path) -> None:
    recipe = recipe_of(finished_build, "tokenize.encoder=tiktoken")
    made = plan.plan(recipe, str(finished_build))
    assert set(states(made).values()) == {"built"}
