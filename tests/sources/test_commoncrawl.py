from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import InputError
from corpus.sources import commoncrawl

SNAPSHOT = "CC-MAIN-2026-47"
PATHS = [f"crawl-data/{SNAPSHOT}/segments/1794.{n % 7}/warc/{n:05}.warc.gz" for n in range(500)]


def read(
    text: str | bytes, kind: str = "warc", base_url: str = "https://mirror.org/cc/"
) -> list[str]:
    data = text if isinstance(text, bytes) else gzip.compress(text.encode())
    return commoncrawl.paths(SNAPSHOT, base_url=base_url, kind=kind, fetch_bytes=lambda _: data)


@pytest.mark.parametrize("kind", ["warc", "wet"])
@pytest.mark.parametrize(
    "base", ["https://data.commoncrawl.org/", "s3://commoncrawl", "/data/mirror/"]
)
def test_paths_asks_for_the_list_of_the_kind(base: str, kind: str) -> None:
    asked: list[str] = []

    def fetch_bytes(url: str) -> bytes:
        asked.append(url)
        return gzip.compress("\n".join(PATHS).encode())

    found = commoncrawl.paths(SNAPSHOT, base_url=base, kind=kind, fetch_bytes=fetch_bytes)
    assert found == PATHS
    assert asked == [f"{base.rstrip('/')}/crawl-data/{SNAPSHOT}/{kind}.paths.gz"]


def test_paths_repeated_and_empty_lines_are_one_file() -> None:
    assert read("a/b.warc.gz\r\n\na/b.warc.gz\na/c.warc.gz\n") == ["a/b.warc.gz", "a/c.warc.gz"]


def test_paths_several_gzip_members_are_one_list() -> None:
    data = gzip.compress(b"a/b.warc.gz\n") + gzip.compress(b"a/c.warc.gz\n")
    assert read(data) == ["a/b.warc.gz", "a/c.warc.gz"]


@pytest.mark.parametrize(
    "line",
    [
        "/etc/passwd",
        "../x.warc.gz",
        "a/../../x.warc.gz",
        "a/./x.warc.gz",
        "http://elsewhere.org/x.warc.gz",
        "file:///etc/passwd",
        "a//b.warc.gz",
        "a\\b.warc.gz",
        "a/b.warc.gz?x=1",
        "a/b%2e%2e/x",
        "a/b c.gz",
        "a/é.gz",
        "a/\x00.gz",
        "<Error>",
    ],
)
def test_paths_line_that_is_no_relative_path_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="line 2 is not the relative path"):
        read(f"a/b.warc.gz\n{line}\n")


@pytest.mark.parametrize(
    "data",
    [
        b"<?xml version='1.0'?><Error/>",
        gzip.compress(b"a/b.gz\n" * 99)[:-4],
        gzip.compress(b"\n"),
        b"",
    ],
)
def test_paths_list_that_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"warc\.paths\.gz") as caught:
        read(data)
    assert caught.value.fix


def test_paths_list_that_expands_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commoncrawl, "_LARGEST_LIST", 1 << 20)
    with pytest.raises(InputError, match="more than"):
        read(gzip.compress(b"a" * ((1 << 20) + 1)))
    with pytest.raises(InputError, match="more than"):
        read(gzip.compress(b"a\n" * (1 << 18)) * 3)
    assert len(read(gzip.compress(b"a" * ((1 << 20) - 3) + b".gz"))) == 1


@pytest.mark.parametrize(
    "snapshot",
    ["2026-47", "CC-MAIN-2026-54", "CC-MAIN-2026-00", "CC-MAIN-2026-47/..", "cc-main-2026-47", ""],
)
def test_paths_malformed_snapshot_is_refused_before_asking(snapshot: str) -> None:
    def fetch_bytes(url: str) -> bytes:
        raise AssertionError(url)

    with pytest.raises(InputError, match="CC-MAIN-YYYY-WW"):
        commoncrawl.paths(snapshot, base_url="x", kind="warc", fetch_bytes=fetch_bytes)


def test_paths_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="warc, wet"):
        read("a", kind="wat")


@given(st.integers(), st.integers(1, 499))
def test_choose_more_files_adds_and_never_replaces(seed: int, files: int) -> None:
    fewer = commoncrawl.choose(PATHS, files=files, seed=seed)
    more = commoncrawl.choose(PATHS, files=files + 1, seed=seed)
    assert len(fewer) == files
    assert set(fewer) < set(more)
    assert fewer == sorted(fewer, key=PATHS.index)


def test_choose_does_not_depend_on_the_lists_order() -> None:
    turned = commoncrawl.choose(PATHS[::-1], files=20, seed=5)
    assert turned[::-1] == commoncrawl.choose(PATHS, files=20, seed=5)


def test_choose_same_draw_for_ever() -> None:
    """A changed draw would change every corpus that was built before."""
    chosen = commoncrawl.choose(PATHS, files=3, seed=2020)
    assert [path[-13:-8] for path in chosen] == ["00033", "00085", "00374"]
    assert commoncrawl.choose(PATHS, files=3, seed=2021) != chosen


def test_choose_all_files() -> None:
    assert commoncrawl.choose(PATHS, files=None, seed=1) == PATHS
    assert commoncrawl.choose(PATHS, files=500, seed=1) == PATHS


@pytest.mark.parametrize("files", [0, -1, 501])
def test_choose_number_that_the_list_cannot_give_is_refused(files: int) -> None:
    with pytest.raises(InputError, match="500"):
        commoncrawl.choose(PATHS, files=files, seed=1)


@pytest.mark.real
def test_paths_real_list_names_files_that_are_there(real_data: Path) -> None:
    root = real_data / "commoncrawl"
    for kind, number in (("warc", 8), ("wet", 2)):
        found = commoncrawl.paths(
            SNAPSHOT,
            base_url=str(root),
            kind=kind,
            fetch_bytes=lambda path: Path(path).read_bytes(),
        )
        assert len(found) == number
        assert all(Path(commoncrawl.address(str(root), path)).is_file() for path in found)
