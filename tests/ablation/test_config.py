"""The recipe of an ablation: what it takes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from corpus.ablation.config import load_ablate_config
from corpus.errors import RecipeError


def written(folder: Path, **changes: Any) -> str:
    recipe = {
        "output": "out",
        "builds": {"raw": "data/raw", "clean": "data/clean"},
        "train": "train.yaml",
        "evaluate": "evaluate.yaml",
        **changes,
    }
    path = folder / "ablate.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return str(path)


def test_first_build_is_the_baseline_unless_another_is_named(tmp_path: Path) -> None:
    assert load_ablate_config(written(tmp_path)).base == "raw"
    assert load_ablate_config(written(tmp_path, baseline="clean")).base == "clean"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"builds": {"raw": "data/raw"}}, "two or more"),
        ({"baseline": "rwa"}, "no build is named rwa; there are: raw, clean"),
        ({"seeds": [1]}, "two or more, and none twice"),
        ({"seeds": [1, 1]}, "two or more, and none twice"),
        ({"builds": {"a/b": "x", "c": "y"}}, "builds"),
        ({"trian": "x"}, "train"),
    ],
)
def test_recipe_that_compares_nothing_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_ablate_config(written(tmp_path, **changes))
