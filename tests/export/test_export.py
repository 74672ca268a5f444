"""Exports: every kept document once, without its cuts, in each form; and whose folder it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard

from corpus import export
from corpus.build import Build, read_build
from corpus.document import DOCUMENT_SCHEMA
from corpus.errors import InputError, OutputError, RecipeError
from corpus.export import Export
from corpus.look import explain
from tests.made import make_recipe, run, text, write_jsonl


@pytest.fixture
def made(finished_build: Path) -> Build:
    return read_build(str(finished_build))


def write(build: Build, folder: Path, form: str, **asked: Any) -> Export:
    given = {"compression": "zst", "force": False, **asked}
    return export.export(build, form=form, folder=str(folder), say=lambda line: None, **given)


def rows_of(made: Export) -> Iterator[dict[str, Any]]:
    for path in made.files:
        data = Path(path).read_bytes()
        if path.endswith(".parquet"):
            table = pq.read_table(path)
            assert table.schema.equals(DOCUMENT_SCHEMA)
            yield from table.to_pylist()
            continue
        if path.endswith(".zst"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        elif path.endswith(".gz"):
            data = gzip.decompress(data)
        yield from map(json.loads, data.decode().splitlines())


def kept_ids(build: Build) -> list[str]:
    last = build.stage("decontaminate")
    tables = [pq.read_table(last.path(shard.output("verdict"))) for shard in last.shards]
    return [row["id"] for table in tables for row in table.to_pylist() if row["kept"]]


@pytest.mark.parametrize(
    ("form", "compression"),
    [("jsonl", "zst"), ("jsonl", "gz"), ("jsonl", "none"), ("parquet", "zst")],
)
def test_export_has_every_kept_document_once_and_in_order(
    made: Build, tmp_path: Path, form: str, compression: str
) -> None:
    exported = write(made, tmp_path / "out", form, compression=compression)
    rows = list(rows_of(exported))
    assert [row["id"] for row in rows] == kept_ids(made)
    assert exported.documents == len(rows)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_export_leaves_out_what_was_cut(
    made: Build, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpus.parts.BATCH_ROWS", 16)  # so that a part has several batches
    rows = {row["id"]: row for row in rows_of(write(made, tmp_path / "out", form))}
    [story] = explain.explain(made, "https://essays.example/1").stories
    [cut] = story.cuts
    assert story.text is not None
    data = story.text.encode()
    expected = f"{data[: cut.start].decode()}\n\n{data[cut.end :].decode()}"
    assert rows[story.id]["text"] == expected
    assert "question0" in story.text
    assert list(rows) == kept_ids(made)
    assert not any("question0 question1" in row["text"] for row in rows.values())
    [whole] = explain.explain(made, "https://essays.example/2").stories
    assert rows[whole.id]["text"] == whole.text
    assert rows[whole.id]["url"] == whole.url


def test_export_has_a_file_a_part_with_the_part_s_name(made: Build, tmp_path: Path) -> None:
    exported = write(made, tmp_path / "out", "parquet")
    extract = made.stage("extract")
    paths = [output.path for shard in extract.shards for output in shard.all("documents")]
    assert [str(Path(file).relative_to(tmp_path / "out")) for file in exported.files] == paths


def test_export_again_gives_the_same_bytes(made: Build, tmp_path: Path) -> None:
    for compression in ("zst", "gz"):
        folders = [tmp_path / compression / name for name in ("one", "two", "two")]
        bytes_ = [
            [
                Path(file).read_bytes()
                for file in write(made, f, "jsonl", compression=compression).files
            ]
            for f in folders
        ]
        assert bytes_[0] == bytes_[1] == bytes_[2]
        if compression == "gz":
            assert bytes_[0][0][4:8] == bytes(4)  # no time in the header


def test_export_without_decontamination_keeps_texts_whole(made: Build, tmp_path: Path) -> None:
    stages = {s: m for s, m in made.manifests.items() if s in ("crawl", "extract", "filter")}
    rows = list(rows_of(write(Build(made.output, stages), tmp_path / "out", "jsonl")))
    assert len(rows) == made.stage("filter").counts().kept
    assert any("question0 question1" in row["text"] for row in rows)


def test_export_into_a_folder_of_someone_else_is_refused(made: Build, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not made by corpus export"):
        write(made, tmp_path, "jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    write(made, tmp_path, "jsonl", force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_export_over_one_of_another_form_is_refused(made: Build, tmp_path: Path) -> None:
    write(made, tmp_path / "out", "jsonl")
    for form, compression in (("parquet", "zst"), ("jsonl", "gz")):
        with pytest.raises(OutputError, match="another build or form"):
            write(made, tmp_path / "out", form, compression=compression)


def test_export_that_was_interrupted_is_made_whole_by_the_next(
    made: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"

    def fail(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export.export(
            made, form="jsonl", folder=str(folder), compression="zst", force=False, say=fail
        )
    assert "files" not in json.loads((folder / "export.json").read_text())
    (folder / "essays" / ".tmp-1-left").write_text("half")
    exported = write(made, folder, "jsonl")
    found = sorted(str(p) for p in folder.rglob("*") if p.is_file() and p.name != "export.json")
    assert found == sorted(exported.files)
    record = json.loads((folder / "export.json").read_text())
    assert record["files"] == sorted(str(Path(f).relative_to(folder)) for f in exported.files)


@pytest.mark.parametrize("asked", [{"form": "csv"}, {"form": "jsonl", "compression": "rar"}])
def test_export_in_an_unknown_form_is_refused_before_anything_is_written(
    made: Build, tmp_path: Path, asked: dict[str, str]
) -> None:
    with pytest.raises(RecipeError, match="Use one of"):
        write(made, tmp_path / "out", asked.pop("form"), **asked)
    assert not (tmp_path / "out").exists()


def test_export_of_a_mixture_that_is_not_built_is_refused(made: Build, tmp_path: Path) -> None:
    early = Build(made.output, {"extract": made.stage("extract")})
    with pytest.raises(InputError, match="mix is not built"):
        write(early, tmp_path / "out", "nanogpt")
    assert not (tmp_path / "out").exists()


def test_export_nanogpt_has_the_tokens_of_the_run(made: Build, tmp_path: Path) -> None:
    exported = write(made, tmp_path / "out", "nanogpt")
    assert [Path(file).name for file in exported.files] == ["train.bin", "val.bin"]
    tokens = np.fromfile(exported.files[0], "<u2")
    assert len(tokens) == made.stage("mix").measure("tokens") == 40_000
    assert tokens.max() < 50_257


def test_export_megatron_has_every_shard_with_its_index(made: Build, tmp_path: Path) -> None:
    exported = write(made, tmp_path / "out", "megatron")
    tokenize = made.stage("tokenize")
    shards = sum(len(s.all("training_bin")) + len(s.all("validation_bin")) for s in tokenize.shards)
    assert sum(file.endswith(".bin") for file in exported.files) == shards
    assert sum(file.endswith(".idx") for file in exported.files) == shards
    assert str(tmp_path / "out" / "blend.txt") in exported.files


def test_export_again_leaves_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": text(i)} for i in range(4)]
    paths = [str(write_jsonl(tmp_path / f"{name}.jsonl", rows)) for name in "ab"]
    build = run(make_recipe({"x": {"documents": paths}}), tmp_path / "out")
    folder = tmp_path / "export"
    settings = {"form": "jsonl", "compression": "none", "say": lambda line: None}
    export.export(build, folder=str(folder), force=False, **settings)
    assert len(list(folder.rglob("*.jsonl"))) == 2
    build = run(make_recipe({"x": {"documents": paths[:1]}}), tmp_path / "out")
    export.export(build, folder=str(folder), force=True, **settings)
    assert len(list(folder.rglob("*.jsonl"))) == 1
