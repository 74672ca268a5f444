"""The training loop: a recipe in; weights, metrics and a sample of text out.

One process, on the CPU or on one GPU. In the output folder::

    checkpoints/step-*/   the latest whole checkpoints (corpus.trainer.checkpoint)
    metrics.jsonl         one line a step (corpus.trainer.metrics)
    sample.txt            what the model writes when it is done

A run that was stopped goes on by itself from the last whole checkpoint in its folder. On the CPU
with the same number of threads the result is the same bits as without the stop.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from corpus import storage
from corpus.errors import InputError, RecipeError, StageError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import checkpoint
from corpus.trainer.batches import Batches
from corpus.trainer.config import Schedule, TrainConfig, find_mixture, schedule
from corpus.trainer.metrics import Metrics, MetricsFile
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw, learning_rate, set_learning_rate
from corpus.trainer.presets import Architecture
from corpus.trainer.sampling import generate
from corpus.trainer.sequences import MixtureSequences
from corpus.trainer.step import choose_device, optimizer_step, precision, to_device, validation_loss

log = logging.getLogger(__name__)

SAMPLE = "sample.txt"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        output: Its folder.
        parameters: Number of parameters of the model.
        steps: Optimizer steps done since the start of training.
        tokens: Tokens trained on since the start of training.
        resumed_from: Step of the checkpoint that this run went on from, or None.
        loss: Training loss of the last step; None when no step was left to do.
        validation: Held-out loss of each source at the end.
        seconds: Duration of this run.
        sample: What the model writes.
        checkpoint: Folder of the last checkpoint.
    """

    output: str
    parameters: int
    steps: int
    tokens: int
    resumed_from: int | None
    loss: float | None
    validation: Mapping[str, float]
    seconds: float
    sample: str
    checkpoint: str


def train(config: TrainConfig, *, report: Callable[[Metrics], None]) -> Summary:
    """Train a model as its recipe says, or go on with it.

    Args:
        config: The recipe.
        report: Called with each step once its loss is known, in order.

    Raises:
        RecipeError: The recipe asks for what is not there or does not fit together.
        InputError: The mixture, its shards or its vocabulary do not fit the recipe or the run that
            is in the output folder.
        IntegrityError: Every checkpoint in the output folder is damaged.
        StageError: The loss is not a finite number.
        OutputError: The output folder cannot be written, or another run is at work in it.
    """
    if storage.is_remote(config.output):
        raise RecipeError(
            "the output folder has to be on this machine",
            where="output",
            fix="Name a local folder, and copy it when the run is done",
        )
    device = choose_device(config.device)
    data = MixtureSequences.open(find_mixture(config.mixture), cache=config.cache)
    shape = config.model.architecture(data.vocabulary_size)
    check_fit(shape, data)
    plan = schedule(config, data.sequence_length)
    tokenizer = data.tokenizer()  # now, and not when hours of training are done
    with storage.lock(config.output), _own_random_state(device):
        return _Run(config, plan, shape, data, device).train(tokenizer, report)


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


@contextlib.contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators, which dropout draws from, as the caller had them."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


class _Run:
    """The state of one run, and its steps."""

    def __init__(
        self,
        config: TrainConfig,
        plan: Schedule,
        shape: Architecture,
        data: MixtureSequences,
        device: torch.device,
    ) -> None:
        self.config, self.plan, self.data, self.device = config, plan, data, device
        self.settings = _decisive_settings(config, plan, shape)
        torch.manual_seed(config.seed)
        self.model = GPT.create(shape, dropout=config.dropout, seed=config.seed).to(device)
        self.optimizer = adamw(
            self.model,
            weight_decay=config.optimizer.weight_decay,
            beta1=config.optimizer.beta1,
            beta2=config.optimizer.beta2,
            epsilon=config.optimizer.epsilon,
        )
        self.batches = Batches(data, batch_sequences=plan.batch_sequences, prefetch=config.prefetch)
        self.held_out = {
            source: data.held_out(source, config.validation.sequences) for source in data.sources
        }

    def train(self, tokenizer: Tokenizer, report: Callable[[Metrics], None]) -> Summary:
        began = time.perf_counter()
        storage.sweep(self.config.output)
        resumed = self._resume()
        start = resumed or 0
        loss: float | None = None
        validation: Mapping[str, float] = {}
        with self.batches, MetricsFile(self.config.output, step=start) as file:
            for metrics in self._steps(start):
                file.write(metrics)
                report(metrics)
                loss, validation = metrics.loss, metrics.validation
        if start == self.plan.steps:
            validation = self._validate()
        text = self._sample(tokenizer)
        storage.write_bytes(storage.join(self.config.output, SAMPLE), text.encode())
        return Summary(
            output=self.config.output,
            parameters=self.model.parameter_count(),
            steps=self.plan.steps,
            tokens=self.plan.steps * self.plan.batch_tokens,
            resumed_from=resumed,
            loss=loss,
            validation=validation,
            seconds=time.perf_counter() - began,
            sample=text,
            checkpoint=checkpoint.folder_of(self.config.output, self.plan.steps),
        )

    def _resume(self) -> int | None:
        """Put the last whole checkpoint in place and return its step; None when there is none."""
        output = self.config.output
        found = checkpoint.load_latest(output)
        # What is later was never finished, or is damaged: this run writes those steps again.
        checkpoint.remove_after(output, found.step if found else 0)
        if found is None:
            return None
        different = [
            f"{key} was {found.settings.get(key)} and is {value}"
            for key, value in self.settings.items()
            if found.settings.get(key) != value
        ]
        if found.step > self.plan.steps:
            different.append(f"it has done {found.step} steps, and {self.plan.steps} are asked for")
        if different:
            raise InputError(
                "the run in this folder was started with other settings",
                where=output,
                why="; ".join(different),
                fix="Set them back, or choose another output folder",
            )
        self.batches.load_state_dict(found.loader)
        checkpoint.restore(found, self.model, self.optimizer)
        log.info("going on after step %d, from %s", found.step, found.folder)
        return found.step

    def _steps(self, start: int) -> Iterator[Metrics]:
        """Do the steps after `start`, and yield each once its loss has been read."""
        config, plan = self.config, self.plan
        pending: list[_Step] = []
        mark = time.perf_counter()
        for step in range(start + 1, plan.steps + 1):
            tokens = to_device(next(self.batches), self.device)
            rate = learning_rate(
                step * plan.batch_tokens,
                highest=plan.learning_rate,
                lowest=plan.final_learning_rate,
                warmup_tokens=plan.warmup_tokens,
                cosine_tokens=plan.cosine_tokens,
            )
            set_learning_rate(self.optimizer, rate)
            loss, norm = optimizer_step(
                self.model,
                self.optimizer,
                tokens,
                micro_batch=config.micro_batch,
                clip=config.optimizer.clip,
            )
            pending.append(_Step(step, rate, self.batches.data_wait, loss, norm))
            validate = step == plan.steps or step % config.validation.every == 0
            save = step == plan.steps or step % config.checkpoint.every == 0
            if not (validate or save or step % config.report_every == 0):
                continue
            yield from self._metrics(pending, mark, validate=validate)
            pending = []
            if save:
                self._save(step)
            mark = time.perf_counter()

    def _metrics(self, pending: list[_Step], mark: float, *, validate: bool) -> Iterator[Metrics]:
        """Read the losses of steps that the device may still be at, and yield their metrics."""
        losses = torch.stack([step.loss for step in pending]).tolist()  # waits for the device
        norms = torch.stack([step.norm for step in pending]).tolist()
        per_second = len(pending) * self.plan.batch_tokens / (time.perf_counter() - mark)
        for step, loss, norm in zip(pending, losses, norms, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise StageError(
                    f"the loss is {loss} and the norm of the gradient {norm} at step {step.step}",
                    where=self.config.output,
                    why="Training has diverged, or the weights were damaged",
                    fix="Lower optimizer.learning_rate or lengthen optimizer.warmup_tokens, and "
                    "start in another output folder",
                )
            yield Metrics(
                step=step.step,
                steps=self.plan.steps,
                tokens=step.step * self.plan.batch_tokens,
                loss=loss,
                learning_rate=step.learning_rate,
                gradient_norm=norm,
                tokens_per_second=per_second,
                data_wait=step.data_wait,
                validation=self._validate() if validate and step is pending[-1] else {},
            )

    def _validate(self) -> dict[str, float]:
        return {
            source: validation_loss(self.model, sequences, micro_batch=self.config.micro_batch)
            for source, sequences in self.held_out.items()
            if len(sequences)
        }

    def _save(self, step: int) -> None:
        checkpoint.save(
            self.config.output,
            step=step,
            model=self.model,
            optimizer=self.optimizer,
            loader=self.batches.state_dict(),
            settings=self.settings,
            vocabulary=self.data.tokenizer().ranks_file(),
            keep=self.config.checkpoint.keep,
        )

    def _sample(self, tokenizer: Tokenizer) -> str:
        """Return the prompt and what the model writes after it."""
        wanted = self.config.sample
        prompt = tokenizer.encode([wanted.prompt])[0].tolist()
        with precision(self.device):
            tokens = generate(
                self.model,
                prompt or [tokenizer.end_of_text],
                tokens=wanted.tokens,
                temperature=wanted.temperature,
                top_k=wanted.top_k,
                top_p=wanted.top_p,
                seed=self.config.seed,
                context=self.data.sequence_length,
            )
        return tokenizer.decode(np.array(prompt + tokens, dtype=np.uint32))


@dataclass(frozen=True, slots=True)
class _Step:
    """A step whose loss has not been read yet."""

    step: int
    learning_rate: float
    data_wait: float
    loss: Tensor
    norm: Tensor


def _decisive_settings(config: TrainConfig, plan: Schedule, shape: Architecture) -> dict[str, Any]:
    """Return what the weights after n steps depend on, the mixture aside (the loader knows it).

    The number of steps is not part of it: a run may be made longer, as long as its schedule stays.
    """
    optimizer = config.optimizer.model_dump(exclude={"learning_rate", "final_share"})
    settings = {
        **{f"model.{key}": value for key, value in asdict(shape).items()},
        **{f"optimizer.{key}": value for key, value in optimizer.items()},
        "optimizer.learning_rate": plan.learning_rate,
        "optimizer.final_learning_rate": plan.final_learning_rate,
        "optimizer.cosine_tokens": plan.cosine_tokens,
        "batch_sequences": plan.batch_sequences,
        "dropout": config.dropout,
        "seed": config.seed,
    }
    return dict(sorted(settings.items()))
