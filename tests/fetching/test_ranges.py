"""Ranges of a file and members out of an archive: right bytes, whatever the server does."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.errors import FetchError, InputError
from corpus.fetching import pieces as pieces_module
from corpus.fetching.keeper import FileKeeper
from corpus.fetching.limiter import Limits
from corpus.fetching.pieces import Piece, fetch_pieces, groups
from corpus.fetching.politeness import Politeness
from corpus.fetching.ranges import Changed, RangeReader
from corpus.fetching.session import Session
from tests.server import SLOW_DOWN, Server, Trouble

NAME = "crawl/a.warc.gz"
_RANDOM = random.Random(5)
MEMBERS = [gzip.compress(_RANDOM.randbytes(3000), mtime=0) for _ in range(30)]
ARCHIVE = b"".join(MEMBERS)
OFFSETS = [sum(map(len, MEMBERS[:number])) for number in range(30)]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server({NAME: ARCHIVE}) as server:
        yield server


def keeper(folder: Path) -> FileKeeper:
    return FileKeeper(str(folder / "polite"), "run")


def session(folder: Path, attempts: int = 4) -> Session:
    polite = Politeness(keeper(folder), Limits(1000.0, 0.1, 2, 5.0), 0.001, 60.0)
    return Session(polite, "test", 5.0, attempts)


def chosen(*numbers: int) -> tuple[list[Piece], bytes]:
    listed = [(OFFSETS[number], len(MEMBERS[number])) for number in numbers]
    return listed, b"".join(MEMBERS[number] for number in numbers)


FAULTS = [
    Trouble(status=503, headers={"Retry-After": "0"}),
    Trouble(status=500, body=b""),
    Trouble(status=200, body=SLOW_DOWN),
    Trouble(status=403, body=b""),
    Trouble(refuse=True),
    Trouble(close_after=1000),
    Trouble(reset_after=1000),
    Trouble(wrong_range=True),
]


@pytest.mark.parametrize("trouble", FAULTS, ids=str)
def test_range_one_fault_gives_the_right_bytes(
    server: Server, tmp_path: Path, trouble: Trouble
) -> None:
    server.script[NAME] = [trouble]
    reader = RangeReader(server.url + NAME, session(tmp_path))
    assert reader.read(500, 20_000) == ARCHIVE[500:20_000]
    assert reader.size() == len(ARCHIVE)
    assert (reader.tries.requests, sum(reader.tries.faults.values())) == (2, 1)
    assert keeper(tmp_path).read().faults == reader.tries.faults


def test_range_goes_on_where_the_connection_broke(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(close_after=4096)]
    RangeReader(server.url + NAME, session(tmp_path)).read(100, 9000)
    assert [request.range for request in server.log] == ["bytes=100-8999", "bytes=4196-8999"]


def test_range_of_a_changed_file_is_not_joined_to_the_old_one(
    server: Server, tmp_path: Path
) -> None:
    reader = RangeReader(server.url + NAME, session(tmp_path))
    reader.read(10, 20)
    server.files[NAME] = b"\x1f\x8b" + ARCHIVE[:-2]
    with pytest.raises(Changed):
        reader.read(20, 30)


def test_range_of_a_server_without_ranges_or_beyond_the_end_is_refused(
    server: Server, tmp_path: Path
) -> None:
    server.script[NAME] = [Trouble(no_ranges=True)]
    with pytest.raises(FetchError, match="does not serve ranges"):
        RangeReader(server.url + NAME, session(tmp_path)).read(10, 20)
    with pytest.raises(FetchError, match=f"the file ends at {len(ARCHIVE)}"):
        RangeReader(server.url + NAME, session(tmp_path)).read(10, len(ARCHIVE) + 1)
    with pytest.raises(FetchError, match="there is no such file"):
        RangeReader(server.url + "none.gz", session(tmp_path)).read(0, 1)


def test_range_attempts_bound_the_failures_in_a_row(server: Server, tmp_path: Path) -> None:
    server.script[NAME] = [Trouble(refuse=True)] * 9
    with pytest.raises(FetchError, match="given up after 4 failed requests"):
        RangeReader(server.url + NAME, session(tmp_path)).read(0, 10)
    assert len(server.log) == 4


def test_range_without_a_checksum_is_read_until_two_copies_agree(
    server: Server, tmp_path: Path
) -> None:
    server.script[NAME] = [Trouble(flip=15), Trouble(flip=16), Trouble()]
    reader = RangeReader(server.url + NAME, session(tmp_path))
    assert reader.read_agreed(10, 20) == ARCHIVE[10:20]
    assert reader.tries.faults == {"corrupt": 2}
    assert len(server.log) == 4


def test_ranges_of_other_transports_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(ARCHIVE)
    fsspec.filesystem("memory").pipe("/ranges/a.gz", ARCHIVE)
    for url in (str(tmp_path / "a.gz"), f"file://{tmp_path}/a.gz", "memory://ranges/a.gz"):
        reader = RangeReader(url, session(tmp_path))
        assert reader.size() == len(ARCHIVE)
        assert reader.read_agreed(5, 5000) == ARCHIVE[5:5000]
    with pytest.raises(InputError, match="cannot be read"):
        RangeReader(str(tmp_path / "none"), session(tmp_path)).read(0, 1)


def get(server: Server, folder: Path, listed: list[Piece], **settings: Any) -> bytes:
    fetch_pieces(
        server.url + NAME, str(folder / "out.gz"), listed, session=session(folder, **settings)
    )
    assert [path.name for path in folder.glob("out.gz.*")] == []
    return (folder / "out.gz").read_bytes()


def test_pieces_are_the_members_and_neighbours_come_in_one_request(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_module, "GAP", 3100)
    listed, data = chosen(1, 2, 4, 8, 29)
    assert get(server, tmp_path, listed) == data
    assert len(server.log) == 3
    monkeypatch.setattr(pieces_module, "SPAN", 7000)
    assert [len(group) for group in groups(listed)] == [2, 1, 1, 1]


@pytest.mark.parametrize("trouble", [*FAULTS, Trouble(flip=OFFSETS[3] + 100)], ids=str)
def test_pieces_one_fault_gives_the_right_members(
    server: Server, tmp_path: Path, trouble: Trouble
) -> None:
    listed, data = chosen(2, 3, 20)
    server.script[NAME] = [trouble]
    assert get(server, tmp_path, listed) == data


def test_pieces_flipped_bit_costs_that_member_again_and_no_other(
    server: Server, tmp_path: Path
) -> None:
    listed, data = chosen(2, 3, 4)
    server.script[NAME] = [Trouble(flip=OFFSETS[3] + 100)]
    assert get(server, tmp_path, listed) == data
    again = f"bytes={OFFSETS[3]}-{OFFSETS[4] - 1}"
    assert [request.range for request in server.log[1:]] == [again]


def test_pieces_damaged_at_their_source_are_taken_as_they_are(
    server: Server, tmp_path: Path
) -> None:
    broken = bytearray(ARCHIVE)
    broken[OFFSETS[3] + 100] ^= 1
    server.files[NAME] = bytes(broken)
    listed, _ = chosen(2, 3, 4)
    expected = b"".join(broken[start : start + length] for start, length in listed)
    assert get(server, tmp_path, listed) == expected
    faults = keeper(tmp_path).read().faults
    assert faults == {"corrupt": 1, "damaged_at_source": 1}


def test_pieces_that_arrive_with_other_damage_each_time_are_given_up(
    server: Server, tmp_path: Path
) -> None:
    server.script[NAME] = [Trouble(flip=OFFSETS[3] + 100 + number) for number in range(9)]
    with pytest.raises(FetchError, match="each in another way"):
        get(server, tmp_path, chosen(3)[0])


def test_pieces_of_a_file_that_changes_are_all_of_the_new_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_module, "GAP", 0)
    server.script[NAME] = [Trouble(headers={"ETag": '"old"'})]
    listed, data = chosen(1, 10)
    assert get(server, tmp_path, listed) == data
    assert keeper(tmp_path).read().faults == {"changed": 1}
    server.script[NAME] = [Trouble(headers={"ETag": f'"{n}"'}) for n in range(20)]
    with pytest.raises(FetchError, match="keeps changing"):
        get(server, tmp_path, listed)


def test_pieces_after_a_stop_go_on_and_other_pieces_do_not(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_module, "GAP", 0)
    listed, data = chosen(1, 10, 20)
    server.script[NAME] = [Trouble(), Trouble(), *[Trouble(refuse=True)] * 4]
    with pytest.raises(FetchError):
        get(server, tmp_path, listed)
    server.script[NAME] = []
    before = len(server.log)
    with (tmp_path / "out.gz.partial").open("ab") as partial:
        partial.write(b"torn")
    assert get(server, tmp_path, listed) == data
    assert len(server.log) == before + 1
    server.script[NAME] = [Trouble(), *[Trouble(refuse=True)] * 4]
    with pytest.raises(FetchError):
        get(server, tmp_path, listed)
    other, expected = chosen(2, 11)
    assert get(server, tmp_path, other) == expected
