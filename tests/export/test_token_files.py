"""Files of sequences for other trainers: their bytes, their order, and exports that go on."""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import export, storage
from corpus.build import Build, read_build
from corpus.errors import InputError, RecipeError
from corpus.export import datatrove, litdata, llmc, mds, olmo, token_rows
from corpus.export import rows as rows_module
from corpus.export.rows import Files, Rows
from corpus.look import explain
from corpus.mix.mixture import ShardEntry, Vocabulary
from corpus.mix.plan import Ingredient, compose
from corpus.tokenize.shards import ShardWriter
from corpus.trainer.sequences import MixtureSequences

WRITERS: dict[str, Callable[[Rows, Files, int], None]] = {
    "llmc": llmc.write,
    "mds": mds.write,
    "litdata": litdata.write,
    "olmo": olmo.write,
    "datatrove": datatrove.write,
    "parquet-tokens": token_rows.write,
}
END = 9
# Two held-out documents of one source, and one and a half of another: T = 4 makes of them the rows
# 1 2 9 3 4 and 7 8 9 1 2, in this order; what is left over is no sequence.
HELD = {"a": [[1, 2, END], [3, 4, 5, END]], "b": [[7, 8, END], [1, 2, END]]}


def made(folder: Path, *, vocabulary_size: int = 16) -> MixtureSequences:
    """Write two sources whose tokens tell where they are, and return their sequences."""
    random = np.random.default_rng(2)
    (folder / "mix").mkdir(parents=True)
    ingredients = []
    for name, documents in HELD.items():
        training = [[*random.integers(0, END, size), END] for size in random.integers(0, 9, 30)]
        entries = []
        for suffix, texts in (("0", training[:20]), ("1", training[20:]), ("0.val", documents)):
            path = folder / name / f"part-{suffix}"
            path.parent.mkdir(exist_ok=True)
            with ShardWriter(path, vocabulary_size=vocabulary_size) as writer:
                for text in texts:
                    writer.write_document(np.array(text))
            entries.append(ShardEntry(f"../{name}/part-{suffix}.bin", writer.tokens_total, "0"))
        ingredients.append(Ingredient(name, 1.0, entries[:2], entries[2:]))
    mixture = compose(
        ingredients,
        seed=3,
        tokens=4 * 101,
        sequence_length=4,
        block=16,
        max_epochs=100,
        vocabulary=Vocabulary("v", vocabulary_size, "0", END),
        dtype="uint16" if vocabulary_size < 65_500 else "int32",
    )
    return MixtureSequences(mixture, path=str(folder / "mix" / "mixture.json"))


def write(
    sequences: MixtureSequences, folder: Path, form: str, split: str, shard_tokens: int = 1000
) -> Files:
    files = Files(str(folder), resume=False, say=lambda line: None)
    WRITERS[form](Rows(sequences, split), files, shard_tokens)
    return files


def u16(*ids: int) -> bytes:
    return struct.pack(f"<{len(ids)}H", *ids)


def test_llmc_bytes(tmp_path: Path) -> None:
    write(made(tmp_path), tmp_path / "out", "llmc", "val")
    header = struct.pack("<3i", 20240520, 1, 9) + bytes(4 * 253)
    expected = header + u16(1, 2, 9, 3, 7, 8, 9, 1, 2)
    assert (tmp_path / "out" / "val_000000.bin").read_bytes() == expected


def test_llmc_bytes_of_a_large_vocabulary(tmp_path: Path) -> None:
    write(made(tmp_path, vocabulary_size=100_000), tmp_path / "out", "llmc", "val")
    header = struct.pack("<3i", 20240801, 7, 9) + bytes(4 * 253)
    expected = header + struct.pack("<9I", 1, 2, 9, 3, 7, 8, 9, 1, 2)
    assert (tmp_path / "out" / "val_000000.bin").read_bytes() == expected


def test_mds_bytes(tmp_path: Path) -> None:
    write(made(tmp_path), tmp_path / "out", "mds", "val")
    config = (
        b'{"column_encodings": ["ndarray:uint16:4"], "column_names": ["tokens"], '
        b'"column_sizes": [8], "compression": null, "format": "mds", "hashes": ["sha256"], '
        b'"size_limit": null, "version": 2}'
    )
    first = 4 + 3 * 4 + len(config)
    data = struct.pack("<4I", 2, first, first + 8, first + 16) + config
    data += u16(1, 2, 9, 3, 7, 8, 9, 1)
    folder = tmp_path / "out" / "val"
    assert (folder / "shard.00000.mds").read_bytes() == data
    digest = hashlib.sha256(data).hexdigest()
    raw = {"basename": "shard.00000.mds", "bytes": len(data), "hashes": {"sha256": digest}}
    shard = {**json.loads(config), "raw_data": raw, "samples": 2, "zip_data": None}
    assert json.loads((folder / "index.json").read_text()) == {"shards": [shard], "version": 2}


def test_litdata_bytes(tmp_path: Path) -> None:
    write(made(tmp_path), tmp_path / "out", "litdata", "val")
    folder = tmp_path / "out" / "val"
    data = struct.pack("<3I", 1, 12, 32) + u16(1, 2, 9, 3, 4, 7, 8, 9, 1, 2)
    assert (folder / "chunk-0-0.bin").read_bytes() == data
    index = json.loads((folder / "index.json").read_text())
    chunk = {"chunk_bytes": 20, "chunk_size": 1, "dim": 10, "filename": "chunk-0-0.bin"}
    assert index["chunks"] == [chunk]
    assert index["config"]["data_format"] == ["no_header_numpy:5"]
    assert index["config"]["item_loader"] == "TokensLoader"


def test_olmo_bytes(tmp_path: Path) -> None:
    write(made(tmp_path), tmp_path / "out", "olmo", "val")
    folder = tmp_path / "out" / "val"
    assert (folder / "part-000000.npy").read_bytes() == u16(1, 2, 9, 3, 7, 8, 9, 1)
    packed = (folder / "part-000000.csv.gz").read_bytes()
    assert packed[4:8] == bytes(4)  # no time in the header
    a, b = "../a/part-0.val", "../b/part-0.val"
    assert gzip.decompress(packed).decode() == (
        f"0,3,{a}:0,{a},0\n3,4,{a}:3,{a},3\n4,7,{b}:0,{b},0\n7,8,{b}:3,{b},3\n"
    )


def test_datatrove_bytes(tmp_path: Path) -> None:
    write(made(tmp_path), tmp_path / "out", "datatrove", "val")
    folder = tmp_path / "out" / "val"
    assert (folder / "part-00000.ds").read_bytes() == u16(1, 2, 9, 3, 4, 7, 8, 9, 1, 2)
    assert (folder / "part-00000.ds.index").read_bytes() == struct.pack("<4Q", 3, 5, 8, 10)
    assert (folder / "part-00000.ds.metadata").read_text() == "v|2\n10\n10 T"


@pytest.mark.parametrize(
    ("tokens", "words"), [(999, "999 T"), (60_652, "60.7 kT"), (3 * 10**11, "300 GT")]
)
def test_datatrove_metadata_says_the_number_in_words(tokens: int, words: str) -> None:
    assert datatrove.metadata("gpt2", 2, tokens) == f"gpt2|2\n{tokens}\n{words}"


def test_token_rows_are_fixed_size_lists(tmp_path: Path) -> None:
    write(made(tmp_path), tmp_path / "out", "parquet-tokens", "val")
    table = pq.read_table(tmp_path / "out" / "val" / "part-00000.parquet")
    assert table.schema.field("input_ids").type == pa.list_(pa.uint16(), 4)
    assert table["input_ids"].to_pylist() == [[1, 2, 9, 3], [7, 8, 9, 1]]


def inputs(folder: Path, form: str, length: int) -> Iterator[list[int]]:
    """Yield the T inputs of each sequence, as the form's reader would."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    # In the order of their numbers, which not every form writes with leading zeros.
    for path in sorted(paths, key=lambda path: (len(path.name), path.name)):
        if form == "llmc":
            data = np.fromfile(path, "<u2")[512:]
            assert len(data) == np.fromfile(path, "<i4", 3)[2]
            yield from data[:-1].reshape(-1, length).tolist()
        elif path.suffix == ".mds":
            data = path.read_bytes()
            offsets = np.frombuffer(data, "<u4", int(np.frombuffer(data, "<u4", 1)[0]) + 1, 4)
            for start, end in itertools.pairwise(offsets.tolist()):
                yield np.frombuffer(data[start:end], "<u2").tolist()
        elif path.suffix == ".bin":
            yield from np.fromfile(path, "<u2", offset=12).reshape(-1, length + 1)[:, :-1].tolist()
        elif path.suffix == ".npy":
            yield from np.fromfile(path, "<u2").reshape(-1, length).tolist()
        elif path.suffix == ".ds":
            yield from np.fromfile(path, "<u2").reshape(-1, length + 1)[:, :-1].tolist()
        elif path.suffix == ".parquet":
            yield from pq.read_table(path)["input_ids"].to_pylist()


@pytest.mark.parametrize("form", list(WRITERS))
def test_every_form_has_the_sequences_of_the_run_in_their_order(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "_TOKENS", 17)  # three rows at a time
    sequences = made(tmp_path)
    write(sequences, tmp_path / "out", form, "train", shard_tokens=40)  # ten files or more
    found = list(inputs(tmp_path / "out", form, 4))
    assert found == sequences.read(np.arange(101))[:, :-1].tolist()


def test_olmo_metadata_covers_each_file_and_names_the_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "_TOKENS", 17)
    sequences = made(tmp_path)
    write(sequences, tmp_path / "out", "olmo", "train", shard_tokens=80)
    shards = {
        entry.prefix: np.fromfile(tmp_path / "mix" / entry.path, "<u2")
        for source in sequences.mixture.sources
        for entry in source.shards
    }
    pieces = 0
    for path in sorted((tmp_path / "out" / "train").glob("*.npy")):
        tokens = np.fromfile(path, "<u2")
        covered = 0
        with gzip.open(path.with_suffix(".csv.gz"), "rt") as file:
            for begin, end, _, source, place in csv.reader(file):
                start, stop, at = int(begin), int(end), int(place)
                assert start == covered
                assert start // 4 == (stop - 1) // 4  # inside one sequence
                assert (tokens[start:stop] == shards[source][at : at + stop - start]).all()
                assert not (tokens[start : stop - 1] == END).any()
                covered = stop
                pieces += 1
        assert covered == len(tokens)
    assert pieces > 101


def test_datatrove_index_ends_where_documents_or_sequences_do(tmp_path: Path) -> None:
    sequences = made(tmp_path)
    write(sequences, tmp_path / "out", "datatrove", "train")
    tokens = np.fromfile(tmp_path / "out" / "train" / "part-00000.ds", "<u2")
    ends = np.fromfile(tmp_path / "out" / "train" / "part-00000.ds.index", "<u8")
    expected = [n + 1 for n in range(len(tokens)) if tokens[n] == END or n % 5 == 4]
    assert ends.tolist() == expected


@pytest.fixture
def finished(finished_build: Path) -> Build:
    return read_build(str(finished_build))


def run(build: Build, folder: Path, form: str, **asked: Any) -> export.Export:
    given: dict[str, Any] = {
        "compression": "zst",
        "force": False,
        "say": lambda line: None,
        **asked,
    }
    return export.export(build, form=form, folder=str(folder), **given)


@pytest.mark.parametrize("form", list(WRITERS))
def test_export_records_sequences_and_the_digest_of_every_file(
    form: str, finished: Build, tmp_path: Path
) -> None:
    exported = run(finished, tmp_path / "out", form)
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["sequences"] == dict(exported.sequences)
    assert set(exported.sequences) == {"train", "val"}
    found = {
        str(path.relative_to(tmp_path / "out")): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and path.name != "export.json"
    }
    assert record["digests"] == found
    assert record["files"] == sorted(found)


@pytest.mark.parametrize("split", ["train", "val"])
def test_export_of_one_split_has_the_files_of_that_one(
    split: str, finished: Build, tmp_path: Path
) -> None:
    whole = {
        Path(f).relative_to(tmp_path / "a") for f in run(finished, tmp_path / "a", "mds").files
    }
    part = run(finished, tmp_path / "b", "mds", split=split)
    found = {Path(file).relative_to(tmp_path / "b") for file in part.files}
    assert found == {path for path in whole if path.parts[0] == split}


@pytest.mark.parametrize("form", list(WRITERS))
def test_export_that_was_interrupted_goes_on_and_ends_in_the_same_bytes(
    form: str, finished: Build, tmp_path: Path
) -> None:
    asked = {"shard_tokens": 4000}
    whole = run(finished, tmp_path / "whole", form, **asked)
    said: list[str] = []

    def stop(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(finished, tmp_path / "out", form, **asked, say=stop)
    assert "files" not in json.loads((tmp_path / "out" / "export.json").read_text())
    said.clear()
    again = run(finished, tmp_path / "out", form, **asked, say=said.append)
    assert [line.endswith(": was there") for line in said[:4]] == [True, True, True, False]
    for one, two in zip(whole.files, again.files, strict=True):
        assert Path(one).read_bytes() == Path(two).read_bytes()


def test_export_with_other_shards_takes_nothing_of_an_interrupted_one(
    finished: Build, tmp_path: Path
) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(finished, tmp_path / "out", "llmc", shard_tokens=4000, say=stop)
    again = run(finished, tmp_path / "out", "llmc", shard_tokens=8000, force=True)
    whole = run(finished, tmp_path / "whole", "llmc", shard_tokens=8000)
    for one, two in zip(whole.files, again.files, strict=True):
        assert Path(one).read_bytes() == Path(two).read_bytes()


def test_explain_knows_the_token_that_olmo_metadata_names(finished: Build, tmp_path: Path) -> None:
    run(finished, tmp_path / "out", "olmo", split="train")
    with gzip.open(tmp_path / "out" / "train" / "part-000000.csv.gz", "rt") as file:
        _, _, _, shard, token = next(csv.reader(file))
    [story] = explain.explain_token(finished, shard, int(token)).stories
    assert story.tokens[0].start <= int(token) < story.tokens[0].end


@pytest.mark.parametrize(
    ("form", "asked", "match"),
    [
        ("llmc", {"split": "test"}, "'test' is not known"),
        ("jsonl", {"split": "val"}, "documents are exported before they are divided"),
        ("nanogpt", {"shard_tokens": 5}, "the files of nanogpt have the size that they have"),
        ("mds", {"shard_tokens": 0}, "is not between 1 and"),
        ("mds", {"shard_tokens": 1 << 30}, "is not between 1 and"),
    ],
)
def test_export_refuses_what_a_form_has_not(
    form: str, asked: dict[str, Any], match: str, finished: Build, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=match):
        run(finished, tmp_path / "out", form, **asked)
    assert not (tmp_path / "out").exists()


def test_export_of_a_held_out_split_that_is_empty_is_refused(tmp_path: Path) -> None:
    sequences = made(tmp_path)
    empty = [
        ShardEntry(entry.path, entry.tokens, entry.sha256)
        for entry in sequences.mixture.sources[0].shards
    ]
    mixture = compose(
        [Ingredient("a", 1.0, empty, [])],
        seed=3,
        tokens=40,
        sequence_length=4,
        block=16,
        max_epochs=100,
        vocabulary=sequences.mixture.vocabulary,
        dtype="uint16",
    )
    path = str(tmp_path / "mix" / "mixture.json")
    storage.write_json(path, mixture.to_json())
    opened = MixtureSequences.open(path)
    assert set(rows_module.open_splits(opened, None)) == {"train"}
    with pytest.raises(InputError, match="not one sequence is held out"):
        rows_module.open_splits(opened, "val")
