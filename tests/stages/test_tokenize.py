"""tokenize: every token is of a document that is in, and every such document is there whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import parts
from corpus.build import Build
from corpus.errors import InputError
from corpus.manifest import Counts
from corpus.stages.tokenize import apply_cuts
from corpus.text import quality, tokenizer
from corpus.tokenize.shards import TokenShard
from tests.made import Recording, by_id, changed, make_recipe, rows, run, text, write_jsonl

ITEM = " ".join(f"item{i}" for i in range(16))
GERMAN = "Der Hund lief über die Straße und bellte, weil er die Katze gesehen hatte. " * 4


def inputs(folder: Path) -> dict[str, Any]:
    """Return two sources with every kind of verdict, special text and bytes beyond ASCII."""
    web = [{"id": f"w{i}", "text": text(f"web {i}", 60)} for i in range(60)]
    web += [
        {"id": "german", "text": GERMAN},
        {"id": "copy", "text": web[3]["text"]},
        {"id": "near", "text": changed(web[4]["text"] + " " + text("x", 60), 1, 2)},
        {"id": "quotes", "text": f"{text('q', 90)} é💧 {ITEM} 日本 {text('r', 90)}"},
        {"id": "bare", "text": ITEM},
        {"id": "special", "text": f"<|endoftext|> {text('s')} <|endoftext|>\n\n  é 日本 💧\t"},
    ]
    own = [{"id": f"o{i}", "text": text(f"own {i}", 50)} for i in range(30)]
    return {
        "own": str(write_jsonl(folder / "own.jsonl", own)),
        "web": {
            "documents": [
                str(write_jsonl(folder / "web-0.jsonl", web[::2])),
                str(write_jsonl(folder / "web-1.jsonl", web[1::2])),
            ],
            "filter": True,
        },
    }


def tokenized(folder: Path, progress: Recording | None = None, **sections: Any) -> Build:
    sources = inputs(folder)
    sources["own"] = {"documents": sources["own"], "weight": 1}
    quiz = write_jsonl(folder / "quiz.jsonl", [{"q": ITEM}])
    given: dict[str, Any] = {
        "filter": {"languages": {"en": 0.3}},
        "dedup": {"preset": "fineweb", "threshold": 0.3, "bands": 50, "rows": 2},
        "decontaminate": {"benchmarks": str(quiz)},
        "tokenize": {},
        "mix": {"validation": 0.2},
        "tokens": 1000,
        **sections,
    }
    recipe = make_recipe(sources, **given)
    return run(recipe, folder / "out", "tokenize", progress=progress)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "BATCH_ROWS", 7)  # several batches a part, as real parts have them
        return tokenized(tmp_path_factory.mktemp("tokenized"))


def decoded(build: Build, split: str) -> dict[str, str]:
    """Return the text of every document in the shards of a split, by id, from the tokens alone."""
    manifest, encoder = build.stage("tokenize"), tokenizer.load("gpt2")
    found: dict[str, str] = {}
    for shard in manifest.shards:
        for data, index, table in zip(
            *(shard.all(f"{split}_{kind}") for kind in ("bin", "idx", "documents")), strict=True
        ):
            prefix = manifest.path(data).removesuffix(".bin")
            assert manifest.path(index) == f"{prefix}.idx"
            tokens = TokenShard(prefix)
            places = pq.read_table(manifest.path(table)).to_pylist()
            assert (data.rows, index.rows, table.rows) == (
                len(tokens.tokens),
                len(tokens),
                len(places),
            )
            for number, place in enumerate(places):
                start, end = tokens.document_offsets[number : number + 2].tolist()
                assert (place["start"], place["start"] + place["length"]) == (start, end)
                own = np.asarray(tokens.tokens[start:end])
                assert own[-1] == encoder.end_of_text
                assert encoder.end_of_text not in own[:-1]
                assert place["id"] not in found
                found[place["id"]] = encoder.decode(own[:-1])
    return found


def expected(build: Build) -> dict[str, str]:
    """Return the text of every document that is in, with what is cut out left out."""
    documents = {row["id"]: row["text"] for row in rows(build.stage("extract"), "documents")}
    found = {}
    for id, verdict in by_id(build.stage("decontaminate")).items():
        if verdict["kept"]:
            data, pieces, start = documents[id].encode(), [], 0
            for cut in [*verdict["cuts"], {"start": len(data), "end": len(data)}]:
                pieces.append(data[start : cut["start"]].decode())
                start = cut["end"]
            found[id] = "\n\n".join(piece for piece in pieces if piece)
    return found


def test_tokens_decode_to_the_texts_with_verdicts_and_cuts_applied(build: Build) -> None:
    wanted = expected(build)
    assert {**decoded(build, "training"), **decoded(build, "validation")} == wanted
    assert "<|endoftext|>" in wanted["special"]
    assert "item0" not in wanted["quotes"]
    assert "\n\n" in wanted["quotes"]
    for gone in ("german", "bare"):
        assert gone not in wanted
    assert len({"w3", "copy"} & set(wanted)) == len({"w4", "near"} & set(wanted)) == 1


def test_counts_and_measures_are_those_of_the_shards(build: Build) -> None:
    manifest = build.stage("tokenize")
    training, validation = decoded(build, "training"), decoded(build, "validation")
    assert manifest.counts() == Counts(*[len(training) + len(validation)] * 2)
    encoder = tokenizer.load("gpt2")

    def tokens(texts: list[str]) -> int:
        return sum(len(one) + 1 for one in encoder.encode(texts))

    assert manifest.measure("tokens") == tokens(list(training.values()))
    assert manifest.measure("validation_tokens") == tokens(list(validation.values()))
    every = [*training.values(), *validation.values()]
    assert manifest.measure("text_bytes") == sum(len(one.encode()) for one in every)


def test_validation_is_drawn_by_document_and_has_its_share(build: Build) -> None:
    training, validation = decoded(build, "training"), decoded(build, "validation")
    assert not set(training) & set(validation)
    share = len(validation) / (len(training) + len(validation))
    assert 0.08 < share < 0.35
    ids = sorted({*training, *validation})
    draws = quality.draws(pa.array(ids), seed=11, purpose="validation")
    assert set(validation) == {id for id, draw in zip(ids, draws, strict=True) if draw < 0.2}


def test_validation_is_independent_of_the_draw_of_the_filter() -> None:
    """Else the validation split would be of the documents that any alpha keeps."""
    ids = pa.array([f"document {i}" for i in range(20_000)])
    filtered = quality.draws(ids, seed=11)
    held_out = quality.draws(ids, seed=11, purpose="validation")
    assert abs(np.corrcoef(filtered, held_out)[0, 1]) < 0.03
    assert abs((held_out[filtered < 0.1] < 0.2).mean() - 0.2) < 0.03


def test_validation_split_does_not_depend_on_how_documents_lie_in_files(tmp_path: Path) -> None:
    documents = [{"id": f"d{i}", "text": text(i, 20)} for i in range(80)]
    splits = []
    for name, files in (("1", [documents]), ("2", [documents[50:], documents[:50]])):
        paths = [str(write_jsonl(tmp_path / name / f"{i}.jsonl", f)) for i, f in enumerate(files)]
        recipe = make_recipe(
            {"s": {"documents": paths, "weight": 1}},
            tokenize={},
            mix={"validation": 0.3},
            tokens=10,
        )
        made = run(recipe, tmp_path / name / "out", "tokenize")
        splits.append(set(decoded(made, "validation")))
    assert splits[0] == splits[1]
    assert 10 < len(splits[0]) < 40


def test_without_a_mix_nothing_is_held_out(tmp_path: Path) -> None:
    build = tokenized(tmp_path, mix=None, tokens=None)
    assert decoded(build, "validation") == {}
    assert decoded(build, "training") == expected(build)


def test_source_of_which_nothing_is_kept_has_no_shard(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "one.jsonl", [{"text": GERMAN}])
    two = write_jsonl(tmp_path / "two.jsonl", [{"text": GERMAN}])
    recipe = make_recipe({"one": one, "two": two}, dedup={}, tokenize={})
    manifest = run(recipe, tmp_path / "out").stage("tokenize")
    assert [len(shard.outputs) for shard in manifest.shards] == [3, 0]
    assert manifest.counts("two") == Counts()
    assert manifest.measure("tokens", "two") == 0


def test_vocabulary_that_is_not_there_is_an_input_error_before_anything_is_tokenized(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError) as caught:
        tokenized(tmp_path, tokenize={"vocabulary": f"{tmp_path}/none/tokenizer.json"})
    assert "none/tokenizer.json" in str(caught.value)
    with pytest.raises(InputError):
        tokenized(tmp_path, tokenize={"vocabulary": "gpt22"})


def test_another_share_of_validation_makes_the_shards_again_and_nothing_before(
    tmp_path: Path,
) -> None:
    tokenized(tmp_path)
    progress = Recording()
    tokenized(tmp_path, progress, mix={"validation": 0.1, "sequence_length": 8})
    assert progress.made == {"tokenize": 3}
    progress = Recording()
    tokenized(tmp_path, progress, mix={"validation": 0.1, "sequence_length": 16})
    assert progress.made == {}


@pytest.mark.parametrize(
    ("spans", "left"),
    [
        (None, "aé💧b"),
        ([], "aé💧b"),
        ([(0, 1)], "é💧b"),
        ([(1, 3)], "a\n\n💧b"),
        ([(0, 1), (3, 7)], "é\n\nb"),
        ([(1, 8)], "a"),
        ([(0, 8)], ""),
    ],
)
def test_cuts_are_bytes_and_pieces_are_joined_by_a_blank_line(
    spans: list[tuple[int, int]] | None, left: str
) -> None:
    given = None if spans is None else [{"start": a, "end": b} for a, b in spans]
    assert apply_cuts("aé💧b", given) == left
