"""The stages of a build by name and in order, and which folders the current one is made of.

`build.json` in the output folder names these; earlier folders stay beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corpus import storage
from corpus.config import Recipe
from corpus.errors import InputError, IntegrityError
from corpus.manifest import DIGEST, Manifest, check_digest, read_manifest, with_digest

STAGES = ("crawl", "extract", "filter", "dedup", "decontaminate", "tokenize", "mix")
VERDICTS = ("filter", "dedup", "decontaminate")  # the stages that decide about documents
BUILD = "build.json"
_FIELDS = frozenset({"name", "stages", "recipe"})  # of build.json
_FOLDER = re.compile(r"[a-z]+-[0-9a-f]{12}")


def sections(recipe: Recipe) -> list[str]:
    """Return the stages that a recipe has, in order."""
    optional = ("filter", "dedup", "decontaminate", "tokenize", "mix")
    return [
        stage for stage in STAGES if stage not in optional or getattr(recipe, stage) is not None
    ]


def default_output(recipe: Recipe) -> str:
    """Return the output folder of a recipe when none is given."""
    return f"data/{recipe.name}"


@dataclass(frozen=True)
class Build:
    """The stages that are complete, with their manifests, in order."""

    output: str
    manifests: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Manifest]:
        """The stages that decided about documents, in order."""
        return [self.manifests[stage] for stage in VERDICTS if stage in self.manifests]

    def stage(self, name: str) -> Manifest:
        """Return one stage's manifest.

        Raises:
            InputError: That stage is not built yet.
        """
        if name not in self.manifests:
            raise InputError(
                f"the stage {name} is not built",
                where=self.output,
                fix=f"Run corpus {name} --config with the recipe first",
            )
        return self.manifests[name]


def record(recipe: Recipe, output: str, manifests: Mapping[str, Manifest]) -> None:
    """Write down which folders the current build is made of, unless that is known."""
    value: dict[str, Any] = {
        "name": recipe.name,
        "stages": {stage: storage.name(m.folder) for stage, m in manifests.items()},
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
    }
    path = storage.join(output, BUILD)
    if storage.exists(path):
        before = storage.read_json(path)
        stages = before.get("stages") if isinstance(before, dict) else None
        if isinstance(stages, dict):
            later = {s: f for s, f in stages.items() if s not in manifests}
            # A build that stops early takes nothing away from one that went on from here.
            before.pop(DIGEST, None)
            if before == {**value, "stages": {**value["stages"], **later}}:
                return
    storage.write_json(path, with_digest(value))


def read_build(output: str) -> Build:
    """Return the current build in an output folder.

    Raises:
        InputError: There is none.
        IntegrityError: It is damaged.
    """
    path = storage.join(output, BUILD)
    if not storage.exists(path):
        raise InputError(
            "there is no build here", where=output, fix="Run corpus build --config with the recipe"
        )
    value = storage.read_json(path)
    stages = value.get("stages") if isinstance(value, dict) else None
    names = stages.values() if isinstance(stages, dict) else [None]
    fix = "Delete it and run the build again, which takes up what is there"
    if not all(isinstance(name, str) and _FOLDER.fullmatch(name) for name in names):
        raise IntegrityError("this is not the list of a build's stages", where=path, fix=fix)
    check_digest(value, before=_FIELDS, what="the list of the build's stages", where=path, fix=fix)
    stages = value["stages"]  # in the order of the alphabet: it is JSON with sorted keys
    folders = {s: storage.join(output, stages[s]) for s in STAGES if s in stages}
    return Build(output, {stage: read_manifest(folder) for stage, folder in folders.items()})
