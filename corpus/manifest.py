"""What a stage made, from what, with which settings, and where every row went.

A stage's folder is named `<stage>-<fingerprint>`; in it lie the output files of its shards and,
when it is complete, `manifest.json`. Nothing in a manifest depends on the clock or on the machine,
so equal builds have equal manifests. A manifest has the digest of its own content beside it, which
is compared whenever it is read: what all else is checked against must not change unseen.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from corpus import storage
from corpus.errors import AccountingError, IntegrityError

MANIFEST = "manifest.json"
LAYOUT = 1  # of the folders and files; part of every fingerprint
DIGEST = "digest"
_FIELDS = frozenset(
    {"layout", "stage", "fingerprint", "settings", "versions", "counts", "summary", "shards"}
)


@dataclass(frozen=True, slots=True)
class Output:
    """One file that a shard made.

    Attributes:
        role: What it is for: "documents", "dropped", "verdict", "tokens", "archive", ...
        path: Relative to the stage's folder; absolute, or a URL, for an input used where it lies.
        bytes: Size.
        sha256: Digest, in hexadecimal.
        rows: Rows, documents or tokens, whichever the role counts; 0 for opaque files.
    """

    role: str
    path: str
    bytes: int
    sha256: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the rows of a shard went. `into` is always `kept` plus the sum of `dropped`."""

    into: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Raise `AccountingError` when rows have vanished or come out of nothing."""
        if self.into != self.kept + sum(self.dropped.values()):
            raise AccountingError(
                f"{self.into} rows went in, {self.kept} were kept and "
                f"{sum(self.dropped.values())} dropped",
                where=where,
                fix="This is a defect of the program; please report it with the stage's folder",
            )


def add_counts(counts: Iterable[Counts]) -> Counts:
    """Return the sum of counts."""
    into = kept = 0
    dropped: dict[str, int] = {}
    for one in counts:
        into += one.into
        kept += one.kept
        for reason, number in one.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + number
    return Counts(into, kept, dict(sorted(dropped.items())))


@dataclass(frozen=True, slots=True)
class Shard:
    """What one task made.

    Attributes:
        name: Name of the shard in its source, such as "part-00003".
        source: Name of the source in the recipe.
        key: Digest of all that the outputs depend on: settings, inputs' digests, versions.
        outputs: The files.
        counts: Where the rows went.
        measures: Other whole numbers that are worth a line: bytes of text, tokens, ...
        details: Whatever else later stages need to know, as plain JSON.
    """

    name: str
    source: str
    key: str
    outputs: tuple[Output, ...]
    counts: Counts = field(default_factory=Counts)
    measures: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def output(self, role: str) -> Output:
        """Return the one output of a role."""
        return next(output for output in self.outputs if output.role == role)

    def all(self, role: str) -> list[Output]:
        """Return all outputs of a role."""
        return [output for output in self.outputs if output.role == role]


def shard_from_json(value: Mapping[str, Any]) -> Shard:
    """Return the shard that `dataclasses.asdict` made plain."""
    return Shard(
        name=value["name"],
        source=value["source"],
        key=value["key"],
        outputs=tuple(Output(**output) for output in value["outputs"]),
        counts=Counts(**value["counts"]),
        measures=value["measures"],
        details=value["details"],
    )


@dataclass(frozen=True)
class Manifest:
    """A complete stage.

    Attributes:
        folder: Where it lies; not part of the file.
        stage: Name of the stage.
        fingerprint: Of settings and inputs.
        settings: The settings that the outputs depend on.
        versions: Of the program and the libraries that shape the output.
        shards: In the order of the sources and their parts.
        summary: Facts about the stage as a whole, as plain JSON.
        digest: Of the content of the file that it was read from. Empty for one that was not read,
            or was written before manifests had digests of their own.
    """

    folder: str
    stage: str
    fingerprint: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    shards: tuple[Shard, ...]
    summary: Mapping[str, Any] = field(default_factory=dict)
    digest: str = field(default="", compare=False)

    def path(self, output: Output) -> str:
        """Return the full path of one of the outputs."""
        if output.path.startswith("/") or storage.is_remote(output.path):
            return output.path
        return storage.join(self.folder, output.path)

    def sources(self) -> list[str]:
        """Return the sources in order."""
        return list(dict.fromkeys(shard.source for shard in self.shards))

    def of(self, source: str) -> list[Shard]:
        """Return the shards of a source in order."""
        return [shard for shard in self.shards if shard.source == source]

    def counts(self, source: str | None = None) -> Counts:
        """Return where the rows went, of one source or of all."""
        return add_counts(s.counts for s in self.shards if source in (None, s.source))

    def measure(self, name: str, source: str | None = None) -> int:
        """Return the sum of a measure, of one source or of all."""
        return sum(s.measures.get(name, 0) for s in self.shards if source in (None, s.source))

    def write(self) -> None:
        """Check the accounts and write `manifest.json`: from then on the stage is complete.

        Raises:
            AccountingError: In a shard, what went in is not what came out.
        """
        for shard in self.shards:
            shard.counts.check(f"{self.folder}/{shard.source}/{shard.name}")
        value = {
            "layout": LAYOUT,
            "stage": self.stage,
            "fingerprint": self.fingerprint,
            "settings": self.settings,
            "versions": self.versions,
            "counts": {
                source: dataclasses.asdict(self.counts(source)) for source in self.sources()
            },
            "summary": self.summary,
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
        }
        storage.write_json(storage.join(self.folder, MANIFEST), with_digest(value))


def read_manifest(folder: str) -> Manifest:
    """Return the manifest of a complete stage.

    Raises:
        InputError: There is none.
        IntegrityError: It is there, and is not a manifest of this layout, or has been changed.
    """
    path = storage.join(folder, MANIFEST)
    value = storage.read_json(path)
    fix = "Put it back from a copy, or delete the folder that it lies in and run the build again"
    try:
        if value["layout"] != LAYOUT:
            raise IntegrityError(
                f"the manifest has layout {value['layout']}, this program reads {LAYOUT}",
                where=path,
                fix="Build again, or use the program that built it",
            )
        manifest = Manifest(
            folder=folder,
            stage=value["stage"],
            fingerprint=value["fingerprint"],
            settings=value["settings"],
            versions=value["versions"],
            shards=tuple(shard_from_json(shard) for shard in value["shards"]),
            summary=value["summary"],
            digest=value.get(DIGEST, ""),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise IntegrityError(
            "the manifest is damaged",
            where=path,
            why=f"{type(error).__name__}: {error}",
            fix=fix,
        ) from error
    check_digest(value, before=_FIELDS, what="the manifest", where=path, fix=fix)
    return manifest


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a file of JSON with the digest of its own content.

    Args:
        content: Plain values; a digest among them is replaced.
    """
    # As a reader sees it: keys that are numbers become text, and are in another order then.
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return {**plain, DIGEST: _content_digest(plain)}


def check_digest(
    content: Mapping[str, Any], *, before: AbstractSet[str], what: str, where: str, fix: str
) -> None:
    """Compare the content of a file of JSON with the digest of its own that stands in it.

    A build is worth days, so one from before there were digests is taken as it is. It has no key
    but those of then: a damaged name of the digest does not make a file one of those.

    Args:
        content: What was read.
        before: The keys of a file that was written before there were digests.
        what: What the file is, for the error.
        where: Its path.
        fix: What to do about one that was changed.

    Raises:
        IntegrityError: The content is not the one that was written.
    """
    if content.keys() == before:
        return
    made = _content_digest(content)
    if content.get(DIGEST) != made:
        raise IntegrityError(
            f"{what} has been changed since it was written",
            where=where,
            why=f"The digest of its content is {made}, and it says {content.get(DIGEST)}",
            fix=fix,
        )


def _content_digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all values but the digest, whatever the file's spaces and order."""
    rest = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def fingerprint(*parts: Any) -> str:
    """Return a digest of plain values, as 32 hexadecimal digits, the same on every machine."""
    text = json.dumps([LAYOUT, *parts], sort_keys=True, ensure_ascii=True, default=_plain)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no plain form of {type(value).__name__}")
