"""Checking duplicates: every document that others were dropped for has itself been kept.

In: the keepers that verdicts name. Out: problems. A keeper of an index is looked for in the
verdicts of that build.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from corpus import storage
from corpus.build import Build
from corpus.errors import CorpusError
from corpus.look.check_tokens import Problem, rebuild
from corpus.manifest import read_manifest
from corpus.parts import read_columns
from corpus.verdicts import JudgedPart, kept_mask


def check(
    build: Build,
    judged: Sequence[JudgedPart],
    keepers: Sequence[pa.Table],
    tally: MutableMapping[str, int],
) -> Iterator[Problem]:
    """Yield the keepers that have not been kept.

    Args:
        build: The build.
        judged: Its parts.
        keepers: Of each part `duplicate_of` and `duplicate_index`, each pair once.
        tally: Counts what was looked for.
    """
    empty = pa.schema([("duplicate_of", pa.string()), ("duplicate_index", pa.string())])
    every = pa.concat_tables([empty.empty_table(), *keepers]).combine_chunks()
    tally["keepers"] = 0
    manifest = build.stage("dedup")
    places = manifest.summary.get("index", {})
    for name in every["duplicate_index"].unique().to_pylist():
        index = every["duplicate_index"]
        same = pc.equal(index, name) if name else index.is_null()
        missing = every["duplicate_of"].filter(same).unique()
        tally["keepers"] += len(missing)
        if name:
            folder = storage.join(places[name], name)
            try:
                theirs = read_manifest(folder)
            except CorpusError as error:
                what = f"{len(missing):,} keepers are in an index that is gone: {error.what}"
                fix = "Keep that build where it was for as long as this one is to be checked"
                yield Problem(folder, what, fix)
                continue
            paths = [theirs.path(shard.output("verdict")) for shard in theirs.shards]
        else:
            paths = [one.verdicts["dedup"] for one in judged]
        for path in paths:
            table = read_columns(path, ["id", "kept"])
            kept = table["id"].filter(pa.array(kept_mask(table["kept"], value=True)))
            missing = missing.filter(pc.invert(pc.is_in(missing, value_set=kept.combine_chunks())))
        for id in missing.to_pylist():
            what = f"documents were dropped as duplicates of {id}, which was not kept"
            yield Problem(manifest.folder, what, rebuild(manifest.folder))
