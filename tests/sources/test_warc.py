"""Archives written by warcio, healthy and damaged on purpose."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import tracemalloc
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from corpus.document import Drop, DropReason, Page
from corpus.errors import InputError
from corpus.sources import warc
from corpus.sources.archive import http
from corpus.sources.archive.record import Damage, Record
from corpus.sources.archive.records import records

LIMIT = 1 << 20
GZIP_HEAD = b"\x1f\x8b\x08" + bytes(6) + b"\xff"


def text(number: int) -> bytes:
    """A body that does not compress to nothing, so that offsets within members exist."""
    noise = random.Random(number).randbytes(600).hex()
    return f"<html><title>{number}</title><p>page {number} {noise}</p></html>".encode()


def block(body: bytes, *, status: str = "200 OK", headers: bytes = b"", mime: str = "text/html"):
    return f"HTTP/1.1 {status}\r\nContent-Type: {mime}\r\n".encode() + headers + b"\r\n" + body


def record(number: int, payload: bytes, *, kind: str = "response", lie: int = 0) -> bytes:
    """One record by hand, with a Content-Length that may lie."""
    content_type = "text/plain" if kind == "conversion" else f"application/http; msgtype={kind}"
    return (
        (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\n"
            f"WARC-Target-URI: http://site.example/{number}\r\nWARC-Date: 2026-11-14T03:02:01Z\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(payload) + lie}\r\n\r\n"
        ).encode()
        + payload
        + b"\r\n\r\n"
    )


def member(number: int, **options: int) -> bytes:
    return gzip.compress(record(number, block(text(number)), **options), mtime=0)


def read(tmp_path: Path, data: bytes, name: str = "a.warc.gz", limit: int = LIMIT):
    path = tmp_path / name
    path.write_bytes(data)
    return list(warc.read(str(path), name=name, max_page_bytes=limit))


def numbers(items) -> list[int]:
    urls = [re.fullmatch(r"http://site.example/(\d+)", i.url) for i in items if isinstance(i, Page)]
    return [int(url[1]) for url in urls if url]


def drops(items) -> list[str]:
    return [item.reason for item in items if isinstance(item, Drop)]


def written_by_warcio(count: int, *, compressed: bool) -> bytes:
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=compressed)
    writer.write_record(writer.create_warcinfo_record("a.warc.gz", {"software": "test"}))
    for number in range(count):
        url = f"http://site.example/{number}"
        for kind in ("request", "response", "metadata"):
            head = {
                "request": StatusAndHeaders("GET / HTTP/1.1", [("Host", "site.example")]),
                "response": StatusAndHeaders("200 OK", [("Content-Type", "text/html")], "HTTP/1.1"),
            }.get(kind)
            writer.write_record(
                writer.create_warc_record(
                    url, kind, payload=io.BytesIO(text(number)), http_headers=head
                )
            )
    return out.getvalue()


# warcio leaves its temporary files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("compressed", [True, False])
def test_read_archive_of_warcio_gives_every_response_and_nothing_else(tmp_path, compressed):
    items = read(tmp_path, written_by_warcio(30, compressed=compressed))
    assert numbers(items) == list(range(30))
    assert [page.body for page in items] == [text(number) for number in range(30)]
    assert len({page.id for page in items}) == 30


def test_read_page_has_place_date_charset_and_stable_identifier(tmp_path):
    members = [member(number) for number in range(3)]
    first, second, third = read(tmp_path, b"".join(members))
    assert third.place.warc_file == "a.warc.gz"
    assert [p.place.warc_offset for p in (first, second, third)] == [
        0,
        len(members[0]),
        len(members[0]) + len(members[1]),
    ]
    assert first.date == "2026-11-14T03:02:01Z"
    assert (first.mime_type, first.charset) == ("text/html", None)
    (tmp_path / "elsewhere").mkdir()
    again = read(tmp_path / "elsewhere", b"".join(members))
    assert [page.id for page in again] == [page.id for page in (first, second, third)]


def test_read_gzip_of_many_records_in_one_member_gives_all(tmp_path):
    data = gzip.compress(b"".join(record(n, block(text(n))) for n in range(40)))
    assert numbers(read(tmp_path, data)) == list(range(40))


def test_read_gzip_split_without_regard_to_records_gives_all(tmp_path):
    data = b"".join(record(n, block(text(n))) for n in range(40))
    split = b"".join(gzip.compress(data[at : at + 1777]) for at in range(0, len(data), 1777))
    items = read(tmp_path, split)
    assert numbers(items) == list(range(40))
    assert drops(items) == []


def test_read_zstandard_with_damage_goes_on_at_next_frame(tmp_path):
    compressor = zstandard.ZstdCompressor()
    frames = [compressor.compress(record(n, block(text(n)))) for n in range(10)]
    assert numbers(read(tmp_path, b"".join(frames), "a.warc.zst")) == list(range(10))
    frames[4] = frames[4][:200] + bytes(50) + frames[4][250:]
    items = read(tmp_path, b"".join(frames), "b.warc.zst")
    assert set(numbers(items)) >= {0, 1, 2, 3, 5, 6, 7, 8, 9} - {3}
    assert DropReason.DAMAGED_RECORD in drops(items)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("cut", [5, 300, 700])
def test_read_cut_off_archive_drops_one_truncated_record(tmp_path, compressed, cut):
    one = member if compressed else (lambda n: record(n, block(text(n))))
    data = b"".join(one(n) for n in range(20))[:-cut]
    items = read(tmp_path, data)
    whole = 20 if cut == 5 and compressed else 19
    assert numbers(items)[:19] == list(range(19))
    if cut > 5:
        assert drops(items) == [DropReason.TRUNCATED_RECORD]
        assert len(numbers(items)) == whole == 19


@pytest.mark.parametrize("at", [0, 10, 20])
def test_read_junk_between_members_drops_one_with_its_offset(tmp_path, at):
    members = [member(n) for n in range(20)]
    offset = sum(map(len, members[:at]))
    junk = b"junk\x1f\x8b\x08junk" * 50
    items = read(tmp_path, b"".join(members[:at]) + junk + b"".join(members[at:]))
    assert numbers(items) == list(range(20))
    (drop,) = [item for item in items if isinstance(item, Drop)]
    assert drop.reason == DropReason.DAMAGED_RECORD
    assert drop.place.warc_offset == offset
    assert str(len(junk)) in drop.detail


@pytest.mark.parametrize("where", [0, 7, 19])
@pytest.mark.parametrize("position", [20, 300, -6])
def test_read_corrupt_member_costs_that_member_alone(tmp_path, where, position):
    members = [bytearray(member(n)) for n in range(20)]
    if position > 0:
        members[where][position : position + 8] = bytes(8)
    else:
        members[where][position] ^= 0xFF  # the checksum
    offset = sum(map(len, members[:where]))
    items = read(tmp_path, b"".join(map(bytes, members)))
    assert numbers(items) == [n for n in range(20) if n != where]
    (drop,) = [item for item in items if isinstance(item, Drop)]
    assert (drop.reason, drop.place.warc_offset) == (DropReason.DAMAGED_RECORD, offset)


@pytest.mark.parametrize("lie", [-200, -3, 2, 30, 5000, 10**12])
@pytest.mark.parametrize("where", [0, 7, 19])
def test_read_lying_length_in_a_member_loses_nothing(tmp_path, lie, where):
    """The member is whole, so its end is the record's end whatever the header says."""
    members = [member(n, lie=lie if n == where else 0) for n in range(20)]
    items = read(tmp_path, b"".join(members))
    assert numbers(items) == list(range(20))
    assert [page.body.rstrip() for page in items] == [text(n) for n in range(20)]


def test_read_length_that_covers_the_next_records_exactly_loses_nothing(tmp_path):
    following = sum(len(record(n, block(text(n)))) for n in (5, 6))
    members = [member(n, lie=following if n == 4 else 0) for n in range(20)]
    assert numbers(read(tmp_path, b"".join(members))) == list(range(20))


@pytest.mark.parametrize("lie", [-200, -3, 30, 1400, 10**12])
def test_read_lying_length_without_compression_keeps_the_other_records(tmp_path, lie):
    data = b"".join(record(n, block(text(n)), lie=lie if n == 7 else 0) for n in range(20))
    items = read(tmp_path, data, "a.warc")
    assert [n for n in numbers(items) if n != 7] == [n for n in range(20) if n != 7]


def test_read_empty_members_and_padding_are_no_damage(tmp_path):
    empty = gzip.compress(b"")
    data = empty + member(0) + empty + empty + member(1) + member(2) + bytes(512)
    items = read(tmp_path, data)
    assert numbers(items) == [0, 1, 2]
    assert drops(items) == []


@pytest.mark.parametrize("status", ["200 OK", "200 ", "200"])
def test_read_status_line_without_reason_is_a_page(tmp_path, status):
    items = read(tmp_path, gzip.compress(record(1, block(text(1), status=status))))
    assert numbers(items) == [1]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (block(b"gone", status="404 Not Found"), DropReason.HTTP_STATUS),
        (block(b"", status="304"), DropReason.HTTP_STATUS),
        (block(b"{}", mime="application/json"), DropReason.MIME_TYPE),
        (block(b"%PDF-1.7 ..."), DropReason.MIME_TYPE),
        (block(b""), DropReason.EMPTY_BODY),
        (block(b" \r\n "), DropReason.EMPTY_BODY),
        (block(b"x" * 5000), DropReason.PAGE_TOO_LARGE),
        (block(b"x" * (3 << 20)), DropReason.PAGE_TOO_LARGE),
        (b"no response at all", DropReason.DAMAGED_RECORD),
    ],
)
def test_read_record_without_page_is_dropped_for_its_reason(tmp_path, payload, reason):
    data = gzip.compress(record(1, payload)) + member(2)
    items = read(tmp_path, data, limit=4096)
    assert drops(items) == [reason]
    assert numbers(items) == [2]
    assert items[0].url == "http://site.example/1"


def test_read_kinds_without_pages_yield_nothing(tmp_path):
    kinds = ("warcinfo", "request", "metadata", "revisit", "continuation")
    data = b"".join(gzip.compress(record(n, b"a: b", kind=k)) for n, k in enumerate(kinds))
    dns = record(9, b"20261114 site.example. A 192.0.2.1", kind="resource")
    dns = dns.replace(b"http://site.example/9", b"dns:site.example")
    assert read(tmp_path, data + gzip.compress(dns)) == []


def test_read_conversion_of_a_wet_file_is_plain_text(tmp_path):
    data = gzip.compress(record(1, "Straße".encode(), kind="conversion"))
    (page,) = read(tmp_path, data)
    assert (page.mime_type, page.charset, page.body.decode()) == ("text/plain", "utf-8", "Straße")


def test_read_wget_brackets_and_odd_dates_are_cleaned(tmp_path):
    data = record(1, block(text(1))).replace(b"http://site.example/1", b"<http://site.example/1>")
    (page,) = read(tmp_path, gzip.compress(data.replace(b"2026-11-14T03:02:01Z", b"yesterday")))
    assert (page.url, page.date) == ("http://site.example/1", None)


def arc(records_: list[tuple[str, bytes]]) -> list[bytes]:
    head = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
    lines = [b"filedesc://a.arc 0.0.0.0 20080430204825 text/plain %d\n" % len(head) + head + b"\n"]
    lines += [
        f"{url} 192.0.2.1 20080430204825 text/html {len(body)}\n".encode() + body + b"\n"
        for url, body in records_
    ]
    return lines


@pytest.mark.parametrize("compressed", [True, False])
def test_read_arc_gives_pages_and_survives_damage(tmp_path, compressed):
    entries = arc([(f"http://site.example/{n}", block(text(n))) for n in range(10)])
    pack = gzip.compress if compressed else bytes
    pieces = [pack(entry) for entry in entries]
    items = read(tmp_path, b"".join(pieces), "a.arc.gz")
    assert numbers(items) == list(range(10))
    assert items[0].date == "2008-04-30T20:48:25Z"
    assert items[0].body == text(0)
    if compressed:
        pieces[4] = pieces[4][:300] + bytes(20) + pieces[4][320:]
        items = read(tmp_path, b"".join(pieces), "b.arc.gz")
        assert numbers(items) == [n for n in range(10) if n != 3]
        assert drops(items) == [DropReason.DAMAGED_RECORD]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (gzip.compress(b"<?xml version='1.0'?><Error/>"), "XML"),
        (b"<!DOCTYPE html><html><title>Not found</title>", "HTML"),
        (gzip.compress(b"crawl-data/one.warc.gz\n" * 100), "no record"),
        (random.Random(1).randbytes(5000), "no record"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_read_something_else_raises_input_error_that_says_what_it_is(tmp_path, data, why):
    with pytest.raises(InputError, match=re.escape("not a web archive")) as error:
        read(tmp_path, data)
    assert why in str(error.value)


def test_read_missing_file_raises_input_error(tmp_path):
    with pytest.raises(InputError):
        list(warc.read(str(tmp_path / "none.warc.gz"), name="none", max_page_bytes=LIMIT))


def test_read_bomb_and_large_archive_stay_within_memory(tmp_path):
    """A record of 300 MB of zeros, and 60 MB of records: both cost no more than the limit asks."""
    bomb = zlib.compressobj(9, wbits=31)
    head = record(0, b"", lie=300 << 20)[:-4]
    parts = [bomb.compress(head + block(b""))]
    parts += [bomb.compress(bytes(1 << 20)) for _ in range(300)]
    parts.append(bomb.flush())
    path = tmp_path / "bomb.warc.gz"
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
        page = gzip.compress(record(1, block(b"a b " * 50_000)), compresslevel=1)
        for _ in range(300):
            file.write(page)
    tracemalloc.start()
    count = sum(
        isinstance(item, Page) for item in warc.read(str(path), name="bomb", max_page_bytes=LIMIT)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300
    assert peak < 16 << 20


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), compressed=st.booleans())
def test_records_of_randomly_damaged_archive_never_raise_and_keep_what_is_whole(
    tmp_path, seed, compressed
):
    """Bytes overwritten, inserted or taken out: members that were not touched are all there."""
    draw = random.Random(seed)
    one = member if compressed else (lambda n: record(n, block(text(n))))
    members = [one(n) for n in range(12)]
    hurt = draw.randrange(12)
    victim = bytearray(members[hurt])
    at = draw.randrange(len(victim))
    size = draw.randrange(1, 60)
    match draw.randrange(3):
        case 0:
            victim[at : at + size] = draw.randbytes(size)
        case 1:
            victim[at:at] = draw.randbytes(size)
        case 2:
            del victim[at : at + size]
    members[hurt] = bytes(victim)
    items = read(tmp_path, b"".join(members))
    assert set(numbers(items)) >= {n for n in range(12) if n != hurt}


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300), coding=st.sampled_from(["gzip", "deflate", "br", "zstd", "x"]))
def test_decoded_body_with_a_coding_that_lies_is_never_an_error(body, coding):
    response = http.Response(200, http.Headers({"content-encoding": coding}), body)
    assert isinstance(http.decoded_body(response, limit=10_000), bytes)
    assert isinstance(http.unchunked(body), bytes)


def deflate(body: bytes, wbits: int) -> bytes:
    squeeze = zlib.compressobj(wbits=wbits)
    return squeeze.compress(body) + squeeze.flush()


@pytest.mark.parametrize(
    ("headers", "encoded"),
    [
        ({"content-encoding": "gzip"}, gzip.compress(text(1))),
        ({"content-encoding": "deflate"}, deflate(text(1), 15)),
        ({"content-encoding": "deflate"}, deflate(text(1), -15)),
        ({"content-encoding": "zstd"}, zstandard.ZstdCompressor().compress(text(1))),
        ({"content-encoding": "gzip"}, text(1)),
        ({"content-encoding": "br"}, text(1)),
        ({"transfer-encoding": "chunked"}, text(1)),
        (
            {"transfer-encoding": "chunked"},
            b"5;x=y\r\n"
            + text(1)[:5]
            + b"\r\n%x\r\n" % len(text(1)[5:])
            + text(1)[5:]
            + b"\r\n0\r\n\r\n",
        ),
        (
            {"transfer-encoding": "chunked", "content-encoding": "gzip"},
            b"%x\r\n" % len(gzip.compress(text(1))) + gzip.compress(text(1)) + b"\r\n0\r\n\r\n",
        ),
    ],
)
def test_decoded_body_undoes_the_codings_that_are_there(headers, encoded):
    response = http.Response(200, http.Headers(headers), encoded)
    assert http.decoded_body(response, limit=10_000) == text(1)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_decoded_body_bomb_stops_at_the_limit(coding):
    zeros = bytes(50 << 20)
    bomb = {
        "gzip": gzip.compress(zeros),
        "deflate": zlib.compress(zeros),
        "zstd": zstandard.ZstdCompressor().compress(zeros),
    }[coding]
    with pytest.raises(http.BodyTooLarge):
        http.decoded_body(
            http.Response(200, http.Headers({"content-encoding": coding}), bomb), limit=LIMIT
        )


def test_parse_response_tolerates_line_feeds_long_headers_and_odd_bytes():
    block_ = b"HTTP/1.0 200\nX-Long: " + b"y" * 50_000 + b"\nServer: caf\xe9\n folded\nnonsense\n"
    response = http.parse_response(block_ + b"Content-Type: Text/HTML; charset='KOI8-R'\n\nbody")
    assert response.status == 200
    assert response.headers.get("SERVER") == "café folded"
    assert http.media_type(response.headers.get("Content-Type")) == ("text/html", "KOI8-R")
    assert response.body == b"body"


@pytest.mark.real
def test_records_of_public_fixtures_are_as_many_as_expected(real_data):
    index = json.loads((real_data / "warc-fixtures" / "index.json").read_text())
    wrong = {}
    for entry in index:
        if entry["confidence"] != "high":
            continue
        try:
            items = list(records(str(real_data / entry["file"]), max_record_bytes=16 << 20))
        except InputError:
            items = []
        count = sum(isinstance(item, Record) for item in items)
        if count != entry["expected_records"]:
            wrong[entry["file"]] = (count, entry["expected_records"])
    assert wrong == {}


@pytest.mark.real
def test_read_crawl_gives_every_response_once(real_data):
    """5,583 responses are in the crawl: 5,390 of them HTML with status 200."""
    pages, dropped = 0, 0
    for path in sorted((real_data / "commoncrawl").glob("crawl-data/*/segments/*/warc/*.gz")):
        for item in warc.read(str(path), name=path.name, max_page_bytes=10 << 20):
            pages += isinstance(item, Page) and item.mime_type == "text/html"
            dropped += not (isinstance(item, Page) and item.mime_type == "text/html")
            assert not isinstance(item, Damage)
    assert (pages, pages + dropped) == (5390, 5583)


def test_read_damage_behind_every_member_loses_no_record(tmp_path):
    """The bound on work is for damage made to cost N²; much damage alone does not reach it."""
    items = read(tmp_path, b"".join(member(n) + b"junk" for n in range(1000)))
    assert numbers(items) == list(range(1000))
    assert drops(items) == [DropReason.DAMAGED_RECORD] * 1000


def test_read_member_that_runs_over_the_following_ones_costs_itself_alone(tmp_path):
    """Stored data that claims to be longer takes the next members for its own."""
    body = record(1, block(text(1)))
    stored = b"\x00" + len(body).to_bytes(2, "little") + (len(body) ^ 0xFFFF).to_bytes(2, "little")
    run_over = GZIP_HEAD + stored + body  # without an end
    items = read(tmp_path, member(0) + run_over + b"".join(member(n) for n in range(2, 9)))
    assert [n for n in numbers(items) if n != 1] == [0, *range(2, 9)]
    assert DropReason.TRUNCATED_RECORD not in drops(items)
