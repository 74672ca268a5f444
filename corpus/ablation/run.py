"""An ablation from its recipe to its results: a model of each build and seed, and its marks.

In the output folder::

    runs/<build>-<seed>/train        checkpoints and metrics of one model
    runs/<build>-<seed>/evaluation   its results
    results.json                     every measure of every build, with intervals, and what it is of
    index.html                       the same for a person, with a plot

All models see the same number of tokens, in sequences of the same length and of one vocabulary. A
run that was stopped goes on; a model that is there is not trained again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from corpus import storage
from corpus.ablation.config import AblateConfig
from corpus.ablation.statistics import difference, mean
from corpus.errors import InputError
from corpus.mix.mixture import Mixture
from corpus.trainer.config import TrainConfig, find_mixture, load_train_config
from corpus.trainer.evaluation.config import EvaluateConfig, load_evaluate_config
from corpus.trainer.evaluation.run import evaluate
from corpus.trainer.loop import train
from corpus.trainer.metrics import Metrics

RESULTS, FORMAT = "results.json", 1
Values = dict[tuple[str, str], dict[str, list[float]]]  # by measure and build: a value a seed
Ablation = dict[str, Any]  # the content of results.json


def ablate(config: AblateConfig, *, say: Callable[[str], None]) -> Ablation:
    """Train and evaluate every model, and return what `results.json` holds.

    Args:
        config: The recipe.
        say: Called with a line about each model.

    Raises:
        RecipeError: The recipe, or one that it names, is wrong.
        InputError: A build has no mix, or the builds cannot be compared.
        StageError: A training diverged.
        OutputError: The output folder cannot be written.
    """
    training = load_train_config(config.train)
    evaluation = load_evaluate_config(config.evaluate)
    mixtures = {name: find_mixture(path) for name, path in config.builds.items()}
    builds = {name: _traced(config.builds[name], path) for name, path in mixtures.items()}
    _check_comparable(builds)
    values: Values = {}
    tokens: dict[str, int] = {}
    shown: dict[tuple[str, str], bool] = {}
    with storage.lock(config.output):
        for seed in config.seeds:
            for name, mixture in mixtures.items():
                folder = storage.join(config.output, "runs", f"{name}-{seed}")
                of_one = training.model_copy(
                    update={
                        "mixture": mixture,
                        "output": storage.join(folder, "train"),
                        "seed": seed,
                    }
                )
                tokens[name], rows = _one(of_one, evaluation, folder)
                for row in rows:
                    measure = (row["label"], row["metric"])
                    values.setdefault(measure, {}).setdefault(name, []).append(row["value"])
                    shown[measure] = row["shown"]
                say(_line(name, seed, rows))
        results = {
            "format": FORMAT,
            "baseline": config.base,
            "seeds": list(config.seeds),
            "tokens": _equal(tokens),
            "builds": builds,
            "measures": [
                _compared(measure, by_build, config.base, shown[measure])
                for measure, by_build in values.items()
            ],
        }
        storage.write_json(storage.join(config.output, RESULTS), results)
    return results


def _one(
    training: TrainConfig, evaluation: EvaluateConfig, folder: str
) -> tuple[int, list[dict[str, Any]]]:
    """Train and evaluate one model; return the tokens that it saw, and the rows of its results."""

    def unseen(metrics: Metrics) -> None:
        """Leave each step to metrics.jsonl."""

    def unsaid(line: str) -> None:
        """Leave each result to results.json."""

    summary = train(training, report=unseen)
    of_one = evaluation.model_copy(
        update={"model": summary.output, "output": storage.join(folder, "evaluation")}
    )
    return summary.tokens, evaluate(of_one, say=unsaid)["results"]


def _traced(path: str, mixture_path: str) -> dict[str, Any]:
    """Return what tells a build from any other: its stages' folders, and its mixture."""
    mixture = Mixture.from_json(storage.read_json(mixture_path), where=mixture_path)
    made = storage.join(path, "build.json")
    known = storage.read_json(made) if not path.endswith(".json") and storage.exists(made) else {}
    return {
        "path": path,
        "mixture": mixture.fingerprint,
        "stages": known.get("stages", {}),
        "sequence_length": mixture.sequence_length,
        "vocabulary": mixture.vocabulary.digest,
        "tokens": {source.name: source.tokens for source in mixture.sources},
    }


def _check_comparable(builds: Mapping[str, Mapping[str, Any]]) -> None:
    for key, fix in (
        ("sequence_length", "Give the recipes the same mix.sequence_length"),
        ("vocabulary", "Tokenize both builds with one vocabulary"),
    ):
        found = {name: build[key] for name, build in builds.items()}
        if len(set(found.values())) > 1:
            raise InputError(
                f"the builds differ in their {key.replace('_', ' ')}",
                where="builds",
                why=", ".join(f"{name} has {str(value)[:12]}" for name, value in found.items()),
                fix=fix,
            )


def _equal(tokens: Mapping[str, int]) -> int:
    """Return the tokens that every model saw."""
    assert len(set(tokens.values())) == 1, tokens  # the same steps of the same batches
    return next(iter(tokens.values()))


def _compared(
    measure: tuple[str, str], values: Mapping[str, list[float]], base: str, is_shown: bool
) -> dict[str, Any]:
    """Return one measure of every build, with its difference from the baseline's."""
    return {
        "label": measure[0],
        "metric": measure[1],
        "shown": is_shown,
        "builds": {
            name: {
                "values": of_build,
                "mean": dataclasses.asdict(mean(of_build)),
                "difference": (
                    None if name == base else dataclasses.asdict(difference(of_build, values[base]))
                ),
            }
            for name, of_build in values.items()
        },
    }


def _line(name: str, seed: int, rows: list[dict[str, Any]]) -> str:
    shown = ", ".join(f"{r['label']} {r['metric']} {r['value']:.4g}" for r in rows if r["shown"])
    return f"{name}, seed {seed}: {shown}"
