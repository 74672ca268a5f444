"""The published sizes, counted on the meta device: no memory is needed for 175 billion weights."""

from __future__ import annotations

import pytest
import torch

from corpus.trainer.model import GPT
from corpus.trainer.presets import PRESETS

# GPT-2: the exact counts of the released models; GPT-3: the millions of Table D.1.
RELEASED = {
    "gpt2-small": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}
TABLE_D1 = {  # millions, and the unit of the last digit that the table prints
    "gpt3-small": (125, 1),
    "gpt3-medium": (356, 1),
    "gpt3-large": (760, 1),
    "gpt3-xl": (1_320, 10),
    "gpt3-2.7b": (2_650, 10),
    "gpt3-6.7b": (6_660, 10),
    "gpt3-13b": (12_850, 10),
    "gpt3-175b": (174_600, 100),
}
# GPT-3 Table 2.1: batch in tokens, learning rate, width of a head.
TABLE_21 = {
    "gpt3-small": (0.5e6, 6.0e-4, 64),
    "gpt3-medium": (0.5e6, 3.0e-4, 64),
    "gpt3-large": (0.5e6, 2.5e-4, 96),
    "gpt3-xl": (1e6, 2.0e-4, 128),
    "gpt3-2.7b": (1e6, 1.6e-4, 80),
    "gpt3-6.7b": (2e6, 1.2e-4, 128),
    "gpt3-13b": (2e6, 1.0e-4, 128),
    "gpt3-175b": (3.2e6, 0.6e-4, 128),
}


def parameters(preset: str) -> int:
    with torch.device("meta"):
        return GPT(PRESETS[preset].architecture, dropout=0.0).parameter_count()


@pytest.mark.parametrize(("preset", "count"), RELEASED.items())
def test_gpt2_sizes_have_the_parameters_of_the_released_models(preset: str, count: int) -> None:
    assert parameters(preset) == count


@pytest.mark.parametrize(("preset", "printed"), TABLE_D1.items())
def test_gpt3_sizes_have_the_parameters_of_table_d1(preset: str, printed: tuple[int, int]) -> None:
    millions, unit = printed

    assert round(parameters(preset) / 1e6 / unit) * unit == millions


@pytest.mark.parametrize(("preset", "row"), TABLE_21.items())
def test_gpt3_sizes_have_the_rows_of_table_21(preset: str, row: tuple[float, float, int]) -> None:
    batch, rate, d_head = row
    found = PRESETS[preset]

    assert found.learning_rate == rate
    assert found.batch_tokens == pytest.approx(batch, rel=0.05)
    assert found.batch_tokens % found.architecture.context == 0
    assert found.architecture.d_head == d_head


def test_every_head_divides_its_model() -> None:
    for name, preset in PRESETS.items():
        shape = preset.architecture
        assert shape.d_head * shape.n_head == shape.d_model, name
