"""The state of a run: model, optimizer, loader and the steps done; all that a checkpoint holds.

In: a recipe, its schedule and the mixture. Out: a `Run` at its first step, or behind the last whole
checkpoint of the output folder.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from corpus import storage
from corpus.errors import InputError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import checkpoint
from corpus.trainer.batches import Batches, require_shares
from corpus.trainer.config import TrainConfig
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw
from corpus.trainer.parallel import choose_way, prepare
from corpus.trainer.presets import Architecture
from corpus.trainer.schedule import Schedule
from corpus.trainer.sequences import MixtureSequences
from corpus.trainer.world import World

log = logging.getLogger(__name__)


class Run:
    """What changes while a model is trained.

    Attributes:
        step: Optimizer steps done.
        model: The model; its parameters are the ones that are trained.
        trainable: The same with all that is laid around it.
        optimizer: AdamW over the parameters.
        batches: The loader, behind the last batch that was trained on.
        settings: What the weights depend on.

    Raises:
        InputError: A batch cannot be shared evenly by the processes.
        RecipeError: The recipe asks for what is not there.
    """

    def __init__(
        self,
        config: TrainConfig,
        plan: Schedule,
        shape: Architecture,
        data: MixtureSequences,
        world: World,
    ) -> None:
        for stage in plan.stages:
            require_shares(stage.batch_sequences, world.size)
        self.step = 0
        self.settings = decisive_settings(config, plan, shape)
        self.model = GPT.create(shape, dropout=config.dropout, seed=config.seed)
        self.trainable = prepare(
            self.model,
            world,
            way=choose_way(config.parallel, world),
            compile_blocks=config.compile,
            checkpoint_activations=config.checkpoint_activations,
        )
        self.optimizer = adamw(
            self.model,
            weight_decay=config.optimizer.weight_decay,
            beta1=config.optimizer.beta1,
            beta2=config.optimizer.beta2,
            epsilon=config.optimizer.epsilon,
        )
        self.batches = Batches(
            data,
            batch_sequences=plan.batch_at,
            rank=world.rank,
            world_size=world.size,
            prefetch=config.prefetch,
        )
        self._config, self._plan, self._world = config, plan, world

    def resume(self) -> int | None:
        """Go to the last whole checkpoint and return its step; None when there is none.

        Raises:
            InputError: The run was started with other settings, or on another mixture.
            IntegrityError: Every checkpoint is damaged.
            StageError: The processes do not find the same checkpoint.
        """
        output = self._config.output
        found = checkpoint.load_latest(output)
        self._world.agree(found.step if found else 0, "checkpoint")
        if found is not None:
            self._require_same(found)  # before anything is removed
        if self._world.leads:
            storage.sweep(output)
            # What is later was never finished, or is damaged: this run writes those steps again.
            checkpoint.remove_after(output, found.step if found else 0)
        if found is None:
            return None
        self.batches.load_state_dict(found.loader)
        checkpoint.restore(found, self.model, self.optimizer)
        self.step = found.step
        log.info("going on after step %d, from %s", found.step, found.folder)
        return found.step

    def _require_same(self, found: checkpoint.Checkpoint) -> None:
        was = found.settings
        if "optimizer.learning_rate" not in was or "task.labels" in was:
            raise InputError(
                "the model in this folder was not made by corpus train",
                where=found.folder,
                why="It was imported or fine-tuned, and no run can go on from it",
                fix="Choose another output folder",
            )
        keys = [key for key, value in self.settings.items() if was.get(key) != value]
        different = [f"{key} was {was.get(key)} and is {self.settings[key]}" for key in keys]
        fix = "Set them back, or choose another output folder"
        if keys == ["optimizer.cosine_tokens"]:  # as of a run that is made longer
            fix = f"Set optimizer.cosine_tokens: {was.get(keys[0])}, and the schedule stays"
        if found.step > self._plan.steps:
            different.append(
                f"it has done {found.step} steps, and {self._plan.steps} are asked for"
            )
        if different:
            raise InputError(
                "the run in this folder was started with other settings",
                where=self._config.output,
                why="; ".join(different),
                fix=fix,
            )

    def save(self, tokenizer: Tokenizer) -> str:
        """Write a checkpoint, all processes together, and return its folder."""
        return checkpoint.save(
            self._config.output,
            step=self.step,
            model=self.model,
            optimizer=self.optimizer,
            loader=self.batches.state_dict(),
            settings=self.settings,
            tokenizer=tokenizer,
            keep=self._config.checkpoint.keep,
            leads=self._world.leads,
        )


def check_fit(shape: Architecture, data: MixtureSequences) -> None:
    """Refuse a mixture that the model cannot be trained on.

    Raises:
        InputError: The vocabularies differ, or the sequences are longer than the context.
    """
    if shape.vocabulary_size != data.vocabulary_size:
        raise InputError(
            f"the model has {shape.vocabulary_size:,} tokens and the mixture "
            f"{data.vocabulary_size:,}",
            where="model.vocabulary_size",
            fix=f"Set model.vocabulary_size: {data.vocabulary_size}, or tokenize with the other "
            "vocabulary",
        )
    if shape.context < data.sequence_length:
        raise InputError(
            f"sequences of {data.sequence_length} tokens are longer than the model's context of "
            f"{shape.context}",
            where="model.context",
            fix="Choose a longer context, or a shorter mix.sequence_length in the corpus's recipe",
        )
    if shape.context > data.sequence_length:
        log.warning(
            "positions from %d to %d of the context are not trained: sequences have %d tokens",
            data.sequence_length,
            shape.context - 1,
            data.sequence_length,
        )


def decisive_settings(config: TrainConfig, plan: Schedule, shape: Architecture) -> dict[str, Any]:
    """Return what the weights after n steps depend on, the mixture aside (the loader knows it).

    The number of steps is not part of it: a run may be made longer, as long as its schedule stays.
    Neither is what changes the rounding of sums alone: processes, parts of a batch, compilation.
    """
    optimizer = config.optimizer.model_dump(exclude={"learning_rate", "final_share"})
    ramp = config.ramp
    settings = {
        **{f"model.{key}": value for key, value in asdict(shape).items()},
        **{f"optimizer.{key}": value for key, value in optimizer.items()},
        "optimizer.learning_rate": plan.learning_rate,
        "optimizer.final_learning_rate": plan.final_learning_rate,
        "optimizer.cosine_tokens": plan.cosine_tokens,
        "batch_sequences": plan.batch_sequences,
        "ramp.from_sequences": plan.stages[0].batch_sequences if ramp else None,
        "ramp.over_tokens": ramp.over_tokens if ramp else None,
        "dropout": config.dropout,
        "seed": config.seed,
    }
    return dict(sorted(settings.items()))
