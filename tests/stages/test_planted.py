"""Benchmark items planted at known places: all are found, cut as specified, and nothing else is."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import contamination, cuts
from corpus.text.contamination import BenchmarkGrams
from tests.made import by_id, make_recipe, run, text, write_jsonl
from tests.plain_decontamination import Verdict, decontaminate

# No word of an item is in the documents around it.
ITEMS = [
    " ".join(f"Planted{number}x{word}" for word in range(length)) + "?"
    for number, length in enumerate([13, 14, 20, 60, 13, 30])
]


def built(
    folder: Path, documents: Mapping[str, str], benchmarks: Mapping[str, Sequence[str]]
) -> dict[str, Verdict]:
    """Build, and return the verdicts as the plain reference gives them."""
    rows = [{"id": id, "text": text} for id, text in documents.items()]
    half = len(rows) // 2
    files = [
        str(write_jsonl(folder / f"{i}.jsonl", own))
        for i, own in enumerate((rows[:half], rows[half:]))
    ]
    given = {
        name: str(write_jsonl(folder / f"{name}.jsonl", [{"q": item} for item in items]))
        for name, items in benchmarks.items()
    }
    recipe = make_recipe(
        {"s": {"documents": [f for f in files if Path(f).stat().st_size]}},
        decontaminate={"benchmarks": given},
    )
    manifest = run(recipe, folder / "out").stage("decontaminate")
    return {
        id: Verdict(
            row["kept"],
            row["reason"],
            [(cut["start"], cut["end"]) for cut in row["cuts"]],
            row["benchmarks"],
        )
        for id, row in by_id(manifest).items()
    }


def around(item: str, seed: str, words: int = 120) -> tuple[str, tuple[int, int]]:
    """Return an item between two long texts, and the bytes that are to be cut."""
    before, after = text(f"before {seed}", words), text(f"after {seed}", words)
    start = len(before) + 1
    return f"{before} {item} {after}", (start - 200, start + len(item.encode()) + 200)


VARIANTS = {
    "exact": lambda item: item,
    "without punctuation": lambda item: re.sub(r"[^\w\s]", "", item),
    "with commas": lambda item: ", ".join(item.split()),
    "quoted": lambda item: "«" + " — ".join(item.split()) + "…»",
    "hyphens inside words": lambda item: re.sub("x", "-x", item),
    "upper case": str.upper,
    "lower case": str.lower,
    "a word a line": lambda item: "\n".join(item.split()),
    "wrapped": lambda item: re.sub(r"((?:\S+ ){4}\S+) ", r"\1\r\n\t  ", item),
    "wide spaces": lambda item: item.replace(" ", "\u3000"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_item_is_found_however_it_is_written_and_cut_to_the_byte(
    tmp_path: Path, variant: str
) -> None:
    documents, expected = {"clean": text("clean", 300)}, {}
    for number, item in enumerate(ITEMS):
        id = f"d{number}"
        documents[id], expected[id] = around(VARIANTS[variant](item), f"{variant} {number}")
    verdicts = built(tmp_path, documents, {"quiz": ITEMS})
    assert verdicts.pop("clean") == Verdict(True, None, [], [])
    assert {id: verdict.cuts for id, verdict in verdicts.items()} == {
        id: [cut] for id, cut in expected.items()
    }
    assert all(v.kept and v.benchmarks == ["quiz"] for v in verdicts.values())


def test_item_is_found_wherever_it_stands(tmp_path: Path) -> None:
    item, long = ITEMS[0], text("long", 90)
    book, (start, end) = around(ITEMS[3], "book", 60_000)
    twice = f"{long} {item} {text('between', 30)} {ITEMS[2]} {long}"
    apart = f"{long} {item} {text('apart', 200)} {ITEMS[2]} {long}"
    documents = {
        "book": book,
        "at the end": f"{long} {item}",
        "at the start": f"{item} {long}",
        "all there is": item,
        "over the end": f"{long} {' '.join(item.split()[:12])}",  # the last word is missing
        "over two documents": f"{item.split()[-1]} {long}",
        "windows overlap": twice,
        "windows apart": apart,
    }
    verdicts = built(tmp_path, documents, {"quiz": ITEMS})
    assert len(book) > 500_000
    assert verdicts["book"] == Verdict(True, None, [(start, end)], ["quiz"])
    size = len(long) + 1
    assert verdicts["at the end"].cuts == [(size - 200, size + len(item))]
    assert verdicts["at the start"].cuts == [(0, len(item) + 200)]
    assert verdicts["all there is"] == Verdict(False, "nothing_left", [(0, len(item))], ["quiz"])
    assert verdicts["over the end"].cuts == verdicts["over two documents"].cuts == []
    assert verdicts["windows overlap"].cuts == [(size - 200, len(twice) - size + 200)]
    assert len(verdicts["windows apart"].cuts) == 2
    assert verdicts == decontaminate(documents, {"quiz": ITEMS})


def test_item_in_9_and_10_documents_is_cut_and_in_11_is_left(tmp_path: Path) -> None:
    documents = {
        f"{copies} {copy}": around(ITEMS[number], f"{copies} {copy}")[0]
        for number, copies in enumerate((9, 10, 11))
        for copy in range(copies)
    }
    # The same gram twice in a document is in one document.
    documents["9 0"] += f" {ITEMS[0]} {text('more', 90)}"
    verdicts = built(tmp_path, documents, {"quiz": ITEMS})
    assert {id.split()[0] for id, verdict in verdicts.items() if verdict.cuts} == {"9", "10"}
    assert sum(bool(verdict.cuts) for verdict in verdicts.values()) == 19
    assert verdicts == decontaminate(documents, {"quiz": ITEMS})


def test_stage_agrees_with_the_plain_reference_on_generated_documents(tmp_path: Path) -> None:
    draw = random.Random(5)
    vocabulary = [
        "the",
        "of,",
        "—",
        "naïve",
        "漢字",
        "İstanbul",
        "ΟΔΟΣ",
        "don't",
        "x_y",
        "\u200b",
        "42",
    ]
    items = [" ".join(draw.choices(vocabulary, k=draw.randint(5, 30))) for _ in range(400)]
    common = " ".join(draw.choices(vocabulary, k=15)) + " everywhere"
    documents = {}
    for number in range(40):
        pieces = [
            draw.choice([text(f"{number} {i}", draw.randint(1, 250)), draw.choice(items), common])
            for i in range(draw.choice([1, 3, 9, 80]))
        ]
        documents[f"d{number}"] = draw.choice([" ", "\n\n", " – "]).join(pieces)
    benchmarks = {"one": [*items[:250], common], "two": items[200:]}
    verdicts = built(tmp_path, documents, benchmarks)
    assert verdicts == decontaminate(documents, benchmarks)
    reasons = {verdict.reason for verdict in verdicts.values()}
    assert reasons == {None, "contaminated", "nothing_left"}
    assert {tuple(v.benchmarks) for v in verdicts.values()} >= {("one",), ("two",), ("one", "two")}


ALPHABET = ["a", "b", "A", "b,", "—", "é", "漢", "c-a", "\n"]


@settings(max_examples=200, deadline=None)
@given(
    documents=st.lists(st.lists(st.sampled_from(ALPHABET), max_size=40), max_size=6),
    items=st.lists(st.lists(st.sampled_from(ALPHABET), max_size=8), max_size=4),
    size=st.integers(2, 4),
    window=st.integers(0, 6),
    minimum=st.integers(0, 6),
    most=st.integers(1, 3),
)
def test_functions_agree_with_the_plain_reference(
    documents: list[list[str]],
    items: list[list[str]],
    size: int,
    window: int,
    minimum: int,
    most: int,
) -> None:
    texts = {str(number): " ".join(words) for number, words in enumerate(documents)}
    column = pa.array(texts.values(), pa.large_string())
    own = pa.array([" ".join(words) for words in items], pa.large_string())
    _, hashes = contamination.gram_hashes(own, size=size, words="plain")
    grams = BenchmarkGrams(
        index=contamination.make_index(np.unique(hashes), size=size, words="plain"),
        names=("b",),
        sets=np.zeros(len(np.unique(hashes)), dtype=np.int32),
        offsets=np.array([0, 1]),
        members=np.array([0]),
    )
    hits = contamination.find(column, grams.index)
    made = cuts.cut_documents(
        column,
        hits,
        grams,
        ignored=contamination.count_documents(hits, len(grams)) > most,
        window=window,
        minimum=minimum,
        maximum_pieces=most,
    )
    found = [
        Verdict(kept, reason, [(cut["start"], cut["end"]) for cut in spans], names)
        for kept, reason, spans, names in zip(
            made.kept.to_pylist(),
            made.reason.to_pylist(),
            made.cuts.to_pylist(),
            made.benchmarks.to_pylist(),
            strict=True,
        )
    ]
    expected = decontaminate(
        texts,
        {"b": own.to_pylist()},
        size=size,
        window=window,
        minimum=minimum,
        most_pieces=most,
        most_documents=most,
    )
    assert found == list(expected.values())


def read(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        return [json.loads(line) for line in io.TextIOWrapper(stream, "utf-8")]


@pytest.mark.real
def test_real_items_in_real_books_are_cut_as_the_plain_reference_says(
    real_data: Path, tmp_path: Path
) -> None:
    draw = random.Random(3)
    books = [row["text"] for row in read(real_data / "books" / "books.jsonl.zst")]
    books = sorted(books, key=len, reverse=True)[:1] + books[:12]
    lambada = [r["text"] for r in read(real_data / "benchmarks" / "lambada_test.jsonl.zst")][:400]
    maths = [r["question"] for r in read(real_data / "benchmarks" / "gsm8k_test.jsonl.zst")][:400]
    documents, planted = {}, 0
    for number, book in enumerate(books):
        places = sorted(draw.sample(range(len(book)), k=min(draw.randint(0, 5), len(book))))
        pieces = [book[a:b] for a, b in zip([0, *places], [*places, len(book)], strict=True)]
        for at in range(len(places)):
            item = draw.choice([*lambada, *maths])
            pieces[at] += f"\n{draw.choice(list(VARIANTS.values()))(item)}\n"
            planted += 1
        documents[str(number)] = "".join(pieces)
    for copies in (9, 11):
        for copy in range(copies):
            documents[f"{copies}-{copy}"] = f"{books[1 + copy]}\n{maths[copies]}\n{books[2 + copy]}"
    verdicts = built(tmp_path, documents, {"lambada": lambada, "maths": maths})
    assert verdicts == decontaminate(documents, {"lambada": lambada, "maths": maths})
    assert planted > 20
    assert sum(len(verdict.cuts) for verdict in verdicts.values()) > 20
