"""A fine-tuning: a recipe in; a model, its metrics and its results out.

One process, on the CPU or on one GPU. In the output folder::

    checkpoints/step-*/   the latest whole checkpoints; `open_finetuned` opens them
    metrics.jsonl         one line a step, with the validation at the end of every epoch
    results.json          measures with intervals, the majority baseline, counts
    predictions.jsonl     what is predicted for each example of validation and test

A run that was stopped goes on by itself; Ctrl-C and SIGTERM leave a checkpoint. On the CPU with the
same number of threads the result is the same bits as without the stop.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from corpus import storage
from corpus.errors import InputError, RecipeError
from corpus.trainer import checkpoint, interrupts
from corpus.trainer.device import choose_device
from corpus.trainer.finetuning import evaluation, results
from corpus.trainer.finetuning.batch import TrainingBatches
from corpus.trainer.finetuning.config import FinetuneConfig
from corpus.trainer.finetuning.data import Split, make_splits
from corpus.trainer.finetuning.evaluation import Evaluation, Outcome
from corpus.trainer.finetuning.finetuned import decisive_settings
from corpus.trainer.finetuning.model import FinetunedGPT
from corpus.trainer.finetuning.objective import (
    Losses,
    learning_rate,
    optimizer_step,
    seed_dropout,
)
from corpus.trainer.finetuning.results import Step, Summary
from corpus.trainer.metrics import MetricsFile
from corpus.trainer.optimizer import adamw, set_learning_rate
from corpus.trainer.pretrained import Pretrained, open_model

log = logging.getLogger(__name__)

KEEP = 2  # checkpoints: one to use, one if that is damaged


def finetune(config: FinetuneConfig, *, report: Callable[[Step], None]) -> Summary:
    """Fine-tune a model as its recipe says, or go on with it.

    Args:
        config: The recipe.
        report: Called with each step once its loss is known, in order.

    Raises:
        RecipeError: The recipe asks for what is not there.
        InputError: The pretrained model or a file of the task is not what it should be, or the run
            in the output folder was started with other settings.
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
    pretrained = open_model(config.model)
    splits, labels = make_splits(config.task, pretrained.tokenizer, pretrained.model.shape)
    outcome = Outcome.of(config.task, labels, splits["train"].targets)
    forked = [device] if device.type == "cuda" else []
    with storage.lock(config.output), torch.random.fork_rng(devices=forked):
        return _Run(config, pretrained, splits, outcome, device).train(report)


class _Run:
    """The state of one run, and its steps."""

    def __init__(
        self,
        config: FinetuneConfig,
        pretrained: Pretrained,
        splits: Mapping[str, Split],
        outcome: Outcome,
        device: torch.device,
    ) -> None:
        self.config, self.splits, self.outcome, self.device = config, splits, outcome, device
        self.tokenizer = pretrained.tokenizer
        self.model = FinetunedGPT.start(
            pretrained.model,
            kind=config.task.kind,
            outputs=outcome.outputs,
            dropout=config.dropout,
            classifier_dropout=config.classifier_dropout,
            seed=config.seed,
            keep_weights=config.initialization == "pretrained",
        ).to(device)
        optimizer = config.optimizer
        self.optimizer = adamw(
            self.model,
            weight_decay=optimizer.weight_decay,
            beta1=optimizer.beta1,
            beta2=optimizer.beta2,
            epsilon=optimizer.epsilon,
        )
        train = splits["train"]
        self.batches = TrainingBatches(
            train.packed,
            outcome.wanted(train.targets),
            seed=config.seed,
            size=config.batch_examples,
            micro_batch=config.micro_batch,
        )
        self.steps = config.epochs * self.batches.steps_an_epoch
        self.settings = decisive_settings(config, self.model, outcome, pretrained.model, train)

    def train(self, report: Callable[[Step], None]) -> Summary:
        began = time.perf_counter()
        output = self.config.output
        storage.sweep(output)
        resumed = self._resume()
        start = resumed or 0
        with MetricsFile(output, step=start) as file, interrupts.taken() as signals:
            for step in self._steps(start, signals):
                file.write(step)
                report(step)
        held_out = [name for name in self.splits if name != "train"]
        found = {name: self._outputs(name) for name in held_out}
        evaluations = [self._evaluate(name, found[name]) for name in held_out]
        made = results.results(
            self.splits,
            evaluations,
            self.outcome,
            steps=self.steps,
            parameters=self.model.parameter_count(),
            settings=self.settings,
        )
        results.write(output, made, found, self.splits, self.outcome)
        return Summary(
            output=output,
            parameters=self.model.parameter_count(),
            steps=self.steps,
            resumed_from=resumed,
            seconds=time.perf_counter() - began,
            checkpoint=checkpoint.folder_of(output, self.steps),
            results=made,
        )

    def _resume(self) -> int | None:
        """Put the last whole checkpoint in place and return its step; None when there is none."""
        output = self.config.output
        found = checkpoint.load_latest(output)
        if found is None:
            checkpoint.remove_after(output, 0)  # what was never finished
            return None
        different = [
            f"{key} was {found.settings.get(key)} and is {value}"
            for key, value in self.settings.items()
            if found.settings.get(key) != value
        ]
        if different:
            raise InputError(
                "the run in this folder was started with other settings",
                where=output,
                why="; ".join(different),
                fix="Set them back, or choose another output folder",
            )
        # What is later was never finished, or is damaged: this run writes those steps again.
        checkpoint.remove_after(output, found.step)
        checkpoint.restore(found, self.model, self.optimizer)
        log.info("going on after step %d, from %s", found.step, found.folder)
        return found.step

    def _steps(self, start: int, signals: interrupts.Interrupts) -> Iterator[Step]:
        """Do the steps after `start`, and yield each once its loss has been read."""
        config = self.config
        pending: list[tuple[int, float, Losses]] = []
        mark = time.perf_counter()
        for step in range(start + 1, self.steps + 1):
            rate = learning_rate(
                step,
                steps=self.steps,
                highest=config.optimizer.learning_rate,
                warmup_share=config.optimizer.warmup_share,
            )
            set_learning_rate(self.optimizer, rate)
            seed_dropout(config.seed, step)
            losses = optimizer_step(
                self.model,
                self.optimizer,
                self.batches.parts(step, self.device),
                lm_weight=config.lm_weight,
                clip=config.optimizer.clip,
            )
            pending.append((step, rate, losses))
            validate = step % self.batches.steps_an_epoch == 0
            stops = signals.signal > 0
            save = validate or stops or step % config.checkpoint_every == 0
            if not (save or step % config.report_every == 0):
                continue
            yield from self._read(pending, mark, validate=validate)
            pending = []
            if save:
                self._save(step)
            if stops:
                signals.leave(step)
            mark = time.perf_counter()

    def _read(
        self, pending: list[tuple[int, float, Losses]], mark: float, *, validate: bool
    ) -> Iterator[Step]:
        """Read the losses of steps that the device may still be at, and yield the steps."""
        rows = [torch.stack([x.total, x.task, x.language, x.norm]) for _, _, x in pending]
        values = torch.stack(rows).tolist()  # waits for the device
        per_second = len(pending) * self.config.batch_examples / (time.perf_counter() - mark)
        for (step, rate, _), (total, task, language, norm) in zip(pending, values, strict=True):
            if not (math.isfinite(total) and math.isfinite(norm)):
                raise results.diverged(step, total, norm, self.config.output)
            last = validate and step == pending[-1][0]
            yield Step(
                step=step,
                steps=self.steps,
                epoch=self.batches.epoch_of(step) + 1,
                loss=total,
                task_loss=task,
                language_loss=language,
                learning_rate=rate,
                gradient_norm=norm,
                examples_per_second=per_second,
                validation=self._validation() if last else {},
            )

    def _validation(self) -> dict[str, float]:
        found = self._evaluate("validation", self._outputs("validation"))
        return {"loss": found.loss, **{name: m.value for name, m in found.measures.items()}}

    def _outputs(self, name: str) -> NDArray[np.float32]:
        packed = self.splits[name].packed
        return evaluation.outputs(self.model, packed, micro_batch=self.config.micro_batch)

    def _evaluate(self, name: str, found: NDArray[np.float32]) -> Evaluation:
        return evaluation.evaluate(self.splits[name], found, self.outcome, seed=self.config.seed)

    def _save(self, step: int) -> None:
        checkpoint.save(
            self.config.output,
            step=step,
            model=self.model,
            optimizer=self.optimizer,
            loader={"position": step * self.config.batch_examples},
            settings=self.settings,
            tokenizer=self.tokenizer,
            keep=KEEP,
        )
