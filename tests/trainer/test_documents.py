"""Where documents begin and end in a batch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpus.trainer.documents import (
    cumulative_lengths,
    document_numbers,
    document_positions,
    trained_targets,
)

END = 9
ROWS = np.array([[1, 2, END, 3, END, END], [4, END, 5, 6, 7, 8]], dtype=np.uint16)


def test_documents_of_two_rows() -> None:
    assert document_numbers(ROWS, END).tolist() == [[0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 1]]
    assert document_positions(ROWS, END).tolist() == [[0, 1, 2, 0, 1, 0], [0, 1, 0, 1, 2, 3]]
    bounds, longest = cumulative_lengths(ROWS, END)
    assert bounds.tolist() == [0, 3, 5, 6, 8, 12]
    assert bounds.dtype == np.int32
    assert longest == 4
    assert trained_targets(ROWS, END).tolist() == [
        [True, True, False, True, False, False],
        [True, False, True, True, True, True],
    ]


@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 2**32))
def test_forms_agree_with_each_other(rows: int, length: int, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(6, END + 1, (rows, length))
    numbers, positions = document_numbers(ids, END), document_positions(ids, END)
    bounds, longest = cumulative_lengths(ids, END)
    begins = np.flatnonzero(positions == 0)
    assert bounds.tolist() == [*begins.tolist(), ids.size]
    assert longest == positions.max() + 1
    for row in range(rows):
        runs = np.split(numbers[row], np.flatnonzero(positions[row] == 0)[1:])
        assert [set(run.tolist()) for run in runs] == [{n} for n in range(len(runs))]


def test_the_loader_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import corpus.trainer.batches, corpus.trainer.documents, corpus.trainer.packing\n"
        "import corpus.trainer.sequences\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
