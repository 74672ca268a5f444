"""What a model writes while it is trained and at the end: `samples.txt` and `sample.txt`."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule

from corpus import storage
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.config import TrainConfig
from corpus.trainer.device import precision
from corpus.trainer.model import GPT
from corpus.trainer.sampling import generate
from corpus.trainer.world import World

SAMPLE, SAMPLES = "sample.txt", "samples.txt"
_HEADING = re.compile(r"^=== step (\d+) ===$", re.MULTILINE)


class Samples:
    """Writes samples as a recipe says.

    Args:
        config: The recipe.
        tokenizer: Of the text.
        context: Tokens that the model was trained to look back on.
        world: The processes; the one that leads writes, and all of them have to call the methods.
    """

    def __init__(
        self, config: TrainConfig, tokenizer: Tokenizer, *, context: int, world: World
    ) -> None:
        self._config, self._tokenizer, self._world = config, tokenizer, world
        self._context = context

    def append(self, model: GPT, step: int) -> None:
        """Add a sample to `samples.txt`, in the place of those of this step and later ones.

        Raises:
            OutputError: It cannot be written.
        """
        text = self.draw(model)
        with self._world.together():
            if self._world.leads:
                self._append(text, step)

    def _append(self, text: str, step: int) -> None:
        path = storage.join(self._config.output, SAMPLES)
        before = storage.read_bytes(path).decode() if storage.exists(path) else ""
        for heading in _HEADING.finditer(before):
            if int(heading[1]) >= step:
                before = before[: heading.start()]
                break
        storage.write_bytes(path, f"{before}=== step {step} ===\n{text}\n\n".encode())

    def finish(self, model: GPT) -> str:
        """Write `sample.txt` and return it; nothing where another process does."""
        text = self.draw(model)
        with self._world.together():
            if self._world.leads:
                storage.write_bytes(storage.join(self._config.output, SAMPLE), text.encode())
        return text

    def draw(self, model: GPT) -> str:
        """Return the prompt and what the model writes after it; nothing where it does not lead."""
        # A model in parts is put together block by block, for which all processes have to read.
        if not (self._world.leads or isinstance(model, FSDPModule)):
            return ""
        wanted = self._config.sample
        prompt = self._tokenizer.encode([wanted.prompt])[0].tolist()
        # Every text has a length of its own, and would be a compilation of its own.
        with precision(self._world.device), torch.compiler.set_stance("force_eager"):
            tokens = generate(
                model,
                prompt or [self._tokenizer.end_of_text],
                tokens=wanted.tokens,
                temperature=wanted.temperature,
                top_k=wanted.top_k,
                top_p=wanted.top_p,
                seed=self._config.seed,
                context=self._context,
            )
        if not self._world.leads:
            return ""
        return self._tokenizer.decode(np.array(prompt + tokens, dtype=np.uint32))
