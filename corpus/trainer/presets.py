"""Published sizes by name: GPT-1 section 4.1, GPT-2 section 2.3, GPT-3 Table 2.1.

In goes a name out of a recipe, out comes the shape of the decoder with the published batch size
and learning rate. There is no torch here, so that a recipe can be checked without it.

Three things that the papers print are not taken over as printed:

- GPT-2's table counts 117M, 345M, 762M and 1542M parameters. The released models have 124M, 355M,
  774M and 1558M: the shapes are right, the sums in the paper are not.
- GPT-3 XL is printed with 24 heads of 128, which is 3072 and not d_model = 2048. With 24 heads of
  128 it would have 1,517M parameters; Table D.1 says 1,320M, which 16 heads of 128 give.
- GPT-3 13B is printed with d_model = 5140, which 40 heads of 128 do not give either. 40 x 128 is
  5120, and with it the model has the 12,850M parameters of Table D.1.

One thing is not published at all: how wide the bands are in GPT-3's "alternating dense and locally
banded sparse attention patterns". So the presets are dense, and a band is asked for by its width
(`Architecture.window`). What is known: OpenAI's card of gpt-oss says that it follows GPT-3, "where
the bandwidth is 128 tokens", and GPT-Neo, the first open reproduction, took 256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# The released vocabulary: 40,000 merges (GPT-1 section 4.1), and its characters with and without
# the end of a word. GPT-1 was fine-tuned with three tokens more, which are not part of the model.
GPT1_VOCABULARY = 40_478
GPT2_VOCABULARY = 50_257  # GPT-2 section 2.2: 256 bytes, 50,000 merges, the end-of-text token


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of one decoder.

    Attributes:
        n_layer: Number of blocks.
        n_head: Attention heads a block; divides `d_model`.
        d_model: Width of the residual stream; the feed-forward layer is 4 times as wide (GPT-3
            Table 2.1: d_ff = 4 d_model).
        context: Longest sequence in tokens; the number of learned positions.
        vocabulary_size: Number of tokens, end-of-text included.
        post_norm: Layer normalization behind each addition to the stream, and none after the last
            block (GPT-1); False: before each sub-block, and one after the last block (GPT-2).
        window: Tokens that one sees in a banded layer, itself included; layers 0, 2, ... are dense
            and layers 1, 3, ... banded (GPT-3 section 2.1: "alternating dense and locally banded
            sparse"). None: all layers are dense.
    """

    n_layer: int
    n_head: int
    d_model: int
    context: int
    vocabulary_size: int
    post_norm: bool = False
    window: int | None = None

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_head

    def window_of(self, layer: int) -> int | None:
        """Return the tokens that one sees in a layer, counted from 0; None: all before it."""
        return self.window if layer % 2 else None


@dataclass(frozen=True, slots=True)
class Preset:
    """One published model.

    Attributes:
        architecture: Its shape.
        batch_tokens: Tokens an optimizer step.
        learning_rate: Highest learning rate, or None where the paper does not publish it.
    """

    architecture: Architecture
    batch_tokens: int
    learning_rate: float | None


# Batches of 64 sequences of 512 tokens, "max learning rate of 2.5e-4" (GPT-1 section 4.1).
_GPT1 = Preset(
    Architecture(12, 12, 768, 512, GPT1_VOCABULARY, post_norm=True),
    batch_tokens=64 * 512,
    learning_rate=2.5e-4,
)


def _gpt2(n_layer: int, n_head: int, d_model: int) -> Preset:
    # Batches of 512 sequences of 1024 tokens (GPT-2 section 2.3). "The learning rate of each model
    # was manually tuned" and is not published.
    shape = Architecture(n_layer, n_head, d_model, 1024, GPT2_VOCABULARY)
    return Preset(shape, batch_tokens=512 * 1024, learning_rate=None)


def _gpt3(
    n_layer: int, n_head: int, d_model: int, batch_sequences: int, learning_rate: float
) -> Preset:
    shape = Architecture(n_layer, n_head, d_model, 2048, GPT2_VOCABULARY)
    return Preset(shape, batch_tokens=batch_sequences * 2048, learning_rate=learning_rate)


# Table 2.1 prints batches of 0.5M, 1M, 2M and 3.2M tokens. The first three are read as powers of
# two, like the 32k (2^15) tokens that the ramp starts from. 3.2M is no whole number of sequences,
# and the 1,562 below it hardly any number of processes can share: it is 1,536 = 3 * 2^9, as in
# Megatron-LM's recipe of this model.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "gpt1": _GPT1,
        "gpt2-small": _gpt2(12, 12, 768),
        "gpt2-medium": _gpt2(24, 16, 1024),
        "gpt2-large": _gpt2(36, 20, 1280),
        "gpt2-xl": _gpt2(48, 25, 1600),
        "gpt3-small": _gpt3(12, 12, 768, 256, 6.0e-4),
        "gpt3-medium": _gpt3(24, 16, 1024, 256, 3.0e-4),
        "gpt3-large": _gpt3(24, 16, 1536, 256, 2.5e-4),
        "gpt3-xl": _gpt3(24, 16, 2048, 512, 2.0e-4),  # printed: 24 heads
        "gpt3-2.7b": _gpt3(32, 32, 2560, 512, 1.6e-4),
        "gpt3-6.7b": _gpt3(32, 32, 4096, 1024, 1.2e-4),
        "gpt3-13b": _gpt3(40, 40, 5120, 1024, 1.0e-4),  # printed: d_model 5140
        "gpt3-175b": _gpt3(96, 96, 12288, 1536, 0.6e-4),
    }
)
