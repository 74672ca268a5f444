"""Engines: the same results in the same order, and errors that come back whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.engine import Engine, LocalEngine, RayEngine, make_engine
from corpus.errors import BoundError, RecipeError, StageError
from tests import tasks

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[RayEngine]:
    engine = RayEngine(2)
    yield engine
    engine.close()


@pytest.fixture(
    params=["inside", "pool", pytest.param("ray", marks=pytest.mark.ray)], scope="module"
)
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "ray":
        ray: RayEngine = request.getfixturevalue("ray_engine")
        return ray
    return LocalEngine(0 if request.param == "inside" else 2)


def test_results_are_in_the_order_of_the_tasks(engine: Engine) -> None:
    assert list(engine.map(tasks.slow_first, range(20))) == list(range(20))


def test_long_task_does_not_hold_up_the_others(engine: Engine, tmp_path: Path) -> None:
    if isinstance(engine, LocalEngine) and engine.workers == 0:
        pytest.skip("there are no others")
    given = [(str(tmp_path / "mark"), number) for number in range(10)]
    assert list(engine.map(tasks.wait_for_another, given)) == list(range(10))


def test_no_tasks_have_no_results(engine: Engine) -> None:
    assert list(engine.map(tasks.double, [])) == []


def test_error_of_a_task_comes_back_with_class_and_fields_after_the_results_before_it(
    engine: Engine,
) -> None:
    results = engine.map(tasks.bound, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BoundError) as caught:
        next(results)
    error = caught.value
    assert (error.what, error.where, error.why, error.fix) == (
        "too much",
        "a/b",
        "Because",
        "Less",
    )


def test_engine_can_be_used_again_after_an_error_and_after_closing(engine: Engine) -> None:
    with pytest.raises(BoundError):
        list(engine.map(tasks.bound, range(10)))
    assert list(engine.map(tasks.double, [1, 2, 3])) == [2, 4, 6]
    if not isinstance(engine, RayEngine):  # to start Ray again takes seconds
        engine.close()
        assert list(engine.map(tasks.double, [4])) == [8]


def test_defect_in_a_worker_is_a_stage_error_with_its_traceback(engine: Engine) -> None:
    if isinstance(engine, LocalEngine) and engine.workers == 0:
        with pytest.raises(ZeroDivisionError):  # for the debugger, as it is
            list(engine.map(tasks.divide, [1, 0]))
        return
    with pytest.raises(StageError, match="divide failed on 0") as caught:
        list(engine.map(tasks.divide, [1, 0]))
    assert "ZeroDivisionError" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "tasks.py" in caught.value.__notes__[0]
    assert "--workers 0" in str(caught.value)


def test_workers_are_other_processes_unless_there_are_none(engine: Engine) -> None:
    inside = isinstance(engine, LocalEngine) and engine.workers == 0
    found = set(engine.map(tasks.process, range(6)))
    assert (found == {os.getpid()}) is inside
    assert inside or os.getpid() not in found


def test_pool_reports_a_killed_worker_and_says_what_to_do() -> None:
    with pytest.raises(StageError, match="a worker process died in die") as caught:
        list(LocalEngine(1).map(tasks.die, range(5)))
    assert "finished shards are kept" in str(caught.value)


def test_pool_takes_tasks_as_they_are_needed(tmp_path: Path) -> None:
    """A million shards are not all handed out at once."""
    taken: list[int] = []

    class Tasks(list[int]):
        def __iter__(self) -> Iterator[int]:
            for number in range(100):
                taken.append(number)
                yield number

    results = LocalEngine(1).map(tasks.double, Tasks([0] * 100))
    assert next(results) == 0
    assert len(taken) <= 5
    results.close()  # type: ignore[attr-defined]


def test_workers_go_when_their_parent_is_killed(tmp_path: Path) -> None:
    """`kill -9` of a build must not leave workers that write into its folder, or wait for ever."""
    mark = tmp_path / "mark"
    code = (
        "from corpus.engine import LocalEngine\n"
        "from tests import tasks\n"
        f"list(LocalEngine(2).map(tasks.note_and_wait, [{str(mark)!r}, {str(mark) + '2'!r}]))\n"
    )
    guard = f"if __name__ == '__main__':\n    {code.replace(chr(10), chr(10) + '    ')}"
    (tmp_path / "parent.py").write_text(guard)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")], env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as parent:
        marks = [mark, Path(f"{mark}2")]
        wait_for(lambda: all(one.exists() and one.read_text() for one in marks))
        workers = [int(one.read_text()) for one in marks]
        assert all(alive(worker) for worker in workers)
        parent.send_signal(signal.SIGKILL)
    try:
        wait_for(lambda: not any(alive(worker) for worker in workers))
    finally:
        for worker in workers:
            if alive(worker):
                os.kill(worker, signal.SIGKILL)


def wait_for(condition) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen within 20 s")


def alive(pid: int) -> bool:
    """Say whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.ray
def test_ray_tries_a_killed_worker_again(ray_engine: RayEngine, tmp_path: Path) -> None:
    assert list(ray_engine.map(tasks.die_once, [str(tmp_path / "a"), str(tmp_path / "b")])) == [
        2,
        2,
    ]


@pytest.mark.ray
def test_ray_gives_up_a_worker_that_is_killed_every_time(ray_engine: RayEngine) -> None:
    with pytest.raises(StageError, match="lost 4 times in die") as caught:
        list(ray_engine.map(tasks.die, [1]))
    assert "finished shards are kept" in str(caught.value)
    assert list(ray_engine.map(tasks.double, [1])) == [2]


@pytest.mark.ray
def test_second_ray_in_one_process_is_refused(ray_engine: RayEngine) -> None:
    assert list(ray_engine.map(tasks.double, [1])) == [2]
    with pytest.raises(StageError, match="already running"):
        list(RayEngine(1).map(tasks.double, [1]))


@pytest.mark.ray
def test_ray_address_that_does_not_answer_is_a_stage_error() -> None:
    """In a process of its own: Ray is already running in this one."""
    code = (
        "from corpus.engine import RayEngine\n"
        "from corpus.errors import StageError\n"
        "try:\n"
        "    list(RayEngine(1).map(abs, [1]))\n"
        "except StageError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("127.0.0.1:1: Ray did not start"), found.stdout + found.stderr
    assert "Check RAY_ADDRESS" in found.stdout


@pytest.mark.parametrize(
    ("kind", "workers", "message"),
    [
        ("spark", 1, "there is no engine 'spark'"),
        ("", None, "there is no engine ''"),
        ("local", -1, "-1 workers cannot run anything"),
        ("ray", 0, "0 workers cannot run anything"),
    ],
)
def test_engine_that_makes_no_sense_is_an_error_of_the_command_line(
    kind: str, workers: int | None, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        make_engine(kind, workers)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_engine_has_a_worker_a_cpu_unless_it_is_told_otherwise() -> None:
    """And Ray does not start before there is something to do."""
    cpus = len(os.sched_getaffinity(0))
    local, ray = make_engine("local", None), make_engine("ray", 3)
    assert isinstance(local, LocalEngine)
    assert local.workers == cpus
    assert isinstance(ray, RayEngine)
    assert ray.workers == 3
    assert ray._ray is None
    ray.close()
    inside = make_engine("local", 0)
    assert isinstance(inside, LocalEngine)
    assert inside.workers == 0
