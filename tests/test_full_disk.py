"""A disk that fills up in the middle: an error that names the file, and nothing half-written."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus import export
from corpus.build import build, read_build
from corpus.config import load_recipe
from corpus.engine import LocalEngine
from corpus.errors import OutputError
from corpus.export import FORMATS
from corpus.progress import Silent
from corpus.storage import TEMPORARY_PREFIX
from tests.made import digests

# Written first and again at the end; and what names the folder that it lies in.
RECORDS = ("export.json", "blend.txt", "blend.validation.txt")


@contextlib.contextmanager
def squeezed(disk: Path, room: int) -> Iterator[None]:
    """Leave so many bytes: of a disk where one may be mounted, else a file may have no more."""
    if disk.is_mount():
        space = os.statvfs(disk)
        ballast = disk / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(space.f_bavail * space.f_bsize - room, 1))
        yield
        ballast.unlink()
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(room, 1000), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=["a small disk", "small files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "small files":
        yield folder
        return
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def require_nothing_half_written(folder: Path, whole: dict[str, str]) -> None:
    left = digests(folder, ignored=("build.lock", *RECORDS))
    assert not [name for name in left if TEMPORARY_PREFIX in name]
    others = {name for name in left if ".receipts/" in name}
    assert {name: whole.get(name) for name in left if name not in others} == {
        name: digest for name, digest in left.items() if name not in others
    }


@pytest.mark.parametrize("stage", ["tokenize", "mix"])
def test_stage_on_a_full_disk(stage: str, disk: Path, finished_build: Path) -> None:
    output = disk / "output"
    shutil.copytree(finished_build, output)
    for name in ("tokenize", "mix") if stage == "tokenize" else ("mix",):
        for folder in output.glob(f"{name}-*"):
            shutil.rmtree(folder)
    recipe = load_recipe(str(finished_build.parent / "mix.yaml"))
    with squeezed(disk, 12 << 10), pytest.raises(OutputError, match="Free some space") as caught:
        build(recipe, str(output), LocalEngine(0), Silent())
    assert caught.value.where is not None
    assert f"{disk}/output/{stage}-" in caught.value.where
    whole = digests(finished_build, ignored=("build.lock", *RECORDS))
    require_nothing_half_written(output, whole)
    build(recipe, str(output), LocalEngine(0), Silent())
    assert digests(output, ignored=("build.lock", *RECORDS)) == whole


@pytest.mark.parametrize("form", FORMATS)
def test_export_on_a_full_disk(form: str, disk: Path, finished_build: Path, tmp_path: Path) -> None:
    made = read_build(str(finished_build))

    def write(folder: Path) -> None:
        tokens = None if form in ("jsonl", "parquet", "nanogpt", "megatron") else 4096
        export.export(
            made,
            form=form,
            folder=str(folder),
            compression="none",
            force=False,
            say=lambda line: None,
            shard_tokens=tokens,
        )

    write(tmp_path / "whole")
    whole = digests(tmp_path / "whole", ignored=RECORDS)
    sizes = [(tmp_path / "whole" / name).stat().st_size for name in whole]
    with (
        squeezed(disk, max(sum(sizes) // 2, 4096)),
        pytest.raises(OutputError, match="Free some space") as caught,
    ):
        write(disk / "out")
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"{disk}/out/")
    require_nothing_half_written(disk / "out", whole)
    write(disk / "out")
    assert digests(disk / "out", ignored=RECORDS) == whole
