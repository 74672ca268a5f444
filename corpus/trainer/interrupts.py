"""Signals that end a run: it finishes the step that it is at and writes a checkpoint first.

Ctrl-C (SIGINT), and the SIGTERM that schedulers send some seconds before they take a machine back.
In: signals. Out: an answer to "shall we stop?" that all processes of a run give alike. The exit
code is 130 for the one, as everywhere in this program, and 143 for the other.

torchrun hands a signal on to its processes, which the terminal has sent it to already, so the same
one within a second is no second wish. A later Ctrl-C ends the run at once.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import torch

from corpus.trainer.world import World

log = logging.getLogger(__name__)

_TAKEN = (signal.SIGINT, signal.SIGTERM)
_ECHO_SECONDS = 1.0  # in which the same signal comes twice


class Interrupts:
    """Which signal has come, if one has.

    Attributes:
        signal: Its number; 0 as long as none has come.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._first = 0.0

    def take(self, number: int, _: FrameType | None) -> None:
        """Take note of a signal.

        Raises:
            KeyboardInterrupt: It is Ctrl-C, and the run was asked to stop before.
        """
        now = time.monotonic()
        if not self.signal:
            self.signal, self._first = number, now
        elif number == signal.SIGINT and now - self._first > _ECHO_SECONDS:
            raise KeyboardInterrupt

    def asked(self, world: World, *, looks: bool) -> bool:
        """Say whether the run is to stop, in every process the same.

        Args:
            world: The processes.
            looks: Whether they speak with each other behind this step anyway; if not, several
                processes go on.
        """
        if world.size > 1:
            if not looks:
                return False
            agreed = int(world.greatest(torch.tensor([self.signal])))
            if not agreed:
                return False  # one that has come meanwhile stays noted for the next time
            self.signal = agreed
        return self.signal > 0

    def leave(self, step: int) -> NoReturn:
        """End the run as its signal wants, behind the checkpoint of a step.

        Raises:
            KeyboardInterrupt: It was Ctrl-C.
            SystemExit: It was another.
        """
        name = signal.Signals(self.signal).name
        log.warning("stopped by %s, with a checkpoint of step %d", name, step)
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signal)


@contextlib.contextmanager
def taken() -> Iterator[Interrupts]:
    """Take the signals that end a run, as long as steps are done.

    A signal that is ignored, as SIGINT behind nohup, stays so. Only the main thread can take
    signals: elsewhere, as in an actor of Ray, they do what they did.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {number: signal.getsignal(number) for number in _TAKEN}
    before = {number: was for number, was in before.items() if was not in (None, signal.SIG_IGN)}
    for number in before:
        signal.signal(number, interrupts.take)
    try:
        yield interrupts
    finally:
        for number, was in before.items():
            signal.signal(number, was)
