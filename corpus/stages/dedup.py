"""dedup: near-duplicates within and across sources (GPT-3, Appendix A), verified.

In: documents and the verdict before. Out: a verdict for each document that names the kept document
it duplicates, with their Jaccard index. LSH only proposes.

1. signatures: per part, exact key and band keys of each document (a folder of its own, kept).
2. groups: exact copies, then the documents that share a band, as connected components.
3. exchange: per part, the shingles of the documents in components, in files by component.
4. visit: per file of components, the rule of `corpus.duplicates`.
5. verdicts: per part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import duplicates, exchange, signatures, storage
from corpus.config import Dedup, DedupScheme, Recipe
from corpus.document import DEDUP_SCHEMA, DropReason
from corpus.engine import Engine
from corpus.errors import BoundError
from corpus.manifest import Manifest, Shard, add_counts, fingerprint
from corpus.parts import Part, kept_rows, parts, read_columns, write_table, write_verdict
from corpus.progress import Progress
from corpus.signatures import Signed, matrix, read_signed
from corpus.stage_folder import StageFolder, used

STAGE = "dedup"
VERSION = 1
# Candidates that are visited at a time: some 400 shingles of 8 bytes each, so 160 MB.
CANDIDATES = 50_000
FEW_DOCUMENTS = 20  # a source with fewer may lose any share

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DedupTask:
    """One part whose verdict is to be written; its drops are listed in the exchange."""

    name: str
    source: str
    key: str
    weight: int
    part: Part
    folder: str = ""


def run(
    recipe: Recipe,
    settings: Dedup,
    extract: Manifest,
    last: Manifest | None,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Decide which documents duplicate one that is kept.

    Raises:
        BoundError: A source loses more than `dedup.max_loss` of its documents.
    """
    scheme = settings.scheme()
    found = parts(extract, last)
    signed = signatures.sign(found, scheme, recipe.seed, output, engine, progress)
    # A verdict depends on every document of the build: that is what dedup is.
    depends = [(part.source, part.name, part.sha256, part.verdict_sha256) for part in found]
    key = fingerprint(STAGE, VERSION, scheme, recipe.seed, list(recipe.sources), depends)
    tasks = [
        DedupTask(part.name, part.source, f"{key}-{part.source}-{part.name}", part.rows + 1, part)
        for part in found
    ]
    stored = {"version": VERSION, "seed": recipe.seed, **scheme.model_dump(mode="json")}
    folder = StageFolder(output, STAGE, settings=stored, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        summary = _find(found, signed, list(recipe.sources), scheme, folder.path, engine, progress)
        shards = folder.run(dedup_shard, engine, progress)
        _check_losses(recipe, settings, shards, folder.path)
        storage.remove(storage.join(folder.path, exchange.EXCHANGE))
        manifest = folder.finish(shards, {**summary, **used(signed)})
    # The bound is not part of the fingerprint: it may be stricter now than when this was built.
    _check_losses(recipe, settings, manifest.shards, folder.path)
    return manifest


def _find(
    found: Sequence[Part],
    manifest: Manifest,
    sources: list[str],
    scheme: DedupScheme,
    folder: str,
    engine: Engine,
    progress: Progress,
) -> dict[str, int]:
    """Find the duplicates and list the drops of each part in the exchange; return the figures."""
    storage.remove(storage.join(folder, exchange.EXCHANGE))
    paths = [manifest.path(shard.outputs[0]) for shard in manifest.shards]
    signed = read_signed(found, paths, sources)
    exact = duplicates.exact_duplicates(signed.exact, signed.length, signed.rank)
    component = _components(paths, signed, exact == np.arange(len(exact)), scheme.bands)
    members = np.flatnonzero(component >= 0)
    labels = np.unique(component[members])
    # No more buckets than components: a single one may hold most of the candidates.
    buckets = max(1, min(-(-len(members) // CANDIDATES), len(labels)))
    if len(members):
        starts = np.searchsorted(signed.part[members], np.arange(len(found) + 1))
        for index, part in enumerate(found):
            own = members[starts[index] : starts[index + 1]]
            table = pa.table(
                {
                    "row": signed.row[own],
                    "document": own,
                    "component": component[own],
                    "rank": signed.rank[own],
                    "bucket": np.searchsorted(labels, component[own]) % buckets,
                }
            )
            write_table(folder, exchange.candidates_path(part), table, "exchange")
        moves = [
            exchange.ExchangeTask(folder, part, path, scheme)
            for part, path in zip(found, paths, strict=True)
        ]
        _run_all("exchange", engine.map(exchange.exchange_part, moves), len(moves), progress)
        visits = [exchange.VisitTask(folder, b, scheme.threshold) for b in range(buckets)]
        _run_all("visit", engine.map(exchange.visit_components, visits), buckets, progress)
    dropped, keepers, jaccard = exchange.read_found(folder)
    _write_drops(found, signed, exact, (dropped, keepers, jaccard), folder)
    sizes = np.bincount(np.searchsorted(labels, component[members])) if len(members) else [0]
    return {
        "documents": len(exact),
        "exact_duplicates": int((exact != np.arange(len(exact))).sum()),
        "candidates": len(members),
        "components": len(labels),
        "largest_component": int(max(sizes)),
        "near_duplicates": len(dropped),
    }


def _components(
    paths: Sequence[str], signed: Signed, single: npt.NDArray[np.bool_], bands: int
) -> Ints:
    """Return each document's component, or -1 for one that shares no band with another."""
    tables = [read_columns(path, ["shingles", "bands"]) for path in paths]
    whole = pa.concat_tables(tables)
    keys = matrix(whole["bands"], bands)
    # A document without a single shingle has the same signature as all others of its kind.
    eligible = np.flatnonzero(single & (whole["shingles"].to_numpy() > 0))
    lefts, rights = [], []
    for band in range(bands):
        left, right = duplicates.run_edges(keys[eligible, band], eligible, signed.rank)
        lefts.append(left)
        rights.append(right)
    left, right = np.concatenate(lefts), np.concatenate(rights)
    labels = duplicates.components(left, right, len(single))
    connected = np.zeros(len(single), dtype=np.bool_)
    connected[left] = connected[right] = True
    return np.where(connected, labels, -1)


def _run_all(step: str, results: Iterator[None], total: int, progress: Progress) -> None:
    """Run the tasks of a step that leaves nothing behind but files of the exchange."""
    progress.start(step, total=total, reused=0, shards=total)
    for _ in results:
        progress.advance(None, 1)


def _write_drops(
    found: Sequence[Part],
    signed: Signed,
    exact: Ints,
    near: exchange.Found,
    folder: str,
) -> None:
    """List each part's drops: rows, reasons, keepers, Jaccard indices."""
    keeper, jaccard = exact.copy(), np.ones(len(exact))
    is_near = np.zeros(len(exact), dtype=np.bool_)
    dropped, keepers, values = near
    keeper[dropped], jaccard[dropped], is_near[dropped] = keepers, values, True
    # A copy of a document that is itself dropped is as similar to that one's keeper as it is.
    copies = np.flatnonzero(exact != np.arange(len(exact)))
    originals = exact[copies]
    keeper[copies], jaccard[copies] = keeper[originals], jaccard[originals]
    is_near[copies] = is_near[originals]
    gone = np.flatnonzero(keeper != np.arange(len(keeper)))
    starts = np.searchsorted(signed.part[gone], np.arange(len(found) + 1))
    for index, part in enumerate(found):
        own = gone[starts[index] : starts[index + 1]]
        reasons = [
            str(DropReason.NEAR_DUPLICATE if near_one else DropReason.EXACT_DUPLICATE)
            for near_one in is_near[own]
        ]
        table = pa.table(
            {
                "row": pa.array(signed.row[own], pa.int64()),
                "reason": pa.array(reasons, pa.string()),
                "duplicate_of": pa.array([signed.ids[k] for k in keeper[own]], pa.string()),
                "duplicate_source": pa.array(
                    [found[signed.part[k]].source for k in keeper[own]], pa.string()
                ),
                "jaccard": pa.array(jaccard[own], pa.float64()),
            }
        )
        write_table(folder, exchange.drops_path(part.source, part.name), table, "exchange")


def dedup_shard(task: DedupTask) -> Shard:
    """Write the verdict of one part."""
    part = task.part
    columns = ["row", "reason", "duplicate_of", "duplicate_source", "jaccard"]
    path = storage.join(task.folder, exchange.drops_path(part.source, part.name))
    drops = read_columns(path, columns)
    index = np.full(part.rows, -1, dtype=np.int64)
    index[drops["row"].to_numpy()] = np.arange(drops.num_rows)
    take = pa.array(index, pa.int64(), mask=index < 0)
    kept = pa.array(index < 0, pa.bool_(), mask=~kept_rows(part))
    table = pa.table(
        {
            "id": read_columns(part.documents, ["id"])["id"],
            "kept": kept,
            **{name: drops[name].take(take) for name in columns[1:]},
        }
    ).cast(DEDUP_SCHEMA)
    output, counts = write_verdict(task.folder, part, table)
    return Shard(task.name, task.source, task.key, (output,), counts)


def _check_losses(recipe: Recipe, settings: Dedup, shards: Sequence[Shard], folder: str) -> None:
    for name in recipe.sources:
        counts = add_counts(shard.counts for shard in shards if shard.source == name)
        lost = counts.into - counts.kept
        if counts.into >= FEW_DOCUMENTS and lost > settings.max_loss * counts.into:
            raise BoundError(
                f"{name} would lose {lost} of its {counts.into} documents to dedup",
                where=folder,
                why="So much duplication is more often a fault of the input or of the settings",
                fix="Look at the verdicts in this folder; to go on all the same raise "
                "dedup.max_loss",
            )
