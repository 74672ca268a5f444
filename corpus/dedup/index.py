"""An index: an earlier build, whose kept documents are there for later ones to be dropped for.

In: the manifests of an earlier build. Out: its signatures, and its parts with the verdicts of its
dedup. Nothing is written for it and nothing of it is signed again: the signatures lie beside every
build's verdicts, sorted by the first bits of their keys, and texts are read where a new document
shares a band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus import storage
from corpus.errors import IntegrityError, RecipeError
from corpus.manifest import Manifest, read_manifest
from corpus.parts import Part, parts


@dataclass(frozen=True)
class Index:
    """An earlier build, as dedup sees it.

    Attributes:
        folder: Its output folder.
        name: Of the folder of its stage dedup; it stands for the index in verdicts.
        fingerprint: Of that stage: of all its documents and verdicts.
        parts: Its parts with the verdicts of dedup, in the order of the signatures.
        signatures: The manifest of its signatures.
        urls: That of its addresses, if it was built with `dedup.urls`.
    """

    folder: str
    name: str
    fingerprint: str
    parts: tuple[Part, ...]
    signatures: Manifest
    urls: Manifest | None


def open_index(folder: str, extract: Manifest, dedup: Manifest) -> Index:
    """Return a build as an index.

    Args:
        folder: The build's output folder.
        extract: Its documents.
        dedup: Its verdicts about duplicates.

    Raises:
        InputError: Its signatures are gone.
        IntegrityError: They are not those of its documents.
    """
    names = [name for name in dedup.summary["uses"] if name.startswith("signatures-")]
    signatures = read_manifest(storage.join(folder, names[0]))
    found = tuple(parts(extract, dedup))
    signed = [(shard.source, shard.name) for shard in signatures.shards]
    if signed != [(part.source, part.name) for part in found]:
        raise IntegrityError(
            "the signatures are not those of the build's documents",
            where=signatures.folder,
            fix="Delete this folder and run that build again",
        )
    name = storage.name(dedup.folder)
    hashed = [name for name in dedup.summary["uses"] if name.startswith("urls-")]
    urls = read_manifest(storage.join(folder, hashed[0])) if hashed else None
    return Index(folder, name, dedup.fingerprint, found, signatures, urls)


def check_alike(indexes: Sequence[Index], settings: Mapping[str, Any]) -> None:
    """Refuse an index whose signatures cannot be compared with those of this build.

    Args:
        indexes: The indexes.
        settings: What this build's signatures depend on.

    Raises:
        RecipeError: Something of it differs in an index; everything that does is named.
    """
    for index in indexes:
        theirs = index.signatures.settings
        differing = [
            f"{key} is {_told(theirs.get(key))} there and {_told(settings[key])} here"
            for key in settings
            if _told(theirs.get(key)) != _told(settings[key])
        ]
        if differing:
            raise RecipeError(
                f"the index has other signatures: {'; '.join(differing)}",
                where=f"dedup.index: {index.folder}",
                why="Signatures are compared value by value, so they have to be made alike",
                fix="Set the same seed, words, shingle, bands and rows here, or build the index "
                "again with these and with this program",
            )


def index_urls(indexes: Sequence[Index]) -> list[Manifest]:
    """Return the addresses of indexes.

    Raises:
        RecipeError: One has none.
    """
    found = []
    for index in indexes:
        if index.urls is None:
            raise RecipeError(
                "the index has no addresses to compare with",
                where=f"dedup.index: {index.folder}",
                fix="Build it again with dedup.urls: true, or leave dedup.urls out here",
            )
        found.append(index.urls)
    return found


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
