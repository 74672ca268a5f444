"""The model of a training recipe: a published size by its name, or sizes of one's own."""

from __future__ import annotations

from dataclasses import replace

from pydantic import PositiveInt, model_validator

from corpus.settings import Settings
from corpus.trainer.presets import PRESETS, Architecture


class ModelConfig(Settings):
    """A preset by name, or four sizes."""

    preset: str | None = None
    """A published size: `gpt1`, `gpt2-small`, ..., `gpt3-175b`."""
    n_layer: PositiveInt | None = None
    """Number of blocks."""
    n_head: PositiveInt | None = None
    """Attention heads a block; divides `d_model`."""
    d_model: PositiveInt | None = None
    """Width of the residual stream."""
    context: PositiveInt | None = None
    """Longest sequence in tokens; at least the mixture's sequence length."""
    vocabulary_size: PositiveInt | None = None
    """Number of tokens. Left out, it is the preset's (50,257; GPT-1 40,478), or the mixture's."""
    post_norm: bool | None = None
    """Normalize behind each sub-block as GPT-1, and not before it. Left out, it is the preset's, or
    false."""
    window: PositiveInt | None = None
    """Tokens that one sees in every second layer, itself included: "alternating dense and locally
    banded sparse attention" (GPT-3, section 2.1). For the `gpt3-` presets and sizes of one's own.
    Left out, all layers are dense: the paper does not say how wide its bands are. 128 is what
    gpt-oss has "following GPT-3", 256 is GPT-Neo's."""

    def _sizes(self) -> dict[str, int]:
        given = {name: getattr(self, name) for name in ("n_layer", "n_head", "d_model", "context")}
        return {name: size for name, size in given.items() if size is not None}

    @model_validator(mode="after")
    def _one_way(self) -> ModelConfig:
        sizes = self._sizes()
        if self.preset is not None:
            if self.preset not in PRESETS:
                raise ValueError(f"no preset is named {self.preset}; known: {', '.join(PRESETS)}")
            if sizes:
                raise ValueError(f"a preset has its own sizes: leave out {', '.join(sizes)}")
            if self.post_norm is not None:
                raise ValueError("a preset has its own normalization: leave out post_norm")
            if self.window is not None and not self.preset.startswith("gpt3-"):
                raise ValueError(f"{self.preset} has no banded layers: leave out window")
        elif len(sizes) < 4:
            raise ValueError("give a preset, or all of n_layer, n_head, d_model and context")
        elif sizes["d_model"] % sizes["n_head"]:
            raise ValueError(
                f"d_model {sizes['d_model']} is not a multiple of n_head {sizes['n_head']}"
            )
        context = PRESETS[self.preset].architecture.context if self.preset else sizes["context"]
        if self.window is not None and self.window >= context:
            raise ValueError(
                f"a window of {self.window} tokens is no narrower than the context of {context}: "
                "leave it out for dense layers"
            )
        return self

    def architecture(self, mixture_vocabulary: int) -> Architecture:
        """Return the shape; a vocabulary that is given nowhere is the mixture's."""
        if self.preset is None:
            sizes = self._sizes()
            return Architecture(
                n_layer=sizes["n_layer"],
                n_head=sizes["n_head"],
                d_model=sizes["d_model"],
                context=sizes["context"],
                vocabulary_size=self.vocabulary_size or mixture_vocabulary,
                post_norm=bool(self.post_norm),
                window=self.window,
            )
        shape = PRESETS[self.preset].architecture
        vocabulary = self.vocabulary_size or shape.vocabulary_size
        return replace(shape, vocabulary_size=vocabulary, window=self.window)
