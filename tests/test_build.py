"""The whole build: the same bytes on every engine and after every interruption, nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from corpus import storage
from corpus.build import Build, describe, read_build, sections
from corpus.config import Recipe, load_recipe
from corpus.engine import RayEngine
from corpus.errors import InputError, IntegrityError, RecipeError
from tests.made import (
    Recording,
    changed,
    digests,
    html,
    make_recipe,
    run,
    text,
    warc,
    write_jsonl,
)
from tests.object_store import BUCKET, environment, object_store

ROOT = Path(__file__).resolve().parent.parent
STAGES = ["crawl", "extract", "filter", "dedup", "decontaminate", "tokenize", "mix"]
ITEM = " ".join(f"item{i}" for i in range(16))


def write_inputs(folder: Path) -> Path:
    """Write inputs of several files, with something for every stage to do, and their recipe."""
    own = [{"id": f"o{i}", "text": text(f"own {i}", 60)} for i in range(40)]
    own.append({"id": "quote", "text": f"{text('q', 90)} {ITEM} {text('r', 90)}"})
    write_jsonl(folder / "own-0.jsonl", own[:20])
    write_jsonl(folder / "own-1.jsonl", own[20:])
    near = changed(own[3]["text"], 1, 2)
    web = [{"id": f"w{i}", "text": f"buy {text(f'web {i}', 50)} now"} for i in range(30)]
    web += [{"id": "copy", "text": own[1]["text"]}, {"id": "near", "text": near}]
    write_jsonl(folder / "web-0.jsonl", web[:16])
    write_jsonl(folder / "web-1.jsonl", [*web[16:], {"no": "text"}])
    for number in range(2):
        (folder / f"pages-{number}.warc.gz").write_bytes(warc(html(4)[2 * number :]))
    write_jsonl(folder / "quiz.jsonl", [{"q": ITEM}])
    recipe = {
        "name": "whole",
        "seed": 5,
        "tokens": 3000,
        "sources": {
            "own": {"weight": 1, "documents": "own-*.jsonl"},
            "pages": {"weight": 1, "warc": "pages-*.warc.gz"},
            "web": {"weight": 2, "filter": True, "documents": "web-*.jsonl"},
        },
        "filter": {
            "classifier": {"positives": ["own"], "negatives": ["web"], "features": 1024},
            "alpha": 1,
        },
        "dedup": {"preset": "fineweb", "bands": 50, "rows": 2},
        "decontaminate": {"benchmarks": "quiz.jsonl"},
        "tokenize": {"vocabulary": "gpt2"},
        "mix": {"sequence_length": 16, "validation": 0.1},
    }
    (folder / "mix.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder / "mix.yaml"


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def recipe(recipe_path: Path) -> Recipe:
    return load_recipe(str(recipe_path))


@pytest.fixture(scope="module")
def undisturbed(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of a build in this process, for reading."""
    output = tmp_path_factory.mktemp("undisturbed")
    run(recipe, output)
    return output


# --- what a build is


def test_build_makes_every_stage_of_the_recipe_and_accounts_for_every_row(
    undisturbed: Path,
) -> None:
    made = read_build(str(undisturbed))
    assert list(made.manifests) == STAGES
    into = made.stage("extract").counts().into
    for before, after in (("extract", "filter"), ("filter", "dedup"), ("dedup", "decontaminate")):
        assert made.stage(before).counts().kept == made.stage(after).counts().into
    assert made.stage("decontaminate").counts().kept == made.stage("tokenize").counts().into
    dropped = [sum(made.stage(s).counts().dropped.values()) for s in STAGES[1:5]]
    assert all(dropped[:3])  # there is something to do for each, so that the tests below mean it
    assert made.stage("decontaminate").measure("cuts") == 1
    assert into - sum(dropped) == made.stage("tokenize").counts().kept


def test_output_is_whole_files_and_nothing_else(undisturbed: Path) -> None:
    made = read_build(str(undisturbed))
    folders = {path.name for path in undisturbed.iterdir() if path.is_dir()}
    kinds = {name.rsplit("-", 1)[0] for name in folders}
    steps = {"sample", "classifier", "score", "signatures", "benchmarks", "grams", "collisions"}
    assert kinds == {*STAGES, *steps}
    assert {p.name for p in undisturbed.iterdir() if p.is_file()} == {"build.json", "build.lock"}
    assert not list(undisturbed.rglob(".*"))
    for manifest in made.manifests.values():
        for shard in manifest.shards:
            for output in shard.outputs:
                assert storage.digest(manifest.path(output)) == (output.bytes, output.sha256)


def test_build_that_is_complete_makes_nothing(recipe: Recipe, undisturbed: Path) -> None:
    before = digests(undisturbed)
    progress = Recording()
    run(recipe, undisturbed, progress=progress)
    assert progress.made == {}
    assert digests(undisturbed) == before


# --- the same bytes


@pytest.mark.ray
def test_ray_makes_the_same_bytes(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    engine = RayEngine(2)
    try:
        run(recipe, tmp_path, engine=engine)
    finally:
        engine.close()
    assert digests(tmp_path) == digests(undisturbed)


def test_build_killed_at_random_moments_ends_with_the_same_bytes(
    recipe_path: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Of two workers: `kill -9` of all processes, again and again; then the same command."""
    output = tmp_path / "out"
    command = [sys.executable, "-m", "corpus", "build", "--config", str(recipe_path)]
    command += ["--engine", "local", "--workers", "2", "--output", str(output)]
    generator = random.Random(int(os.environ.get("CORPUS_TEST_CHAOS", "1")))
    kills, stages = 0, set()
    while kills < 4:
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ) as build:
            _wait_for_progress(build, output)
            time.sleep(generator.uniform(0, 0.8))
            os.killpg(build.pid, signal.SIGKILL)
            if build.wait() == 0:
                break  # it was quicker
        kills += 1
        stages |= {path.name.rsplit("-", 1)[0] for path in output.iterdir() if path.is_dir()}
    assert kills >= 2
    assert stages
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert digests(output) == digests(undisturbed)


def _wait_for_progress(build: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until the build has made something, so that each kill meets another moment."""
    before = set(output.rglob("*"))
    for _ in range(600):
        if build.poll() is not None or set(output.rglob("*")) - before:
            return
        time.sleep(0.05)
    pytest.fail("the build made nothing in 30 s")


# --- nothing twice


def small(folder: Path, alpha: float = 1, **sections: Any) -> Recipe:
    """Return a recipe of two sources of two files, with a classifier that is there already."""
    for name in ("own", "web"):
        for number in range(2):
            rows = [
                {"id": f"{name}{number}{i}", "text": text(f"{name}{number}{i}", 40)}
                for i in range(15)
            ]
            write_jsonl(folder / f"{name}-{number}.jsonl", rows)
    quiz = write_jsonl(folder / "quiz.jsonl", [{"q": ITEM}])
    given: dict[str, Any] = {
        "tokens": 1000,
        "filter": {"classifier": str(_model(folder)), "alpha": alpha},
        "dedup": {},
        "decontaminate": {"benchmarks": str(quiz)},
        "tokenize": {},
        "mix": {"sequence_length": 8, "validation": 0},
        **sections,
    }
    sources = {
        "own": {"documents": f"{folder}/own-*.jsonl", "weight": 1},
        "web": {
            "documents": f"{folder}/web-*.jsonl",
            "weight": 1,
            "filter": given["filter"] is not None,
        },
    }
    return make_recipe(sources, **given)


def _model(folder: Path) -> Path:
    import numpy as np
    import pyarrow as pa

    from corpus import classifier
    from corpus.text.quality import Features, LinearModel

    path = folder / "model"
    if not path.exists():
        weights = np.random.default_rng(1).normal(size=1024)
        model = LinearModel(Features(1024, 1, "l2"), weights, 0.5)
        texts = pa.array([text(i) for i in range(4)])
        labels = np.array([True, True, False, False])
        classifier.save(model, str(path), classifier.evaluate(model, texts, labels))
    return path


def made(recipe: Recipe, output: Path) -> dict[str, int]:
    progress = Recording()
    run(recipe, output, progress=progress)
    return progress.made


def test_one_more_input_file_makes_one_more_shard_of_every_stage(tmp_path: Path) -> None:
    recipe, output = small(tmp_path), tmp_path / "out"
    made(recipe, output)
    rows = [{"id": f"new{i}", "text": text(f"new{i}", 40)} for i in range(15)]
    write_jsonl(tmp_path / "own-00.jsonl", rows)  # in the middle: others are renamed
    assert made(recipe, output) == {
        "crawl": 1,
        "extract": 1,
        "score": 1,
        "filter": 1,
        "signatures": 1,
        "copies": 1,
        "edges": 1,
        "small-stars": 1,
        "large-stars": 1,
        "sums": 1,
        "totals": 1,
        "candidates": 1,
        "fates": 1,
        "drops": 1,
        "dedup": 5,  # a verdict depends on every document
        "collisions": 1,
        "decontaminate": 1,
        "tokenize": 1,
        "mix": 1,
    }


def test_another_alpha_makes_nothing_before_filter_and_destroys_nothing(tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(small(tmp_path, alpha=1), output)
    first = digests(output, ignored=["build.lock", "build.json"])
    again = made(small(tmp_path, alpha=5), output)
    assert list(again) == [
        "filter",
        "signatures",
        "copies",
        "edges",
        "small-stars",
        "large-stars",
        "sums",
        "totals",
        "candidates",
        "fates",
        "drops",
        "dedup",
        "collisions",
        "decontaminate",
        "tokenize",
        "mix",
    ]
    assert again["filter"] == again["signatures"] == 2  # those of the filtered source
    after = digests(output, ignored=["build.lock", "build.json"])
    assert first.items() <= after.items()
    assert made(small(tmp_path, alpha=1), output) == {}
    assert read_build(str(output)).stage("filter").settings["alpha"] == 1


def test_recipe_with_another_name_of_a_source_is_another_corpus(tmp_path: Path) -> None:
    """The name is written into every document."""
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}])
    run(make_recipe({"one": path}), tmp_path / "out")
    assert made(make_recipe({"two": path}), tmp_path / "out")["extract"] == 1


# --- stopping early


def test_stages_are_those_of_the_recipe_in_order(tmp_path: Path) -> None:
    assert sections(small(tmp_path)) == STAGES
    assert sections(small(tmp_path, filter=None, mix=None, dedup=None)) == [
        "crawl",
        "extract",
        "decontaminate",
        "tokenize",
    ]


@pytest.mark.parametrize("left_out", ["filter", "dedup", "decontaminate"])
def test_stage_that_the_recipe_leaves_out_is_left_out(tmp_path: Path, left_out: str) -> None:
    build = run(small(tmp_path, **{left_out: None}), tmp_path / "out")
    assert list(build.manifests) == [stage for stage in STAGES if stage != left_out]
    assert build.stage("tokenize").counts().kept > 20
    with pytest.raises(InputError, match=f"the stage {left_out} is not built"):
        build.stage(left_out)


def test_build_stops_after_the_stage_it_was_asked_for(tmp_path: Path) -> None:
    build = run(small(tmp_path), tmp_path / "out", until="filter")
    assert list(build.manifests) == ["crawl", "extract", "filter"]
    assert list(read_build(str(tmp_path / "out")).manifests) == ["crawl", "extract", "filter"]
    assert [manifest.stage for manifest in build.verdicts] == ["filter"]


def test_build_that_stops_early_takes_nothing_from_one_that_went_on(tmp_path: Path) -> None:
    """`make extract` after `make build` must not lose the mix."""
    recipe, output = small(tmp_path), tmp_path / "out"
    run(recipe, output)
    run(recipe, output, until="extract")
    assert list(read_build(str(output)).manifests) == STAGES
    # With another recipe the later stages are no longer those of this build.
    run(small(tmp_path, alpha=5), output, until="extract")
    assert list(read_build(str(output)).manifests) == ["crawl", "extract"]


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("fliter", "--until: there is no stage 'fliter'"),
        ("dedup", "the recipe has no dedup section"),
    ],
)
def test_stage_that_is_not_there_is_an_error_of_the_command_line(
    tmp_path: Path, until: str, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        run(small(tmp_path, dedup=None), tmp_path / "out", until=until)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"filter": {"classifier": "nowhere"}}, "there is no classifier"),
        (
            {"filter": {"classifier": {"fasttext": "x.bin", "label": "hq"}}},
            "no such fastText model",
        ),
        ({"filter": {"urls": ["nowhere"]}}, "there is no such list of URLs"),
        ({"filter": {"heuristics": {"c4": {"bad_words": "nowhere"}}}}, "nowhere"),
        ({"dedup": {"index": ["nowhere"]}}, "there is no build here"),
        ({"decontaminate": {"benchmarks": "nowhere"}}, "no benchmark file matches"),
        ({"tokenize": {"vocabulary": "nowhere.json"}}, "there is no such file"),
    ],
)
def test_what_is_missing_beside_the_sources_is_told_before_the_first_stage(
    tmp_path: Path, section: dict[str, Any], message: str
) -> None:
    path = str(write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}]))
    source = {"documents": path, "filter": "filter" in section}
    recipe = make_recipe({"a": source}, **section)
    with pytest.raises(InputError, match=message):
        run(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run(recipe, tmp_path / "out", until="extract")  # which needs none of it


# --- the folder


def test_folder_without_a_build_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no build here"):
        read_build(str(tmp_path))


@pytest.mark.parametrize("content", ["{}", "[]", '{"stages": 3}'])
def test_damaged_list_of_stages_is_made_again(tmp_path: Path, content: str) -> None:
    recipe = make_recipe({"a": write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}])})
    run(recipe, tmp_path / "out")
    whole = (tmp_path / "out" / "build.json").read_bytes()
    (tmp_path / "out" / "build.json").write_text(content)
    run(recipe, tmp_path / "out")
    assert (tmp_path / "out" / "build.json").read_bytes() == whole


def test_list_of_stages_with_another_character_is_refused_and_made_again(tmp_path: Path) -> None:
    recipe = make_recipe({"a": write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}])})
    run(recipe, tmp_path / "out")
    path = tmp_path / "out" / "build.json"
    whole = path.read_text()
    path.write_text(whole.replace('"seed": ', '"seed": 1', 1))
    with pytest.raises(IntegrityError, match="list of the build's stages has been changed"):
        read_build(str(tmp_path / "out"))
    run(recipe, tmp_path / "out")
    assert path.read_text() == whole


def test_list_of_stages_of_before_there_were_digests_keeps_its_later_stages(
    tmp_path: Path,
) -> None:
    recipe = make_recipe({"a": write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}])})
    run(recipe, tmp_path / "out")
    path = tmp_path / "out" / "build.json"
    value = json.loads(path.read_text())
    del value["digest"]
    path.write_text(json.dumps(value))
    run(recipe, tmp_path / "out", until="crawl")
    assert list(read_build(str(tmp_path / "out")).manifests) == ["crawl", "extract"]


def test_what_killed_processes_left_in_the_output_folder_is_removed(tmp_path: Path) -> None:
    recipe = make_recipe({"a": write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}])})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{storage.TEMPORARY_PREFIX}1-build.json").write_text("{")
    run(recipe, tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*"))


def test_list_of_stages_names_folders_relative_to_it_and_the_recipe(tmp_path: Path) -> None:
    recipe = make_recipe({"a": write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}])})
    run(recipe, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    found = read_build(str(tmp_path / "moved"))
    assert list(found.manifests) == ["crawl", "extract"]
    value = json.loads((tmp_path / "moved" / "build.json").read_text())
    assert Recipe.model_validate(value["recipe"]) == recipe


def test_stages_are_described_in_a_line_each(undisturbed: Path) -> None:
    found = [describe(one) for one in read_build(str(undisturbed)).manifests.values()]
    assert found[0] == "crawl: 6 files in, 6 kept"
    assert found[1] == "extract: 80 documents in, 79 kept, missing_text 1"
    assert found[2].startswith("filter: 79 documents in, ")
    assert ", quality " in found[2]
    assert found[5].startswith("tokenize: ")
    assert " tokens, " in found[5]
    assert found[6] == "mix: 187 sequences, 2,992 tokens"


# --- in an object store


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with object_store() as variables, environment(variables):
        yield f"s3://{BUCKET}"


def test_build_in_an_object_store_makes_the_same_bytes_as_on_a_disk(
    s3: str, recipe_path: Path, undisturbed: Path
) -> None:
    """Input and output are objects; the digests in the manifests say that they are the same."""
    for path in recipe_path.parent.iterdir():
        storage.write_bytes(f"{s3}/in/{path.name}", path.read_bytes())
    on_disk = read_build(str(undisturbed))
    recipe, output = load_recipe(f"{s3}/in/mix.yaml"), f"{s3}/out"
    in_store = run(recipe, output)
    for stage in STAGES[1:-1]:
        one, other = on_disk.stage(stage), in_store.stage(stage)
        assert one.counts() == other.counts(), stage
        assert _digests(one) == _digests(other), stage
    assert storage.find(f"{output}/mix-*/mixture.json")
    progress = Recording()
    again = run(recipe, output, progress=progress)
    assert progress.made == {}
    assert _digests(again.stage("tokenize")) == _digests(on_disk.stage("tokenize"))
    assert list(read_build(output).manifests) == STAGES
    # Another alpha takes over what does not depend on it, by copies on the server's side.
    assert recipe.filter is not None
    other_alpha = recipe.model_copy(
        update={"filter": recipe.filter.model_copy(update={"alpha": 2.0})}
    )
    progress = Recording()
    run(other_alpha, output, "filter", progress=progress)
    assert progress.made == {"filter": 2}
    assert progress.reused == {"filter": 4}


def _digests(manifest: Any) -> list[tuple[str, str, str]]:
    return [
        (output.role, storage.name(output.path), output.sha256)
        for shard in manifest.shards
        for output in shard.outputs
    ]


def test_build_holds_its_manifests(undisturbed: Path) -> None:
    build = read_build(str(undisturbed))
    assert isinstance(build, Build)
    assert [manifest.stage for manifest in build.verdicts] == ["filter", "dedup", "decontaminate"]


def test_file_of_a_finished_stage_that_is_gone_is_made_again(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": str(i), "text": text(i)} for i in range(5)])
    recipe = make_recipe({"a": path, "b": {"documents": str(path)}}, tokenize={})
    out = tmp_path / "out"
    run(recipe, out)
    whole = digests(out)
    lost = next(out.glob("tokenize-*/a/*.bin"))
    lost.unlink()
    progress = Recording()
    run(recipe, out, progress=progress)
    assert progress.made == {"tokenize": 1}
    assert digests(out) == whole
