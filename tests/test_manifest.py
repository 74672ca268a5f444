"""Manifests: accounts that balance, and files that say what they are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from corpus.config import Dedup
from corpus.errors import AccountingError, InputError, IntegrityError
from corpus.manifest import (
    Counts,
    Manifest,
    Output,
    Shard,
    add_counts,
    check_digest,
    fingerprint,
    read_manifest,
    shard_from_json,
    with_digest,
)


def shard(source: str = "a", name: str = "part-00000", **changes: Any) -> Shard:
    outputs = (
        Output("documents", f"{source}/{name}-0000.parquet", 10, "ab", 3),
        Output("documents", f"{source}/{name}-0001.parquet", 20, "cd", 2),
        Output("dropped", f"{source}/dropped-{name}.parquet", 5, "ef", 2),
    )
    counts = Counts(7, 5, {"malformed": 2})
    made = Shard(name, source, "key", outputs, counts, {"text_bytes": 100}, {"items": {"x": 1}})
    return dataclasses.replace(made, **changes)


def manifest(folder: Path, *shards: Shard) -> Manifest:
    return Manifest(str(folder), "extract", "0" * 32, {"v": 1}, {"lxml": "5"}, shards, {"n": 1})


def test_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = manifest(tmp_path, shard(), shard("b"))
    made.write()
    assert read_manifest(str(tmp_path)) == made


def test_equal_manifests_are_equal_bytes_whatever_the_order_of_their_keys(tmp_path: Path) -> None:
    first = manifest(tmp_path / "1", shard(measures={"a": 1, "b": 2}))
    second = manifest(tmp_path / "2", shard(measures={"b": 2, "a": 1}))
    first.write()
    second.write()
    texts = [(tmp_path / name / "manifest.json").read_bytes() for name in "12"]
    assert texts[0] == texts[1]


def test_counts_are_summed_by_source_and_by_reason(tmp_path: Path) -> None:
    other = shard("b", counts=Counts(3, 1, {"malformed": 1, "empty_body": 1}))
    made = manifest(tmp_path, shard(), shard(name="part-00001"), other)
    assert made.counts("a") == Counts(14, 10, {"malformed": 4})
    assert made.counts() == Counts(17, 11, {"empty_body": 1, "malformed": 5})
    assert made.measure("text_bytes") == 300
    assert made.measure("text_bytes", "a") == 200
    assert made.measure("nothing") == 0
    assert made.sources() == ["a", "b"]
    assert [one.name for one in made.of("a")] == ["part-00000", "part-00001"]
    assert add_counts([]) == Counts()


@pytest.mark.parametrize(
    "counts", [Counts(7, 5, {"malformed": 1}), Counts(4, 5), Counts(0, 0, {"malformed": 1})]
)
def test_manifest_of_rows_that_vanished_or_came_out_of_nothing_is_not_written(
    tmp_path: Path, counts: Counts
) -> None:
    with pytest.raises(AccountingError, match="rows went in") as caught:
        manifest(tmp_path, shard(), shard("b", counts=counts)).write()
    assert caught.value.where == f"{tmp_path}/b/part-00000"
    assert not (tmp_path / "manifest.json").exists()


def test_paths_of_outputs_are_in_the_folder_and_those_of_inputs_where_they_lie() -> None:
    made = manifest(Path("/data/x"))
    assert made.path(Output("input", "a/b.warc", 1, "")) == "/data/x/a/b.warc"
    assert made.path(Output("input", "/in/b.warc", 1, "")) == "/in/b.warc"
    assert made.path(Output("input", "s3://in/b.warc", 1, "")) == "s3://in/b.warc"


def test_outputs_are_found_by_their_role() -> None:
    assert shard().output("dropped").sha256 == "ef"
    assert [output.sha256 for output in shard().all("documents")] == ["ab", "cd"]
    assert shard().all("verdict") == []


def test_shard_survives_json() -> None:
    plain = json.loads(json.dumps(dataclasses.asdict(shard())))
    assert shard_from_json(plain) == shard()


def test_folder_without_a_manifest_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        "{}",
        '{"layout": 1}',
        '{"layout": 1, "stage": "x", "fingerprint": "", "settings": {}, "versions": {}, '
        '"summary": {}, "shards": [{"name": "x"}]}',
        '{"layout": 1, "stage": "x", "fingerprint": "", "settings": {}, "versions": {}, '
        '"summary": {}, "shards": [7]}',
    ],
)
def test_damaged_manifest_is_an_integrity_error_with_the_next_step(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(IntegrityError, match="manifest is damaged") as caught:
        read_manifest(str(tmp_path))
    assert caught.value.where == f"{tmp_path}/manifest.json"
    assert caught.value.fix


def test_manifest_that_is_no_json_says_so(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"layout": 1')
    with pytest.raises(InputError, match="not valid JSON"):
        read_manifest(str(tmp_path))


def test_manifest_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"layout": 99}')
    with pytest.raises(IntegrityError, match="layout 99"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"role": "dropped"', '"role": "droppec"'),
        ('"text_bytes": 100', '"text_bytes": 101'),
        ('"kept": 5', '"kept": 4'),
        ('"x": 1', '"y": 1'),
        ('"digest"', '"digesu"'),
        ('"v": 1', '"v": 1.5'),
        ('"layout": 1', '"layout": 1,\n "more": 2'),
    ],
)
def test_manifest_with_another_character_is_refused(tmp_path: Path, old: str, new: str) -> None:
    manifest(tmp_path, shard()).write()
    path = tmp_path / "manifest.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(IntegrityError, match="manifest has been changed") as caught:
        read_manifest(str(tmp_path))
    assert caught.value.where == str(path)
    assert "run the build again" in (caught.value.fix or "")


def test_manifest_may_be_laid_out_anew(tmp_path: Path) -> None:
    made = manifest(tmp_path, shard(), shard("b"))
    made.write()
    path = tmp_path / "manifest.json"
    reversed_keys = dict(reversed(json.loads(path.read_text()).items()))
    path.write_text(json.dumps(reversed_keys, indent=7))
    assert read_manifest(str(tmp_path)) == made


def test_manifest_of_before_there_were_digests_is_read(tmp_path: Path) -> None:
    made = manifest(tmp_path, shard())
    made.write()
    path = tmp_path / "manifest.json"
    value = json.loads(path.read_text())
    assert read_manifest(str(tmp_path)).digest == value.pop("digest") != ""
    path.write_text(json.dumps(value))
    assert read_manifest(str(tmp_path)) == made
    assert read_manifest(str(tmp_path)).digest == ""


def test_digest_is_that_of_what_a_reader_sees() -> None:
    """Keys that are numbers are sorted as text once they have been written."""
    made = with_digest({"at": {9: "a", 10: ("b", 0.1)}})
    again = json.loads(json.dumps(made))
    assert with_digest(again) == made
    check_digest(again, before=frozenset(), what="it", where="here", fix="none")


def test_fingerprint_is_a_function_of_the_values_alone() -> None:
    assert fingerprint("a", {"x": 1, "y": (2, 3)}) == fingerprint("a", {"y": [2, 3], "x": 1})
    assert fingerprint(Dedup()) == fingerprint(Dedup().model_dump(mode="json"))
    assert fingerprint(Counts(1, 1)) == fingerprint({"into": 1, "kept": 1, "dropped": {}})
    different = [("a", "b"), ("ab",), ("a", ["b"]), ("b", "a"), ("a", "b", None), ("a", "B")]
    assert len({fingerprint(*values) for values in different}) == len(different)


def test_fingerprint_is_the_same_in_every_version_of_the_program() -> None:
    """Another value here would make every corpus again: raise LAYOUT when that is meant."""
    assert fingerprint("stage", {"alpha": 9.0}, ["é"]) == "f7be4296f89228142ddea555f789a04f"


def test_fingerprint_refuses_what_has_no_plain_form() -> None:
    with pytest.raises(TypeError, match="no plain form of set"):
        fingerprint({1, 2})
