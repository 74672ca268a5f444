"""Articles out of the documentation that every Python installation carries.

In: the source files of the installed standard library, parsed and never imported, and the topics
of the language reference (`pydoc_data.topics`, a module of one dictionary). Out: a `Library` of
articles, divided once and for all among the four tiny sources, so that no article belongs to two.

The text is that of the interpreter at hand: another version of Python gives another library.
Modules that distributions package apart (tkinter, idlelib, tests, ...) are left out, so that one
version gives one library on every machine.
"""

from __future__ import annotations

import ast
import functools
import gc
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from corpus.errors import InputError

# fmt: off
SKIPPED_MODULES = (
    "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "this", "tkinter",
    "turtledemo", "venv",
)
# fmt: on
# The packages with the most documentation; a book has one module a chapter.
BOOK_PACKAGES = ("asyncio", "email", "importlib", "logging", "unittest", "xml")

SHORTEST_ARTICLE = 60  # words
LONGEST_ARTICLE = 450  # words after which a page goes on in a next part
SHORTEST_ESSAY = 80  # words of a module's own documentation, to be an article of WebText
CRAWLED_TOPICS = 6  # every sixth topic of the language reference is a page of the crawl
ESSAY_CLASSES = 3  # every third long class is an article of WebText

_HEADING_MARKS = {"*": 1, "=": 2, "-": 3, "~": 4, "^": 4, '"': 4}
_BULLET = re.compile(r"^\s*[-*•]\s+")
_PROSE = re.compile(r"[A-Za-z,.;' ]")
_CODE = re.compile(
    r"::=| = |^\s*(>>>|from \w+ import )|^\s*(if|for|while|def|class|try|with|async)\b.*:", re.M
)


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, heading, list (one item a line) or piece of code."""

    kind: Literal["heading", "paragraph", "list", "code"]
    text: str
    level: int = 2  # of a heading, as in HTML


@dataclass(frozen=True, slots=True)
class Article:
    """One article: a unique name that serves as its address, a title, and its blocks."""

    name: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def words(self) -> int:
        """Words between white space, code included."""
        return sum(len(block.text.split()) for block in self.blocks)

    @property
    def text(self) -> str:
        """Plain text: blocks divided by empty lines, code indented by four spaces."""
        parts = []
        for block in self.blocks:
            before = {"code": "    ", "list": "- "}.get(block.kind, "")
            parts.append("\n".join(before + line for line in block.text.splitlines()))
        return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Library:
    """What the installation holds, divided among the sources; articles in order of name."""

    crawl: tuple[Article, ...]
    webtext: tuple[Article, ...]
    wikipedia: tuple[Article, ...]
    books: tuple[tuple[str, tuple[Article, ...]], ...]  # package, its chapters


def parse_blocks(text: str) -> tuple[Block, ...]:
    """Divide a docstring into blocks at its empty lines.

    Prose that is wrapped at some width becomes one line again. An indented chunk is code when it
    looks like statements or grammar, or when under four fifths of its characters are of prose.
    """
    # Control characters and lone surrogates, which docstrings about codecs hold, fit in no XML.
    clean = text.expandtabs()
    if not clean.replace("\n", "").isprintable():
        clean = "".join(c for c in clean if c == "\n" or c.isprintable())
    blocks = []
    for chunk in re.split(r"\n\s*\n", clean.strip("\n")):
        lines = [line.rstrip() for line in chunk.splitlines() if line.strip()]
        if not lines:
            continue
        bare = lines[-1].strip()
        indented = all(line.startswith("  ") for line in lines)
        prose = len(_PROSE.findall(chunk)) / len(chunk)
        if len(lines) == 2 and len(bare) >= 3 and len(set(bare)) == 1 and bare[0] in _HEADING_MARKS:
            blocks.append(Block("heading", lines[0].strip(), _HEADING_MARKS[bare[0]]))
        elif lines[0].lstrip().startswith(">>>") or (
            indented and (prose < 0.8 or _CODE.search(chunk))
        ):
            blocks.append(Block("code", inspect.cleandoc("\n" + "\n".join(lines))))
        elif _BULLET.match(lines[0]):
            items: list[str] = []
            for line in lines:
                if _BULLET.match(line):
                    items.append(_BULLET.sub("", line))
                else:
                    items[-1] += " " + line.strip()
            blocks.append(Block("list", "\n".join(items)))
        else:
            blocks.append(Block("paragraph", " ".join(line.strip() for line in lines)))
    return tuple(blocks)


def _source_files() -> Iterator[tuple[str, Path]]:
    """Yield dotted module names and their files, in order of name."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    wanted = sys.stdlib_module_names.difference(SKIPPED_MODULES)
    for top in root.iterdir():  # site-packages lies among them, and may be large
        if top.name.removesuffix(".py") not in wanted:
            continue
        for path in top.rglob("*.py") if top.is_dir() else [top]:
            parts = path.relative_to(root).with_suffix("").parts
            if path.suffix == ".py" and not {"test", "tests", "__main__"}.intersection(parts):
                found.append((".".join(parts).removesuffix(".__init__"), path))
    if not found:
        raise InputError(
            "this Python installation carries no source files of its standard library",
            where=str(root),
            why="The tiny recipe makes its pages out of their documentation",
            fix="Use an ordinary installation of Python, or a recipe with pages of its own",
        )
    return iter(sorted(found))


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> str:
    arguments = ast.unparse(node.args)
    name = f"{owner}.{node.name}" if owner else node.name
    return f"{name}({arguments if len(arguments) <= 80 else '...'})"


def _documented(node: ast.Module | ast.ClassDef, owner: str) -> Iterator[Block]:
    """Yield the documentation of the functions in a module or class, each under its signature."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            private = child.name.startswith("_") and not child.name.endswith("__")
            documentation = ast.get_docstring(child)
            if documentation and not private:
                yield Block("heading", _signature(child, owner), 2)
                yield from parse_blocks(documentation)


def _parts(name: str, title: str, blocks: Sequence[Block]) -> Iterator[Article]:
    """Yield one article, or several when it is long; it is divided at headings only."""
    parts: list[list[Block]] = [[]]
    words = 0
    for block in blocks:
        if block.kind == "heading" and words >= LONGEST_ARTICLE:
            parts.append([])
            words = 0
        parts[-1].append(block)
        words += len(block.text.split())
    for number, part in enumerate(parts, start=1):
        if number == 1:
            yield Article(name, title, tuple(part))
        else:
            yield Article(f"{name}-{number}", f"{title}, part {number}", tuple(part))


def _read_module(module: str, path: Path) -> tuple[tuple[Block, ...], list[Article], list[Block]]:
    """Return a module's own documentation, its long classes as articles, and all the rest."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        raise InputError(
            "a source file of the standard library cannot be read",
            where=str(path),
            why=str(error),
            fix="Repair or reinstall Python",
        ) from error
    classes: list[Article] = []
    rest = list(_documented(tree, ""))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            blocks = [*parse_blocks(ast.get_docstring(node) or ""), *_documented(node, node.name)]
            if sum(len(block.text.split()) for block in blocks) >= SHORTEST_ARTICLE:
                title = f"The class {node.name} of {module}"
                classes += _parts(f"{module}.{node.name}", title, blocks)
            elif blocks:
                rest += [Block("heading", f"class {node.name}", 2), *blocks]
    return parse_blocks(ast.get_docstring(tree) or ""), classes, rest


def _topics() -> Iterator[Article]:
    """Yield the topics of the language reference."""
    try:
        from pydoc_data.topics import topics  # a dictionary of text and nothing else
    except ImportError as error:
        raise InputError(
            "this Python installation carries no language reference",
            where="pydoc_data.topics",
            why=str(error),
            fix="Use an ordinary installation of Python, or a recipe with pages of its own",
        ) from error
    for name, text in sorted(topics.items()):
        blocks = parse_blocks(text)
        title = name.replace("-", " ").capitalize()
        if blocks and blocks[0].kind == "heading":
            title, blocks = blocks[0].text, blocks[1:]
        yield Article(f"topic.{name}", title.replace('"', ""), blocks)


def _modules() -> Iterator[tuple[str, tuple[Block, ...], list[Article], list[Block]]]:
    """Yield the name of each module, and what `_read_module` returns of it."""
    collects = gc.isenabled()
    gc.disable()  # a syntax tree has no cycles, and to look for them takes a fifth of the time
    try:
        for module, path in _source_files():
            yield module, *_read_module(module, path)
    finally:
        if collects:
            gc.enable()


@functools.cache
def read_library() -> Library:
    """Return the library of the running interpreter; a few seconds the first time.

    Raises:
        InputError: The installation carries no source files or no language reference.
    """
    crawl: list[Article] = []
    webtext: list[Article] = []
    books: dict[str, list[Article]] = {package: [] for package in BOOK_PACKAGES}
    long_classes = 0
    for module, own, classes, rest in _modules():
        package = module.split(".", 1)[0]
        if package in books:
            chapter = (*own, *(block for item in classes for block in item.blocks), *rest)
            if chapter:
                books[package].append(Article(module, f"The module {module}", chapter))
            continue
        essay = Article(module, f"The module {module}", own)
        if essay.words >= SHORTEST_ESSAY:
            webtext.append(essay)
        else:
            rest = [*own, *rest]
        crawl += _parts(f"{module}.functions", f"The functions of {module}", rest)
        for article in classes:
            long_classes += article.words >= 2 * SHORTEST_ARTICLE
            chosen = article.words >= 2 * SHORTEST_ARTICLE and long_classes % ESSAY_CLASSES == 0
            (webtext if chosen else crawl).append(article)
    topics = list(_topics())
    crawl += topics[CRAWLED_TOPICS - 1 :: CRAWLED_TOPICS]
    wikipedia = [t for n, t in enumerate(topics, start=1) if n % CRAWLED_TOPICS]
    return Library(
        crawl=tuple(sorted(_long(crawl), key=lambda article: article.name)),
        webtext=tuple(webtext),
        wikipedia=tuple(_long(wikipedia)),
        books=tuple((package, tuple(chapters)) for package, chapters in sorted(books.items())),
    )


def _long(articles: Sequence[Article]) -> list[Article]:
    return [article for article in articles if article.words >= SHORTEST_ARTICLE]
