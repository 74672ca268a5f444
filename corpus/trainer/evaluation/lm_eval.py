"""The tasks of lm-evaluation-harness on a model of ours, in this process.

lm-eval is no dependency: it is imported with this module, which nothing here imports. ::

    from lm_eval import simple_evaluate
    from corpus.trainer.evaluation.lm_eval import CorpusLM

    simple_evaluate(model=CorpusLM.open("data/model"), tasks=["hellaswag", "lambada_openai"])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM

from corpus.trainer.device import choose_device
from corpus.trainer.evaluation.requests import Request, document, encode
from corpus.trainer.evaluation.scoring import Scorer
from corpus.trainer.pretrained import Pretrained, open_model
from corpus.trainer.sampling import generate

_MOST_NEW_TOKENS = 256  # where a task names no number: lm-eval's own default


class CorpusLM(TemplateLM):  # type: ignore[misc]
    """A model that `corpus train` has written, as lm-eval asks for it.

    Args:
        opened: The model.
        batch_tokens: Tokens that are computed at once.
    """

    def __init__(self, opened: Pretrained, *, batch_tokens: int = 16_384) -> None:
        super().__init__()
        self.opened = opened
        context = opened.model.shape.context
        self.scorer = Scorer(opened.model, context, max(1, context // 2), batch_tokens)

    @classmethod
    def open(cls, path: str, *, device: str = "auto", batch_tokens: int = 16_384) -> CorpusLM:
        """Open the model of a run or checkpoint (`pretrained.open_model`)."""
        opened = open_model(path, device=choose_device(device))
        return cls(opened, batch_tokens=batch_tokens)

    @property
    def eot_token_id(self) -> int:
        """The token that ends a document, and stands for an empty context."""
        return self.opened.tokenizer.end_of_text

    def tok_encode(self, string: str, **_: Any) -> list[int]:
        """Return the tokens of a text; none is added before it."""
        tokens: list[int] = encode(self.opened.tokenizer, string).tolist()
        return tokens

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        asked = [
            Request(np.array([*context, *completion], dtype=np.int64), len(context))
            for _, context, completion in requests
        ]
        return [(score.log_probability, score.greedy) for score in self.scorer(asked)]

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Return log P of whole documents."""
        texts = [document(self.opened.tokenizer, one.args[0]) for one in requests]
        return [score.log_probability for score in self.scorer(texts)]

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return what follows each text, up to the first of the texts that end it.

        Raises:
            ValueError: A task asks for random draws: the seed is not lm-eval's to give here.
        """
        found = []
        for one in requests:
            text, settings = one.args
            if settings.get("do_sample") or settings.get("temperature", 0):
                raise ValueError("only the likeliest token is generated, without draws")
            until = settings.get("until") or []
            wanted = int(settings.get("max_gen_toks", _MOST_NEW_TOKENS))
            tokens = self.tok_encode(text) or [self.eot_token_id]
            made = generate(self.opened.model, tokens, tokens=wanted, temperature=0, seed=0)
            if self.eot_token_id in made:
                made = made[: made.index(self.eot_token_id)]
            written = self.opened.tokenizer.decode(np.array(made, dtype=np.int64))
            for end in [until] if isinstance(until, str) else until:
                written = written.split(end, 1)[0] if end else written
            found.append(written)
        return found
