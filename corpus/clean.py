"""Cleaning an output folder: stage folders that the current build does not use.

In: a build. Out: a list of its folders with their sizes and what they are; and, when asked to,
fewer of them. Only folders that are named like a stage's are ever looked at.
"""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus import storage
from corpus.build import BUILD, STAGES, Build, read_build
from corpus.errors import CorpusError
from corpus.manifest import MANIFEST, read_manifest
from corpus.tables import Block, Table, size

# Stages between the recipe's, and the stage whose manifest names their folders as used.
BETWEEN = {
    "paths": "crawl",
    "index": "crawl",
    "submissions": "crawl",
    "chosen": "crawl",
    "scores": "extract",
    "links": "extract",
    "sample": "filter",
    "classifier": "filter",
    "score": "filter",
    "signatures": "dedup",
    "urls": "dedup",
    "benchmarks": "decontaminate",
    "grams": "decontaminate",
    "collisions": "decontaminate",
    "overlap": "decontaminate",
    "evaluation": "decontaminate",
}
_FOLDER = re.compile(rf"^({'|'.join((*STAGES, *BETWEEN))})-[0-9a-f]{{12}}$")
USED, UNUSED = "used", "unused"
UNFINISHED, UNREACHED, UNKNOWN = "unfinished", "not reached", "not known"


@dataclass(frozen=True)
class Folder:
    """One folder of a stage.

    Attributes:
        name: Its name in the output folder.
        state: "used" by the current build; "unfinished": an interrupted build goes on from it; "not
            reached": of a stage that the current build has not come to yet; "not known": whether
            the build uses it is not recorded; "unused".
        bytes: Bytes that its removal frees, but for files that other folders share.
        files: Number of files.
    """

    name: str
    state: str
    bytes: int
    files: int


def folders(build: Build) -> list[Folder]:
    """Return the folders of stages in a build's output folder, in order of their names."""
    used, told = _used(build)
    recipe = storage.read_json(storage.join(build.output, BUILD))["recipe"]
    unreached = {s for s in STAGES if recipe.get(s) is not None and s not in build.manifests}
    found: list[Folder] = []
    for name in storage.list_folder(build.output):
        match = _FOLDER.match(name)
        if match is None:
            continue
        folder = storage.join(build.output, name)
        pattern = folder if storage.is_remote(folder) else glob.escape(folder)
        files = storage.find(storage.join(pattern, "**"))
        if name in used:
            state = USED
        elif not storage.exists(storage.join(folder, MANIFEST)):
            state = UNFINISHED
        elif BETWEEN.get(match[1], match[1]) in unreached:
            state = UNREACHED
        elif match[1] in BETWEEN and BETWEEN[match[1]] in build.manifests.keys() - told:
            state = UNKNOWN
        else:
            state = UNUSED
        found.append(Folder(name, state, sum(map(_own_bytes, files)), len(files)))
    return found


def _used(build: Build) -> tuple[set[str], set[str]]:
    """Return the folders that a build uses, and the stages that say which they used."""
    used: set[str] = set()
    told: set[str] = set()
    left = [manifest.folder for manifest in build.manifests.values()]
    left += _evaluations(build)
    while left:
        folder = left.pop()
        used.add(storage.name(folder))
        try:
            manifest = read_manifest(folder)
        except CorpusError:
            if folder in {m.folder for m in build.manifests.values()}:
                raise
            continue  # removed, or damaged: what it used in its turn is not known, nor needed
        if "uses" in manifest.summary:
            told.add(manifest.stage)
            names = set(manifest.summary["uses"]) - used
            left += [storage.join(build.output, name) for name in sorted(names)]
    return used, told


def _evaluations(build: Build) -> list[str]:
    """Return the folders of what was asked of the current build's decontaminate stage."""
    stage = build.manifests.get("decontaminate")
    folders: list[str] = []
    for name in storage.list_folder(build.output) if stage else ():
        folder = storage.join(build.output, name)
        if name.startswith("evaluation-") and storage.exists(storage.join(folder, MANIFEST)):
            with contextlib.suppress(CorpusError):
                of = read_manifest(folder).settings.get("decontaminate")
                if stage and of == storage.name(stage.folder):
                    folders.append(folder)
    return folders


def _own_bytes(path: str) -> int:
    """Return the bytes that a file's removal frees: none while it has another name."""
    if storage.is_remote(path):
        return storage.size(path)
    status = Path(path.removeprefix("file://")).stat()
    return status.st_size if status.st_nlink == 1 else 0


def removable(found: Sequence[Folder], *, unfinished: bool) -> list[Folder]:
    """Return the folders that may go.

    Args:
        found: What `folders` returned.
        unfinished: Those of interrupted builds too.
    """
    states = (UNUSED, UNFINISHED) if unfinished else (UNUSED,)
    return [folder for folder in found if folder.state in states]


def remove(build: Build, chosen: Sequence[Folder], *, unfinished: bool) -> list[Folder]:
    """Remove folders, and return those that were removed.

    What may go is looked up again while the output folder is held, so that nothing goes that a
    build has come to use in the meantime.

    Raises:
        OutputError: A build is at work in the output folder.
    """
    with storage.lock(build.output):
        now = folders(read_build(build.output))
        may_go = {folder.name for folder in removable(now, unfinished=unfinished)}
        gone = [folder for folder in chosen if folder.name in may_go]
        for folder in gone:
            path = storage.join(build.output, folder.name)
            # Without its manifest it is unfinished, whatever happens half-way through.
            storage.remove(storage.join(path, MANIFEST))
            storage.remove(path)
    return gone


def describe(found: Sequence[Folder]) -> Iterator[Block]:
    """Yield what a person reads: the folders, and what could be freed."""
    rows = [(f.name, f.state, f"{f.files:,}", size(f.bytes)) for f in found]
    yield Table(("folder", "state", "files", "frees"), rows)
    unused = [folder for folder in found if folder.state == UNUSED]
    yield f"{len(unused):,} unused folders, {size(sum(folder.bytes for folder in unused))}"
    if any(folder.state == UNFINISHED for folder in found):
        yield "Unfinished folders stay, so that their build can go on; --unfinished removes them."
    if any(folder.state == UNREACHED for folder in found):
        yield "Folders of stages that are not reached stay until corpus build has finished."
    if any(folder.state == UNKNOWN for folder in found):
        yield "Folders of which it is not known whether the build uses them stay."
