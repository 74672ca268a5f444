"""One process of a run of several: trains a row of recipes, one after the other.

`python -m tests.trainer.process JOBS`, with torchrun's environment. JOBS is a JSON list of recipes;
of each the summary goes to `<output>/summary-<rank>.json`, or the error for a person.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import torch

from corpus.errors import CorpusError
from corpus.trainer.config import TrainConfig
from corpus.trainer.loop import train


def main(jobs: str) -> None:
    torch.set_num_threads(1)
    first_port = int(os.environ["MASTER_PORT"])
    for number, settings in enumerate(json.loads(Path(jobs).read_text())):
        os.environ["MASTER_PORT"] = str(first_port + number)
        config = TrainConfig.model_validate(settings)
        try:
            found = dataclasses.asdict(train(config, report=lambda _: None))
        except CorpusError as error:
            found = {"error": str(error)}
        Path(config.output).mkdir(parents=True, exist_ok=True)
        path = Path(config.output) / f"summary-{os.environ['RANK']}.json"
        path.write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
