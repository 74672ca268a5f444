"""Checking a build: a whole one passes, and each kind of damage is found and named."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import storage
from corpus.build import read_build
from corpus.look import check
from corpus.look.check import Checkup
from corpus.manifest import with_digest


def run(output: Path, *, full: bool = True) -> Checkup:
    return check.check(read_build(str(output)), full=full, say=lambda line: None)


def folder(output: Path, stage: str) -> Path:
    [found] = output.glob(f"{stage}-*")
    return found


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a Parquet file and put its new size and digest in the manifest, as forgers would."""
    pq.write_table(change(pq.read_table(path)), path, compression="zstd")
    resign(path)


def resign(path: Path) -> None:
    manifest = path.parent.parent / "manifest.json"
    value = json.loads(manifest.read_text())
    name = f"{path.parent.name}/{path.name}"
    entry = next(o for s in value["shards"] for o in s["outputs"] if o["path"] == name)
    entry["bytes"], entry["sha256"] = storage.digest(str(path))
    manifest.write_text(json.dumps(with_digest(value)))


def test_check_of_a_whole_build_finds_nothing_and_says_what_it_did(finished_build: Path) -> None:
    checkup = run(finished_build)
    assert checkup.problems == ()
    build = read_build(str(finished_build))
    kept = build.stage("decontaminate").counts().kept
    assert checkup.checked["documents decoded"] == kept
    assert checkup.checked["verdicts"] == 3 * build.stage("extract").counts().kept
    files = sum(len(shard.outputs) for m in build.manifests.values() for shard in m.shards)
    assert checkup.checked["files"] >= files
    assert "as the manifests say" in "\n".join(str(block) for block in check.describe(checkup))


def test_check_without_full_decodes_a_sample(
    finished_build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpus.look.check_tokens._SAMPLE", 3)
    checkup = run(finished_build, full=False)
    assert checkup.problems == ()
    tables = (finished_build / folder(finished_build, "tokenize")).glob("*/*.documents.parquet")
    documents = [pq.read_metadata(path).num_rows for path in tables]
    assert checkup.checked["documents decoded"] == sum(min(3, rows) for rows in documents)
    assert max(documents) > 3


def test_check_takes_manifests_of_before_they_had_digests_and_says_so(copied_build: Path) -> None:
    """A build is worth days: an upgrade must not ask for another."""
    manifests = [*copied_build.glob("*/manifest.json")]
    for path in [*manifests, copied_build / "build.json"]:
        value = json.loads(path.read_text())
        del value["digest"]
        path.write_text(json.dumps(value))
    checkup = run(copied_build, full=False)
    assert checkup.problems == ()
    read = checkup.checked["manifests"]
    assert read >= len(read_build(str(copied_build)).manifests)
    assert checkup.checked["manifests without a digest"] == read
    assert f"{read} manifests are of a version" in "\n".join(map(str, check.describe(checkup)))


def test_check_names_the_changed_manifest_of_a_folder_between(copied_build: Path) -> None:
    path = folder(copied_build, "signatures") / "manifest.json"
    path.write_text(path.read_text().replace('"role": "bands"', '"role": "bandt"'))
    problems = run(copied_build, full=False).problems
    assert [(p.where, p.what) for p in problems] == [
        (str(path), "the manifest has been changed since it was written")
    ]
    assert "delete the folder" in problems[0].fix


@pytest.mark.parametrize(
    "stage", ["extract", "filter", "dedup", "decontaminate", "tokenize", "mix"]
)
def test_check_finds_one_flipped_byte_in_any_file_of_a_stage(
    copied_build: Path, stage: str
) -> None:
    build = read_build(str(copied_build))
    manifest = build.stage(stage)
    for shard in manifest.shards:
        for output in shard.outputs:
            path = Path(manifest.path(output))
            whole = path.read_bytes()
            middle = len(whole) // 2
            damaged = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
            path.write_bytes(damaged)
            problems = run(copied_build).problems
            assert [p.where for p in problems] == [str(path)]
            assert "bytes have changed" in problems[0].what
            assert f"Delete {manifest.folder}" in problems[0].fix
            path.write_bytes(whole)
        break  # the files of one shard stand for all


def test_check_finds_a_missing_and_a_cut_file_and_lists_both(copied_build: Path) -> None:
    first, second = sorted(folder(copied_build, "dedup").glob("pages/*.parquet"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-10])
    problems = run(copied_build).problems
    assert [p.where for p in problems[:2]] == [str(first), str(second)]
    assert "not there" in problems[0].what
    assert re.search(r"has [\d,]+ bytes, the manifest says", problems[1].what)


def test_check_finds_an_input_that_was_changed(tmp_path: Path, finished_build: Path) -> None:
    whole = shutil.copytree(finished_build.parent, tmp_path / "made")
    manifest = folder(whole / "output", "crawl") / "manifest.json"
    moved = manifest.read_text().replace(str(finished_build.parent), str(whole))
    manifest.write_text(json.dumps(with_digest(json.loads(moved))))
    assert run(whole / "output").problems == ()
    essays = whole / "essays.jsonl"
    essays.write_text(essays.read_text().replace("Essay 3", "Essay x"))
    [problem] = run(whole / "output").problems
    assert problem.where == str(essays)
    assert "put the old file back" in problem.fix


def test_check_finds_verdicts_on_other_rows(copied_build: Path) -> None:
    path = next(folder(copied_build, "filter").glob("essays/*.parquet"))
    rewrite(path, lambda table: table.take(list(range(table.num_rows))[::-1]))
    [problem] = run(copied_build).problems
    assert problem.where == str(path)
    assert "row by row" in problem.what


def test_check_finds_counts_that_the_verdicts_do_not_hold(copied_build: Path) -> None:
    path = folder(copied_build, "filter") / "manifest.json"
    value = json.loads(path.read_text())
    counts = next(s["counts"] for s in value["shards"] if s["counts"]["dropped"])
    counts["kept"] += 1
    counts["dropped"]["quality"] -= 1
    path.write_text(json.dumps(with_digest(value)))
    whats = [problem.what for problem in run(copied_build).problems]
    assert any("its files hold" in what for what in whats)
    assert any("pages: filter kept" in what for what in whats)


def test_check_finds_rows_that_vanished(copied_build: Path) -> None:
    path = folder(copied_build, "dedup") / "manifest.json"
    value = json.loads(path.read_text())
    value["shards"][0]["counts"]["into"] += 1
    path.write_text(json.dumps(with_digest(value)))
    assert any("rows went in" in problem.what for problem in run(copied_build).problems)


def test_check_finds_a_row_that_the_stage_before_had_dropped(copied_build: Path) -> None:
    path = next(folder(copied_build, "decontaminate").glob("pages/*.parquet"))

    def revive(table: pa.Table) -> pa.Table:
        kept = [True if value is None else value for value in table["kept"].to_pylist()]
        return table.set_column(table.schema.get_field_index("kept"), "kept", pa.array(kept))

    rewrite(path, revive)
    whats = [problem.what for problem in run(copied_build).problems]
    assert any("was dropped before" in what for what in whats)


def test_check_finds_duplicates_of_a_document_that_was_not_kept(copied_build: Path) -> None:
    paths = sorted(folder(copied_build, "dedup").glob("mirrors/*.parquet"))
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    loser = next(row["id"] for row in rows if row["kept"] is False)
    path = next(p for p in paths if "near_duplicate" in pq.read_table(p)["reason"].to_pylist())

    def chain(table: pa.Table) -> pa.Table:
        column = [loser if v else None for v in table["duplicate_of"].to_pylist()]
        index = table.schema.get_field_index("duplicate_of")
        return table.set_column(index, "duplicate_of", pa.array(column, pa.string()))

    rewrite(path, chain)
    [problem] = run(copied_build).problems
    assert loser in problem.what
    assert "not kept" in problem.what


def test_check_finds_tokens_of_another_text(copied_build: Path) -> None:
    path = folder(copied_build, "tokenize") / "essays" / "part-00000-0000.bin"
    tokens = np.fromfile(path, "<u2")
    tokens[5] += 1
    tokens.tofile(path)
    resign(path)
    problems = [p for p in run(copied_build).problems if p.where == str(path)]
    assert ["decodes to another text" in p.what for p in problems] == [True]


def test_check_finds_an_index_that_does_not_fit(copied_build: Path) -> None:
    path = folder(copied_build, "tokenize") / "essays" / "part-00000-0000.idx"
    data = bytearray(path.read_bytes())
    lengths = np.frombuffer(data, "<i4", count=2, offset=34)
    lengths[0], lengths[1] = lengths[0] + 1, lengths[1] - 1
    path.write_bytes(data)
    resign(path)
    [problem] = run(copied_build).problems
    assert problem.where == str(path)
    assert "do not agree" in problem.what


def test_check_finds_a_documents_table_with_another_last_length(copied_build: Path) -> None:
    path = next(folder(copied_build, "tokenize").glob("essays/*0000.documents.parquet"))

    def lengthen(table: pa.Table) -> pa.Table:
        lengths = table["length"].to_pylist()
        lengths[-1] += 1
        index = table.schema.get_field_index("length")
        return table.set_column(index, table.schema.field("length"), pa.array(lengths))

    rewrite(path, lengthen)
    whats = [problem.what for problem in run(copied_build).problems]
    assert any("other ranges than its index" in what for what in whats)


def test_check_finds_a_kept_document_without_tokens(copied_build: Path) -> None:
    path = next(folder(copied_build, "tokenize").glob("pages/*0000.documents.parquet"))
    rewrite(path, lambda table: table.slice(0, table.num_rows - 1))
    whats = [problem.what for problem in run(copied_build).problems]
    assert any("documents have no tokens" in what for what in whats)
    assert any("other ranges than its index" in what for what in whats)


def test_check_finds_a_mixture_of_other_shards(copied_build: Path) -> None:
    path = folder(copied_build, "mix") / "mixture.json"
    value = json.loads(path.read_text())
    value["sources"][0]["shards"][0]["sha256"] = "0" * 64
    # The fingerprint is made to fit, as if the mixture had been composed of other shards.
    value.pop("fingerprint")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    value["fingerprint"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(value))
    manifest = path.parent / "manifest.json"
    described = json.loads(manifest.read_text())
    entry = described["shards"][0]["outputs"][0]
    entry["bytes"], entry["sha256"] = storage.digest(str(path))
    manifest.write_text(json.dumps(with_digest(described)))
    [problem] = run(copied_build).problems
    assert problem.where == str(path)
    assert "names other training shards of essays" in problem.what


def test_check_finds_a_mixture_that_was_edited(copied_build: Path) -> None:
    path = folder(copied_build, "mix") / "mixture.json"
    path.write_text(path.read_text().replace('"seed": 7', '"seed": 8'))
    [problem] = run(copied_build).problems
    assert problem.where == str(path)


def test_check_finds_another_vocabulary(copied_build: Path) -> None:
    path = folder(copied_build, "tokenize") / "manifest.json"
    value = json.loads(path.read_text())
    value["settings"]["vocabulary"] = "0" * 64
    path.write_text(json.dumps(with_digest(value)))
    assert any("vocabulary is another" in problem.what for problem in run(copied_build).problems)


def test_check_reads_the_folders_between_that_a_stage_says_it_used(copied_build: Path) -> None:
    path = folder(copied_build, "dedup") / "manifest.json"
    value = json.loads(path.read_text())
    signatures = folder(copied_build, "signatures")
    value["summary"]["uses"] = [signatures.name]
    path.write_text(json.dumps(with_digest(value)))
    damaged = next(signatures.glob("pages/*.parquet"))
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    assert [p.where for p in run(copied_build).problems] == [str(damaged)]
    shutil.rmtree(signatures)
    [problem] = run(copied_build).problems
    assert problem.where.startswith(str(signatures))


def test_check_says_to_delete_all_folders_of_a_stage_that_share_files(copied_build: Path) -> None:
    dedup = folder(copied_build, "dedup")
    (copied_build / "dedup-000000000000").mkdir()
    next(dedup.glob("essays/*.parquet")).unlink()
    problem = run(copied_build).problems[0]
    assert f"Delete {copied_build}/dedup-*" in problem.fix
