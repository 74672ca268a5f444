import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.text import kernel_cache

OUTER = """
from corpus.text.constants import (
    ADDED,
)
from corpus.text.inner import number
from corpus.text.kernel_cache import njit

@njit(cache=True)
def outer():
    return number() + ADDED
"""
INNER = """
from corpus.text.kernel_cache import njit

@njit()
def number():
    return {}
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the same name with a kernel, which calls one of another module."""
    folder = tmp_path / "corpus" / "text"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    shutil.copy(kernel_cache.__file__, folder)
    (folder / "outer.py").write_text(OUTER)
    (folder / "inner.py").write_text(INNER.format(1))
    (folder / "constants.py").write_text("ADDED = 10\n")
    return folder


def computed(folder: Path, **environment: str) -> int:
    code = "from corpus.text.outer import outer; print(outer())"
    run = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=folder.parents[1],
        env={**os.environ, "PYTHONPATH": str(folder.parents[1]), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(run.stdout)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nbc"))


def test_kernel_called_function_changes_is_compiled_again(package: Path) -> None:
    assert computed(package) == 11
    (package / "inner.py").write_text(INNER.format(2))
    assert computed(package) == 12


def test_kernel_imported_constant_changes_is_compiled_again(package: Path) -> None:
    assert computed(package) == 11
    (package / "constants.py").write_text("ADDED = 20\n")
    assert computed(package) == 21


def test_kernel_nothing_changes_is_taken_from_the_disk(package: Path) -> None:
    computed(package)
    (first,) = kept(package / "__pycache__")
    written = first.stat().st_mtime_ns
    (package / "unrelated.py").write_text("ADDED = 20\n")
    assert computed(package) == 11
    assert kept(package) == [first]
    assert first.stat().st_mtime_ns == written


def test_kernel_versions_in_turns_each_keeps_its_own(package: Path) -> None:
    for number in (1, 2, 1, 2):
        (package / "inner.py").write_text(INNER.format(number))
        assert computed(package) == 10 + number
    assert len(kept(package)) == 2


def test_kernel_module_folder_read_only_is_kept_for_the_user(package: Path) -> None:
    (package / "__pycache__").touch()  # no folder can be made
    users = package.parents[1] / "users"
    assert computed(package, XDG_CACHE_HOME=str(users)) == 11
    assert len(kept(users)) == 1
    (package / "inner.py").write_text(INNER.format(2))
    assert computed(package, XDG_CACHE_HOME=str(users)) == 12


def test_kernel_nowhere_to_write_is_compiled_all_the_same(package: Path) -> None:
    assert computed(package, NUMBA_CACHE_DIR="/dev/null/kernels") == 11
    assert kept(package) == []


def test_kernel_folder_named_by_user_is_used(package: Path, tmp_path: Path) -> None:
    assert computed(package, NUMBA_CACHE_DIR=str(tmp_path / "named")) == 11
    assert len(kept(tmp_path / "named")) == 1


def test_kernels_that_are_kept_are_kept_by_their_sources() -> None:
    sources = Path(kernel_cache.__file__).parents[1].rglob("*.py")
    texts = {path.name: path.read_text() for path in sources}
    wrong = [
        name
        for name, text in texts.items()
        if "cache=True" in text and re.search(r"\bnjit\b", text) and name != "kernel_cache.py"
        if "from corpus.text.kernel_cache import njit" not in text or "numba.njit" in text
    ]
    assert wrong == []
