"""corpus dedup-files, and the recipe that does the same: duplicates go, rows stay as they were."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner, Result

from corpus.cli import app
from corpus.errors import BoundError, OutputError, RecipeError
from tests.made import changed, text


def run(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(map(str, words)))
    if code == 0:
        assert result.exception is None, result.exception
    return result


def lines(rows: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def dropped(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "dropped.jsonl").read_text().splitlines()]


def inputs(folder: Path) -> list[Path]:
    """Write one file of each kind, with rows that have more than a text."""
    near = text("near")
    folder.mkdir()
    odd = b'{"content":  "%s",   "tags":["\\u00e9", {"a": null}], "n": 1.50}\n' % text(1).encode()
    (folder / "a.jsonl").write_bytes(odd + b"\n{broken\n" + lines([{"content": text(2), "n": 2}]))
    rows = [{"content": text(1), "n": 3}, {"content": f"{near} and more words", "n": 4}]
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines(rows)))
    (folder / "c.jsonl.bz2").write_bytes(bz2.compress(lines([{"content": text(3)}])))
    table = pa.table(
        {
            "content": [text(4), near, None, text(5), text(2), text(6)],
            "vector": [[1.0, 2.0], [], None, [3.0], [], [4.0]],
            "when": pa.array(range(6), pa.timestamp("us")),
        }
    )
    pq.write_table(table, folder / "d.parquet", row_group_size=2)
    return sorted(folder.iterdir())


def test_rows_that_are_kept_keep_every_field(tmp_path: Path) -> None:
    files = inputs(tmp_path / "in")
    out = tmp_path / "out"
    result = run("dedup-files", *files, "-o", out, "--text", "content", "--workers", "0")
    given = (tmp_path / "in" / "a.jsonl").read_bytes().splitlines(keepends=True)
    listed = dropped(out)
    gone = {(Path(row["file"]).name, row["row"]): row for row in listed}
    assert {key: row["reason"] for key, row in gone.items()} == {
        ("a.jsonl", 3): "malformed",
        ("d.parquet", 3): "missing_text",
        ("d.parquet", 2): "near_duplicate",
        **{key: "exact_duplicate" for key in gone if gone[key]["reason"] == "exact_duplicate"},
    }
    near = gone["d.parquet", 2]
    assert (Path(near["duplicate_file"]).name, near["duplicate_row"]) == ("b.jsonl.gz", 2)
    assert 0.8 <= near["jaccard"] < 1
    copies = [key for key, row in gone.items() if row["reason"] == "exact_duplicate"]
    assert len(copies) == 2
    kept_lines = (out / "a.jsonl").read_bytes().splitlines(keepends=True)
    assert kept_lines == [
        line for i, line in enumerate(given, 1) if i not in (2, 3) and ("a.jsonl", i) not in gone
    ]
    table, before = pq.read_table(out / "d.parquet"), pq.read_table(files[-1])
    stays = [i for i in range(6) if ("d.parquet", i + 1) not in gone]
    assert table.equals(before.take(stays))
    assert table.schema.equals(before.schema)
    unpacked = zstandard.decompress((out / "c.jsonl.zst").read_bytes(), max_output_size=10**6)
    assert unpacked == lines([{"content": text(3)}])
    b = gzip.decompress((out / "b.jsonl.gz").read_bytes()).splitlines()
    left = [n for n, i in ((3, 1), (4, 2)) if ("b.jsonl.gz", i) not in gone]
    assert [json.loads(line)["n"] for line in b] == left
    assert "12 rows, 7 kept, exact_duplicate 2" in result.output


def test_files_of_one_name_do_not_overwrite_each_other_and_a_second_run_starts_anew(
    tmp_path: Path,
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jsonl").write_bytes(lines([{"id": name, "text": text(name)}]))
    out = tmp_path / "out"
    run("dedup-files", tmp_path / "a" / "x.jsonl", tmp_path / "b" / "x.jsonl", "-o", out)
    written = {"00000-x.jsonl", "00001-x.jsonl"}
    assert {path.name for path in out.glob("*x.jsonl")} == written
    run("dedup-files", tmp_path / "a" / "x.jsonl", "-o", out)
    assert {path.name for path in out.glob("*x.jsonl")} == {"x.jsonl"}


def test_earlier_output_is_the_index_of_the_next(tmp_path: Path) -> None:
    base = text(1)
    (tmp_path / "a.jsonl").write_bytes(lines([{"id": "old", "text": base}]))
    rows = [{"id": "new", "text": changed(base, 1, 2)}, {"id": "other", "text": text(2)}]
    (tmp_path / "b.jsonl").write_bytes(lines(rows))
    run("dedup-files", tmp_path / "a.jsonl", "-o", tmp_path / "one")
    index = ["--index", tmp_path / "one" / "build"]
    run("dedup-files", tmp_path / "b.jsonl", "-o", tmp_path / "two", *index)
    assert (tmp_path / "two" / "b.jsonl").read_bytes() == lines(rows[1:])
    [row] = dropped(tmp_path / "two")
    assert (row["id"], row["duplicate_of"]) == ("new", "old")
    assert row["duplicate_index"].startswith("dedup-")


def test_wrong_use_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([{"text": text(1)}] * 30))
    (tmp_path / "page.warc").write_bytes(b"")
    out = tmp_path / "out"
    for error, words in (
        (RecipeError, [tmp_path / "page.warc"]),
        (RecipeError, [path, "--threshold", "1.5"]),
        (RecipeError, [path, "--preset", "best"]),
    ):
        result = run("dedup-files", *words, "-o", out, code=2)
        assert isinstance(result.exception, error)
        assert not out.exists()
    loss = run("dedup-files", path, "-o", out, "--workers", "0", code=1)
    assert isinstance(loss.exception, BoundError)
    assert "--max-loss" in str(loss.exception) or "max_loss" in str(loss.exception)
    other = run("dedup-files", path, "-o", tmp_path, code=1)
    assert isinstance(other.exception, OutputError)


def test_recipe_of_the_documentation_does_the_same_with_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parent.parent / "docs" / "stages" / "dedup.md").read_text()
    recipe = page.split("# dedup-only.yaml\n")[1].split("```")[0]
    (tmp_path / "dedup-only.yaml").write_text(recipe)
    (tmp_path / "data").mkdir()
    rows = [{"content": text(1), "key": "a"}, {"content": text(1), "key": "b"}]
    (tmp_path / "data" / "x.jsonl").write_bytes(lines(rows))
    monkeypatch.chdir(tmp_path)
    run("dedup", "--config", "dedup-only.yaml", "--engine", "local", "--workers", "0")
    run(
        "export",
        "--config",
        "dedup-only.yaml",
        "--format",
        "jsonl",
        "--to",
        "out",
        "--compression",
        "none",
    )
    [path] = (tmp_path / "out").rglob("*.jsonl")
    [row] = [json.loads(line) for line in path.read_text().splitlines()]
    assert (row["id"], row["text"]) == ("a", text(1))
