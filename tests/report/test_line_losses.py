"""Lines that dedup cut: in the report, and in the difference with a build that cuts none."""

from __future__ import annotations

import pytest

from corpus.build import Build
from corpus.report.difference import describe, difference
from corpus.report.facts import gather
from corpus.report.line_losses import LineLosses
from corpus.report.page import page
from corpus.tables import Table
from tests.made import make_recipe, run, text, write_jsonl

MENU = "Home | News | Contact us"


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, Build]:
    """Return a build without and one with `dedup.lines`: three pages with a menu, and a book."""
    folder = tmp_path_factory.mktemp("losses")
    pages = [{"id": f"p{n}", "text": f"{MENU}\n{text(f'p{n}', 60)}\n"} for n in range(3)]
    book = [{"id": "book", "text": text("book", 60)}]
    sources = {
        "pages": str(write_jsonl(folder / "pages.jsonl", pages)),
        "books": str(write_jsonl(folder / "books.jsonl", book)),
    }
    plain = run(make_recipe(sources, dedup={}), folder / "plain")
    lines = {"lines": {"minimum_left": 0}}
    return plain, run(make_recipe(sources, dedup=lines), folder / "cut")


def test_report_says_what_each_source_lost(builds: tuple[Build, Build]) -> None:
    plain, cut = builds
    lost = 2 * len(f"{MENU}\n")

    report = gather(cut)

    assert gather(plain).lines == {}
    assert "Lines that other documents have" not in page(gather(plain))
    size = report.lines["pages"].text_bytes
    assert report.lines["pages"] == LineLosses(2, 2, lost, size)
    assert report.lines["books"].bytes == 0
    assert f'<td class="n">{lost}</td><td class="n">{lost / size:.1%}</td>' in page(report)


def test_difference_says_what_only_one_build_cut(builds: tuple[Build, Build]) -> None:
    plain, cut = builds

    found = difference(plain, cut)

    lost = gather(cut).lines
    assert {(one.source, one.before) for one in found.lines} == {("pages", None), ("books", None)}
    assert {one.source: one.after for one in found.lines} == lost
    [table] = [
        b for b in describe(found) if isinstance(b, Table) and b.head[1] == "lines cut before"
    ]
    assert ("pages", "–", "2", "–", f"{lost['pages'].bytes:,}") in table.rows
    assert difference(cut, cut).lines == ()
