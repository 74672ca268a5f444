"""`corpus classifier`: a classifier from its recipe, judged, and used; and what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner, Result

from corpus import classifier
from corpus.classifier.config import load_classifier_recipe, text_beside_model
from corpus.errors import CorpusError, InputError, OutputError, RecipeError
from corpus.text import quality
from corpus.verbs.classifier import app
from tests.made import text, write_jsonl

RECIPE = """
name: made
seed: 3
sources:
  good: {documents: good.jsonl}
  crawl: {documents: "crawl-*.jsonl"}
  third: {documents: third.jsonl}
positives: [good]
negatives: [crawl]
features: 4096
held_out: 0.5
learning_curve: [0.2]
"""


def spam(number: int) -> str:
    return " ".join(f"{word} buy" for word in text(f"spam {number}", 40).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a trained classifier, with what it was trained on and its build."""
    made = tmp_path_factory.mktemp("made")
    write_jsonl(made / "good.jsonl", [{"id": f"g{i}", "text": text(f"g {i}")} for i in range(80)])
    for part in (0, 1):
        rows = [
            {"id": f"c{part}{i}", "url": f"https://s{i % 30}.example/{part}{i}", "text": spam(i)}
            for i in range(part * 100, part * 100 + 100)
        ]
        write_jsonl(made / f"crawl-{part}.jsonl", rows)
    third = [{"id": f"t{i}", "text": text(f"t {i}")} for i in range(30)]
    write_jsonl(made / "third.jsonl", third)
    write_jsonl(made / "probes.jsonl", [{"name": "mine", "text": "buy buy buy now"}])
    (made / "train.yaml").write_text(RECIPE)
    result = run(made, "train", "--config", str(made / "train.yaml"))
    assert result.exit_code == 0, result.output
    assert "ROC-AUC" in result.output
    return made


def run(folder: Path, verb: str, *words: str) -> Result:
    local = () if verb in ("score", "calibrate") else ("--engine", "local", "--workers", "0")
    output = () if verb in ("score", "calibrate") else ("--output", str(folder / "build"))
    return CliRunner().invoke(app, [verb, *words, *local, *output])


def failed(folder: Path, verb: str, *words: str) -> CorpusError:
    error = run(folder, verb, *words).exception
    assert isinstance(error, CorpusError), error
    return error


def test_train_writes_a_classifier_that_tells_the_classes_apart(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"model.npz", "metrics.json", "train.yaml", "README.md"} <= names
    assert (folder / "train.yaml").read_text() == RECIPE
    model = classifier.load(str(folder))
    good, bad = quality.scores(pa.array([text("new"), spam(999)]), model)
    assert good > 0.5 > bad
    record = classifier.load_record(str(folder))
    assert set(record["trained_on"]) == {"good", "crawl"}
    assert record["floors"]["roc_auc"] == pytest.approx(record["metrics"]["roc_auc"], abs=0.01)
    assert record["probes"][0]["lowered_by"] == ["buy"] or record["probes"][0]["score"] < 0.5
    assert len(record["metrics"]["learning_curve"]) == 2
    groups = {(g["kind"], g["name"]): g for g in record["metrics"]["groups"]}
    assert groups["source", "third"]["others"] == 30
    assert groups["source", "third"]["mean_score"] > groups["source", "crawl"]["mean_score"]


def test_train_again_takes_everything_over_and_keeps_what_people_wrote(folder: Path) -> None:
    page, model = folder / "README.md", folder / "model.npz"
    before = model.read_bytes(), (folder / "metrics.json").read_bytes()
    written = page.read_text()
    page.write_text(written.replace("Say here", "By hand") + "\nand below\n")
    try:
        result = run(folder, "train", "--config", str(folder / "train.yaml"), "--json")
        assert json.loads(result.stdout)["metrics"]["roc_auc"] > 0.9
        renewed = page.read_text()
    finally:
        page.write_text(written)
    assert (model.read_bytes(), (folder / "metrics.json").read_bytes()) == before
    assert "By hand" in renewed
    assert renewed.endswith("\nand below\n")
    assert renewed.count("ROC-AUC without") == 1


def test_train_does_not_replace_another_classifier_unless_told(
    folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "other"
    target.mkdir()
    (target / "model.npz").write_bytes(b"another")
    words = ("--config", str(folder / "train.yaml"), "--to", str(target))
    error = failed(folder, "train", *words)
    assert isinstance(error, OutputError)
    assert "--force" in str(error)
    assert (target / "model.npz").read_bytes() == b"another"
    assert run(folder, "train", *words, "--force").exit_code == 0
    assert (target / "model.npz").read_bytes() == (folder / "model.npz").read_bytes()


def test_evaluate_of_what_was_trained_finds_the_same(folder: Path, tmp_path: Path) -> None:
    groups = write_jsonl(
        tmp_path / "groups.jsonl",
        [{"url": f"https://s{i % 30}.example/0{i}", "group": "shop"} for i in range(100)],
    )
    result = run(folder, "evaluate", str(folder), "--groups", str(groups), "--json")
    assert result.exit_code == 0, result.output
    found, stored = json.loads(result.stdout), classifier.load_record(str(folder))
    assert found["problems"] == found["notes"] == []
    assert found["record"]["held_out_sha256"] == stored["held_out_sha256"]
    assert found["record"]["metrics"]["roc_auc"] == stored["metrics"]["roc_auc"]
    kinds = {g["kind"]: g for g in found["record"]["metrics"]["groups"] if g["name"] == "shop"}
    assert kinds["group"]["negatives"] > 20


@pytest.fixture
def strict(folder: Path, tmp_path: Path) -> Path:
    """Return a copy of the classifier, without recipe, whose floor nothing reaches."""
    copy = tmp_path / "strict"
    copy.mkdir()
    for name in ("model.npz", "metrics.json"):
        shutil.copy(folder / name, copy / name)
    record = json.loads((copy / "metrics.json").read_text())
    record["floors"]["f1"] = 1.1
    (copy / "metrics.json").write_text(json.dumps(record))
    return copy


def test_evaluate_under_a_floor_fails(folder: Path, strict: Path) -> None:
    result = run(folder, "evaluate", str(strict), "--config", str(folder / "train.yaml"))
    assert result.exit_code == 1
    assert "Under its floor: f1 is" in result.stdout
    assert "Note: " not in result.stdout


@pytest.mark.parametrize(
    ("floors", "told"),
    [
        ({"f1": "0.9"}, "the floor of f1 is no number. It is '0.9'"),
        ({"f1": None}, "the floor of f1 is no number. It is None"),
        ({"f1": [0.9]}, "the floor of f1 is no number"),
        ({"f1": True}, "the floor of f1 is no number"),
        ({"f1": float("nan")}, "the floor of f1 is no number"),
        ({"f2": 0.9}, "there is a floor of 'f2', which is not measured"),
        ({"groups": 0.9}, "there is a floor of 'groups', which is not measured"),
        ([0.9], "the floors are not an object"),
    ],
)
def test_evaluate_with_a_floor_that_is_none_says_so_before_anything_is_done(
    folder: Path, strict: Path, floors: object, told: str
) -> None:
    record = json.loads((strict / "metrics.json").read_text())
    (strict / "metrics.json").write_text(json.dumps(record | {"floors": floors}))
    result = run(folder, "evaluate", str(strict), "--config", str(folder / "train.yaml"))
    assert isinstance(result.exception, InputError)
    assert f"{strict}/metrics.json: {told}" in str(result.exception)


def test_evaluate_checks_no_floor_on_other_documents_that_were_asked_for(
    folder: Path, strict: Path
) -> None:
    for name in ("good.jsonl", "third.jsonl", "crawl-0.jsonl", "crawl-1.jsonl"):
        shutil.copy(folder / name, strict / name)
    (strict / "train.yaml").write_text(RECIPE)
    config = ("--config", str(strict / "other.yaml"))
    (strict / "other.yaml").write_text(RECIPE.replace("seed: 3", "seed: 4"))
    for words in ((str(strict), "--set", "seed=4"), (str(strict), *config)):
        result = run(strict, "evaluate", *words)
        assert result.exit_code == 0, result.output
        assert "Note: These are not the documents" in result.stdout
        assert "floor: " not in result.stdout


def test_evaluate_on_other_documents_that_nobody_asked_for_fails(
    folder: Path, strict: Path
) -> None:
    for name in ("good.jsonl", "third.jsonl", "crawl-0.jsonl", "crawl-1.jsonl"):
        shutil.copy(folder / name, strict / name)
    (strict / "train.yaml").write_text(RECIPE.replace("seed: 3", "seed: 4"))
    error = failed(strict, "evaluate", str(strict))
    assert error.exit_code == 1
    assert "not the documents that were held out when the classifier was trained" in str(error)
    assert "--set sources." in str(error)


def test_recipe_beside_the_model_is_what_was_trained(folder: Path, tmp_path: Path) -> None:
    target, source = tmp_path / "mine", str(folder / "train.yaml")
    sets = ("--set", "features=2048", "--set", "name='1e9'")
    result = run(folder, "train", "--config", source, "--to", str(target), *sets)
    assert result.exit_code == 0, result.output
    trained = load_classifier_recipe(source, ["features=2048", "name='1e9'"])
    assert load_classifier_recipe(str(target / "train.yaml")) == trained
    assert (target / "train.yaml").read_text().startswith("# Written by `corpus classifier train`")
    result = run(folder, "evaluate", str(target), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["notes"] == []


def test_recipe_copied_elsewhere_still_finds_its_texts(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "classifiers" / "mine"
    words = ("--config", str(folder / "train.yaml"), "--to", str(target))
    assert run(folder, "train", *words).exit_code == 0
    result = run(folder, "evaluate", str(target))
    assert result.exit_code == 0, result.output
    assert run(folder, "train", *words).exit_code == 0  # and it is the same recipe again


@pytest.mark.parametrize("name", ["plain", "with [signs]"])
def test_paths_below_the_classifier_stay_relative(tmp_path: Path, name: str) -> None:
    base = tmp_path / name
    (base / "inner").mkdir(parents=True)
    path = str(base / "inner" / "train.yaml")
    Path(path).write_text(RECIPE.replace("good.jsonl", "/elsewhere/good.jsonl"))
    recipe = load_classifier_recipe(path)
    (base / "train.yaml").write_bytes(text_beside_model(recipe, path, str(base)))
    given = yaml.safe_load((base / "train.yaml").read_text())["sources"]
    assert given["third"]["documents"]["paths"] == ["inner/third.jsonl"]
    assert given["crawl"]["documents"]["paths"] == ["inner/crawl-*.jsonl"]
    assert given["good"]["documents"]["paths"] == ["/elsewhere/good.jsonl"]
    assert load_classifier_recipe(str(base / "train.yaml")) == recipe


def test_recipe_as_it_was_written_is_kept_where_it_says_the_same(tmp_path: Path) -> None:
    path = str(tmp_path / "train.yaml")
    Path(path).write_text(f"# mine\n{RECIPE}")
    same = load_classifier_recipe(path, ["seed=3"])
    assert text_beside_model(same, path, str(tmp_path)) == Path(path).read_bytes()
    other = load_classifier_recipe(path, ["seed=4"])
    assert b"# mine" not in text_beside_model(other, path, str(tmp_path))


def test_train_does_not_replace_a_recipe_by_another_unless_told(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.yaml"
    shutil.copy(folder / "train.yaml", path)
    error = failed(folder, "train", "--config", str(path), "--set", "seed=4")
    assert isinstance(error, OutputError)
    assert "another recipe" in str(error)
    assert "--to" in str(error)
    assert path.read_text() == RECIPE


def test_evaluate_without_the_texts_says_that_they_are_needed(
    folder: Path, strict: Path, tmp_path: Path
) -> None:
    (strict / "train.yaml").write_text(RECIPE)
    error = failed(tmp_path, "evaluate", str(strict))
    assert str(strict / "good.jsonl") in str(error)
    assert "texts of a classifier are not in its folder" in str(error)
    assert "--set sources.good.documents=" in str(error)
    words = [f"sources.{name}.documents={folder}/{name}.jsonl" for name in ("good", "third")]
    words.append(f"sources.crawl.documents={folder}/crawl-*.jsonl")
    sets = [word for one in words for word in ("--set", one)]
    result = run(tmp_path, "evaluate", str(strict), *sets)
    assert "Under its floor: f1 is" in result.stdout  # the same documents, so the floor is checked


def test_score_of_a_file_that_is_not_there_speaks_of_no_recipe(folder: Path) -> None:
    error = failed(folder, "score", "nope.txt", "--classifier", str(folder))
    assert "there is no such file. Check the path." in str(error)


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "not JSON"), ('{"group": "a"}', "needs `id` or `url`"), ('{"id": "a"}', "needs `id`")],
)
def test_groups_that_are_none_are_refused_with_their_line(
    folder: Path, tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "groups.jsonl"
    path.write_text(f'{{"id": "x", "group": "a"}}\n\n{line}\n')
    error = failed(folder, "evaluate", str(folder), "--groups", str(path))
    assert message in str(error)
    assert f"{path}:3" in str(error)


def test_score_shows_the_words_that_moved_it(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    page.write_text("buy buy now")
    words = (str(page), "--classifier", str(folder))
    shown = run(folder, "score", *words).stdout
    assert "buy" in shown
    assert "at alpha 9" in shown
    found = json.loads(run(folder, "score", *words, "--json", "--alpha", "3").stdout)[0]
    model = classifier.load(str(folder))
    assert found["score"] == quality.scores(pa.array(["buy buy now"]), model)[0]
    assert found["kept"] == pytest.approx((2 - found["score"]) ** -3)
    assert found["lowered"][0]["words"] == "buy"
    assert found["lowered"][0]["count"] == 2
    typed = CliRunner().invoke(
        app, ["score", "-", "--classifier", str(folder), "--json"], input="buy buy now"
    )
    assert json.loads(typed.stdout)[0]["score"] == found["score"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("positives: [good]", "positives: [god]"), "positives: 'god' is no source; did you mean"),
        (("negatives: [crawl]", "negatives: [good]"), "'good' is one of the positives too"),
        (("negatives: [crawl]", ""), "negatives: has to be given"),
        (("held_out: 0.5", "heldout: 0.5"), "heldout: there is no such key; did you mean held_out"),
        (("seed: 3", ""), "seed: has to be given"),
        (("{documents: good.jsonl}", "{documents: good.jsonl, weight: 1}"), "neither weight nor"),
        (("held_out: 0.5", "balance: words"), "balance: "),
    ],
)
def test_recipe_of_a_classifier_is_checked_like_any_other(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(RECIPE.replace(*change))
    with pytest.raises(RecipeError) as caught:
        load_classifier_recipe(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_recipe_of_a_classifier_has_paths_beside_it(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(RECIPE)
    recipe = load_classifier_recipe(str(tmp_path / "train.yaml"), ["truncate_characters=500"])
    assert recipe.truncate_characters == 500
    documents = recipe.recipe().sources["good"].documents
    assert documents is not None
    assert documents.paths == (str(tmp_path / "good.jsonl"),)


def test_training_without_documents_of_a_class_is_an_input_error(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "few", ignore=shutil.ignore_patterns("build"))
    write_jsonl(tmp_path / "few" / "good.jsonl", [{"text": text(1)}])
    words = ("--config", str(tmp_path / "few" / "train.yaml"), "--force")
    error = failed(tmp_path, "train", *words)
    assert isinstance(error, InputError)
    assert "only 1 documents to train" in str(error)
    assert "good" in str(error)


@pytest.mark.parametrize("verb", ["score", "evaluate"])
def test_model_that_is_cut_short_is_an_input_error(folder: Path, tmp_path: Path, verb: str) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("metrics.json", "train.yaml"):
        shutil.copy(folder / name, copy / name)
    data = (folder / "model.npz").read_bytes()
    (copy / "model.npz").write_bytes(data[: len(data) // 2])
    page = tmp_path / "page.txt"
    page.write_text("a page")
    words = (str(page), "--classifier", str(copy)) if verb == "score" else (str(copy),)
    error = failed(folder, verb, *words)
    assert "cut short or damaged" in str(error)
    assert str(copy / "model.npz") in str(error)


@pytest.mark.parametrize("verb", ["train", "evaluate", "calibrate", "score"])
def test_verb_help_has_an_example(folder: Path, verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"]).stdout
    assert f"Example: corpus classifier {verb}" in shown
    assert "--json" in shown
