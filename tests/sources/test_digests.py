"""Digests of records: right and wrong ones in every form, and what says nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import Drop, DropReason, Page
from corpus.sources import warc, webtext
from corpus.sources.archive.digests import wrong_digest
from corpus.sources.archive.http import Headers
from corpus.sources.archive.record import Damage, Record
from corpus.sources.archive.records import records
from corpus.sources.urls import key
from tests.made import make_recipe, rows, run

BODY = b"<html><p>some words of a page</p></html>"
BLOCK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + BODY


def written(algorithm: str, data: bytes, form: str) -> str:
    digest = hashlib.new(algorithm, data).digest()
    text = {
        "hex": digest.hex(),
        "HEX": digest.hex().upper(),
        "base32": base64.b32encode(digest).decode(),
        "bare32": base64.b32encode(digest).decode().rstrip("=").lower(),
        "base64": base64.b64encode(digest).decode(),
        "url64": base64.urlsafe_b64encode(digest).decode().rstrip("="),
    }[form]
    return f"{algorithm}:{text}"


def record(
    block: bytes = BLOCK, kind: str = "response", truncated: str | None = None, **headers: str
) -> Record:
    given = {"content-type": "application/http; msgtype=response" if kind == "response" else ""}
    given |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Record(0, kind, Headers(given), block, len(block), truncated)


@pytest.mark.parametrize("form", ["hex", "HEX", "base32", "bare32", "base64", "url64"])
@pytest.mark.parametrize("algorithm", ["sha1", "md5", "sha256", "sha512"])
def test_digest_in_any_form_is_right_for_its_bytes_and_wrong_for_others(
    algorithm: str, form: str
) -> None:
    payload, block = written(algorithm, BODY, form), written(algorithm, BLOCK, form)
    assert wrong_digest(record(WARC_Payload_Digest=payload, WARC_Block_Digest=block)) is None
    other = BLOCK[:-9] + b"X" + BLOCK[-8:]
    assert wrong_digest(record(other, WARC_Payload_Digest=payload)) == "payload digest differs"
    assert wrong_digest(record(other, WARC_Block_Digest=block)) == "block digest differs"


def test_payload_of_a_chunked_body_is_with_or_without_its_chunks() -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    block = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked
    for payload in (chunked, BODY):
        value = written("sha1", payload, "base32")
        assert wrong_digest(record(block, WARC_Payload_Digest=value)) is None
    value = written("sha1", BODY + b" ", "base32")
    assert wrong_digest(record(block, WARC_Payload_Digest=value)) == "payload digest differs"


def test_payload_of_a_resource_and_of_plain_text_is_the_block() -> None:
    right = written("sha1", b"text", "base32")
    for kind in ("resource", "conversion"):
        assert wrong_digest(record(b"text", kind, WARC_Payload_Digest=right)) is None
        assert wrong_digest(record(b"tex", kind, WARC_Payload_Digest=right)) is not None


@pytest.mark.parametrize(
    "value",
    ["", "sha1", "sha1:", ":ABC", "sha1:AAAA", "crc32:00000000", "sha1:é", "sha1:zz", "a: b: c"],
)
def test_digest_that_cannot_be_read_says_nothing(value: str) -> None:
    assert wrong_digest(record(WARC_Payload_Digest=value, WARC_Block_Digest=value)) is None


def test_digest_of_bytes_that_are_not_all_there_says_nothing() -> None:
    wrong = written("sha1", b"other", "base32")
    digests = {"WARC_Payload_Digest": wrong, "WARC_Block_Digest": wrong}
    assert wrong_digest(record(truncated="12 bytes of 99", **digests)) is None
    cut = Record(0, "response", record(**digests).headers, BLOCK, len(BLOCK) + 1, None)
    assert wrong_digest(cut) is None
    payload = {"WARC_Payload_Digest": wrong}
    assert wrong_digest(record(WARC_Truncated="length", **payload)) is None
    assert wrong_digest(record(kind="revisit", **payload)) is None
    assert wrong_digest(record(kind="request", **payload)) is None


@given(st.text(max_size=80))
def test_digest_of_any_text_is_judged_without_an_error(value: str) -> None:
    for text in (value, f"sha1:{value}", f"md5: {value}"):
        found = wrong_digest(record(WARC_Payload_Digest=text, WARC_Block_Digest=text))
        assert found is None or "digest" in found


def archive(path: Path) -> Path:
    """Write three pages, of which the second has been changed since its digests were taken."""
    data = b""
    for number in range(3):
        body = f"<html><p>Page {number} has a sentence of several words.</p></html>".encode()
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/{number}\r\n"
            f"WARC-Record-ID: <urn:uuid:{number}>\r\nContent-Type: application/http\r\n"
            f"WARC-Payload-Digest: {written('sha1', body, 'base32')}\r\n"
            f"WARC-Block-Digest: {written('sha1', block, 'base32')}\r\n"
            f"Content-Length: {len(block)}\r\n\r\n"
        )
        data += head.encode() + block + b"\r\n\r\n"
    path.write_bytes(data.replace(b"Page 1 has", b"Page 1 had"))
    return path


def test_page_with_a_wrong_digest_is_a_drop_where_it_is_asked_for(tmp_path: Path) -> None:
    path = str(archive(tmp_path / "a.warc"))
    linked = frozenset(key(f"http://a.example/{number}") or "" for number in range(3))
    for verify in (False, True):
        read = list(warc.read(path, name="a", max_page_bytes=1 << 20, verify_digests=verify))
        pages = webtext.read(
            path, name="a", linked=linked, max_page_bytes=1 << 20, verify_digests=verify
        )
        assert list(pages) == read
        assert [type(item) for item in read] == [Page, Drop if verify else Page, Page]
        if isinstance(read[1], Drop):
            assert read[1].reason == DropReason.DAMAGED_RECORD
            assert read[1].detail == "block digest differs"
            assert read[1].url == "http://a.example/1"


def test_build_verifies_digests_where_the_recipe_says_so(tmp_path: Path) -> None:
    path = str(archive(tmp_path / "a.warc"))
    for verify in (False, True):
        settings = {"extractor": "resiliparse", "verify_digests": verify}
        recipe = make_recipe({"s": {"warc": path}}, extract=settings)
        manifest = run(recipe, tmp_path / "out", "extract").stage("extract")
        reasons = [(drop["reason"], drop["detail"]) for drop in rows(manifest, "dropped")]
        assert reasons == ([("damaged_record", "block digest differs")] if verify else [])


@pytest.mark.real
def test_digests_of_a_crawl_are_right_and_those_of_public_archives_as_they_are_known(
    real_data: Path,
) -> None:
    def wrong(path: Path) -> tuple[int, int]:
        found = [
            wrong_digest(item)
            for item in records(str(path), max_record_bytes=1 << 26)
            if not isinstance(item, Damage) and item.kind in ("response", "conversion")
        ]
        return len(found), sum(one is not None for one in found)

    for kind, least in (("warc", 690), ("wet", 600)):
        path = sorted((real_data / "commoncrawl").rglob(f"{kind}/*.gz"))[0]
        assert wrong(path)[1] == 0
        assert wrong(path)[0] >= least
    listed = json.loads((real_data / "warc-fixtures" / "index.json").read_text())
    known = {entry["file"].rpartition("/")[2]: entry for entry in listed}
    for name, number in {
        "tests__data__clueweb-quirk.warc.gz": 29,
        "jhove-ext-modules__src__test__resources__warc__invalid-warcrecorddigests-3.warc": 2,
        "tests__small_warcs__space_in_target_uri.warc.gz": 1,
        "test__data__example.warc.gz": 0,
    }.items():
        assert wrong(real_data / known[name]["file"])[1] == number
