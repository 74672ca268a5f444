"""dedup: what is planted is found, and every drop is similar to a document that is kept."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus import parts
from corpus.build import Build, describe
from corpus.errors import BoundError
from corpus.manifest import Counts
from tests.made import Recording, by_id, changed, make_recipe, rows, run, text, write_jsonl

Rows = list[dict[str, str]]
CONNECTED = ["small-stars", "large-stars", "sums", "totals", "candidates"]
STEPS = ["copies", "edges", *CONNECTED, "shingles", "visit", "fates", "drops"]
# Fifty bands of two find every pair at 0.5 and more, all but certainly.
SCHEME = {"preset": "fineweb", "threshold": 0.7, "bands": 50, "rows": 2}


def dedup_of(
    folder: Path, sources: Mapping[str, Sequence[Rows]], **settings: Any
) -> tuple[dict[str, dict[str, Any]], Build]:
    """Return the verdicts by id; each source is a list of files of rows."""
    recipe = make_recipe(
        {
            name: {
                "documents": [
                    str(write_jsonl(folder / f"{name}-{i}.jsonl", file))
                    for i, file in enumerate(files)
                ]
            }
            for name, files in sources.items()
        },
        dedup={**SCHEME, "max_loss": 1, **settings},
    )
    made = run(recipe, folder / "out")
    return by_id(made.stage("dedup")), made


def row(id: str, text: str) -> dict[str, str]:
    return {"id": id, "text": text}


def shingles(text: str, size: int = 5) -> set[tuple[str, ...]]:
    """By the standard library alone."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def kept(verdicts: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {id for id, verdict in verdicts.items() if verdict["kept"]}


def check(verdicts: Mapping[str, Mapping[str, Any]], texts: Mapping[str, str]) -> None:
    """Check the promise of every drop: its keeper is kept, and is as similar as is said."""
    for id, verdict in verdicts.items():
        if verdict["kept"]:
            assert verdict["duplicate_of"] is verdict["jaccard"] is verdict["reason"] is None
            continue
        keeper = verdict["duplicate_of"]
        assert verdicts[keeper]["kept"]
        if verdict["reason"] == "exact_duplicate":
            assert texts[id] == texts[keeper]
            assert verdict["jaccard"] == 1
        else:
            assert verdict["reason"] == "near_duplicate"
            assert verdict["jaccard"] == pytest.approx(jaccard(texts[id], texts[keeper]), abs=1e-12)
            assert verdict["jaccard"] >= SCHEME["threshold"]


def planted() -> Rows:
    """Return originals with exact copies, near copies and strangers, in a random order."""
    made = [row(f"o{i:02d}", text(i, 90 + i)) for i in range(20)]
    originals = [one["text"] for one in made]
    made += [row(f"x{i:02d}", originals[i]) for i in range(5)]
    made += [row(f"n{i:02d}", changed(originals[i], i, 1 + i % 8)) for i in range(3, 15)]
    random.Random(3).shuffle(made)
    return made


def test_every_planted_duplicate_is_found_and_no_stranger_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 5)  # several batches a part, as real parts have them
    made = planted()
    verdicts, build = dedup_of(tmp_path, {"a": [made]})
    texts = {one["id"]: one["text"] for one in made}
    check(verdicts, texts)
    for i in range(20):
        family = [id for id in (f"o{i:02d}", f"x{i:02d}", f"n{i:02d}") if id in texts]
        similar = [
            id for id in family if jaccard(texts[id], texts[f"o{i:02d}"]) >= SCHEME["threshold"]
        ]
        assert len(kept(verdicts) & set(similar)) == 1, family
    manifest = build.stage("dedup")
    assert manifest.counts().into == len(made)
    assert manifest.summary["exact_duplicates"] == 5
    assert manifest.summary["near_duplicates"] + 5 == len(made) - len(kept(verdicts))
    assert manifest.summary["documents"] == len(made)


def test_verdicts_lie_row_by_row_beside_the_documents(tmp_path: Path) -> None:
    made = planted()
    _, build = dedup_of(tmp_path, {"a": [made[:7], [], made[7:]]})
    documents = [one["id"] for one in rows(build.stage("extract"), "documents")]
    assert [one["id"] for one in rows(build.stage("dedup"), "verdict")] == documents


def test_survivors_depend_neither_on_the_order_of_files_nor_on_their_number(
    tmp_path: Path,
) -> None:
    made = planted()
    first, _ = dedup_of(tmp_path / "1", {"a": [made]})
    backwards = made[::-1]
    second, _ = dedup_of(
        tmp_path / "2", {"a": [backwards[:3], backwards[3:20], backwards[20:21], backwards[21:]]}
    )
    assert second == first
    assert 0 < len(kept(first)) < len(made)


def test_of_equals_the_longer_is_kept_and_then_the_smaller_id(tmp_path: Path) -> None:
    base = text(1)
    verdicts, _ = dedup_of(
        tmp_path,
        {
            "a": [
                [row("b", base), row("a", base), row("c", base)],
                [row("x", text(2)), row("y", text(2) + " and a few words more")],
            ]
        },
    )
    assert kept(verdicts) == {"a", "y"}
    assert [verdicts[id]["duplicate_of"] for id in "bcx"] == ["a", "a", "y"]


def test_earlier_source_keeps_its_documents_although_the_later_ones_are_longer(
    tmp_path: Path,
) -> None:
    """WebText is removed from Common Crawl and not the other way round."""
    exact, near = text(1), text(2)
    verdicts, _ = dedup_of(
        tmp_path,
        {
            "zebra": [[row("z1", exact), row("z2", near)]],
            "ant": [[row("a1", exact), row("a2", f"{near} and a few words more")]],
        },
    )
    assert kept(verdicts) == {"z1", "z2"}
    for id, keeper in (("a1", "z1"), ("a2", "z2")):
        assert verdicts[id]["duplicate_of"] == keeper
        assert verdicts[id]["duplicate_source"] == "zebra"


def test_chain_loses_its_middle_alone(tmp_path: Path) -> None:
    """a~b~c with a unlike c: the best, a, takes b with it, and c stays."""
    words = text(5, 104).split()
    texts = {
        "a": " ".join(words[:100]),  # the longest, so the best
        "b": " ".join(words[20:100]),
        "c": " ".join(words[40:100]),
    }
    verdicts, _ = dedup_of(tmp_path, {"s": [[row(id, one) for id, one in texts.items()]]})
    assert jaccard(texts["a"], texts["b"]) > 0.7 > jaccard(texts["a"], texts["c"])
    assert jaccard(texts["b"], texts["c"]) > 0.7
    assert kept(verdicts) == {"a", "c"}
    assert verdicts["b"]["duplicate_of"] == "a"


def test_star_keeps_its_centre_and_what_is_like_no_kept_document(tmp_path: Path) -> None:
    centre = text(7, 100)
    texts = {"centre": f"{centre} end"} | {f"p{i}": changed(centre, i, 10) for i in range(6)}
    pairs = [jaccard(texts[f"p{i}"], texts["p0"]) for i in range(1, 6)]
    assert min(pairs) < 0.7  # the leaves are not all alike
    verdicts, _ = dedup_of(tmp_path, {"s": [[row(id, one) for id, one in texts.items()]]})
    check(verdicts, texts)
    assert kept(verdicts) == {"centre"}


def test_copy_of_a_dropped_original_names_the_final_keeper(tmp_path: Path) -> None:
    original = text(9)
    texts = {"k": f"{original} more words here", "o": original, "copy": original}
    verdicts, _ = dedup_of(tmp_path, {"s": [[row(id, one) for id, one in texts.items()]]})
    check(verdicts, texts)
    assert kept(verdicts) == {"k"}
    for id in ("o", "copy"):
        assert (verdicts[id]["duplicate_of"], verdicts[id]["reason"]) == ("k", "near_duplicate")
    assert verdicts["o"]["jaccard"] == verdicts["copy"]["jaccard"] < 1


def test_documents_too_short_for_a_shingle_are_only_copies_of_their_equals(
    tmp_path: Path,
) -> None:
    texts = {
        "a": "four words are here",
        "b": "other words are here",
        "c": "four words are here",
        "d": "one",
        "e": "?!",
        "f": "!?",
        "g": "?!",
    }
    verdicts, build = dedup_of(tmp_path, {"s": [[row(id, one) for id, one in texts.items()]]})
    check(verdicts, texts)
    assert kept(verdicts) == {"a", "b", "d", "e", "f"}
    assert build.stage("dedup").summary["candidates"] == 0  # a million of them would be compared


def test_identifiers_may_hold_any_character(tmp_path: Path) -> None:
    """They are the file's own."""
    ids = ["é", "日本", "a b", "💧", "z" * 300]
    same = text(1)
    verdicts, _ = dedup_of(tmp_path, {"s": [[row(id, same) for id in ids]]})
    assert kept(verdicts) == {"a b"}


def test_identifier_that_two_sources_share_names_the_right_source(tmp_path: Path) -> None:
    same = text(1)
    _, build = dedup_of(tmp_path, {"one": [[row("x", same)]], "two": [[row("x", same)]]})
    found = rows(build.stage("dedup"), "verdict")
    assert [(one["kept"], one["duplicate_of"]) for one in found] == [(True, None), (False, "x")]
    assert found[1]["duplicate_source"] == "one"


def test_document_that_was_dropped_before_neither_counts_nor_keeps(tmp_path: Path) -> None:
    same = text(1)
    german = "Der Hund lief über die Straße und bellte, weil er die Katze gesehen hatte. " * 3
    texts = {"d1": german, "d2": german, "a": same, "b": same}
    path = write_jsonl(tmp_path / "a.jsonl", [row(id, one) for id, one in texts.items()])
    curated = write_jsonl(tmp_path / "b.jsonl", [row("c", german)])
    recipe = make_recipe(
        {"web": {"documents": str(path), "filter": True}, "own": str(curated)},
        filter={"languages": {"en": 0.5}},
        dedup=SCHEME,
    )
    made = run(recipe, tmp_path / "out")
    verdicts = by_id(made.stage("dedup"))
    assert [verdicts[id]["kept"] for id in ("d1", "d2", "a", "b", "c")] == [
        None,
        None,
        True,
        False,
        True,
    ]
    assert verdicts["d2"]["duplicate_of"] is None
    assert made.stage("dedup").counts() == Counts(3, 2, {"exact_duplicate": 1})


def test_nothing_alike_drops_nothing(tmp_path: Path) -> None:
    verdicts, build = dedup_of(tmp_path, {"s": [[row(f"{i}", text(i)) for i in range(5)], []]})
    assert len(kept(verdicts)) == 5
    assert build.stage("dedup").summary["near_duplicates"] == 0


def test_source_without_documents_is_no_obstacle(tmp_path: Path) -> None:
    verdicts, _ = dedup_of(tmp_path, {"none": [[]], "s": [[row("a", text(1))]]})
    assert kept(verdicts) == {"a"}
    assert dedup_of(tmp_path / "2", {"none": [[]]})[0] == {}


def test_source_that_loses_too_much_stops_the_build_until_the_bound_is_raised(
    tmp_path: Path,
) -> None:
    copies = [row(f"c{i}", text(1)) for i in range(19)]
    files = {"web": [[*copies, row("x", text(2))]], "own": [[row("o", text(3))]]}
    with pytest.raises(BoundError, match="web would lose 18 of its 20 documents") as caught:
        dedup_of(tmp_path, files, max_loss=0.8)
    assert "dedup.max_loss" in str(caught.value)
    verdicts, _ = dedup_of(tmp_path, files, max_loss=0.95)
    assert len(kept(verdicts)) == 3
    # And a build that is there already is not let through by a stricter recipe.
    with pytest.raises(BoundError):
        dedup_of(tmp_path, files, max_loss=0.8)


def test_source_of_a_few_documents_may_lose_any_share(tmp_path: Path) -> None:
    copies = [row(f"c{i}", text(1)) for i in range(19)]
    assert len(kept(dedup_of(tmp_path, {"web": [copies]}, max_loss=0.1)[0])) == 1


def test_another_threshold_reads_the_signatures_that_are_there(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", planted())
    progress = Recording()
    for threshold in (0.7, 0.9):
        recipe = make_recipe({"a": path}, dedup={**SCHEME, "threshold": threshold})
        run(recipe, tmp_path / "out", progress=(progress := Recording()))
    assert list(progress.made) == [*STEPS, "dedup"]
    assert set(progress.made.values()) == {1}


def test_finished_folder_holds_verdicts_and_nothing_of_the_exchange(tmp_path: Path) -> None:
    _, build = dedup_of(tmp_path, {"exchange": [planted()]})
    folder = Path(build.stage("dedup").folder)
    assert sorted(path.name for path in folder.rglob("*")) == [
        "exchange",
        "manifest.json",
        "part-00000-0000.parquet",
    ]


def test_presets_find_what_they_are_for(tmp_path: Path) -> None:
    original = text(1, 200)
    made = [row("o", f"{original} end"), row("n", changed(original, 1, 2)), row("x", text(2, 200))]
    for preset in ("thorough", "gpt3", "fineweb", "strict"):
        path = write_jsonl(tmp_path / "a.jsonl", made)
        recipe = make_recipe({"a": path}, dedup={"preset": preset})
        verdicts = by_id(run(recipe, tmp_path / "out").stage("dedup"))
        assert verdicts["x"]["kept"], preset
        assert kept(verdicts) == {"o", "x"}, preset


def test_a_threshold_that_the_bands_miss_is_told(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [row(str(n), text(n)) for n in range(3)])
    sources = {"x": {"documents": str(path)}}

    def line(**dedup: Any) -> str:
        made = run(make_recipe(sources, dedup={"words": "word", **dedup}), tmp_path / "out")
        return describe(made.stage("dedup"))

    assert "; 18 bands of 7 rows find 13% of the pairs at 0.5: " in line(threshold=0.5)
    assert "bands" not in line(threshold=0.5, permutations=128)
    assert "bands" not in line()
