from __future__ import annotations

import email.utils
import gzip
import hashlib
import json
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.errors import FetchError, InputError, OutputError
from corpus.fetching.fetch import Fetched, fetch
from corpus.fetching.http_range import _retry_after
from corpus.fetching.keeper import FileKeeper
from corpus.fetching.limiter import Limits
from corpus.fetching.members import MemberScanner
from corpus.fetching.politeness import Politeness
from corpus.fetching.transport import Fault, is_error_page, open_storage
from tests.server import SLOW_DOWN, Server, Trouble

ROOT = Path(__file__).resolve().parents[2]
NAME = "crawl/a.warc.gz"


def members(count: int, size: int) -> list[bytes]:
    """Return gzip members of `size` bytes that hardly compress, as a WARC has them."""
    generator = random.Random(7)
    return [gzip.compress(generator.randbytes(size), mtime=0) for _ in range(count)]


MEMBERS = members(40, 10_000)
ARCHIVE = b"".join(MEMBERS)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server({NAME: ARCHIVE}) as server:
        yield server


def politeness(folder: Path, **settings: Any) -> Politeness:
    given: dict[str, Any] = {
        "requests_per_second": 500.0,
        "cooldown": 0.1,
        "cooldowns": 2,
        "longest_pause": 5.0,
        "backoff": 0.001,
        "patience": 60.0,
        **settings,
    }
    backoff, patience = given.pop("backoff"), given.pop("patience")
    keeper = FileKeeper(str(folder / "polite"), "run")
    return Politeness(keeper, Limits(**given), backoff, patience)


def get(server: Server, folder: Path, name: str = NAME, **settings: Any) -> Fetched:
    arguments: dict[str, Any] = {
        "limit_bytes": None,
        "limit_records": None,
        "politeness": politeness(folder),
        "user_agent": "corpus-test/1 (+mailto:test@example.org)",
        "timeout": 5.0,
        "attempts": 3,
    }
    return fetch(server.url + name, str(folder / "out.gz"), **{**arguments, **settings})


def assert_whole(folder: Path, fetched: Fetched, data: bytes = ARCHIVE) -> None:
    assert (folder / "out.gz").read_bytes() == data
    assert fetched.bytes == len(data)
    assert fetched.sha256 == hashlib.sha256(data).hexdigest()
    assert [path.name for path in folder.glob("out.gz.*")] == []


def test_fetch_good_server_one_request(server: Server, tmp_path: Path) -> None:
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched)
    assert (fetched.requests, fetched.faults, fetched.complete) == (1, {}, True)
    assert fetched.etag == server.etag(NAME)
    assert server.log[0].range is None
    assert server.log[0].user_agent == "corpus-test/1 (+mailto:test@example.org)"


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        (Trouble(status=503), "throttled"),
        (Trouble(status=429), "throttled"),
        (Trouble(status=500), "server_error"),
        (Trouble(status=502), "server_error"),
        (Trouble(status=403), "forbidden"),
        (Trouble(status=200), "error_page"),
        (Trouble(status=200, body=b"<!DOCTYPE html><html>busy</html>"), "error_page"),
        (Trouble(refuse=True), "reset"),
        (Trouble(close_after=100_000), "truncated"),
        (Trouble(close_after=0), "truncated"),
        (Trouble(chunked=True, close_after=100_000), "reset"),
        (Trouble(stall_after=100_000, seconds=1.0), "stall"),
        (Trouble(status=206, headers={"Content-Range": "bytes 9-10/11"}), "range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fetch_one_fault_gets_over_it(
    server: Server, tmp_path: Path, trouble: Trouble, fault: str
) -> None:
    server.script[NAME] = [trouble]
    fetched = get(server, tmp_path, timeout=0.3)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {fault: 1}
    assert fetched.requests == len(server.log) == 2


@pytest.mark.parametrize("how", ["close_after", "reset_after", "stall_after"])
def test_fetch_broken_body_continues_with_the_byte_after(
    server: Server, tmp_path: Path, how: str
) -> None:
    server.script[NAME] = [Trouble(**{how: 150_000}, seconds=1.0)]  # type: ignore[arg-type]
    assert_whole(tmp_path, get(server, tmp_path, timeout=0.3))
    assert (server.log[1].range, server.log[1].status) == ("bytes=150000-", 206)
    assert server.log[1].if_range == server.etag(NAME)
    assert server.log[0].sent + server.log[1].sent == len(ARCHIVE)


def test_fetch_dripping_body_is_a_stall(server: Server, tmp_path: Path) -> None:
    """A server that sends a little before every timeout would hold a worker for ever."""
    files = {"b.gz": gzip.compress(random.Random(1).randbytes(60_000))}
    server.files.update(files)
    server.script["b.gz"] = [Trouble(bandwidth=500)]  # 50 bytes every 0.1 s
    fetched = get(server, tmp_path, "b.gz", timeout=0.5)
    assert_whole(tmp_path, fetched, files["b.gz"])
    assert fetched.faults == {"stall": 1}


def test_fetch_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=100_000), Trouble(no_ranges=True)]
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {"truncated": 1, "restarted": 1}


def test_fetch_error_page_for_a_range_keeps_the_bytes(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=100_000), Trouble(status=200)]
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {"truncated": 1, "error_page": 1}
    assert server.log[2].range == "bytes=100000-"


def test_fetch_wrong_range_starts_again(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=100_000), Trouble(wrong_range=True)]
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {"truncated": 1, "range": 1}
    assert server.log[2].range is None


def test_fetch_file_changed_on_the_server_takes_the_new_one(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=100_000)] * 3
    with pytest.raises(FetchError):
        get(server, tmp_path, attempts=1)
    new = b"".join(reversed(MEMBERS[1:]))
    server.files[NAME] = new
    server.script[NAME] = []
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched, new)
    assert fetched.faults == {"changed": 1}


def test_fetch_range_of_another_file_is_not_appended(server: Server, tmp_path: Path) -> None:
    """A server that ignores If-Range shows another ETag with the range."""
    server.script[NAME] = [Trouble(close_after=100_000, headers={"ETag": '"old"'})]
    server.script[NAME].append(Trouble(headers={"ETag": '"old"'}, status=503))
    other = Trouble(
        status=206,
        headers={"Content-Range": f"bytes 100000-{len(ARCHIVE) - 1}/{len(ARCHIVE)}", "ETag": '"x"'},
        body=b"\0" * (len(ARCHIVE) - 100_000),
    )
    server.script[NAME].append(other)
    fetched = get(server, tmp_path, attempts=5)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {"truncated": 1, "throttled": 1, "changed": 1}


def test_fetch_without_validator_never_continues(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=100_000, headers={"ETag": ""})] * 2
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched)
    assert [request.range for request in server.log] == [None] * 3


def test_fetch_weak_etag_is_no_validator(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=100_000, headers={"ETag": 'W/"a"'})]
    assert_whole(tmp_path, get(server, tmp_path))
    assert server.log[1].range is None


def test_fetch_chunked_body_without_length_is_whole(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(chunked=True)]
    assert_whole(tmp_path, get(server, tmp_path))
    assert len(server.log) == 1


@pytest.mark.parametrize("status", [404, 410, 401])
def test_fetch_missing_file_fails_at_once(server: Server, tmp_path: Path, status: int) -> None:
    server.script[NAME] = [Trouble(status=status)]
    with pytest.raises(FetchError, match=re.escape(NAME)) as caught:
        get(server, tmp_path)
    assert str(status) in str(caught.value)
    assert caught.value.fix is not None
    assert len(server.log) == 1
    assert not (tmp_path / "out.gz").exists()


def test_fetch_attempts_bound_the_failures_in_a_row(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(status=500)] * 9
    with pytest.raises(FetchError, match="3 failed requests in a row"):
        get(server, tmp_path, attempts=3)
    assert len(server.log) == 3


def test_fetch_progress_is_not_a_failure_in_a_row(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=70_000)] * 5
    fetched = get(server, tmp_path, attempts=2)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {"truncated": 5}


def test_fetch_no_server_fails_after_attempts(tmp_path: Path) -> None:
    with Server({}) as server:
        pass
    with pytest.raises(FetchError, match="connection"):
        get(server, tmp_path, attempts=2)


@pytest.mark.parametrize(("status", "form"), [(503, "date"), (429, "seconds"), (500, "seconds")])
def test_fetch_retry_after_is_obeyed(
    server: Server, tmp_path: Path, status: int, form: str
) -> None:
    # A date has whole seconds: "in 2 s" is at least one second from now.
    date = email.utils.formatdate(time.time() + 2.0, usegmt=True)
    headers = {"Retry-After": "1" if form == "seconds" else date}
    server.script[NAME] = [Trouble(status=status, headers=headers)]
    assert_whole(tmp_path, get(server, tmp_path))
    assert 0.95 <= server.log[1].time - server.log[0].time < 4


def test_fetch_retry_after_is_bounded(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(status=429, headers={"Retry-After": "86400"})]
    started = time.monotonic()
    assert_whole(
        tmp_path, get(server, tmp_path, politeness=politeness(tmp_path, longest_pause=0.3))
    )
    assert 0.25 < time.monotonic() - started < 3


def test_retry_after_unreadable_is_none() -> None:
    assert _retry_after("soon", 0.0) is None
    assert _retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40.0) == 60.0
    assert _retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 400.0) == 0.0


def test_fetch_flipped_byte_is_found_and_fetched_again(server: Server, tmp_path: Path) -> None:
    flip = sum(map(len, MEMBERS[:30])) + 5_000
    server.script[NAME] = [Trouble(flip=flip)]
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {"corrupt": 1}
    # Only from the damaged member on: the 30 before it had decoded.
    assert server.log[1].range == f"bytes={sum(map(len, MEMBERS[:30]))}-"


def test_fetch_flipped_byte_at_the_beginning_does_not_cost_what_is_behind_it(
    server: Server, tmp_path: Path
) -> None:
    server.script[NAME] = [Trouble(flip=5_000)]
    assert_whole(tmp_path, get(server, tmp_path))
    arrived = FileKeeper(str(tmp_path / "polite"), "run").read().bytes
    assert arrived < 1.2 * len(ARCHIVE)


@pytest.mark.parametrize("damage", ["flip", "cut", "tail", "empty"])
def test_fetch_damage_at_the_source_is_accepted_with_a_note(
    server: Server, tmp_path: Path, damage: str
) -> None:
    """The reader accounts for the records of a broken archive; the download does not judge."""
    broken = {
        "flip": ARCHIVE[:200_000] + bytes([ARCHIVE[200_000] ^ 1]) + ARCHIVE[200_001:],
        "cut": ARCHIVE[:-100],
        "tail": ARCHIVE + b"not a member",
        "empty": b"",
    }[damage]
    server.files[NAME] = broken
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched, broken)
    # The damaged member once more, then all behind it twice, since nothing else can vouch for it.
    again = 2 if damage in ("flip", "tail") else 1
    assert fetched.faults == {"corrupt": again, "damaged_at_source": 1}
    assert fetched.requests == (1 if damage == "empty" else again + 1)


def test_fetch_every_copy_with_other_damage_gives_up(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(flip=5_000 + step) for step in range(9)]
    with pytest.raises(FetchError, match="damaged, each in another way"):
        get(server, tmp_path, attempts=2)


def test_fetch_limit_keeps_whole_members(server: Server, tmp_path: Path) -> None:
    limit = 100_000
    whole = len(MEMBERS[0]) * (limit // len(MEMBERS[0]))
    server.script[NAME] = [Trouble(close_after=30_000)]
    fetched = get(server, tmp_path, limit_bytes=limit)
    assert_whole(tmp_path, fetched, ARCHIVE[:whole])
    assert not fetched.complete
    assert len(gzip.decompress((tmp_path / "out.gz").read_bytes())) == 90_000
    assert [request.range for request in server.log] == ["bytes=0-99999", "bytes=30000-99999"]


@pytest.mark.parametrize("excess", [0, 1, 1_000_000])
def test_fetch_limit_not_reached_is_complete(server: Server, tmp_path: Path, excess: int) -> None:
    fetched = get(server, tmp_path, limit_bytes=len(ARCHIVE) + excess)
    assert_whole(tmp_path, fetched)
    assert fetched.complete


def test_fetch_limit_on_a_server_without_ranges_stops_there(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(no_ranges=True, chunked=True)]
    fetched = get(server, tmp_path, limit_bytes=50_000)
    assert_whole(tmp_path, fetched, b"".join(MEMBERS[:4]))
    assert not fetched.complete


def test_fetch_limit_under_one_member_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no whole gzip member within limit_bytes"):
        get(server, tmp_path, limit_bytes=5_000)
    assert not (tmp_path / "out.gz").exists()


def test_fetch_limit_without_members_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="limit_bytes needs"):
        get(server, tmp_path, "plain.warc", limit_bytes=5_000)
    assert server.log == []


def test_fetch_limit_smaller_than_what_is_there_cuts(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=200_000)]
    with pytest.raises(FetchError):
        get(server, tmp_path, attempts=1)
    fetched = get(server, tmp_path, limit_bytes=50_000)
    assert_whole(tmp_path, fetched, b"".join(MEMBERS[:4]))
    assert fetched.requests == 0


def records(pages: int) -> list[bytes]:
    """Return the gzip members of an archive: a warcinfo, then a request and a response a page."""

    def record(kind: str, number: int) -> bytes:
        block = random.Random(number).randbytes(4000)
        head = f"WARC/1.0\r\nWARC-Date: x\r\nWARC-Type: {kind}\r\nContent-Length: 4000\r\n\r\n"
        return gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0)

    pairs = [record(kind, n) for n in range(pages) for kind in ("request", "response")]
    return [record("warcinfo", 0), *pairs]


RECORDS = records(30)


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_fetch_limit_records_stops_after_so_many_pages(
    server: Server, tmp_path: Path, limit: int
) -> None:
    server.files[NAME] = b"".join(RECORDS)
    fetched = get(server, tmp_path, limit_records=limit)
    assert_whole(tmp_path, fetched, b"".join(RECORDS[: 1 + 2 * limit]))
    assert fetched.complete is (limit == 30)
    assert len(server.log) == 1


def test_fetch_limit_records_over_what_there_is_and_beside_limit_bytes(
    server: Server, tmp_path: Path
) -> None:
    server.files[NAME] = b"".join(RECORDS)
    assert get(server, tmp_path, limit_records=31).complete
    fetched = get(server, tmp_path, limit_records=20, limit_bytes=50_000)
    assert_whole(tmp_path, fetched, b"".join(RECORDS[:12]))
    fetched = get(server, tmp_path, limit_records=3, limit_bytes=50_000)
    assert_whole(tmp_path, fetched, b"".join(RECORDS[:7]))


def test_fetch_limit_records_goes_on_after_a_broken_connection(
    server: Server, tmp_path: Path
) -> None:
    server.files[NAME] = b"".join(RECORDS)
    server.script[NAME] = [Trouble(close_after=10_000), Trouble(reset_after=20_000)]
    fetched = get(server, tmp_path, limit_records=25)
    assert_whole(tmp_path, fetched, b"".join(RECORDS[:51]))


def test_fetch_limit_records_flipped_byte_costs_its_member_and_not_the_rest(
    server: Server, tmp_path: Path
) -> None:
    server.files[NAME] = b"".join(RECORDS)
    server.script[NAME] = [Trouble(flip=10_000)]
    fetched = get(server, tmp_path, limit_records=5)
    assert_whole(tmp_path, fetched, b"".join(RECORDS[:11]))
    assert fetched.faults == {"corrupt": 1}
    assert [request.range for request in server.log] == [
        None,
        f"bytes={len(RECORDS[0] + RECORDS[1])}-",
    ]
    assert FileKeeper(str(tmp_path / "polite"), "run").read().bytes < len(server.files[NAME]) * 0.8


def test_fetch_limit_records_ends_before_damage_at_the_source(
    server: Server, tmp_path: Path
) -> None:
    broken = bytearray(b"".join(RECORDS))
    broken[10_000] ^= 1
    server.files[NAME] = bytes(broken)
    fetched = get(server, tmp_path, limit_records=5)
    assert_whole(tmp_path, fetched, b"".join(RECORDS[:2]))
    assert not fetched.complete
    assert fetched.faults["damaged_at_source"] == 1


def test_fetch_limit_records_needs_gzip_members(server: Server, tmp_path: Path) -> None:
    server.files["plain.warc"] = b"WARC/1.0"
    with pytest.raises(InputError, match="limit_records needs a file of gzip members"):
        get(server, tmp_path, "plain.warc", limit_records=1)


def test_fetch_after_failure_continues_and_other_url_does_not(
    server: Server, tmp_path: Path
) -> None:
    server.files["mirror/a.warc.gz"] = ARCHIVE
    server.script[NAME] = [Trouble(close_after=200_000)]
    with pytest.raises(FetchError, match="goes on from byte 200000"):
        get(server, tmp_path, attempts=1)
    assert_whole(tmp_path, get(server, tmp_path, "mirror/a.warc.gz"))
    assert server.log[1].range is None


@pytest.mark.parametrize("about", ["", "[1]", "{", '{"url": 3}'])
def test_fetch_unreadable_description_starts_again(
    server: Server, tmp_path: Path, about: str
) -> None:
    (tmp_path / "out.gz.partial").write_bytes(b"\0" * 1000)
    (tmp_path / "out.gz.partial.json").write_text(about)
    assert_whole(tmp_path, get(server, tmp_path))
    assert server.log[0].range is None


def test_fetch_partial_whole_already_needs_no_request(server: Server, tmp_path: Path) -> None:
    """A process killed between its last byte and the rename has nothing left to ask for."""
    (tmp_path / "out.gz.partial").write_bytes(ARCHIVE)
    about = {"url": server.url + NAME, "etag": server.etag(NAME), "length": len(ARCHIVE)}
    (tmp_path / "out.gz.partial.json").write_text(json.dumps(about))
    fetched = get(server, tmp_path)
    assert_whole(tmp_path, fetched)
    assert fetched.requests == len(server.log) == 0


SCRIPT = """
import sys
from corpus.fetching.fetch import fetch
from corpus.fetching.keeper import FileKeeper
from corpus.fetching.limiter import Limits
from corpus.fetching.politeness import Politeness
polite = Politeness(FileKeeper(sys.argv[3], "run"), Limits(500.0, 0.1, 2, 5.0), 0.001, 60.0)
fetch(sys.argv[1], sys.argv[2], limit_bytes=None, limit_records=None, politeness=polite,
      user_agent="t", timeout=5.0, attempts=3)
"""


def test_fetch_killed_twice_resumes_to_the_same_bytes(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(bandwidth=300_000), Trouble(bandwidth=300_000)]
    target = tmp_path / "out.gz"
    partial = tmp_path / "out.gz.partial"
    command = [sys.executable, "-c", SCRIPT, server.url + NAME, str(target), str(tmp_path / "p")]
    sizes = [0]
    for goal in (60_000, 150_000):
        process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 20
        while not (partial.exists() and partial.stat().st_size >= goal):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        sizes.append(partial.stat().st_size)
        assert not target.exists()
    assert_whole(tmp_path, get(server, tmp_path))
    assert 60_000 <= sizes[1] < sizes[2] < len(ARCHIVE)
    # Every process asks from the byte after the last one on disk: no range is fetched twice.
    ranges = [None, f"bytes={sizes[1]}-", f"bytes={sizes[2]}-"]
    assert [request.range for request in server.log] == ranges


def test_fetch_second_process_on_one_target_is_refused(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(bandwidth=300_000)]
    target = str(tmp_path / "out.gz")
    command = [sys.executable, "-c", SCRIPT, server.url + NAME, target, str(tmp_path / "p")]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        while not server.log or not server.log[0].sent:
            assert process.poll() is None
            time.sleep(0.005)
        with pytest.raises(FetchError, match="another process"):
            get(server, tmp_path)
    finally:
        process.kill()
        process.wait()


def test_fetch_unwritable_folder_is_an_output_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(
            server.url + NAME,
            str(tmp_path / "file" / "out.gz"),
            limit_bytes=None,
            limit_records=None,
            politeness=politeness(tmp_path),
            user_agent="t",
            timeout=5.0,
            attempts=3,
        )


def test_fetch_full_disk_is_an_output_error_and_not_repeated(
    server: Server, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            get(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(server.log) == 1
    assert_whole(tmp_path, get(server, tmp_path))
    assert server.log[1].range == "bytes=100000-"


def test_fetch_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.script["old.gz"] = [Trouble(status=302, headers={"Location": f"/{NAME}"})]
    assert_whole(tmp_path, get(server, tmp_path, "old.gz"))


def test_fetch_proxy_of_the_environment_is_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to a proxy names the whole URL."""
    monkeypatch.setenv("http_proxy", server.url)
    server.files["http://crawl.invalid/a.gz"] = ARCHIVE
    fetched = fetch(
        "http://crawl.invalid/a.gz",
        str(tmp_path / "out.gz"),
        limit_bytes=None,
        limit_records=None,
        politeness=politeness(tmp_path),
        user_agent="t",
        timeout=5.0,
        attempts=1,
    )
    assert_whole(tmp_path, fetched)


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("https://a/b.gz?token=1", b"\x1f\x8b\x08", False),
        ("https://a/b.gz?token=1", b"<Error>", True),
        ("https://a/b.gz", b"", False),  # an empty file is empty, whatever its name
        ("https://a/b.xml.bz2", b"BZh91AY", False),
        ("https://a/b.xml.bz2", b"<html>", True),
        ("https://a/b.warc", b"WARC/1.0\r\n", False),
        ("https://a/b.warc", SLOW_DOWN, True),
        ("https://a/b.jsonl", b"\n<!doctype HTML><html>", True),
        ("https://a/b.jsonl", b'{"text": "<html>"}', False),
        ("https://a/dump.xml", b"<?xml version='1.0'?><mediawiki>", False),
    ],
)
def test_is_error_page_goes_by_name_and_first_bytes(name: str, head: bytes, expected: bool) -> None:
    assert is_error_page(name, head) is expected


@pytest.mark.parametrize("form", ["path", "file", "memory"])
def test_fetch_other_transports_give_the_same_bytes(
    tmp_path: Path, form: str, server: Server
) -> None:
    source = tmp_path / "source" / "a.warc.gz"
    source.parent.mkdir()
    source.write_bytes(ARCHIVE)
    with fsspec.open(f"memory://{tmp_path.name}/a.warc.gz", "wb") as stream:
        stream.write(ARCHIVE)
    url = {
        "path": str(source),
        "file": source.as_uri(),
        "memory": f"memory://{tmp_path.name}/a.warc.gz",
    }[form]
    polite = politeness(tmp_path)
    settings: dict[str, Any] = {"politeness": polite, "user_agent": "t", "timeout": 5.0}
    target = str(tmp_path / "out.gz")
    fetched = fetch(url, target, limit_bytes=None, limit_records=None, attempts=3, **settings)
    assert_whole(tmp_path, fetched)
    fetched = fetch(url, target, limit_bytes=50_000, limit_records=None, attempts=3, **settings)
    assert_whole(tmp_path, fetched, b"".join(MEMBERS[:4]))
    error = FetchError if form == "memory" else InputError
    with pytest.raises(error, match="nothing"):
        fetch(
            f"{url}.nothing.gz",
            target,
            limit_bytes=None,
            limit_records=None,
            attempts=3,
            **settings,
        )
    # A half of it is continued, and only the rest is read.
    (tmp_path / "out.gz.partial").write_bytes(b"x" * 4)
    status = source.stat()
    if form == "path":
        about = {
            "url": url,
            "etag": f"{status.st_mtime_ns}-{status.st_size}",
            "length": status.st_size,
        }
        (tmp_path / "out.gz.partial.json").write_text(json.dumps(about))
        fetched = fetch(url, target, limit_bytes=None, limit_records=None, attempts=3, **settings)
        assert (tmp_path / "out.gz").read_bytes() == b"xxxx" + ARCHIVE[4:]
        assert fetched.faults == {"damaged_at_source": 1}


def test_breaker_one_refusal_stops_every_worker(server: Server, tmp_path: Path) -> None:
    """While the breaker is open nobody asks, whichever file was refused."""
    polite = politeness(tmp_path, cooldown=0.4)
    server.files["b.warc.gz"] = ARCHIVE
    assert polite.refused()
    started = time.time()
    fetched = get(server, tmp_path, "b.warc.gz", politeness=polite)
    assert_whole(tmp_path, fetched)
    assert server.log[0].time - started >= 0.35


def test_breaker_refused_for_good_gives_up_after_bounded_cooldowns(
    server: Server, tmp_path: Path
) -> None:
    polite = politeness(tmp_path, cooldown=0.1, cooldowns=2)
    server.script[NAME] = [Trouble(status=403)] * 20
    with pytest.raises(FetchError, match="forbidden") as caught:
        get(server, tmp_path, attempts=10, politeness=polite)
    assert "requests_per_second" in str(caught.value)
    times = [request.time for request in server.log]
    assert len(times) == 3
    assert times[1] - times[0] >= 0.09
    assert times[2] - times[1] >= 0.19  # doubled
    # The others hear of it without asking, and a later run starts afresh.
    with pytest.raises(FetchError, match="refused"):
        polite.wait("http://127.0.0.1/x")
    assert len(server.log) == 3
    server.script[NAME] = [Trouble(status=403)]
    time.sleep(0.45)
    assert_whole(tmp_path, get(server, tmp_path, politeness=polite))


DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
STORE = {"x-amz-request-id": "4442587FB7D0A2F9"}


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        (STORE, DENIED, "AccessDenied: Access Denied"),
        ({"X-Ms-Request-Id": "1"}, b"<Error><Code>AccessDenied</Code></Error>", "AccessDenied"),
        ({}, b"<Error><Code>InvalidAccessKeyId</Code></Error>", "InvalidAccessKeyId"),
        ({"Via": "front"}, b"<?xml?><Error><Code>ExpiredToken</Code></Error>", "ExpiredToken"),
    ],
)
def test_refusal_for_want_of_permission_ends_the_download_at_once(
    server: Server, tmp_path: Path, headers: dict[str, str], body: bytes, why: str
) -> None:
    server.script[NAME] = [Trouble(status=403, headers=headers, body=body)] * 9
    with pytest.raises(FetchError, match=r"denies access to this file \(status 403\)") as caught:
        get(server, tmp_path, politeness=politeness(tmp_path, cooldown=30.0))
    assert caught.value.where == server.url + NAME
    assert caught.value.why == why
    assert "credentials" in (caught.value.fix or "")
    assert len(server.log) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, DENIED),  # as Common Crawl's front says it
        (STORE | {"Via": "1.1 front", "X-Cache": "Error from front"}, DENIED),
        (STORE | {"Retry-After": "0"}, DENIED),
        (STORE, b"<html>Request blocked</html>"),
        (STORE, b"<Error><Code>SlowDown</Code></Error>"),
        ({}, b""),
        ({}, b"<Code>" + b"A" * 10_000),
    ],
)
def test_refusal_that_may_be_of_the_rate_is_waited_out(
    server: Server, tmp_path: Path, headers: dict[str, str], body: bytes
) -> None:
    polite = politeness(tmp_path, cooldown=0.2)
    server.script[NAME] = [Trouble(status=403, headers=headers, body=body)]
    fetched = get(server, tmp_path, politeness=polite)
    assert_whole(tmp_path, fetched)
    assert fetched.faults == {"forbidden": 1}
    assert server.log[1].time - server.log[0].time >= 0.19


def test_refusal_that_drips_is_read_no_longer_than_the_timeout(
    server: Server, tmp_path: Path
) -> None:
    body = DENIED + b" " * 4000
    server.script[NAME] = [Trouble(status=403, headers=STORE, body=body, bandwidth=1000)]
    began = time.monotonic()
    with pytest.raises(FetchError, match="status 403") as caught:
        get(server, tmp_path, timeout=0.5)
    assert caught.value.why == "AccessDenied: Access Denied"
    assert time.monotonic() - began < 2.5


def test_refusals_before_any_good_answer_end_the_run_sooner_with_what_was_said(
    server: Server, tmp_path: Path
) -> None:
    polite = politeness(tmp_path, cooldown=0.05, cooldowns=5)
    server.script[NAME] = [Trouble(status=403, body=DENIED)] * 20
    with pytest.raises(FetchError, match="status 403, AccessDenied: Access Denied") as caught:
        get(server, tmp_path, attempts=10, politeness=polite)
    assert "the address is right and the file public" in str(caught.value)
    assert len(server.log) == 3


@pytest.mark.parametrize(
    ("said", "kind"),
    [("Access Denied", FetchError), ("rateLimitExceeded: 403", Fault), ("Slow down", Fault)],
)
def test_storage_that_denies_permission_is_asked_no_more(
    monkeypatch: pytest.MonkeyPatch, said: str, kind: type[Exception]
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(said)

    monkeypatch.setattr(MemoryFileSystem, "info", deny)
    with pytest.raises(kind, match=said), open_storage("memory://bucket/a.warc.gz", 0):
        pass


def test_breaker_probe_that_was_reset_is_followed_at_once(server: Server, tmp_path: Path) -> None:
    polite = politeness(tmp_path, cooldown=0.6)
    polite.refused()
    server.script[NAME] = [Trouble(refuse=True)]
    started = time.monotonic()
    assert_whole(tmp_path, get(server, tmp_path, politeness=polite))
    assert 0.55 < time.monotonic() - started < 1.1


@pytest.mark.parametrize("step", [1, 7, 4096, 10**9])
def test_member_scanner_any_block_size_same_boundaries(step: int) -> None:
    scanner = MemberScanner()
    data = ARCHIVE[:60_000] if step == 1 else ARCHIVE[:-1]
    for offset in range(0, len(data), step):
        scanner.feed(data[offset : offset + step])
    whole = len(data) // len(MEMBERS[0])
    assert (scanner.members, scanner.boundary) == (whole, whole * len(MEMBERS[0]))
    assert scanner.position == len(data)
    assert not scanner.whole
    assert scanner.damage is None


@pytest.mark.parametrize("step", [1000, 10**6])
def test_member_scanner_highly_compressed_member_is_followed(step: int) -> None:
    """Output comes in blocks: the end of a member is not taken for more input wanted."""
    data = gzip.compress(bytes(5 << 20)) + gzip.compress(b"next") + bytes(512)
    scanner = MemberScanner()
    for offset in range(0, len(data), step):
        scanner.feed(data[offset : offset + step])
    assert (scanner.members, scanner.boundary) == (2, len(data) - 512)
    assert scanner.whole


@pytest.mark.real
def test_fetch_unreliable_mirror_gives_exact_files(real_data: Path, tmp_path: Path) -> None:
    """A tenth of all requests fail in each of several ways; two real archives arrive whole."""
    root = real_data / "commoncrawl"
    crawl = root / "crawl-data" / "CC-MAIN-2026-47"
    archives = gzip.decompress((crawl / "warc.paths.gz").read_bytes()).decode().split()[:2]
    faults = ["--errors", "0.1", "--forbid", "0.05", "--truncate", "0.1", "--reset", "0.1"]
    faults += ["--corrupt", "0.05", "--slowdown-200", "0.1", "--stall", "0.05", "2"]
    command = [sys.executable, str(real_data / "tools" / "cc_mirror.py"), str(root), *faults]
    with subprocess.Popen([*command, "--seed", "3"], stdout=subprocess.PIPE, text=True) as mirror:
        try:
            assert mirror.stdout is not None
            base = mirror.stdout.readline().split()[-1]
            requests = 0
            for path in archives:
                target = tmp_path / Path(path).name
                fetched = fetch(
                    base + path,
                    str(target),
                    limit_bytes=None,
                    limit_records=None,
                    politeness=politeness(tmp_path, longest_pause=0.2, cooldowns=20),
                    user_agent="corpus-test/1",
                    timeout=0.5,
                    attempts=20,
                )
                expected = hashlib.sha256((root / path).read_bytes()).hexdigest()
                assert fetched.sha256 == expected
                assert hashlib.sha256(target.read_bytes()).hexdigest() == expected
                requests += fetched.requests
            assert requests > 2
        finally:
            mirror.terminate()
