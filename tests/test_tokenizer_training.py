"""A vocabulary from a build: drawn documents in, files that a recipe can name out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus import tokenizer_training
from corpus.build import Build, read_build
from corpus.cli import app
from corpus.errors import InputError, OutputError, RecipeError
from corpus.text import tokenizer
from corpus.tokenize.shards import TokenShard
from corpus.tokenizer_training import Training
from tests.made import make_recipe, run, text, write_jsonl


@pytest.fixture
def build(finished_build: Path) -> Build:
    return read_build(str(finished_build))


def train(build: Build, to: Path, size: int = 440, share: float = 1.0, **given: bool) -> Training:
    asked = {"force": False, **given}
    return tokenizer_training.train(
        build, to=str(to), size=size, share=share, say=lambda line: None, **asked
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_builds_give_equal_files_that_name_their_source(build: Build, tmp_path: Path) -> None:
    made = train(build, tmp_path / "a")
    train(build, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert set(files(tmp_path / "a")) == {"tokenizer.json", "ranks.tiktoken", "training.json"}
    record = json.loads((tmp_path / "a" / "training.json").read_text())
    assert record["stages"]["decontaminate"] == build.stage("decontaminate").fingerprint
    assert made.documents == build.stage("decontaminate").counts().kept
    assert made.bytes_per_token > 2


def test_a_share_draws_fewer_documents_and_always_the_same(build: Build, tmp_path: Path) -> None:
    whole = train(build, tmp_path / "a")
    part = train(build, tmp_path / "b", size=400, share=0.3)
    assert 0 < part.documents < whole.documents / 2
    assert part.digest != whole.digest
    assert train(build, tmp_path / "c", size=400, share=0.3) == part


def test_what_was_cut_is_not_learned_from(build: Build, tmp_path: Path) -> None:
    train(build, tmp_path / "a", size=490)
    encoder = tokenizer.load(str(tmp_path / "a" / "tokenizer.json"))
    assert len(encoder.encode([" question"])[0]) > 2  # it is in most documents before the cut
    assert len(encoder.encode([" Document"])[0]) <= 2


def test_a_recipe_can_name_it_and_tokenizes_with_it(tmp_path: Path) -> None:
    rows = [{"id": str(number), "text": text(number)} for number in range(30)]
    path = str(write_jsonl(tmp_path / "x.jsonl", rows))
    sources = {"x": {"documents": path}}
    first = run(make_recipe(sources), tmp_path / "out")
    made = train(first, tmp_path / "vocabulary", size=400)
    name = str(tmp_path / "vocabulary" / "tokenizer.json")
    second = run(make_recipe(sources, tokenize={"vocabulary": name}), tmp_path / "out")
    tokenize = second.stage("tokenize")
    assert tokenize.settings["vocabulary"] == made.digest
    encoder = tokenizer.load(name)
    [shard] = tokenize.shards
    tokens = TokenShard(tokenize.path(shard.output("training_bin")).removesuffix(".bin")).tokens
    texts = encoder.decode(tokens).split("<|endoftext|>")[:-1]
    assert sorted(texts) == sorted(row["text"] for row in rows)


def test_another_vocabulary_is_not_replaced_unless_asked(build: Build, tmp_path: Path) -> None:
    train(build, tmp_path / "a")
    with pytest.raises(OutputError, match="there is a vocabulary in that folder"):
        train(build, tmp_path / "a", size=420)
    assert train(build, tmp_path / "a", size=420, force=True).size == 420


@pytest.mark.parametrize(
    ("size", "share", "error", "match"),
    [
        (257, 1.0, RecipeError, "257 ids are not between"),
        (400, 0.0, RecipeError, "a share of 0.0 is not above 0"),
        (50_000, 1.0, InputError, "and not of 50,000"),
        (400, 1e-9, InputError, "no document was drawn"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_nothing_is_written(
    size: int, share: float, error: type[Exception], match: str, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(error, match=match):
        train(build, tmp_path / "a", size=size, share=share)
    assert not (tmp_path / "a").exists()


def test_the_verb_says_what_to_put_into_the_recipe(build: Build, tmp_path: Path) -> None:
    asked = ["tokenizer", "train", "--to", str(tmp_path / "a"), "--size", "420"]
    result = CliRunner().invoke(app, [*asked, "--output", build.output])
    assert result.exit_code == 0, result.output
    assert f"tokenize: {{vocabulary: {tmp_path}/a/tokenizer.json}}" in result.output
