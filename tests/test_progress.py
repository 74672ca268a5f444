"""Progress: a bar on a terminal, lines in a pipe, nothing beside JSON."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpus import progress
from corpus.manifest import Counts, Shard
from corpus.progress import Lines, Silent, Terminal, make_progress

ROOT = Path(__file__).resolve().parent.parent


def shard(rows: int = 10) -> Shard:
    return Shard("part-00000", "a", "key", (), Counts(rows, rows))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose first entry is the time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_say_what_begins_how_it_goes_and_what_came_of_it(clock: list[float]) -> None:
    out = io.StringIO()
    lines = Lines(out, every=10)
    lines.begin()
    clock[0] += 1
    lines.start("extract", total=100, reused=2, shards=6)
    clock[0] += 5
    lines.advance(shard(), 25)
    clock[0] += 5
    lines.advance(shard(), 25)
    clock[0] += 5
    lines.advance(shard(), 25)
    clock[0] += 10
    lines.advance(shard(), 25)
    lines.end("extract: 40 documents")
    assert out.getvalue().splitlines() == [
        "extract: 4 of 6 shards to make",
        "extract: 50%, 2 documents/s, 10 s left",
        "extract: 40 documents [26.0 s]",
    ]


def test_step_without_work_says_that_it_has_none(clock: list[float]) -> None:
    out = io.StringIO()
    lines = Lines(out, every=0)
    lines.begin()
    lines.start("filter", total=0, reused=0, shards=0)
    lines.advance(shard(0), 0)
    lines.end("filter: nothing")
    assert out.getvalue().splitlines() == ["filter: 0 shards", "filter: nothing [0.0 s]"]


def test_times_of_a_step_begin_with_the_step_and_that_of_a_stage_with_the_stage(
    clock: list[float],
) -> None:
    out = io.StringIO()
    lines = Lines(out, every=1)
    lines.begin()
    lines.start("score", total=10, reused=0, shards=1)
    clock[0] += 100
    lines.start("filter", total=10, reused=0, shards=2)
    clock[0] += 2
    lines.advance(shard(), 5)
    lines.end("filter: done")
    assert out.getvalue().splitlines()[2:] == [
        "filter: 50%, 5 documents/s, 2 s left",
        "filter: done [102.0 s]",
    ]


def test_watched_stage_says_its_status_the_files_left_and_the_time_left(
    clock: list[float],
) -> None:
    out = io.StringIO()
    lines = Lines(out, every=10)
    lines.begin()
    status = ["1 MB fetched"]
    lines.watch(lambda: status[0])
    lines.start("crawl", total=4, reused=1, shards=5)
    clock[0] += 30
    lines.advance(shard(), 1)
    status[0] = "2 MB fetched, faults: stall 1"
    lines.end("crawl: 5 files")
    lines.start("extract", total=2, reused=0, shards=2)
    clock[0] += 10
    lines.advance(shard(), 1)
    assert out.getvalue().splitlines() == [
        "crawl: 4 of 5 shards to make",
        "crawl: 25%, 1 MB fetched, 3 files left, 90 s left",
        "crawl: 5 files, 2 MB fetched, faults: stall 1 [30.0 s]",
        "extract: 2 shards",
        "extract: 50%, 1 documents/s, 10 s left",
    ]


def test_watched_stage_says_something_while_no_file_is_finished() -> None:
    out = io.StringIO()
    lines = Lines(out, every=0.1)
    lines.begin()
    lines.watch(lambda: "waiting")
    lines.start("crawl", total=1, reused=0, shards=1)
    end = time.monotonic() + 5
    while "waiting" not in out.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    lines.close()
    assert "crawl: 0%, waiting, 1 files left" in out.getvalue().splitlines()
    said = out.getvalue()
    time.sleep(0.25)
    assert out.getvalue() == said


def test_a_pipe_gets_lines_and_json_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(make_progress(False), Lines)
    silent = make_progress(True)
    assert isinstance(silent, Silent)
    silent.begin()
    silent.start("x", total=1, reused=0, shards=1)
    silent.watch(lambda: "x")
    silent.advance(shard(), 1)
    silent.end("x")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(make_progress(False), Terminal)


BUILD = """
from tests import made
from corpus.progress import make_progress
from corpus.errors import CorpusError
import sys
recipe = made.make_recipe({"a": sys.argv[1] + "/a.jsonl"}, extract={"max_failures": 0.1})
try:
    made.run(recipe, sys.argv[1] + "/out", progress=make_progress(False))
except CorpusError as error:
    print("failed")
"""
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


@pytest.mark.parametrize("broken", [0, 50])
def test_terminal_has_its_cursor_back_whether_the_build_fails_or_not(
    tmp_path: Path, broken: int
) -> None:
    lines = ['{"text": "a text of some words"}'] * 10 + ["broken"] * broken
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    main, other = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    found = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)],
        stderr=other,
        stdout=subprocess.PIPE,
        env=environment,
        check=True,
    )
    os.close(other)
    screen = b""
    try:
        while block := os.read(main, 1 << 16):
            screen += block
    except OSError:
        pass  # the other end is closed
    os.close(main)
    assert (found.stdout == b"failed\n") is bool(broken)
    assert HIDE in screen
    assert screen.rfind(SHOW) > screen.rfind(HIDE), screen[-2000:]
    assert b"crawl: 1 files in, 1 kept" in screen
