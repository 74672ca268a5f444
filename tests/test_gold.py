"""Main text against what people marked, on a sample of real pages; the benchmark takes them all."""

from __future__ import annotations

import copy
import json
import statistics
from pathlib import Path

import pytest

from benchmarks import gold

FLOORS = json.loads(gold.FLOORS.read_text())


@pytest.fixture(scope="module")
def judged(real_data: Path) -> list[gold.Judged]:
    return gold.sample(gold.load(real_data))


@pytest.mark.real
def test_sample_is_the_one_that_the_floors_are_of(judged: list[gold.Judged]) -> None:
    assert gold.digest(judged) == FLOORS["sample"]["digest"]


@pytest.mark.real
@pytest.mark.parametrize("extractor", gold.EXTRACTORS)
def test_main_text_is_no_worse_than_its_floors_and_than_the_extractor_by_itself(
    judged: list[gold.Judged], extractor: str
) -> None:
    ours = [gold.judge(one, "ours", extractor) for one in judged]
    figures = gold.figures(judged, ours)
    floors = FLOORS["sample"][extractor]
    assert figures.keys() == floors.keys()
    assert {group: figures[group] for group in floors if figures[group] < floors[group]} == {}
    alone = [gold.judge(one, "by itself", extractor) for one in judged]
    mean, theirs = (
        statistics.fmean(j.f1 for one, j in zip(judged, found, strict=True) if one.groups)
        for found in (ours, alone)
    )
    assert mean >= theirs


def test_token_f1_is_that_of_the_bags_of_words() -> None:
    assert gold.token_f1("", "") == 1
    assert gold.token_f1("a", "") == gold.token_f1("", "a") == 0
    assert gold.token_f1("The cat, the mat", "the CAT sat") == pytest.approx(2 * 2 / 7)


def test_update_raises_floors_and_refuses_to_lower_them(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    gold.update(path, FLOORS, allow_regression=False)
    higher, lower, other = (copy.deepcopy(FLOORS) for _ in range(3))
    higher["all"]["trafilatura"]["WCXB"] += 0.01
    gold.update(path, higher, allow_regression=False)
    lower["sample"]["resiliparse"]["CleanEval"] -= 0.01
    other["all"]["digest"] = "0"
    for worse in (lower, FLOORS, other):
        with pytest.raises(SystemExit, match="allow-regression"):
            gold.update(path, worse, allow_regression=False)
        assert json.loads(path.read_text()) == higher
    assert gold.lowered(higher, FLOORS) == [
        "all, trafilatura, WCXB: "
        f"{higher['all']['trafilatura']['WCXB']:.4f} to {FLOORS['all']['trafilatura']['WCXB']:.4f}"
    ]
    gold.update(path, lower, allow_regression=True)
    assert json.loads(path.read_text()) == lower


def test_update_with_a_group_that_is_gone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    gold.update(path, FLOORS, allow_regression=False)
    gone = copy.deepcopy(FLOORS)
    del gone["all"]["trafilatura"]["WCXB forum"]
    with pytest.raises(SystemExit, match="allow-regression"):
        gold.update(path, gone, allow_regression=False)
