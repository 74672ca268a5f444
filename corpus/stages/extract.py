"""extract: archives, dumps and documents to text, written once.

In: the files that `crawl` made present. Out, for each of them: `part-*.parquet` (documents, in the
order of the input) and `dropped-part-*.parquet` (every row that was lost, with its reason).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from corpus import storage
from corpus.config import Extract, Recipe, Source, WebText
from corpus.crawl import links
from corpus.document import DropReason
from corpus.engine import Engine
from corpus.errors import BoundError
from corpus.extract.prefilter import Look, look_of
from corpus.extract.prefilter import digest as look_digest
from corpus.extract.shard import ExtractTask, extract_shard
from corpus.manifest import Manifest, Output, Shard, add_counts, fingerprint
from corpus.progress import Progress
from corpus.sources import multistream
from corpus.stage_folder import StageFolder, used

STAGE = "extract"
VERSION = 4  # of what this stage writes; raise it when the same input gives other rows

# Rows that were lost to damage or to a failing parser, as against rows that are no candidates.
FAILURES = frozenset(
    {
        DropReason.DAMAGED_RECORD,
        DropReason.TRUNCATED_RECORD,
        DropReason.MALFORMED,
        DropReason.EXTRACTION_TIMEOUT,
        DropReason.EXTRACTION_CRASH,
        DropReason.EXTRACTION_ERROR,
    }
)
# So few may be any share of a source that keeps something: one cut file is not yet a pattern.
FEW_FAILURES = 20

# What shapes the documents of archives; ready-made ones are not extracted.
_PAGE_KEYS = {
    "extractor",
    "timeout",
    "memory_bytes",
    "max_page_bytes",
    "max_document_bytes",
    "verify_digests",
}
_READERS = {
    "commoncrawl": "warc",
    "warc": "warc",
    "wikipedia": "wikipedia",
    "webtext": "webtext",
    "books": "books",
    "documents": "documents",
}
_MADE = {"crawl": "warc", "wikipedia": "wikipedia", "webtext": "documents", "books": "books"}


def run(
    recipe: Recipe, crawl: Manifest, output: str, engine: Engine, progress: Progress
) -> Manifest:
    """Write the text of every source.

    Raises:
        InputError: A file cannot be read at all, or is not of its kind.
        BoundError: More of a source's rows failed than `extract.max_failures` allows, or no row of
            ready-made documents has a text.
    """
    tasks: list[ExtractTask] = []
    steps: list[Manifest] = []
    look, looked_in = look_of(recipe, output, engine, progress)
    steps += looked_in
    for name, source in recipe.sources.items():
        tables: list[tuple[str, str]] = []
        if source.webtext is not None and source.webtext.commoncrawl is None:
            manifest = _links(name, source.webtext, crawl, output, engine, progress)
            files = [shard.output("links") for shard in manifest.shards]
            tables = [(manifest.path(file), file.sha256) for file in files]
            steps.append(manifest)
        own = look if source.filter else None
        tasks += _tasks(name, source, recipe.extract, crawl, tables, own)
    folder = StageFolder(
        output,
        STAGE,
        settings={
            "version": VERSION,
            **recipe.extract.model_dump(mode="json", exclude={"recycle_pages", "max_failures"}),
        },
        versions=_versions(recipe.extract, {task.reader for task in tasks}),
        tasks=tasks,
    )
    complete = folder.manifest()
    if complete is None:
        shards = folder.run(extract_shard, engine, progress)
        _check_failures(recipe, shards, folder.path)
        complete = folder.finish(shards, used(*steps))
    # The bound is not part of the fingerprint: it may be stricter now than when this was built.
    _check_failures(recipe, complete.shards, folder.path)
    return complete


def _versions(settings: Extract, readers: set[str]) -> dict[str, str]:
    """Return the versions of the libraries that shape what is written."""
    names = {"pycld2"}
    if readers & {"warc", "webtext"}:
        trafilatura = settings.extractor == "trafilatura"
        # resiliparse reads what trafilatura finds little in
        names |= {"resiliparse", "trafilatura", "lxml"} if trafilatura else {"resiliparse"}
    return {name: importlib.metadata.version(name) for name in sorted(names)}


def _tasks(
    name: str,
    source: Source,
    settings: Extract,
    crawl: Manifest,
    linked: Sequence[tuple[str, str]],
    look: Look | None,
) -> list[ExtractTask]:
    reader = _MADE[source.stdlib.make] if source.stdlib else _READERS[source.kind]
    if source.webtext is not None and source.webtext.commoncrawl is not None:
        reader = "warc"  # what was fetched is what is linked
    given = source.documents.fields if source.documents else {}
    fields: dict[str, str] = {ours: theirs for ours, theirs in given.items()}  # noqa: C416 - widens
    raw = reader in ("warc", "webtext")
    shape = _PAGE_KEYS if raw else {"max_document_bytes"}
    if not raw or (source.commoncrawl and source.commoncrawl.kind == "wet"):
        look = None  # what is text already costs no extraction
    looked = "" if look is None else look_digest(look)
    what = settings.model_dump(mode="json", include=shape)
    versions = _versions(settings, {reader})
    tasks: list[ExtractTask] = []
    for shard in crawl.of(name):
        offsets = next((crawl.path(table) for table in shard.all("offsets")), None)
        for file in shard.all("input"):
            file_name = _file_name(shard, file)
            beside = [table.sha256 for table in shard.all("offsets")]
            path = crawl.path(file)
            depends = (
                VERSION,
                name,
                reader,
                file_name,
                file.sha256,
                fields,
                [digest for _, digest in linked],
                what,
                beside,
                looked,
            )
            shared = multistream.stretches(path) if reader == "wikipedia" else []
            tasks += [
                ExtractTask(
                    name=f"part-{len(tasks) + number:05d}",
                    source=name,
                    key=fingerprint(STAGE, depends, versions, stretch),
                    weight=(stretch.end - stretch.start if stretch else file.bytes) + 1,
                    path=path,
                    file_name=file_name,
                    reader=reader,
                    fields=fields,
                    links=tuple(path for path, _ in linked),
                    offsets=offsets,
                    settings=settings,
                    stretch=stretch,
                    look=look,
                    stamp=str(shard.details.get("stamp", "")),
                )
                for number, stretch in enumerate(shared or [None])
            ]
    return tasks


def _file_name(shard: Shard, file: Output) -> str:
    """Return the stable name of a file, part of the documents' identifiers.

    What was fetched or made has the name of its shard before its own. A file that is read where it
    lies may begin with the name of a shard too, and not by our doing.
    """
    name = storage.name(file.path)
    ours = file.path.startswith(f"{shard.source}/{shard.name}-")
    return name.removeprefix(f"{shard.name}-") if ours else name


def _links(
    name: str, webtext: WebText, crawl: Manifest, output: str, engine: Engine, progress: Progress
) -> Manifest:
    """Find the pages that the submissions of a WebText source link to."""
    dumps = [
        links.Dump(crawl.path(file), _file_name(shard, file), file.bytes, file.sha256)
        for shard in crawl.of(name)
        for file in shard.all("submissions")
    ]
    return links.make_links(name, webtext, dumps, output, engine, progress)


def _check_failures(recipe: Recipe, shards: Sequence[Shard], folder: str) -> None:
    for name, source in recipe.sources.items():
        counts = add_counts(shard.counts for shard in shards if shard.source == name)
        textless = counts.dropped.get(DropReason.MISSING_TEXT, 0)
        if source.documents is not None and 1 < textless == counts.into:
            field = source.documents.fields.get("text", "text")
            raise BoundError(
                f"none of the {textless:,} rows of {name} has a text",
                where=folder,
                why=f"It is read from the field {field!r}, which they do not have, or empty",
                fix=f"Name the right one: sources.{name}.documents: {{paths: ..., fields: {{text: "
                "NAME}} (--text NAME of dedup-files)",
            )
        failed = {r: n for r, n in counts.dropped.items() if r in FAILURES}
        total = sum(failed.values())
        too_many = total > FEW_FAILURES and total > recipe.extract.max_failures * counts.into
        if too_many or (total and not counts.kept):
            listed = ", ".join(f"{reason} {number}" for reason, number in failed.items())
            raise BoundError(
                f"{total} of {counts.into} rows of {name} could not be read or extracted",
                where=folder,
                why=f"By reason: {listed}",
                fix=f"Look at {folder}/{name}/dropped-*.parquet; to go on all the same raise "
                "extract.max_failures",
            )
