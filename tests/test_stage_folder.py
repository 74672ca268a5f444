"""A stage's folder: what is whole is not made again, and nothing that is not whole is used."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from corpus import storage
from corpus.engine import LocalEngine
from corpus.errors import AccountingError, StageError
from corpus.manifest import Counts, Manifest, Output, Shard
from corpus.stage_folder import StageFolder, describe_output, shards_in
from tests.made import Recording

ENGINE = LocalEngine(0)
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Task:
    name: str
    source: str
    key: str
    weight: int = 1
    text: str = ""
    folder: str = ""


def write(task: Task) -> Shard:
    """Make a shard of two files."""
    outputs = []
    for path, role in (
        (f"{task.source}/{task.name}-0000.txt", "documents"),
        (f"{task.source}/dropped-{task.name}.txt", "dropped"),
    ):
        storage.write_bytes(storage.join(task.folder, path), f"{role} {task.text}".encode())
        outputs.append(describe_output(task.folder, path, role, 1))
    return Shard(task.name, task.source, task.key, tuple(outputs), Counts(2, 1, {"x": 1}))


def tasks(*keys: str, source: str = "a") -> list[Task]:
    return [Task(f"part-{i:05d}", source, key, text=key) for i, key in enumerate(keys)]


def folder(output: Path, made: list[Task], **settings: object) -> StageFolder[Task]:
    return StageFolder(str(output), "stage", settings=settings, versions={}, tasks=made)


def build(
    output: Path, made: list[Task], function: Callable[[Task], Shard] = write, **settings: object
) -> tuple[Manifest, Recording]:
    """Make a stage, or take it over when it is complete."""
    progress = Recording()
    stage = folder(output, made, **settings)
    manifest = stage.manifest()
    if manifest is None:
        manifest = stage.finish(stage.run(function, ENGINE, progress))
    return manifest, progress


def test_finished_stage_holds_its_files_a_manifest_and_nothing_else(tmp_path: Path) -> None:
    manifest, progress = build(tmp_path, tasks("k1", "k2"))
    assert progress.made == {"stage": 2}
    assert sorted(storage.list_folder(manifest.folder)) == ["a", "manifest.json"]
    assert storage.list_folder(f"{manifest.folder}/a") == [
        "dropped-part-00000.txt",
        "dropped-part-00001.txt",
        "part-00000-0000.txt",
        "part-00001-0000.txt",
    ]
    assert folder(tmp_path, tasks("k1", "k2")).manifest() == manifest


def test_complete_stage_runs_nothing(tmp_path: Path) -> None:
    first, _ = build(tmp_path, tasks("k1"))
    again, progress = build(tmp_path, tasks("k1"))
    assert again == first
    assert progress.made == {}


def test_fingerprint_follows_settings_tasks_and_their_order(tmp_path: Path) -> None:
    def of(made: list[Task], **settings: object) -> str:
        return folder(tmp_path, made, **settings).path

    one, two = tasks("k1", "k2")
    base = of([one, two], alpha=1)
    assert of([one, two], alpha=1) == base
    assert of([replace(one, weight=7, text="other"), two], alpha=1) == base
    others = [
        of([one, two], alpha=2),
        of([one], alpha=1),
        of([two, one], alpha=1),
        of([replace(one, key="k3"), two], alpha=1),
        of([replace(one, source="b"), two], alpha=1),
    ]
    assert len({base, *others}) == 6


def interrupted(output: Path, made: list[Task], at: str) -> None:
    """Run a stage whose task with key `at` fails."""

    def fails(task: Task) -> Shard:
        if task.key == at:
            raise StageError("interrupted here")
        return write(task)

    with pytest.raises(StageError, match="interrupted here"):
        build(output, made, fails)


def test_finished_shards_of_an_interrupted_stage_are_not_made_again(tmp_path: Path) -> None:
    made = tasks("k1", "k2", "k3", "k4")
    interrupted(tmp_path, made, at="k3")
    stage = folder(tmp_path, made)
    assert stage.manifest() is None
    assert sorted(shard.key for shard in shards_in(stage.path)) == ["k1", "k2"]
    manifest, progress = build(tmp_path, made)
    assert (progress.made, progress.reused) == ({"stage": 2}, {"stage": 2})
    undisturbed, _ = build(tmp_path / "other", made)
    assert [replace(s) for s in manifest.shards] == list(undisturbed.shards)


@pytest.mark.parametrize("harm", ["truncate", "remove", "grow"])
def test_shard_whose_file_is_not_whole_is_made_again(tmp_path: Path, harm: str) -> None:
    made = tasks("k1", "k2", "k3")
    interrupted(tmp_path, made, at="k3")
    path = Path(folder(tmp_path, made).path) / "a" / "part-00000-0000.txt"
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if harm == "truncate" else b"longer than it was")
    manifest, progress = build(tmp_path, made)
    assert (progress.made, progress.reused) == ({"stage": 2}, {"stage": 1})
    assert path.read_bytes() == b"documents k1"
    assert manifest.counts() == Counts(6, 3, {"x": 3})


def test_receipt_of_another_key_is_not_believed(tmp_path: Path) -> None:
    made = tasks("k1", "k2")
    interrupted(tmp_path, made, at="k2")
    stage = folder(tmp_path, made)
    receipts = list(Path(stage.path).rglob("*part-00000.json"))
    assert len(receipts) == 1
    receipts[0].write_text(receipts[0].read_text().replace('"k1"', '"other"'))
    _, progress = build(tmp_path, made)
    assert progress.made == {"stage": 2}


def test_unfinished_files_of_a_killed_process_are_swept_away(tmp_path: Path) -> None:
    made = tasks("k1", "k2")
    interrupted(tmp_path, made, at="k2")
    left = Path(folder(tmp_path, made).path) / "a" / ".tmp-1-part-00001-0000.txt"
    left.write_bytes(b"half")
    build(tmp_path, made)
    assert not left.exists()


def test_shard_of_another_folder_with_the_same_key_is_linked_and_renamed(tmp_path: Path) -> None:
    first, _ = build(tmp_path, tasks("k1", "k2"), alpha=1)
    moved = [Task("part-00000", "a", "k0", text="k0"), *tasks("k1", "k2")]
    moved = [replace(task, name=f"part-{i:05d}") for i, task in enumerate(moved)]
    second, progress = build(tmp_path, moved, alpha=1)
    assert second.folder != first.folder
    assert (progress.made, progress.reused) == ({"stage": 1}, {"stage": 2})
    assert [shard.name for shard in second.shards] == ["part-00000", "part-00001", "part-00002"]
    for old, new in zip(first.shards, second.shards[1:], strict=True):
        for one, other in zip(old.outputs, new.outputs, strict=True):
            assert one.sha256 == other.sha256
            assert other.path.replace(new.name, old.name) == one.path
            paths = (Path(first.path(one)), Path(second.path(other)))
            assert paths[0].samefile(paths[1])
    assert (Path(second.folder) / "a" / "dropped-part-00002.txt").read_bytes() == b"dropped k2"
    # What was there before is whole.
    assert folder(tmp_path, tasks("k1", "k2"), alpha=1).manifest() == first


def test_shard_is_linked_from_an_unfinished_folder_too(tmp_path: Path) -> None:
    interrupted(tmp_path, tasks("k1", "k2"), at="k2")
    _, progress = build(tmp_path, tasks("k1", "k3"))
    assert (progress.made, progress.reused) == ({"stage": 1}, {"stage": 1})


def test_shard_of_another_folder_that_is_not_whole_is_made_again(tmp_path: Path) -> None:
    first, _ = build(tmp_path, tasks("k1"), alpha=1)
    (Path(first.folder) / "a" / "dropped-part-00000.txt").write_bytes(b"")
    second, progress = build(tmp_path, tasks("k1"), alpha=2)
    assert progress.made == {"stage": 1}
    assert (Path(second.folder) / "a" / "dropped-part-00000.txt").read_bytes() == b"dropped k1"


@pytest.mark.parametrize(
    "text", ['{"layout": 0}', '{"layout": 99, "shards": []}', "{", "[]", '{"layout": 1}']
)
def test_other_folder_that_this_program_cannot_read_is_left_alone(
    tmp_path: Path, text: str
) -> None:
    """It may be of an earlier version, and there is nothing in it that has to be used."""
    first, _ = build(tmp_path, tasks("k1"), alpha=1)
    (Path(first.folder) / "manifest.json").write_text(text)
    _, progress = build(tmp_path, tasks("k1"), alpha=2)
    assert progress.made == {"stage": 1}


def test_folder_of_a_stage_whose_name_begins_alike_is_not_mixed_up(tmp_path: Path) -> None:
    stage = StageFolder(str(tmp_path), "stages", settings={}, versions={}, tasks=tasks("k1"))
    stage.finish(stage.run(write, ENGINE, Recording()))
    _, progress = build(tmp_path, tasks("k1"))
    assert progress.made == {"stage": 1}


def test_input_that_is_used_where_it_lies_is_not_linked(tmp_path: Path) -> None:
    given = tmp_path / "in" / "part-00000.txt"
    given.parent.mkdir()
    given.write_text("input")

    def look(task: Task) -> Shard:
        output = Output("input", str(given), *storage.digest(str(given)))
        return Shard(task.name, task.source, task.key, (output,), Counts(1, 1))

    build(tmp_path, tasks("k1"), look, alpha=1)
    second, progress = build(tmp_path, tasks("k1"), look, alpha=2)
    assert progress.reused == {"stage": 1}
    assert second.path(second.shards[0].outputs[0]) == str(given)
    assert storage.list_folder(second.folder) == ["manifest.json"]


@pytest.mark.parametrize("source", ["receipts", "exchange", "manifest", "dropped"])
def test_source_may_have_any_name(tmp_path: Path, source: str) -> None:
    """Its folder must not be mistaken for one of the program's own."""
    made = tasks("k1", source=source)
    manifest, _ = build(tmp_path, made)
    for output in manifest.shards[0].outputs:
        assert Path(manifest.path(output)).stat().st_size == output.bytes


def test_rows_that_vanished_leave_the_stage_unfinished(tmp_path: Path) -> None:
    def loses(task: Task) -> Shard:
        return replace(write(task), counts=Counts(3, 1, {"x": 1}))

    with pytest.raises(AccountingError) as caught:
        build(tmp_path, tasks("k1"), loses)
    assert caught.value.where is not None
    assert caught.value.where.endswith("/a/part-00000")
    assert folder(tmp_path, tasks("k1")).manifest() is None


def test_receipts_that_a_process_killed_at_the_very_end_left_are_removed(tmp_path: Path) -> None:
    made = tasks("k1", "k2")
    first, _ = build(tmp_path / "1", made)
    stage = folder(tmp_path / "2", made)
    shards = stage.run(write, ENGINE, Recording())
    kept = {p: p.read_bytes() for p in Path(stage.path).rglob("*.json")}
    assert len(kept) == 2
    second = stage.finish(shards)
    for path, data in kept.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    assert folder(tmp_path / "2", made).manifest() == second
    assert sorted(p.name for p in Path(second.folder).rglob("*")) == sorted(
        p.name for p in Path(first.folder).rglob("*")
    )


KILLED = """
import os, signal, sys
from pathlib import Path
from corpus import storage
from tests import test_stage_folder as made

def write(task):
    if task.key == "k3":
        with storage.publish(task.folder + "/a/part-00002-0000.txt") as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    return made.write(task)

made.build(Path(sys.argv[1]), made.tasks("k1", "k2", "k3", "k4"), write)
"""


def test_stage_killed_in_the_middle_of_a_file_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert found.returncode == -signal.SIGKILL
    made = tasks("k1", "k2", "k3", "k4")
    half = [p for p in tmp_path.rglob("*") if p.name.startswith(storage.TEMPORARY_PREFIX)]
    assert len(half) == 1
    manifest, progress = build(tmp_path, made)
    assert (progress.made, progress.reused) == ({"stage": 2}, {"stage": 2})
    undisturbed, _ = build(tmp_path / "other", made)
    names = [sorted(p.name for p in Path(m.folder).rglob("*")) for m in (manifest, undisturbed)]
    assert names[0] == names[1]
    texts = [Path(m.folder, "manifest.json").read_bytes() for m in (manifest, undisturbed)]
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["counts"] == {"a": {"into": 8, "kept": 4, "dropped": {"x": 4}}}


HELD = """
import re
from pathlib import Path
import numpy as np
from corpus.stage_folder.folder import _release
arrays = [np.ones(100_000, np.uint8) for _ in range(2000)]
last = arrays.pop()  # behind all others, so that the heap does not shrink by itself
del arrays
def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = held()
_release()
print(before - held())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone has it")
def test_memory_that_a_task_has_freed_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, check=True, text=True)
    assert float(done.stdout) > 100  # MB, of 200
