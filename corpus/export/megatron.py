"""A mixture for Megatron-LM: its token shards as they are, and the weights as a blend.

Megatron reads the shards and takes the weights on its command line. It shuffles by its own rule:
the shares are the mixture's, the order is not.

In: a mixture's sequences. Out: files in a folder.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from corpus import storage
from corpus.errors import InputError
from corpus.export.rows import SPLITS, Files
from corpus.mix.mixture import MixtureSource, ShardEntry
from corpus.mix.plan import blend
from corpus.trainer.sequences import MixtureSequences


def write(sequences: MixtureSequences, files: Files, split: str | None) -> None:
    """Write the mixture for Megatron-LM: a folder of shards per source, and the blend.

    Shards are hard links where the file system allows it, else copies. `blend.txt` holds what
    follows `--train-data-path`, and `blend.validation.txt`, where tokens are held out, what follows
    `--valid-data-path`; both name the shards under the folder as it was given.

    Raises:
        InputError: A source's name is no folder name, two of its shards have one name, or the
            output folder has white space in it.
    """
    mixture = sequences.mixture
    folder = sequences.path.rpartition("/")[0] or "."
    moved = dataclasses.replace(
        mixture, sources=tuple(_moved(source) for source in mixture.sources)
    )
    names = {"train": "blend.txt", "val": "blend.validation.txt"}
    asked = [split] if split else SPLITS
    texts = {
        names[name]: blend(moved, folder=files.folder, validation=name == "val") for name in asked
    }
    if split == "val" and not texts[names["val"]]:
        raise InputError(
            "no tokens are held out",
            where=sequences.path,
            fix="Set mix.validation above 0 and run corpus mix again",
        )
    for old, new in zip(mixture.sources, moved.sources, strict=True):
        for name in asked:
            pairs = zip(_entries(old, name), _entries(new, name), strict=True)
            for source, target in pairs:
                for suffix in (".bin", ".idx"):
                    path = storage.join(files.folder, target.prefix + suffix)
                    storage.link(storage.resolve(folder, source.prefix + suffix), path)
                    files.add(target.prefix + suffix)
    for name, text in texts.items():
        if text:
            storage.write_bytes(storage.join(files.folder, name), (text + "\n").encode())
            files.add(name)


def _entries(source: MixtureSource, split: str) -> Sequence[ShardEntry]:
    return source.shards if split == "train" else source.validation


def _moved(source: MixtureSource) -> MixtureSource:
    """Return a source whose shards lie in a folder of its name."""
    if source.name in {"", ".", ".."} or "/" in source.name or "\0" in source.name:
        raise InputError(
            f"the name {source.name!r} cannot be that of a folder",
            where="sources",
            fix="Rename the source",
        )
    names = Counter(storage.name(shard.path) for shard in (*source.shards, *source.validation))
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise InputError(
            f"two of its shards are named {twice[0]}",
            where=f"sources.{source.name}",
            fix="Give the shards of a source distinct names",
        )

    def move(shards: Sequence[ShardEntry]) -> tuple[ShardEntry, ...]:
        return tuple(
            dataclasses.replace(shard, path=f"{source.name}/{storage.name(shard.path)}")
            for shard in shards
        )

    return dataclasses.replace(
        source, shards=move(source.shards), validation=move(source.validation)
    )
