"""The published models, as the papers print them: sizes, parameters, batches, rates, operations.

Counted on the meta device: no memory is needed for 175 billion weights. A printed number has the
digits that it has: a count is compared in units of its last digit.
"""

from __future__ import annotations

import pytest
import torch

from corpus.trainer.flops import parameter_count
from corpus.trainer.model import GPT
from corpus.trainer.presets import PRESETS, Architecture

# GPT-2: the exact counts of the released models, whose sum the paper's table has wrong.
RELEASED = {
    "gpt2-small": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}
# GPT-2 table 2: layers, d_model; the heads are those of the released models.
GPT2_TABLE_2 = {
    "gpt2-small": (12, 768, 12),
    "gpt2-medium": (24, 1024, 16),
    "gpt2-large": (36, 1280, 20),
    "gpt2-xl": (48, 1600, 25),
}
# GPT-3 Table 2.1: layers, d_model, heads, width of a head, batch in tokens, learning rate. Printed
# otherwise: 24 heads for XL and a d_model of 5140 for 13B (tests below).
TABLE_21 = {
    "gpt3-small": (12, 768, 12, 64, 0.5e6, 6.0e-4),
    "gpt3-medium": (24, 1024, 16, 64, 0.5e6, 3.0e-4),
    "gpt3-large": (24, 1536, 16, 96, 0.5e6, 2.5e-4),
    "gpt3-xl": (24, 2048, 16, 128, 1e6, 2.0e-4),
    "gpt3-2.7b": (32, 2560, 32, 80, 1e6, 1.6e-4),
    "gpt3-6.7b": (32, 4096, 32, 128, 2e6, 1.2e-4),
    "gpt3-13b": (40, 5120, 40, 128, 2e6, 1.0e-4),
    "gpt3-175b": (96, 12288, 96, 128, 3.2e6, 0.6e-4),
}
# GPT-3 Table D.1: millions of parameters and the unit of their last digit, operations in training.
TABLE_D1 = {
    "gpt3-small": (125, 1, 2.25e20),
    "gpt3-medium": (356, 1, 6.41e20),
    "gpt3-large": (760, 1, 1.37e21),
    "gpt3-xl": (1_320, 10, 2.38e21),
    "gpt3-2.7b": (2_650, 10, 4.77e21),
    "gpt3-6.7b": (6_660, 10, 1.20e22),
    "gpt3-13b": (12_850, 10, 2.31e22),
    "gpt3-175b": (174_600, 100, 3.14e23),
}
TRAINED_ON = 300 * 10**9  # tokens, every size: Table D.1


def parameters(shape: Architecture) -> int:
    with torch.device("meta"):
        return GPT(shape, dropout=0.0).parameter_count()


def digits(value: float) -> float:
    """Round to the three digits that Table D.1 prints."""
    return float(f"{value:.2e}")


def test_gpt1_has_the_shape_batch_and_rate_of_section_41() -> None:
    """12 layers, 768 wide, 12 heads; 64 sequences of 512 tokens; "max learning rate of 2.5e-4"."""
    preset = PRESETS["gpt1"]
    shape = preset.architecture

    assert (shape.n_layer, shape.d_model, shape.n_head, shape.context) == (12, 768, 12, 512)
    assert shape.post_norm
    assert (preset.batch_tokens, preset.learning_rate) == (64 * 512, 2.5e-4)
    # The released model: 40,478 tokens, 512 positions, 12 blocks, and nothing behind the last one.
    assert parameters(shape) == 116_534_784


@pytest.mark.parametrize(("preset", "count"), RELEASED.items())
def test_gpt2_sizes_have_the_parameters_of_the_released_models(preset: str, count: int) -> None:
    assert parameters(PRESETS[preset].architecture) == count


@pytest.mark.parametrize(("preset", "row"), GPT2_TABLE_2.items())
def test_gpt2_sizes_have_the_rows_of_table_2(preset: str, row: tuple[int, int, int]) -> None:
    found = PRESETS[preset]
    shape = found.architecture

    assert (shape.n_layer, shape.d_model, shape.n_head) == row
    assert (shape.context, shape.vocabulary_size, shape.post_norm) == (1024, 50_257, False)
    assert (found.batch_tokens, found.learning_rate) == (512 * 1024, None)


@pytest.mark.parametrize(("preset", "row"), TABLE_21.items())
def test_gpt3_sizes_have_the_rows_of_table_21(
    preset: str, row: tuple[int, int, int, int, float, float]
) -> None:
    *sizes, batch, rate = row
    found = PRESETS[preset]
    shape = found.architecture

    assert [shape.n_layer, shape.d_model, shape.n_head, shape.d_head] == sizes
    assert (shape.context, shape.vocabulary_size, shape.window) == (2048, 50_257, None)
    assert found.learning_rate == rate
    assert found.batch_tokens == pytest.approx(batch, rel=0.05)
    # As many processes as that can share it: 1,562 sequences, 3.2M tokens, would suit hardly any.
    assert found.batch_tokens % (256 * shape.context) == 0


@pytest.mark.parametrize(("preset", "row"), TABLE_D1.items())
def test_gpt3_sizes_have_the_parameters_and_operations_of_table_d1(
    preset: str, row: tuple[int, int, float]
) -> None:
    """The table multiplies the count as it prints it; ours is up to 0.4 % away (XL).

    It counts all parameters, positions too, and leaves attention out, "as it typically uses less
    than 10% of the total compute".
    """
    millions, unit, operations = row
    shape = PRESETS[preset].architecture
    count = parameters(shape)

    assert round(count / 1e6 / unit) * unit == millions
    assert digits(6 * millions * 1e6 * TRAINED_ON) == operations
    assert parameter_count(shape) == count
    assert 6.0 * count * TRAINED_ON == pytest.approx(operations, rel=0.005)


def test_24_heads_of_128_would_not_be_the_xl_of_table_d1() -> None:
    """Table 2.1 prints them. Attention is then 3072 wide, and the count 1,517M and not 1,320M."""
    shape = PRESETS["gpt3-xl"].architecture
    wider = 4 * shape.d_model * (24 * 128 - shape.d_model) + 3 * (24 * 128 - shape.d_model)

    assert round((parameters(shape) + shape.n_layer * wider) / 1e6) == 1_517


def test_a_width_of_5140_would_not_be_the_13b_of_table_d1() -> None:
    """Table 2.1 prints it. 40 heads of 128 are 5120, with which attention would be that wide."""
    wide = Architecture(40, 20, 5140, 2048, 50_257)  # 20 heads divide it; the count is the same
    narrower = 4 * 5140 * 20 + 3 * 20

    assert round((parameters(wide) - 40 * narrower) / 1e6) == 12_936
    assert round(parameters(wide) / 1e6) == 12_953


def test_every_head_divides_its_model() -> None:
    for name, preset in PRESETS.items():
        shape = preset.architecture
        assert shape.d_head * shape.n_head == shape.d_model, name


def test_a_band_changes_what_is_computed_and_not_the_parameters() -> None:
    for name in TABLE_21:
        shape = PRESETS[name].architecture
        banded = Architecture(
            shape.n_layer, shape.n_head, shape.d_model, shape.context, 50_257, window=128
        )
        assert parameters(banded) == parameters(shape)
        assert [banded.window_of(n) for n in range(shape.n_layer)].count(128) == shape.n_layer // 2
