"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the optional folder of real pages, or skip the test when it is not there."""
    folder = Path(os.environ.get("CORPUS_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no folder of real pages at {folder} (set CORPUS_TEST_DATA)")
    return folder
