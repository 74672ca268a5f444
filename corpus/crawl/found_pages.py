"""The places of pages that were found in an index, by archive, and what was not found.

In: the manifest of the step `index` (`corpus.crawl.selection`). Out: places for each archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.errors import InputError
from corpus.manifest import Manifest
from corpus.sources.crawl_index import PLACES, Selection, surt_keys
from corpus.sources.urls import host_of, in_domains

_SORTED = [("draw", "ascending"), ("archive", "ascending"), ("offset", "ascending")]


def archives_of(manifest: Manifest, limit: int | None) -> dict[str, npt.NDArray[np.int64]]:
    """Return the places of all wanted pages of a snapshot, in the order of each archive.

    Args:
        manifest: What the step has found.
        limit: Most pages.

    Returns:
        Paths of archives, sorted, each with an array (pages, 2) of offset and length.

    Raises:
        InputError: Two pages of an archive overlap: the index is not of this crawl.
    """
    table = _read(manifest, ["archive", "offset", "length", "draw"])
    if limit is not None:
        table = table.sort_by(_SORTED).slice(0, limit)
    return by_archive(table, where=manifest.folder)


def by_archive(table: pa.Table, *, where: str) -> dict[str, npt.NDArray[np.int64]]:
    """Return the places of pages (archive, offset, length) in the order of each archive.

    Raises:
        InputError: See `archives_of`.
    """
    table = table.sort_by([("archive", "ascending"), ("offset", "ascending")])
    archives = pc.run_end_encode(table["archive"].combine_chunks()) if table.num_rows else None
    if archives is None:
        return {}
    both = np.stack([table["offset"].to_numpy(), table["length"].to_numpy()], axis=1)
    ends = [0, *archives.run_ends.to_pylist()]
    found: dict[str, npt.NDArray[np.int64]] = {}
    for archive, (start, end) in zip(archives.values.to_pylist(), pairwise(ends), strict=True):
        pieces = both[start:end]
        if np.any(pieces[:-1].sum(axis=1) > pieces[1:, 0]):
            raise InputError(
                f"two records of {archive} overlap, says the index",
                where=where,
                fix="Check base_url: index and archives have to be of one crawl.",
            )
        found[archive] = pieces
    return found


def missing_of(manifests: Sequence[Manifest], selection: Selection) -> tuple[str, ...]:
    """Return the addresses, hosts and domains of which no snapshot has a page, as given."""
    if not selection.addressed:
        return ()
    keys: set[str] = set()
    hosts: set[str] = set()
    for manifest in manifests:
        for url in _read(manifest, ["url"])["url"].to_pylist():
            keys |= surt_keys(url)
            hosts.add(host_of(url) or "")
    lost = [url for url in selection.urls if not surt_keys(url) & keys]
    lost += [host for host in selection.hosts if host_of(f"http://{host}/") not in hosts]
    for domain in selection.domains:
        asked = host_of(f"http://{domain}/") or domain
        if not any(in_domains(host, (asked,)) for host in hosts):
            lost.append(domain)
    return tuple(lost)


def _read(manifest: Manifest, columns: Sequence[str]) -> pa.Table:
    tables = [PLACES.empty_table().select(columns)]
    for shard in manifest.shards:
        with storage.open_arrow(manifest.path(shard.output("places"))) as file:
            tables.append(pq.read_table(file, columns=list(columns)))
    return pa.concat_tables(tables)
