"""Whole evaluations: results, what goes on and what is made anew, clean examples, and errors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import storage
from corpus.errors import InputError, RecipeError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation import run
from corpus.trainer.evaluation.config import EvaluateConfig
from corpus.trainer.evaluation.report import describe
from corpus.trainer.pretrained import Pretrained
from tests.trainer.conftest import write_mixture
from tests.trainer.evaluation.rigged import uniform, write_lines, write_model


def piqa(number: int, seed: int = 0) -> list[dict[str, Any]]:
    return [
        {"goal": f"Goal {seed} {n}.", "sol1": f"One {n}.", "sol2": f"Two {n}.", "label": n % 2}
        for n in range(number)
    ]


def recipe(folder: Path, encoder: Tokenizer, **changes: Any) -> EvaluateConfig:
    model = folder / "model"
    if not model.exists():
        write_model(model, encoder)
    path = write_lines(folder / "piqa.jsonl", piqa(12))
    train = write_lines(folder / "train.jsonl", piqa(12, seed=1))
    settings = {
        "model": str(model),
        "output": str(folder / "out"),
        "seed": 1,
        "device": "cpu",
        "tasks": [{"task": "piqa", "path": path, "train": train, "shots": [0, 2]}],
    }
    return EvaluateConfig.model_validate({**settings, **changes})


def evaluate(config: EvaluateConfig) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return run.evaluate(config, say=said.append), said


def test_results_are_written_with_all_that_they_depend_on(
    encoder: Tokenizer, tmp_path: Path
) -> None:
    config = recipe(tmp_path, encoder)
    results, said = evaluate(config)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
    shown = [row for row in results["results"] if row["shown"]]
    assert [(row["setting"], row["k"], row["n"]) for row in shown] == [
        ("zero-shot", 0, 12),
        ("few-shot", 2, 12),
    ]
    assert all(row["low"] <= row["value"] <= row["high"] for row in shown)
    assert results["model"]["vocabulary"] == encoder.digest
    weights = tmp_path / "model" / "checkpoints" / "step-00000001" / "model.safetensors"
    assert results["model"]["weights"] == storage.digest(str(weights))[1]
    lines = (tmp_path / "out" / "examples" / "piqa.0-shot.jsonl").read_text().splitlines()
    assert [json.loads(line)["place"] for line in lines] == [
        f"piqa.jsonl:{number}" for number in range(1, 13)
    ]
    assert [line.split(":")[0] for line in said] == ["piqa.0-shot", "piqa.2-shot"]


def test_context_that_is_too_short_is_reported(encoder: Tokenizer, tmp_path: Path) -> None:
    results, _ = evaluate(recipe(tmp_path, encoder, context=40))
    few = next(row for row in results["results"] if row["k"] == 2)
    assert few["k_reduced"] == 12
    assert few["k_mean"] < 2
    results, _ = evaluate(recipe(tmp_path, encoder, context=10))
    assert results["results"][0]["cut"] == 12
    said = [block for block in describe(results) if isinstance(block, str)]
    assert any("fewer than 2 examples" in line for line in said)
    assert any("the beginning of 12 of 12 prompts was cut off" in line for line in said)


def test_results_do_not_depend_on_where_and_how_often(encoder: Tokenizer, tmp_path: Path) -> None:
    first, _ = evaluate(recipe(tmp_path, encoder))
    second, _ = evaluate(recipe(tmp_path, encoder, output=str(tmp_path / "other")))
    assert first == second
    for path in (tmp_path / "out").rglob("*.json*"):
        other = tmp_path / "other" / path.relative_to(tmp_path / "out")
        assert path.read_bytes() == other.read_bytes()


def test_what_holds_is_not_computed_again(encoder: Tokenizer, tmp_path: Path) -> None:
    config = recipe(tmp_path, encoder)
    first, _ = evaluate(config)
    _, said = evaluate(config)
    assert all(line.endswith("(as before)") for line in said)

    def anew(**changes: Any) -> list[bool]:
        _, said = evaluate(recipe(tmp_path, encoder, **changes))
        return [not line.endswith("(as before)") for line in said]

    # One more task costs that task; another seed only where examples are drawn.
    more = {"task": "piqa", "name": "more", "path": str(tmp_path / "piqa.jsonl"), "limit": 3}
    assert anew(tasks=[*recipe(tmp_path, encoder).model_dump()["tasks"], more]) == [
        False,
        False,
        True,
    ]
    assert anew(batch_tokens=100) == [True, True]
    assert anew() == [True, True]
    # A file that was changed, or cut off by hand.
    path = tmp_path / "out" / "examples" / "piqa.0-shot.jsonl"
    path.write_text(path.read_text()[:50])
    assert anew() == [True, False]
    write_model(tmp_path / "model", encoder, seed=9)
    again, said = evaluate(config)
    assert not any(line.endswith("(as before)") for line in said)
    assert again["results"] != first["results"]


def test_file_that_has_changed_is_evaluated_again(encoder: Tokenizer, tmp_path: Path) -> None:
    config = recipe(tmp_path, encoder)
    evaluate(config)
    write_lines(tmp_path / "piqa.jsonl", piqa(5))
    results, said = evaluate(config)
    assert {row["n"] for row in results["results"]} == {5}
    assert not any(line.endswith("(as before)") for line in said)


def test_text_is_measured_a_word_a_character_and_a_byte(
    encoder: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model to which all tokens are equally likely: perplexity is V^(tokens/words)."""
    config = recipe(tmp_path, encoder)
    opened = Pretrained(
        run.open_model(config.model).folder, uniform(context=16), encoder, 1, {"": 0}
    )
    monkeypatch.setattr(run, "open_model", lambda path, device: opened)
    texts = ["Grün ist der Wald.", "und weit", " 你好 "]
    path = write_lines(tmp_path / "text.jsonl", [{"text": text} for text in texts])
    lines = tmp_path / "ptb.txt"
    lines.write_text(" it 's red \n do n't \n")
    results, _ = evaluate(
        recipe(
            tmp_path,
            encoder,
            tasks=[],
            lm=[
                {"name": "text", "path": path, "unit": "word"},
                {"name": "ptb", "path": str(lines), "detokenizer": "ptb", "unit": "word"},
            ],
        )
    )
    found = {(row["task"], row["metric"]): row["value"] for row in results["results"]}
    sizes = [len(text.encode()) for text in texts]
    words = sum(len(text.split()) for text in texts)
    assert found["text", "bits_per_byte"] == pytest.approx(math.log2(257))
    assert found["text", "word_perplexity"] == pytest.approx(257 ** (sum(sizes) / words), rel=1e-4)
    characters = sum(map(len, texts))
    assert found["text", "bits_per_character"] == pytest.approx(
        math.log2(257) * sum(sizes) / characters
    )
    # "it's red", "don't" and the line ends are scored; five words and two line ends are counted.
    tokens = len("it's red\ndon't\n")
    assert found["ptb", "word_perplexity"] == pytest.approx(257 ** (tokens / 7), rel=1e-4)
    assert [row["metric"] for row in results["results"] if row["shown"]] == ["word_perplexity"] * 2


def test_held_out_documents_of_a_mixture_are_measured(encoder: Tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "mix"
    folder.mkdir()
    mixture = write_mixture(folder)
    results, _ = evaluate(
        recipe(
            tmp_path,
            encoder,
            tasks=[],
            lm=[
                {"name": "held", "mixture": mixture},
                {"name": "one", "mixture": mixture, "source": "verse"},
            ],
        )
    )
    shown = {row["task"]: row for row in results["results"] if row["shown"]}
    assert list(shown) == ["held.prose", "held.verse", "one"]
    assert shown["one"]["value"] == shown["held.verse"]["value"]
    assert shown["one"]["n"] == 3
    assert 7.5 < shown["one"]["value"] < 8.5  # nearly uniform over 257, by random weights


def report(folder: Path, name: str, dirty: dict[str, bool]) -> str:
    inner = folder / "evaluation-1" / "benchmarks"
    inner.mkdir(parents=True)
    table = pa.table({"id": list(dirty), "dirty": list(dirty.values())})
    pq.write_table(table, inner / f"000-{name}.parquet")
    return str(folder / "evaluation-1")


def test_clean_examples_are_reported_beside_all(encoder: Tokenizer, tmp_path: Path) -> None:
    folder = report(tmp_path, "piqa", {f"piqa.jsonl:{n}": n % 3 == 0 for n in range(1, 13)})
    results, _ = evaluate(recipe(tmp_path, encoder, decontaminated=folder))
    row = results["results"][0]
    lines = (tmp_path / "out" / "examples" / "piqa.0-shot.jsonl").read_text().splitlines()
    right = [json.loads(line)["right"]["accuracy"] for line in lines]
    clean = [value for number, value in enumerate(right, start=1) if number % 3]
    assert row["clean"]["n"] == 8
    assert row["clean"]["value"] == sum(clean) / 8
    mean = sum(right) / 12
    assert row["clean"]["relative_difference"] == pytest.approx((sum(clean) / 8 - mean) / mean)
    table = next(iter(describe(results)))
    assert not isinstance(table, str)
    assert list(table.head[-3:]) == ["clean n", "clean", "difference"]


@pytest.mark.parametrize(
    ("name", "ids", "named"),
    [
        ("other", ["piqa.jsonl:1"], "no benchmark 'piqa'"),
        ("piqa", ["piqa.jsonl:1"], "does not know the example 'piqa.jsonl:2'"),
    ],
)
def test_report_of_something_else_is_refused(
    encoder: Tokenizer, tmp_path: Path, name: str, ids: list[str], named: str
) -> None:
    folder = report(tmp_path, name, dict.fromkeys(ids, False))
    with pytest.raises(InputError, match=named):
        evaluate(recipe(tmp_path, encoder, decontaminated=folder))
    with pytest.raises(InputError, match="no report on benchmarks"):
        evaluate(recipe(tmp_path, encoder, decontaminated=str(tmp_path)))


def test_example_without_a_field_is_named_by_its_line(encoder: Tokenizer, tmp_path: Path) -> None:
    config = recipe(tmp_path, encoder)
    rows = piqa(3)
    del rows[1]["sol2"]
    write_lines(tmp_path / "piqa.jsonl", rows)
    with pytest.raises(InputError, match="no field 'sol2'") as caught:
        evaluate(config)
    assert caught.value.where == f"{tmp_path}/piqa.jsonl:2"
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"tasks": [{"task": "piqa", "path": "nowhere*.jsonl"}]}, InputError, "no file matches"),
        ({"context": 1000}, RecipeError, "the model's context is 64"),
        (
            {"tasks": [{"task": "two_digit_addition", "generate": 2}], "context": 8},
            RecipeError,
            "no room for an answer",
        ),
        ({"lm": [{"name": "t", "path": "{folder}/piqa.jsonl"}]}, InputError, "no field 'text'"),
        ({"lm": [{"name": "t", "path": "x", "stride": 100}]}, RecipeError, "a stride of 100"),
        ({"model": "{folder}/none"}, InputError, "no trained model"),
    ],
)
def test_what_cannot_be_done_is_refused(
    encoder: Tokenizer, tmp_path: Path, changes: Any, error: type[Exception], named: str
) -> None:
    filled = json.loads(json.dumps(changes).replace("{folder}", str(tmp_path)))
    with pytest.raises(error, match=named):
        evaluate(recipe(tmp_path, encoder, **filled))


def test_vocabulary_that_is_larger_than_the_model_is_refused(
    encoder: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corpus.text import tokenizer

    config = recipe(tmp_path, encoder)
    opened = run.open_model(config.model)
    wrong = Pretrained(opened.folder, opened.model, tokenizer.load("gpt2"), 1, {})
    monkeypatch.setattr(run, "open_model", lambda path, device: wrong)
    with pytest.raises(InputError, match="50,257 tokens and the model 257"):
        evaluate(config)
