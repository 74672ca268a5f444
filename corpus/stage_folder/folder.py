"""One stage's output folder: what is in it already, what is left to do, and how it is finished."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa

from corpus import __version__, storage
from corpus.engine import Engine
from corpus.errors import InputError, IntegrityError
from corpus.manifest import (
    MANIFEST,
    Manifest,
    Output,
    Shard,
    fingerprint,
    read_manifest,
    shard_from_json,
)
from corpus.metering.usage import Spending, Usage, measured
from corpus.progress import Progress
from corpus.stage_folder.shards import RECEIPTS, Task, is_elsewhere, is_whole, receipt, shards_in

T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class _Work(Generic[T]):
    """A task with the function that does it: what really travels to a worker."""

    function: Callable[[T], Shard]
    task: T


def _make(work: _Work[T]) -> tuple[Shard, Usage]:
    """Do one task and leave its receipt, so that no one has to do it again; say what it cost."""
    shard, usage = measured(work.function, work.task)
    _release()
    storage.write_json(receipt(work.task), dataclasses.asdict(shard))
    return shard, usage


def _release() -> None:
    """Give freed memory back to the system, or a worker holds what its largest task needed."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps NumPy's freed arrays
    if trim is not None:
        trim(0)


class StageFolder(Generic[T]):
    """The folder `<output>/<stage>-<fingerprint>` of one stage.

    Args:
        output: The build's output folder.
        stage: Name of the stage.
        settings: What the outputs depend on; the tasks' keys have to cover it too.
        versions: Of libraries that shape the output.
        tasks: One for each shard, in order.
        exact: Whether files from before an interruption are used only if their bytes are those
            that were written: what is removed at the end is never seen by `corpus check`.
    """

    def __init__(
        self,
        output: str,
        stage: str,
        *,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
        tasks: Sequence[T],
        exact: bool = False,
    ) -> None:
        self.output = output
        self.exact = exact
        self.stage = stage
        self.settings = settings
        self.versions = {"corpusmill": __version__, **versions}
        names = [(task.source, task.name, task.key) for task in tasks]
        self.fingerprint = fingerprint(stage, settings, names)
        self.path = storage.join(output, f"{stage}-{self.fingerprint[:12]}")
        self.tasks: list[T] = [
            dataclasses.replace(task, folder=self.path)  # type: ignore[type-var]
            for task in tasks
        ]

    def manifest(self) -> Manifest | None:
        """Return the stage's manifest if it is complete."""
        if not storage.exists(storage.join(self.path, MANIFEST)):
            return None
        # A process that was killed right after it wrote the manifest has left them.
        storage.remove(storage.join(self.path, RECEIPTS))
        manifest = read_manifest(self.path)
        whole = [is_whole(self.path, shard, exact=self.exact) for shard in manifest.shards]
        if all(whole):
            return manifest
        # Files have gone since: what is left of the stage is as after an interruption.
        for task, shard in zip(self.tasks, manifest.shards, strict=True):
            storage.write_json(receipt(task), dataclasses.asdict(shard))
        storage.remove(storage.join(self.path, MANIFEST))
        return None

    def run(
        self, function: Callable[[T], Shard], engine: Engine, progress: Progress
    ) -> list[Shard]:
        """Make the shards that are not there yet and return all, in the order of the tasks.

        Raises:
            CorpusError: What a task raised. Finished shards stay.
        """
        storage.sweep(self.path)
        elsewhere: dict[str, tuple[str, Shard]] | None = None
        done: dict[int, Shard] = {}
        for index, task in enumerate(self.tasks):
            shard = self._finished(task)
            if shard is None:
                if elsewhere is None:
                    elsewhere = self._others()
                shard = self._linked(task, elsewhere)
            if shard is not None:
                done[index] = shard
                progress.spent(self._spending(task, shard, None))
        left = [index for index in range(len(self.tasks)) if index not in done]
        progress.start(
            self.stage,
            total=sum(self.tasks[index].weight for index in left),
            reused=len(done),
            shards=len(self.tasks),
        )
        results = engine.map(_make, [_Work(function, self.tasks[index]) for index in left])
        for index, (shard, usage) in zip(left, results, strict=True):
            done[index] = shard
            progress.spent(self._spending(self.tasks[index], shard, usage))
            progress.advance(shard, self.tasks[index].weight)
        return [done[index] for index in range(len(self.tasks))]

    def _spending(self, task: T, shard: Shard, usage: Usage | None) -> Spending:
        written = sum(o.bytes for o in shard.outputs if not is_elsewhere(o.path))
        return Spending(self.stage, self.path, task.source, task.weight, written, usage)

    def finish(self, shards: Sequence[Shard], summary: Mapping[str, Any] | None = None) -> Manifest:
        """Write the manifest, which makes the stage complete, and return it.

        Raises:
            AccountingError: In a shard, what went in is not what came out.
        """
        manifest = Manifest(
            folder=self.path,
            stage=self.stage,
            fingerprint=self.fingerprint,
            settings=self.settings,
            versions=self.versions,
            shards=tuple(shards),
            summary=summary or {},
        )
        manifest.write()
        storage.remove(storage.join(self.path, RECEIPTS))
        return manifest

    def _finished(self, task: T) -> Shard | None:
        path = receipt(task)
        if not storage.exists(path):
            return None
        try:
            shard = shard_from_json(storage.read_json(path))
        except (KeyError, TypeError, InputError):
            return None  # no receipt of ours: the shard is made again
        if shard.key != task.key or not is_whole(self.path, shard, exact=self.exact):
            return None
        return shard

    def _others(self) -> dict[str, tuple[str, Shard]]:
        """Return the shards in the stage's other folders by key."""
        found: dict[str, tuple[str, Shard]] = {}
        for name in storage.list_folder(self.output):
            folder = storage.join(self.output, name)
            if name.startswith(f"{self.stage}-") and folder != self.path:
                # Nothing in it has to be used: one that cannot be read, such as that of a version
                # with another layout, is left alone.
                with contextlib.suppress(InputError, IntegrityError):
                    found |= {shard.key: (folder, shard) for shard in shards_in(folder)}
        return found

    def _linked(self, task: T, elsewhere: Mapping[str, tuple[str, Shard]]) -> Shard | None:
        if task.key not in elsewhere:
            return None
        folder, old = elsewhere[task.key]
        if not is_whole(folder, old):
            return None
        outputs: list[Output] = []
        for output in old.outputs:
            if not is_elsewhere(output.path):
                name = storage.name(output.path).replace(old.name, task.name, 1)
                inner = output.path.removeprefix(f"{old.source}/").rpartition("/")[0]
                path = "/".join(part for part in (task.source, inner, name) if part)
                new = dataclasses.replace(output, path=path)
                storage.link(storage.join(folder, output.path), storage.join(self.path, new.path))
                outputs.append(new)
            else:
                outputs.append(output)  # an input that is used where it lies
        shard = dataclasses.replace(old, name=task.name, source=task.source, outputs=tuple(outputs))
        storage.write_json(receipt(task), dataclasses.asdict(shard))
        return shard


def make(
    output: str,
    stage: str,
    function: Callable[[T], Shard],
    tasks: Sequence[T],
    engine: Engine,
    progress: Progress,
    *,
    settings: Mapping[str, Any] | None = None,
    versions: Mapping[str, str] | None = None,
    uses: Sequence[Manifest] = (),
    exact: bool = False,
) -> Manifest:
    """Return the manifest of a stage or a step, made now unless it is there.

    Args:
        output: The build's output folder.
        stage: Name of the stage or step.
        function: What does a task.
        tasks: One for each shard, in order.
        engine: What runs them.
        progress: Who is told.
        settings: What the outputs depend on.
        versions: Of libraries that shape the output.
        uses: The steps that it is made of.
        exact: See `StageFolder`.
    """
    folder = StageFolder(
        output, stage, settings=settings or {}, versions=versions or {}, tasks=tasks, exact=exact
    )
    manifest = folder.manifest()
    if manifest is None:
        manifest = folder.finish(folder.run(function, engine, progress), used(*uses))
    return manifest


def used(*steps: Manifest) -> dict[str, Any]:
    """Return the entry of a summary that names the folders of the steps that a stage is made of.

    `corpus clean` keeps what the current build uses.
    """
    return {"uses": sorted({storage.name(step.folder) for step in steps})}
