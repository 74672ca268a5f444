"""The training loop: a recipe in; weights, metrics and a sample of text out.

One process, or as many as torchrun or Ray start, on CPUs or GPUs. In the output folder::

    checkpoints/step-*/   the latest whole checkpoints (corpus.trainer.checkpoint)
    metrics.jsonl         one line a step (corpus.trainer.metrics)
    samples.txt           what the model writes on the way, when that is asked for
    sample.txt            what it writes when it is done

A run that was stopped goes on by itself from the last whole checkpoint in its folder. On the CPU
with the same number of threads and processes the result is the same bits as without the stop. One
that Ctrl-C or SIGTERM stops writes a checkpoint first (corpus.trainer.interrupts).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from corpus import storage
from corpus.errors import RecipeError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import checkpoint, interrupts, logs
from corpus.trainer.config import TrainConfig, find_mixture
from corpus.trainer.device import to_device
from corpus.trainer.meter import Meter, require_finite
from corpus.trainer.metrics import Metrics
from corpus.trainer.optimizer import learning_rate, set_learning_rate
from corpus.trainer.presets import Architecture
from corpus.trainer.run import Run, check_fit
from corpus.trainer.samples import Samples
from corpus.trainer.schedule import Schedule, schedule
from corpus.trainer.sequences import MixtureSequences
from corpus.trainer.step import optimizer_step, seed_dropout
from corpus.trainer.validation import Validation
from corpus.trainer.world import World, joined


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
        validation: Held-out loss of each source at the end, in nats a token.
        bits_per_byte: The same in bits a byte of text.
        seconds: Duration of this run.
        sample: What the model writes; empty in a process that does not lead.
        checkpoint: Folder of the last checkpoint.
        processes: How many have trained.
        leads: Whether this is the process that writes, and is to print.
    """

    output: str
    parameters: int
    steps: int
    tokens: int
    resumed_from: int | None
    loss: float | None
    validation: Mapping[str, float]
    bits_per_byte: Mapping[str, float]
    seconds: float
    sample: str
    checkpoint: str
    processes: int
    leads: bool


def train(config: TrainConfig, *, report: Callable[[Metrics], None]) -> Summary:
    """Train a model as its recipe says, or go on with it.

    Where several processes train, each of them calls this.

    Args:
        config: The recipe.
        report: Called with each step once its loss is known, in order, in the process that leads.

    Raises:
        RecipeError: The recipe asks for what is not there or does not fit together.
        InputError: The mixture, its shards or its vocabulary do not fit the recipe or the run that
            is in the output folder.
        IntegrityError: Every checkpoint in the output folder is damaged.
        StageError: The loss is not a finite number, or the processes do not find each other.
        OutputError: The output folder cannot be written, or another run is at work in it.
        KeyboardInterrupt: Ctrl-C has stopped the run; SystemExit: SIGTERM has.
    """
    if storage.is_remote(config.output):
        raise RecipeError(
            "the output folder has to be on this machine",
            where="output",
            fix="Name a local folder, and copy it when the run is done",
        )
    logs.require_installed(config.log)
    with joined(config.device) as world:
        data = MixtureSequences.open(find_mixture(config.mixture), cache=config.cache)
        shape = config.model.architecture(data.vocabulary_size)
        check_fit(shape, data)
        plan = schedule(config, data.sequence_length)
        tokenizer = data.tokenizer()  # now, and not when hours of training are done
        with _only_run(config.output, world), _own_random_state(world.device):
            return _train(config, plan, shape, data, tokenizer, world, report)


def _train(
    config: TrainConfig,
    plan: Schedule,
    shape: Architecture,
    data: MixtureSequences,
    tokenizer: Tokenizer,
    world: World,
    report: Callable[[Metrics], None],
) -> Summary:
    began = time.perf_counter()
    run = Run(config, plan, shape, data, world)
    resumed = run.resume()
    held_out = {name: data.held_out(name, config.validation.sequences) for name in data.sources}
    validation = Validation(held_out, tokenizer, micro_batch=config.micro_batch)
    samples = Samples(config, tokenizer, context=data.sequence_length, world=world)
    meter = Meter(plan, shape, world)
    final: Metrics | None = None
    with run.batches, _writers(config, run, world) as writers, interrupts.taken() as signals:
        meter.start()
        while run.step < plan.steps:
            tokens = to_device(next(run.batches), world.device)
            run.step += 1
            seed_dropout(config.seed, run.step, world.rank)
            rate = learning_rate(
                plan.tokens_after(run.step),
                highest=plan.learning_rate,
                lowest=plan.final_learning_rate,
                warmup_tokens=plan.warmup_tokens,
                cosine_tokens=plan.cosine_tokens,
            )
            set_learning_rate(run.optimizer, rate)
            loss, norm = optimizer_step(
                run.trainable,
                run.optimizer,
                tokens,
                micro_batch=config.micro_batch,
                clip=config.optimizer.clip,
            )
            meter.add(
                run.step,
                learning_rate=rate,
                data_wait=run.batches.data_wait,
                loss=loss,
                norm=norm,
            )
            validates = _due(run.step, config.validation.every, plan)
            saves = _due(run.step, config.checkpoint.every, plan)
            writes = config.sample.every is not None and run.step % config.sample.every == 0
            looks = validates or saves or writes or run.step % config.report_every == 0
            stops = signals.asked(world, looks=looks)
            if not (looks or stops):
                continue  # the device is left to itself as long as nobody asks
            for metrics in meter.read():
                require_finite(metrics, config.output)
                final = metrics
                if validates and metrics.step == run.step:
                    losses = validation.losses(run.model, world)
                    bits = validation.bits_per_byte(losses)
                    final = replace(metrics, validation=losses, bits_per_byte=bits)
                for writer in writers:
                    writer.write(final)
                if world.leads:
                    report(final)
            if saves or stops:
                run.save(tokenizer)
            if writes:
                samples.append(run.model, run.step)
            if stops:
                world.wait()  # a process that ends takes the others with it
                signals.leave(run.step)
            meter.start()
    if final is None:  # the run was done already
        losses = validation.losses(run.model, world)
        bits = validation.bits_per_byte(losses)
    else:
        losses, bits = dict(final.validation), dict(final.bits_per_byte)
    text = samples.finish(run.model)
    world.wait()  # until the folder is as it stays
    return Summary(
        output=config.output,
        parameters=sum(parameter.numel() for parameter in run.model.parameters()),
        steps=plan.steps,
        tokens=plan.tokens,
        resumed_from=resumed,
        loss=final.loss if final else None,
        validation=losses,
        bits_per_byte=bits,
        seconds=time.perf_counter() - began,
        sample=text,
        checkpoint=checkpoint.folder_of(config.output, plan.steps),
        processes=world.size,
        leads=world.leads,
    )


def _due(step: int, every: int, plan: Schedule) -> bool:
    return step == plan.steps or step % every == 0


@contextlib.contextmanager
def _only_run(output: str, world: World) -> Iterator[None]:
    """Hold the output folder for this run, by the process that leads."""
    with storage.lock(output) if world.leads else contextlib.nullcontext():
        world.wait()  # nobody looks into the folder before it is ours
        yield


@contextlib.contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators, which dropout draws from, as the caller had them."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextlib.contextmanager
def _writers(config: TrainConfig, run: Run, world: World) -> Iterator[list[logs.Writer]]:
    """Yield what takes the metrics; nothing in a process that does not lead."""
    if not world.leads:
        yield []
        return
    with logs.writers(
        config.output, names=config.log, step=run.step, settings=run.settings
    ) as made:
        yield made
