"""The columnar index of a crawl: Parquet files, of which only what can matter is read.

A snapshot's table is 300 files of a gigabyte, `cc-index/table/cc-main/warc/crawl=.../subset=warc/`,
sorted by SURT key. The footer says which row groups can hold wanted keys; of those the columns that
decide are read, and the others only where something was found. In: a file that can be read in
ranges. Out: places of pages.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.errors import InputError
from corpus.sources.crawl_index import PLACES, Selection, places
from corpus.sources.listed_keys import Keys

GAP = 1 << 18  # bytes between two columns that are read all the same; see `fetching.pieces`
_FOOTER = 1 << 16  # bytes that hold most footers; what pyarrow looks at first
_READS = 3  # of a file that does not decode
_OUT = ("url", "warc_filename", "warc_record_offset", "warc_record_length")
# Of these codecs only gzip has a checksum that finds what the way has changed.
_CHECKED = "GZIP"


class Ranges(Protocol):
    """A file that is read in ranges."""

    url: str

    def size(self) -> int:
        """Return the length of the file."""
        ...

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes [start, end)."""
        ...

    def read_agreed(self, start: int, end: int) -> bytes:
        """Return them, sure to be the file's although no checksum covers them."""
        ...


class _Held(io.RawIOBase):
    """The file for pyarrow: what is held already, and requests for the rest."""

    def __init__(self, ranges: Ranges) -> None:
        super().__init__()
        self._ranges = ranges
        self._size = ranges.size()
        self._at = 0
        self._held: list[tuple[int, bytes]] = []

    def hold(self, parts: Sequence[tuple[int, int]], *, agreed: bool) -> None:
        """Fetch parts [start, end) and let go of earlier ones."""
        read = self._ranges.read_agreed if agreed else self._ranges.read
        merged: list[tuple[int, int]] = []
        for start, end in sorted(parts):
            if merged and start - merged[-1][1] <= GAP:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self._held = []  # before the next are there: they may be large
        self._held = [(start, read(start, end)) for start, end in merged]

    def hold_footer(self) -> None:
        """Fetch the end of the file: nothing in it has a checksum."""
        self.hold([(max(0, self._size - _FOOTER), self._size)], agreed=True)

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        data = self._part(self._at, end) if end > self._at else b""
        self._at += len(data)
        return data

    def _part(self, start: int, end: int) -> bytes:
        for at, data in self._held:
            if at <= start and end <= at + len(data):
                return data[start - at : end - at]
        return self._ranges.read_agreed(start, end)  # a footer that is longer than most


def read(file: Ranges, selection: Selection, *, seed: int, limit: int | None) -> pa.Table:
    """Return the places of the wanted pages of one file of the index.

    Args:
        file: A Parquet file of the index.
        selection: Which pages.
        seed: The recipe's seed.
        limit: Most pages, or None.

    Returns:
        A table in the schema `PLACES`, in the order of the index, or of the draw with a limit.

    Raises:
        InputError: It is no such file, or is damaged at its source.
    """
    cause: Exception | None = None
    for _ in range(_READS):
        try:
            tables = list(_groups(file, selection, seed=seed, limit=limit))
        except (pa.ArrowException, OSError, KeyError, IndexError) as error:
            cause = error  # damage may be of the way; it is read anew
            continue
        table = pa.concat_tables([PLACES.empty_table(), *tables])
        if limit is not None:
            keys = [("draw", "ascending"), ("archive", "ascending"), ("offset", "ascending")]
            table = table.sort_by(keys).slice(0, limit)
        return table.combine_chunks()
    raise InputError(
        "this is not a file of the columnar index, or it is damaged", where=file.url, why=str(cause)
    )


def _groups(
    file: Ranges, selection: Selection, *, seed: int, limit: int | None
) -> Iterator[pa.Table]:
    held = _Held(file)
    held.hold_footer()
    parquet = pq.ParquetFile(pa.PythonFile(held, "r"), pre_buffer=False)
    schema = parquet.metadata.schema
    columns = {schema.column(i).path: i for i in range(parquet.metadata.num_columns)}

    def table(number: int, names: Sequence[str]) -> pa.Table:
        chunks = [parquet.metadata.row_group(number).column(columns[name]) for name in names]
        agreed = any(chunk.compression != _CHECKED for chunk in chunks)
        held.hold([_extent(chunk) for chunk in chunks], agreed=agreed)
        return parquet.read_row_group(number, columns=list(names), use_threads=False)

    first = _deciding(selection)
    rest = [name for name in _OUT if name not in first]
    for number in range(parquet.num_row_groups):
        extreme = _extremes(parquet.metadata.row_group(number), columns)
        if not selection.overlaps(*extreme):
            continue
        found = table(number, first)
        keys = selection.within(*extreme)
        mask = _wanted(found, selection, keys)
        if not pc.any(mask).as_py():
            continue
        found = found.filter(mask)
        more = table(number, rest).filter(mask)
        for name in rest:
            found = found.append_column(name, more[name])
        rows = zip(*(found[name].to_pylist() for name in _OUT), strict=True)
        there = [
            row
            for row in rows
            if selection.has_archive(row[1]) and selection.has_page(str(row[0]), keys)
        ]
        yield places(there, selection, seed=seed, limit=limit, where=file.url)


def _extent(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    return start, start + chunk.total_compressed_size


def _extremes(group: pq.RowGroupMetaData, columns: dict[str, int]) -> tuple[str, str]:
    """Return the first and the last key of a row group; of all keys if it does not say."""
    statistics = group.column(columns["url_surtkey"]).statistics
    if statistics is None or not statistics.has_min_max:
        return "", "\U0010ffff"
    return str(statistics.min), str(statistics.max)


def _deciding(selection: Selection) -> list[str]:
    """Return the columns that decide which pages are wanted."""
    columns = {
        "url_surtkey": bool(selection.urls or selection.listed),
        "url_host_name": bool(selection.hosts or selection.domains),
        "content_languages": bool(selection.languages),
        "content_mime_detected": bool(selection.mime),
        "warc_filename": selection.archives is not None,
    }
    return [name for name, needed in columns.items() if needed]


def _wanted(table: pa.Table, selection: Selection, keys: Keys) -> pa.ChunkedArray:
    """Return for each row of the deciding columns whether the page is wanted."""
    there = table.column_names
    addressed: list[pa.ChunkedArray] = []
    if "url_surtkey" in there:
        addressed.append(_each(table["url_surtkey"], keys.surts.__contains__))
    if "url_host_name" in there:
        addressed.append(_each(table["url_host_name"], selection.has_host))
    masks = [functools.reduce(pc.or_, addressed)] if addressed else []
    if "content_languages" in there:
        masks.append(_each(table["content_languages"], selection.has_language))
    if "content_mime_detected" in there:
        masks.append(_each(table["content_mime_detected"], selection.has_mime))
    if "warc_filename" in there:
        masks.append(_each(table["warc_filename"], selection.has_archive))
    return functools.reduce(pc.and_, masks)


def _each(column: pa.ChunkedArray, test: Callable[[Any], bool]) -> pa.ChunkedArray:
    """Return what a test says of each value; it is asked once for each that there is."""
    answers: list[pa.Array] = []
    for chunk in column.chunks:
        coded = pc.dictionary_encode(chunk)
        said = pa.array([test(value) for value in coded.dictionary.to_pylist()], pa.bool_())
        answers.append(pc.fill_null(said.take(coded.indices), test(None)))
    return pa.chunked_array(answers, pa.bool_())
