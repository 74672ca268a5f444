"""Exports of a mixture for other trainers: nanoGPT and Megatron.

nanoGPT (karpathy/nanoGPT, train.py) reads `train.bin` and `val.bin`: uint16 ids and nothing else.
Megatron-LM reads the token shards as they are, and takes the weights as a blend on its command
line. Files appear under their final names when they are whole.

In: a mixture and the folder that its paths are relative to. Out: files in a folder.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from corpus import storage
from corpus.errors import InputError
from corpus.mixture import Mixture, MixtureSource, ShardEntry
from corpus.mixture_plan import blend
from corpus.shards import Tokens, TokenStream

_ROWS = 1024  # sequences that are located and gathered at a time
_TOKENS = 1 << 20  # validation tokens that are copied at a time


def export_nanogpt(mixture: Mixture, *, folder: str, output: str, sequences: int) -> list[str]:
    """Write the mixture for nanoGPT.

    `train.bin` is the first `sequences` sequences of the mixture in its order, T tokens each, end
    to end; nanoGPT draws its own windows from them, so its batches have the mixture's shares
    but not its order. `val.bin` is the held-out shards of all sources in order.

    Args:
        mixture: The mixture; its ids are uint16, as nanoGPT's reader expects.
        folder: The folder of `mixture.json`.
        output: The folder to write to.
        sequences: Length of `train.bin` in sequences; the mixture's horizon is the whole run.

    Returns:
        The two paths.

    Raises:
        InputError: The ids are not uint16, or nothing is held out.
        IntegrityError: A shard is damaged or is not that of the mixture.
    """
    if mixture.dtype != "uint16":
        raise InputError(
            f"nanoGPT reads uint16 ids, and these are {mixture.dtype}",
            where=output,
            why=f"The vocabulary {mixture.vocabulary.name} has {mixture.vocabulary.size:,} ids",
            fix="Export for Megatron, or tokenize with a vocabulary below 65,500 ids",
        )
    held_out = [_stream(source.validation, folder) for source in mixture.sources]
    if not any(len(stream) for stream in held_out):
        raise InputError(
            "no tokens are held out, and nanoGPT does not start without val.bin",
            where=output,
            fix="Set mix.validation above 0 and run corpus mix again",
        )
    paths = [storage.join(output, name) for name in ("train.bin", "val.bin")]
    contents = (_training(mixture, folder, sequences), _whole(held_out))
    for path, blocks in zip(paths, contents, strict=True):
        with storage.publish(path) as temporary, temporary.open("wb") as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype="<u2").data)
    return paths


def _stream(shards: Sequence[ShardEntry], folder: str) -> TokenStream:
    prefixes = [storage.join(folder, shard.prefix) for shard in shards]
    return TokenStream.open(prefixes, [shard.tokens for shard in shards])


def _training(mixture: Mixture, folder: str, sequences: int) -> Iterator[Tokens]:
    """Yield the first sequences of a mixture, [up to 1024, sequence_length] at a time."""
    streams = [_stream(source.shards, folder) for source in mixture.sources]
    length = mixture.sequence_length
    for first in range(0, sequences, _ROWS):
        positions = np.arange(first, min(first + _ROWS, sequences))
        sources, _, windows = mixture.locate(positions)
        rows: Tokens = np.empty((positions.size, length), dtype=np.uint16)
        for source in np.unique(sources):
            at = sources == source
            rows[at] = streams[source].gather(windows[at] * length, length)
        yield rows


def _whole(streams: Sequence[TokenStream]) -> Iterator[Tokens]:
    for stream in streams:
        for first in range(0, len(stream), _TOKENS):
            yield stream.read(first, min(_TOKENS, len(stream) - first))


def export_megatron(mixture: Mixture, *, folder: str, output: str) -> list[str]:
    """Write the mixture for Megatron-LM: a folder of shards per source, and the blend.

    Shards are hard links where the file system allows it, else copies. `blend.txt` holds what
    follows `--train-data-path`, and `blend.validation.txt`, where tokens are held out, what follows
    `--valid-data-path`; both name the shards under `output` as it was given.

    Args:
        mixture: The mixture.
        folder: The folder of `mixture.json`.
        output: The folder to write to.

    Returns:
        The paths of all files that were written.

    Raises:
        InputError: A source's name is no folder name, two of its shards have one name, or the
            output folder has white space in it.
    """
    moved = dataclasses.replace(
        mixture, sources=tuple(_moved(source) for source in mixture.sources)
    )
    texts = {
        "blend.txt": blend(moved, folder=output, validation=False),
        "blend.validation.txt": blend(moved, folder=output, validation=True),
    }
    written = []
    for old, new in zip(mixture.sources, moved.sources, strict=True):
        _stream((*old.shards, *old.validation), folder)  # refuses a shard that is not whole
        pairs = zip((*old.shards, *old.validation), (*new.shards, *new.validation), strict=True)
        for source, target in pairs:
            for suffix in (".bin", ".idx"):
                path = storage.join(output, target.prefix + suffix)
                storage.link(storage.join(folder, source.prefix + suffix), path)
                written.append(path)
    for name, text in texts.items():
        if text:
            storage.write_bytes(storage.join(output, name), (text + "\n").encode())
            written.append(storage.join(output, name))
    return written


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
