"""The trainer's recipe: `train.yaml` to frozen models. Every default of the trainer stands here.

A default that is a number of the papers says where it is printed (GPT-3 Appendix B unless another
place is named). There is no default for what no paper publishes and a result depends on: the
seed, the length of the run, and the size, batch and learning rate of a model that is no preset.

Paths (`mixture`, `output`, `cache.folder`) are relative to the working directory, as the output
folder of a build is, and not to the recipe: they name what was built here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from corpus import storage
from corpus.errors import InputError
from corpus.settings import Settings, load_settings
from corpus.trainer.model_config import ModelConfig
from corpus.trainer.presets import PRESETS

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class OptimizerConfig(Settings):
    """AdamW and its schedule, all from GPT-3 Appendix B."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Highest learning rate. Left out, it is the preset's (Table 2.1; GPT-2's are unpublished)."""
    warmup_tokens: Annotated[int, Field(ge=0)] = 375_000_000
    """Linear warm-up from 0: "over the first 375 million tokens". Has to end within the run."""
    cosine_tokens: PositiveInt | None = None
    """Tokens at which the cosine has come down, warm-up included: 260 of 300 billion in the paper.
    Left out, it is that share of the run, and all of it where `final_share` is 0."""
    final_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Where the cosine ends, as a share of the highest rate: "down to 10% of its value"."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Decoupled, on matrices and embeddings: "weight decay of 0.1"."""
    beta1: Share = 0.9
    """Adam's decay of the mean."""
    beta2: Share = 0.95
    """Adam's decay of the square."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """Adam's epsilon."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Highest global norm of the gradient: "we clip the global norm of the gradient at 1.0"."""


class RampConfig(Settings):
    """Small batches at the start, which grow "linearly": GPT-3 Appendix B."""

    from_tokens: PositiveInt = 32_768
    """Tokens of the first batch: "a small value (32k tokens)". Later ones are whole multiples of it
    up to the full one."""
    over_tokens: PositiveInt
    """Tokens until the batch is full: "over the first 4-12 billion tokens of training, depending on
    the model size"."""


class ValidationConfig(Settings):
    """The loss on the sequences that the mix held out, for each source."""

    every: PositiveInt = 250
    """Steps between two validations; there is one at the end besides. Ours: 131M tokens at the
    papers' smallest batch."""
    sequences: PositiveInt = 64
    """Held-out sequences of each source, the first ones, so that every validation sees the same.
    Fewer where there are fewer. Ours: 65,536 to 131,072 tokens."""


class CheckpointConfig(Settings):
    """What a killed run can start from."""

    every: PositiveInt = 1000
    """Steps between two checkpoints; there is one at the end besides. Ours."""
    keep: PositiveInt = 2
    """Number of checkpoints kept, the latest ones. Ours: one to use, one if that is damaged."""


class CacheConfig(Settings):
    """Where shards of a mixture in an object store are kept meanwhile. Not used for local ones."""

    folder: str | None = None
    """A folder on this machine, which its processes share. Left out, it is
    `$XDG_CACHE_HOME/corpusmill/shards`, or the same in `~/.cache`."""
    bytes: PositiveInt = 16 << 30
    """The most that it takes: what was used longest ago goes. Ours: 16 GiB, the training tokens of
    8 billion in uint16."""
    block: PositiveInt | None = None
    """Bytes of one request. Left out, it is 1 MiB where all of the mixture fits, else 64 KiB."""


class SampleConfig(Settings):
    """The text that the model writes when training is done, and on the way if that is asked for."""

    every: PositiveInt | None = None
    """Steps between two samples (`samples.txt`); left out, there is one at the end only."""

    prompt: str = ""
    """What it starts from; nothing: the start of a document."""
    tokens: PositiveInt = 256
    """Number of tokens. GPT-2's published unconditional samples have 1024; ours is shorter."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """Divides the logits: 1 as GPT-2's samples, 0 for the likeliest token each time."""
    top_k: PositiveInt | None = 40
    """Tokens to choose from: "top-k random sampling with k = 40" (GPT-2, Table 13)."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Nucleus sampling: the likeliest tokens that make up this share."""


class TrainConfig(Settings):
    """All of `train.yaml`."""

    mixture: str
    """`mixture.json`, or the output folder of a build, whose current mix is then used; local, or
    in a store (`s3://`)."""
    output: str
    """Folder for checkpoints, metrics and the sample. A run that stopped goes on from it."""
    seed: int = Field(ge=0, lt=2**63)
    """Seed of the weights, of dropout and of the sample. The order of the data is the mix's."""
    model: ModelConfig
    """The shape of the model."""
    steps: PositiveInt | None = None
    """Optimizer steps; either this or `tokens`."""
    tokens: PositiveInt | None = None
    """Tokens to train on, rounded up to whole steps; 300 billion in the paper (Table 2.1)."""
    batch_sequences: PositiveInt | None = None
    """Sequences an optimizer step; this or `batch_tokens`. Left out, it is the preset's."""
    batch_tokens: PositiveInt | None = None
    """Tokens an optimizer step, rounded down to whole sequences."""
    ramp: RampConfig | None = None
    """Smaller batches at the start; left out, all have the same size."""
    micro_batch: PositiveInt = 8
    """Sequences that a process computes at once, their gradients added up to the batch's: more is
    faster and takes more memory. Ours."""
    dropout: Share = 0.0
    """On embeddings, attention and residuals: GPT-1 has 0.1, GPT-3 does not mention it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: a GPU where there is one, else the CPU. bfloat16 on a GPU, float32 on a CPU."""
    parallel: Literal["auto", "none", "ddp", "fsdp"] = "auto"
    """What the processes that torchrun starts share: `ddp`, a whole model each; `fsdp`, a part of
    the weights, gradients and moments each (FSDP2). `auto`: `ddp`, where there are several."""
    compile: bool = False
    """Compile the blocks by torch.compile: faster after a minute. Needs a compiler on a CPU."""
    checkpoint_activations: bool = False
    """Keep only the input of each block, and compute it again for the gradient: the same loss with
    less memory, a third more arithmetic."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """AdamW and its schedule."""
    validation: ValidationConfig = ValidationConfig()
    """The held-out loss."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """What a killed run can start from."""
    report_every: PositiveInt = 10
    """Steps between two looks at the loss: on a GPU each look waits for it. Ours."""
    prefetch: PositiveInt = 4
    """Batches that are read ahead. Ours."""
    cache: CacheConfig = CacheConfig()
    """Where shards of a mixture in an object store are kept meanwhile."""
    sample: SampleConfig = SampleConfig()
    """What the model writes."""
    log: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Where metrics go besides `metrics.jsonl`; each has to be installed."""

    @model_validator(mode="after")
    def _complete(self) -> TrainConfig:
        if (self.steps is None) == (self.tokens is None):
            raise ValueError("give either steps or tokens")
        if self.batch_sequences is not None and self.batch_tokens is not None:
            raise ValueError("give either batch_sequences or batch_tokens")
        preset = PRESETS[self.model.preset] if self.model.preset else None
        if preset is None and self.batch_sequences is None and self.batch_tokens is None:
            raise ValueError("a model that is no preset needs batch_tokens or batch_sequences")
        if self.optimizer.learning_rate is None and (preset is None or not preset.learning_rate):
            named = f"for {self.model.preset} none is published" if preset else "it is no preset"
            raise ValueError(f"optimizer.learning_rate has to be given: {named}")
        return self


def load_train_config(path: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Return the recipe of a run.

    Args:
        path: `train.yaml`, a local path or a URL.
        overrides: `key.path=value` each, applied before validation.

    Raises:
        RecipeError: The file cannot be read, or anything in it is wrong.
    """
    return load_settings(TrainConfig, path, overrides)


def find_mixture(path: str) -> str:
    """Return the path of `mixture.json`, given it or the output folder of a build.

    Raises:
        InputError: There is no such file, or the build has no mix yet.
    """
    if path.endswith(".json"):
        return path
    build = storage.join(path, "build.json")
    if not storage.exists(build):
        raise InputError(
            "there is no build in this folder",
            where=path,
            why="It has no build.json",
            fix="Run: corpus build --config RECIPE, and set mixture to its output folder",
        )
    content = storage.read_json(build)
    stages = content.get("stages") if isinstance(content, dict) else None
    folder = stages.get("mix") if isinstance(stages, dict) else None
    if not isinstance(folder, str):
        raise InputError(
            "this build has no mix yet",
            where=build,
            fix="Run: corpus mix --config RECIPE",
        )
    return storage.join(path, folder, "mixture.json")
