"""Lists of addresses: files and folders, their entries, and the step that gathers them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.errors import InputError
from corpus.filter import blocklists
from corpus.filter.blocklists import find_lists, read_entries
from corpus.manifest import Manifest
from corpus.progress import Silent
from corpus.text import url_lists
from tests.made import ENGINE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return lists in the layout of UT1, and a plain one."""
    for category, name, text in (
        ("adult", "domains", "# adults\nbad.example\nWORSE.example\n192.0.2.1\n"),
        ("adult", "urls", "site.example/~bad\n"),
        ("adult", "usage", "not.read.example\n"),
        ("phishing", "domains", "bad.example\nphish.example"),
    ):
        (tmp_path / "ut1" / category).mkdir(parents=True, exist_ok=True)
        (tmp_path / "ut1" / category / name).write_text(text)
    (tmp_path / "ut1" / "malware").mkdir()
    (tmp_path / "ut1" / "malware" / "domains.gz").write_bytes(gzip.compress(b"malware.example\r\n"))
    (tmp_path / "ut1" / "README").write_text("about.example\n")
    (tmp_path / "own.txt").write_text("own.example\n")
    return tmp_path


def gathered(output: Path, *patterns: str) -> Manifest:
    return blocklists.blocklists(patterns, str(output), ENGINE, Silent())


def said(manifest: Manifest, *urls: str) -> list[str | None]:
    output = manifest.shards[0].output("entries")
    index = blocklists.load(manifest.path(output), output.sha256)
    return url_lists.find(pa.array(urls), index).to_pylist()  # type: ignore[no-any-return]


def test_folder_of_folders_names_each_list_with_its_folder(folder: Path) -> None:
    names = [name for _, name in find_lists(f"{folder}/ut1/")]
    assert names == ["adult/domains", "adult/urls", "malware/domains", "phishing/domains"]
    assert [name for _, name in find_lists(f"{folder}/ut1/adult")] == [
        "adult/domains",
        "adult/urls",
    ]
    assert [name for _, name in find_lists(f"{folder}/ut1/*/domains")] == [
        "adult/domains",
        "phishing/domains",
    ]
    assert find_lists(f"{folder}/*.txt") == [(f"{folder}/own.txt", "own.txt")]


def test_expressions_are_left_out_and_named(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    without = gathered(output, f"{folder}/ut1")
    assert "left_out" not in without.settings
    (folder / "ut1" / "adult" / "expressions").write_text("(bad|worse)word\n")
    (folder / "ut1" / "malware" / "very_restrictive_expression.gz").write_bytes(b"")
    names = ["adult/expressions", "malware/very_restrictive_expression"]
    for pattern in (f"{folder}/ut1", f"{folder}/ut1/*/[dev]*"):
        manifest = gathered(output, pattern)
        assert manifest.settings["left_out"] == names
        assert said(manifest, "http://a.example/badword") == [None]
    assert gathered(output, f"{folder}/ut1").shards == without.shards
    with pytest.raises(InputError, match="regular expressions, which are not read") as caught:
        find_lists(f"{folder}/ut1/adult/expressions")
    assert "filter.urls" in str(caught.value)


def test_entries_of_all_lists_are_found_with_the_first_list_that_has_them(
    folder: Path, tmp_path: Path
) -> None:
    manifest = gathered(tmp_path / "output", f"{folder}/ut1", f"{folder}/own.txt")
    urls = ("http://a.bad.example", "http://site.example/~BAD/x", "http://malware.example:1/")
    assert said(manifest, *urls) == [
        "adult/domains: bad.example",
        "adult/urls: site.example/~bad",
        "malware/domains: malware.example",
    ]
    others = ("http://phish.example", "http://own.example", "http://not.read.example", "http://x.1")
    assert said(manifest, *others) == [
        "phishing/domains: phish.example",
        "own.txt: own.example",
        None,
        None,
    ]
    assert manifest.measure("entries") == 7
    assert manifest.measure("unreadable") == 0


def test_changed_list_is_gathered_again_and_an_unchanged_one_is_not(
    folder: Path, tmp_path: Path
) -> None:
    first = gathered(tmp_path / "output", f"{folder}/own.txt")
    assert gathered(tmp_path / "output", f"{folder}/own.txt") == first
    (folder / "own.txt").write_text("new.example\n")
    second = gathered(tmp_path / "output", f"{folder}/own.txt")
    assert second.folder != first.folder
    assert said(second, "http://own.example", "http://new.example") == [
        None,
        "own.txt: new.example",
    ]


@pytest.mark.parametrize("block", [24, 33, 1 << 20])
def test_entries_are_read_without_comments_whatever_the_size_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(blocklists, "_BLOCK", block)
    lines = ["# list", "", "  a.example ", "b.example # why", "0.0.0.0 c.example", "! note"]
    lines += ["127.0.0.1\td.example", "é.example", "e.example/#x", "f.example"]
    path = tmp_path / "list"
    path.write_bytes("\r\n".join(lines).encode())
    found = [entry for entries in read_entries(str(path)) for entry in entries.to_pylist()]
    assert found == [
        *("a.example", "b.example", "c.example", "d.example", "é.example", "e.example/#x"),
        "f.example",
    ]


def test_lines_that_are_no_address_are_counted_and_cost_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"good.example\n\xff\xfe.example\n..\n")
    manifest = gathered(tmp_path / "output", str(tmp_path / "list"))
    assert manifest.shards[0].details["unreadable"] == {"list": 2}
    assert manifest.measure("entries") == 1


def bad_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b"a.example\n" * 1000)[:-9])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("empty", lambda path: path.write_text("# nothing\n"), "no entry"),
        ("binary", lambda path: path.write_bytes(b"\0\1\2"), "cannot be read"),
        ("cut.gz", bad_gzip, "cannot be read"),
        ("plain.gz", lambda path: path.write_text("a.example\n"), "cannot be read"),
        ("none", lambda path: None, "no such list"),
        ("folder", lambda path: path.mkdir(), "no such list"),
    ],
)
def test_list_that_says_nothing_is_an_input_error(
    tmp_path: Path, name: str, write: object, message: str
) -> None:
    write(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        gathered(tmp_path / "output", str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value.where)


def test_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocklists, "_BLOCK", 100)
    (tmp_path / "list").write_text("a" * 500)
    with pytest.raises(InputError, match="cannot be read"):
        list(read_entries(str(tmp_path / "list")))
