"""How fast the loader is, and whether its own measure tells when it is too slow.

`python benchmarks/loader.py` writes shards of random ids and a mixture to a temporary folder, and
reads them warm: sequences one by one, batches through the thread, packed rows. Tokens are counted a
second of processor time. The same mixture is read from a store (fsspec's in memory) through caches
that hold all of it and half of it. Then a consumer that takes 20 ms a batch is fed twice: by the
loader, which must not be waited for, and by one that sleeps 50 ms a batch, where `data_wait` has to
show it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from corpus import storage
from corpus.mix.mixture import ShardEntry, Vocabulary
from corpus.mix.plan import Ingredient, compose
from corpus.tokenize.shards import ShardWriter
from corpus.trainer.batches import Batches
from corpus.trainer.config import CacheConfig
from corpus.trainer.packing import PackedSequences
from corpus.trainer.sequences import MixtureSequences

TOKENS = 100_000_000
LENGTH = 1024
BATCH = 32
BATCHES = 400


def made(folder: Path) -> MixtureSequences:
    """Write two sources of documents of about 700 tokens, and return their sequences."""
    random = np.random.default_rng(1)
    (folder / "mix").mkdir()
    parts = []
    for name, share in (("web", 0.8), ("books", 0.2)):
        with ShardWriter(folder / name, vocabulary_size=50_257) as writer:
            while writer.tokens_total < TOKENS * share:
                document = random.integers(0, 50_256, random.geometric(1 / 700), dtype=np.uint16)
                writer.write_document(np.append(document, np.uint16(50_256)))
        _, digest = storage.digest(str(folder / f"{name}.bin"))
        entry = ShardEntry(f"../{name}.bin", writer.tokens_total, digest)
        parts.append(Ingredient(name, share, [entry], []))
    mixture = compose(
        parts,
        seed=1,
        tokens=10 * TOKENS,
        sequence_length=LENGTH,
        block=8192,
        max_epochs=100,
        vocabulary=Vocabulary("gpt2", 50_257, "0", 50_256),
        dtype="uint16",
    )
    return MixtureSequences(mixture, path=str(folder / "mix" / "mixture.json"))


def speed(sequences: Any) -> float:
    """Return million tokens a second of CPU time, warm; the time of threads that fetch counts."""
    for _ in range(2):
        start = time.process_time()
        for number in range(BATCHES):
            sequences.read(np.arange(number * BATCH, (number + 1) * BATCH))
        taken = time.process_time() - start
    return BATCHES * BATCH * LENGTH / taken / 1e6


def from_store(folder: Path, local: MixtureSequences) -> None:
    """Print the same for a copy in a store, fetched on the way where it is not in the cache."""
    path = "memory:///copy/mix/mixture.json"
    storage.write_json(path, local.mixture.to_json())
    for name in ("web", "books"):
        for suffix in ("bin", "idx"):
            storage.link(f"{folder}/{name}.{suffix}", f"memory:///copy/{name}.{suffix}")
    size = 2 * TOKENS
    for number, (name, settings) in enumerate(
        (
            ("cache, all", {"bytes": 2 * size}),
            ("cache, 64 KiB", {"bytes": 2 * size, "block": 1 << 16}),
            ("cache, half", {"bytes": size // 2}),
        )
    ):
        cache = CacheConfig(folder=f"{folder}/cache-{number}", **settings)
        print(f"{name:<13} {speed(MixtureSequences.open(path, cache=cache)):7.1f} Mtok/s of CPU")


class Slow:
    """Sequences that come 50 ms late."""

    def __init__(self, sequences: MixtureSequences) -> None:
        self.digest = sequences.digest
        self._sequences = sequences

    def read(self, positions: Any) -> Any:
        time.sleep(0.05)
        return self._sequences.read(positions)


def waits(sequences: Any) -> tuple[float, float]:
    """Return median and longest wait, in ms, of a consumer that takes 20 ms a batch."""
    found = []
    with Batches(sequences, batch_sequences=BATCH) as batches:
        for _ in range(60):
            next(batches)
            found.append(batches.data_wait * 1000)
            time.sleep(0.02)
    return float(np.median(found[5:])), max(found[5:])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sequences = made(Path(folder))
        print(f"sequences {speed(sequences):7.1f} Mtok/s of CPU")
        start = time.process_time()
        packed = PackedSequences(sequences)
        print(f"packing   {time.process_time() - start:7.1f} s, padding {packed.padding}")
        print(f"packed    {speed(packed):7.1f} Mtok/s of CPU")
        from_store(Path(folder), sequences)
        for name, given in (("loader", sequences), ("50 ms late", Slow(sequences))):
            middle, longest = waits(given)
            print(f"{name:<10} waited {middle:.2f} ms a batch, at most {longest:.2f}")


if __name__ == "__main__":
    main()
