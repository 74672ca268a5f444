"""Writes documents and drops to Parquet, in order, in bounded memory."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from corpus import storage
from corpus.document import DOCUMENT_SCHEMA, DROP_SCHEMA, Document, Drop, Place
from corpus.manifest import Counts, Output, Shard
from corpus.stage_folder import describe_output
from corpus.text import language

GROUP_BYTES = 8 * 2**20  # of text in a row group: what a reader holds at a time
GROUP_ROWS = 8192
FILE_BYTES = 256 * 2**20  # of text in a file; then the next begins, so that later stages share out
LANGUAGE_BYTES = 4096  # of a document that language identification looks at


class DocumentWriter:
    """Writes one input file's documents (`<name>-0000.parquet`, ...) and drops.

    Args:
        folder: The stage's folder.
        source: Name of the source.
        name: Name of the shard.
    """

    def __init__(self, folder: str, source: str, name: str) -> None:
        self._folder, self._source, self._name = folder, source, name
        self._documents: list[Document] = []
        self._bytes = self._file_bytes = self._text_bytes = self._kept = self._file_rows = 0
        self._dropped: dict[str, int] = {}
        self._outputs: list[Output] = []
        self._open: contextlib.ExitStack | None = None
        self._file: Any = None
        self._path = ""
        self._drops: list[Drop] = []
        self._drop_stack = contextlib.ExitStack()
        self._drop_path = f"{source}/dropped-{name}.parquet"
        self._drop_file: Any = None

    def __enter__(self) -> DocumentWriter:
        target = storage.join(self._folder, self._drop_path)
        temporary = self._drop_stack.enter_context(storage.publish(target))
        self._drop_file = self._drop_stack.enter_context(_parquet(temporary, DROP_SCHEMA))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:  # nothing half-written is published
            if self._open is not None:
                self._open.__exit__(kind, error, trace)
            self._drop_stack.__exit__(kind, error, trace)

    def add(self, item: Document | Drop) -> None:
        """Take the next row of the input."""
        if isinstance(item, Drop):
            self._dropped[item.reason] = self._dropped.get(item.reason, 0) + 1
            self._drops.append(item)
            if len(self._drops) >= GROUP_ROWS:
                self._flush_drops()
            return
        self._documents.append(item)
        self._bytes += len(item.text)
        if self._bytes >= GROUP_BYTES or len(self._documents) >= GROUP_ROWS:
            self._flush_documents()

    def finish(self, key: str) -> Shard:
        """Publish the files and return the shard."""
        self._flush_documents()
        if self._open is None and not self._outputs:
            self._begin()  # an input without documents still has its file
        self._end()
        self._flush_drops()
        self._drop_stack.close()
        rows = sum(self._dropped.values())
        self._outputs.append(describe_output(self._folder, self._drop_path, "dropped", rows))
        return Shard(
            name=self._name,
            source=self._source,
            key=key,
            outputs=tuple(self._outputs),
            counts=Counts(self._kept + rows, self._kept, dict(sorted(self._dropped.items()))),
            measures={"text_bytes": self._text_bytes},
        )

    def _begin(self) -> None:
        self._path = f"{self._source}/{self._name}-{len(self._outputs):04d}.parquet"
        self._open = contextlib.ExitStack()
        temporary = self._open.enter_context(
            storage.publish(storage.join(self._folder, self._path))
        )
        self._file = self._open.enter_context(_parquet(temporary, DOCUMENT_SCHEMA))
        self._file_bytes = self._file_rows = 0

    def _end(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
            self._outputs.append(
                describe_output(self._folder, self._path, "documents", self._file_rows)
            )

    def _flush_documents(self) -> None:
        if not self._documents:
            return
        if self._open is None:
            self._begin()
        table = document_table(self._documents, self._source)
        self._file.write_table(table)
        size = int(pa.compute.sum(pa.compute.binary_length(table["text"])).as_py())
        self._text_bytes += size
        self._file_bytes += size
        self._file_rows += table.num_rows
        self._kept += table.num_rows
        self._documents, self._bytes = [], 0
        if self._file_bytes >= FILE_BYTES:
            self._end()

    def _flush_drops(self) -> None:
        if self._drops:
            rows = [
                {
                    "id": drop.id,
                    "source": self._source,
                    "url": _clean(drop.url),
                    "reason": str(drop.reason),
                    "detail": _clean(drop.detail),
                    **_place(drop.place),
                }
                for drop in self._drops
            ]
            self._drop_file.write_table(pa.Table.from_pylist(rows, schema=DROP_SCHEMA))
            self._drops = []


def document_table(documents: list[Document], source: str) -> pa.Table:
    """Return documents as a table in `DOCUMENT_SCHEMA`, with their languages."""
    text = pa.array([_clean(document.text) for document in documents], pa.large_string())
    languages, scores = language.identify(text, maximum_bytes=LANGUAGE_BYTES)
    places = [_place(document.place) for document in documents]
    columns = {
        "id": [document.id for document in documents],
        "source": [source] * len(documents),
        "url": [_clean(document.url) for document in documents],
        "date": [document.date for document in documents],
        "title": [_clean(document.title) for document in documents],
        "text": text,
        "language": languages,
        "language_score": pa.array(scores, pa.float32()),
        **{key: [place[key] for place in places] for key in _place(Place())},
    }
    return pa.table(columns, schema=DOCUMENT_SCHEMA)


def _clean(text: str | None) -> str | None:
    """Replace lone surrogates, which UTF-8 cannot hold."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8") if _has_surrogate(text) else text


def _has_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _place(place: Place) -> dict[str, str | int | None]:
    return {
        "warc_file": place.warc_file,
        "warc_offset": place.warc_offset,
        "dump": place.dump,
        "page": place.page,
    }


def _parquet(path: Any, schema: pa.Schema) -> Any:
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["source"])
