"""Checking the lines that dedup cut: that each is a line of its text, and is kept by its keeper.

In: a build with `dedup.lines`. Out: problems. All text is read and its lines are found again; what
is held is 8 bytes for each line that was cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.build import Build
from corpus.look.check_tokens import Problem, rebuild
from corpus.parts import batches, read_columns
from corpus.text.cut_texts import merged
from corpus.verdicts import JudgedPart, kept_mask

UInt64s = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHOWN = 3  # keepers of which the problem is told


def check(
    build: Build, judged: Sequence[JudgedPart], tally: MutableMapping[str, int]
) -> Iterator[Problem]:
    """Yield what is wrong with the lines that were cut.

    Args:
        build: The build; its stage dedup has `lines` in its settings.
        judged: Its parts.
        tally: Counts what was looked at.
    """
    from corpus.text.line_normalization import VERSIONS

    manifest = build.stage("dedup")
    settings = manifest.settings["lines"]
    if settings["versions"][1] != VERSIONS[settings["normalization"]]:
        what = "its lines were compared by another version of the rules"
        yield Problem(manifest.folder, what, "Build it again, or use the program that built it")
        return
    fix = rebuild(manifest.folder)
    given = [np.empty(0, np.uint64)]
    for one in judged:
        lines, asked = _lost(one)
        tally["lines cut"] = tally.get("lines cut", 0) + asked
        given.append(np.unique(_digests(lines["keeper_source"], lines["keeper"], lines["hash"])))
    wanted = np.unique(np.concatenate(given))
    found = np.zeros(len(wanted), dtype=np.bool_)
    told = {(shard.source, shard.name): shard.measures for shard in manifest.shards}
    for one in judged:
        yield from _figures(one, told[one.part.source, one.part.name], fix)
        yield from _part(one, settings, wanted, found, fix)
        if "decontaminate" in one.verdicts:
            yield from _both(one, rebuild(build.stage("decontaminate").folder))
    missing = wanted[~found]
    if len(missing):
        yield from _unkept(judged, missing, fix)


def _part(
    one: JudgedPart, settings: dict[str, Any], wanted: UInt64s, found: Flags, fix: str
) -> Iterator[Problem]:
    """Compare the cuts of one part with its texts; note in `found` the lines that it keeps."""
    from corpus.text import lines

    path = one.verdicts["dedup"]
    verdict = read_columns(path, ["id", "kept", "cuts", "lines"])
    for start, batch in batches(one.part, ["text"]):
        texts = batch.column("text")
        own = lines.find_lines(
            texts, unit=settings["unit"], normalization=settings["normalization"]
        )
        here = verdict.slice(start, len(batch)).combine_chunks()
        gone, wrong = _gone(own, here["lines"])
        made = lines.cut_lines(texts, own, gone)
        bounds = here["cuts"].combine_chunks()
        spans = _flat(here["cuts"])
        ends = np.concatenate([[0], np.cumsum(bounds.value_lengths().fill_null(0).to_numpy())])
        same = np.array_equal(ends, made.offsets) and all(
            np.array_equal(spans[name].to_numpy(), made.cuts[:, place])
            for place, name in enumerate(("start", "end"))
        )
        if len(wrong):
            id = here["id"][int(wrong[0])].as_py()
            yield Problem(path, f"a line that was cut out of {id} is none of its lines", fix)
        elif not same:
            what = f"of the {len(batch):,} documents from row {start:,} on other bytes are cut"
            yield Problem(path, f"{what} than the lines that it names", fix)
        kept = kept_mask(here["kept"], value=True)[own.rows] & ~gone & (own.words > 0)
        ids = here["id"].take(pa.array(own.rows[kept]))
        source = pa.repeat(pa.scalar(one.part.source), len(ids))
        digests = _digests(source, ids, pa.array(own.hashes[kept]))
        place = np.minimum(np.searchsorted(wanted, digests), max(len(wanted) - 1, 0))
        if len(wanted):
            found[place[wanted[place] == digests]] = True


def _figures(one: JudgedPart, told: Mapping[str, int], fix: str) -> Iterator[Problem]:
    """Compare what a verdict cuts with the figures of the manifest, which reports go by."""
    path = one.verdicts["dedup"]
    verdict = read_columns(path, ["cuts", "lines"])
    spans = _flat(verdict["cuts"])
    found = {
        "cut_documents": pc.sum(pc.greater(pc.list_value_length(verdict["cuts"]), 0)).as_py() or 0,
        "cut_lines": len(_flat(verdict["lines"])),
        "cut_bytes": pc.sum(pc.subtract(spans["end"], spans["start"])).as_py() or 0,
    }
    for name, number in found.items():
        if told.get(name) != number:
            what = f"{name} is {number:,} by its rows, the manifest says {told.get(name)}"
            yield Problem(path, what, fix)


def _gone(own: Any, given: pa.ChunkedArray) -> tuple[Flags, npt.NDArray[np.int64]]:
    """Return which lines of a batch are said to be cut, and the rows with one that is no line."""
    lengths = pc.list_value_length(given).fill_null(0).to_numpy()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    lines = _flat(given)
    starts, ends = lines["start"].to_numpy(), lines["end"].to_numpy()
    gone = np.zeros(len(own), dtype=np.bool_)
    # Lines by their row and start; a start that no line can have is that of none.
    width = int(own.ends.max(initial=0)) + 2
    keys = own.rows * width + own.starts
    asked = rows * width + np.where((starts >= 0) & (starts < width), starts, width - 1)
    place = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
    if not len(keys):
        return gone, rows
    same = (keys[place] == asked) & (own.ends[place] == ends) & (own.words[place] > 0)
    same &= own.hashes[place] == lines["hash"].to_numpy()
    gone[place[same]] = True
    return gone, rows[~same]


def _both(one: JudgedPart, fix: str) -> Iterator[Problem]:
    """Compare the cuts of decontaminate with its own and those of dedup."""
    dedup = read_columns(one.verdicts["dedup"], ["cuts"])["cuts"]
    path = one.verdicts["decontaminate"]
    names = ["id", "kept", "cuts", "benchmark_cuts"]
    verdict = read_columns(path, names).append_column("lines", dedup)
    some = pc.greater(pc.list_value_length(dedup), 0)
    for row in verdict.filter(pc.and_(some, verdict["kept"].is_valid())).to_pylist():
        if merged(row["lines"], row["benchmark_cuts"]) != row["cuts"]:
            yield Problem(path, f"what dedup cut out of {row['id']} is not cut here", fix)
            return


def _unkept(judged: Sequence[JudgedPart], missing: UInt64s, fix: str) -> Iterator[Problem]:
    """Name keepers that do not keep a line that others have lost for them."""
    shown = 0
    for one in judged:
        path = one.verdicts["dedup"]
        lines, _ = _lost(one)
        digests = _digests(lines["keeper_source"], lines["keeper"], lines["hash"])
        for row in np.flatnonzero(np.isin(digests, missing))[: _SHOWN - shown].tolist():
            shown += 1
            keeper = lines["keeper"][row].as_py()
            yield Problem(path, f"a line was cut for {keeper}, which does not keep it", fix)
    if len(missing) > shown:
        what = f"{len(missing) - shown:,} lines more were cut for documents that do not keep them"
        yield Problem(judged[0].verdicts["dedup"], what, fix)


def _lost(one: JudgedPart) -> tuple[pa.Table, int]:
    """Return the lines that a part has lost to a document that must be kept, and how many it lost.

    What a document repeats is lost to itself, and goes with it when too little of it is left.
    """
    table = read_columns(one.verdicts["dedup"], ["id", "kept", "lines"]).combine_chunks()
    lengths = pc.list_value_length(table["lines"]).fill_null(0).to_numpy()
    rows = pa.array(np.repeat(np.arange(len(table)), lengths))
    lines = _flat(table["lines"])
    own = pc.and_(
        pc.equal(lines["keeper"], table["id"].take(rows)),
        pc.equal(lines["keeper_source"], one.part.source),
    )
    gone = pc.equal(table["kept"].take(rows), pa.scalar(False))
    return lines.filter(pc.invert(pc.and_(own, gone))), len(lines)


def _flat(column: pa.ChunkedArray) -> pa.Table:
    """Return what lists of structs hold, one row each."""
    values = pc.list_flatten(column)
    fields = [values.type.field(place) for place in range(values.type.num_fields)]
    columns = {field.name: pc.struct_field(values, field.name) for field in fields}
    return pa.table(columns).combine_chunks()


def _digests(source: pa.Array, id: pa.Array, hashes: pa.Array) -> UInt64s:
    """Return one number for a document and a line."""
    from corpus.text import minhash

    if not len(hashes):
        return np.empty(0, np.uint64)
    names = pc.binary_join_element_wise(source, id, "\x1f")
    if isinstance(names, pa.ChunkedArray):
        names = names.combine_chunks()
    return np.asarray(minhash.exact_keys(names)[:, 0] ^ (hashes.to_numpy() * _ODD))
