"""Checking tokens: shards against their indices, documents tables, texts and the mixture.

In: a build whose tokenize stage is complete. Out: problems.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import storage
from corpus.build import BUILD, Build
from corpus.errors import CorpusError
from corpus.manifest import Manifest, Shard
from corpus.mix.mixture import Mixture
from corpus.parts import Part, kept_rows, parts, read_columns
from corpus.stages.tokenize import SPLITS, apply_cuts, mask_texts
from corpus.tokenize.document_table import DocumentTable
from corpus.tokenize.shards import TokenShard
from corpus.verdicts import take_rows

_SAMPLE = 50  # documents of a shard that are decoded, evenly spread
_DECODED = 200  # documents whose texts are in memory at a time


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be: the file, what is wrong, what to do."""

    where: str
    what: str
    fix: str


def guarded(compare: Callable[[], Iterator[Problem]], where: str) -> Iterator[Problem]:
    """Yield the problems of a comparison, and as one more the error that ends it.

    Args:
        compare: The comparison.
        where: What it is about, for errors that do not say it.
    """
    try:
        yield from compare()
    except CorpusError as error:
        what = error.what if error.why is None else f"{error.what}: {error.why}"
        fix = error.fix if error.fix not in (None, "Run corpus check") else None
        yield Problem(error.where or where, what, fix or "Build it again")
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        # Damage that no reader expects: text that is not UTF-8, a column that is not there.
        what = f"it cannot be read: {type(error).__name__}: {str(error)[:200]}"
        yield Problem(where, what, "Build it again")


def rebuild(folder: str) -> str:
    """Return what to do about a damaged stage."""
    output, name = folder.rsplit("/", 1)
    stage = name.rsplit("-", 1)[0]
    others = [n for n in storage.list_folder(output) if n.startswith(f"{stage}-") and n != name]
    # Equal files of a stage's folders are one file with several names: damaged in all of them.
    where = f"{output}/{stage}-*" if others else folder
    return f"Delete {where} and run the build again"


def shards(
    build: Build, changed: set[str], tally: dict[str, int], *, full: bool
) -> Iterator[Problem]:
    """Check every token shard against its index, its documents table and its documents.

    Args:
        build: The build.
        changed: Files with other bytes than they should have; parts with one are left out.
        tally: Counts what was compared.
        full: Decode all documents and not some of each shard.
    """
    from corpus.text import tokenizer

    tokenize = build.stage("tokenize")
    fix = rebuild(tokenize.folder)
    vocabulary = storage.read_json(storage.join(build.output, BUILD))["recipe"]["tokenize"]
    encoder = tokenizer.load(vocabulary["vocabulary"])
    if encoder.digest != tokenize.settings["vocabulary"]:
        what = "the vocabulary is another than the one that the shards were written with"
        yield Problem(vocabulary["vocabulary"], what, "Put the old vocabulary back")
        return
    if not _masked_as_now(tokenize):
        what = "its texts were masked by another version of the rules, and cannot be compared"
        yield Problem(tokenize.folder, what, "Build it again, or use the program that built it")
        return
    stages = build.verdicts
    made = {(shard.source, shard.name): shard for shard in tokenize.shards}
    for part in parts(build.stage("extract"), stages[-1] if stages else None):
        shard = made.get((part.source, part.name))
        if shard is None:
            yield Problem(tokenize.folder, f"no shard of {part.source}/{part.name}", fix)
            continue
        files = {tokenize.path(output) for output in shard.outputs}
        if changed & {part.documents, part.verdict, *files}:
            continue
        compare = functools.partial(_part, tokenize, shard, part, encoder, tally, full)
        yield from guarded(compare, f"{tokenize.folder}/{part.source}/{part.name}")


def _masked_as_now(tokenize: Manifest) -> bool:
    if "mask" not in tokenize.settings:
        return True
    from corpus.text import pii

    return bool(tokenize.settings["mask_version"] == pii.VERSION)


def _part(
    tokenize: Manifest, shard: Shard, part: Part, encoder: Any, tally: dict[str, int], full: bool
) -> Iterator[Problem]:
    """Check the shards of one part: together their documents are those that were kept."""
    fix = rebuild(tokenize.folder)
    kept = np.flatnonzero(kept_rows(part))
    ids = read_columns(part.documents, ["id"])["id"].take(kept).to_pylist()
    left = list(zip(ids, kept.tolist(), strict=True))
    for split in SPLITS:
        outputs = shard.all(f"{split}_bin")
        if not outputs:
            continue
        path = tokenize.path(outputs[0])
        with storage.local_copy(tokenize.path(shard.output(f"{split}_documents"))) as local:
            table = DocumentTable(local)
        rows, left = _follow(table.ids.to_pylist(), left)
        if rows is None:
            what = "its documents are not documents of the part that were kept, in their order"
            yield Problem(path, what, fix)
            return
        chosen = np.arange(len(rows))
        if not full and len(rows) > _SAMPLE:
            chosen = np.unique(np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64))
        tally["token shards"] = tally.get("token shards", 0) + 1
        tally["documents decoded"] = tally.get("documents decoded", 0) + len(chosen)
        with _opened(path.removesuffix(".bin")) as tokens:
            for what in _disagreements(tokens, table, outputs[0].rows, encoder):
                yield Problem(path, what, fix)
            mask = tokenize.settings.get("mask", ())
            for what in _other_texts(tokens, table, part, rows, chosen, encoder, mask):
                yield Problem(path, what, fix)
    if left:
        what = f"{len(left):,} kept documents have no tokens, the first is {left[0][0]}"
        yield Problem(f"{tokenize.folder}/{part.source}/{part.name}", what, fix)


def _follow(
    ids: Sequence[str], kept: list[tuple[str, int]]
) -> tuple[list[int] | None, list[tuple[str, int]]]:
    """Find ids in order among the kept; return their rows, or None, and the kept that are left."""
    rows: list[int] = []
    left: list[tuple[str, int]] = []
    place = 0
    for entry in kept:
        if place < len(ids) and entry[0] == ids[place]:
            rows.append(entry[1])
            place += 1
        else:
            left.append(entry)
    return (rows if place == len(ids) else None), left


@contextlib.contextmanager
def _opened(prefix: str) -> Iterator[TokenShard]:
    """Yield a shard; one of a store is fetched first, since shards are mapped into memory."""
    if not storage.is_remote(prefix):
        yield TokenShard(prefix)
        return
    with tempfile.TemporaryDirectory(prefix=storage.TEMPORARY_PREFIX) as folder:
        for suffix in (".bin", ".idx"):
            storage.link(prefix + suffix, storage.join(folder, f"shard{suffix}"))
        yield TokenShard(storage.join(folder, "shard"))


def _disagreements(
    shard: TokenShard, table: DocumentTable, tokens: int, encoder: Any
) -> Iterator[str]:
    """Compare `.bin`, `.idx`, documents table and the manifest's number of tokens."""
    shard.verify(vocabulary_size=encoder.vocabulary_size)
    if shard.tokens_total != tokens:
        yield f"it has {shard.tokens_total:,} tokens, the manifest says {tokens:,}"
    starts = shard.document_offsets
    same = len(table) == len(shard) and np.array_equal(starts[:-1], table.starts)
    if not (same and np.array_equal(np.diff(starts), table.lengths)):
        yield "its documents table gives other ranges than its index"


def _other_texts(
    shard: TokenShard,
    table: DocumentTable,
    part: Part,
    rows: list[int],
    chosen: npt.NDArray[np.int64],
    encoder: Any,
    mask: Sequence[str],
) -> Iterator[str]:
    """Compare the tokens of chosen documents with the text that they stand for."""
    for first in range(0, len(chosen), _DECODED):
        places = chosen[first : first + _DECODED].tolist()
        own_texts = texts(part, [rows[p] for p in places], mask)
        for place, text in zip(places, own_texts, strict=True):
            start, length = int(table.starts[place]), int(table.lengths[place])
            own = shard.tokens[start : start + length]
            if not length or int(own[-1]) != encoder.end_of_text:
                yield f"document {table.ids[place]} does not end with end of text"
            elif encoder.decode_bytes(own[:-1]) != text.encode():
                yield f"document {table.ids[place]} decodes to another text than its own"


def texts(part: Part, rows: Sequence[int], mask: Sequence[str]) -> Sequence[str]:
    """Return the texts of rows of a part as they are trained on: cut, and then masked."""
    return mask_texts(_cut_texts(part, rows), mask)[0]


def _cut_texts(part: Part, rows: Sequence[int]) -> list[str]:
    found: list[str] = take_rows(part.documents, rows, ["text"])["text"].to_pylist()
    if part.verdict is None:
        return found
    verdict = take_rows(part.verdict, rows)
    if "cuts" not in verdict.column_names:
        return found
    return [apply_cuts(t, c) for t, c in zip(found, verdict["cuts"].to_pylist(), strict=True)]


def mixture(build: Build, changed: set[str], tally: dict[str, int]) -> Iterator[Problem]:
    """Check that the mixture names the shards of the build, with their tokens and digests."""
    mix, tokenize = build.stage("mix"), build.stage("tokenize")
    fix = rebuild(mix.folder)
    path = mix.path(mix.shards[0].output("mixture"))
    if path in changed:
        return
    read = Mixture.from_json(storage.read_json(path), where=path)
    for source in read.sources:
        for split, entries in zip(SPLITS, (source.shards, source.validation), strict=True):
            outputs = [o for s in tokenize.of(source.name) for o in s.all(f"{split}_bin")]
            tally["mixed shards"] = tally.get("mixed shards", 0) + len(entries)
            folder = f"../{storage.name(tokenize.folder)}"
            expected = [(f"{folder}/{o.path}", o.rows, o.sha256) for o in outputs]
            if [(e.path, e.tokens, e.sha256) for e in entries] != expected:
                what = f"it names other {split} shards of {source.name} than the build has"
                yield Problem(path, what, fix)
