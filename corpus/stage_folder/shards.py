"""Shards in a stage's folder: the task that makes one, the receipt it leaves, and its files.

A task that is done leaves a receipt, the entry of its shard in the manifest to come. The manifest
replaces the receipts when all are done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from corpus import storage
from corpus.errors import InputError
from corpus.manifest import MANIFEST, Output, Shard, read_manifest, shard_from_json

RECEIPTS = ".receipts"  # with a dot, so that it cannot be the folder of a source


class Task(Protocol):
    """What an engine is handed: a few paths and settings. A frozen dataclass in each stage.

    Attributes:
        name: Name of the shard, the start of its files' names.
        source: Name of the source, the folder of its files.
        key: Digest of all that the outputs depend on.
        weight: How much work it is, in any unit (bytes of input), for the progress.
        folder: The stage's folder; filled in by `StageFolder`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def weight(self) -> int: ...  # noqa: D102
    @property
    def folder(self) -> str: ...  # noqa: D102


def receipt(task: Task) -> str:
    """Return the path of what a task leaves when it is done."""
    return storage.join(task.folder, RECEIPTS, f"{task.source}-{task.name}.json")


def shards_in(folder: str) -> Iterator[Shard]:
    """Yield the finished shards of a stage's folder, complete or not."""
    if storage.exists(storage.join(folder, MANIFEST)):
        yield from read_manifest(folder).shards
        return
    receipts = storage.join(folder, RECEIPTS)
    for name in storage.list_folder(receipts):
        if name.endswith(".json"):
            with contextlib.suppress(KeyError, TypeError, InputError):
                yield shard_from_json(storage.read_json(storage.join(receipts, name)))


def is_elsewhere(path: str) -> bool:
    """Say whether an output is an input that is used where it lies, not a file in the folder."""
    return path.startswith("/") or storage.is_remote(path)


def is_whole(folder: str, shard: Shard, *, exact: bool = False) -> bool:
    """Say whether a shard's files are there with their sizes, and, if `exact`, with their bytes.

    Bytes are otherwise for `corpus check` to read.
    """
    for output in shard.outputs:
        path = output.path
        if not is_elsewhere(path):
            path = storage.join(folder, path)
        if not storage.exists(path) or storage.size(path) != output.bytes:
            return False
        if exact and storage.digest(path)[1] != output.sha256:
            return False
    return True


def describe_output(folder: str, path: str, role: str, rows: int = 0) -> Output:
    """Return the entry of a file that has just been published.

    Args:
        folder: The stage's folder.
        path: Relative to it.
        role: What the file is for.
        rows: Rows, documents or tokens in it.
    """
    size, sha256 = storage.digest(storage.join(folder, path))
    return Output(role=role, path=path, bytes=size, sha256=sha256, rows=rows)
