"""The two indexes of a crawl: equal to a scan of all rows, and no more of them read than needed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from corpus.errors import InputError
from corpus.sources import index_lines, index_table
from corpus.sources.crawl_index import Selection, draw, surt_keys
from tests.made_crawl import LINES, TABLE, Row, crawl, table

FILES, ROWS = crawl()


class Ranges:
    """A file in memory that remembers which parts of it were read."""

    url = "memory"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.parts: list[tuple[int, int]] = []

    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, end: int) -> bytes:
        self.parts.append((start, end))
        return self.data[start:end]

    def read_agreed(self, start: int, end: int) -> bytes:
        return self.read(start, end)


def selection(**given: Any) -> Selection:
    names = ("urls", "hosts", "domains", "languages", "mime")
    empty: dict[str, Any] = dict.fromkeys(names, ())
    made = Selection(**{**empty, "archives": None, **given})
    made.check()
    return made


def expected(wanted: Callable[[Row], bool]) -> list[tuple[str, str, int, int]]:
    return [(row.url, row.archive, row.offset, row.length) for row in ROWS if wanted(row)]


def by_table(wanted: Selection, data: bytes = FILES[TABLE]) -> list[tuple[str, str, int, int]]:
    found = index_table.read(Ranges(data), wanted, seed=1, limit=None)
    columns = ("url", "archive", "offset", "length")
    return list(zip(*(found[name].to_pylist() for name in columns), strict=True))


def by_lines(wanted: Selection) -> list[tuple[str, str, int, int]]:
    cluster = FILES[f"{LINES}/cluster.idx"].splitlines(keepends=True)
    found: list[tuple[str, str, int, int]] = []
    for block in index_lines.blocks(cluster, wanted, where="cluster.idx"):
        data = FILES[f"{LINES}/{block.file}"][block.offset : block.offset + block.length]
        found += index_lines.rows(data, wanted, where=block.file)
    return found


ADDRESSED: list[tuple[dict[str, Any], Callable[[Row], bool]]] = [
    ({"hosts": ("a.example",)}, lambda row: row.host == "a.example"),
    ({"hosts": ("b.example",)}, lambda row: False),
    ({"hosts": ("WWW.b.example",)}, lambda row: row.host == "www.b.example"),
    ({"hosts": ("d.example",)}, lambda row: row.host == "d.example"),
    ({"domains": ("b.example",)}, lambda row: row.host.endswith("b.example")),
    ({"domains": ("example",)}, lambda row: True),
    ({"urls": (ROWS[7].url,)}, lambda row: row == ROWS[7]),
    ({"urls": ("http://b.example/p1/", "https://d.example:8080/p3")},
     lambda row: row.url.endswith(("/p1", "/p3"))),
    ({"urls": (ROWS[7].url,), "hosts": ("a.example",)},
     lambda row: row == ROWS[7] or row.host == "a.example"),
    ({"hosts": ("a.example",), "languages": ("eng",)},
     lambda row: row.host == "a.example" and (row.languages or "").startswith("eng")),
    ({"domains": ("example",), "mime": ("text/html",), "languages": ("deu", "fra")},
     lambda row: row.mime == "text/html" and row.languages == "deu"),
    ({"domains": ("example",), "archives": frozenset({ROWS[0].archive})},
     lambda row: row.archive == ROWS[0].archive),
]  # fmt: skip
OTHERS: list[tuple[dict[str, Any], Callable[[Row], bool]]] = [
    ({"languages": ("eng",)}, lambda row: (row.languages or "").startswith("eng")),
    ({"languages": ("fra",)}, lambda row: False),
    ({"mime": ("text/html",), "languages": ("deu",)},
     lambda row: row.mime == "text/html" and row.languages == "deu"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "wanted"), [*ADDRESSED, *OTHERS])
def test_columnar_selection_equals_a_scan_of_all_rows(
    given: dict[str, Any], wanted: Callable[[Row], bool]
) -> None:
    assert by_table(selection(**given)) == expected(wanted)


@pytest.mark.parametrize(("given", "wanted"), ADDRESSED)
def test_cdxj_selection_equals_a_scan_of_all_rows(
    given: dict[str, Any], wanted: Callable[[Row], bool]
) -> None:
    assert by_lines(selection(**given)) == expected(wanted)


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_columnar_index_may_have_any_codec_and_no_statistics(codec: str) -> None:
    wanted = selection(hosts=("a.example",))
    for statistics in (True, False):
        data = table(ROWS, compression=codec, write_statistics=statistics)
        assert by_table(wanted, data) == expected(lambda row: row.host == "a.example")


def test_columnar_index_is_read_where_it_can_matter_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_table, "GAP", 0)
    rows = [
        Row(f"com,h{n:06d})/", f"http://h{n:06d}.com/", f"h{n:06d}.com", "eng", "text/html",
            ROWS[0].archive, n, 1)
        for n in range(20_000)
    ]  # fmt: skip
    data = table(rows, group=1000)
    file = Ranges(data)
    found = index_table.read(file, selection(hosts=("h012345.com",)), seed=1, limit=None)
    assert found["offset"].to_pylist() == [12345]
    assert sum(end - start for start, end in file.parts[1:]) < len(data) / 20
    file = Ranges(data)
    found = index_table.read(file, selection(languages=("deu",)), seed=1, limit=None)
    assert found.num_rows == 0
    assert sum(end - start for start, end in file.parts[1:]) < len(data) / 20


def test_columnar_limit_is_the_smallest_draws_and_larger_ones_add() -> None:
    wanted = selection(domains=("example",))
    found = [
        set(index_table.read(Ranges(FILES[TABLE]), wanted, seed=7, limit=limit)["url"].to_pylist())
        for limit in (3, 9, 1000)
    ]
    assert [len(urls) for urls in found] == [3, 9, len(ROWS)]
    assert found[0] < found[1] < found[2]
    first = min(ROWS, key=lambda row: draw(7, row.archive, row.offset))
    assert first.url in found[0]


def test_columnar_index_damaged_on_the_way_is_read_again() -> None:
    class Once(Ranges):
        def read(self, start: int, end: int) -> bytes:
            data = super().read(start, end)
            if len(self.parts) != 2:  # the first part after the footer
                return data
            return data[:30] + bytes([data[30] ^ 4]) + data[31:]

    file = Once(FILES[TABLE])
    found = index_table.read(file, selection(hosts=("a.example",)), seed=1, limit=None)
    assert found.num_rows == len(ROWS) // 4
    assert file.parts[:2] == file.parts[2:4]


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"x" * 1000, FILES[TABLE][:-1], FILES[TABLE][:4] + FILES[TABLE][-2000:]]
)
def test_columnar_index_that_is_none_is_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError, match="not a file of the columnar index"):
        index_table.read(Ranges(data), selection(hosts=("a.example",)), seed=1, limit=None)


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, 0), (3, -7)])
def test_place_that_cannot_be_is_an_input_error(offset: int, length: int) -> None:
    row = Row("example,a)/", "https://a.example/", "a.example", None, "text/html",
              ROWS[0].archive, offset, length)  # fmt: skip
    with pytest.raises(InputError, match="the index names a record"):
        by_table(selection(hosts=("a.example",)), table([row]))


def test_archive_that_leads_out_of_the_crawl_is_not_followed() -> None:
    names = ["../../etc/warc/passwd", "/warc/x", "a/robotstxt/x.warc.gz", "s3://x/warc/y"]
    rows = [Row("example,a)/", "https://a.example/", "a.example", None, "text/html", name, 1, 1)
            for name in names]  # fmt: skip
    assert by_table(selection(hosts=("a.example",)), table(rows)) == []


@pytest.mark.parametrize(
    "line",
    [b"nothing\n", b"z) 1\tcdx-00000.gz\t0\t5\t1\n", b"b) 1\t../x.gz\t0\t5\t1\n", b"\xff\n"],
)
def test_cluster_that_is_not_a_sorted_index_is_an_input_error(line: bytes) -> None:
    first = b"c) 1\tcdx-00000.gz\t0\t5\t1\n"
    lines = [first, line] if line.startswith(b"b") else [line, first]
    with pytest.raises(InputError, match="not the next line"):
        list(index_lines.blocks(lines, selection(hosts=("a.example",)), where="x"))


@pytest.mark.parametrize(
    "text",
    [
        "example,a)/ 1 [1]\n",
        "example,a)/ 1 {\n",
        "example,a)/ 1 " + "[" * 100_000 + "\n",
        'example,a)/ 1 {"url": "http://a.example/", "filename": "x/warc/y", "offset": "-1"}\n',
    ],
)
def test_block_with_other_lines_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="not a block of a CDXJ index"):
        list(index_lines.rows(gzip.compress(text.encode()), selection(hosts=("a.example",)),
                              where="x"))  # fmt: skip


def test_block_that_is_damaged_or_endless_is_an_input_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = gzip.compress(json.dumps({}).encode() * 100)
    monkeypatch.setattr(index_lines, "_LARGEST_BLOCK", 10)
    for block in (data, data[:20], b"no gzip"):
        with pytest.raises(InputError, match="not a block of a CDXJ index"):
            list(index_lines.rows(block, selection(hosts=("a.example",)), where="x"))


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://www.Example.COM", "com,example)/"),
        ("https://www2.example.com:443/A/b/?", "com,example)/a/b"),
        ("https://example.com:80/", "com,example:80)/"),
        ("http://a.www1.example.com/x?b=2&a=1&a", "com,example,www1,a)/x?a&a=1&b=2"),
        ("http://example.com/%7Eann/%2520", "com,example)/~ann/%20"),
        ("http://example.com/r?to=http%3A%2F%2Fx", "com,example)/r?to=http%3a%2f%2fx"),
        ("http://bücher.example/", "example,xn--bcher-kva)/"),
        ("http://10.0.0.1/x", "1,0,0,10)/x"),
    ],
)
def test_key_is_that_of_the_index(url: str, key: str) -> None:
    assert key in surt_keys(url)


@pytest.mark.parametrize(
    "given",
    [{"hosts": ("http://a/",)}, {"domains": ("a b",)}, {"hosts": ("",)}, {"urls": ("a.example",)},
     {"urls": ("ftp://a.example/",)}, {"domains": ("a.example:80",)}],
)  # fmt: skip
def test_name_that_is_none_is_an_input_error(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"is no (host|domain|address)"):
        selection(**given)
