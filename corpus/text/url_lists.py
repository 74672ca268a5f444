"""Lists of blocked addresses: millions of them as sorted 64-bit hashes, asked by the column.

An entry is a domain, which stands for its sub-domains too, or a host with the beginning of a path,
which stands for the paths that go on with a slash. What is compared is one form of an address: host
and path in lower case, percent-encoding undone where it may be (RFC 3986, 6.2.2), international
names in their ASCII form (IDNA 2003); scheme, user, port, query, fragment, dots at the ends of the
host and slashes at the end of the path are left out. Beyond that

- `www.example.com` stands for itself, what is below it and `example.com`, not for the other hosts
  of the domain; before a path, `www.` does not count;
- an IP address stands for itself alone, and so does what looks like a registry that sells names,
  such as `com` or `co.uk`: a stray line must not cost a country;
- a host that IDNA cannot write in ASCII falls under no entry.

Two addresses have the same hash with a probability of 2^-64: with n entries, an address is taken
for one of them by mistake with a probability of some 4·n/2^64, 10^-12 for the five million of UT1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.text import url_kernels
from corpus.text.ngrams import text_buffers

DEEPEST = 64  # components of a path that an entry may have
MOST_LISTS = 1 << 16
# Labels under a country's domain below which names are sold or given out, such as co.uk.
_REGISTRIES = (
    *("ac", "ad", "co", "com", "ed", "edu", "gc", "go", "gob", "gouv", "gov", "govt", "gr", "id"),
    *("info", "lg", "ltd", "me", "mil", "ne", "net", "nhs", "nom", "or", "org", "plc", "sch"),
)
REGISTRIES = np.array([int.from_bytes(label.encode()) for label in _REGISTRIES], np.uint64)


@dataclass(frozen=True)
class UrlIndex:
    """The entries of lists.

    Attributes:
        hashes: uint64, sorted and distinct.
        lists: uint16; for each of them the number of the first list that has it.
        names: The names of the lists.
        buckets: int64; for each value of a hash's top bits, where in `hashes` these begin.
        shift: How far a hash is shifted for its top bits.
    """

    hashes: npt.NDArray[np.uint64]
    lists: npt.NDArray[np.uint16]
    names: tuple[str, ...]
    buckets: npt.NDArray[np.int64]
    shift: int


def url_index(
    hashes: npt.NDArray[np.uint64], lists: npt.NDArray[np.uint16], names: Sequence[str]
) -> UrlIndex:
    """Return the index of sorted distinct hashes and the lists that they are from."""
    bits = max(1, min(24, len(hashes).bit_length() - 4))
    edges = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    buckets = np.append(np.searchsorted(hashes, edges), len(hashes))
    return UrlIndex(hashes, lists, tuple(names), buckets, 64 - bits)


def entry_hashes(entries: pa.Array) -> tuple[npt.NDArray[np.uint64], int]:
    """Return the hashes that stand for the entries of a list.

    Args:
        entries: StringArray or LargeStringArray without nulls.

    Returns:
        The hashes, in no order, and the number of entries that are no address.
    """
    data, offsets = text_buffers(entries)
    hashes, rows, wide = url_kernels.entry_hashes(data, offsets, REGISTRIES)
    readable = len(np.unique(rows))
    if len(wide):
        _, written = _with_ascii_hosts(entries, wide)
        more, of_wide = entry_hashes(written)
        hashes = np.concatenate([hashes, more])
        readable += len(written) - of_wide
    return hashes, len(entries) - readable


def find(urls: pa.Array, index: UrlIndex) -> pa.StringArray:
    """Return under which entry each URL falls.

    Args:
        urls: StringArray or LargeStringArray of n URLs; there may be nulls.
        index: The lists.

    Returns:
        `list: entry` for each, or null.
    """
    valid = np.asarray(urls.is_valid().to_numpy(zero_copy_only=False))
    urls = urls.fill_null("")
    data, offsets = text_buffers(urls)
    found, entries, bounds, wide = url_kernels.find_urls(
        data, offsets, valid, index.hashes, index.buckets, index.shift, DEEPEST
    )
    said = np.full(len(urls), None, dtype=object)
    for row in np.flatnonzero(found >= 0):  # few: most pages are on no list
        entry = entries[bounds[row] : bounds[row + 1]].tobytes().decode("ascii")
        said[row] = f"{index.names[index.lists[found[row]]]}: {entry}"
    if len(wide):
        rows, written = _with_ascii_hosts(urls, wide)
        if len(rows):
            said[rows] = find(written, index).to_numpy(zero_copy_only=False)
    return pa.array(said, pa.string())


def _with_ascii_hosts(
    addresses: pa.Array, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return the rows whose hosts can be written in ASCII, and the addresses written so."""
    written = list(_ascii_hosts(addresses.take(pa.array(rows))))
    good = [address is not None for address in written]
    return rows[good], pa.array([a for a in written if a is not None], pa.large_string())


def _ascii_hosts(addresses: pa.Array) -> Iterator[str | None]:
    data, offsets = text_buffers(addresses)
    for row, (first, last) in enumerate(url_kernels.hosts_of(data, offsets).tolist()):
        parts = (offsets[row], first), (first, last), (last, offsets[row + 1])
        before, host, behind = (data[a:b].tobytes().decode("utf-8", "replace") for a, b in parts)
        try:
            ascii_host = host.strip(".").encode("idna").decode("ascii")
        except UnicodeError:  # an empty label, one that is too long, a character that is refused
            yield None
        else:
            yield f"{before}{ascii_host}{behind}"
