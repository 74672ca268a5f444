"""How fast `corpus train` is beside a bare loop, whether its loader is ever waited for, and MFU.

`python benchmarks/train.py` runs on whatever there is: a small model on a CPU, GPT-2's sizes on a
GPU. Everything is random ids in a temporary folder. Three parts (`--parts`):

loop     tokens a second of `corpus train` and of a plain loop in the manner of nanoGPT (one file, a
         memory map, random offsets, SDPA, AdamW) of the same model and batch, in turns
loader   tokens a second with the loader, over those with one batch that lies ready; how long a step
         waited; and the same with a loader that is made to sleep, which has to show
sizes    tokens a second, MFU and peak memory of a model, dense and banded, and whether a run that
         is stopped and goes on ends as one that is not

On a CPU the first part counts CPU time, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_loop import VOCABULARY, PlainLoop

from corpus.mix.mixture import ShardEntry, Vocabulary
from corpus.mix.plan import Ingredient, compose
from corpus.text import tokenizer
from corpus.tokenize.shards import ShardWriter
from corpus.trainer.batches import Batches
from corpus.trainer.config import TrainConfig
from corpus.trainer.device import choose_device, to_device
from corpus.trainer.loop import train
from corpus.trainer.metrics import Metrics
from corpus.trainer.run import Run
from corpus.trainer.schedule import schedule
from corpus.trainer.sequences import MixtureSequences
from corpus.trainer.step import optimizer_step, seed_dropout
from corpus.trainer.world import World


def made(folder: Path, length: int, tokens: int) -> str:
    """Write a shard of random documents of about 700 tokens and a mixture of it; its path."""
    random = np.random.default_rng(1)
    (folder / "mix").mkdir()
    with ShardWriter(folder / "web", vocabulary_size=VOCABULARY) as writer:
        while writer.tokens_total < tokens:
            document = random.integers(0, 50_256, random.geometric(1 / 700), dtype=np.uint16)
            writer.write_document(np.append(document, np.uint16(50_256)))
    gpt2 = tokenizer.load("gpt2")
    mixture = compose(
        [Ingredient("web", 1.0, [ShardEntry("../web.bin", writer.tokens_total, "0")], [])],
        seed=1,
        tokens=10 * tokens,
        sequence_length=length,
        block=8192,
        max_epochs=100,
        vocabulary=Vocabulary("gpt2", VOCABULARY, gpt2.digest, 50_256),
        dtype="uint16",
    )
    path = folder / "mix" / "mixture.json"
    path.write_text(json.dumps(mixture.to_json()))
    return str(path)


def recipe(options: argparse.Namespace, mixture: str, output: Path, **changes: Any) -> TrainConfig:
    model = {
        "n_layer": options.layers,
        "n_head": options.heads,
        "d_model": options.width,
        "context": options.length,
    }
    settings: dict[str, Any] = {
        "mixture": mixture,
        "output": str(output),
        "seed": 1,
        "model": model,
        "steps": options.steps,
        "batch_sequences": options.batch,
        "micro_batch": options.micro_batch,
        "device": options.device,
        "compile": options.compile,
        "checkpoint_activations": options.checkpoint_activations,
        "optimizer": {
            "learning_rate": 6e-4,
            "warmup_tokens": options.batch * options.length,
            "cosine_tokens": 10**9,
        },
        "report_every": 5,
        "checkpoint": {"every": 10**6, "keep": 1},
        "sample": {"tokens": 1},
    }
    return TrainConfig.model_validate(settings | changes)


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def part_loop(options: argparse.Namespace, mixture: str, folder: Path) -> bool:
    """Train some steps with each in turns; both have warmed up before they are timed."""
    device = choose_device(options.device)
    plain = PlainLoop(options, folder / "web.bin", device)
    plain.steps(3)
    tokens = options.batch * options.length
    ours, theirs = [], []
    for number in range(options.rounds):
        # The first looks of a start and the last one (validation, checkpoint) are not timed.
        marks: list[tuple[int, float]] = []

        def mark(step: Metrics, marks: list[tuple[int, float]] = marks) -> None:
            if step.step % 5 == 0 and step.step < step.steps:
                marks.append((step.step, clock(device)))

        steps = (number + 1) * options.steps
        train(recipe(options, mixture, folder / "loop", steps=steps), report=mark)
        (first, start), (last, end) = marks[0], marks[-1]
        ours.append((last - first) * tokens / (end - start))
        start = clock(device)
        plain.steps(last - first)
        theirs.append((last - first) * tokens / (clock(device) - start))
        print(f"  round {number + 1}: {ours[-1]:,.0f} and {theirs[-1]:,.0f} tokens/s")
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"loop: corpus train is {ratio:.3f} times as fast as the plain loop")
    return ratio >= 0.95


class Slow:
    """Sequences that come late."""

    def __init__(self, sequences: MixtureSequences, seconds: float) -> None:
        self.digest, self._sequences, self._seconds = sequences.digest, sequences, seconds

    def read(self, positions: Any) -> Any:
        time.sleep(self._seconds)
        return self._sequences.read(positions)


class Resident:
    """One batch, always there."""

    data_wait = 0.0

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __next__(self) -> Any:
        return self._batch


def timed(run: Run, batches: Any, device: torch.device, options: argparse.Namespace) -> Any:
    """Return seconds of some steps by the wall clock, and the wait of each in ms."""
    waits = []
    start = time.perf_counter()
    for _ in range(options.steps):
        tokens = to_device(next(batches), device)
        waits.append(batches.data_wait * 1000)
        run.step += 1
        seed_dropout(1, run.step, 0)
        loss, _ = optimizer_step(
            run.trainable, run.optimizer, tokens, micro_batch=options.micro_batch, clip=1.0
        )
    loss.item()
    return time.perf_counter() - start, waits


def part_loader(options: argparse.Namespace, mixture: str, folder: Path) -> bool:
    """Feed the same run in turns by the loader and by a resident batch, and last by a slow one."""
    device = choose_device(options.device)
    data = MixtureSequences.open(mixture)
    config = recipe(options, mixture, folder / "loader")
    shape = config.model.architecture(VOCABULARY)
    plan = schedule(config, data.sequence_length)
    run = Run(config, plan, shape, data, World(0, 1, device))
    resident = Resident(data.read(np.arange(options.batch)))
    timed(run, resident, device, options)
    ratios, shares, waits = [], [], []
    with run.batches:
        next(run.batches)  # the thread has begun
        for _ in range(options.rounds):
            fed, found = timed(run, run.batches, device, options)
            ready, _ = timed(run, resident, device, options)
            ratios.append(ready / fed)
            shares.append(sum(found) / 1000 / fed)
            waits += found
    late = 2 * ready / options.steps
    with Batches(Slow(data, late), batch_sequences=options.batch) as slow:
        starved, found = timed(run, slow, device, options)
    middle, worst = np.percentile(waits, [50, 99])
    share, control = statistics.median(shares), sum(found) / 1000 / starved
    print(f"loader: {statistics.median(ratios):.3f} of the speed of a batch that lies ready")
    print(f"  waited {share:.3%} of the time: {middle:.3f} ms (p50), {worst:.3f} (p99) a step")
    print(f"  control, {late * 1000:.0f} ms late: {ready / starved:.3f}, waited {control:.0%}")
    if control < 0.2:
        print("  the control did NOT show: nothing can be said of this machine")
    return share < 0.01 and control > 0.2


def part_sizes(options: argparse.Namespace, mixture: str, folder: Path) -> bool:
    """Train each shape, and the first one in two parts too."""
    device = choose_device(options.device)
    same = True
    for window in options.windows:
        name = "dense" if window is None else f"banded, {window}"
        changes: dict[str, Any] = {}
        if window is not None:
            base = recipe(options, mixture, folder).model.model_dump(exclude_none=True)
            changes["model"] = base | {"window": window}
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        found: list[Metrics] = []
        output = folder / f"sizes-{window}"
        config = recipe(options, mixture, output, **changes)
        summary = train(config, report=found.append)
        speeds = [step.tokens_per_second for step in found[len(found) // 2 :]]
        uses = [step.mfu for step in found[len(found) // 2 :] if step.mfu is not None]
        memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else math.nan
        print(
            f"sizes: {name}, {summary.parameters / 1e6:,.1f}M parameters: "
            f"{statistics.median(speeds):,.0f} tokens/s"
            + (f", MFU {statistics.median(uses):.1%}" if uses else "")
            + (f", {memory:.1f} GiB" if memory == memory else "")
        )
        parts = folder / f"parts-{window}"
        half = recipe(options, mixture, parts, **changes, steps=options.steps // 2)
        train(half, report=lambda _: None)
        again = train(recipe(options, mixture, parts, **changes), report=lambda _: None)
        assert again.loss is not None
        assert summary.loss is not None
        apart = abs(again.loss - summary.loss)
        print(f"  stopped half way and resumed: last loss {apart:.2g} apart")
        same &= apart <= (0.0 if device.type == "cpu" else 1e-2)
    return same


PARTS = {"loop": part_loop, "loader": part_loader, "sizes": part_sizes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--preset", choices=["cpu", "124m", "1558m"], help="sizes by name")
    for name, meaning in (
        ("layers", "blocks"),
        ("heads", "attention heads"),
        ("width", "of the residual stream"),
        ("length", "tokens of a sequence"),
        ("batch", "sequences of a step"),
        ("micro-batch", "sequences at once"),
        ("steps", "a round"),
    ):
        parser.add_argument(f"--{name}", type=int, help=meaning)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=5_000_000, help="of the made shard")
    parser.add_argument("--windows", type=int, nargs="*", help="widths of bands, besides dense")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--checkpoint-activations", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    on_gpu = choose_device(options.device).type == "cuda"
    named = {
        "cpu": {"layers": 4, "heads": 4, "width": 128, "length": 128, "batch": 4}
        | {"micro_batch": 4, "steps": 16},
        "124m": {"layers": 12, "heads": 12, "width": 768, "length": 1024, "batch": 512}
        | {"micro_batch": 32, "steps": 20},
        "1558m": {"layers": 48, "heads": 25, "width": 1600, "length": 1024, "batch": 512}
        | {"micro_batch": 16, "steps": 10},
    }[options.preset or ("124m" if on_gpu else "cpu")]
    for name, value in named.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.windows = [None, *(options.windows or [])]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        mixture = made(Path(folder), options.length, options.tokens)
        for part in options.parts:
            good &= PARTS[part](options, mixture, Path(folder))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
