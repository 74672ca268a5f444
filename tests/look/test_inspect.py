"""Looking at documents: which are chosen, what is shown of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus import tables
from corpus.build import Build, read_build
from corpus.errors import InputError, RecipeError
from corpus.look import clusters, inspect
from corpus.look.inspect import Inspection


@pytest.fixture
def made(finished_build: Path) -> Build:
    return read_build(str(finished_build))


def look(build: Build, **asked: Any) -> Inspection:
    defaults = {
        "stage": None,
        "dropped": False,
        "reason": None,
        "source": None,
        "number": 1000,
        "sample": None,
    }
    return inspect.inspect(build, **{**defaults, **asked})


def shown(inspection: Inspection) -> str:
    return "\n".join(
        block if isinstance(block, str) else tables.plain(block)
        for block in inspect.describe(inspection)
    )


@pytest.mark.parametrize("stage", ["extract", "filter", "dedup", "decontaminate"])
@pytest.mark.parametrize("dropped", [False, True])
def test_inspect_all_rows_are_those_that_the_manifest_counts(
    made: Build, stage: str, dropped: bool
) -> None:
    inspection = look(made, stage=stage, dropped=dropped)
    counts = made.stage(stage).counts()
    expected = sum(counts.dropped.values()) if dropped else counts.kept
    assert len(inspection.rows) == expected
    assert len({row.id for row in inspection.rows}) == expected


def test_inspect_without_a_stage_looks_at_the_last_that_decided(made: Build) -> None:
    assert look(made).stage == "decontaminate"


def test_inspect_with_a_reason_alone_finds_the_stage_that_dropped_for_it(made: Build) -> None:
    inspection = look(made, dropped=True, reason="quality")
    assert inspection.stage == "filter"
    assert inspection.rows
    assert {row.reason for row in inspection.rows} == {"quality"}
    assert {row.source for row in inspection.rows} == {"pages"}


def test_inspect_with_a_reason_shows_no_other(made: Build) -> None:
    rows = look(made, stage="dedup", dropped=True, reason="near_duplicate").rows
    assert [row.url for row in rows] == ["https://mirror.example/1"]
    rows = look(made, stage="extract", dropped=True, reason="malformed").rows
    assert [row.reason for row in rows] == ["malformed"]


def test_inspect_dropped_by_dedup_names_the_keeper(made: Build) -> None:
    rows = look(made, stage="dedup", dropped=True).rows
    exact = next(row for row in rows if row.reason == "exact_duplicate")
    assert exact.url == "https://mirror.example/0"
    assert exact.columns["duplicate_source"] == "essays"
    assert exact.columns["jaccard"] == 1.0
    assert 0 < exact.columns["score"] < 1


def test_inspect_dropped_by_extract_shows_lost_lines_with_their_cause(made: Build) -> None:
    rows = look(made, stage="extract", dropped=True).rows
    assert sorted(row.reason or "" for row in rows) == ["malformed", "missing_text"]
    malformed = next(row for row in rows if row.reason == "malformed")
    assert malformed.columns["detail"].startswith("line 61")
    assert malformed.text is None


def test_inspect_first_documents_come_in_the_order_of_the_recipe(made: Build) -> None:
    urls = [row.url for row in look(made, stage="extract", number=42).rows]
    expected = [f"https://essays.example/{n}" for n in range(40)]
    assert urls == [*expected, "https://pages.example/0", "https://pages.example/1"]


def test_inspect_sample_depends_on_its_seed_alone(made: Build) -> None:
    one, again, other = (
        [row.id for row in look(made, stage="extract", number=8, sample=seed).rows]
        for seed in (1, 1, 2)
    )
    assert one == again
    assert set(one) != set(other)
    larger = {row.id for row in look(made, stage="extract", number=20, sample=1).rows}
    assert set(one) < larger


def test_inspect_one_source_shows_only_that(made: Build) -> None:
    rows = look(made, source="pages", number=5, sample=3).rows
    assert {row.source for row in rows} == {"pages"}
    assert len(rows) == 5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"source": "page"}, "essays, pages"),
        ({"reason": "qualm", "dropped": True, "stage": "filter"}, "quality"),
        ({"stage": "tokenize"}, "extract, filter, dedup, decontaminate"),
    ],
)
def test_inspect_of_what_is_not_there_names_what_is(
    made: Build, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        look(made, **asked)


def test_inspect_of_a_stage_that_is_not_built_says_so(made: Build) -> None:
    early = Build(made.output, {"crawl": made.stage("crawl"), "extract": made.stage("extract")})
    with pytest.raises(InputError, match="dedup is not built"):
        look(early, stage="dedup")


def test_inspect_shows_no_control_characters(made: Build) -> None:
    text = shown(look(made, stage="extract"))
    assert "https://pages.example/7" in text
    assert "\x1b" not in text
    assert tables.printable("a\x1b[31mb\u202ec\x9bd\ne") == "a\ufffd[31mb\ufffdc\ufffdd e"


def test_inspect_counts_table_adds_up(made: Build) -> None:
    table = inspect.counts_table(look(made, stage="filter").counts)
    assert table.head == ("source", "in", "kept", "quality")
    for row in table.rows:
        assert int(row[1]) == int(row[2]) + int(row[3])


def test_clusters_largest_has_the_essay_and_both_copies(made: Build) -> None:
    clustering = clusters.clustering(made, source=None, number=10)
    assert clustering.dropped == sum(made.stage("dedup").counts().dropped.values())
    largest = clustering.largest[0]
    assert largest.keeper.url == "https://essays.example/0"
    assert largest.dropped == 2
    members = [(m.url, m.reason) for m in largest.members]
    assert members == [
        ("https://mirror.example/0", "exact_duplicate"),
        ("https://mirror.example/1", "near_duplicate"),
    ]
    assert 0.9 < (largest.members[1].jaccard or 0) < 1
    sizes = [cluster.dropped for cluster in clustering.largest]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 1
    assert clusters.clustering(made, source=None, number=1).largest == (largest,)


def test_clusters_of_one_source_are_those_whose_keeper_is_in_it(made: Build) -> None:
    assert clusters.clustering(made, source="pages", number=10).dropped == 0


def test_take_rows_over_row_groups_keeps_the_order_asked_for(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from corpus.errors import IntegrityError
    from corpus.verdicts import take_rows

    path = str(tmp_path / "rows.parquet")
    pq.write_table(pa.table({"n": range(25), "m": range(25)}), path, row_group_size=10)
    assert take_rows(path, [24, 0, 11, 0], ["n"]).to_pydict() == {"n": [24, 0, 11, 0]}
    assert take_rows(path, []).num_rows == 0
    with pytest.raises(IntegrityError, match="25 rows"):
        take_rows(path, [25])
