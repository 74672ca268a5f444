"""filter with a fastText model: its probabilities as scores, and the rule of Appendix A on them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.config import Recipe, load_recipe
from corpus.errors import InputError, RecipeError
from corpus.filter import fasttext_file
from corpus.look.explain import explain
from corpus.text import fasttext, quality
from tests.made import Recording, by_id, make_recipe, rows, run, text, write_jsonl

MODEL = Path(__file__).parents[1] / "text" / "fasttext_models" / "softmax.bin"
WORDS = [a + b for a in ("ma", "ri", "lo", "tü", "ka") for b in ("ver", "ne", "dow", "líñ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fasttext")
    generator = random.Random(5)
    pages = [
        {
            "id": f"p{i}",
            "text": "\n".join(generator.choices(WORDS, k=1 + i % 9)) + f"\n{text(i, 3)}",
        }
        for i in range(120)
    ]
    write_jsonl(folder / "pages.jsonl", pages)
    write_jsonl(folder / "essays.jsonl", [{"id": f"e{i}", "text": text(i)} for i in range(5)])
    shutil.copy(MODEL, folder / "model.bin")
    return folder


def recipe(folder: Path, label: str = "__label__1", **settings: Any) -> Recipe:
    sources = {
        "essays": str(folder / "essays.jsonl"),
        "pages": {"documents": str(folder / "pages.jsonl"), "filter": True},
    }
    classifier = {"fasttext": str(folder / "model.bin"), "label": label}
    return make_recipe(sources, filter={"classifier": classifier, "alpha": 3, **settings})


def test_scores_are_the_models_and_pages_are_drawn_by_them(folder: Path) -> None:
    build = run(recipe(folder), folder / "out")
    model = fasttext_file.load(str(MODEL))
    texts = {row["id"]: row["text"] for row in rows(build.stage("extract"), "documents")}
    found = by_id(build.stage("filter"))
    ids = list(found)
    wanted = fasttext.scores(pa.array([texts[i] for i in ids]), model, "__label__1")
    assert [found[i]["score"] for i in ids] == wanted.tolist()
    assert wanted.max() - wanted.min() > 0.3
    draws = quality.draws(pa.array(ids), seed=11)
    for id, score, draw in zip(ids, wanted, draws, strict=True):
        assert found[id]["kept"] is (id[0] == "e" or bool(draw < (2 - score) ** -3))
    assert 0 < build.stage("filter").counts("pages").dropped["quality"] < 120
    story = explain(build, "p0").stories[0]
    assert story.steps[1].facts["score"] == found["p0"]["score"]


def test_another_alpha_reads_only_scores_and_another_label_scores_anew(folder: Path) -> None:
    run(recipe(folder), folder / "again")
    progress = Recording()
    run(recipe(folder, alpha=4.5), folder / "again", progress=progress)
    assert progress.made == {"filter": 1}  # of the filtered source
    progress = Recording()
    build = run(recipe(folder, "__label__0"), folder / "again", progress=progress)
    assert progress.made["score"] == 2
    other = by_id(run(recipe(folder), folder / "again").stage("filter"))
    for id, row in by_id(build.stage("filter")).items():
        assert row["score"] + other[id]["score"] == pytest.approx(1, abs=1e-4)


def test_a_label_or_file_that_is_not_there_stops_the_build_before_any_text_is_scored(
    folder: Path,
) -> None:
    progress = Recording()
    with pytest.raises(InputError, match="no label '__label__hq'"):
        run(recipe(folder, "__label__hq"), folder / "none", progress=progress)
    assert "score" not in progress.made
    (folder / "cut.bin").write_bytes(MODEL.read_bytes()[:-1])
    damaged = recipe(folder, classifier={"fasttext": str(folder / "cut.bin"), "label": "x"})
    with pytest.raises(InputError, match="cut short"):
        run(damaged, folder / "none")
    missing = recipe(folder, classifier={"fasttext": str(folder / "no.bin"), "label": "x"})
    with pytest.raises(InputError, match="no such fastText model"):
        run(missing, folder / "none")
    assert not list((folder / "none").glob("score-*"))


HEAD = "name: x\nseed: 1\nsources:\n  a: {documents: a.jsonl, filter: true}\n"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("filter: {classifier: model.bin}", "which label is the good one"),
        ("filter: {classifier: {fasttext: model.bin}}", "filter.classifier.label: has to be given"),
        ("filter: {classifier: {fasttext: m.bin, label: x, n: 1}}", "filter.classifier.n"),
        ("filter: {classifier: {fasttext: m.bin, label: x}, alpha: fit}", "scores of positives"),
    ],
)
def test_recipes_that_name_a_model_wrongly_are_refused(
    tmp_path: Path, section: str, message: str
) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(f"{HEAD}{section}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert message in str(caught.value)


def test_the_models_path_is_relative_to_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(f"{HEAD}filter: {{classifier: {{fasttext: models/m.ftz, label: x}}}}\n")
    found = load_recipe(str(path))
    assert found.filter is not None
    assert found.filter.classifier == classifier_of(tmp_path)


def classifier_of(folder: Path) -> Any:
    from corpus.config import FastTextClassifier

    return FastTextClassifier(fasttext=str(folder / "models/m.ftz"), label="x")
