"""The whole stage against the rule, written down as plainly as can be.

Bands by datasketch, components by hand, then: documents best first, and one is dropped if and only
if a kept one of its component is similar enough.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import mmh3
import pytest
from datasketch import MinHash

from corpus.config import Dedup, DedupScheme
from corpus.dedup import components, exchange, shingles, spans, visit
from corpus.text import normalization
from tests.made import by_id, make_recipe, run, write_jsonl

SEED = 11  # of `make_recipe`
Verdict = tuple[str | None, str | None, float | None]  # reason, keeper, Jaccard index
# One source of a kind; the third is filtered, so it is not curated.
SOURCES = ("books", "news", "crawl")


def shingle_set(text: str, scheme: DedupScheme) -> set[tuple[str, ...]]:
    words = normalization.words(text, kind=scheme.words)
    size = scheme.shingle
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def bands(grams: set[tuple[str, ...]], scheme: DedupScheme) -> set[tuple[int, bytes]]:
    if not grams:
        return set()
    sketch = MinHash(
        num_perm=scheme.bands * scheme.rows,
        seed=SEED,
        hashfunc=lambda value: mmh3.hash(value, signed=False),
    )
    sketch.update_batch([" ".join(gram).encode() for gram in grams])
    values = sketch.hashvalues
    cuts = [values[b * scheme.rows : (b + 1) * scheme.rows] for b in range(scheme.bands)]
    return {(number, cut.tobytes()) for number, cut in enumerate(cuts)}


def similarity(a: set[Any], b: set[Any]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def expected(texts: Mapping[str, tuple[int, str]], scheme: DedupScheme) -> dict[str, Verdict]:
    """Return the verdicts on documents, each a source's number and a text."""
    sets = {id: shingle_set(text, scheme) for id, (_, text) in texts.items()}
    keys = {id: bands(sets[id], scheme) for id in texts}
    component = {id: id for id in texts}
    for a, b in combinations(texts, 2):
        if scheme.scope == "within" and texts[a][0] != texts[b][0]:
            continue
        if keys[a] & keys[b] or (texts[a][1] == texts[b][1] != ""):
            old, new = component[b], component[a]
            component = {id: new if root == old else root for id, root in component.items()}

    def rank(id: str) -> tuple[bool, int, int, str]:
        source, text = texts[id]
        last = scheme.scope == "curated" and source == 2
        return last, source, -len(text.encode()), id

    verdicts: dict[str, Verdict] = {}
    kept: list[str] = []
    for id in sorted(texts, key=rank):
        source, text = texts[id]
        verdicts[id] = (None, None, None)
        # A copy is dropped for the document with its text; others for the best one.
        for other in sorted(kept, key=lambda other: text != texts[other][1]):
            equal = text == texts[other][1] != ""
            index = 1.0 if equal else similarity(sets[id], sets[other])
            if component[id] != component[other] or index < scheme.threshold:
                continue
            if scheme.scope == "curated" and (source != 2 or texts[other][0] == 2):
                continue
            reason = "exact_duplicate" if equal else "near_duplicate"
            verdicts[id] = (reason, other, index)
            break
        else:
            kept.append(id)
    return verdicts


def made(seed: int) -> dict[str, tuple[int, str]]:
    """Return documents many of which are copies or edited copies of others."""
    draw = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(draw.choice([6, 30, 400]))]
    vocabulary += ["日本語", "naïve", "Ω"]
    originals = [draw.choices(vocabulary, k=draw.choice([1, 4, 20, 60])) for _ in range(5)]
    texts = {}
    for number in range(45):
        words = list(draw.choice(originals))
        for _ in range(draw.choice([0, 0, 1, 2, 5])):
            words[draw.randrange(len(words))] = draw.choice(vocabulary)
        text = " ".join(words[: draw.choice([len(words), len(words), len(words) - 2])])
        if draw.random() < 0.1:
            text = draw.choice(["", "?!", "...", "one", text + "!", text.upper()])
        texts[f"{draw.randrange(10**6):06d}-{number}"] = (draw.randrange(3), text)
    return texts


def verdicts(
    folder: Path, texts: Mapping[str, tuple[int, str]], files: int, **settings: Any
) -> dict[str, Verdict]:
    """Run the stage over the documents, each source in so many files."""
    sources: dict[str, Any] = {}
    for number, name in enumerate(SOURCES):
        rows = [{"id": id, "text": text} for id, (own, text) in texts.items() if own == number]
        paths = []
        for file in range(files):
            path = folder / f"{name}-{file}.jsonl"
            paths.append(str(write_jsonl(path, rows[file::files])))
        sources[name] = {"documents": paths, "filter": number == 2}
    # A filter that filters nothing out: it names rules that a few words cannot break.
    urls = folder / "none.txt"
    urls.write_text("nowhere.example\n")
    recipe = make_recipe(sources, filter={"urls": str(urls)}, dedup={"max_loss": 1, **settings})
    found = by_id(run(recipe, folder / "out").stage("dedup"))
    return {
        id: (one["reason"], one["duplicate_of"], one["jaccard"])
        for id, one in found.items()
        if one["kept"] is not None
    }


SHAPES: Sequence[dict[str, Any]] = (
    {"preset": "fineweb", "threshold": 0.5, "bands": 50, "rows": 2},
    {"preset": "fineweb", "threshold": 0.6, "shingle": 2, "bands": 6, "rows": 3},
    {"preset": "gpt3"},
    {"preset": "thorough", "threshold": 0.5, "scope": "within"},
    {"preset": "fineweb", "threshold": 0.6, "shingle": 1, "scope": "curated"},
)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("settings", SHAPES, ids=lambda value: "-".join(map(str, value.values())))
def test_verdicts_are_those_of_the_plain_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], seed: int
) -> None:
    """Also when everything is cut into many pieces: ranges of keys, buckets, tiers and files."""
    texts = {id: one for id, one in made(seed).items() if one[1]}
    scheme = Dedup(**settings).scheme()
    wanted = expected(texts, scheme)
    assert verdicts(tmp_path / "whole", texts, 1, **settings) == wanted
    assert {"near_duplicate", "exact_duplicate", None} == {reason for reason, *_ in wanted.values()}
    monkeypatch.setattr(exchange, "TASK_ROWS", 600)
    monkeypatch.setattr(exchange, "COPY_ROWS", 20)
    monkeypatch.setattr(exchange, "BATCH_ROWS", 8)
    monkeypatch.setattr(spans, "SPAN_DOCUMENTS", 9)
    monkeypatch.setattr(components, "BUCKET_SHINGLES", 150)
    monkeypatch.setattr(components, "LARGE_SHINGLES", 150)
    monkeypatch.setattr(shingles, "FILE_SHINGLES", 50)
    monkeypatch.setattr(visit, "DIRECT", 2)
    backwards = dict(reversed(texts.items()))
    assert verdicts(tmp_path / "cut", backwards, 3, **settings) == wanted
