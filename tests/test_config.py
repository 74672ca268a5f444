"""The recipe: what it accepts, what it refuses, and the schema that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from corpus.config import DEDUP_PRESETS, Dedup, Recipe, Stdlib, load_recipe
from corpus.errors import RecipeError
from corpus.settings import Settings, parse_yaml

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = sorted((ROOT / "pipelines").glob("*/mix.yaml"))
LEAST = {"name": "x", "seed": 1, "sources": {"a": {"documents": "a.jsonl"}}}


def write(folder: Path, value: dict[str, Any]) -> str:
    path = folder / "mix.yaml"
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return str(path)


def load(folder: Path, *overrides: str, **sections: Any) -> Recipe:
    return load_recipe(write(folder, {**LEAST, **sections}), overrides)


def problem(folder: Path, *overrides: str, **sections: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        load(folder, *overrides, **sections)
    return str(caught.value).replace(f"{folder}/", "")


def source(folder: Path, **kind: Any) -> Any:
    return load(folder, sources={"a": kind}).sources["a"]


def test_shipped_recipes_are_there() -> None:
    """The tests below say nothing about a folder that is empty."""
    assert {path.parent.name for path in SHIPPED} >= {"tiny", "common-crawl", "gpt3"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_recipe_loads_and_satisfies_the_published_schema(path: Path) -> None:
    recipe = load_recipe(str(path))
    assert recipe.tokens is not None
    value, _ = parse_yaml(path.read_text(), str(path))
    jsonschema.Draft202012Validator(Recipe.model_json_schema()).validate(value)


@pytest.mark.parametrize(
    "sections",
    [
        {"sources": {"a": {"documents": ["a.jsonl", "b.parquet"]}}},
        {"sources": {"a": {"documents": {"paths": "a.jsonl", "fields": {"text": "t"}}}}},
        {"sources": {"a": {"warc": ["a.warc.gz"], "weight": 0.5, "filter": True}}, "filter": {}},
        {"sources": {"a": {"commoncrawl": {"snapshots": "CC-MAIN-2026-47"}}}},
        {"filter": {"alpha": "fit", "classifier": {"positives": ["a"], "negatives": ["a"]}}},
        {
            "sources": {"a": {"documents": "a.jsonl", "filter": True}},
            "filter": {"classifier": "folder", "urls": ["a.txt"], "languages": {"en": 0.5}},
        },
        {"decontaminate": {"benchmarks": ["a.jsonl"]}},
        {"decontaminate": {"benchmarks": {"quiz": {"paths": "a.jsonl", "fields": ["q"]}}}},
        {"decontaminate": {"benchmarks": {"quiz": "a.jsonl"}}},
    ],
)
def test_recipe_and_schema_accept_every_documented_form(
    tmp_path: Path, sections: dict[str, Any]
) -> None:
    load(tmp_path, **sections)
    jsonschema.Draft202012Validator(Recipe.model_json_schema()).validate({**LEAST, **sections})


@pytest.mark.parametrize(
    "sections",
    [
        {"sedd": 1},
        {"seed": "one"},
        {"sources": {"a": {"documents": 7}}},
        {"sources": {"a": {"documents": "a.jsonl", "wieght": 1}}},
        {"filter": {"alpha": "best"}},
        {"decontaminate": {}},
    ],
)
def test_recipe_and_schema_refuse_the_same_mistakes(
    tmp_path: Path, sections: dict[str, Any]
) -> None:
    problem(tmp_path, **sections)
    schema = jsonschema.Draft202012Validator(Recipe.model_json_schema())
    assert not schema.is_valid({**LEAST, **sections})


@pytest.mark.parametrize("key", ["name", "seed", "sources"])
def test_what_defines_the_corpus_has_no_default(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, {other: value for other, value in LEAST.items() if other != key})
    with pytest.raises(RecipeError, match=f"{key}: has to be given"):
        load_recipe(path)


def test_empty_map_of_sources_is_refused(tmp_path: Path) -> None:
    assert "mix.yaml:3: sources: " in problem(tmp_path, sources={})


def test_source_without_a_kind_is_refused_at_its_line(tmp_path: Path) -> None:
    found = problem(tmp_path, sources={"a": {"weight": 1}})
    assert "mix.yaml:4: sources.a: " in found
    assert "exactly one of" in found
    assert "here: none" in found


def test_source_of_two_kinds_is_refused_and_both_are_named(tmp_path: Path) -> None:
    found = problem(tmp_path, sources={"a": {"warc": "a.warc", "books": "b.txt"}})
    assert "here: warc, books" in found


def test_unknown_key_is_found_at_every_depth_with_the_nearest_one(tmp_path: Path) -> None:
    found = problem(
        tmp_path,
        sources={
            "Web": {"webtext": {"submissions": "s", "pages": "p", "min_carma": 3}},
            "b": {"documents": {"paths": "a.jsonl", "feilds": {}}, "wieght": 1},
        },
        filter={"classifier": {"positives": ["b"], "negatives": ["b"], "ngram": 1}, "alhpa": 9},
        decontaminate={"benchmarks": {"quiz": {"paths": "q.jsonl", "field": ["a"]}}},
        tokenise={},
    )
    for key, near in [
        ("sources.Web.webtext.min_carma", "min_karma"),
        ("sources.b.documents.feilds", "fields"),
        ("sources.b.wieght", "weight"),
        ("filter.classifier.ngram", "ngrams"),
        ("filter.alhpa", "alpha"),
        ("decontaminate.benchmarks.quiz.field", "fields"),
        ("tokenise", "tokenize"),
    ]:
        assert f"{key}: there is no such key; did you mean {near}?" in found
    assert "there are 7 problems" in found


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"mix": {}, "tokenize": {}}, "tokens: has to be given for mix"),
        ({"mix": {}, "tokens": 10}, "mix: needs tokenize"),
        ({"mix": {}, "tokens": 10, "tokenize": {}}, "mix: needs at least one source with a weight"),
        ({"tokens": 0}, "tokens: "),
        ({"tokens": 1.5}, "tokens: "),
        ({"seed": -1}, "seed: "),
        ({"name": "../up"}, "name: "),
        ({"sources": {"a/b": {"documents": "x.jsonl"}}}, "name has only"),
        ({"sources": {"..": {"documents": "x.jsonl"}}}, "name has only"),
        ({"sources": {"a": {"documents": "x.jsonl", "filter": True}}}, "no filter section"),
        ({"sources": {"a": {"documents": "x.jsonl", "weight": 0}}}, "sources.a.weight: "),
        ({"sources": {"a": {"documents": "x.jsonl", "weight": float("inf")}}}, "a.weight: "),
        ({"sources": {"a": {"documents": []}}}, "sources.a.documents.paths: "),
        ({"sources": {"a": {"documents": ""}}}, "sources.a.documents.paths.0: "),
        ({"filter": {"alpha": "fit"}}, "alpha: fit needs a classifier"),
        ({"filter": {"alpha": 0}}, "filter.alpha"),
        (
            {"filter": {"heuristics": ["gofer"]}},
            "filter.heuristics.gofer: there is no such key; did",
        ),
        ({"filter": {"heuristics": {"c4": {"sentences": 5}}}}, "filter.heuristics.c4.sentences: "),
        ({"filter": {"heuristics": {"c4": {"minimum_sentences": -1}}}}, "c4.minimum_sentences: "),
        ({"filter": {"heuristics": {"c4": {"page_phrases": ["a", ""]}}}}, "c4.page_phrases.1: "),
        ({"filter": {"heuristics": 3}}, "filter.heuristics: "),
        ({"filter": {"languages": {"en": 65}}}, "filter.languages.en: "),
        (
            {"filter": {"classifier": {"positives": ["b"], "negatives": ["a"]}}},
            "positives: 'b' is no source",
        ),
        ({"filter": {"classifier": {"negatives": ["a"]}}}, "filter.classifier.positives: "),
        ({"dedup": {"preset": "fine"}}, "dedup.preset: "),
        ({"dedup": {"threshold": 0}}, "dedup.threshold: "),
        ({"decontaminate": {"benchmarks": {}}}, "decontaminate.benchmarks: "),
        ({"extract": {"timeout": 0}}, "extract.timeout: "),
    ],
)
def test_value_that_makes_no_sense_is_refused_with_its_key(
    tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    assert message in problem(tmp_path, **sections)


def test_relative_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        sources={
            "a": {"documents": ["a.jsonl", "/abs.jsonl", "s3://b/c.jsonl", "file:///d.jsonl"]},
            "w": {
                "webtext": {"submissions": "RS_*", "pages": ["x.warc", "https://y/z.warc"]},
                "filter": True,
            },
            "c": {"commoncrawl": {"snapshots": "CC-MAIN-2026-47", "base_url": "mirror"}},
        },
        filter={
            "classifier": "model",
            "urls": "lists/*.txt",
            "heuristics": {"c4": {"bad_words": "words/en"}},
        },
        decontaminate={"benchmarks": "q.jsonl"},
        tokenize={"vocabulary": "v/tokenizer.json"},
    )
    here = str(tmp_path)
    assert recipe.sources["a"].documents is not None
    assert recipe.sources["a"].documents.paths == (
        f"{here}/a.jsonl",
        "/abs.jsonl",
        "s3://b/c.jsonl",
        "file:///d.jsonl",
    )
    webtext = recipe.sources["w"].webtext
    assert webtext is not None
    assert webtext.submissions == (f"{here}/RS_*",)
    assert webtext.pages == (f"{here}/x.warc", "https://y/z.warc")
    assert recipe.sources["c"].commoncrawl is not None
    assert recipe.sources["c"].commoncrawl.base_url == f"{here}/mirror"
    assert recipe.filter is not None
    assert (recipe.filter.classifier, recipe.filter.urls) == (
        f"{here}/model",
        (f"{here}/lists/*.txt",),
    )
    assert recipe.filter.heuristics.c4 is not None
    assert recipe.filter.heuristics.c4.bad_words == (f"{here}/words/en",)
    assert recipe.decontaminate is not None
    assert recipe.decontaminate.benchmarks[""].paths == (f"{here}/q.jsonl",)
    assert recipe.tokenize is not None
    assert recipe.tokenize.vocabulary == f"{here}/v/tokenizer.json"


def test_name_of_a_vocabulary_is_no_path(tmp_path: Path) -> None:
    for given in ({}, {"vocabulary": "gpt2"}):
        recipe = load(tmp_path, tokenize=given)
        assert recipe.tokenize is not None
        assert recipe.tokenize.vocabulary == "gpt2"


def test_recipe_in_the_working_directory_has_paths_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, LEAST)
    monkeypatch.chdir(tmp_path)
    documents = load_recipe("mix.yaml").sources["a"].documents
    assert documents is not None
    assert Path(documents.paths[0]).resolve() == tmp_path / "a.jsonl"


def test_paths_of_a_recipe_in_the_root_folder_are_relative_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = yaml.safe_dump(LEAST).encode()
    monkeypatch.setattr("corpus.storage.read_bytes", lambda path: text)
    documents = load_recipe("/mix.yaml").sources["a"].documents
    assert documents is not None
    assert documents.paths == ("/a.jsonl",)


def test_paths_of_a_remote_recipe_are_relative_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = yaml.safe_dump(LEAST).encode()
    monkeypatch.setattr("corpus.storage.read_bytes", lambda path: text)
    documents = load_recipe("s3://bucket/recipes/mix.yaml").sources["a"].documents
    assert documents is not None
    assert documents.paths == ("s3://bucket/recipes/a.jsonl",)


def test_override_reaches_into_sources_and_sections(tmp_path: Path) -> None:
    recipe = load(tmp_path, "sources.a.weight=0.5", "filter.alpha=3", "dedup.preset=strict")
    assert recipe.sources["a"].weight == 0.5
    assert recipe.filter is not None
    assert recipe.filter.alpha == 3
    assert recipe.dedup is not None
    assert recipe.dedup.scheme() == DEDUP_PRESETS["strict"]


def test_dedup_key_beside_a_preset_changes_that_key_alone() -> None:
    scheme = Dedup(preset="fineweb", threshold=0.5).scheme()
    assert scheme.threshold == 0.5
    assert scheme.model_copy(update={"threshold": 0.75}) == DEDUP_PRESETS["fineweb"]


def test_order_of_the_sources_is_that_of_the_file(tmp_path: Path) -> None:
    sources = {name: {"documents": "a.jsonl"} for name in ("zebra", "ant", "mole")}
    assert list(load(tmp_path, sources=sources).sources) == ["zebra", "ant", "mole"]


def models(model: type[Settings]) -> set[type[Settings]]:
    from corpus.settings import models_in

    found = {model}
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            if inner not in found:
                found |= models(inner)  # type: ignore[arg-type]
    return found


def test_every_key_of_the_recipe_has_an_entry_for_the_reference_page() -> None:
    every = models(Recipe)
    assert Stdlib in every
    for model in every:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
