"""WebText: links out of submissions, and the pages they point to."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import Drop, DropReason, Page, Place
from corpus.errors import InputError
from corpus.sources import streams, submissions, urls, warc, webtext

PAGE = "http://a.example/page"


def submission(url: object = PAGE, score: object = 1, **more: object) -> dict[str, object]:
    return {"url": url, "score": score, "over_18": False, "is_self": False, **more}


def dump(tmp_path: Path, *rows: object, name: str = "RS.zst") -> tuple[str, str]:
    data = b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )
    path = tmp_path / name
    path.write_bytes(zstandard.ZstdCompressor().compress(data))
    return str(path), name


def table(*paths: tuple[str, str], min_karma: int = 3, blocked: tuple[str, ...] = ()) -> Any:
    return summed(*paths, min_karma=min_karma, blocked=blocked)[0]


def summed(
    *paths: tuple[str, str], min_karma: int = 3, blocked: tuple[str, ...] = ()
) -> tuple[Any, int, submissions.Tally]:
    """Return the links of dumps, the submissions that were there before, and what was counted."""
    tally = submissions.Tally()
    batches = [b for path, name in paths for b in submissions.read(path, name=name, tally=tally)]
    rows = pa.concat_tables([submissions.SUBMISSIONS_SCHEMA.empty_table(), *batches])
    found, repeated = webtext.fates(rows, min_karma=min_karma, blocked_domains=blocked)
    assert found.schema == webtext.LINKS_SCHEMA
    read = found["submissions"].to_numpy().sum() + repeated + sum(tally.others.values())
    assert read == tally.read
    return found, repeated, tally


def test_links_sums_scores_over_the_addresses_of_a_page(tmp_path: Path) -> None:
    path = dump(
        tmp_path,
        submission(PAGE + "/?utm_source=x", 2),
        submission("https://www.A.example/page#top", 4),
        submission(PAGE, None),
        submission(PAGE, -3),
        submission(PAGE, 50, over_18=True),
    )
    assert table(path).to_pylist() == [
        {
            "url": "a.example/page",
            "original": PAGE,
            "page": urls.page_hash("a.example/page"),
            "karma": 3,
            "submissions": 5,
            "fate": "linked",
        }
    ]


@pytest.mark.parametrize(
    ("row", "fate"),
    [
        (submission(score=3), "linked"),
        (submission(score="3"), "linked"),
        (submission(score=3.0), "linked"),
        (submission(score=2), "low_karma"),
        (submission(score=10**30), "low_karma"),
        (submission(score="many"), "low_karma"),
        ({"url": PAGE}, "low_karma"),
        (submission(score=9, over_18=True), "over_18"),
        (submission("https://en.m.wikipedia.org/wiki/X", 9), "wikipedia"),
        (submission("https://sub.blocked.example/x", 9), "blocked"),
        (submission("https://notblocked.example/x", 9), "linked"),
    ],
)
def test_links_gives_each_address_its_fate(tmp_path: Path, row: object, fate: str) -> None:
    found = table(dump(tmp_path, row), blocked=("blocked.example",)).to_pylist()
    assert [r["fate"] for r in found] == [fate]
    assert found[0]["url"] is not None


@pytest.mark.parametrize(
    ("row", "fate"),
    [
        (submission("https://www.reddit.com/r/x/comments/1/", 9, is_self=True), "self_post"),
        (submission("https://old.reddit.com/r/x/comments/1/", 9), "self_post"),
        (submission("/r/x/comments/1/", 9), "self_post"),
        (submission("", 9, domain="self.x"), "self_post"),
        (submission("https://i.redd.it/x", 9), "media"),
        (submission("https://m.youtube.com/watch?v=1", 9), "media"),
        (submission("https://a.example/x.JPG?w=1", 9), "media"),
        (submission("https://a.example/x.pdf", 9), "media"),
        (submission("ftp://a.example/", 9), "malformed"),
        (submission(None, 9), "malformed"),
        (b"{broken", "malformed"),
        (b"[]", "malformed"),
        (b'{"url": "\xff"}', "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"selftext": "' + b"x" * (9 << 20) + b'"}', "malformed"),
    ],
)
def test_links_only_counts_what_is_no_outbound_link(tmp_path: Path, row: object, fate: str) -> None:
    found, repeated, tally = summed(dump(tmp_path, row, b"", row))
    assert (found.num_rows, repeated, tally.others, tally.read) == (0, 0, {fate: 2}, 2)


def test_links_count_a_submission_of_two_dumps_once(tmp_path: Path) -> None:
    first = dump(tmp_path, submission(score=2, id="a"), submission(score=1, id="b"), name="1.zst")
    again = dump(
        tmp_path,
        submission(PAGE + "/", score=3, id="a"),
        submission(score=1),
        submission(score=9, id="b", over_18=True),
        name="2.zst",
    )
    for paths in ((first, again), (again, first)):
        found, repeated, _ = summed(*paths)
        (row,) = found.to_pylist()
        # a: its greater score; b is over 18 in one of them; the one without an id is by itself
        assert (row["karma"], row["submissions"], repeated) == (4, 3, 2)


def test_links_keep_submissions_without_an_id_apart(tmp_path: Path) -> None:
    same = [submission(score=1)] * 3
    found = table(dump(tmp_path, *same, name="1.zst"), dump(tmp_path, *same, name="2.zst"))
    assert found.to_pylist()[0]["karma"] == 6


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_links_does_not_depend_on_order_or_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    rows = [submission(f"http://h{i % 7}.example/{i % 13}?{'&' * (i % 3)}", i) for i in range(300)]
    whole = table(dump(tmp_path, *rows))
    monkeypatch.setattr(submissions, "_BATCH", batch)
    first = dump(tmp_path, *rows[200:], name="1.zst")
    second = dump(tmp_path, *rows[:200][::-1], name="2.zst")
    assert table(first, second).equals(whole)
    assert whole["submissions"].to_numpy().sum() == 300
    assert whole["karma"].to_numpy().sum() == sum(range(300))


def test_links_of_no_dumps_is_an_empty_table() -> None:
    assert table().num_rows == 0


def test_links_of_a_dump_that_is_cut_off_raises(tmp_path: Path) -> None:
    """Karma over a part of the submissions would be wrong, so that nothing is better."""
    path = tmp_path / "RS.gz"
    rows = b"".join(
        json.dumps(submission(f"http://{i}.example/")).encode() + b"\n" for i in range(9)
    )
    path.write_bytes(gzip.compress(rows * 1000)[:-20])
    with pytest.raises(InputError, match=r"RS\.gz: the dump of submissions is not whole"):
        table((str(path), "RS.gz"))


@given(st.sets(st.text(max_size=8)), st.text(max_size=8))
def test_linked_urls_holds_exactly_its_keys(keys: set[str], other: str) -> None:
    linked = webtext.LinkedUrls(np.array([urls.page_hash(key) for key in keys], np.uint64))
    assert len(linked) == len(keys)
    assert all(key in linked for key in keys)
    assert (other in linked) == (other in keys)
    assert None not in linked


def test_read_yields_linked_pages_and_drops_that_concern_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place(warc_file="w", warc_offset=0)

    def page(url: str) -> Page:
        return Page("id", url, None, place, "text/html", None, b"x")

    def drop(url: str | None) -> Drop:
        return Drop("id", url, DropReason.HTTP_STATUS, "404", place)

    linked_page, linked_drop, damage = page("https://A.example/page/#x"), drop(PAGE), drop(None)
    items = [page("http://b.example/"), linked_page, drop("http://b.example/"), linked_drop, damage]
    asked = []

    def archive(path: str, *, name: str, max_page_bytes: int, verify_digests: bool) -> Any:
        asked.append((path, name, max_page_bytes))
        return iter(items)

    monkeypatch.setattr(warc, "read", archive)
    found = webtext.read("p", name="n", linked=frozenset({"a.example/page"}), max_page_bytes=9)
    assert list(found) == [linked_page, linked_drop, damage]
    assert asked == [("p", "n", 9)]


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for _, line in streams.lines(str(path), max_line_bytes=10**7)]


@pytest.mark.real
def test_links_of_real_addresses_agree_with_the_truth(real_data: Path) -> None:
    """The truth counts submissions and takes the greatest score by page; sums follow from both."""
    path = real_data / "webtext" / "submissions.ndjson.zst"
    given = _json_lines(path)
    found = table((str(path), "s"))
    rows = {row["url"]: row for row in found.to_pylist()}
    by_key = defaultdict(list)
    for row in given:
        by_key[urls.key(row["url"])].append(row)
    truth = defaultdict(list)
    for row in _json_lines(path.with_name("submissions_truth.jsonl.zst")):
        truth[urls.key(row["url"])].append(row)
    # One page is in the crawl with a slash at its end and without: one key, as for the submitters.
    assert sum(len(group) - 1 for group in truth.values()) == 1
    for key, group in truth.items():
        mine = by_key[key]
        assert len(mine) == sum(row["submissions"] for row in group), key
        scores = [row["score"] for row in mine if row["score"] is not None]
        best = [row["max_score"] for row in group if row["max_score"] is not None]
        assert max(scores, default=None) == max(best, default=None), key
        if key not in rows:
            assert urls.in_domains(urls.host_of(group[0]["url"]) or "", {"reddit.com"})
            continue
        safe = [row["score"] or 0 for row in mine if not row["over_18"]]
        assert rows[key]["karma"] == sum(safe), key
        assert rows[key]["submissions"] == len(mine), key
        if rows[key]["fate"] != "wikipedia":
            fate = "over_18" if not safe else "linked" if sum(safe) >= 3 else "low_karma"
            assert rows[key]["fate"] == fate, key
    assert set(rows) <= set(truth)


@pytest.mark.real
def test_read_finds_the_linked_pages_of_a_real_archive(real_data: Path) -> None:
    given = real_data / "webtext" / "submissions.ndjson.zst"
    found = table((str(given), "s")).filter(pc.field("fate") == "linked")
    keys = found["url"].to_pylist()
    archive = sorted((real_data / "commoncrawl").rglob("*-00000.warc.gz"))[0]
    pages = {
        urls.key(item.url)
        for item in warc.read(str(archive), name="w", max_page_bytes=10 << 20)
        if isinstance(item, Page)
    }
    mine = webtext.read(
        str(archive),
        name="w",
        linked=webtext.LinkedUrls(found["page"].to_numpy()),
        max_page_bytes=10 << 20,
    )
    read = {urls.key(item.url) for item in mine if isinstance(item, Page)}
    assert read == pages & set(keys)
    assert len(read) > 100
