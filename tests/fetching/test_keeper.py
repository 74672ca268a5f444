"""Politeness over processes: one state in a folder, whoever is killed, forked or late."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from corpus.engine import LocalEngine
from corpus.errors import FetchError
from corpus.fetching.keeper import FileKeeper, make_keeper, scratch_folder
from corpus.fetching.limiter import Limits
from corpus.fetching.politeness import Politeness
from corpus.fetching.tally import Transfers


def keeper(folder: Path) -> FileKeeper:
    return FileKeeper(str(folder / "polite"), "run")


def politeness(folder: Path, **settings: Any) -> Politeness:
    given: dict[str, Any] = {
        "requests_per_second": 500.0,
        "cooldown": 0.1,
        "cooldowns": 2,
        "longest_pause": 5.0,
        **settings,
    }
    return Politeness(keeper(folder), Limits(**given), 0.001, 60.0)


def test_breaker_half_open_lets_one_probe_through(tmp_path: Path) -> None:
    polite = politeness(tmp_path, cooldown=0.2, cooldowns=1)
    assert polite.refused()
    assert polite.refused()  # in flight when the breaker opened: not a second refusal
    passed: list[float] = []
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def worker() -> None:
        polite.wait("u")
        queue.put(time.time())

    started = time.time()
    workers = [context.Process(target=worker) for _ in range(3)]
    for process in workers:
        process.start()
    try:
        passed.append(queue.get(timeout=20))
        assert passed[0] - started >= 0.15
        time.sleep(0.1)
        assert queue.empty()
        polite.succeeded()
        passed += [queue.get(timeout=20), queue.get(timeout=20)]
        assert max(passed) - started < 2
    finally:
        for process in workers:
            process.join(5)
            process.kill()


def test_breaker_probe_that_got_no_answer_passes_on(tmp_path: Path) -> None:
    polite = politeness(tmp_path, cooldown=0.05, longest_pause=60.0)
    polite.refused()
    polite.wait("u")
    polite.unanswered()
    started = time.monotonic()
    polite.wait("u")
    assert time.monotonic() - started < 0.04


def _take(polite: Politeness, count: int, queue: Any) -> None:
    times = []
    for _ in range(count):
        polite.wait("u")
        times.append(time.time())
    queue.put(times)


def test_rate_limit_holds_over_processes(tmp_path: Path) -> None:
    """Four processes together start at most 1 + T * rate requests in any T seconds."""
    polite = politeness(tmp_path, requests_per_second=50.0)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_take, args=(polite, 10, queue)) for _ in range(4)]
    for process in workers:
        process.start()
    times = sorted(moment for _ in workers for moment in queue.get(timeout=20))
    for process in workers:
        process.join()
    assert len(times) == 40
    assert 39 / 50 - 0.05 <= times[-1] - times[0] < 2 * 39 / 50


def test_rate_limit_draws_are_serialised(tmp_path: Path) -> None:
    polite = politeness(tmp_path)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    held = context.Event()

    def worker() -> None:
        held.wait(10)
        _take(polite, 1, queue)

    process = context.Process(target=worker)
    process.start()  # before the lock is taken: a fork shares it
    with keeper(tmp_path)._limiter():
        held.set()
        time.sleep(0.3)
        released = time.time()
    assert queue.get(timeout=20)[0] >= released
    process.join(20)


def test_rate_limit_fork_while_locked_blocks_nobody(tmp_path: Path) -> None:
    """A child that was forked by another thread keeps the locked descriptor open."""
    polite = politeness(tmp_path)
    context = multiprocessing.get_context("fork")
    with keeper(tmp_path)._limiter():
        process = context.Process(target=time.sleep, args=(60,))
        process.start()
    waiting = context.Process(target=polite.wait, args=("u",))
    waiting.start()
    try:
        waiting.join(10)
        assert waiting.exitcode == 0
    finally:
        for child in (process, waiting):
            child.kill()
            child.join()


def test_breaker_clock_set_back_waits_no_longer_than_the_longest_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    polite = politeness(tmp_path, longest_pause=0.2)
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + 86_400)
        polite.refused()
    started = time.monotonic()
    polite.wait("u")
    assert time.monotonic() - started < 1


def test_rate_limit_killed_holder_of_the_lock_blocks_nobody(tmp_path: Path) -> None:
    polite = politeness(tmp_path)
    context = multiprocessing.get_context("fork")
    ready = context.Event()

    def hold() -> None:
        with keeper(tmp_path)._limiter():
            ready.set()
            time.sleep(60)

    process = context.Process(target=hold)
    process.start()
    assert ready.wait(10)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    started = time.monotonic()
    polite.wait("u")
    assert time.monotonic() - started < 1


def test_tally_adds_over_everything_and_each_run_begins_at_nothing(tmp_path: Path) -> None:
    assert keeper(tmp_path).read() == Transfers()
    assert list(tmp_path.iterdir()) == []  # to look makes nothing
    keeper(tmp_path).add(count=5, requests=1)
    pickle.loads(pickle.dumps(keeper(tmp_path))).add(count=2, fault="stall")
    assert keeper(tmp_path).read() == Transfers(7, 1, {"stall": 1})
    assert FileKeeper(keeper(tmp_path).folder, "next").read() == Transfers()


def test_server_is_heard_from_in_the_run_in_which_it_answered(tmp_path: Path) -> None:
    polite = politeness(tmp_path)
    assert not polite.heard_from("https://a.example/x")
    polite.hear("https://a.example/y/z?q")
    assert polite.heard_from("https://a.example/x")
    assert not polite.heard_from("http://a.example/x")
    assert not FileKeeper(keeper(tmp_path).folder, "next").heard_from("https://a.example")


def test_pause_is_that_of_the_next_run_too_and_is_gone_once_one_ends_well(tmp_path: Path) -> None:
    """A run that is begun again after a 403 goes by the cool-down that it asked for."""
    limits = Limits(500.0, 30.0, 2, 60.0)
    assert keeper(tmp_path).refused(limits, None)
    again = FileKeeper(keeper(tmp_path).folder, "again")
    assert 29 < again.turn(limits, None).seconds <= 30
    again.clear()
    assert not Path(again.folder).exists()
    assert again.turn(limits, None).goes


def test_scratch_folder_is_one_for_each_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Builds of two projects that have the same relative path do not share one."""
    monkeypatch.chdir(tmp_path)
    here = scratch_folder("data/x")
    assert here == scratch_folder(f"{tmp_path}/data/x")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert scratch_folder("data/x") != here
    assert scratch_folder("s3://a/x") == scratch_folder("s3://a/x")


def test_keeper_of_one_machine_is_a_folder_that_is_made_when_it_is_needed(tmp_path: Path) -> None:
    scratch = scratch_folder(str(tmp_path / "out"))
    made = make_keeper(str(tmp_path / "out"), LocalEngine(0))
    assert isinstance(made, FileKeeper)
    assert not scratch.exists()
    made.add(requests=1)
    assert [path.name for path in scratch.iterdir()] == ["shared"]
    made.clear()
    assert not scratch.exists()


def test_breaker_gives_up_with_the_time_to_wait(tmp_path: Path) -> None:
    polite = politeness(tmp_path, cooldown=30.0, cooldowns=0)
    assert not polite.refused(None)
    with pytest.raises(FetchError, match=r"refused \(403\) 1 times") as caught:
        polite.wait("u")
    assert "Wait 5 s" in str(caught.value)  # longest_pause
