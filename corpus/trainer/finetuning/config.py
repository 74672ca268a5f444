"""The recipe of a fine-tuning: `finetune.yaml` to frozen models. Every default of it stands here.

Defaults are those of GPT-1 ("Improving Language Understanding by Generative Pre-Training"), section
4.1, where the paper prints them, else of its released code (`train.py` of finetune-transformer-lm,
"the code" below). Paths are relative to the working directory, as in `train.yaml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from corpus.settings import Settings, load_settings

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Kind = Literal["classification", "entailment", "similarity", "multiple_choice"]
Metric = Literal["accuracy", "macro_f1", "matthews", "pearson"]
AnswerForm = Literal["index", "number", "letter", "text", "key"]


class FieldsConfig(Settings):
    """Which field of a line holds what: names, or dotted paths through objects and lists."""

    text: str | None = None
    """classification: the text."""
    first: str | None = None
    """entailment: the premise; similarity: one of the two texts."""
    second: str | None = None
    """entailment: the hypothesis; similarity: the other text."""
    label: str | None = None
    """The label, text or a whole number; of a task with `target: score`, a number."""
    context: str | None = None
    """multiple_choice: the passage, story or premise that the question is about, where there is
    one (the paper's z)."""
    question: str | None = None
    """multiple_choice: the question, where there is one (the paper's q)."""
    choices: str | list[str] | None = None
    """multiple_choice: a path to a list of texts (`question.choices.text`), or a list of paths of
    one text each (`[choice1, choice2]`)."""
    answer: str | None = None
    """multiple_choice: which of the choices is right."""
    keys: str | None = None
    """multiple_choice with `answers: key`: a path to the list of the choices' own names."""


_REQUIRED = {
    "classification": ("text", "label"),
    "entailment": ("first", "second", "label"),
    "similarity": ("first", "second", "label"),
    "multiple_choice": ("choices", "answer"),
}
_OPTIONAL = {"multiple_choice": ("context", "question", "keys")}


class TaskConfig(Settings):
    """A labelled task: JSON lines, plain or compressed (`.gz`, `.zst`)."""

    kind: Kind
    """How an input is made (GPT-1, Figure 1): `classification` of one text, `entailment` of a
    premise and a hypothesis, `similarity` of two texts without an order, `multiple_choice`."""
    train: str | list[str]
    """Files to train on, or patterns."""
    validation: str | list[str]
    """Files that the model is evaluated on after every epoch."""
    test: str | list[str] | None = None
    """Files that it is evaluated on once, at the end."""
    fields: FieldsConfig
    """Which field of a line holds what."""
    target: Literal["class", "score"] = "class"
    """`class`: labels are names. `score`: labels are numbers to be predicted (as STS-B's
    similarities), by the squared error of the scores scaled to mean 0 and variance 1."""
    answers: AnswerForm = "index"
    """How `fields.answer` says it: `index` counts from 0, `number` from 1, `letter` is A, B, ...,
    `text` is the text of the choice, `key` one of `fields.keys`."""
    labels: list[str] | None = None
    """The labels in their order. Left out, those of the training files, sorted."""
    ignore_labels: tuple[str, ...] = ()
    """Examples with these labels are left out and counted: `["-"]` for SNLI, where its annotators
    did not agree."""
    metric: Metric | None = None
    """What stands first in the report: `accuracy`, `macro_f1`, `matthews` (CoLA) or `pearson`
    (STS-B). Left out: accuracy, or Pearson's correlation for scores. All that apply are written."""

    @model_validator(mode="after")
    def _complete(self) -> TaskConfig:
        required = _REQUIRED[self.kind]
        given = {name for name, value in self.fields.model_dump().items() if value is not None}
        missing = [name for name in required if name not in given]
        if missing:
            raise ValueError(f"a task of kind {self.kind} needs fields.{', fields.'.join(missing)}")
        unused = sorted(given - {*required, *_OPTIONAL.get(self.kind, ())})
        if unused:
            raise ValueError(f"a task of kind {self.kind} has no fields.{', fields.'.join(unused)}")
        if self.kind == "multiple_choice":
            if self.target == "score" or self.labels is not None:
                raise ValueError("multiple_choice takes neither target: score nor labels")
            if isinstance(self.fields.choices, list) and len(self.fields.choices) < 2:
                raise ValueError("fields.choices has to name two choices at least")
        if (self.answers == "key") != (self.fields.keys is not None):
            raise ValueError("answers: key and fields.keys go together")
        if self.labels is not None and (
            len(set(self.labels)) < len(self.labels) or len(self.labels) < 2
        ):
            raise ValueError("labels has to name two different labels at least, each once")
        scored = self.target == "score"
        if scored and (self.labels is not None or self.ignore_labels):
            raise ValueError("scores have no labels: leave out labels and ignore_labels")
        if self.metric is not None and scored != (self.metric == "pearson"):
            raise ValueError(f"metric: {self.metric} does not go with target: {self.target}")
        if self.kind == "multiple_choice" and self.metric not in (None, "accuracy"):
            raise ValueError("the metric of multiple_choice is accuracy: choices are no classes")
        return self

    @property
    def headline(self) -> Metric:
        """The metric that stands first."""
        return self.metric or ("pearson" if self.target == "score" else "accuracy")


class OptimizerConfig(Settings):
    """Adam and its schedule."""

    learning_rate: Annotated[float, Field(gt=0)] = 6.25e-5
    """Highest learning rate: "learning rate of 6.25e-5" (section 4.1)."""
    warmup_share: Share = 0.002
    """Share of the run in which the rate rises: "warmup over 0.2% of training" (section 4.1).
    From there it falls linearly to 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled, "on all non bias or gain weights", w = 0.01 (section 4.1)."""
    beta1: Share = 0.9
    """Adam's decay of the mean (the code)."""
    beta2: Share = 0.999
    """Adam's decay of the square (the code)."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """Adam's epsilon (the code)."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Highest global norm of the gradient (the code)."""


class FinetuneConfig(Settings):
    """All of `finetune.yaml`."""

    model: str
    """The pretrained model: the output folder of `corpus train`, or one of its checkpoints."""
    output: str
    """Folder for the model, metrics, results and predictions. A run that stopped goes on from
    it."""
    seed: int = Field(ge=0, lt=2**63)
    """Seed of the new weights, of dropout and of the order of the examples."""
    task: TaskConfig
    """The task."""
    initialization: Literal["pretrained", "random"] = "pretrained"
    """`random`: the shape and the vocabulary of `model`, but new weights: what pretraining is worth
    ("Transformer w/o pre-training" in Table 5)."""
    epochs: PositiveInt = 3
    """Passes over the training examples: "3 epochs of training was sufficient" (section 4.1)."""
    batch_examples: PositiveInt = 32
    """Examples an optimizer step: "a batchsize of 32" (section 4.1)."""
    micro_batch: PositiveInt = 8
    """Examples that are computed at once: more is faster and takes more memory. The code has 8 on
    each of its four GPUs."""
    lm_weight: Annotated[float, Field(ge=0)] = 0.5
    """lambda of L3 = L2 + lambda * L1, the weight of the language model's loss: "lambda was set to
    0.5" (section 4.1). 0 leaves it out ("w/o aux LM" in Table 5)."""
    dropout: Share = 0.1
    """On embeddings, attention and residuals: "a rate of 0.1" (section 4.1)."""
    classifier_dropout: Share = 0.1
    """On the state that the head sees: "we add dropout to the classifier with a rate of 0.1"."""
    checkpoint_every: PositiveInt = 500
    """Steps between two checkpoints; there is one at the end of every epoch besides. Ours."""
    report_every: PositiveInt = 10
    """Steps between two looks at the loss: on a GPU each look waits for it. Ours."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: one GPU where there is one, else the CPU. bfloat16 on a GPU, float32 on a CPU."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Adam and its schedule."""


def load_finetune_config(path: str, overrides: Sequence[str] = ()) -> FinetuneConfig:
    """Return the recipe of a fine-tuning.

    Args:
        path: `finetune.yaml`, a local path or a URL.
        overrides: `key.path=value` each, applied before validation.

    Raises:
        RecipeError: The file cannot be read, or anything in it is wrong.
    """
    return load_settings(FinetuneConfig, path, overrides)
