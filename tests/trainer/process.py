"""One process of a run of several: trains a row of recipes, one after the other.

`python -m tests.trainer.process JOBS`, with torchrun's environment. JOBS is a JSON list of recipes;
of each the summary goes to `<output>/summary-<rank>.json`, or the error for a person. A recipe may
have a `fault`: what goes wrong in one of the processes (`FAULTS`).
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from corpus.errors import CorpusError, InputError
from corpus.trainer.batches import Batches
from corpus.trainer.config import TrainConfig
from corpus.trainer.loop import train
from corpus.trainer.world import SaidElsewhereError


@contextmanager
def full_disk() -> Iterator[None]:
    """Let files have 64 KiB, which is less than the weights."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def unreadable() -> Any:
    """Let no checkpoint's tensors be read."""
    broken = OSError(5, "Input/output error")
    return patch("corpus.trainer.tensor_files.safe_open", side_effect=broken)


def no_data() -> Any:
    """Let the loader fail, of which the other processes are not told: they lose this one."""
    return patch.object(Batches, "__next__", side_effect=InputError("the shard is gone"))


FAULTS = {  # name: process, what is wrong there
    "full_disk": (0, full_disk),
    "unreadable": (1, unreadable),
    "no_data": (1, no_data),
}


def main(jobs: str) -> None:
    torch.set_num_threads(1)
    rank, first_port = int(os.environ["RANK"]), int(os.environ["MASTER_PORT"])
    for number, settings in enumerate(json.loads(Path(jobs).read_text())):
        os.environ["MASTER_PORT"] = str(first_port + number)
        where, fault = FAULTS.get(settings.pop("fault", ""), (None, nullcontext))
        config = TrainConfig.model_validate(settings)
        found: dict[str, Any]
        try:
            with fault() if where == rank else nullcontext():
                found = dataclasses.asdict(train(config, report=lambda _: None))
        except CorpusError as error:
            silent = isinstance(error, SaidElsewhereError)
            found = {"error": str(error), "silent": silent, "code": error.exit_code}
        Path(config.output).mkdir(parents=True, exist_ok=True)
        path = Path(config.output) / f"summary-{rank}.json"
        path.write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
