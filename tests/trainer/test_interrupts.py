"""Ctrl-C and SIGTERM: a run ends with a checkpoint of the step that it was at."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
import torch

from corpus.trainer import checkpoint, interrupts
from corpus.trainer.interrupts import Interrupts
from corpus.trainer.loop import train
from corpus.trainer.metrics import Metrics
from corpus.trainer.world import World
from tests.trainer.test_loop import assert_same_run, quietly, recipe

ALONE = World(0, 1, torch.device("cpu"))
FIRST_OF_TWO = World(0, 2, torch.device("cpu"))


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_run_that_a_signal_stops_loses_no_step(
    mix: str, tmp_path: Path, number: signal.Signals, ends: type[BaseException]
) -> None:
    whole = train(recipe(mix, tmp_path / "whole"), report=quietly)

    def send(metrics: Metrics) -> None:
        if metrics.step == 4:
            os.kill(os.getpid(), number)

    with pytest.raises(ends) as caught:
        train(recipe(mix, tmp_path / "stopped"), report=send)
    after = train(recipe(mix, tmp_path / "stopped"), report=quietly)

    # It comes while step 4 is told; step 5 has no checkpoint of its own otherwise.
    assert after.resumed_from == 5
    assert getattr(caught.value, "code", None) == (143 if ends is SystemExit else None)
    assert_same_run(whole, after)


def test_a_signal_between_two_looks_is_heard_at_once(mix: str, tmp_path: Path) -> None:
    changes = {"report_every": 100, "checkpoint": {"every": 100}, "validation": {"every": 2}}

    def send(_: Metrics) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        train(recipe(mix, tmp_path / "run", **changes), report=send)

    assert checkpoint.steps_present(str(tmp_path / "run")) == [3]


def test_signals_are_as_they_were_when_a_run_is_done(mix: str, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    train(recipe(mix, tmp_path / "run"), report=quietly)

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_interrupt_ends_at_once_and_an_echo_of_the_first_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 10.1, 10.2, 30.0])
    monkeypatch.setattr("corpus.trainer.interrupts.time.monotonic", lambda: next(clock))
    signals = Interrupts()

    signals.take(signal.SIGINT, None)
    signals.take(signal.SIGINT, None)  # torchrun's, after the terminal's
    signals.take(signal.SIGTERM, None)
    assert signals.signal == signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        signals.take(signal.SIGINT, None)


def test_processes_stop_together_where_they_speak_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one was told to stop, this one was not."""
    told = torch.tensor([int(signal.SIGTERM)])
    monkeypatch.setattr(World, "greatest", lambda _, values: torch.maximum(values, told))
    signals = Interrupts()

    assert not signals.asked(ALONE, looks=True)
    assert not signals.asked(FIRST_OF_TWO, looks=False)
    assert signals.asked(FIRST_OF_TWO, looks=True)
    with pytest.raises(SystemExit) as caught:
        signals.leave(3)
    assert caught.value.code == 143


def test_a_signal_while_processes_agree_is_heard_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signals = Interrupts()

    def greatest(_: World, values: torch.Tensor) -> torch.Tensor:
        signals.take(signal.SIGTERM, None)  # this process waits for the other one
        return values

    monkeypatch.setattr(World, "greatest", greatest)

    assert not signals.asked(FIRST_OF_TWO, looks=True)
    assert signals.asked(FIRST_OF_TWO, looks=True)


def test_a_signal_that_is_ignored_stays_so_and_another_thread_takes_none() -> None:
    def elsewhere() -> None:
        with interrupts.taken():
            found.append(signal.getsignal(signal.SIGTERM))

    found: list[object] = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = signal.getsignal(signal.SIGTERM)  # Ray leaves a handler of its own
    try:
        with interrupts.taken():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not ended
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [ended]
