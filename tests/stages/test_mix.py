"""mix: the weights are met to one sequence a block, and what cannot be is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import storage
from corpus.build import Build
from corpus.errors import InputError, StageError
from corpus.mix import mixture
from corpus.mix.mixture import Mixture
from corpus.tokenize.shards import TokenShard
from corpus.trainer.sequences import MixtureSequences
from tests.made import Recording, make_recipe, run, text, write_jsonl

LENGTH = 16


def mixed(
    folder: Path,
    weights: dict[str, float | None],
    progress: Recording | None = None,
    tokens: int = 400 * LENGTH,
    documents: int = 40,
    **settings: Any,
) -> Build:
    sources = {}
    for name, weight in weights.items():
        given = [{"id": f"{name}{i}", "text": text(f"{name} {i}", 100)} for i in range(documents)]
        path = write_jsonl(folder / f"{name}.jsonl", given)
        sources[name] = {"documents": str(path), **({"weight": weight} if weight else {})}
    recipe = make_recipe(
        sources,
        tokens=tokens,
        tokenize={},
        mix={"sequence_length": LENGTH, "validation": 0.1, **settings},
    )
    return run(recipe, folder / "out", progress=progress)


def read(build: Build) -> Mixture:
    path = storage.join(build.stage("mix").folder, "mixture.json")
    return mixture.Mixture.from_json(storage.read_json(path), where=path)


def test_weights_are_met_to_one_sequence_in_every_block(tmp_path: Path) -> None:
    weights = {"a": 0.6, "b": 0.22, "c": 0.08, "d": 0.1}
    made = read(mixed(tmp_path, weights, block=50))
    assert made.horizon == 400
    sources, _, _ = made.locate(np.arange(400))
    for start in range(0, 400, made.block):
        block = sources[start : start + made.block]
        for index, weight in enumerate(weights.values()):
            assert abs((block == index).sum() - weight * len(block)) <= 1


def test_weights_are_normalised_as_those_of_the_paper_have_to_be(tmp_path: Path) -> None:
    build = mixed(tmp_path, {"a": 0.6, "b": 0.41})
    made = read(build)
    assert [source.weight for source in made.sources] == pytest.approx([0.6 / 1.01, 0.41 / 1.01])
    assert build.stage("mix").measure("tokens") == 400 * LENGTH
    assert build.stage("mix").measure("sequences") == 400


def test_source_without_a_weight_is_built_and_not_mixed(tmp_path: Path) -> None:
    build = mixed(tmp_path, {"a": 1, "b": None})
    assert [source.name for source in read(build).sources] == ["a"]
    assert build.stage("tokenize").measure("tokens", "b") > 0


def test_shards_are_named_relative_to_the_mixture_with_their_tokens(tmp_path: Path) -> None:
    build = mixed(tmp_path, {"a": 1, "b": 2})
    folder = Path(build.stage("mix").folder)
    made = read(build)
    for source in made.sources:
        for entry in (*source.shards, *source.validation):
            shard = TokenShard(folder / entry.prefix)
            assert len(shard.tokens) == entry.tokens
        assert source.validation
        assert source.tokens == build.stage("tokenize").measure("tokens", source.name)


def test_blend_is_weights_and_prefixes_that_lie_there(tmp_path: Path) -> None:
    build = mixed(tmp_path, {"a": 1, "b": 3})
    folder = Path(build.stage("mix").folder)
    words = (folder / "blend.txt").read_text().split()
    assert [float(word) for word in words[::2]] == [0.25, 0.75]
    for prefix in words[1::2]:
        assert len(TokenShard(folder / prefix)) > 0


def test_table_shows_what_was_asked_and_what_is_drawn(tmp_path: Path) -> None:
    table = mixed(tmp_path, {"wiki": 1, "web": 3}).stage("mix").summary["table"]
    lines = [line.split() for line in table.splitlines()]
    assert lines[0] == ["source", "tokens", "weight", "obtained", "drawn", "epochs"]
    assert [line[0] for line in lines[1:]] == ["wiki", "web", "all"]
    assert lines[1][2:5] == ["25.00%", "25.00%", "1,600"]
    assert lines[3][2:5] == ["100.00%", "100.00%", "6,400"]


def test_mix_that_needs_too_many_epochs_is_refused_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"epochs of it, over mix\.max_epochs 2") as caught:
        mixed(tmp_path, {"small": 0.9, "b": 0.1}, tokens=1000 * LENGTH, documents=20, max_epochs=2)
    assert caught.value.where == "sources.small"
    assert "max_epochs" in str(caught.value)
    assert not list((tmp_path / "out").glob("mix-*/manifest.json"))


def test_weight_without_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises((InputError, StageError)) as caught:
        mixed(tmp_path, {"a": 1, "b": 1}, documents=0)
    assert "sources.a" in str(caught.value)


def test_horizon_below_one_sequence_is_refused(tmp_path: Path) -> None:
    with pytest.raises((InputError, StageError)) as caught:
        mixed(tmp_path, {"a": 1}, tokens=LENGTH - 1)
    assert "tokens" in str(caught.value)


def test_another_weight_writes_a_mixture_and_makes_nothing_else(tmp_path: Path) -> None:
    first = mixed(tmp_path, {"a": 1, "b": 1})
    progress = Recording()
    second = mixed(tmp_path, {"a": 1, "b": 2}, progress)
    assert progress.made == {"mix": 1}
    assert first.stage("mix").folder != second.stage("mix").folder
    assert Path(first.stage("mix").folder, "mixture.json").exists()


def test_mixture_is_json_that_depends_on_the_recipe_alone(tmp_path: Path) -> None:
    files = [
        Path(mixed(tmp_path / n, {"a": 1, "b": 2}).stage("mix").folder) / "mixture.json"
        for n in ("1", "2")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert json.loads(files[0].read_text())["seed"] == 11


def test_setting_that_changes_nothing_in_the_mixture_keeps_it_whole(tmp_path: Path) -> None:
    first = mixed(tmp_path, {"a": 1.0}, max_epochs=50.0)
    for again in (
        mixed(tmp_path, {"a": 1.0}, max_epochs=60.0),
        mixed(tmp_path, {"a": 1.0}, max_epochs=60.0, tokens=400 * LENGTH + 1),
    ):
        assert read(again).fingerprint == read(first).fingerprint


def test_vocabulary_of_ones_own_lies_beside_the_mixture(tmp_path: Path) -> None:
    ranks = b"".join(base64.b64encode(bytes([i])) + f" {i}\n".encode() for i in range(256))
    prints = []
    for name in ("one", "two"):
        folder = tmp_path / name
        path = write_jsonl(folder / "a.jsonl", [{"id": "x", "text": text("some", 400)}])
        (folder / "bytes.tiktoken").write_bytes(ranks)
        recipe = make_recipe(
            {"a": {"documents": str(path), "weight": 1.0}},
            tokens=LENGTH * 10,
            tokenize={"vocabulary": str(folder / "bytes.tiktoken")},
            mix={"sequence_length": LENGTH, "validation": 0.0, "max_epochs": 100},
        )
        build = run(recipe, folder / "out")
        prints.append(read(build).fingerprint)
        (folder / "bytes.tiktoken").unlink()
        sequences = MixtureSequences.open(f"{build.stage('mix').folder}/mixture.json")
        assert sequences.tokenizer().vocabulary_size == 257
    assert prints[0] == prints[1]
