"""Memory of the processes of a run whose model is in parts: starting, saving, going on, sampling.

`python benchmarks/sharded.py [--processes 2] [--parallel fsdp] [--layers 12] [--width 768]` trains
a model with GPT-2's vocabulary on CPUs for one step, stops, goes on for one more, and prints what
each phase adds at its peak to the memory that each process had when it began with it, in MiB
(proc(5): VmHWM, reset by clear_refs). It needs the processes' weights, gradients and moments in
memory, and three times the weights on the disk, twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIB = 1 << 20
PHASES = {"__init__": "first weights", "resume": "going on", "save": "checkpoint", "draw": "sample"}


def memory(field: str) -> float:
    """Return a field of this process's status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def measured(call: Callable[..., Any], found: dict[str, float]) -> Callable[..., Any]:
    """Return a method that notes what its calls add at their peak."""

    def measuring(*arguments: Any, **named: Any) -> Any:
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        result = call(*arguments, **named)
        found[PHASES[call.__name__]] = memory("VmHWM") - before
        return result

    return measuring


def process(settings: dict[str, Any]) -> None:
    """Train as one process of the run, and print what its phases add."""
    import torch

    from corpus.trainer.config import TrainConfig
    from corpus.trainer.loop import train
    from corpus.trainer.run import Run
    from corpus.trainer.samples import Samples

    torch.set_num_threads(1)
    found: dict[str, float] = {}
    for owner, name in ((Run, "__init__"), (Run, "resume"), (Run, "save"), (Samples, "draw")):
        setattr(owner, name, measured(getattr(owner, name), found))
    summary = train(TrainConfig.model_validate(settings), report=lambda _: None)
    if summary.resumed_from is None:
        del found["going on"]
    print(json.dumps({"parameters": summary.parameters, **found}), flush=True)


def run(settings: dict[str, Any], processes: int) -> list[dict[str, float]]:
    """Start the processes and return what each found."""
    place = {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(random.SystemRandom().randrange(20_000, 60_000)),
    }
    command = [sys.executable, __file__, "--process", json.dumps(settings)]
    running = [
        subprocess.Popen(
            command,
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    return [json.loads(one.communicate()[0].splitlines()[-1]) for one in running]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--parallel", default="fsdp", choices=["fsdp", "ddp"])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--process", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process:
        process(arguments.process)
        return
    from train import made

    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "mixture": made(Path(folder), 16, 4_000),
            "output": f"{folder}/run",
            "seed": 1,
            "device": "cpu",
            "parallel": arguments.parallel,
            "model": {
                "n_layer": arguments.layers,
                "n_head": arguments.width // 64,
                "d_model": arguments.width,
                "context": 16,
            },
            "batch_sequences": arguments.processes,
            "dropout": 0.0,
            "optimizer": {"learning_rate": 1e-4, "warmup_tokens": 0, "cosine_tokens": 1_000},
            "sample": {"tokens": 2},
        }
        for steps in (1, 2):
            found = run(settings | {"steps": steps}, arguments.processes)
            weights = found[0].pop("parameters") * 4 / MIB
            title = "started" if steps == 1 else "gone on"
            print(f"{title}: {arguments.parallel}, weights of {weights:.0f} MiB in all")
            for phase in found[0]:
                peaks = ", ".join(f"{one[phase]:.0f}" for one in found)
                print(f"  {phase:14} {peaks} MiB", flush=True)


if __name__ == "__main__":
    main()
