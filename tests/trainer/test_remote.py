"""Mixtures in an object store: the arrays of local ones, through a cache of any size."""

from __future__ import annotations

import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.storage.failures import reading
from corpus.trainer import block_fetch, config, loop, remote_shards
from corpus.trainer.batches import Batches
from corpus.trainer.config import CacheConfig
from corpus.trainer.packing import PackedSequences
from corpus.trainer.sequences import MixtureSequences
from tests.object_store import BUCKET, environment, object_store

URL = "memory:///build/mix/mixture.json"
POSITIONS = np.arange(400)  # more than an epoch of either source


def upload(local: Path, url: str) -> None:
    for path in sorted(local.rglob("*")):
        if path.is_file():
            storage.write_bytes(f"{url}/{path.relative_to(local)}", path.read_bytes())


@pytest.fixture
def store(mix: str) -> Iterator[Any]:
    """Return fsspec's store in memory, with a copy of the mix."""
    import fsspec

    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    upload(Path(mix).parent, "memory:///build/mix")
    yield filesystem
    filesystem.store.clear()


@pytest.fixture
def opened(store: Any, tmp_path: Path) -> MixtureSequences:
    """Return the copy's sequences through a cache that holds all of it."""
    return MixtureSequences.open(URL, cache=large(tmp_path))


def large(folder: Path) -> CacheConfig:
    return CacheConfig(folder=str(folder / "cache"), bytes=100 << 20)


def small(folder: Path, blocks: int = 16) -> CacheConfig:
    """Return a cache for that many blocks of 64 bytes: less than two sequences each."""
    return CacheConfig(folder=str(folder / "small"), bytes=blocks * 72, block=64)


def reader(sequences: MixtureSequences) -> block_fetch.BlockReader:
    assert sequences._remote is not None
    return sequences._remote.reader


@pytest.mark.parametrize("settings", [large, small])
def test_every_array_is_that_of_the_local_mix(
    settings: Any, mix: str, store: Any, tmp_path: Path
) -> None:
    local = MixtureSequences.open(mix)
    remote = MixtureSequences.open(URL, cache=settings(tmp_path))
    assert np.array_equal(remote.read(POSITIONS), local.read(POSITIONS))
    assert np.array_equal(remote.read(np.array([399, 0, 7])), local.read(np.array([399, 0, 7])))
    held = np.arange(sum(local.mixture.validation_windows()))
    assert np.array_equal(remote.read(held, held_out=True), local.read(held, held_out=True))
    for source in local.sources:
        assert np.array_equal(remote.held_out(source, 5), local.held_out(source, 5))
    stream, expected = remote.stream(0), local.stream(0)
    assert stream.read(0, len(stream)).tolist() == expected.read(0, len(expected)).tolist()
    assert remote.tokenizer().digest == local.tokenizer().digest
    assert remote.digest == local.digest
    packed, whole = PackedSequences(remote), PackedSequences(local)
    assert np.array_equal(packed.read(POSITIONS), whole.read(POSITIONS))


def test_a_cache_that_is_smaller_than_the_corpus_keeps_its_bound(
    mix: str, store: Any, tmp_path: Path
) -> None:
    settings = small(tmp_path, blocks=20)
    sequences = MixtureSequences.open(URL, cache=settings)
    expected = MixtureSequences.open(mix)
    largest = 0
    with Batches(sequences, batch_sequences=8) as batches:
        for number in range(20):
            rows = expected.read(np.arange(number * 8, number * 8 + 8))
            assert np.array_equal(next(batches), rows)
            with reader(sequences).cache._locked():  # nothing comes or goes meanwhile
                kept = [path.stat().st_size for path in (tmp_path / "small").rglob("*.blocks/*")]
            largest = max(largest, sum(kept))
    assert 10 * 72 < largest <= settings.bytes
    assert reader(sequences).fetched > 20


def test_a_second_run_fetches_nothing(opened: MixtureSequences, tmp_path: Path) -> None:
    rows = opened.read(POSITIONS)
    assert reader(opened).fetched == 4  # each shard is one block
    again = MixtureSequences.open(URL, cache=large(tmp_path))
    assert np.array_equal(again.read(POSITIONS), rows)
    assert reader(again).fetched == 0


def test_blocks_are_large_where_all_fits_and_small_where_it_does_not(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = MixtureSequences.open(URL, cache=large(tmp_path))
    assert opened._remote is not None
    assert opened._remote.block == 1 << 20
    monkeypatch.setattr(remote_shards, "PART_BLOCK", 100)
    parts = MixtureSequences.open(
        URL, cache=CacheConfig(folder=str(tmp_path / "parts"), bytes=2000)
    )
    assert parts._remote is not None
    assert parts._remote.block == 100
    with pytest.raises(InputError, match="does not hold 16 blocks"):
        MixtureSequences.open(URL, cache=CacheConfig(folder=str(tmp_path), bytes=1000))


def test_what_comes_next_is_fetched_before_it_is_read(
    mix: str, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = MixtureSequences.open(URL, cache=small(tmp_path, blocks=4000))
    before = threading.Event()
    asked: list[int] = []
    reading = sequences.read

    def read(positions: Any, **options: Any) -> Any:
        asked.append(int(positions[0]))
        if len(asked) == 2:
            before.wait(10)
        return reading(positions, **options)

    monkeypatch.setattr(sequences, "read", read)
    with Batches(sequences, batch_sequences=4, prefetch=1) as batches:
        first = next(batches)
        while reader(sequences)._flying:
            pass
        fetched = reader(sequences).fetched
        before.set()
        rows = [first, *(next(batches) for _ in range(20))]
        assert reader(sequences).fetched - fetched <= 20  # one batch more is told for each read
    assert fetched > 100
    assert np.array_equal(np.concatenate(rows), MixtureSequences.open(mix).read(np.arange(84)))


def test_a_damaged_block_is_fetched_again(mix: str, store: Any, tmp_path: Path) -> None:
    rows = MixtureSequences.open(URL, cache=large(tmp_path)).read(POSITIONS)
    for path in (tmp_path / "cache").rglob("*.blocks/0"):
        path.write_bytes(path.read_bytes()[:-20])
    again = MixtureSequences.open(URL, cache=large(tmp_path))
    assert np.array_equal(again.read(POSITIONS), rows)
    assert reader(again).fetched == 4


def failing(monkeypatch: pytest.MonkeyPatch, times: int, error: Exception | None = None) -> None:
    """Let the store fail so many times, and not wait between attempts."""
    ranges, failed = storage.read_range, [0]

    def read_range(path: str, start: int, end: int) -> bytes:
        failed[0] += 1
        if failed[0] > times:
            return ranges(path, start, end)
        if error is None:
            return ranges(path, start, end)[:-1]
        with reading(path):
            raise error

    monkeypatch.setattr(storage, "read_range", read_range)
    monkeypatch.setattr(block_fetch, "PAUSES", (0.0, 0.0))


@pytest.mark.parametrize("error", [None, ConnectionResetError("the other side hung up")])
def test_a_read_that_fails_is_tried_again(
    error: Exception | None, mix: str, opened: MixtureSequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, 2, error)
    assert np.array_equal(opened.read(np.arange(8)), MixtureSequences.open(mix).read(np.arange(8)))


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ConnectionResetError("the other side hung up"), InputError, "hung up"),
        (None, IntegrityError, "the store gave"),
    ],
)
def test_a_read_that_always_fails_is_an_error_with_the_url(
    error: Exception | None,
    kind: type[Exception],
    words: str,
    opened: MixtureSequences,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, 10**6, error)
    with (
        Batches(opened, batch_sequences=8) as batches,
        pytest.raises(kind, match=words) as caught,
    ):
        next(batches)
    assert "memory:///build/mix/" in str(caught.value)
    assert caught.value.__notes__ == ["3 attempts were made in 0 s."]


def test_a_shard_that_has_gone_is_not_asked_for_twice(
    opened: MixtureSequences, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_fetch, "PAUSES", (1000.0,))
    store.rm("/build/mix/prose/part-0.bin")
    with pytest.raises(InputError, match=r"prose/part-0\.bin: there is no such file"):
        opened.read(POSITIONS)


def test_a_shard_that_is_missing_or_of_another_size_is_found_when_it_is_opened(
    store: Any, tmp_path: Path
) -> None:
    path = "memory:///build/mix/verse/part-1.bin"
    data = storage.read_bytes(path)
    storage.write_bytes(path, data + b"\0\0")
    with pytest.raises(IntegrityError, match=r"verse/part-1\.bin: the token shard is not the one"):
        MixtureSequences.open(URL, cache=large(tmp_path))
    storage.write_bytes(path, data)
    store.rm("/build/mix/verse/part-1.idx")
    with pytest.raises(InputError, match=r"verse/part-1\.idx: there is no such file"):
        MixtureSequences.open(URL, cache=large(tmp_path))


def read_for_a_second(sequences: MixtureSequences) -> None:
    end = time.monotonic() + 1
    while time.monotonic() < end:
        sequences.read(POSITIONS)


def test_a_shard_with_other_bytes_is_found_once_the_cache_holds_all_of_it(
    store: Any, tmp_path: Path
) -> None:
    path = "memory:///build/mix/verse/part-1.bin"
    data = bytearray(storage.read_bytes(path))
    data[100] ^= 1
    storage.write_bytes(path, bytes(data))
    settings = CacheConfig(folder=str(tmp_path / "cache"), bytes=100 << 20, block=256)
    sequences = MixtureSequences.open(URL, cache=settings)
    with pytest.raises(IntegrityError, match=r"verse/part-1\.bin.*not the one.*SHA-256"):
        read_for_a_second(sequences)
    with pytest.raises(IntegrityError, match="SHA-256"):  # nothing of it has stayed in the cache
        read_for_a_second(MixtureSequences.open(URL, cache=settings))


@pytest.mark.parametrize("damage", ["cut", "another shard's"])
def test_an_index_that_is_damaged_is_found_when_documents_are_asked_for(
    damage: str, store: Any, tmp_path: Path
) -> None:
    path = "memory:///build/mix/verse/part-1.idx"
    another = storage.read_bytes("memory:///build/mix/verse/held.idx")
    storage.write_bytes(path, storage.read_bytes(path)[:-8] if damage == "cut" else another)
    sequences = MixtureSequences.open(URL, cache=large(tmp_path))
    sequences.read(POSITIONS)
    with pytest.raises(
        IntegrityError, match=r"verse/part-1\.(idx|bin): the token shard is damaged"
    ):
        PackedSequences(sequences)


FORKED = """
import os, sys, numpy as np
from pathlib import Path
from corpus import storage
from corpus.trainer.config import CacheConfig
from corpus.trainer.sequences import MixtureSequences
for path in Path(sys.argv[1]).rglob("*"):
    if path.is_file():
        storage.write_bytes(f"memory:///mix/{path.relative_to(sys.argv[1])}", path.read_bytes())
cache = CacheConfig(folder=sys.argv[2], bytes=20 * 72, block=64)
sequences = MixtureSequences.open("memory:///mix/mixture.json", cache=cache)
sequences.read(np.arange(8))
assert sequences._remote.reader._pool is not None
sequences._remote.reader._lock.acquire()  # as a thread may, just now
sequences._remote.reader.cache._thread.acquire()
child = os.fork()
if not child:
    sys.stdout.buffer.write(sequences.read(np.arange(400)).tobytes())
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


def test_a_process_that_was_forked_reads_with_threads_of_its_own(mix: str, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", FORKED, str(Path(mix).parent), str(tmp_path / "cache")],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout
    assert np.array_equal(
        np.frombuffer(found, np.uint16), MixtureSequences.open(mix).read(POSITIONS).reshape(-1)
    )


def test_sequences_travel_to_another_process_without_their_blocks(opened: MixtureSequences) -> None:
    rows = opened.read(np.arange(8))
    sent = pickle.dumps(opened)
    assert len(sent) < 20_000
    assert np.array_equal(pickle.loads(sent).read(np.arange(8)), rows)


def test_names_with_dots_are_resolved_for_stores() -> None:
    assert storage.resolve("s3://b/build/mix-1", "../tok-2/a.bin") == "s3://b/build/tok-2/a.bin"
    assert storage.resolve("memory:///x/mix", "../a") == "memory:///x/a"
    assert storage.resolve("mix", "../a") == "mix/../a"


def test_a_model_is_trained_from_a_store_as_from_a_disk(
    mix: str, store: Any, tmp_path: Path
) -> None:
    summaries = []
    for name, path in (("local", mix), ("remote", URL)):
        recipe = config.TrainConfig.model_validate(
            {
                "mixture": path,
                "output": str(tmp_path / name),
                "seed": 1,
                "steps": 2,
                "batch_sequences": 4,
                "device": "cpu",
                "model": {"n_layer": 1, "n_head": 2, "d_model": 16, "context": 16},
                "optimizer": {"learning_rate": 0.01, "warmup_tokens": 1},
                "sample": {"tokens": 1},
                "cache": large(tmp_path).model_dump(),
            }
        )
        summaries.append(loop.train(recipe, report=lambda _: None))
    assert summaries[0].loss == summaries[1].loss
    assert summaries[0].validation == summaries[1].validation
    assert any((tmp_path / "cache").rglob("*.blocks/0"))


RANK = """
import sys, hashlib, numpy as np
from corpus.trainer.batches import Batches
from corpus.trainer.config import CacheConfig
from corpus.trainer.sequences import MixtureSequences
url, folder, rank, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sequences = MixtureSequences.open(url, cache=CacheConfig(folder=folder, bytes=limit, block=256))
with Batches(sequences, batch_sequences=8, rank=rank, world_size=2) as batches:
    for _ in range(30):
        sys.stdout.buffer.write(next(batches).tobytes())
        sys.stdout.flush()
"""


def test_two_ranks_share_a_cache_and_one_that_was_killed_does_no_harm(
    mix: str, tmp_path: Path
) -> None:
    limit = 20 * 264  # of some 16 KB
    expected = MixtureSequences.open(mix).read(np.arange(240)).reshape(30, 2, 4, 17)
    cache = tmp_path / "cache"
    with object_store() as variables, environment(variables):
        upload(Path(mix).parent, f"s3://{BUCKET}/build")

        def rank(number: int) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", RANK, f"s3://{BUCKET}/build/mixture.json", str(cache)]
            return subprocess.Popen(
                [*command, str(number), str(limit)], stdout=subprocess.PIPE, bufsize=0
            )

        killed = rank(0)
        assert killed.stdout is not None
        killed.stdout.read(100)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        ranks = [rank(number) for number in range(2)]
        found = [child.communicate(timeout=60)[0] for child in ranks]
    for number in range(2):
        assert np.array_equal(
            np.frombuffer(found[number], np.uint16), expected[:, number].reshape(-1)
        )
    kept = [path.stat().st_size for path in cache.rglob("*.blocks/*")]
    assert sum(kept) <= limit
    shutil.rmtree(cache)
