"""Fixtures that every test may use."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

# Small tensors gain nothing from threads, which wait for each other in a loop where cores are busy:
# a hundred times slower beside other work. Set before torch is imported, and for child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the constants of builds go to a folder of the tests, and none come from a user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the optional folder of real pages, or skip the test when it is not there."""
    folder = Path(os.environ.get("CORPUS_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no folder of real pages at {folder} (set CORPUS_TEST_DATA)")
    return folder


RECIPE = """
name: made
seed: 7
tokens: 40_000
sources:
  essays: {weight: 1, documents: essays.jsonl}
  pages: {weight: 3, filter: true, documents: "pages-*.jsonl"}
  mirrors: {documents: mirrors.jsonl}
filter: {classifier: {positives: [essays], negatives: [pages], features: 4096}, alpha: 2}
dedup: {preset: fineweb}
decontaminate: {benchmarks: {quiz: quiz.jsonl}}
tokenize: {vocabulary: gpt2}
mix: {sequence_length: 32, validation: 0.1, max_epochs: 100}
"""
WORDS = [
    start + end
    for start in ("ma", "ri", "lo", "te", "ka", "sil")
    for end in ("ver", "ne", "dow", "lin", "ston", "ket", "ra")
]
QUESTION = " ".join(f"question{number}" for number in range(16))


def write_inputs(folder: Path) -> None:
    """Write a recipe and its inputs: three sources, with duplicates, quotes and broken lines.

    The mirrors are an exact and a near copy of the first essay, and a copy of another. Among the
    pages are one URL that was captured twice, some that quote the benchmark, a line that is not
    JSON, and one without text.
    """
    generator = random.Random(1)

    def text(number: int, extra: str) -> str:
        words = [f"{generator.choice(WORDS)} {extra}{generator.randrange(40)}" for _ in range(150)]
        return f"Document {number} é. " + " ".join(words)

    essays = [
        {"url": f"https://essays.example/{n}", "title": f"Essay {n}", "text": text(n, "calm")}
        for n in range(40)
    ]
    pages = [
        {"url": f"https://pages.example/{n}", "title": f"Page {n}", "text": text(n, "buy")}
        for n in range(100)
    ]
    pages[5]["url"] = pages[6]["url"]
    pages[7]["title"] = "red \x1b[31malert"
    for n in range(10, 18):
        pages[n]["text"] = f"{pages[n]['text']} {QUESTION} {pages[n]['text'][::-1]}"
    for n in (1, 30):
        essays[n]["text"] = f"{essays[n]['text']} {QUESTION} {essays[n]['text'][::-1]}"

    copies = [essays[0]["text"], f"{essays[0]['text']} One sentence more.", essays[2]["text"]]
    mirrors = [
        {"url": f"https://mirror.example/{n}", "title": f"Mirror {n}", "text": copy}
        for n, copy in enumerate(copies)
    ]

    def write(name: str, rows: list[dict[str, str]], *more: str) -> None:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / name).write_text("\n".join([*lines, *more]) + "\n")

    write("essays.jsonl", essays)
    write("pages-0.jsonl", pages[:60], "this is not JSON", '{"url": "https://pages.example/none"}')
    write("pages-1.jsonl", pages[60:])
    write("mirrors.jsonl", mirrors)
    write("quiz.jsonl", [{"question": QUESTION}])
    (folder / "mix.yaml").write_text(RECIPE)


@pytest.fixture(scope="session")
def finished_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output folder of a finished build, for reading; its recipe lies beside it."""
    from corpus.build import build
    from corpus.config import load_recipe
    from corpus.engine import LocalEngine
    from corpus.progress import Silent

    folder = tmp_path_factory.mktemp("made")
    write_inputs(folder)
    output = folder / "output"
    build(load_recipe(str(folder / "mix.yaml")), str(output), LocalEngine(0), Silent())
    return output


@pytest.fixture
def copied_build(finished_build: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished build, to be changed."""
    return Path(shutil.copytree(finished_build, tmp_path / "output"))
