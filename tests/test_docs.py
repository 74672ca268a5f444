"""The documentation: links, recipes, names and bytes in it are those of the code."""

from __future__ import annotations

import importlib.util
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydantic
import pytest
import typer.main
import yaml

from corpus import config, settings
from corpus.ablation.config import AblateConfig
from corpus.classifier.config import ClassifierRecipe, load_classifier_recipe
from corpus.cli import app
from corpus.document import DropReason
from corpus.text import tokenizer
from corpus.tokenize.shards import ShardWriter
from corpus.trainer import config as train_config
from corpus.trainer.evaluation.config import EvaluateConfig, load_evaluate_config
from corpus.trainer.finetuning import config as finetune_config
from corpus.trainer.schedule import schedule

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "pipelines/**/*.md", "classifiers/**/*.md")
    for path in ROOT.glob(pattern)
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
GENERATED = (
    "docs/mix.md",
    "docs/classifier.md",
    "docs/train.md",
    "docs/evaluate.md",
    "docs/ablate.md",
    "docs/finetune.md",
    "docs/cli.md",
)
WRITTEN = [name for name in NAMES if name not in GENERATED]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
# What a part of a recipe is completed with: it may name these sources, or bring its own.
BASE: dict[str, Any] = {
    "name": "page",
    "seed": 1,
    "tokens": 1000,
    "sources": {
        name: {"weight": 1, "documents": "text.jsonl"}
        for name in ("wikipedia", "books1", "webtext2")
    }
    | {"common_crawl": {"weight": 1, "filter": True, "documents": "text.jsonl"}},
    "filter": {},
    "tokenize": {"vocabulary": "gpt2"},
}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(text_of(name)) if kind == language]


def prose(name: str) -> str:
    """Return a page without its fenced blocks, whose brackets are no links."""
    return FENCE.sub("", text_of(name))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = set()
    for line in prose(str(path.relative_to(ROOT))).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip().lower().replace("`", "")
            found.add(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-"))
    return found


def yaml_blocks() -> list[tuple[str, str]]:
    return [(name, body) for name in NAMES for body in blocks(name, "yaml")]


def test_every_page_is_there() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/index.md"} <= set(NAMES)
    stages = {"crawl", "extract", "filter", "dedup", "decontaminate", "tokenize", "mix", "train"}
    assert {f"docs/stages/{stage}.md" for stage in stages} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    broken = []
    for target in LINK.findall(prose(name)):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        path = (folder / file).resolve() if file else ROOT / name
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        for target in LINK.findall(prose(str(page.relative_to(ROOT)))):
            path = (page.parent / target.partition("#")[0]).resolve()
            if path.suffix == ".md" and path not in reached and path in PAGES:
                left.append(path)
    assert set(PAGES) - reached == set()


@pytest.mark.parametrize(("name", "body"), yaml_blocks(), ids=lambda value: value[:24])
def test_yaml_of_a_page_loads_as_the_recipe_that_it_shows(
    name: str, body: str, tmp_path: Path
) -> None:
    """A whole recipe begins with its name, `# mix.yaml`; anything else is a part of one."""
    path = tmp_path / "mix.yaml"
    path.write_text(body, encoding="utf-8")
    if body.startswith("# train.yaml\n"):
        recipe = train_config.load_train_config(str(path))
        # As long as the context: that it has a schedule is found out when the run starts.
        schedule(recipe, recipe.model.architecture(mixture_vocabulary=50_257).context)
        return
    if body.startswith("# finetune.yaml\n"):
        finetune_config.load_finetune_config(str(path))
        return
    if body.startswith("# evaluate.yaml\n"):
        load_evaluate_config(str(path))
        return
    if body.startswith("# train.yaml of a classifier\n"):
        load_classifier_recipe(str(path))
        return
    if not body.startswith("# mix.yaml\n"):
        part = yaml.safe_load(body)
        sources = {**BASE["sources"], **part.get("sources", {})}
        path.write_text(yaml.safe_dump({**BASE, **part, "sources": sources}), encoding="utf-8")
    config.load_recipe(str(path))


def test_there_are_whole_recipes_and_parts_to_load() -> None:
    bodies = [body for _, body in yaml_blocks()]
    assert sum(body.startswith("# mix.yaml\n") for body in bodies) >= 3
    assert sum(not body.startswith("#") for body in bodies) >= 3


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_as_the_code_has_them() -> None:
    """`make docs` writes them."""
    stale = [name for name, text in generator().pages().items() if text_of(f"docs/{name}") != text]
    assert stale == []


def test_every_reason_is_explained_on_a_page_of_its_stage() -> None:
    explained = "".join(text_of(name) for name in NAMES if name.startswith("docs/stages/"))
    assert [reason for reason in DropReason if f"`{reason}`" not in explained] == []


def models(root: type[settings.Settings]) -> Iterator[type[settings.Settings]]:
    yield root
    for field in root.model_fields.values():
        for inner in settings.models_in(field.annotation):
            if issubclass(inner, settings.Settings):
                yield from models(inner)


@pytest.mark.parametrize(
    ("root", "name"),
    [
        (config.Recipe, "docs/mix.md"),
        (train_config.TrainConfig, "docs/train.md"),
        (EvaluateConfig, "docs/evaluate.md"),
        (AblateConfig, "docs/ablate.md"),
        (finetune_config.FinetuneConfig, "docs/finetune.md"),
    ],
)
def test_every_key_has_its_row_in_the_reference(root: type[settings.Settings], name: str) -> None:
    page = text_of(name)
    keys = {key for model in models(root) for key in model.model_fields}
    assert [key for key in sorted(keys) if f"| `{key}` |" not in page] == []


def test_every_key_of_a_classifiers_recipe_has_its_row() -> None:
    """Of its own models; those of the sources and of extraction are on the page of mix.yaml."""
    page = text_of("docs/classifier.md")
    assert [key for key in ClassifierRecipe.model_fields if f"| `{key}` |" not in page] == []


def is_key(root: type[pydantic.BaseModel], parts: list[str]) -> bool:
    """Say whether dotted parts name a key; the name of an entry of a map may be anything."""
    if not parts:
        return True
    field = root.model_fields.get(parts[0])
    if field is None:
        return False
    inner = list(settings.models_in(field.annotation))
    rest = parts[2:] if parts[0] in ("sources", "benchmarks") else parts[1:]
    return not rest or any(is_key(model, rest) for model in inner)


def dotted_keys(name: str) -> Iterator[tuple[type[pydantic.BaseModel], str]]:
    roots = (
        config.Recipe,
        train_config.TrainConfig,
        finetune_config.FinetuneConfig,
        EvaluateConfig,
    )
    for root in roots:
        heads = "|".join(root.model_fields)
        for code in CODE.findall(prose(name)):
            if re.fullmatch(rf"(?:{heads})(?:\.\w+)+", code) and not re.search(
                r"\.(?:md|yaml|json|jsonl|txt|py|npz|safetensors)$", code
            ):
                yield root, code


@pytest.mark.parametrize("name", WRITTEN)
def test_keys_that_a_page_names_are_keys_of_a_recipe(name: str) -> None:
    by_code: dict[str, bool] = {}
    for root, code in dotted_keys(name):
        by_code[code] = by_code.get(code, False) or is_key(root, code.split("."))
    assert [code for code, known in by_code.items() if not known] == []


def test_pages_name_many_keys() -> None:
    assert sum(len(list(dotted_keys(name))) for name in WRITTEN) > 30


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_the_repository_that_a_page_names_are_there(name: str) -> None:
    pattern = re.compile(r"(?:corpus|docs|tests|pipelines|classifiers|benchmarks)/[\w./-]*")
    named = [code for code in CODE.findall(prose(name)) if pattern.fullmatch(code)]
    # Paths are the repository's; beside a recipe or a page they are that folder's.
    folder = (ROOT / name).parent
    assert [
        path for path in named if not ((ROOT / path).exists() or (folder / path).exists())
    ] == []


def test_tests_that_a_page_names_are_there() -> None:
    written = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    defined = set(re.findall(r"^def (test_\w+)\(", written, re.MULTILINE))
    named = re.findall(r"`(test_\w+)`", text_of("docs/paper.md"))
    assert len(named) > 15
    assert [test for test in named if test not in defined] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_verbs_and_options_that_a_page_names_are_there(name: str) -> None:
    """`corpus VERB --option` in code of any page; what is not there yet says so in prose."""
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    shell = [body for kind, body in FENCE.findall(text_of(name)) if kind in ("", "sh")]
    lines = itertools.chain.from_iterable(body.splitlines() for body in shell)
    unknown = []
    for code in (*CODE.findall(prose(name)), *lines):
        found = re.match(r"(?:\.venv/bin/)?corpus ([a-z]+(?:-[a-z]+)*)\b(.*)", code)
        if not found:
            continue
        verb, rest = verbs.get(found[1]), found[2]
        inner = re.match(r" ([a-z]+)\b(.*)", rest)
        if inner and hasattr(verb, "commands"):
            verb, rest = verb.commands.get(inner[1]), inner[2]
        if verb is None:
            unknown.append(code)
            continue
        options = {o for parameter in verb.params for o in parameter.opts}
        given = re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)
        unknown += [f"{code}: {option}" for option in given if option not in options | {"--help"}]
    assert unknown == []


def builds_that_pipelines_name() -> list[tuple[str, list[str]]]:
    """Return recipe and settings of each `corpus build` in the comments of a pipeline."""
    texts = [path.read_text().replace("\\\n#", " ") for path in ROOT.glob("pipelines/**/*.yaml")]
    commands = re.findall(r"# .*corpus build --config (\S+\.yaml)(.*)", "\n".join(sorted(texts)))
    return [(path, re.findall(r"--set (\S+)", rest)) for path, rest in commands]


@pytest.mark.parametrize(("path", "sets"), builds_that_pipelines_name())
def test_builds_that_a_pipeline_names_have_valid_settings(path: str, sets: list[str]) -> None:
    recipe = config.load_recipe(str(ROOT / path), sets)

    plain = config.load_recipe(str(ROOT / path))
    assert (recipe != plain) == bool(sets)  # a setting that changes nothing is none


def test_bytes_of_the_shard_on_the_page_are_those_that_are_written(tmp_path: Path) -> None:
    encoder = tokenizer.load("gpt2")
    with ShardWriter(tmp_path / "a", vocabulary_size=encoder.vocabulary_size) as writer:
        for tokens in encoder.encode(["Hello world", "hello"]):
            writer.write_document(np.append(tokens, np.uint32(encoder.end_of_text)))
    shown = next(body for body in blocks("docs/shards.md", "") if body.startswith(".bin"))
    data, index = shown.removeprefix(".bin").split(".idx")
    assert (tmp_path / "a.bin").read_bytes() == bytes.fromhex(data)
    assert (tmp_path / "a.idx").read_bytes() == bytes.fromhex(index)


def test_reader_on_the_page_reads_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = tmp_path / "part-00000-0000"
    with ShardWriter(prefix, vocabulary_size=50257) as writer:
        for document in ([5, 6, 50256], [7, 50256]):
            writer.write_document(np.array(document))
    monkeypatch.chdir(tmp_path)
    reader = next(body for body in blocks("docs/shards.md", "python") if "memmap" in body)
    names: dict[str, Any] = {}
    exec(reader, names)
    assert names["first"].tolist() == [5, 6, 50256]
    assert names["tokens"].tolist() == [5, 6, 50256, 7, 50256]
    assert names["lengths"].tolist() == [3, 2]


@pytest.mark.parametrize(
    ("goals", "verbs"),
    [
        ("crawl dedup mix", ["mix"]),
        ("crawl report dedup", ["dedup", "report"]),
        ("dedup", ["dedup"]),
    ],
)
def test_stages_among_the_goals_of_make_are_built_by_one_run(goals: str, verbs: list[str]) -> None:
    command = ["make", "--dry-run", "--old-file=.venv/installed", *goals.split()]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"bin/corpus (\S+)", shown) == verbs
