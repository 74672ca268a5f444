"""Where the state lies that all downloads of a run share: rate limit, breaker, tally, servers.

On one machine it is files in a local folder: every process of a run opens them, and `flock`
serialises what they do (`FileKeeper`). On a cluster the machine that leads the run has the folder,
an object there owns it, and the tasks of all machines call that (`HostedKeeper`): one limit for the
whole cluster, by one clock. Its methods read and write a few numbers and wait for nothing; whoever
has to wait does so where it runs. An object that is lost begins again from the files.

Nothing here influences the bytes of a corpus, only when they arrive. A process that is killed while
it holds a lock releases it, and a record of a hundred bytes is never half written by a kill.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from corpus import storage
from corpus.fetching import limiter, tally
from corpus.fetching.limiter import Limiter, Limits, Ticket, Turn
from corpus.fetching.tally import Transfers
from corpus.manifest import fingerprint

if TYPE_CHECKING:
    from corpus.engine import Engine, Hosted


class Keeper(Protocol):
    """Plain data that travels to workers; see `corpus.fetching.limiter` for what most of it does.

    Attributes:
        every: Least seconds between two additions of a download's bytes.
    """

    @property
    def every(self) -> float: ...  # noqa: D102 - see the class

    def turn(self, limits: Limits, ticket: Ticket | None) -> Turn:
        """Say whether one request may be sent now, and else when to ask again."""
        ...

    def succeeded(self) -> None:
        """Note a good answer."""
        ...

    def throttled(self, limits: Limits, retry_after: float | None) -> None:
        """Note an answer that says that the server has too much to do."""
        ...

    def refused(self, limits: Limits, retry_after: float | None) -> bool:
        """Note a 403; say whether the run goes on after the cool-down."""
        ...

    def unanswered(self) -> None:
        """Note a request without an answer to judge by."""
        ...

    def heard_from(self, server: str) -> bool:
        """Say whether any request of this run has had an answer from a server."""
        ...

    def hear(self, server: str) -> None:
        """Note that a server has answered."""
        ...

    def add(self, *, count: int = 0, requests: int = 0, fault: str | None = None) -> None:
        """Add bytes, requests, or one fault of a kind."""
        ...

    def read(self) -> Transfers:
        """Return what the run has come to."""
        ...

    def clear(self) -> None:
        """Remove what is kept: the run has ended well."""
        ...


@dataclass(frozen=True)
class FileKeeper:
    """The state in a folder of this machine, made when it is first needed.

    Attributes:
        folder: A local folder, in the one for temporary files of the machine that this is used on
            unless it is absolute. Limiter and breaker are those of the run before in it: a run that
            is killed and begun again asks no faster for it.
        run: Name of the run, for its tally and the servers that have answered in it.
    """

    folder: str
    run: str

    @property
    def every(self) -> float:
        """See `Keeper`."""
        return 0.5

    @property
    def _path(self) -> Path:
        return Path(tempfile.gettempdir()) / self.folder

    def turn(self, limits: Limits, ticket: Ticket | None) -> Turn:
        """See `Keeper.turn`."""
        with self._limiter() as state:
            return state.turn(limits, time.time(), ticket)

    def succeeded(self) -> None:
        """See `Keeper.succeeded`."""
        with self._limiter() as state:
            state.succeeded(time.time())

    def throttled(self, limits: Limits, retry_after: float | None) -> None:
        """See `Keeper.throttled`."""
        with self._limiter() as state:
            state.throttled(limits, time.time(), retry_after)

    def refused(self, limits: Limits, retry_after: float | None) -> bool:
        """See `Keeper.refused`."""
        with self._limiter() as state:
            return state.refused(limits, time.time(), retry_after)

    def unanswered(self) -> None:
        """See `Keeper.unanswered`."""
        with self._limiter() as state:
            state.unanswered()

    def heard_from(self, server: str) -> bool:
        """See `Keeper.heard_from`."""
        return self._answered(server).exists()

    def hear(self, server: str) -> None:
        """See `Keeper.hear`."""
        path = self._answered(server)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def add(self, *, count: int = 0, requests: int = 0, fault: str | None = None) -> None:
        """See `Keeper.add`."""
        with self._locked(f"{self.run}.transfers") as descriptor:
            before = tally.unpack(os.pread(descriptor, tally.SIZE, 0))
            os.pwrite(descriptor, tally.pack(before.plus(count, requests, fault)), 0)

    def read(self) -> Transfers:
        """See `Keeper.read`."""
        # Without the lock: a record that is written meanwhile is at worst shown a moment early.
        try:
            return tally.unpack((self._path / f"{self.run}.transfers").read_bytes())
        except FileNotFoundError:  # nothing has been asked for
            return Transfers()

    def clear(self) -> None:
        """See `Keeper.clear`."""
        shutil.rmtree(self._path, ignore_errors=True)
        with suppress(OSError):
            self._path.parent.rmdir()  # unless files on their way to a store are there

    def _answered(self, server: str) -> Path:
        digest = hashlib.sha256(server.encode()).hexdigest()[:16]
        return self._path / f"{self.run}.{digest}.answered"

    @contextmanager
    def _limiter(self) -> Iterator[Limiter]:
        with self._locked("limiter.state") as descriptor:
            state = Limiter.unpack(os.pread(descriptor, limiter.SIZE, 0))
            try:
                yield state
            finally:
                os.pwrite(descriptor, state.pack(), 0)

    @contextmanager
    def _locked(self, name: str) -> Iterator[int]:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            # Unlocked by name: a process forked meanwhile has the descriptor open as well.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


@dataclass(frozen=True)
class HostedKeeper:
    """The state in a folder of another machine, behind an object of the engine's."""

    hosted: Hosted

    @property
    def every(self) -> float:
        """See `Keeper`: a thousand downloads make some hundred calls a second."""
        return 5.0

    def turn(self, limits: Limits, ticket: Ticket | None) -> Turn:
        """See `Keeper.turn`."""
        return cast(Turn, self.hosted.call("turn", limits, ticket))

    def succeeded(self) -> None:
        """See `Keeper.succeeded`."""
        self.hosted.call("succeeded")

    def throttled(self, limits: Limits, retry_after: float | None) -> None:
        """See `Keeper.throttled`."""
        self.hosted.call("throttled", limits, retry_after)

    def refused(self, limits: Limits, retry_after: float | None) -> bool:
        """See `Keeper.refused`."""
        return bool(self.hosted.call("refused", limits, retry_after))

    def unanswered(self) -> None:
        """See `Keeper.unanswered`."""
        self.hosted.call("unanswered")

    def heard_from(self, server: str) -> bool:
        """See `Keeper.heard_from`."""
        return bool(self.hosted.call("heard_from", server))

    def hear(self, server: str) -> None:
        """See `Keeper.hear`."""
        self.hosted.call("hear", server)

    def add(self, *, count: int = 0, requests: int = 0, fault: str | None = None) -> None:
        """See `Keeper.add`."""
        self.hosted.call("add", count=count, requests=requests, fault=fault)

    def read(self) -> Transfers:
        """See `Keeper.read`."""
        # Nothing has been asked for before the first task, with which the engine starts.
        return cast(Transfers, self.hosted.call("read")) if self.hosted.there else Transfers()

    def clear(self) -> None:
        """See `Keeper.clear`."""
        if self.hosted.there:
            self.hosted.call("clear")


def scratch_folder(output: str) -> Path:
    """Return the folder of this machine for what the downloads into `output` share."""
    where = output if storage.is_remote(output) else str(Path(output).absolute())
    return Path(tempfile.gettempdir()) / f"corpusmill-{fingerprint(where)[:12]}"


def make_keeper(output: str, engine: Engine) -> Keeper:
    """Return the keeper for a new run of the build in an output folder."""
    local = FileKeeper(f"{scratch_folder(output).name}/shared", uuid.uuid4().hex)
    hosted = engine.host(f"corpusmill-downloads-{local.run}", local)
    return local if hosted is None else HostedKeeper(hosted)
