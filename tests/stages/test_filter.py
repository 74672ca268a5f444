"""filter: who may be dropped, by what, and by which draw."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from corpus import classifier, storage
from corpus.build import Build, describe
from corpus.errors import InputError, RecipeError
from corpus.look import inspect
from corpus.manifest import Counts
from corpus.text import quality
from tests.made import Recording, by_id, make_recipe, rows, run, text, write_jsonl

GERMAN = "Der Hund lief über die Straße und bellte, weil er die Katze gesehen hatte. " * 4


def spam(seed: int) -> str:
    """Return a text that a classifier tells from `text`."""
    return " ".join(f"{word} buy" for word in text(f"spam {seed}", 40).split())


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a curated source and a crawl of good pages, bad pages and pages in between."""
    folder = tmp_path_factory.mktemp("sources")
    curated = [{"id": f"c{i}", "text": text(f"curated {i}")} for i in range(60)]
    crawl = []
    for i in range(240):
        kind = "gmb"[i % 3]
        body = {"g": text(f"good {i}"), "b": spam(i), "m": f"{text(i, 60)} {spam(i)[:60]}"}[kind]
        crawl.append({"id": f"{kind}{i}", "url": f"https://{kind}.example/{i}", "text": body})
    return {
        "curated": str(write_jsonl(folder / "curated.jsonl", curated)),
        "crawl": {
            "documents": [
                str(write_jsonl(folder / "crawl-0.jsonl", crawl[:100])),
                str(write_jsonl(folder / "crawl-1.jsonl", crawl[100:])),
            ],
            "filter": True,
        },
    }


TRAINING = {"positives": ["curated"], "negatives": ["crawl"], "features": 4096}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one output folder for all builds here: what is the same is not made again."""
    return tmp_path_factory.mktemp("output")


def filtered(
    sources: dict[str, Any],
    output: Path,
    progress: Recording | None = None,
    seed: int = 11,
    **settings: Any,
) -> Build:
    recipe = make_recipe(sources, filter=settings, seed=seed)
    return run(recipe, output, progress=progress)


def kept(build: Build, source: str = "crawl") -> set[str]:
    return {row["id"] for row in rows(build.stage("filter"), "verdict", source) if row["kept"]}


def test_without_classifier_and_rules_everything_is_kept_and_nothing_scored(
    sources: dict[str, Any], output: Path
) -> None:
    manifest = filtered(sources, output).stage("filter")
    assert manifest.counts() == Counts(300, 300)
    for row in rows(manifest, "verdict"):
        assert row["kept"] is True
        assert row["reason"] is row["rule"] is row["score"] is None


def test_verdict_is_the_draw_of_the_paper_recomputed(sources: dict[str, Any], output: Path) -> None:
    """Kept when u > ... : with probability (2 - score)^-alpha, drawn from seed and id."""
    found = rows(filtered(sources, output, classifier=TRAINING, alpha=3).stage("filter"), "verdict")
    crawl = [row for row in found if not row["id"].startswith("c")]
    ids = pa.array([row["id"] for row in crawl])
    draws = quality.draws(ids, seed=11)
    for row, draw in zip(crawl, draws, strict=True):
        assert 0 <= row["score"] <= 1
        assert row["kept"] is bool(draw < (2 - row["score"]) ** -3)
        assert row["reason"] == (None if row["kept"] else "quality")
    share = np.mean([row["kept"] for row in crawl if row["id"].startswith("g")])
    assert share > np.mean([row["kept"] for row in crawl if row["id"].startswith("b")])


def test_curated_sources_are_scored_and_never_dropped(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "list"
    blocked.write_text("b.example\nm.example\n")
    build = filtered(
        sources, output, classifier=TRAINING, alpha=5, languages={"en": 0.9}, urls=str(blocked)
    )
    curated = rows(build.stage("filter"), "verdict", "curated")
    assert len(curated) == 60
    assert all(row["kept"] and row["score"] > 0 for row in curated)
    assert 0 < len(kept(build)) < 120


def test_what_is_kept_at_one_alpha_is_kept_at_every_lower_one(
    sources: dict[str, Any], output: Path
) -> None:
    sets = [
        kept(filtered(sources, output, classifier=TRAINING, alpha=alpha))
        for alpha in (6, 3, 1, 0.3, 0.01)
    ]
    assert all(one < other for one, other in itertools.pairwise(sets))
    assert len(sets[-1]) > 225


def test_another_alpha_reads_only_scores_and_leaves_curated_verdicts_alone(
    sources: dict[str, Any], output: Path
) -> None:
    filtered(sources, output, classifier=TRAINING, alpha=4.25)
    progress = Recording()
    filtered(sources, output, progress, classifier=TRAINING, alpha=5.75)  # as no other test has it
    assert progress.made == {"filter": 2}
    assert progress.reused == {"filter": 1}


def test_another_seed_keeps_others_of_the_same_score(
    sources: dict[str, Any], tmp_path: Path
) -> None:
    first = kept(filtered(sources, tmp_path, classifier=TRAINING, alpha=3, seed=1))
    second = kept(filtered(sources, tmp_path, classifier=TRAINING, alpha=3, seed=2))
    assert first != second
    assert len(first ^ second) > 20


def test_fitted_alpha_is_a_number_that_is_recorded_and_used(
    sources: dict[str, Any], output: Path
) -> None:
    fitted = filtered(sources, output, classifier=TRAINING, alpha="fit")
    alpha = fitted.stage("filter").settings["alpha"]
    assert 0 < alpha < 200
    assert kept(fitted) == kept(filtered(sources, output, classifier=TRAINING, alpha=alpha))


def test_trained_classifier_of_a_folder_gives_the_same_verdicts(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    trained = filtered(sources, output, classifier=TRAINING, alpha=3)
    folders = [path for path in output.iterdir() if path.name.startswith("classifier-")]
    models = [next(folder.rglob("model.npz")).parent for folder in folders]
    assert len(models) == 1
    classifier.load(str(models[0]))
    given = filtered(sources, tmp_path, classifier=str(models[0]), alpha=3)
    assert rows(given.stage("filter"), "verdict") == rows(trained.stage("filter"), "verdict")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("classifier-")]


def test_classifier_that_is_not_there_is_an_input_error(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        filtered(sources, output, classifier=str(tmp_path / "none"))
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(tmp_path / "none"))


def test_too_few_documents_to_train_on_are_an_input_error(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    few = write_jsonl(tmp_path / "few.jsonl", [{"text": text(i)} for i in range(9)])
    with pytest.raises(InputError, match="only 9 documents to train") as caught:
        filtered({**sources, "curated": str(few)}, output, classifier=TRAINING)
    assert "curated" in str(caught.value)


def test_sample_of_the_training_documents_is_bounded(
    sources: dict[str, Any], tmp_path: Path
) -> None:
    build = filtered(sources, tmp_path, classifier={**TRAINING, "documents": 30})
    metrics = storage.read_json(str(next(tmp_path.rglob("metrics.json"))))
    assert build.stage("filter").counts().into == 300
    numbers = [metrics["metrics"][key] for key in ("trained_on", "positives", "negatives")]
    assert sum(numbers) == 60
    assert min(numbers) > 0


def test_rules_come_before_the_draw_and_name_themselves(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("b.example\n")
    path = write_jsonl(
        tmp_path / "more.jsonl",
        [
            {"id": "german", "text": GERMAN, "url": "https://b.example/"},
            {"id": "fine", "text": "This is a line of text that ends as it should.\n" * 5},
        ],
    )
    crawl = {"documents": [*sources["crawl"]["documents"], str(path)], "filter": True}
    given = {**sources, "crawl": crawl}
    build = filtered(
        given,
        output,
        classifier=TRAINING,
        alpha=0.01,
        languages={"en": 0.3},
        urls=str(tmp_path / "list"),
        heuristics=["c4"],
    )
    found = by_id(build.stage("filter"))
    assert found["german"]["reason"] == "language"
    assert {row["reason"] for id, row in found.items() if id.startswith("b")} == {"url"}
    others = {row["reason"] for id, row in found.items() if id[0] in "gm" and id != "german"}
    assert others == {"c4"}  # these have no punctuation
    assert [id for id, row in found.items() if row["kept"] and id[0] != "c"] == ["fine"]
    assert all(row["score"] is not None for row in found.values())
    counts = build.stage("filter").counts()
    assert counts.dropped == {"c4": 160, "language": 1, "url": 80}


def test_list_of_urls_that_is_not_there_is_an_input_error(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    """A pattern that matches nothing would let everything through without a word."""
    with pytest.raises(InputError) as caught:
        filtered(sources, output, urls=f"{tmp_path}/*.txt")
    assert caught.value.where == f"{tmp_path}/*.txt"
    assert "filter.urls" in str(caught.value)


def test_lists_that_are_not_read_are_told_of(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "domains").write_text("b.example\n")
    first = filtered(sources, output, urls=str(tmp_path / "lists"))
    (tmp_path / "lists" / "expressions").write_text("word\n")
    second = filtered(sources, output, urls=str(tmp_path / "lists"))
    told = "; not read, being regular expressions: lists/expressions"
    assert told not in describe(first.stage("filter"))
    assert told in describe(second.stage("filter"))
    assert kept(first) == kept(second)


def test_changed_list_of_urls_is_read_again(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("b.example\n")
    first = filtered(sources, output, urls=str(tmp_path / "list"))
    (tmp_path / "list").write_text("g.example\n")
    second = filtered(sources, output, urls=str(tmp_path / "list"))
    assert {id[0] for id in kept(first)} == {"g", "m"}
    assert {id[0] for id in kept(second)} == {"b", "m"}


def test_scores_do_not_depend_on_how_documents_lie_in_files(
    sources: dict[str, Any], tmp_path: Path
) -> None:
    whole = Path(sources["crawl"]["documents"][0]), Path(sources["crawl"]["documents"][1])
    (tmp_path / "crawl.jsonl").write_bytes(b"".join(path.read_bytes() for path in whole))
    one = {**sources, "crawl": {"documents": f"{tmp_path}/crawl.jsonl", "filter": True}}
    first = filtered(sources, tmp_path / "1", classifier=TRAINING, alpha=3)
    second = filtered(one, tmp_path / "2", classifier=TRAINING, alpha=3)
    assert by_id(first.stage("filter")) == by_id(second.stage("filter"))


def test_sample_of_the_classifier_is_independent_of_the_draw_of_the_filter() -> None:
    ids = pa.array([f"document {i}" for i in range(20_000)])
    sampled = quality.draws(ids, seed=7, purpose="classifier") < 0.1
    kept = quality.draws(ids, seed=7) < 0.1
    assert abs((sampled & kept).mean() - 0.01) < 0.003


def test_sample_for_training_is_drawn_for_that_purpose(
    sources: dict[str, Any], tmp_path: Path
) -> None:
    """Of many documents, those are trained on that a draw of its own puts first."""
    build = filtered(sources, tmp_path, classifier={**TRAINING, "documents": 30, "held_out": 0.5})
    [held_out] = [pq.read_table(path) for path in tmp_path.rglob("held_out.parquet")]
    documents = by_id(build.stage("extract"), "documents")
    for positive, names in ((True, TRAINING["positives"]), (False, TRAINING["negatives"])):
        ids = sorted(i for i, row in documents.items() if row["source"] in names)
        draws = quality.draws(pa.array(ids), seed=11, purpose="classifier")
        sample = {i for i, draw in zip(ids, draws, strict=True) if draw < np.sort(draws)[30]}
        chosen = held_out.filter(pc.equal(held_out["positive"], positive))["id"].to_pylist()
        assert chosen
        assert set(chosen) < sample


def counted(build: Build) -> dict[str, dict[str, int]]:
    """Return what the manifest says of each rule, all shards together."""
    found: dict[str, dict[str, int]] = {}
    for shard in build.stage("filter").shards:
        for reason, own in shard.details["rules"].items():
            for rule, number in own.items():
                found.setdefault(reason, {}).setdefault(rule, 0)
                found[reason][rule] += number
    return found


def test_each_rule_is_counted_and_its_documents_can_be_looked_at(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    (tmp_path / "adult").mkdir()
    (tmp_path / "adult" / "domains").write_text("b.example\n")
    texts = [
        "{ code }. " * 9,
        "Lorem ipsum dolor. " * 9,
        "Too short.",
        "One two three four five. " * 3,
    ]
    path = write_jsonl(
        tmp_path / "more.jsonl", [{"id": f"x{i}", "text": t} for i, t in enumerate(texts)]
    )
    crawl = {"documents": [*sources["crawl"]["documents"], str(path)], "filter": True}
    given = {**sources, "crawl": crawl}
    build = filtered(given, output, urls=str(tmp_path), heuristics={"c4": {}})
    assert counted(build) == {
        "c4": {"few_sentences": 161, "page_phrase": 2},
        "url": {"adult/domains": 80},
    }
    assert build.stage("filter").counts().dropped == {"c4": 163, "url": 80}
    assert by_id(build.stage("filter"))["b2"]["rule"] == "adult/domains: b.example"

    def look(reason: str) -> inspect.Inspection:
        return inspect.inspect(
            build, stage=None, dropped=True, reason=reason, source=None, number=500, sample=None
        )

    seen = look("c4/page_phrase")
    assert [row.id for row in seen.rows] == ["x0", "x1"]
    assert len(look("c4/few_sentences").rows) == 161
    assert len(look("url/adult/domains").rows) == 80
    table = inspect.rules_table(seen.rules)
    assert table.head == ("rule", "curated", "crawl")
    assert ("c4/page_phrase", "0", "2") in table.rows
    assert table in list(inspect.describe(seen))
    with pytest.raises(RecipeError, match="no rule of c4 'page_phrases'") as caught:
        look("c4/page_phrases")
    assert "few_sentences, page_phrase" in str(caught.value)


def test_another_threshold_decides_anew_and_scores_nothing_again(
    sources: dict[str, Any], output: Path
) -> None:
    settings = {"classifier": TRAINING, "alpha": 0.01}
    first = filtered(sources, output, heuristics={"gopher": {"stop_words": ["buy"]}}, **settings)
    progress = Recording()
    second = filtered(sources, output, progress, heuristics=["gopher"], **settings)
    assert progress.made == {"filter": 2}  # the two files of the crawl, from stored scores
    assert kept(first) != kept(second)
    stored = second.stage("filter").settings["heuristics"]
    assert stored["gopher"]["minimum_words"] == 50
    assert stored["c4"] is None
    listed = filtered(sources, output, heuristics={"gopher": {"minimum_words": 50}}, **settings)
    assert listed.stage("filter").folder == second.stage("filter").folder


def test_changed_list_of_words_is_read_again(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    c4 = {
        "bad_words": str(tmp_path / "words"),
        "terminal_punctuation": False,
        "minimum_sentences": 0,
    }
    (tmp_path / "words").write_text("buy\n")
    first = filtered(sources, output, heuristics={"c4": c4})
    (tmp_path / "words").write_text("no such word\n")
    second = filtered(sources, output, heuristics={"c4": c4})
    assert {id[0] for id in kept(first)} == {"g"}
    assert {id[0] for id in kept(second)} == {"b", "g", "m"}


def test_folder_of_the_lists_belongs_to_the_build(
    sources: dict[str, Any], output: Path, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("b.example\n")
    build = filtered(sources, output, urls=str(tmp_path / "list"))
    (used,) = build.stage("filter").summary["uses"]
    assert used.startswith("urls-")
    assert (output / used / "manifest.json").is_file()
