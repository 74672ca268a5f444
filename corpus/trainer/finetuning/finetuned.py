"""A fine-tuned model as it is used: opened from its folder, and asked about new examples.

::

    model = open_finetuned("data/spam-model")
    for line in model.predict(["mails.jsonl"]):
        line["predicted"]

A checkpoint of a fine-tuning is one of `corpus.trainer.checkpoint` whose model has three tokens
more and a head, and whose settings say what the head means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from corpus.errors import InputError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import checkpoint
from corpus.trainer.finetuning import evaluation
from corpus.trainer.finetuning.config import FinetuneConfig, TaskConfig
from corpus.trainer.finetuning.data import Scale, Split, make_split
from corpus.trainer.finetuning.evaluation import Outcome
from corpus.trainer.finetuning.examples import read
from corpus.trainer.finetuning.model import FinetunedGPT
from corpus.trainer.model import GPT
from corpus.trainer.pretrained import architecture_of, tokenizer_of

_FILES = ("train", "validation", "test")  # not of the task itself: other files may be predicted


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A fine-tuned model.

    Attributes:
        folder: Folder of its checkpoint.
        model: Decoder and head, in evaluation mode.
        tokenizer: The pretrained model's; the three tokens behind it are `model.special`.
        outcome: What its outputs mean: task, labels, scale.
        step: Optimizer steps of the fine-tuning.
    """

    folder: str
    model: FinetunedGPT
    tokenizer: Tokenizer
    outcome: Outcome
    step: int

    def split(self, name: str, patterns: str | Sequence[str], *, labelled: bool) -> Split:
        """Return the examples of files as the model takes them.

        Raises:
            InputError: A file cannot be read, or an example is not as the task says.
        """
        task = self.outcome.task
        return make_split(
            name,
            task,
            read(task, patterns, labelled=labelled),
            labels=self.outcome.labels,
            tokenizer=self.tokenizer,
            special=self.model.special,
            context=self.model.shape.context,
            labelled=labelled,
        )

    def predict(
        self, patterns: str | Sequence[str], *, micro_batch: int = 8
    ) -> Iterator[dict[str, Any]]:
        """Yield a prediction for each example of files whose labels, if any, are not looked at.

        Raises:
            InputError: As for `split`.
        """
        split = self.split("new", patterns, labelled=False)
        found = evaluation.outputs(self.model, split.packed, micro_batch=micro_batch)
        yield from evaluation.predictions(split, found, self.outcome)


def _weights_digest(model: GPT) -> str:
    """Return the SHA-256 of a model's weights, whatever files they lay in."""
    hasher = hashlib.sha256()
    for name, weights in sorted(model.named_parameters()):
        hasher.update(f"{name} {tuple(weights.shape)} ".encode())
        hasher.update(weights.detach().cpu().contiguous().float().numpy().tobytes())
    return hasher.hexdigest()


def decisive_settings(
    config: FinetuneConfig, model: FinetunedGPT, outcome: Outcome, pretrained: GPT, train: Split
) -> dict[str, Any]:
    """Return what the weights after n steps depend on, and what their outputs mean."""
    names = {"seed", "initialization", "epochs", "batch_examples", "micro_batch", "lm_weight"}
    names |= {"dropout", "classifier_dropout"}
    return {
        **{f"model.{key}": value for key, value in asdict(model.shape).items()},
        **{f"optimizer.{k}": v for k, v in config.optimizer.model_dump().items()},
        **{name: getattr(config, name) for name in sorted(names)},
        **_outcome_settings(outcome),
        "pretrained": _weights_digest(pretrained),
        "train": train.digest(),
    }


def _outcome_settings(outcome: Outcome) -> dict[str, Any]:
    """Return what the outputs of a model mean, for the settings of its checkpoint."""
    scale = outcome.scale
    return {
        "task": outcome.task.model_dump(mode="json", exclude={*_FILES, "metric"}),
        "task.labels": list(outcome.labels),
        "task.majority": outcome.majority,
        "task.scale": [scale.mean, scale.deviation] if scale else None,
    }


def _outcome(settings: Mapping[str, Any]) -> Outcome:
    task = TaskConfig.model_validate({**settings["task"], "train": [], "validation": []})
    scale = settings["task.scale"]
    return Outcome(
        task, tuple(settings["task.labels"]), settings["task.majority"], scale and Scale(*scale)
    )


def open_finetuned(path: str, *, device: torch.device | None = None) -> Finetuned:
    """Return the model of a fine-tuning.

    Args:
        path: Its output folder, or the folder of one of its checkpoints.
        device: Where to put the weights; None: the CPU.

    Raises:
        InputError: There is no checkpoint, or it is not one of a fine-tuning.
        IntegrityError: The checkpoint is damaged, or every one in the folder is.
    """
    found = checkpoint.load_run(
        path,
        what="fine-tuned model",
        fix="Run: corpus finetune --config finetune.yaml, and name its output folder",
    )
    if "task.labels" not in found.settings:
        raise InputError(
            "this model was pretrained and not fine-tuned",
            where=found.folder,
            fix="Name the output folder of corpus finetune",
        )
    outcome = _outcome(found.settings)
    with torch.device("meta"):
        model = FinetunedGPT(
            architecture_of(found), kind=outcome.task.kind, outputs=outcome.outputs
        )
    model.to_empty(device=device or torch.device("cpu"))
    checkpoint.restore_weights(found, model)
    model.eval()
    words = tokenizer_of(found)
    return Finetuned(found.folder, model, words, outcome, found.step)
