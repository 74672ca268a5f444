"""An evaluation from its recipe to its results.

In the output folder::

    results.json               every number, with its interval, and what was evaluated
    examples/<label>.jsonl     what came of each example
    examples/<label>.key.json  what that file depends on, and its digest

A result whose key is the same and whose file is whole is not computed again: an evaluation that was
stopped goes on, and one more task costs that task.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from corpus import storage
from corpus.errors import InputError, RecipeError
from corpus.trainer import checkpoint
from corpus.trainer.device import choose_device
from corpus.trainer.evaluation import bleu
from corpus.trainer.evaluation.clean import Overlaps
from corpus.trainer.evaluation.config import EvaluateConfig
from corpus.trainer.evaluation.jobs import VERSION, Job, jobs
from corpus.trainer.evaluation.outcomes import Estimate, Outcome, estimates
from corpus.trainer.pretrained import Pretrained, open_model

log = logging.getLogger(__name__)

RESULTS = "results.json"
FORMAT = 1


def evaluate(config: EvaluateConfig, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Evaluate a model as a recipe says, and return what `results.json` holds.

    Args:
        config: The recipe.
        say: Called with a line about each result.

    Raises:
        RecipeError: The recipe asks for what does not fit together.
        InputError: The model, a file or the build is not there, or not what it should be.
        OutputError: The output folder cannot be written.
    """
    device = choose_device(config.device)
    opened = open_model(config.model, device=device)
    _check(config, opened)
    model = fingerprint(opened)
    facts = {
        "version": VERSION,
        "weights": model["weights"],
        "vocabulary": [model["vocabulary"], opened.tokenizer.end_of_text],
        "context": config.context or opened.model.shape.context,
        "batch_tokens": config.batch_tokens,
        "device": device.type,
    }
    overlaps = Overlaps.open(config.decontaminated) if config.decontaminated else None
    rows: list[dict[str, Any]] = []
    with storage.lock(config.output):
        storage.sweep(config.output)
        for job in list(jobs(config, opened, facts)):
            outcomes, is_new = _outcomes(config.output, job)
            of_job = [*_rows(job, outcomes, overlaps)]
            rows += of_job
            say(_line(of_job, is_new))
        results = {
            "format": FORMAT,
            "model": model,
            "seed": config.seed,
            "context": facts["context"],
            "decontaminated": config.decontaminated,
            "results": rows,
        }
        storage.write_json(storage.join(config.output, RESULTS), results)
    return results


def _check(config: EvaluateConfig, opened: Pretrained) -> None:
    shape = opened.model.shape
    if config.context is not None and config.context > shape.context:
        raise RecipeError(
            f"the model's context is {shape.context} tokens",
            where="context",
            fix=f"Set it to {shape.context} or less, or leave it out",
        )
    if opened.tokenizer.vocabulary_size > shape.vocabulary_size:
        raise InputError(
            f"the vocabulary has {opened.tokenizer.vocabulary_size:,} tokens and the model "
            f"{shape.vocabulary_size:,}",
            where=opened.folder,
            fix="Use a checkpoint that corpus train has written",
        )


def fingerprint(opened: Pretrained) -> dict[str, Any]:
    """Return what tells a model from any other."""
    content = storage.read_json(storage.join(opened.folder, checkpoint.CONTENT))
    return {
        "folder": opened.folder,
        "step": opened.step,
        "parameters": opened.model.parameter_count(),
        "weights": content["files"][checkpoint.WEIGHTS]["sha256"],
        "vocabulary": opened.tokenizer.digest,
    }


def _outcomes(output: str, job: Job) -> tuple[list[Outcome], bool]:
    """Return the outcomes of a job, and whether they were computed now."""
    path = storage.join(output, "examples", f"{job.label}.jsonl")
    key_path = storage.join(output, "examples", f"{job.label}.key.json")
    if storage.exists(path) and storage.exists(key_path):
        known = storage.read_json(key_path)
        if known["key"] == job.key and storage.digest(path)[1] == known["sha256"]:
            lines = storage.read_bytes(path).decode().splitlines()
            return [Outcome.from_json(json.loads(line)) for line in lines], False
    outcomes = []
    with storage.publish(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for outcome in job.outcomes():
            outcomes.append(outcome)
            file.write(json.dumps(outcome.to_json(), ensure_ascii=False) + "\n")
    if not outcomes:
        raise InputError("there is nothing to evaluate", where=job.label)
    sha256 = storage.digest(path)[1]
    storage.write_json(key_path, {"key": job.key, "sha256": sha256, "facts": job.facts})
    return outcomes, True


def _rows(job: Job, outcomes: Sequence[Outcome], overlaps: Overlaps | None) -> list[dict[str, Any]]:
    """Return a row for each metric of a job."""
    clean: dict[str, Estimate] = {}
    if overlaps is not None and job.setting != "language modelling":
        chosen = overlaps.clean(job.benchmark, outcomes)
        clean = {one.metric: one for one in estimates(chosen)}
    shots = [outcome.shots for outcome in outcomes]
    facts = {
        "task": job.name,
        "label": job.label,
        "setting": job.setting,
        "k": job.shots,
        "k_mean": sum(shots) / len(shots),
        "k_reduced": sum(one < job.shots for one in shots),
        "n": len(outcomes),
        "cut": sum(outcome.cut > 0 for outcome in outcomes),
        "key": job.key,
    }
    left = sum(outcome.details.get("lines_left_as_they_were", 0) for outcome in outcomes)
    if job.facts.get("detokenizer", "none") != "none":
        facts["lines_left_as_they_were"] = left
    rows = []
    for one in estimates(outcomes):
        row = {**facts, **asdict(one), "shown": one.metric in job.metrics}
        if one.metric in bleu.TOKENIZATIONS:
            row["signature"] = bleu.signature(one.metric)
        if overlaps is not None:
            row["clean"] = _clean(clean.get(one.metric), one)
        rows.append(row)
    return rows


def _clean(clean: Estimate | None, every: Estimate) -> dict[str, Any] | None:
    """Return a result on clean examples, and by how much it differs, relative to all."""
    if clean is None:
        return None
    change = (clean.value - every.value) / every.value if every.value else None
    return {**asdict(clean), "relative_difference": change}


def _line(rows: Sequence[dict[str, Any]], is_new: bool) -> str:
    shown = ", ".join(f"{row['metric']} {row['value']:.4g}" for row in rows if row["shown"])
    again = "" if is_new else " (as before)"
    return f"{rows[0]['label']}: {shown}, n {rows[0]['n']}{again}"
