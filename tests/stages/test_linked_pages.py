"""crawl and extract: the pages that submissions link to, in archives and through an index."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.build import Build
from corpus.crawl import chosen, links
from corpus.engine import LocalEngine
from corpus.errors import InputError
from corpus.look import check
from corpus.sources import listed_keys, streams, urls
from corpus.sources.crawl_index import PLACES, Selection
from tests.made import Recording, digests, make_recipe, rows, run, write_jsonl
from tests.made_crawl import SNAPSHOT, crawl
from tests.server import Server

FILES, ROWS = crawl()
CRAWL = {"requests_per_second": 1000, "attempts": 4, "timeout": 5, "backoff": 0.001}
LOST = "https://not.example/in-the-crawl"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(FILES) as server:
        yield server


def submission(url: str, score: int, number: int) -> dict[str, object]:
    return {"id": f"s{number}", "url": url, "score": score, "over_18": False, "is_self": False}


def dumps(folder: Path) -> tuple[list[str], set[str]]:
    """Write two dumps; return their paths and the addresses of the crawl that are linked."""
    wanted = [row.url for row in ROWS[::4]]
    spelled = [
        url + "/?utm_source=x" if number % 2 else url.replace("https://", "http://")
        for number, url in enumerate(wanted)
    ]
    first = [submission(url, 2, number) for number, url in enumerate(spelled)]
    # Of some pages no one has posted the address that the index has.
    second = [spelled[n] if n % 4 == 1 else url for n, url in enumerate(wanted)]
    again = [submission(url, 1, 1000 + number) for number, url in enumerate(second)]
    few = [submission(row.url, 1, 2000 + n) for n, row in enumerate(ROWS[1::4])]
    other = [submission(LOST, 9, 3000), {"is_self": True}, submission("https://i.redd.it/x", 1, 0)]
    # Wrong case of a path: the index's key forgets it, and the page is another one.
    other.append(submission(ROWS[2].url.replace("/p", "/P"), 9, 3001))
    paths = [folder / "RS_1.ndjson", folder / "RS_2.ndjson"]
    write_jsonl(paths[0], [*first, *few, *other])
    write_jsonl(paths[1], [*again, first[0], *few[:3]])  # dumps overlap
    return [str(path) for path in paths], set(wanted)


def made(folder: Path, paths: Sequence[str], until: str = "extract", **where: Any) -> Build:
    source = {"webtext": {"submissions": list(paths), **where}}
    recipe = make_recipe({"w": source}, crawl=CRAWL, extract={"extractor": "resiliparse"})
    return run(recipe, folder / "out", until)


def places(documents: list[dict[str, Any]]) -> set[tuple[str, int]]:
    return {(row["warc_file"], row["warc_offset"]) for row in documents}


@pytest.mark.parametrize("index", ["columnar", "cdxj"])
def test_linked_pages_are_fetched_by_range_and_are_those_of_the_archives(
    server: Server, tmp_path: Path, index: str
) -> None:
    paths, wanted = dumps(tmp_path)
    where = {"commoncrawl": {"snapshots": SNAPSHOT, "base_url": server.url, "index": index}}
    build = made(tmp_path / "a", paths, **where)
    found = rows(build.stage("extract"), "documents")
    assert {row["url"] for row in found} == wanted
    archives = [(path, r) for r in server.log if (path := r.path).endswith(".warc.gz")]
    assert archives
    assert all(request.range for _, request in archives)
    local = tmp_path / "warc"
    local.mkdir()
    for name, data in FILES.items():
        if name.endswith(".warc.gz"):
            (local / name.rpartition("/")[2]).write_bytes(data)
    whole = rows(made(tmp_path / "b", paths, pages=f"{local}/*").stage("extract"), "documents")
    assert places(found) == places(whole)
    assert {row["id"] for row in found} == {row["id"] for row in whole}


def test_every_submitted_address_has_its_fate(server: Server, tmp_path: Path) -> None:
    paths, wanted = dumps(tmp_path)
    build = made(
        tmp_path, paths, "crawl", commoncrawl={"snapshots": SNAPSHOT, "base_url": server.url}
    )
    ledger = {row["url"]: row for row in rows(build.stage("crawl"), "links")}
    fates = Counter(row["fate"] for row in ledger.values())
    assert fates == {"linked": len(wanted), "low_karma": len(ROWS[1::4]), "not_in_index": 2}
    assert ledger[urls.key(LOST)]["fate"] == "not_in_index"
    assert ledger[urls.key(ROWS[0].url)]["submissions"] == 2  # one of three was in both dumps
    counts = build.stage("crawl").counts("w")
    assert counts.dropped == {"low_karma": len(ROWS[1::4]), "not_in_index": 2}
    assert not list(check.check(build, full=True, say=lambda _: None).problems)


def test_linked_pages_do_not_depend_on_workers_or_partitions(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, wanted = dumps(tmp_path)
    monkeypatch.setattr(links, "_PARTITION_BYTES", 700)
    source = {
        "webtext": {
            "submissions": paths,
            "commoncrawl": {"snapshots": SNAPSHOT, "base_url": server.url},
        }
    }
    recipe = make_recipe({"w": source}, crawl=CRAWL, extract={"extractor": "resiliparse"})
    one = run(recipe, tmp_path / "one", "extract")
    two = run(recipe, tmp_path / "two", "extract", LocalEngine(2))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    step = [p for p in (tmp_path / "one").glob("links-*") if p.is_dir()]
    assert len(list(step[0].glob("w/part-*"))) > 3
    assert {row["url"] for row in rows(one.stage("extract"), "documents")} == wanted
    ledger = [row["url"] for row in rows(one.stage("crawl"), "links")]
    assert len(ledger) == len(set(ledger))
    assert two.stage("extract").counts().kept == len(wanted)
    again = Recording()
    run(recipe, tmp_path / "one", "extract", progress=again)
    assert sum(again.made.values()) == 0


def test_linked_pages_that_no_index_has_are_an_input_error(server: Server, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "RS.ndjson", [submission(LOST, 5, 1)])
    with pytest.raises(InputError, match="none of the pages that the submissions link to"):
        made(
            tmp_path,
            [str(path)],
            "crawl",
            commoncrawl={"snapshots": SNAPSHOT, "base_url": server.url},
        )


def test_choice_takes_one_capture_of_the_first_snapshot_that_has_the_page(tmp_path: Path) -> None:
    def table(name: str, *captures: tuple[int, str, int]) -> str:
        found = [
            {"url": "", "archive": a, "offset": o, "length": 5, "draw": 0, "page": p}
            for p, a, o in captures
        ]
        path = str(tmp_path / name)
        pq.write_table(pa.Table.from_pylist(found, schema=PLACES), path)
        return path

    early = table("1", (7, "b", 10), (2**64 - 1, "b", 30)), table("2", (7, "a", 20), (7, "a", 0))
    late = table("3", (7, "c", 0), (8, "c", 40), (8, "c", 10)), table("4")
    task = chosen.ChosenTask("chosen", "w", "k", 1, (early, (), late), str(tmp_path))
    shard = chosen.chosen_shard(task)
    found = pq.read_table(tmp_path / "w" / "chosen.parquet").to_pylist()
    assert [(row["page"], row["archive"], row["offset"]) for row in found] == [
        (7, "a", 0),
        (2**64 - 1, "b", 30),
        (8, "c", 10),
    ]
    assert (shard.counts.into, shard.counts.kept) == (7, 3)


def test_listed_keys_are_those_of_the_range_whatever_is_asked_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = sorted({f"com,example)/{number % 97:02d}" for number in range(97)})
    for part in range(3):
        mine = words[part::3]
        pages = [words.index(word) for word in mine]
        columns = {"surt": mine, "page": pages}
        pq.write_table(
            pa.table(columns, schema=listed_keys.KEYS_SCHEMA),
            tmp_path / f"{part}.parquet",
            row_group_size=5,
        )
    pq.write_table(listed_keys.KEYS_SCHEMA.empty_table(), tmp_path / "3.parquet")
    paths = tuple(str(tmp_path / f"{part}.parquet") for part in range(4))
    selection = Selection((), (), (), (), (), None, listed=paths)
    selection.within("a", "b")
    selection = pickle.loads(pickle.dumps(selection))  # as it travels to a worker
    for first, last in [(0, 5), (3, 60), (96, 96), (0, 96), (50, 10), (7, 8)]:
        keys = selection.within(words[first], words[last])
        assert keys.surts == set(words[first : last + 1])
        assert keys.pages == set(range(first, last + 1))
        assert selection.overlaps(words[first], words[last]) == (first <= last)
    assert not selection.overlaps("com,example)/991", "com,example)/992")


@pytest.mark.real
@pytest.mark.parametrize("index", ["columnar", "cdxj"])
def test_pages_of_real_submissions_come_out_of_the_mirror(
    real_data: Path, tmp_path: Path, index: str
) -> None:
    """The truth has the addresses in the crawl; of those that are linked a few are fetched."""
    given = real_data / "webtext" / "submissions.ndjson.zst"
    recipe = make_recipe(
        {
            "w": {
                "webtext": {
                    "submissions": str(given),
                    "commoncrawl": {
                        "snapshots": "CC-MAIN-2026-47",
                        "base_url": str(real_data / "commoncrawl"),
                        "index": index,
                    },
                    "min_karma": 400,  # so few that they are extracted in seconds
                }
            }
        },
        crawl={"requests_per_second": 1000},
        extract={"extractor": "resiliparse"},
    )
    build = run(recipe, tmp_path / "out", "extract")
    ledger = rows(build.stage("crawl"), "links")
    wanted = {row["url"] for row in ledger if row["fate"] in ("linked", "not_in_index")}
    truth = real_data / "webtext" / "submissions_truth.jsonl.zst"
    lines = [json.loads(line) for _, line in streams.lines(str(truth), max_line_bytes=10**7)]
    assert wanted <= {urls.key(line["url"]) for line in lines}
    assert not [row for row in ledger if row["fate"] == "not_in_index"]
    extract = build.stage("extract")
    found = [*rows(extract, "documents"), *rows(extract, "dropped")]
    assert {urls.key(row["url"]) for row in found} == wanted
    assert len(wanted) > 20
    assert len(found) == len(wanted)
