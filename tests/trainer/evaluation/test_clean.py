"""The report of a real build, joined with results: the same examples by the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.look import overlap
from corpus.sources import benchmarks
from corpus.trainer.evaluation.clean import Overlaps
from corpus.trainer.evaluation.jobs import read_examples
from corpus.trainer.evaluation.outcomes import Outcome
from corpus.trainer.evaluation.tasks import TASKS
from tests.made import ENGINE, Recording, make_recipe, run, text, write_jsonl
from tests.trainer.evaluation import made_tasks


def piqa(number: int) -> dict[str, Any]:
    names = ("goal", "sol1", "sol2")
    return {name: " ".join(f"{name}{number}x{n}" for n in range(3)) for name in names} | {
        "label": 0
    }


def arc(number: int) -> dict[str, Any]:
    options = [{"text": f"option{number}x{c} more words", "label": c} for c in "AB"]
    stem = " ".join(f"stem{number}x{n}" for n in range(5))
    return {"id": f"arc-{number}", "question": {"stem": stem, "choices": options}} | {
        "answerKey": "A"
    }


def coqa(number: int) -> dict[str, Any]:
    questions = [f"question{number}x{turn} asked" for turn in range(2)]
    answers = [f"answer{number}x{turn} given" for turn in range(2)]
    return {"id": f"coqa-{number}", "story": " ".join(f"story{number}x{n}" for n in range(3))} | {
        "questions": questions,
        "answers": {"input_text": answers},
    }


def quoted(item: dict[str, Any]) -> str:
    """Return the text of an item as the decontamination's preset takes it."""
    if "story" in item:
        return " ".join([item["story"], *item["questions"], *item["answers"]["input_text"]])
    if "goal" in item:
        return f"{item['goal']} {item['sol1']} {item['sol2']}"
    question = item["question"]
    return " ".join([question["stem"], *(choice["text"] for choice in question["choices"])])


def test_examples_that_a_build_reports_as_dirty_are_those_that_are_left_out(tmp_path: Path) -> None:
    """The examples are shorter than 13 words, so they are found and not cut out."""
    made = {"piqa": piqa, "arc": arc, "coqa": coqa}
    rows = {name: [make(n) for n in range(9)] for name, make in made.items()}
    paths = {name: write_jsonl(tmp_path / f"{name}.jsonl", items) for name, items in rows.items()}
    dirty = [rows["piqa"][2], rows["piqa"][7], rows["arc"][4], rows["coqa"][5]]
    documents = [
        {"id": str(n), "text": f"{text(f'b{n}', 120)} {quoted(item)} {text(f'a{n}', 120)}"}
        for n, item in enumerate(dirty)
    ]
    source = write_jsonl(tmp_path / "source.jsonl", documents)
    benchmarks = {name: {"preset": name, "paths": str(path)} for name, path in paths.items()}
    recipe = make_recipe(
        {"s": {"documents": str(source)}}, decontaminate={"benchmarks": benchmarks}
    )
    made = overlap.evaluate(run(recipe, tmp_path / "out"), ENGINE, Recording())

    overlaps = Overlaps.open(made.folder)
    found = {}
    for name, path in paths.items():
        examples = read_examples(TASKS[name], [str(path)], with_prompt=False)
        clean = overlaps.clean(name, [Outcome.of(one) for one in examples])
        found[name] = [one.id for one in clean]

    assert found["piqa"] == [f"piqa.jsonl:{n}" for n in range(1, 10) if n not in (3, 8)]
    assert found["arc"] == [f"arc-{n}" for n in range(9) if n != 4]
    # A conversation is one example of the report, and each of its turns one here.
    assert found["coqa"] == [f"coqa-{n}#{turn}" for n in range(9) if n != 5 for turn in range(2)]


@pytest.mark.parametrize("name", made_tasks.FILES)
def test_every_example_is_found_in_the_report_by_what_the_report_calls_it(
    tmp_path: Path, name: str
) -> None:
    """Example by example in the same order: also where one of the report is several here."""
    task, preset, _ = made_tasks.FILES[name]
    path = made_tasks.write(tmp_path, name)
    reported = list(benchmarks.read(path, known=benchmarks.layouts(preset, None, None)))
    table = pa.table({"id": [one.id for one in reported], "dirty": [False] * len(reported)})
    folder = tmp_path / "evaluation-1" / "benchmarks"
    folder.mkdir(parents=True)

    examples = list(read_examples(TASKS[task], [path], with_prompt=False))
    outcomes = [Outcome.of(one) for one in examples]
    found: dict[str, list[str]] = {one.id: [] for one in reported}
    for number, one in enumerate(reported):
        dirty = pa.array([other == number for other in range(len(reported))])
        pq.write_table(table.set_column(1, "dirty", dirty), folder / f"000-{task}.parquet")
        clean = Overlaps.open(str(tmp_path / "evaluation-1")).clean(task, outcomes)
        found[one.id] = [other.id for other in outcomes if other not in clean]
    assert len(found) == len(reported)
    assert [id for ids in found.values() for id in ids] == [one.id for one in examples]
    # The name that is in the report's text is in the prompt of what was left out by it.
    prompts = {one.id: one.pairs[0][0] + one.solved for one in examples}
    for one in reported:
        (word,) = {name for name in made_tasks.NAMES if name in one.text.lower()}
        assert found[one.id]
        assert all(word in prompts[id].lower() for id in found[one.id])
