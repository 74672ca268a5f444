"""tokenize with the fast encoder: the same bytes, and the reference where it differs."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corpus.build import Build, describe
from corpus.errors import InputError
from corpus.stages import tokenize as stage
from corpus.text import fast_tokenizer
from tests.made import digests, make_recipe, run, text, write_jsonl
from tests.text.test_fast_tokenizer import Encoder


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Encoder]]:
    module = types.ModuleType("gigatoken")
    module.Tokenizer = Encoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gigatoken", module)
    monkeypatch.setattr(fast_tokenizer, "installed", lambda: True)
    monkeypatch.setattr(Encoder, "wrong", staticmethod(lambda text: False))
    monkeypatch.setattr(Encoder, "made", 0)
    fast_tokenizer._shared.cache_clear()  # of a test before
    yield Encoder
    fast_tokenizer._shared.cache_clear()


def build(folder: Path, encoder: str) -> Build:
    rows = [{"id": str(number), "text": text(number)} for number in range(40)]
    path = str(write_jsonl(folder.parent / "x.jsonl", rows))
    given: dict[str, Any] = {"encoder": encoder}
    mix = {"sequence_length": 16, "validation": 0.2, "max_epochs": 100}
    sources = {"x": {"documents": path, "weight": 1}}
    return run(make_recipe(sources, tokenize=given, mix=mix, tokens=2000), folder)


def test_both_encoders_give_the_same_bytes_and_manifests(
    pretended: type[Encoder], tmp_path: Path
) -> None:
    slow = build(tmp_path / "slow", "tiktoken")
    assert pretended.made == 0
    fast = build(tmp_path / "fast", "auto")
    assert pretended.made > 0
    ignored = ("build.lock", "build.json")
    assert digests(Path(fast.output), ignored=ignored) == digests(
        Path(slow.output), ignored=ignored
    )


def test_a_part_in_which_they_differ_is_done_by_the_reference_and_says_so(
    pretended: type[Encoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = build(tmp_path / "slow", "tiktoken").stage("tokenize")
    monkeypatch.setattr(pretended, "wrong", staticmethod(lambda text: True))
    fast = build(tmp_path / "fast", "gigatoken").stage("tokenize")
    assert [s.outputs for s in fast.shards] == [s.outputs for s in slow.shards]
    assert fast.measure("encoder_mismatches") == 1
    assert "gigatoken differed in 1 parts, which tiktoken encoded" in describe(fast)
    assert "gigatoken" not in describe(slow)


def test_the_fast_encoder_that_is_not_installed_is_refused_by_name_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_tokenizer, "installed", lambda: False)
    with pytest.raises(InputError, match=r"gigatoken is not installed.*corpusmill\[fast\]"):
        stage._choose("gigatoken")
    fast, told = stage._choose("auto")
    assert not fast
    assert "not installed" in told
    assert stage._choose("tiktoken") == (False, "tiktoken")
