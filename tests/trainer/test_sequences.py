"""The sequences of a mix: the tokens that the mixture names, out of the shards that it names."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from corpus.errors import InputError, IntegrityError
from corpus.mix.mixture import Mixture
from corpus.trainer import sequences
from corpus.trainer.batches import Batches
from corpus.trainer.sequences import MixtureSequences


def stream(mix: str, source: str, parts: list[str]) -> list[int]:
    """Read a source's shards by hand: raw uint16, one after the other."""
    folder = Path(mix).parent / source
    raw = b"".join((folder / f"{part}.bin").read_bytes() for part in parts)
    return np.frombuffer(raw, dtype="<u2").tolist()


def test_a_sequence_is_the_window_that_the_mixture_names(mix: str) -> None:
    data = MixtureSequences.open(mix)
    order = Mixture.from_json(json.loads(Path(mix).read_text()), where=mix)
    positions = np.array([0, 1, 2, 3, 57, 200, 5])

    rows = data.read(positions)

    sources, _, windows = order.locate(positions)
    assert rows.dtype == np.uint16
    assert set(sources.tolist()) == {0, 1}
    for row, source, window in zip(rows, sources.tolist(), windows.tolist(), strict=True):
        tokens = stream(mix, data.sources[source], ["part-0", "part-1"])
        assert row.tolist() == tokens[window * 16 : window * 16 + 17]


def test_every_rank_of_a_real_mix_gets_its_share_of_the_same_batches(mix: str) -> None:
    data = MixtureSequences.open(mix)
    with Batches(data, batch_sequences=8) as one:
        whole = [next(one) for _ in range(4)]
    for world_size in (2, 4):
        shares = []
        for rank in range(world_size):
            with Batches(data, batch_sequences=8, rank=rank, world_size=world_size) as batches:
                shares.append([next(batches) for _ in range(4)])
        for number, batch in enumerate(whole):
            together = np.concatenate([share[number] for share in shares])
            assert np.array_equal(batch, together)


def test_held_out_sequences_are_the_first_ones_in_order_and_no_more_than_there_are(
    mix: str,
) -> None:
    data = MixtureSequences.open(mix)
    tokens = stream(mix, "verse", ["held"])
    there = (len(tokens) - 1) // 16

    rows = data.held_out("verse", 3)

    assert rows.tolist() == [tokens[w * 16 : w * 16 + 17] for w in range(3)]
    assert there > 3
    assert len(data.held_out("verse", 10_000)) == there


def test_the_tokenizer_of_the_shards_is_found_and_another_one_refused(mix: str) -> None:
    data = MixtureSequences.open(mix)
    assert data.tokenizer().decode(data.read(np.array([0]))[0]).isprintable()

    vocabulary = Path(mix).parent / "bytes.tiktoken"
    lines = vocabulary.read_bytes().splitlines(keepends=True)
    swapped = [lines[0].split()[0] + b" 1\n", lines[1].split()[0] + b" 0\n", *lines[2:]]
    vocabulary.write_bytes(b"".join(swapped))
    with pytest.raises(InputError, match="not the one that the shards were written with"):
        data.tokenizer()


def test_a_shard_that_was_replaced_is_refused(mix: str) -> None:
    folder = Path(mix).parent
    for suffix in ("bin", "idx"):
        data = (folder / f"verse/held.{suffix}").read_bytes()
        (folder / f"prose/part-1.{suffix}").write_bytes(data)

    with pytest.raises(IntegrityError, match=r"prose/part-1.*not the one"):
        MixtureSequences.open(mix)


def test_a_missing_shard_is_named(mix: str) -> None:
    (Path(mix).parent / "verse/part-0.bin").unlink()

    with pytest.raises(InputError, match=r"verse/part-0\.bin"):
        MixtureSequences.open(mix)


def test_a_token_outside_the_vocabulary_is_refused_where_it_is_read(mix: str) -> None:
    for part in ("part-0", "part-1"):
        path = Path(mix).parent / f"prose/{part}.bin"
        path.write_bytes(b"\x01\x01" * (path.stat().st_size // 2))  # 257 of 257 ids

    with pytest.raises(IntegrityError, match="not in the vocabulary of 257"):
        MixtureSequences.open(mix).read(np.arange(8))


def test_positions_that_are_looked_up_in_groups_are_those_of_the_order(
    mix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "_GROUP", 16)
    data = MixtureSequences.open(mix)
    for positions in (np.arange(5), np.arange(13, 20), np.array([31, 16, 0]), np.array([3, 400])):
        found = data.locate(positions)
        expected, _, windows = data.mixture.locate(positions)
        assert found[0].tolist() == expected.tolist()
        assert found[1].tolist() == (windows * 16).tolist()
    assert data.read(np.array([], dtype=np.int64)).shape == (0, 17)
    with pytest.raises(ValueError, match="is before the first"):
        data.locate(np.array([-1]))


def test_sequences_across_two_shards_are_read_with_those_inside_of_one(mix: str) -> None:
    data = MixtureSequences.open(mix)
    source = data.stream(0)
    starts = np.arange(len(source) - 17)
    tokens = source.read(0, len(source)).tolist()
    rows = source.gather(starts, 17)
    assert rows.tolist() == [tokens[start : start + 17] for start in starts.tolist()]
    for start in (-1, len(source) - 16):
        with pytest.raises(IndexError):
            source.gather(np.array([0, start]), 17)


def test_sequences_travel_to_another_process_without_their_tokens(mix: str) -> None:
    data = MixtureSequences.open(mix)
    rows = data.read(np.arange(8))
    sent = pickle.dumps(data)
    assert len(sent) < 20_000
    assert np.array_equal(pickle.loads(sent).read(np.arange(8)), rows)
