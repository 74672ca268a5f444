"""What every test of a stage has: a folder of its own for what a crawl keeps on the machine."""

from __future__ import annotations

import tempfile

import pytest


@pytest.fixture(autouse=True)
def own_temporary_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep what a crawl leaves for the next run out of the machine's folder, workers' too."""
    folder = str(tmp_path_factory.mktemp("t"))  # short: there may be sockets in it
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr(tempfile, "tempdir", folder)
