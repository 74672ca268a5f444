"""One input file to text: its pages, looked at and extracted, or its ready-made documents.

In: an `ExtractTask`, made by `corpus.stages.extract`. Out: a shard with its documents and drops.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corpus import storage
from corpus.config import Extract
from corpus.crawl.links import linked_urls
from corpus.document import Document, Drop, DropReason, Page
from corpus.document_writer import DocumentWriter
from corpus.errors import InputError
from corpus.extract.prefilter import Look, Looks, looked
from corpus.extract.sandbox import Failure, Sandbox
from corpus.manifest import Shard
from corpus.parts import write_table
from corpus.sources.multistream import Stretch


@dataclass(frozen=True)
class ExtractTask:
    """One file to read.

    Attributes:
        path: The file.
        file_name: Its stable name, part of the documents' identifiers.
        reader: Which source module reads it.
        fields: For documents: the file's names of our fields.
        links: For WebText: the paths of the tables of linked pages.
        offsets: For pages chosen from an archive: the path of the table of their places in it.
        stretch: Of a dump that is shared out: the part of it that is read here.
        settings: How pages become text.
        look: What is looked at before a page is extracted, or None when all are.
        stamp: Of a file that is read where it lies: size and time when its digest was taken.
    """

    name: str
    source: str
    key: str
    weight: int
    path: str
    file_name: str
    reader: str
    fields: Mapping[str, str]
    links: tuple[str, ...]
    offsets: str | None
    settings: Extract
    stretch: Stretch | None = None
    look: Look | None = None
    stamp: str = ""
    folder: str = ""


def extract_shard(task: ExtractTask) -> Shard:
    """Read one file to its end and write its documents and its drops."""
    looks = Looks()
    with DocumentWriter(task.folder, task.source, task.name) as writer:
        for item in _documents(task, looks):
            writer.add(item)
        if task.stamp and storage.stamp(task.path) != task.stamp:
            raise InputError(
                "the file has changed since the build began",
                where=task.path,
                fix="Run the same command again: it reads the file as it is now",
            )
        shard = writer.finish(task.key)
    if task.look is None:
        return shard
    path = f"{task.source}/looks-{task.name}.parquet"
    output = write_table(task.folder, path, looks.table(), "looks")
    look = task.look
    details = {"look": {"alpha": look.alpha, "margin": look.margin, "audit": look.audit}}
    return dataclasses.replace(shard, outputs=(*shard.outputs, output), details=details)


def _documents(task: ExtractTask, looks: Looks) -> Iterator[Document | Drop]:
    settings = task.settings
    if task.reader == "documents":
        from corpus.sources import documents

        yield from documents.read(
            task.path,
            name=task.file_name,
            fields=task.fields,
            max_document_bytes=settings.max_document_bytes,
        )
    elif task.reader == "wikipedia":
        from corpus.sources import wikipedia

        yield from wikipedia.read(
            task.path,
            name=task.file_name,
            max_document_bytes=settings.max_document_bytes,
            stretch=task.stretch,
        )
    elif task.reader == "books":
        from corpus.sources import books

        yield from books.read(
            task.path, name=task.file_name, max_document_bytes=settings.max_document_bytes
        )
    else:
        yield from _extracted(_pages(task), task, looks)


def _pages(task: ExtractTask) -> Iterator[Page | Drop]:
    limit, verify = task.settings.max_page_bytes, task.settings.verify_digests
    if task.reader == "webtext":
        from corpus.sources import webtext

        linked = linked_urls(task.links)
        return webtext.read(
            task.path,
            name=task.file_name,
            linked=linked,
            max_page_bytes=limit,
            verify_digests=verify,
        )
    from corpus.sources import warc

    return warc.read(
        task.path,
        name=task.file_name,
        max_page_bytes=limit,
        offsets=task.offsets,
        verify_digests=verify,
    )


def _extracted(
    pages: Iterator[Page | Drop], task: ExtractTask, looks: Looks
) -> Iterator[Document | Drop]:
    """Yield the documents of pages, extracted in a process that may crash or hang."""
    with contextlib.ExitStack() as stack:
        if task.look is not None:
            cheap = stack.enter_context(_sandbox(task.settings, "none"))
            pages = looked(pages, task.look, cheap, looks)
        sandbox = stack.enter_context(_sandbox(task.settings, task.settings.extractor))
        for page, result in sandbox.map(pages):
            if isinstance(page, Drop):
                yield page
            elif isinstance(result, Failure):
                yield Drop(page.id, page.url, result.reason, result.detail, page.place)
            elif result is None or not result.text:
                yield Drop(page.id, page.url, DropReason.NO_TEXT, None, page.place)
            else:
                yield Document(page.id, page.url, page.date, result.title, result.text, page.place)


def _sandbox(settings: Extract, extractor: str) -> Sandbox:
    return Sandbox(
        extractor=extractor,
        timeout=settings.timeout,
        memory_bytes=settings.memory_bytes,
        recycle_pages=settings.recycle_pages,
    )
