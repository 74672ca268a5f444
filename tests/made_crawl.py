"""A small crawl with its indexes, in the shape of data.commoncrawl.org, written for tests."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.made import page

SNAPSHOT = "CC-MAIN-2026-47"
TABLE = f"cc-index/table/cc-main/warc/crawl={SNAPSHOT}/subset=warc/part-00000.c000.gz.parquet"
LINES = f"cc-index/collections/{SNAPSHOT}/indexes"
LANGUAGES = ("eng", "deu", "eng,fra", None)
HOSTS = ("a.example", "www.b.example", "c.b.example", "d.example:8080")


@dataclass(frozen=True)
class Row:
    """A page of the crawl, as an index has it."""

    key: str
    url: str
    host: str
    languages: str | None
    mime: str
    archive: str
    offset: int
    length: int


def _record(kind: str, number: int, url: str, block: bytes) -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Date: 2026-11-23T01:02:03Z\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-{len(kind):04d}-{number:012d}>\r\n"
        f"WARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype={kind}\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0)


def _key(url: str) -> str:
    host, _, path = url.removeprefix("https://").partition("/")
    host, _, port = host.removeprefix("www.").partition(":")
    return f"{','.join(reversed(host.split('.')))}{':' + port if port else ''})/{path}"


def crawl(archives: int = 4, pages: int = 12) -> tuple[dict[str, bytes], list[Row]]:
    """Return the files of a crawl by path, and its pages in the order of the index."""
    files: dict[str, bytes] = {}
    rows: list[Row] = []
    names = [
        f"crawl-data/{SNAPSHOT}/segments/1/warc/CC-{number:05d}.warc.gz"
        for number in range(archives)
    ]
    for place, name in enumerate(names):
        data = bytearray(_record("warcinfo", place, "", b"software: made\r\n"))
        for within in range(pages):
            number = place * pages + within
            url = f"https://{HOSTS[number % 4]}/p{number}"
            http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
            data += _record("request", number, url, b"GET / HTTP/1.1\r\n\r\n")
            response = _record("response", number, url, http + page(number))
            host = HOSTS[number % 4].partition(":")[0]
            language = LANGUAGES[number // 4 % 4]
            mime = "text/html" if number % 3 else "application/xhtml+xml"
            rows.append(Row(_key(url), url, host, language, mime, name, len(data), len(response)))
            data += response
        files[name] = bytes(data)
    rows.sort(key=lambda row: row.key)
    lists = {"warc": names, "cc-index-table": [TABLE, TABLE.replace("=warc/", "=robotstxt/")]}
    for kind, paths in lists.items():
        listed = "\n".join(paths).encode()
        files[f"crawl-data/{SNAPSHOT}/{kind}.paths.gz"] = gzip.compress(listed, mtime=0)
    files[TABLE] = table(rows)
    files |= lines(rows)
    return files, rows


def table(rows: list[Row], *, group: int = 16, **options: Any) -> bytes:
    """Return the columnar index: a Parquet file of small row groups."""
    columns = {
        "url_surtkey": [row.key for row in rows],
        "url": [row.url for row in rows],
        "url_host_name": [row.host for row in rows],
        "content_mime_detected": [row.mime for row in rows],
        "content_languages": pa.array([row.languages for row in rows], pa.string()),
        "content_digest": ["A" * 32 for _ in rows],
        "warc_filename": [row.archive for row in rows],
        "warc_record_offset": pa.array([row.offset for row in rows], pa.int32()),
        "warc_record_length": pa.array([row.length for row in rows], pa.int32()),
    }
    sink = io.BytesIO()
    settings = {"compression": "gzip", **options}
    pq.write_table(pa.table(columns), sink, row_group_size=group, **settings)
    return sink.getvalue()


def lines(rows: list[Row], *, block: int = 10) -> dict[str, bytes]:
    """Return the CDXJ index: gzip blocks of a few lines in two files, and `cluster.idx`."""
    data = {"cdx-00000.gz": bytearray(), "cdx-00001.gz": bytearray()}
    cluster: list[str] = []
    for number, start in enumerate(range(0, len(rows), block)):
        part = rows[start : start + block]
        said = [
            json.dumps(
                {
                    "url": row.url,
                    "mime-detected": row.mime,
                    "length": str(row.length),
                    "offset": str(row.offset),
                    "filename": row.archive,
                    **({"languages": row.languages} if row.languages else {}),
                }
            )
            for row in part
        ]
        text = "".join(
            f"{row.key} 20261123010203 {capture}\n" for row, capture in zip(part, said, strict=True)
        )
        name = "cdx-00000.gz" if start < len(rows) // 2 else "cdx-00001.gz"
        member = gzip.compress(text.encode(), mtime=0)
        where = f"{len(data[name])}\t{len(member)}\t{number + 1}"
        cluster.append(f"{part[0].key} 20261123010203\t{name}\t{where}\n")
        data[name] += member
    files = {f"{LINES}/{name}": bytes(content) for name, content in data.items()}
    return {**files, f"{LINES}/cluster.idx": "".join(cluster).encode()}
