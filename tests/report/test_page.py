"""The report: its facts against the verdicts, and a page that no document can break."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from corpus.build import read_build
from corpus.look.seen import Seen
from corpus.report import facts
from corpus.report.charts import histogram, stacked_bars
from corpus.report.facts import Examples, Report, gather
from corpus.report.page import page
from corpus.verdicts import judged_parts, take_rows

VOID = {"meta", "rect"}


class Elements(HTMLParser):
    """Collects elements and text, and says when an end has no beginning."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: Counter[str] = Counter()
        self.text: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def report(finished_build: Path) -> Report:
    return gather(read_build(str(finished_build)))


def test_funnel_and_examples_are_those_of_the_manifests(
    finished_build: Path, report: Report
) -> None:
    build = read_build(str(finished_build))

    assert [funnel.stage for funnel in report.funnel] == [
        "extract",
        "filter",
        "dedup",
        "decontaminate",
    ]
    for funnel in report.funnel:
        for source, counts in funnel.sources.items():
            assert counts == build.manifests[funnel.stage].counts(source)
    dropped = {
        (stage, reason): number
        for stage in ("extract", "filter", "dedup", "decontaminate")
        for reason, number in build.manifests[stage].counts().dropped.items()
        if number
    }
    assert {(e.stage, e.reason): e.number for e in report.drops} == dropped
    for examples in report.drops:
        assert len(examples.rows) == min(2, examples.number)
        assert all(row.reason == examples.reason for row in examples.rows)


def test_histograms_and_languages_count_every_document_once(
    finished_build: Path, report: Report
) -> None:
    build = read_build(str(finished_build))
    lengths: Counter[tuple[bool, int]] = Counter()
    languages: Counter[str] = Counter()
    scores = 0
    for one in judged_parts(build):
        rows = range(one.part.rows)
        last = take_rows(one.verdicts["decontaminate"], rows, ["kept"]).to_pylist()
        scored = take_rows(one.verdicts["filter"], rows, ["score"]).to_pylist()
        scores += sum(row["score"] is not None for row in scored)
        texts = take_rows(one.part.documents, rows, ["text", "language"]).to_pylist()
        for verdict, row in zip(last, texts, strict=True):
            kept = verdict["kept"] is True
            lengths[kept, len(row["text"]).bit_length()] += 1  # the bin [2^(n-1), 2^n)
            if kept:
                languages[row["language"] or "unknown"] += 1

    by_title = {h.title: h for h in report.histograms}
    found = by_title["Length in characters"]
    for kept, numbers in ((True, found.kept), (False, found.dropped)):
        for edge, number in zip(found.edges[1:], numbers[1:], strict=False):
            assert number == lengths[kept, int(edge).bit_length()]
    assert dict(report.languages) == dict(languages)
    assert scores == sum(by_title["Quality score"].kept) + sum(by_title["Quality score"].dropped)
    near = by_title["Jaccard similarity with the document that was kept"]
    assert sum(near.kept) == 0
    assert sum(near.dropped) == 3  # both copies and the near copy of conftest.py
    assert (report.parts_read, report.parts) == (len(judged_parts(build)),) * 2


def test_large_builds_are_read_in_part_and_say_so(
    finished_build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MOST_PARTS", 2)

    report = gather(read_build(str(finished_build)))

    assert (report.parts_read, report.parts) == (2, 4)
    assert "From 2 of 4 parts." in page(report)


def test_page_is_whole_and_has_the_numbers(report: Report) -> None:
    text = page(report)

    elements = Elements(text)

    words = " ".join(elements.text)
    assert elements.names["svg"] == len(report.funnel) + len(report.histograms)
    assert all(f"{row.tokens:,}" in words for row in report.mixture)
    assert f"{report.funnel[-1].sources['essays'].kept:,}" in words
    assert '"alpha": 2.0' in words
    assert not {"src", "href"} & {name for name, _ in elements.attributes}


def test_hostile_documents_are_shown_and_do_nothing(report: Report) -> None:
    hostile = "</blockquote><script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31m \u202e"
    row = Seen(hostile, hostile, hostile, None, {}, hostile, hostile, {}, {})
    changed = replace(report, name=hostile, drops=(Examples("filter", hostile, 1, (row,)),))

    elements = Elements(page(changed))

    assert elements.names["script"] == elements.names["img"] == 0
    words = "".join(elements.text)
    assert "<script>alert(1)</script>" in words
    assert "\x1b" not in words
    assert "\u202e" not in words


def test_bars_are_as_long_as_their_numbers() -> None:
    chart = stacked_bars(
        [("one", [("kept", 30), ("lost", 10)]), ("none", [("kept", 0), ("lost", 0)])],
        legend=["kept", "lost"],
    )

    widths = [float(part.split('"')[0]) for part in chart.split('width="')[1:]]
    assert widths[0] == pytest.approx(3 * widths[1])
    assert widths[2:] == [0.0, 0.0]
    starts = [float(part.split('"')[0]) for part in chart.split('<rect x="')[1:]]
    assert starts[1] == pytest.approx(starts[0] + widths[0], abs=0.2)
    assert "one: kept 30" in chart


def test_histogram_of_nothing_has_no_bars() -> None:
    chart = histogram(["0", "1", "2"], [0, 0], [0, 0], "Empty")

    heights = {float(part.split('"')[0]) for part in chart.split(' height="')[1:]}
    assert heights == {0.0}


def test_shares_of_the_mixture_are_as_exact_as_its_weights(report: Report) -> None:
    total = sum(row.sequences for row in report.mixture)
    text = page(report)
    assert report.mixture
    for row in report.mixture:
        assert f">{row.weight:.2%}</td>" in text
        assert f">{row.sequences / total:.2%}</td>" in text
