"""The bytes of a build by what they grow with: rows, tokens, files, or nothing.

In: a build's manifests and its units. Out: a `Disk`.
"""

from __future__ import annotations

from collections import Counter

from corpus import storage
from corpus.build import Build
from corpus.errors import CorpusError
from corpus.manifest import MANIFEST, Manifest, read_manifest
from corpus.planning.units import Units

_FOOTERS = 8  # files of a role whose footers are looked at


class Disk:
    """The bytes of a build: those that grow with rows or tokens, with files, and those that do not.

    Attributes:
        rows: Of files that grow with the rows, by source and unit.
        tokens: Of token shards.
        samples: Of the sample that a classifier is trained on.
        fixed: Of files that are of no source.
        own: What files of a part have whatever is in them: footers, and entries in manifests.
    """

    def __init__(self, build: Build, units: Units) -> None:
        self.rows: Counter[tuple[str, int]] = Counter()
        self.tokens: Counter[tuple[str, int]] = Counter()
        self.samples: Counter[tuple[str, int]] = Counter()
        self.fixed = self.own = 0.0
        left = [manifest.folder for manifest in build.manifests.values()]
        seen: set[str] = set()
        while left:
            folder = left.pop()
            if folder in seen:
                continue
            seen.add(folder)
            try:
                manifest = read_manifest(folder)
            except CorpusError:
                continue  # a step that has been removed since
            left += [storage.join(build.output, n) for n in manifest.summary.get("uses", ())]
            entry = storage.size(storage.join(folder, MANIFEST)) / max(1, len(manifest.shards))
            self.own += entry
            if manifest.stage != "crawl":  # what is fetched has the size of the input
                self._add(manifest, units)

    def _add(self, manifest: Manifest, units: Units) -> None:
        grown = {"tokenize": self.tokens, "sample": self.samples}.get(manifest.stage, self.rows)
        footers: dict[str, list[int]] = {}
        for shard in manifest.shards:
            at = units.at(shard.source, shard.name)
            if at is None:
                self.fixed += sum(output.bytes for output in shard.outputs)
                continue
            for output in shard.outputs:
                known = footers.setdefault(output.role, [])
                if len(known) < _FOOTERS:
                    known.append(_footer(manifest.path(output), output.bytes))
                grown[shard.source, at] += output.bytes - sum(known) // len(known)
        # Each part has a file of each role, but for those of validation, which few parts have.
        self.own += sum(sum(known) / len(known) for known in footers.values())


def _footer(path: str, size: int) -> int:
    """Return the bytes of the footer of a Parquet or Arrow file, and 0 of another."""
    with storage.open_input(path) as file:
        file.seek(max(0, size - 10))
        tail = file.read()
    for magic in (b"PAR1", b"ARROW1"):
        if tail.endswith(magic):
            end = tail.removesuffix(magic)
            return min(size, int.from_bytes(end[-4:], "little") + len(magic) + 4)
    return 0
