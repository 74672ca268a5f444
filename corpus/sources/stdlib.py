"""The sources of the tiny recipe, made at run time from text that every Python carries.

In: a kind, a seed, and for the crawl a number of pages and the texts that some of them quote. Out:
files of the same formats as the real sources, which the ordinary readers then read:

=========  ==================================================  ==========================
kind       made of                                             files
=========  ==================================================  ==========================
crawl      classes and functions of the standard library       four `*.warc.gz`
wikipedia  topics of the language reference                    `*-pages-articles.xml.bz2`
webtext    documentation of whole modules, some long classes   `webtext.jsonl`
books      whole packages, one module a chapter                `<package>.txt`
=========  ==================================================  ==========================

No article is in two of them, except for those pages of the crawl that are meant to be
(`stdlib_crawl.SHARES["shared"]`). The same version of Python, seed and arguments give the same
bytes; another version of Python has other documentation and gives another tiny corpus. No network,
and nothing of the text is part of this package.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from corpus import storage
from corpus.document import identifier
from corpus.sources.stdlib_archive import write_warc_files
from corpus.sources.stdlib_articles import Article, Library, read_library
from corpus.sources.stdlib_crawl import plan_answers
from corpus.sources.stdlib_dump import write_dump

KINDS: Final = ("crawl", "wikipedia", "webtext", "books")


def write(kind: str, folder: Path, *, seed: int, pages: int, quote: Sequence[str]) -> list[Path]:
    """Write the files of one source and return their paths, in order of name.

    Takes a few seconds, most of them for reading the standard library, which is done once in a
    process. A crawl of 800 pages is about 1.5 MB.

    Args:
        kind: One of `KINDS`.
        folder: Where the files go; made if it is not there.
        seed: Decides what is drawn for the crawl. The other kinds draw nothing.
        pages: Answers in the crawl, errors and all; the other kinds have what there is.
        quote: Texts that the crawl shall quote, each on a page of its own word for word and on
            another disguised, and many of them together on a few long pages. The other kinds quote
            nothing.

    Raises:
        InputError: The Python installation carries no source files or no language reference.
        RecipeError: There are too few pages for the quotes.
        ValueError: The kind is not known.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, and has to be one of {', '.join(KINDS)}")
    library = read_library()
    if kind == "crawl":
        answers = plan_answers(library, seed=seed, pages=pages, quote=quote)
        return write_warc_files(answers, folder, seed=seed)
    if kind == "wikipedia":
        return [write_dump(library.wikipedia, folder)]
    if kind == "webtext":
        return [_write_webtext(library, folder)]
    return [_write_book(package, chapters, folder) for package, chapters in library.books]


def _write_webtext(library: Library, folder: Path) -> Path:
    lines = []
    for number, article in enumerate(library.webtext):
        url = f"https://essays.example/{article.name}"
        row = {
            "id": identifier("stdlib", "webtext", article.name),
            "url": url,
            "title": article.title,
            "date": f"2019-{number % 12 + 1:02}-{number % 28 + 1:02}T00:00:00Z",
            "text": article.text,
        }
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    path = folder / "webtext.jsonl"
    storage.write_bytes(str(path), "".join(lines).encode())
    return path


def _write_book(package: str, chapters: Sequence[Article], folder: Path) -> Path:
    parts = [f"The book of {package}"]
    for number, chapter in enumerate(chapters, start=1):
        parts += [f"Chapter {number}. {chapter.title}", chapter.text]
    path = folder / f"{package}.txt"
    storage.write_bytes(str(path), ("\n\n".join(parts) + "\n").encode())
    return path
