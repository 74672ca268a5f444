"""crawl: every input file present and known, and what is not there named."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.build import Build
from corpus.config import load_recipe
from corpus.crawl.patterns import expand
from corpus.errors import FetchError, InputError
from corpus.manifest import Counts, fingerprint
from corpus.progress import Lines
from tests.made import Recording, make_recipe, run, text, write_jsonl
from tests.server import Server, Trouble

ROOT = Path(__file__).resolve().parents[2]
mkdir = Path.mkdir
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


LISTED = f"crawl-data/{SNAPSHOT}/warc.paths.gz"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (gzip.compress("\n".join(NAMES).encode())[:-9], "not a whole gzip file"),
        (gzip.compress(b"<html>down for maintenance</html>"), "line 1 is not the relative path"),
        (gzip.compress(f"{NAMES[0]}\n{NAMES[1][:-20]}".encode()), "line 2 is not the relative"),
        (gzip.compress(b"\n"), "the list names no file"),
        (b"", "the list names no file"),
    ],
)
def test_list_that_comes_broken_is_an_error_and_comes_anew_the_next_time(
    tmp_path: Path, broken: bytes, message: str
) -> None:
    with Server({**FILES, LISTED: broken}) as server:
        with pytest.raises(InputError, match=message) as caught:
            crawl(tmp_path, snapshot(server.url), crawl=CRAWL)
        assert caught.value.where == server.url + LISTED
        assert not list(tmp_path.rglob("*.paths.gz*"))
        server.files[LISTED] = FILES[LISTED]
        assert len(paths(crawl(tmp_path, snapshot(server.url), crawl=CRAWL))) == len(NAMES)


def test_list_that_an_earlier_version_kept_unseen_is_fetched_anew(tmp_path: Path) -> None:
    with Server(FILES) as server:
        crawl(tmp_path, snapshot(server.url), crawl=CRAWL)
        kept = next((tmp_path / "out").glob("paths-*"))
        shard = json.loads((kept / "manifest.json").read_text())["shards"][0]
        assert shard["key"] != fingerprint("paths", server.url + LISTED, "")


def test_input_that_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for given in (f"{tmp_path}/pipe", f"file://{tmp_path}/pipe", "/dev/zero"):
        with pytest.raises(InputError, match="this is no ordinary file") as caught:
            expand("s", (given,))
        assert caught.value.where == given


@pytest.mark.parametrize(
    ("given", "message", "fix"),
    [
        ("warcs", "this is a folder, where files are expected", "warcs/*.warc.gz"),
        ("warcs/", "this is a folder, where files are expected", "warcs/*.warc.gz"),
        ("empty", "this is a folder, where files are expected", "empty/*"),
        ("war*", "only folders match this pattern", "war*/*.warc.gz"),
        ("none", "there is no such file", "Check sources.s"),
    ],
)
def test_folder_in_place_of_files_is_an_error_that_names_the_pattern(
    tmp_path: Path, given: str, message: str, fix: str
) -> None:
    (tmp_path / "warcs").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("CC-MAIN-20261114030201-00000.warc.gz", "b.warc.gz", "notes.txt"):
        (tmp_path / "warcs" / name).touch()
    with pytest.raises(InputError, match=message) as caught:
        crawl(tmp_path, {"warc": f"{tmp_path}/{given}"})
    assert caught.value.fix is not None
    assert fix in caught.value.fix


def test_folder_of_a_store_and_of_the_web_in_place_of_files_is_an_error(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/a.jsonl.zst", b"x")
    with pytest.raises(InputError, match="this is a folder") as caught:
        crawl(tmp_path, {"documents": f"memory://{tmp_path.name}"})
    assert f"memory://{tmp_path.name}/*.jsonl.zst" in str(caught.value)
    for url in ("https://a.example/x/", "https://a.example"):
        with pytest.raises(InputError, match="nothing lists a folder over HTTP"):
            crawl(tmp_path, {"documents": url})


def test_crawl_without_a_network_is_an_error_within_the_patience(tmp_path: Path) -> None:
    with Server({}) as server:
        pass  # nobody listens there any more
    began = time.monotonic()
    settings = {**CRAWL, "patience": 1.0, "attempts": 99}
    with pytest.raises(FetchError, match="the server cannot be reached, tried for 1 s") as caught:
        crawl(tmp_path, snapshot(server.url), crawl=settings)
    assert 0.9 < time.monotonic() - began < 5
    assert "refused" in str(caught.value)
    assert "https_proxy" in str(caught.value)


def test_server_that_has_answered_is_waited_for_longer_than_one_that_has_not(
    tmp_path: Path,
) -> None:
    """It is restarted, in the middle of a run, for longer than the patience."""
    with Server(FILES) as server:
        server.script[NAMES[0]] = [Trouble(refuse=True)] * 6
        # The pauses before the tries: up to 0.04, 0.08, 0.16, 0.32, 0.64 and 1.28 s.
        settings = {**CRAWL, "patience": 0.02, "attempts": 9, "backoff": 0.02}
        made = crawl(tmp_path, snapshot(server.url), crawl=settings)
        assert len(paths(made)) == len(NAMES)
        times = [request.time for request in server.log if request.path == NAMES[0]]
    assert times[-1] - times[0] > 0.05


def test_folder_of_this_machine_is_gone_when_a_crawl_ends_well_and_not_made_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}])
    made: list[Path] = []
    monkeypatch.setattr(Path, "mkdir", lambda path, *a, **k: made.append(path) or mkdir(path, **k))
    crawl(tmp_path, {"documents": f"{tmp_path}/a.jsonl"})
    assert not [path for path in made if path.is_relative_to(scratch)]
    with Server(FILES) as server:
        crawl(tmp_path, snapshot(server.url), crawl=CRAWL)
        assert [path for path in made if path.is_relative_to(scratch)]
        assert list(scratch.iterdir()) == []
        # A crawl that fails leaves what the next one goes on with.
        del server.files[NAMES[3]]
        with pytest.raises(FetchError):
            crawl(tmp_path / "other", snapshot(server.url), crawl=CRAWL)
        assert len(list(scratch.iterdir())) == 1


def test_crawl_that_is_killed_twice_among_faults_has_every_file_and_no_byte_twice(
    tmp_path: Path,
) -> None:
    """The whole process group is killed; the third run goes on where the second was."""
    big = [random.Random(number).randbytes(20_000) for number in range(15)]
    files = {
        name: b"".join(gzip.compress(part, mtime=0) for part in big[number:] + big[:number])
        for number, name in enumerate(NAMES)
    }
    total, rate = sum(map(len, files.values())), 5.0
    with Server({**files, LISTED: FILES[LISTED]}) as server:
        for number, name in enumerate(NAMES):
            slow = Trouble(bandwidth=400_000)
            fault = FAULTS[number]
            server.script[name] = [dataclasses.replace(fault, bandwidth=400_000), slow, slow]
        recipe = tmp_path / "mix.yaml"
        crawling = {"requests_per_second": rate, "cooldown": 0.2, "backoff": 0.05, "timeout": 1}
        source = snapshot(server.url)
        recipe.write_text(
            json.dumps({"name": "x", "seed": 1, "sources": {"s": source}, "crawl": crawling})
        )
        command = [sys.executable, "-m", "corpus", "crawl", "--config", str(recipe), "--output"]
        command += [str(tmp_path / "out"), "--engine", "local", "--workers", "2"]
        for share in (0.2, 0.6, None):
            process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
            try:
                while process.poll() is None:
                    time.sleep(0.01)
                    if share is not None and there(tmp_path / "out") >= share * total:
                        break
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            assert process.wait(60) == (0 if share is None else -signal.SIGKILL)
    manifest = run(load_recipe(str(recipe)), tmp_path / "out", "crawl").stage("crawl")
    for shard, name in zip(manifest.shards, NAMES, strict=True):
        data = Path(manifest.path(shard.outputs[0])).read_bytes()
        assert data == files[name]
        assert hashlib.sha256(data).hexdigest() == shard.outputs[0].sha256
    # Again came what was behind a flipped byte, and what was under way at a kill.
    sent = sum(request.sent for request in server.log if request.path in files)
    assert total <= sent <= total + 200_000
    assert len({(r.path, r.range) for r in server.log if r.sent > 1000}) >= len(NAMES) + 3
    times = [request.time for request in server.log]
    for span in range(1, len(times)):
        shortest = min(late - early for early, late in zip(times, times[span:], strict=False))
        assert span <= (shortest + 0.15) * rate, f"{span + 1} requests in {shortest:.3f} s"


FAULTS = [
    Trouble(close_after=100_000),
    Trouble(reset_after=100_000),
    Trouble(flip=150_000),
    Trouble(status=503),
    Trouble(status=403),
    Trouble(status=200),
]


def there(output: Path) -> int:
    """Return the bytes that have arrived."""
    found = 0
    for path in output.glob("crawl-*/s/*"):
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
            found += path.stat().st_size
    return found


def test_file_that_was_only_touched_is_read_again_by_crawl_and_by_nothing_else(
    tmp_path: Path,
) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": text(1)}])
    recipe = make_recipe({"s": {"documents": str(file)}}, tokenize={"vocabulary": "gpt2"})
    first = run(recipe, tmp_path / "out")
    os.utime(file, (1, 1))
    progress = Recording()
    second = run(recipe, tmp_path / "out", progress=progress)
    assert {stage: made for stage, made in progress.made.items() if made} == {"crawl": 1}
    assert first.stage("crawl").folder != second.stage("crawl").folder
    assert first.stage("tokenize").folder == second.stage("tokenize").folder


def test_progress_shows_bytes_rate_faults_files_left_and_time_left_while_files_come(
    tmp_path: Path,
) -> None:
    big = {name: gzip.compress(random.Random(name).randbytes(30_000)) for name in NAMES[:3]}
    with Server({**big, LISTED: gzip.compress("\n".join(big).encode())}) as server:
        for name in big:
            server.script[name] = [Trouble(status=503), Trouble(bandwidth=60_000)]
        settings = {**CRAWL, "backoff": 0.001}
        with (tmp_path / "said").open("w") as out:
            recipe = make_recipe({"s": snapshot(server.url)}, crawl=settings)
            run(recipe, tmp_path / "out", "crawl", progress=Lines(out, every=0.1))
    said = (tmp_path / "said").read_text().splitlines()
    whole = re.compile(
        r"crawl: \d+%, \d+(\.\d)? k?B fetched at \d+(\.\d)? k?B/s, faults: throttled \d, "
        r"[12] files left, \d+ s left"
    )
    assert any(whole.fullmatch(line) for line in said), said
    assert "fetched at" in said[-1]
    assert "throttled 3" in said[-1]
