"""The held-out loss: shared by any number of processes, and in bits a byte."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from corpus.text.tokenizer import Tokenizer
from corpus.text.vocabulary import Vocabulary
from corpus.trainer.model import GPT
from corpus.trainer.validation import Validation, text_bytes, validation_loss
from corpus.trainer.world import World

RANKS = {bytes([byte]): byte for byte in range(256)} | {b"th": 256, b"the": 257}
TOKENIZER = Tokenizer(Vocabulary("bytes", RANKS, end_of_text=258, size=259))
ROWS = np.random.default_rng(2).integers(0, 61, (7, 17)).astype(np.uint16)


class Alone(World):
    """One of several processes, of which the others never answer."""

    __slots__ = ()

    def total(self, values: Tensor) -> Tensor:
        return values


@pytest.mark.parametrize(("size", "micro_batch"), [(2, 2), (3, 2), (4, 2), (4, 4), (9, 1)])
def test_the_shares_of_all_processes_add_up_to_the_whole(
    model: GPT, size: int, micro_batch: int
) -> None:
    """Every process calls the model equally often, or a sharded one would wait for ever."""
    calls, loss = [], model.loss

    def counted(tokens: Tensor, targets: Tensor) -> Tensor:
        assert len(tokens)
        calls[-1] += 1
        return loss(tokens, targets)

    alone = validation_loss(model, ROWS, micro_batch=8)
    model.loss = counted  # type: ignore[method-assign]
    shares = []
    for rank in range(size):
        calls.append(0)
        world = Alone(rank, size, torch.device("cpu"))
        shares.append(validation_loss(model, ROWS, micro_batch=micro_batch, world=world))

    assert sum(shares) == pytest.approx(alone, rel=1e-6)
    assert len(set(calls)) == 1


def test_bytes_are_those_of_the_text_and_end_of_text_has_none() -> None:
    tokens = np.array([257, 32, 104, 258, 256], dtype=np.uint16)  # "the", " ", "h", end, "th"

    assert text_bytes(tokens, TOKENIZER) == 7
    assert text_bytes(np.array([258], dtype=np.uint16), TOKENIZER) == 1


def test_bits_per_byte_are_the_loss_over_the_bytes_of_the_predicted_tokens() -> None:
    """Of four predicted tokens of 3, 1, 0 and 2 bytes; the first token is not predicted."""
    rows = np.array([[104, 257, 32, 258, 256]], dtype=np.uint16)
    empty = np.empty((0, 5), dtype=np.uint16)
    validation = Validation({"prose": rows, "none": empty}, TOKENIZER, micro_batch=4)

    bits = validation.bits_per_byte({"prose": 2.0})

    assert bits == {"prose": pytest.approx(2.0 * 4 / math.log(2) / 6)}


def test_a_source_of_which_nothing_is_held_out_is_named(caplog: pytest.LogCaptureFixture) -> None:
    rows = {"prose": ROWS, "verse": ROWS[:0]}

    validation = Validation(rows, TOKENIZER, micro_batch=2)

    assert validation.bits_per_byte({"prose": 1.0}).keys() == {"prose"}
    assert "of verse no sequence is held out" in caplog.text
