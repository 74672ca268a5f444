"""Exports: what nanoGPT and Megatron read is the mixture."""

from __future__ import annotations

import dataclasses
import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.export import megatron, nanogpt, rows
from corpus.export.rows import Files
from corpus.mix.mixture import Mixture, ShardEntry, Vocabulary
from corpus.mix.plan import Ingredient, compose
from corpus.tokenize.shards import ShardWriter, TokenShard, TokenStream
from corpus.trainer.sequences import MixtureSequences

LENGTH = 8


def shard(folder: Path, path: str, tokens: np.ndarray, vocabulary_size: int) -> ShardEntry:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with ShardWriter(Path(str(target).removesuffix(".bin")), vocabulary_size=vocabulary_size) as w:
        for document in np.array_split(tokens, 7):
            w.write_document(document)
    return ShardEntry(f"../{path}", tokens.size, hashlib.sha256(target.read_bytes()).hexdigest())


def build(folder: Path, *, held_out: int = 50, vocabulary_size: int = 50257) -> Mixture:
    """Write shards of random ids below `folder`, and return the mixture for `folder`/mix."""
    random = np.random.default_rng(1)
    (folder / "mix").mkdir()
    parts = []
    for name, weight, sizes in (("web", 0.7, (900, 0, 1300)), ("wiki", 0.3, (333,))):
        shards, held = [], []
        for number, size in enumerate(sizes):
            tokens = random.integers(0, vocabulary_size, size)
            shards.append(shard(folder, f"{name}/part-{number}.bin", tokens, vocabulary_size))
        if held_out:
            tokens = random.integers(0, vocabulary_size, held_out)
            held.append(shard(folder, f"{name}/part-0.validation.bin", tokens, vocabulary_size))
        parts.append(Ingredient(name, weight, shards, held))
    return compose(
        parts,
        seed=3,
        tokens=30_000,
        sequence_length=LENGTH,
        block=128,
        max_epochs=100,
        vocabulary=Vocabulary("v", vocabulary_size, "0", 0),
        dtype="uint16" if vocabulary_size < 65_500 else "int32",
    )


def sequences(mixture: Mixture, folder: Path) -> MixtureSequences:
    return MixtureSequences(mixture, path=str(folder / "mix" / "mixture.json"))


def export_nanogpt(mixture: Mixture, folder: Path, out: Path, split: str | None = None) -> Files:
    files = Files(str(out), resume=False, say=lambda line: None)
    nanogpt.write(sequences(mixture, folder), files, split)
    return files


def export_megatron(mixture: Mixture, folder: Path, out: Path, split: str | None = None) -> Files:
    files = Files(str(out), resume=False, say=lambda line: None)
    megatron.write(sequences(mixture, folder), files, split)
    return files


def streams(mixture: Mixture, folder: Path, *, validation: bool = False) -> list[np.ndarray]:
    return [
        np.concatenate(
            [
                TokenShard(folder / "mix" / entry.prefix).tokens
                for entry in (source.validation if validation else source.shards)
            ]
        )
        for source in mixture.sources
    ]


def test_nanogpt_train_is_the_mixture_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_TOKENS", 1000)  # several rounds, the last one short
    mixture = build(tmp_path)
    out = tmp_path / "out"
    paths = export_nanogpt(mixture, tmp_path, out).paths
    assert paths == [str(out / "train.bin"), str(out / "val.bin")]
    found = np.memmap(out / "train.bin", dtype=np.uint16, mode="r").reshape(-1, LENGTH)
    assert len(found) == mixture.horizon
    texts = streams(mixture, tmp_path)
    for position, row in enumerate(found):
        source, _, window = (int(part[0]) for part in mixture.locate(np.array([position])))
        assert row.tolist() == texts[source][window * LENGTH :][:LENGTH].tolist()
    held = np.fromfile(out / "val.bin", dtype=np.uint16)
    assert held.tolist() == np.concatenate(streams(mixture, tmp_path, validation=True)).tolist()
    assert sorted(path.name for path in out.iterdir()) == ["train.bin", "val.bin"]


def test_nanogpt_memory_is_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_TOKENS", 1 << 13)
    monkeypatch.setattr(storage, "digest", lambda path: (0, ""))  # reads by the mebibyte
    mixture = build(tmp_path)
    peaks = []
    for horizon in (100, 10_000, 200_000):  # the first one warms up
        long = dataclasses.replace(mixture, horizon=horizon)
        tracemalloc.start()
        export_nanogpt(long, tmp_path, tmp_path / "out")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "out" / "train.bin").stat().st_size == 200_000 * LENGTH * 2
    assert peaks[2] < peaks[1] + 200_000 * LENGTH // 4


def test_nanogpt_without_validation_is_refused(tmp_path: Path) -> None:
    mixture = build(tmp_path, held_out=0)
    with pytest.raises(InputError, match=r"does not start without val\.bin"):
        export_nanogpt(mixture, tmp_path, tmp_path / "out")
    assert export_nanogpt(mixture, tmp_path, tmp_path / "out", "train").digests.keys() == {
        "train.bin"
    }


def test_nanogpt_large_vocabulary_is_refused(tmp_path: Path) -> None:
    mixture = build(tmp_path, vocabulary_size=100_000)
    with pytest.raises(InputError, match="reads uint16 ids, and these are int32"):
        export_nanogpt(mixture, tmp_path, tmp_path / "out")


@pytest.mark.parametrize("export", [export_nanogpt, export_megatron])
def test_export_shard_of_another_size_is_refused(
    export: Callable[..., Files], tmp_path: Path
) -> None:
    mixture = build(tmp_path)
    shard(tmp_path, "wiki/part-0.bin", np.arange(334), 50257)
    with pytest.raises(IntegrityError, match="has 334 tokens of uint16, and should have 333"):
        export(mixture, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_megatron_split_writes_that_one_alone(split: str, tmp_path: Path) -> None:
    files = export_megatron(build(tmp_path), tmp_path, tmp_path / "out", split)
    held_out = [name for name in files.digests if "validation" in name]
    assert held_out == ([] if split == "train" else list(files.digests))
    assert ("blend.txt" in files.digests) == (split == "train")


def parse(path: Path) -> dict[str, float]:
    words = path.read_text().split()
    return dict(zip(words[1::2], map(float, words[::2]), strict=True))


def test_megatron_blend_names_shards_that_can_be_read(tmp_path: Path) -> None:
    mixture = build(tmp_path, vocabulary_size=100_000)
    out = tmp_path / "out"
    written = export_megatron(mixture, tmp_path, out).paths
    assert sorted(written) == sorted(str(path) for path in out.rglob("*") if path.is_file())
    train, held = parse(out / "blend.txt"), parse(out / "blend.validation.txt")
    assert list(train) == [f"{out}/web/part-0", f"{out}/web/part-2", f"{out}/wiki/part-0"]
    assert list(train.values()) == pytest.approx([0.7 * 900 / 2200, 0.7 * 1300 / 2200, 0.3])
    assert held == {
        f"{out}/web/part-0.validation": pytest.approx(0.7),
        f"{out}/wiki/part-0.validation": pytest.approx(0.3),
    }
    web = TokenStream([TokenShard(prefix) for prefix in list(train)[:2]])
    assert web.read(0, len(web)).tolist() == streams(mixture, tmp_path)[0].tolist()
    for prefix in (*train, *held):
        TokenShard(prefix).verify(vocabulary_size=100_000)


def test_megatron_without_validation_writes_no_blend_of_it(tmp_path: Path) -> None:
    mixture = build(tmp_path, held_out=0)
    export_megatron(mixture, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "blend.validation.txt").exists()
    assert (tmp_path / "out" / "blend.txt").exists()


@pytest.mark.parametrize("name", ["..", "a/b", "../../etc", ""])
def test_megatron_name_that_leaves_the_output_is_refused(name: str, tmp_path: Path) -> None:
    mixture = build(tmp_path)
    first = dataclasses.replace(mixture.sources[0], name=name)
    mixture = dataclasses.replace(mixture, sources=(first, *mixture.sources[1:]))
    with pytest.raises(InputError, match="cannot be that of a folder"):
        export_megatron(mixture, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_megatron_two_shards_of_one_name_are_refused(tmp_path: Path) -> None:
    mixture = build(tmp_path)
    web = mixture.sources[0]
    shard(tmp_path / "mix", "other/part-0.bin", np.arange(1300), 50257)
    twin = dataclasses.replace(web.shards[2], path="other/part-0.bin")
    web = dataclasses.replace(web, shards=(*web.shards[:2], twin))
    mixture = dataclasses.replace(mixture, sources=(web, *mixture.sources[1:]))
    with pytest.raises(InputError, match=r"two of its shards are named part-0\.bin"):
        export_megatron(mixture, tmp_path, tmp_path / "out")
