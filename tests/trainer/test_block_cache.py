"""The cache of blocks: bounded, shared by processes, and never wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import storage
from corpus.errors import InputError, OutputError
from corpus.trainer.block_cache import BlockCache

BLOCK = 1000
TAKEN = BLOCK + 8  # with its checksum


def block(number: int) -> bytes:
    return bytes([number % 251]) * BLOCK


def read(cache: BlockCache, number: int, *, key: str = "k", start: int = 0) -> bytes | None:
    out = bytearray(BLOCK - start)
    found = cache.read_into(key, number, BLOCK, start, memoryview(out))
    return bytes(out) if found else None


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in files(folder))


def test_a_block_comes_back_from_any_byte_on(tmp_path: Path) -> None:
    cache = BlockCache(str(tmp_path / "deep" / "cache"), 10 * TAKEN)
    data = bytes(range(250)) * 4
    assert read(cache, 3) is None
    cache.put("k", 3, data)
    assert read(cache, 3) == data
    assert read(cache, 3, start=990) == data[990:]
    assert read(cache, 3, key="another") is None
    assert cache.missing("k", [2, 3, 4]) == [2, 4]
    assert cache.count("k") == 1
    assert cache.count("another") == 0


def test_what_was_used_longest_ago_goes_and_the_bound_is_kept(tmp_path: Path) -> None:
    cache = BlockCache(str(tmp_path), 10 * TAKEN)
    for number in range(10):
        cache.put("k", number, block(number))
        os.utime(tmp_path / "k.blocks" / str(number), (number, number))
    assert read(cache, 0) == block(0)  # it is the one that was used last now
    for number in range(10, 14):
        cache.put("k", number, block(number))
        assert used(tmp_path) <= 10 * TAKEN
    assert read(cache, 0) == block(0)
    assert cache.missing("k", range(14)) == [1, 2, 3, 4]
    assert [read(cache, number) for number in (1, 5, 13)] == [None, block(5), block(13)]


@pytest.mark.parametrize("damage", ["cut", "flipped", "longer"])
def test_a_damaged_block_is_found_removed_and_can_be_put_again(damage: str, tmp_path: Path) -> None:
    BlockCache(str(tmp_path), 10 * TAKEN).put("k", 5, block(5))
    [path] = files(tmp_path)
    data = path.read_bytes()
    flipped = data[:500] + bytes([data[500] ^ 1]) + data[501:]
    path.write_bytes({"cut": data[:-1], "flipped": flipped, "longer": data + b"x"}[damage])

    cache = BlockCache(str(tmp_path), 10 * TAKEN)
    assert read(cache, 5) is None
    assert files(tmp_path) == []
    cache.put("k", 5, block(5))
    assert read(cache, 5) == block(5)


def test_a_block_that_is_cut_while_a_process_uses_it_is_found(tmp_path: Path) -> None:
    cache = BlockCache(str(tmp_path), 10 * TAKEN)
    cache.put("k", 5, block(5))
    assert read(cache, 5) == block(5)
    os.truncate(files(tmp_path)[0], 100)
    assert read(cache, 5) is None


def test_files_of_others_stay_and_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(bytes(100 * TAKEN))
    (tmp_path / "k.blocks").mkdir()
    (tmp_path / "k.blocks" / "notes.txt").write_text("mine")
    cache = BlockCache(str(tmp_path), 4 * TAKEN)
    for number in range(20):
        cache.put("k", number, block(number))
    assert cache.count("k") >= 3
    assert (tmp_path / "theirs").exists()
    assert (tmp_path / "k.blocks" / "notes.txt").exists()


def test_removing_a_file_frees_its_room_alone(tmp_path: Path) -> None:
    cache = BlockCache(str(tmp_path), 4 * TAKEN)
    for key in ("a", "b"):
        cache.put(key, 0, block(0))
    cache.remove("a")
    assert (cache.count("a"), cache.count("b")) == (0, 1)
    for number in range(1, 4):
        cache.put("b", number, block(number))
    assert cache.count("b") == 4


def test_a_lock_file_that_makes_no_sense_is_counted_anew(tmp_path: Path) -> None:
    cache = BlockCache(str(tmp_path), 4 * TAKEN)
    for number in range(3):
        cache.put("k", number, block(number))
    (tmp_path / "lock").write_bytes(b"what is this")
    for number in range(3, 9):
        cache.put("k", number, block(number))
        assert used(tmp_path) <= 4 * TAKEN


def test_a_remote_folder_is_refused() -> None:
    with pytest.raises(InputError, match="has to be on this machine"):
        BlockCache("s3://bucket/cache", 1)


MANY = """
import sys
from corpus.trainer.block_cache import BlockCache
cache = BlockCache(sys.argv[1], 20 * 1008)
for number in range(300):
    number = number * int(sys.argv[2]) % 50
    data = bytes([number]) * 1000
    out = bytearray(1000)
    if cache.read_into("k", number, 1000, 0, memoryview(out)):
        assert out == data, number
    cache.put("k", number, data)
"""


def test_two_processes_share_the_bound_and_read_whole_blocks(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path), str(step)]) for step in (7, 11)
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    assert used(tmp_path) <= 20 * TAKEN
    assert int((tmp_path / "lock").read_bytes()) == used(tmp_path)
    assert all(path.name.isdigit() for path in files(tmp_path))


KILLED = """
import sys
from pathlib import Path
from corpus.trainer.block_cache import BlockCache
cache = BlockCache(sys.argv[1], 4 * 1008)
def stop(self, target):
    print("written", flush=True)
    sys.stdin.read()
Path.replace = stop
cache.put("k", 7, bytes(1000))
"""


def test_a_process_that_is_killed_while_it_writes_leaves_no_block_and_no_lock(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    [left] = files(tmp_path)
    assert left.name.startswith(storage.TEMPORARY_PREFIX)

    cache = BlockCache(str(tmp_path), 4 * TAKEN)
    assert files(tmp_path) == []
    assert read(cache, 7) is None
    cache.put("k", 7, block(7))
    assert read(cache, 7) == block(7)


def test_a_full_disk_takes_the_older_half_and_then_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        cache = BlockCache(str(tmp_path), 1 << 20)
        for number in range(100):
            cache.put("k", number, bytes([number]) * BLOCK * 8)
        assert "the disk is full" in caplog.text
        assert cache.missing("k", [99]) == []
        assert all(path.stat().st_size == BLOCK * 8 + 8 for path in files(tmp_path))
        assert int((tmp_path / "lock").read_bytes()) == used(tmp_path)

        cache.remove("k")
        (tmp_path / "theirs").write_bytes(bytes(120 << 10))
        with pytest.raises(OutputError, match=r"lower cache\.bytes") as caught:
            cache.put("k", 0, bytes(BLOCK * 8))
        assert caught.value.where == str(tmp_path)
        assert "No space left on device" in str(caught.value)
        assert [path.name for path in files(tmp_path)] == ["theirs"]
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
