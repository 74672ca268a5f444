"""Two builds compared: settings, counts, and every document's fate against the plain verdicts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from corpus.build import Build, build, read_build
from corpus.config import load_recipe
from corpus.engine import LocalEngine
from corpus.progress import Silent
from corpus.report.difference import ABSENT, KEPT, _compare, describe, difference
from corpus.tables import Table
from corpus.verdicts import judged_parts, take_rows


@pytest.fixture(scope="module")
def other_build(finished_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a build with a stricter filter and without the mirrors, not tokenized."""
    output = tmp_path_factory.mktemp("other")
    changes = ["filter.alpha=9"]
    text = (finished_build.parent / "mix.yaml").read_text()
    recipe = finished_build.parent / "other.yaml"
    recipe.write_text(text.replace("  mirrors: {documents: mirrors.jsonl}\n", ""))
    engine = LocalEngine(0)
    build(load_recipe(str(recipe), changes), str(output), engine, Silent(), "decontaminate")
    return output


def fates(made: Build) -> dict[tuple[str, str], str]:
    """Return what became of each document, by source and id: plain Python."""
    found = {}
    for one in judged_parts(made):
        rows = range(one.part.rows)
        for row in take_rows(one.part.documents, rows, ["id"]).to_pylist():
            found[one.part.source, row["id"]] = KEPT
        for stage, path in one.verdicts.items():
            for row in take_rows(path, rows, ["id", "kept", "reason"]).to_pylist():
                if row["kept"] is False:
                    found[one.part.source, row["id"]] = f"{stage}/{row['reason']}"
    return found


def test_difference_names_every_documents_fate_in_both(
    finished_build: Path, other_build: Path
) -> None:
    before, after = read_build(str(finished_build)), read_build(str(other_build))
    one, other = fates(before), fates(after)
    expected = Counter(
        (key[0], one.get(key, ABSENT), other.get(key, ABSENT)) for key in {*one, *other}
    )

    found = difference(before, after)

    moved = {(m.source, m.before, m.after): m.documents for m in found.moved}
    assert moved == {key: n for key, n in expected.items() if key[1] != key[2]}
    assert found.same == sum(n for key, n in expected.items() if key[1] == key[2])
    assert moved["pages", KEPT, "filter/quality"] > 5
    assert sum(n for key, n in moved.items() if key[0] == "mirrors" and key[2] == ABSENT) == 3
    assert found.settings[0].key == "filter.alpha"
    assert {s.key.rpartition(".")[0] for s in found.settings[1:]} == {
        "sources.mirrors",
        "sources.mirrors.documents",
    }
    assert (found.settings[0].before, found.settings[0].after) == (2.0, 9.0)


def test_difference_of_the_other_way_round_is_the_mirror_image(
    finished_build: Path, other_build: Path
) -> None:
    before, after = read_build(str(finished_build)), read_build(str(other_build))

    there, back = difference(before, after), difference(after, before)

    assert {(m.source, m.before, m.after, m.documents) for m in there.moved} == {
        (m.source, m.after, m.before, m.documents) for m in back.moved
    }
    assert [(r.stage, r.source, r.before, r.after) for r in there.rows] != []
    assert {(r.stage, r.source, str(r.before), str(r.after)) for r in there.rows} == {
        (r.stage, r.source, str(r.after), str(r.before)) for r in back.rows
    }


def test_difference_of_a_build_with_itself_is_nothing(finished_build: Path) -> None:
    made = read_build(str(finished_build))

    found = difference(made, made)

    assert (found.settings, found.rows, found.moved) == ((), (), ())
    assert found.same == len(fates(made))
    assert list(describe(found)) == [
        "The recipes are the same.",
        f"{found.same:,} documents have the same fate in both.",
    ]


def test_difference_is_shown_with_what_was_and_what_is(
    finished_build: Path, other_build: Path
) -> None:
    found = difference(read_build(str(finished_build)), read_build(str(other_build)))

    settings, rows, _, moved = describe(found)

    assert isinstance(settings, Table)
    assert list(settings.rows[0]) == ["filter.alpha", "2.0", "9.0"]
    assert isinstance(rows, Table)
    assert ["extract", "mirrors", "3", "–", "3", "–"] in [list(row) for row in rows.rows]
    assert isinstance(moved, Table)
    assert moved.rows[0][1:3] == (KEPT, "filter/quality")


def test_an_id_that_is_twice_in_one_build_is_no_pair() -> None:
    """Ids are unique in a source; where a damaged build has one twice, no two are one document."""
    keys = [np.array([[1, 1], [1, 1]], np.uint64), np.array([[2, 2]], np.uint64)]
    codes = [np.array([[0, 1], [0, 1]], np.int32), np.array([[0, 1]], np.int32)]

    same, moved = _compare(keys, codes, ["web"], [ABSENT, KEPT])

    assert same == 0
    assert {(m.before, m.after): m.documents for m in moved} == {
        (KEPT, ABSENT): 2,
        (ABSENT, KEPT): 1,
    }
