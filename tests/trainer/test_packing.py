"""Best-fit packing: every prediction once an epoch, documents whole where they fit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import InputError
from corpus.trainer.batches import Batches
from corpus.trainer.documents import trained_targets
from corpus.trainer.packing import PackedSequences, document_offsets, pack
from corpus.trainer.sequences import MixtureSequences


def plain_best_fit(sizes: list[int], width: int) -> list[int]:
    """Look at every row for each piece, longest first; of equal rooms the last that came to it."""
    rooms: dict[int, list[int]] = {}
    found, rows = [], 0
    for size in sizes:
        fitting = [room for room in rooms if room >= size and rooms[room]]
        if fitting:
            room = min(fitting)
            row = rooms[room].pop()
        else:
            room, row = width, rows
            rows += 1
        found.append(row)
        rooms.setdefault(room - size, []).append(row)
    return found


@settings(deadline=None)  # the first one compiles
@given(st.lists(st.integers(0, 45), max_size=60), st.integers(1, 16))
def test_rows_hold_every_prediction_once_and_are_those_of_best_fit(
    sizes: list[int], length: int
) -> None:
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = pack(offsets, length)
    predicted: Counter[int] = Counter()
    packed: dict[int, int] = {}
    for row in range(len(rows)):
        first, last = int(rows.firsts[row]), int(rows.firsts[row + 1])
        assert first < last
        assert int(rows.lengths[first:last].sum()) <= length + 1
        for piece in range(first, last):
            start, count = int(rows.starts[piece]), int(rows.lengths[piece])
            assert count >= 2
            predicted.update(range(start + 1, start + count))
            packed[start] = row
    firsts = set(offsets[:-1].tolist())
    assert predicted == Counter(t for t in range(int(offsets[-1])) if t not in firsts)
    rest = [(d - (d - 1) // length * length, n) for n, d in enumerate(sizes) if d]
    rest = sorted(((r, n) for r, n in rest if r > 1), key=lambda piece: -piece[0])
    whole = sum((d - 1) // length for d in sizes if d)
    expected = plain_best_fit([size for size, _ in rest], length + 1)
    starts = [int(offsets[n + 1]) - size for size, n in rest]
    assert [packed[start] - whole for start in starts] == expected


def test_an_epoch_has_every_prediction_of_a_source_once(mix: str) -> None:
    data = MixtureSequences.open(mix)
    packed = PackedSequences(data)
    end = data.mixture.vocabulary.end_of_text
    rows = len(packed._rows[0])
    located = packed._order.locate(np.arange(40 * rows))
    mine = np.flatnonzero((located[0] == 0) & (located[1] == 0))
    assert len(mine) == rows
    read = packed.read(mine)
    trained = trained_targets(read[:, :-1], end)
    stream = data.stream(0)
    tokens = stream.read(0, len(stream))
    after_end = np.concatenate([[end], tokens[:-1]]) == end
    assert Counter(read[:, 1:][trained].tolist()) == Counter(tokens[~after_end].tolist())
    assert 0 <= packed.padding[data.sources[0]] < 0.5
    assert len(document_offsets(stream)) == int((tokens == end).sum()) + 1


def test_rows_are_a_function_of_the_position_and_ranks_share_them(mix: str) -> None:
    packed = PackedSequences(MixtureSequences.open(mix))
    rows = packed.read(np.arange(64))
    assert np.array_equal(packed.read(np.array([40, 3, 17])), rows[[40, 3, 17]])
    for rank in range(2):
        with Batches(packed, batch_sequences=8, position=16, rank=rank, world_size=2) as batches:
            assert np.array_equal(next(batches), rows[16 + 4 * rank : 20 + 4 * rank])


def test_a_state_of_unpacked_sequences_is_refused(mix: str) -> None:
    data = MixtureSequences.open(mix)
    with Batches(data, batch_sequences=4) as plain:
        state = plain.state_dict()
    with (
        Batches(PackedSequences(data), batch_sequences=4) as packed,
        pytest.raises(InputError, match="another mixture"),
    ):
        packed.load_state_dict(state)
