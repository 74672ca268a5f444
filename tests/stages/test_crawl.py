"""crawl: every input file present and known, and what is not there named."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from corpus.build import Build
from corpus.config import load_recipe
from corpus.errors import FetchError, InputError
from corpus.manifest import Counts
from tests.made import Recording, make_recipe, run, text, write_jsonl
from tests.server import Server, Trouble

SNAPSHOT = "CC-MAIN-2026-47"
NAMES = [f"crawl-data/{SNAPSHOT}/segments/1/warc/CC-{i:05d}.warc.gz" for i in range(6)]
FILES = {name: gzip.compress(f"file {name}".encode(), mtime=0) for name in NAMES}
FILES[f"crawl-data/{SNAPSHOT}/warc.paths.gz"] = gzip.compress("\n".join(NAMES).encode(), mtime=0)


def crawl(
    folder: Path, source: dict[str, Any], progress: Recording | None = None, **sections: Any
) -> Build:
    recipe = make_recipe({"s": source}, **sections)
    return run(recipe, folder / "out", "crawl", progress=progress)


def paths(build: Build) -> list[str]:
    return [output.path for shard in build.stage("crawl").shards for output in shard.outputs]


def test_local_files_are_found_by_patterns_once_each_in_order_and_stay_where_they_lie(
    tmp_path: Path,
) -> None:
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", "x.txt"):
        write_jsonl(tmp_path / name, [{"text": name}])
    patterns = [f"{tmp_path}/b*", f"{tmp_path}/*.jsonl", f"{tmp_path}/**/c.jsonl"]
    made = crawl(tmp_path, {"documents": patterns})
    assert paths(made) == [f"{tmp_path}/{n}" for n in ("b.jsonl", "a.jsonl", "deep/c.jsonl")]
    manifest = made.stage("crawl")
    assert manifest.counts() == Counts(3, 3)
    assert manifest.measure("bytes") == sum(
        (tmp_path / n).stat().st_size for n in ("b.jsonl", "a.jsonl", "deep/c.jsonl")
    )
    assert [path.name for path in Path(manifest.folder).iterdir()] == ["manifest.json"]


def test_paths_of_a_recipe_in_another_folder_are_found_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": "a"}])
    (tmp_path / "in" / "mix.yaml").write_text(
        "name: x\nseed: 1\nsources: {s: {documents: '*.jsonl'}}\n"
    )
    monkeypatch.chdir(tmp_path)
    made = run(load_recipe("in/mix.yaml"), tmp_path / "out")
    assert paths(made) == [f"{tmp_path}/in/a.jsonl"]
    monkeypatch.chdir(tmp_path / "in")
    progress = Recording()
    run(load_recipe("mix.yaml"), tmp_path / "out", progress=progress)
    assert progress.made.get("extract", 0) == 0


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("none.jsonl", "there is no such file"), ("*.none", "no file matches this pattern")],
)
def test_file_that_is_not_there_is_an_input_error_with_the_key_of_the_recipe(
    tmp_path: Path, pattern: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        crawl(tmp_path, {"documents": f"{tmp_path}/{pattern}"})
    assert caught.value.where == f"{tmp_path}/{pattern}"
    assert "sources.s" in str(caught.value)


def test_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [])
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="cannot be read"):
        crawl(tmp_path, {"documents": str(path)})


def test_changed_file_is_looked_at_again_and_others_are_not(tmp_path: Path) -> None:
    one, two = (write_jsonl(tmp_path / f"{n}.jsonl", [{"text": text(n)}]) for n in (1, 2))
    source = {"documents": f"{tmp_path}/*.jsonl"}
    first = crawl(tmp_path, source)
    write_jsonl(one, [{"text": text(1)[::-1]}])  # as long as before
    progress = Recording()
    second = crawl(tmp_path, source, progress)
    assert (progress.made, progress.reused) == ({"crawl": 1}, {"crawl": 1})
    digests = [
        [shard.outputs[0].sha256 for shard in b.stage("crawl").shards] for b in (first, second)
    ]
    assert digests[0][0] != digests[1][0]
    assert digests[0][1] == digests[1][1]
    assert two.exists()


def test_submissions_of_webtext_are_told_from_its_pages(tmp_path: Path) -> None:
    for name in ("RS_1.jsonl", "p.warc"):
        (tmp_path / name).write_bytes(b"x")
    source = {"webtext": {"submissions": f"{tmp_path}/RS_*", "pages": f"{tmp_path}/p.warc"}}
    shards = crawl(tmp_path, source).stage("crawl").shards
    assert [shard.outputs[0].role for shard in shards] == ["submissions", "input"]


def snapshot(server_url: str, **settings: Any) -> dict[str, Any]:
    return {"commoncrawl": {"snapshots": SNAPSHOT, "base_url": server_url, **settings}}


CRAWL = {"requests_per_second": 1000, "attempts": 3, "timeout": 5}


def test_files_of_a_snapshot_are_fetched_by_a_seeded_sample_that_larger_ones_add_to(
    tmp_path: Path,
) -> None:
    with Server(FILES) as server:
        three = crawl(tmp_path, snapshot(server.url, files=3), crawl=CRAWL)
        before = len(server.log)
        progress = Recording()
        five = crawl(tmp_path, snapshot(server.url, files=5), progress, crawl=CRAWL)
        fetched = [request.path for request in server.log[before:]]
    assert progress.made == {"crawl": 2}
    assert len(fetched) == 2  # and not the list of paths again

    def content(build: Build) -> set[bytes]:
        manifest = build.stage("crawl")
        return {Path(manifest.path(s.outputs[0])).read_bytes() for s in manifest.shards}

    assert content(three) < content(five) <= set(FILES.values())
    assert len(content(five)) == 5


def test_file_of_a_mirror_that_is_not_there_is_a_fetch_error_and_the_others_stay(
    tmp_path: Path,
) -> None:
    files = dict(FILES)
    del files[NAMES[4]]
    with Server(files) as server:
        with pytest.raises(FetchError) as caught:
            crawl(tmp_path, snapshot(server.url), crawl=CRAWL)
        assert NAMES[4] in str(caught.value)
        server.files[NAMES[4]] = FILES[NAMES[4]]
        before = len(server.log)
        progress = Recording()
        crawl(tmp_path, snapshot(server.url), progress, crawl=CRAWL)
        assert progress.reused["crawl"] == 4
        assert {request.path for request in server.log[before:]} == {NAMES[4], NAMES[5]}


def test_fetched_file_goes_on_where_the_connection_broke(tmp_path: Path) -> None:
    big = {**FILES, NAMES[0]: gzip.compress(os.urandom(300_000))}
    with Server(big) as server:
        server.script[NAMES[0]] = [Trouble(reset_after=100_000)]
        made = crawl(tmp_path, snapshot(server.url), crawl=CRAWL)
    manifest = made.stage("crawl")
    found = {Path(manifest.path(s.outputs[0])).read_bytes() for s in manifest.shards}
    assert big[NAMES[0]] in found


@pytest.mark.parametrize("relative", [False, True])
def test_local_folder_in_the_shape_of_a_crawl_is_read_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    for name, data in FILES.items():
        (tmp_path / "mirror" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    base = "mirror" if relative else f"{tmp_path}/mirror"
    manifest = crawl(tmp_path, snapshot(base, files=2)).stage("crawl")
    found = [Path(manifest.path(shard.outputs[0])) for shard in manifest.shards]
    assert len(found) == 2
    for path in found:
        assert path.is_absolute()
        assert path.read_bytes() in FILES.values()
        assert path.is_relative_to(tmp_path / "mirror")


def test_list_of_a_local_mirror_that_has_grown_is_read_again(tmp_path: Path) -> None:
    def fill(names: list[str]) -> None:
        listed = f"crawl-data/{SNAPSHOT}/warc.paths.gz"
        for name in [*names, listed]:
            (tmp_path / "mirror" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "mirror" / name).write_bytes(FILES[name])
        (tmp_path / "mirror" / listed).write_bytes(gzip.compress("\n".join(names).encode()))

    fill(NAMES[:2])
    assert len(paths(crawl(tmp_path, snapshot(f"{tmp_path}/mirror")))) == 2
    fill(NAMES[:4])
    assert len(paths(crawl(tmp_path, snapshot(f"{tmp_path}/mirror")))) == 4


def test_file_over_http_is_fetched_and_named_after_its_shard(tmp_path: Path) -> None:
    with Server({"a/b.jsonl": b'{"text": "hello"}\n'}) as server:
        made = crawl(tmp_path, {"documents": f"{server.url}a/b.jsonl"}, crawl=CRAWL)
    assert paths(made) == ["s/part-00000-b.jsonl"]
    manifest = made.stage("crawl")
    data = Path(manifest.path(manifest.shards[0].outputs[0])).read_bytes()
    assert data == b'{"text": "hello"}\n'


def test_miniature_source_is_made_once_and_depends_on_the_seed(tmp_path: Path) -> None:
    source = {"stdlib": {"make": "books"}}
    first = crawl(tmp_path, source, seed=1)
    progress = Recording()
    assert crawl(tmp_path, source, progress, seed=1).stage("crawl") == first.stage("crawl")
    assert progress.made == {}
    assert crawl(tmp_path, source, seed=2).stage("crawl").folder != first.stage("crawl").folder
