"""What a probe takes of a crawl on a server: the beginning of some files, and how large all are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.document import Page
from corpus.planning.probe import probe, read_probe
from corpus.planning.sample import UNITS, quarter
from corpus.progress import Silent
from corpus.sources import warc
from corpus.storage import read_json
from tests.made import ENGINE, make_recipe
from tests.made_crawl import SNAPSHOT, crawl
from tests.server import Server

ARCHIVES, PAGES, SAMPLE = 6, 240, 200_000


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return crawl(archives=ARCHIVES, pages=PAGES)[0]


@pytest.fixture
def server(files: dict[str, bytes]) -> Iterator[Server]:
    with Server(files) as server:
        yield server


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_probe_of_a_snapshot_fetches_little_more_than_its_sample(
    server: Server, files: dict[str, bytes], tmp_path: Path, own_temporary_folder: Path
) -> None:
    archives = {name: data for name, data in files.items() if name.endswith(".warc.gz")}
    whole = sum(map(len, archives.values()))
    assert whole > 2 * SAMPLE
    recipe = make_recipe(
        {"cc": {"commoncrawl": {"snapshots": [SNAPSHOT], "base_url": server.url}}},
        extract={"extractor": "none"},
        crawl={"requests_per_second": 1000, "backoff": 0.01},
        plan={"sample_bytes": SAMPLE},
    )
    made = probe(recipe, str(tmp_path / "out"), ENGINE, Silent())
    own = made.sources["cc"]
    assert (own.files, own.bytes) == (ARCHIVES, whole)
    assert own.form == "warc"
    assert 6 <= len(own.units) <= UNITS
    assert own.share == pytest.approx(SAMPLE / whole, rel=0.4)
    # Every page of the crawl is an ordinary one, so documents are in proportion.
    rows = sum(unit.into["extract"] for unit in own.units)
    assert rows / (ARCHIVES * PAGES) == pytest.approx(own.share, rel=0.1)
    sent = sum(request.sent for request in server.log if request.path.endswith(".warc.gz"))
    assert sent < 2.5 * SAMPLE
    assert made.rate is not None
    assert not list(own_temporary_folder.iterdir())
    assert read_probe(recipe, str(tmp_path / "out")) is not None
    assert read_json(str(tmp_path / "out" / "probe.json"))["sources"]["cc"]["files"] == ARCHIVES


def test_pieces_of_archives_hold_each_page_once(files: dict[str, bytes], tmp_path: Path) -> None:
    from corpus.planning.cut import cut

    name, data = next((n, d) for n, d in files.items() if n.endswith(".warc.gz"))
    path = tmp_path / Path(name).name
    path.write_bytes(data)
    pieces = cut(str(path), [len(data) // 5] * 4, tmp_path / "cut", seed=1)
    urls = [
        row.url
        for piece in pieces
        for row in warc.read(piece.path, name="x", max_page_bytes=10**6)
        if isinstance(row, Page)
    ]
    assert len(urls) == len(set(urls))
    assert len(urls) > PAGES // 2
    assert len(quarter(pieces)) == 1
