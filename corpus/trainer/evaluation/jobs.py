"""What a recipe asks for, one result file at a time: a task with a number of shots, or a text.

In: the recipe. Out: `Job`s: a label, the key that says whether a former result still holds, and a
function that computes the outcomes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from corpus import storage
from corpus.errors import InputError, RecipeError
from corpus.trainer.config import find_mixture
from corpus.trainer.evaluation import arithmetic, bleu, items, marks, texts
from corpus.trainer.evaluation.config import EvaluateConfig, TaskConfig, TextConfig
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.judge import Judge, answer_ends
from corpus.trainer.evaluation.outcomes import Outcome
from corpus.trainer.evaluation.prompts import Prompts
from corpus.trainer.evaluation.scoring import Scorer
from corpus.trainer.evaluation.task import Task
from corpus.trainer.evaluation.tasks import TASKS
from corpus.trainer.pretrained import Pretrained
from corpus.trainer.sequences import MixtureSequences

VERSION = 2  # of what the numbers mean; part of every key
_POOL = 2000  # questions that the examples of prompts are drawn from, where questions are made


@dataclass(frozen=True)
class Job:
    """One result file.

    Attributes:
        label: Its name.
        name: Of the task or text.
        setting: "zero-shot", "one-shot", "few-shot", or "language modelling".
        shots: K, as asked for.
        metrics: Which of its metrics are shown in the table.
        benchmark: Name in the build, for clean examples.
        facts: What the outcomes depend on.
        outcomes: Computes them.
    """

    label: str
    name: str
    setting: str
    shots: int
    metrics: tuple[str, ...]
    benchmark: str
    facts: dict[str, Any]
    outcomes: Callable[[], Iterator[Outcome]] = field(repr=False)

    @property
    def key(self) -> str:
        """Digest of all that the outcomes depend on."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


def jobs(config: EvaluateConfig, opened: Pretrained, facts: dict[str, Any]) -> Iterator[Job]:
    """Yield the jobs of a recipe, in its order; files are looked for at once, and read later.

    Args:
        config: The recipe.
        opened: The model.
        facts: What every outcome depends on: the model, the context, ...

    Raises:
        InputError: A file is missing.
        RecipeError: The context has no room for an answer.
    """
    context = config.context or opened.model.shape.context
    for number, task in enumerate(config.tasks):
        for shots in task.shots:
            yield _task_job(config, task, task.k(shots), f"tasks.{number}", opened, context, facts)
    for number, text in enumerate(config.lm):
        yield from _text_jobs(config, text, f"lm.{number}", opened, context, facts)


_UNITS = {"word": "word_perplexity", "char": "bits_per_character", "byte": "bits_per_byte"}


def _task_job(
    config: EvaluateConfig,
    wanted: TaskConfig,
    shots: int,
    key: str,
    opened: Pretrained,
    context: int,
    facts: dict[str, Any],
) -> Job:
    task = TASKS[wanted.task]
    if task.kind == "written" and task.tokens >= context:
        raise RecipeError(
            f"a context of {context} tokens has no room for an answer of {task.tokens}",
            where=f"{key}.task",
            fix="Leave the task out, or evaluate a model with a longer context",
        )
    versions = {}
    if task.grade is marks.translation:
        bleu.require(f"{key}.task")
        versions["sacrebleu"] = bleu.version()
    paths = items.files(wanted.path, key=f"{key}.path") if wanted.path else []
    train = items.files(wanted.train, key=f"{key}.train") if wanted.train and shots else []
    settings = wanted.model_dump(exclude={"shots", "path", "train", "name", "decontaminated"})

    def outcomes() -> Iterator[Outcome]:
        examples = _examples(config, wanted, task, paths, shots)
        pool = _pool(config, wanted, task, train, shots)
        scorer = Scorer(opened.model, context, max(1, context // 2), config.batch_tokens)
        prompts = Prompts(
            name=wanted.task,
            seed=config.seed,
            pool=pool,
            shots=shots,
            delimiter=task.delimiter,
            instruction=task.instruction_of(shots),
            tokenizer=opened.tokenizer,
            room=context,
            same=task.same_examples,
        )
        stop = answer_ends(opened.tokenizer)
        beams = wanted.beams or task.beams
        yield from Judge(task, prompts, scorer, opened.tokenizer, beams, stop)(examples)

    return Job(
        label=f"{wanted.label}.{shots}-shot",
        name=wanted.label,
        setting={0: "zero-shot", 1: "one-shot"}.get(shots, "few-shot"),
        shots=shots,
        metrics=task.metrics,
        benchmark=wanted.decontaminated or wanted.label,
        facts={
            **facts,
            **settings,
            **versions,
            "seed": config.seed,
            "shots": shots,
            "files": _digests(paths),
            "train": _digests(train),
        },
        outcomes=outcomes,
    )


def _digests(paths: Sequence[str]) -> list[tuple[str, str]]:
    return [(storage.name(path), storage.digest(path)[1]) for path in paths]


def _examples(
    config: EvaluateConfig, wanted: TaskConfig, task: Task, paths: Sequence[str], shots: int
) -> Iterator[Example]:
    if wanted.generate is not None:
        found = arithmetic.questions(wanted.task, seed=config.seed, first=0, count=wanted.generate)
    else:
        found = read_examples(task, paths, with_prompt=shots > 0)
    return itertools.islice(found, wanted.limit)


def _pool(
    config: EvaluateConfig, wanted: TaskConfig, task: Task, train: Sequence[str], shots: int
) -> list[Example]:
    """Return the examples that prompts are drawn from."""
    if not shots:
        return []
    if wanted.generate is not None and not train:
        first = wanted.generate
        return list(arithmetic.questions(wanted.task, seed=config.seed, first=first, count=_POOL))
    return list(read_examples(task, train, with_prompt=True, solved=True))


def read_examples(
    task: Task, paths: Sequence[str], *, with_prompt: bool, solved: bool = False
) -> Iterator[Example]:
    """Yield the examples of files, in their order.

    Args:
        task: Their task.
        paths: The files.
        with_prompt: Other examples stand before them.
        solved: They are to stand in prompts.

    Raises:
        InputError: A file cannot be read, or is not that of the task.
    """
    for path in paths:
        number = 0
        examples = task.examples(
            items.read(path, is_json=task.is_json), with_prompt=with_prompt, solved=solved
        )
        for example in examples:
            number += not example.part  # parts of one item share its number
            yield replace(example, place=f"{storage.name(path)}:{number}")
        if not number:
            raise InputError("there is no example in this file", where=path)


def _text_jobs(
    config: EvaluateConfig,
    wanted: TextConfig,
    key: str,
    opened: Pretrained,
    context: int,
    facts: dict[str, Any],
) -> Iterator[Job]:
    stride = wanted.stride or max(1, context // 2)
    if stride > context:
        raise RecipeError(
            f"a stride of {stride} leaves tokens out: the context is {context}",
            where=f"{key}.stride",
            fix="Set it to the context or less; half of it is the default",
        )
    scorer = Scorer(opened.model, context, stride, config.batch_tokens)
    settings = wanted.model_dump(exclude={"path", "mixture", "source", "name", "unit"})

    def job(label: str, read: Callable[[], Iterator[texts.Document]], more: dict[str, Any]) -> Job:
        def outcomes() -> Iterator[Outcome]:
            documents = itertools.islice(read(), wanted.limit)
            yield from texts.measure(
                documents,
                detokenizer=wanted.detokenizer,
                scorer=scorer,
                tokenizer=opened.tokenizer,
            )

        return Job(
            label=label,
            name=label,
            setting="language modelling",
            shots=0,
            metrics=(_UNITS[wanted.unit],),
            benchmark=label,
            facts={**facts, **settings, "stride": stride, **more},
            outcomes=outcomes,
        )

    if wanted.path is not None:
        paths = items.files(wanted.path, key=f"{key}.path")
        yield job(wanted.name, lambda: texts.read(wanted, paths), {"files": _digests(paths)})
        return
    assert wanted.mixture is not None
    sequences = MixtureSequences.open(find_mixture(wanted.mixture))
    tokenizer = sequences.tokenizer()
    held = [
        name
        for number, name in enumerate(sequences.sources)
        if len(sequences.stream(number, held_out=True))
    ]
    if not held:
        raise InputError(
            "the mixture has held out no documents",
            where=sequences.path,
            fix="Raise mix.validation in the recipe of the build",
        )
    for source in [wanted.source] if wanted.source is not None else held:
        label = wanted.name if wanted.source is not None else f"{wanted.name}.{source}"

        def held_out(source: str = source) -> Iterator[texts.Document]:
            return texts.held_out(sequences, source, tokenizer)

        yield job(label, held_out, {"mixture": sequences.digest, "source": source})
