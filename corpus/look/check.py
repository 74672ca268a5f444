"""Checking a build: every byte against its manifests, and the files against each other.

In: a build. Out: a `Checkup`: what was compared, and every problem that was found. Problems are
collected, not raised, so that one damaged file does not hide the next.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.build import STAGES, Build
from corpus.errors import CorpusError, IntegrityError
from corpus.look import check_keepers, check_lines, check_tokens
from corpus.look.check_tokens import Problem, guarded, rebuild
from corpus.manifest import Manifest, Output, Shard, fingerprint, read_manifest
from corpus.parts import damaged, read_columns
from corpus.tables import Block, size
from corpus.verdicts import JudgedPart, judged_parts, kept_mask

ROWS = frozenset({"documents", "dropped", "verdict", "links", "scores", "signatures", "collisions"})
_OLD = "manifests without a digest"


@dataclass(frozen=True)
class Checkup:
    """What was compared and what was found.

    Attributes:
        checked: Numbers of things compared, by name: files, bytes, rows, documents decoded, ...
        problems: All that is wrong, in the order of the stages.
    """

    checked: Mapping[str, int]
    problems: tuple[Problem, ...]


Tally = dict[str, int]
Say = Callable[[str], None]


def check(build: Build, *, full: bool, say: Say) -> Checkup:
    """Check a whole build.

    Args:
        build: The build.
        full: Decode all documents, and not only some of each shard.
        say: Is told what is being checked.
    """
    tally: Tally = {}
    found: list[Problem] = []
    changed: set[str] = set()  # files with other bytes: what is compared with them would differ too
    for manifest in _manifests(build, found):
        tally["manifests"] = tally.get("manifests", 0) + 1
        if not manifest.digest:
            tally[_OLD] = tally.get(_OLD, 0) + 1
        say(f"{storage.name(manifest.folder)}: {len(manifest.shards):,} shards")
        for shard in manifest.shards:
            problems = list(_files(manifest, shard, tally))
            changed |= {problem.where for problem in problems}
            found += problems
            if not problems:
                rows = functools.partial(_rows, manifest, shard, tally)
                found += guarded(rows, manifest.folder)
    if "extract" in build.manifests:
        say("verdicts against documents")
        verdicts = functools.partial(_verdicts, build, changed, tally)
        found += [*guarded(verdicts, build.output), *_accounts(build)]
    if "tokenize" in build.manifests:
        say("tokens against text")
        tokens = functools.partial(check_tokens.shards, build, changed, tally, full=full)
        found += guarded(tokens, build.manifests["tokenize"].folder)
    if "mix" in build.manifests:
        mixture = functools.partial(check_tokens.mixture, build, changed, tally)
        found += guarded(mixture, build.manifests["mix"].folder)
    return Checkup(tally, tuple(dict.fromkeys(found)))


def _manifests(build: Build, problems: list[Problem]) -> list[Manifest]:
    """Return the manifests of the build's stages and of the folders between that they used."""
    manifests = [build.manifests[stage] for stage in STAGES if stage in build.manifests]
    found = {manifest.folder for manifest in manifests}
    for manifest in manifests:  # grows while it is walked through
        for name in manifest.summary.get("uses", ()):
            folder = storage.join(build.output, name)
            if folder in found:
                continue
            found.add(folder)
            try:
                manifests.append(read_manifest(folder))
            except IntegrityError as error:
                fix = error.fix or rebuild(folder)
                problems.append(Problem(error.where or folder, error.what, fix))
            except CorpusError as error:
                problems.append(Problem(folder, error.what, "Run the build again: it is remade"))
    return manifests


def _files(manifest: Manifest, shard: Shard, tally: Tally) -> Iterator[Problem]:
    """Compare the bytes of a shard's files with the manifest."""
    for output in shard.outputs:
        path = manifest.path(output)
        inside = path.startswith(f"{manifest.folder}/")
        if inside:
            fix = rebuild(manifest.folder)
        else:
            fix = "It is an input: put the old file back, or run the build again with the new one"
        if not storage.exists(path):
            yield Problem(path, "the file is not there", fix)
            continue
        tally["files"] = tally.get("files", 0) + 1
        if storage.is_remote(path) and not inside:
            # An object of a store, used where it lies: its ETag stands for its bytes.
            bytes_, digest = storage.size(path), fingerprint(storage.stamp(path))
        else:
            bytes_, digest = storage.digest(path)
        tally["bytes"] = tally.get("bytes", 0) + bytes_
        if bytes_ != output.bytes:
            yield Problem(path, f"it has {bytes_:,} bytes, the manifest says {output.bytes:,}", fix)
        elif digest != output.sha256:
            yield Problem(path, "its bytes have changed: it has another SHA-256", fix)


def _rows(manifest: Manifest, shard: Shard, tally: Tally) -> Iterator[Problem]:
    """Compare the rows of a shard's Parquet files, and where they went, with the manifest."""
    fix = rebuild(manifest.folder)
    counts = shard.counts
    if counts.into != counts.kept + sum(counts.dropped.values()):
        yield Problem(
            f"{manifest.folder}/{shard.source}/{shard.name}",
            f"{counts.into:,} rows went in, {counts.kept:,} were kept and "
            f"{sum(counts.dropped.values()):,} dropped",
            fix,
        )
    for output in shard.outputs:
        if output.role in ROWS:
            path = manifest.path(output)
            rows = _parquet_rows(path)
            tally["rows"] = tally.get("rows", 0) + rows
            if rows != output.rows:
                what = f"it has {rows:,} rows, the manifest says {output.rows:,}"
                yield Problem(path, what, fix)
    found = _counted(manifest, shard)
    if found is not None and found != (counts.into, counts.kept, dict(counts.dropped)):
        yield Problem(
            f"{manifest.folder}/{shard.source}/{shard.name}",
            f"its files hold {_told(*found)}; the manifest says "
            f"{_told(counts.into, counts.kept, counts.dropped)}",
            fix,
        )


def _told(into: int, kept: int, dropped: Mapping[str, int]) -> str:
    return f"{into:,} rows in, {kept:,} kept, {sum(dropped.values()):,} dropped {dict(dropped)}"


def _parquet_rows(path: str) -> int:
    with storage.open_arrow(path) as file:
        try:
            return int(pq.ParquetFile(file).metadata.num_rows)
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(path, error) from error


def _counted(manifest: Manifest, shard: Shard) -> tuple[int, int, dict[str, int]] | None:
    """Count where a shard's rows went from its files; None for stages without such files."""
    if manifest.stage == "extract":
        kept = sum(_parquet_rows(manifest.path(o)) for o in shard.all("documents"))
        tables = [read_columns(manifest.path(o), ["reason"]) for o in shard.all("dropped")]
        dropped = _reasons(pa.concat_tables(tables)["reason"]) if tables else {}
        return kept + sum(dropped.values()), kept, dropped
    verdicts: list[Output] = shard.all("verdict")
    if not verdicts:
        return None
    table = read_columns(manifest.path(verdicts[0]), ["kept", "reason"])
    kept = int(pc.sum(table["kept"]).as_py() or 0)
    lost = table["reason"].filter(pa.array(kept_mask(table["kept"], value=False)))
    dropped = _reasons(lost)
    return kept + len(lost), kept, dropped


def _reasons(column: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(column).to_pylist()
    return {str(entry["values"]): int(entry["counts"]) for entry in counted}


def _verdicts(build: Build, changed: set[str], tally: Tally) -> Iterator[Problem]:
    """Compare verdicts with documents row by row, stages with the one before, keepers with kept."""
    judged = judged_parts(build)
    whole = [j for j in judged if not changed & {j.part.documents, *j.verdicts.values()}]
    keepers: list[pa.Table] = []
    for one in whole:
        rows = functools.partial(_part, build, one, keepers, tally)
        yield from guarded(rows, one.part.documents)
    if "dedup" in build.manifests and whole == judged:
        kept = functools.partial(check_keepers.check, build, judged, keepers, tally)
        yield from guarded(kept, build.manifests["dedup"].folder)
        if "lines" in build.manifests["dedup"].settings:
            lines = functools.partial(check_lines.check, build, judged, tally)
            yield from guarded(lines, build.manifests["dedup"].folder)


def _part(
    build: Build, one: JudgedPart, keepers: list[pa.Table], tally: Tally
) -> Iterator[Problem]:
    """Compare the verdicts of one part; collect the documents that others were dropped for."""
    ids = read_columns(one.part.documents, ["id"])["id"]
    reached = np.ones(len(ids), dtype=np.bool_)
    for stage, path in one.verdicts.items():
        extra = ["duplicate_of", "duplicate_index"] if stage == "dedup" else []
        table = read_columns(path, ["id", "kept", *extra])
        fix = rebuild(build.manifests[stage].folder)
        if not table["id"].equals(ids):
            yield Problem(path, "its ids are not those of the documents, row by row", fix)
            return
        tally["verdicts"] = tally.get("verdicts", 0) + table.num_rows
        given = table["kept"].is_valid().to_numpy()
        if (given != reached).any():
            row = int(np.flatnonzero(given != reached)[0])
            what = f"row {row} has a verdict, but was dropped before"
            if reached[row]:
                what = f"row {row} has no verdict, but was kept by the stage before"
            yield Problem(path, what, fix)
        reached = kept_mask(table["kept"], value=True)
        if extra:
            named = table.select(extra).filter(table["duplicate_of"].is_valid())
            keepers.append(named.group_by(extra).aggregate([]))


def _accounts(build: Build) -> Iterator[Problem]:
    """Compare what each stage took in with what the stage before kept, source by source."""
    chain = [build.manifests[s] for s in STAGES[1:-1] if s in build.manifests]
    for before, after in itertools.pairwise(chain):
        for source in before.sources():
            kept, into = before.counts(source).kept, after.counts(source).into
            if kept != into:
                what = f"{source}: {before.stage} kept {kept:,} documents, {into:,} went in"
                yield Problem(after.folder, what, rebuild(after.folder))


def describe(checkup: Checkup) -> Iterator[Block]:
    """Yield what a person reads: what was checked, then every problem."""
    told = dict(checkup.checked)
    told_bytes = size(told.pop("bytes", 0))
    old = told.pop(_OLD, 0)
    yield f"Checked: {told_bytes}, " + ", ".join(f"{n:,} {name}" for name, n in told.items())
    if old:
        yield (
            f"{old:,} manifests are of a version that gave them no digest of their own: their "
            "files are compared with them, and they with nothing."
        )
    for problem in checkup.problems:
        yield f"{problem.where}: {problem.what}. {problem.fix}."
    count = len(checkup.problems)
    yield "Everything is as the manifests say." if not count else f"{count:,} problems."
