"""A tokenizer of single bytes, for the tests of the evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.text.tokenizer import Tokenizer
from tests.trainer.evaluation.rigged import bytes_tokenizer


@pytest.fixture
def encoder(tmp_path: Path) -> Tokenizer:
    return bytes_tokenizer(tmp_path)
