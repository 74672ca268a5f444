"""crawl: pages chosen through the index, WET files, paths and limits, up to their documents."""

from __future__ import annotations

import dataclasses
import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpus import clean
from corpus.build import Build
from corpus.errors import InputError, RecipeError
from corpus.progress import Lines
from corpus.sources.crawl_index import draw
from tests.made import Recording, digests, make_recipe, rows, run
from tests.made_crawl import LINES, SNAPSHOT, TABLE, Row, crawl, table
from tests.server import SLOW_DOWN, Server, Trouble

FILES, ROWS = crawl()
CRAWL = {
    "requests_per_second": 1000,
    "attempts": 4,
    "timeout": 5,
    "cooldown": 0.05,
    "backoff": 0.001,
}
EXTRACT = {"extractor": "resiliparse"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(FILES) as server:
        yield server


def made(
    folder: Path, base: str, until: str = "crawl", progress: Any = None, **settings: Any
) -> Build:
    settings.setdefault("snapshots", SNAPSHOT)
    source = {"commoncrawl": {"base_url": base, **settings}}
    recipe = make_recipe({"s": source}, crawl=CRAWL, extract=EXTRACT)
    return run(recipe, folder, until, progress=progress)


def places(build: Build) -> set[tuple[str, int]]:
    """Return archive and offset of every record that was fetched."""
    manifest = build.stage("crawl")
    found: set[tuple[str, int]] = set()
    for shard in manifest.shards:
        if shard.outputs:
            name = shard.output("input").path.partition(f"{shard.name}-")[2]
            table = pq.read_table(manifest.path(shard.output("offsets")))
            found |= {(name, offset) for offset in table["offset"].to_pylist()}
    return found


def there(wanted: list[Row]) -> set[tuple[str, int]]:
    return {(row.archive.rpartition("/")[2], row.offset) for row in wanted}


@pytest.mark.parametrize("index", ["columnar", "cdxj"])
def test_chosen_pages_are_the_documents_that_the_whole_archives_give(
    server: Server, tmp_path: Path, index: str
) -> None:
    pages = {"domains": "b.example", "languages": ["eng", "deu"], "index": index}
    part = made(tmp_path / "part", server.url, "extract", pages=pages)
    wanted = [
        row
        for row in ROWS
        if row.host.endswith("b.example") and (row.languages or "")[:3] in ("eng", "deu")
    ]
    assert wanted
    assert places(part) == there(wanted)
    whole = made(tmp_path / "whole", server.url, "extract")
    kept = {row["url"]: row for row in rows(whole.stage("extract"), "documents")}
    assert sorted(rows(part.stage("extract"), "documents"), key=lambda row: row["url"]) == sorted(
        (kept[row.url] for row in wanted), key=lambda row: row["url"]
    )


def test_damaged_page_has_the_identifier_of_the_whole_archive(
    server: Server, tmp_path: Path
) -> None:
    row = next(row for row in ROWS if row.host == "a.example")
    broken = bytearray(FILES[row.archive])
    broken[row.offset + 60] ^= 1
    server.files[row.archive] = bytes(broken)
    part = made(tmp_path / "part", server.url, "extract", pages={"hosts": "a.example"})
    whole = made(tmp_path / "whole", server.url, "extract")
    dropped = rows(part.stage("extract"), "dropped")
    assert [drop["reason"] for drop in dropped] == ["damaged_record"]
    assert dropped[0]["warc_offset"] == row.offset
    assert dropped[0]["id"] in {drop["id"] for drop in rows(whole.stage("extract"), "dropped")}


def test_nothing_of_the_crawl_is_fetched_twice_and_only_what_is_wanted(
    server: Server, tmp_path: Path
) -> None:
    for url in (None, ROWS[5].url, ROWS[9].url):
        chosen = {"hosts": "a.example"} if url is None else {"urls": url}
        made(tmp_path, server.url, pages={**chosen, "index": "cdxj"})
    asked = Counter((r.path, r.range) for r in server.log)
    lists = {path: n for (path, _), n in asked.items() if path.endswith("cluster.idx")}
    # Without a checksum, over plain http: until two copies agree, and then never again.
    assert lists == {f"{LINES}/cluster.idx": 2}
    before = len(server.log)
    progress = Recording()
    made(tmp_path, server.url, progress=progress, pages={"hosts": "a.example", "index": "cdxj"})
    assert len(server.log) == before
    assert not any(progress.made.values())
    archives = sum(r.sent for r in server.log if "/warc/" in r.path)
    assert archives < sum(len(FILES[row.archive]) for row in ROWS) / 4


CLUSTER = f"{LINES}/cluster.idx"


def test_list_of_blocks_that_was_changed_on_the_way_is_fetched_until_two_copies_agree(
    server: Server, tmp_path: Path
) -> None:
    """A digit of an offset is another digit: nothing in the line would tell."""
    pages = {"hosts": "a.example", "index": "cdxj"}
    at = FILES[CLUSTER].rindex(b"\t")
    server.script[CLUSTER] = [Trouble(), Trouble(flip=at - 1), Trouble()]
    made(tmp_path, server.url, pages=pages)
    assert [request.path for request in server.log].count(CLUSTER) == 3
    kept = next(tmp_path.rglob("*cluster.idx"))
    assert kept.read_bytes() == FILES[CLUSTER]
    assert not list(tmp_path.rglob("*.again"))


@pytest.mark.parametrize(
    "broken",
    [b"", FILES[CLUSTER][:-5], FILES[CLUSTER] + b"<html>\n", FILES[CLUSTER] * 2],
    ids=["empty", "cut", "page", "unsorted"],
)
def test_list_of_blocks_that_comes_broken_is_an_error_and_comes_anew_the_next_time(
    server: Server, tmp_path: Path, broken: bytes
) -> None:
    pages = {"hosts": "a.example", "index": "cdxj"}
    server.files[CLUSTER] = broken
    with pytest.raises(InputError, match=r"no block|next line of a sorted index") as caught:
        made(tmp_path, server.url, pages=pages)
    assert caught.value.where == server.url + CLUSTER
    server.files[CLUSTER] = FILES[CLUSTER]
    assert places(made(tmp_path, server.url, pages=pages))


def test_more_pages_fetch_the_archives_that_have_them_and_no_others(
    server: Server, tmp_path: Path
) -> None:
    one, other = (next(r for r in ROWS if r.archive.endswith(f"{n}.warc.gz")) for n in (0, 2))
    made(tmp_path, server.url, pages={"urls": [one.url]})
    before = len(server.log)
    made(tmp_path, server.url, pages={"urls": [one.url, other.url]})
    fetched = {request.path for request in server.log[before:]}
    assert fetched == {TABLE, other.archive}


FAULTS = [
    Trouble(status=503, headers={"Retry-After": "0"}),
    Trouble(status=403, body=b""),
    Trouble(status=200, body=SLOW_DOWN),
    Trouble(refuse=True),
    Trouble(reset_after=700),
    Trouble(close_after=700),
    Trouble(flip=2000),
]


def test_faults_change_nothing_but_the_progress(server: Server, tmp_path: Path) -> None:
    pages = {"domains": "b.example", "mime": "text/html"}
    made(tmp_path / "calm", server.url, pages=pages)
    for number, path in enumerate(FILES):
        server.script[path] = [FAULTS[(number + k) % len(FAULTS)] for k in range(3)]
    with (tmp_path / "said").open("w") as out:
        made(tmp_path / "rough", server.url, pages=pages, progress=Lines(out, every=0))
    # A run that was refused does not say the same things, but it makes the same files.
    calm, rough = digests(tmp_path / "calm"), digests(tmp_path / "rough")
    assert calm == rough
    said = (tmp_path / "said").read_text()
    last = said.splitlines()[-1]
    assert "forbidden" in last
    assert "throttled" in last
    assert "fetched at" in last


def test_limit_is_a_seeded_sample_that_larger_ones_add_to(server: Server, tmp_path: Path) -> None:
    parts = [TABLE, TABLE.replace("part-00000", "part-00001")]
    listed = f"crawl-data/{SNAPSHOT}/cc-index-table.paths.gz"
    server.files[listed] = gzip.compress("\n".join(parts).encode())
    server.files |= {parts[0]: table(ROWS[:20]), parts[1]: table(ROWS[20:])}
    few, more = (
        places(made(tmp_path, server.url, pages={"domains": "example", "limit": limit}))
        for limit in (5, 11)
    )
    assert (len(few), len(more)) == (5, 11)
    assert few < more
    ranked = sorted(ROWS, key=lambda row: draw(11, row.archive, row.offset))
    assert few == there(ranked[:5])


def test_files_say_in_which_archives_pages_are_looked_for(server: Server, tmp_path: Path) -> None:
    build = made(tmp_path, server.url, files=2, pages={"languages": "eng"})
    archives = {name for name, _ in places(build)}
    assert len(archives) == 2
    wanted = [r for r in ROWS if (r.languages or "").startswith("eng")]
    assert places(build) == {(n, o) for n, o in there(wanted) if n in archives}


def test_addresses_that_the_index_does_not_have_are_counted_and_none_at_all_is_an_error(
    server: Server, tmp_path: Path
) -> None:
    pages = {"urls": [ROWS[0].url, "https://none.example/"], "hosts": "nobody.example"}
    manifest = made(tmp_path, server.url, pages=pages).stage("crawl")
    assert manifest.counts().dropped == {"not_in_index": 2}
    assert manifest.shards[-1].details == {
        "not_in_index": ["https://none.example/", "nobody.example"]
    }
    with pytest.raises(InputError, match="the index has no page of this selection") as caught:
        made(tmp_path, server.url, pages={"hosts": "nobody.example"})
    assert caught.value.where == "sources.s.commoncrawl.pages"


def test_local_crawl_gives_the_same_pages(tmp_path: Path, server: Server) -> None:
    for path, data in FILES.items():
        (tmp_path / "mirror" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / path).write_bytes(data)
    pages = {"hosts": "a.example"}
    local = made(tmp_path / "local", f"{tmp_path}/mirror", "extract", pages=pages)
    remote = made(tmp_path / "remote", server.url, "extract", pages=pages)
    assert rows(local.stage("extract"), "documents") == rows(remote.stage("extract"), "documents")


def test_index_of_other_archives_is_an_input_error(server: Server, tmp_path: Path) -> None:
    overlapping = [ROWS[0], dataclasses.replace(ROWS[0], offset=ROWS[0].offset + 1)]
    server.files[TABLE] = table(overlapping)
    with pytest.raises(InputError, match="overlap"):
        made(tmp_path, server.url, pages={"urls": ROWS[0].url})


def test_steps_of_a_selection_are_kept_by_clean_while_it_is_used(
    server: Server, tmp_path: Path
) -> None:
    first = made(tmp_path, server.url, pages={"hosts": "a.example"})
    assert {folder.state for folder in clean.folders(first)} == {clean.USED}
    second = made(tmp_path, server.url, pages={"hosts": "d.example"})
    unused = {f.name.partition("-")[0] for f in clean.folders(second) if f.state == clean.UNUSED}
    assert unused == {"index", "crawl"}


def test_wet_files_are_listed_fetched_and_cut_by_records(server: Server, tmp_path: Path) -> None:
    def conversion(number: int) -> bytes:
        text = f"Plain text number {number} of a page, with some words in it.".encode()
        head = (
            "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\n"
            f"WARC-Target-URI: https://a.example/{number}\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        return gzip.compress(head.encode() + text + b"\r\n\r\n", mtime=0)

    name = f"crawl-data/{SNAPSHOT}/segments/1/wet/CC-0.warc.wet.gz"
    server.files[name] = b"".join(conversion(number) for number in range(9))
    server.files[f"crawl-data/{SNAPSHOT}/wet.paths.gz"] = gzip.compress(name.encode())
    build = made(tmp_path, server.url, "extract", kind="wet", limit_records=4)
    urls = [row["url"] for row in rows(build.stage("extract"), "documents")]
    assert urls == [f"https://a.example/{number}" for number in range(4)]


def test_explicit_paths_are_fetched_in_order_once_each_without_a_list(
    server: Server, tmp_path: Path
) -> None:
    names = sorted({row.archive for row in ROWS}, reverse=True)[:2]
    build = made(tmp_path, server.url, snapshots=(), paths=[*names, names[0]])
    assert [request.path for request in server.log] == names
    manifest = build.stage("crawl")
    fetched = [Path(manifest.path(shard.outputs[0])).read_bytes() for shard in manifest.shards]
    assert fetched == [FILES[name] for name in names]
    for path in ("../x.warc.gz", "/etc/x", "https://other.example/x"):
        with pytest.raises(InputError, match="not a path relative"):
            made(tmp_path, server.url, snapshots=(), paths=path)


def test_limit_records_takes_the_first_pages_of_each_file(server: Server, tmp_path: Path) -> None:
    build = made(tmp_path, server.url, "extract", limit_records=3)
    documents = rows(build.stage("extract"), "documents")
    archives = Counter(row["warc_file"] for row in documents)
    assert set(archives.values()) == {3}
    more = made(tmp_path, server.url, "extract", limit_records=4)
    assert {row["id"] for row in documents} < {
        row["id"] for row in rows(more.stage("extract"), "documents")
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"snapshots": ()}, "either snapshots or paths"),
        ({"paths": "a/b.warc.gz"}, "either snapshots or paths"),
        ({"snapshots": (), "paths": "a/b.warc.gz", "files": 3}, "leave them out beside paths"),
        ({"pages": {}}, "names no pages"),
        ({"pages": {"languages": "eng", "index": "cdxj"}}, "needs urls, hosts or domains"),
        ({"pages": {"hosts": "a.example"}, "kind": "wet"}, "the index leads to WARC files"),
        ({"pages": {"hosts": "a.example"}, "limit_records": 3}, "a limit of its own"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises((RecipeError, ValueError), match=message):
        made(tmp_path, "http://127.0.0.1:1/", **settings)


@pytest.mark.real
@pytest.mark.parametrize("index", ["columnar", "cdxj"])
def test_real_pages_by_host_and_language_over_a_bad_line(
    real_data: Path, tmp_path: Path, index: str
) -> None:
    """A fifth of all requests fail; the pages are those of a scan, with the ids of whole reads."""
    from corpus.sources import warc

    root = real_data / "commoncrawl"
    found = next(root.rglob("subset=warc/*.parquet"))
    index_rows = pq.ParquetFile(found).read().to_pylist()
    pages: dict[str, Any] = {"hosts": "www.iana.org", "domains": "archive.org", "index": index}
    if index == "columnar":
        pages = {"domains": "de", "languages": "deu"}

    def is_wanted(host: str, language: str | None) -> bool:
        if index == "columnar":
            return host.endswith(".de") and language == "deu"
        return host == "www.iana.org" or f".{host}".endswith(".archive.org")

    wanted = {
        (row["warc_filename"].rpartition("/")[2], row["warc_record_offset"])
        for row in index_rows
        if is_wanted(row["url_host_name"], row["content_languages"])
    }
    assert len(wanted) > 100
    rates = {"errors": 0.1, "forbid": 0.02, "truncate": 0.05, "reset": 0.05, "corrupt": 0.02}
    faults = [part for name, rate in rates.items() for part in (f"--{name}", str(rate))]
    log = tmp_path / "requests.jsonl"
    tool = [sys.executable, str(real_data / "tools" / "cc_mirror.py"), str(root), *faults]
    command = [*tool, "--retry-after", "0", "--max-faults", "3", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as mirror:
        try:
            assert mirror.stdout is not None
            base = mirror.stdout.readline().split()[-1]
            build = made(tmp_path / "out", base, "extract", pages=pages)
        finally:
            mirror.terminate()
    assert places(build) == wanted
    asked: Counter[tuple[str, str | None]] = Counter()
    for line in log.read_text().splitlines():
        request = json.loads(line)
        if "/segments/" in request["path"] and not request["fault"]:
            asked[request["path"], request["range"]] += 1
    assert set(asked.values()) == {1}
    manifest = build.stage("extract")
    got = {row["id"] for role in ("documents", "dropped") for row in rows(manifest, role)}
    names = {name for name, _ in wanted}
    whole = {
        item.id
        for path in root.rglob("*.warc.gz")
        if path.name in names
        for item in warc.read(str(path), name=path.name, max_page_bytes=10 << 20)
        if (path.name, item.place.warc_offset) in wanted
    }
    assert got == whole


# --- the query server of the index


def answers(wanted: list[Row], query: str, *, page: int = 4) -> dict[str, bytes]:
    """Return what a query server has for one question, so many lines a page."""
    lines = [
        f"{row.key} 20261123010203 "
        + json.dumps(
            {
                "url": row.url,
                "mime-detected": row.mime,
                "length": str(row.length),
                "offset": str(row.offset),
                "filename": row.archive,
                **({"languages": row.languages} if row.languages else {}),
            }
        )
        + "\n"
        for row in wanted
    ]
    path = f"{SNAPSHOT}-index?{query}"
    pages = range(0, len(lines), page)
    found = {f"{path}&showNumPages=true": json.dumps({"pages": len(pages)}).encode()}
    for number, start in enumerate(pages):
        found[f"{path}&page={number}"] = "".join(lines[start : start + page]).encode()
    return found


ASKED = "url=b.example&matchType=domain"


@pytest.fixture
def asked(server: Server) -> Server:
    server.files |= answers([row for row in ROWS if row.host.endswith("b.example")], ASKED)
    return server


def test_pages_by_the_query_server_are_those_of_the_index(asked: Server, tmp_path: Path) -> None:
    chosen = {"domains": "b.example", "languages": "eng"}
    by_server = {**chosen, "index": "server", "server": asked.url}
    part = made(tmp_path / "server", asked.url, pages=by_server)
    assert places(part) == places(made(tmp_path / "columnar", asked.url, pages=chosen))
    assert places(part)
    before = len(asked.log)
    made(tmp_path / "server", asked.url, pages=by_server)
    assert len(asked.log) == before


def test_question_that_two_names_share_counts_its_pages_once(asked: Server, tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.host.endswith("b.example"))
    quoted = row.url.replace(":", "%3A").replace("/", "%2F")
    asked.files |= answers([row], f"url={quoted}&matchType=exact")
    pages = {"domains": "b.example", "urls": row.url, "index": "server", "server": asked.url}
    part = made(tmp_path, asked.url, pages=pages)
    assert places(part) == there([row for row in ROWS if row.host.endswith("b.example")])


def test_name_that_the_query_server_does_not_have_is_accounted_for(
    asked: Server, tmp_path: Path
) -> None:
    pages = {"domains": ["b.example", "no.example"], "index": "server", "server": asked.url}
    part = made(tmp_path, asked.url, pages=pages)
    assert part.stage("crawl").counts().dropped == {"not_in_index": 1}


def test_faults_of_the_query_server_change_nothing(asked: Server, tmp_path: Path) -> None:
    first = f"{SNAPSHOT}-index?{ASKED}&page=0"
    asked.script[f"{SNAPSHOT}-index?{ASKED}&showNumPages=true"] = [
        Trouble(status=503),
        Trouble(status=200, body=SLOW_DOWN),
        Trouble(refuse=True),
    ]
    digit = asked.files[first].index(b'"offset": "') + 11
    cut = Trouble(close_after=50)
    asked.script[first] = [cut, cut, Trouble(flip=digit), Trouble()]
    pages = {"domains": "b.example", "index": "server", "server": asked.url}
    part = made(tmp_path, asked.url, pages=pages)
    assert places(part) == there([row for row in ROWS if row.host.endswith("b.example")])


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"pages": -1}', b'{"pages": true}', b"{}"])
def test_answer_of_a_query_server_that_is_none_is_refused(
    asked: Server, tmp_path: Path, body: bytes
) -> None:
    asked.files[f"{SNAPSHOT}-index?{ASKED}&showNumPages=true"] = body
    pages = {"domains": "b.example", "index": "server", "server": asked.url}
    with pytest.raises(InputError, match="does not say how many pages"):
        made(tmp_path, asked.url, pages=pages)


def test_query_server_without_addresses_is_refused() -> None:
    with pytest.raises(ValueError, match="`index: server` needs urls, hosts or domains"):
        make_recipe(
            {
                "s": {
                    "commoncrawl": {
                        "snapshots": SNAPSHOT,
                        "pages": {"languages": "eng", "index": "server"},
                    }
                }
            }
        )
