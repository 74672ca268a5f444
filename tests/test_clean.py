"""Cleaning: what the build uses stays, whatever else is in the folder stays, the rest may go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus import clean, storage
from corpus.build import Build, read_build
from corpus.errors import OutputError
from corpus.manifest import Manifest, with_digest

USED = {
    "crawl-000000000000": None,
    "extract-000000000000": [],
    "classifier-000000000000": None,
    "score-000000000000": None,
    "filter-000000000000": ["classifier-000000000000", "score-000000000000"],
    "dedup-000000000000": ["signatures-000000000000"],
    "signatures-000000000000": None,
}
STAGES = ("crawl", "extract", "filter", "dedup")


def stage(output: Path, name: str, uses: list[str] | None = None) -> Manifest:
    """Make a finished folder of a stage with a file of 1000 bytes."""
    summary = {} if uses is None else {"uses": uses}
    kind, fingerprint = name.split("-")
    manifest = Manifest(str(output / name), kind, fingerprint, {}, {}, (), summary)
    manifest.write()
    (output / name / "pages").mkdir()
    (output / name / "pages" / "part").write_bytes(bytes(1000))
    return manifest


def write_build(output: Path, recipe: tuple[str, ...], built: tuple[str, ...]) -> None:
    value = {
        "name": "made",
        "recipe": {name: {} for name in recipe},
        "stages": {name: f"{name}-000000000000" for name in built},
    }
    (output / "build.json").write_text(json.dumps(value))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    for name, uses in USED.items():
        stage(tmp_path, name, uses)
    write_build(tmp_path, STAGES, STAGES)
    return tmp_path


def states(output: Path) -> dict[str, str]:
    return {folder.name: folder.state for folder in clean.folders(read_build(str(output)))}


def remove(output: Path, *, unfinished: bool = False) -> list[str]:
    build = read_build(str(output))
    chosen = clean.removable(clean.folders(build), unfinished=unfinished)
    return [folder.name for folder in clean.remove(build, chosen, unfinished=unfinished)]


def test_clean_keeps_all_that_the_build_uses_by_any_way(output: Path) -> None:
    assert states(output) == dict.fromkeys(sorted(USED), "used")
    assert remove(output) == []


def test_clean_removes_earlier_folders_and_leaves_what_is_no_stage(output: Path) -> None:
    old = ["filter-111111111111", "score-111111111111", "signatures-111111111111"]
    for name in old:
        stage(output, name)
    others = ["report", "score-notes", "filter-11111111111", "filter-111111111111.bak"]
    for name in others:
        (output / name).mkdir()
    (output / "tokenize-notes.txt").write_text("mine")
    assert {name for name, state in states(output).items() if state == "unused"} == set(old)
    assert sorted(remove(output)) == sorted(old)
    left = {path.name for path in output.iterdir()}
    assert left == {*USED, *others, "tokenize-notes.txt", "build.json", "build.lock"}


def test_clean_keeps_unfinished_folders_unless_told_to(output: Path) -> None:
    stage(output, "filter-111111111111")
    (output / "filter-111111111111" / "manifest.json").unlink()
    assert states(output)["filter-111111111111"] == "unfinished"
    assert remove(output) == []
    assert remove(output, unfinished=True) == ["filter-111111111111"]


def test_clean_keeps_stages_that_the_build_has_not_come_to(output: Path) -> None:
    """After `corpus extract` on a finished build the later folders are there to be taken up."""
    write_build(output, STAGES, ("crawl", "extract"))
    found = states(output)
    assert {name for name, state in found.items() if state == "not reached"} == {
        name for name in USED if not name.startswith(("crawl", "extract"))
    }
    assert remove(output) == []


def test_clean_removes_stages_that_the_recipe_leaves_out(output: Path) -> None:
    write_build(output, ("crawl", "extract", "dedup"), ("crawl", "extract", "dedup"))
    expected = {"classifier-000000000000", "score-000000000000", "filter-000000000000"}
    assert set(remove(output)) == expected


def test_clean_keeps_folders_between_when_their_use_is_not_recorded(output: Path) -> None:
    path = output / "dedup-000000000000" / "manifest.json"
    value = json.loads(path.read_text())
    value["summary"] = {}
    path.write_text(json.dumps(with_digest(value)))
    stage(output, "signatures-111111111111")
    stage(output, "dedup-111111111111")
    found = states(output)
    assert found["signatures-000000000000"] == found["signatures-111111111111"] == "not known"
    assert remove(output) == ["dedup-111111111111"]


def test_clean_goes_on_when_a_used_folder_between_is_gone(output: Path) -> None:
    storage.remove(str(output / "signatures-000000000000"))
    stage(output, "signatures-111111111111")
    assert remove(output) == ["signatures-111111111111"]


def test_clean_counts_the_bytes_that_go_and_not_those_that_are_shared(output: Path) -> None:
    stage(output, "dedup-111111111111")
    shared = output / "dedup-111111111111" / "pages" / "shared"
    shared.hardlink_to(output / "dedup-000000000000" / "pages" / "part")
    folders = {f.name: f for f in clean.folders(read_build(str(output)))}
    old = folders["dedup-111111111111"]
    manifest = (output / old.name / "manifest.json").stat().st_size
    assert (old.bytes, old.files) == (1000 + manifest, 3)
    assert remove(output) == ["dedup-111111111111"]
    assert (output / "dedup-000000000000" / "pages" / "part").read_bytes() == bytes(1000)


def test_clean_removes_nothing_while_a_build_is_at_work(output: Path) -> None:
    stage(output, "dedup-111111111111")
    with (
        storage.lock(str(output)),
        pytest.raises(OutputError, match="another run is at work"),
    ):
        remove(output)
    assert (output / "dedup-111111111111" / "manifest.json").exists()


def test_clean_keeps_what_a_build_has_taken_up_since_it_was_listed(output: Path) -> None:
    stage(output, "dedup-111111111111", ["signatures-000000000000"])
    build = read_build(str(output))
    chosen = clean.removable(clean.folders(build), unfinished=False)
    assert [folder.name for folder in chosen] == ["dedup-111111111111"]
    value = json.loads((output / "build.json").read_text())
    value["stages"]["dedup"] = "dedup-111111111111"
    (output / "build.json").write_text(json.dumps(value))
    assert clean.remove(build, chosen, unfinished=False) == []
    assert (output / "dedup-111111111111").exists()


def test_clean_of_a_real_build_leaves_it_whole(copied_build: Path) -> None:
    before = read_build(str(copied_build))
    stage(copied_build, "dedup-111111111111")
    assert remove(copied_build) == ["dedup-111111111111"]
    after = read_build(str(copied_build))
    assert Build(str(copied_build), after.manifests) == before


def test_clean_in_a_folder_with_brackets_in_its_name_counts_its_files(tmp_path: Path) -> None:
    output = tmp_path / "a[1]*"
    output.mkdir()
    for name in ("crawl-000000000000", "extract-000000000000"):
        stage(output, name)
    write_build(output, ("crawl", "extract"), ("crawl", "extract"))
    assert {folder.files for folder in clean.folders(read_build(str(output)))} == {2}
