"""Wikitext to prose, in time linear in the page.

Wikitext of one page goes in, the text that a reader would read comes out: link texts, headings and
list items as lines; templates, tables, references, pictures, categories, formulas and the sections
that close an article (References, See also, ...) are left out. (GPT-3 has Wikipedia in its mix,
Table 2.2; the paper does not say how it was made into text.)

Brackets are matched in one pass (`corpus.sources.wikitext_brackets`). A general parser
(mwparserfromhell) backtracks over unclosed marks: 80 kB of `{{a|` or 150 kB of `<b>` cost it a
minute or two, which nothing outside the process could interrupt.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection

from corpus.sources.wikipedia_words import SECTIONS, UNSHOWN_NAMESPACES
from corpus.sources.wikitext_brackets import matched

_UNSHOWN_TAGS = (
    "ref", "references", "gallery", "math", "chem", "ce", "score", "timeline", "hiero", "graph",
    "mapframe", "maplink", "templatestyles", "templatedata", "syntaxhighlight", "source",
    "imagemap", "inputbox", "categorytree", "indicator", "section", "style", "script",
)  # fmt: skip
_TAG_OPENS = re.compile(rf"<(nowiki|pre|{'|'.join(_UNSHOWN_TAGS)})\b([^<>]*+)>", re.IGNORECASE)
# Marks that a <nowiki> protects, as entities: they are read last.
_PROTECTED = {ord(mark): f"&#{ord(mark)};" for mark in "{}[]|'=*#:;<>_-"}

_EXTERNAL = re.compile(
    r"\[(?:(?:https?|ftp|irc|news|git|svn)://|//|mailto:)[^\s\[\]<>]++[ \t]*+([^\[\]\n]*+)\]",
    re.IGNORECASE,
)
_EXTERNAL_OPEN = re.compile(r"\[(?=(?:https?|ftp)://)", re.IGNORECASE)
_BREAKS = re.compile(
    r"</?(?:br|hr|p|div|li|ul|ol|dl|dt|dd|tr|td|th|blockquote|center|h[1-6]|poem|caption)\b"
    r"[^<>]*+>",
    re.IGNORECASE,
)
_TAGS = re.compile(
    r"</?ref\b(?:[^<>]*+>)?|</?(?:abbr|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|includeonly|ins|kbd|mark|meta|link"
    r"|noinclude|onlyinclude|noscript|q|rb|rp|rt|rtc|ruby|s|samp|small|span|strike|strong|sub|sup"
    r"|table|tbody|thead|time|tt|u|var|wbr|nobr|references|nowiki|pre|img|a|translate|tvar"
    r"|gallery|math)\b[^<>]*+>",
    re.IGNORECASE,
)
_QUOTES = re.compile(r"'{2,}+")
_MAGIC = re.compile(r"__([^\W_]++)__")
_VARIANT = re.compile(r"-\{([^{}]*+)\}-")
_VARIANT_FLAG = re.compile(r"[A-Z;]*+\|")
_TABLE_LINE = re.compile(r"[ \t]*+(?:\{\||\|\}|\|-|\|\+)")
_SPACES = re.compile(r"[ \t\u00a0\u2002-\u200a\u202f\u205f\u3000]++")
_EMPTY_BRACKETS = re.compile(r" ?[(（][ ,;:、，；]*+[)）]")
_OPENING = re.compile(r"([(（])[ ,;]++")
_LOOSE = re.compile(r" (?=[,.)）])")
_MARKS = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|</?ref(?:erences)?", re.IGNORECASE)


def prose(text: str, *, language: str, namespaces: Collection[str]) -> str:
    """Return the prose of a page.

    Args:
        text: Wikitext.
        language: Code of the wiki's language, which decides what closing sections are called.
        namespaces: The wiki's own names, in lower case, of the namespaces whose links show no
            text: Media, File and Category. The common ones are known without.

    Returns:
        Paragraphs, headings and list items as lines, an empty line between blocks; empty when the
        page has no prose.
    """
    if "&lt;ref" in text and "<ref" not in text:
        text = html.unescape(text)  # a dump that was escaped twice
    text = _without_comments(text.replace("\r\n", "\n").replace("\x00", ""))
    text = _without_tags(text)
    text = matched(text, UNSHOWN_NAMESPACES | frozenset(namespaces))
    text = _VARIANT.sub(_variant, text)
    text = _EXTERNAL_OPEN.sub("", _EXTERNAL.sub(r"\1", text))
    text = _TAGS.sub("", _BREAKS.sub("\n", text))
    text = _MAGIC.sub(_magic, _QUOTES.sub(_quotes, text))
    closing = SECTIONS["en"] | SECTIONS.get(language.split("-")[0].lower(), frozenset())
    return _joined(_blocks(text, closing))


def templates(text: str) -> set[str]:
    """Return the names, in lower case, of the templates that a page calls."""
    found = re.findall(r"\{\{\s*+([^{}|<>\[\]\n#]{1,100}+)", text)
    return {" ".join(name.replace("_", " ").split()).lower() for name in found}


def _without_comments(text: str) -> str:
    parts = []
    start = 0
    while (opened := text.find("<!--", start)) >= 0:
        parts.append(text[start:opened])
        closed = text.find("-->", opened + 4)
        if closed < 0:  # MediaWiki: an open comment reaches to the end
            return "".join(parts)
        start = closed + 3
    return "".join([*parts, text[start:]])


def _without_tags(text: str) -> str:
    """Take out the tags whose content is no prose; protect what is between <nowiki> tags."""
    parts = []
    start = 0
    unclosed: set[str] = set()
    while opened := _TAG_OPENS.search(text, start):
        tag = opened[1].lower()
        parts.append(text[start : opened.start()])
        start = opened.end()
        if opened[2].endswith("/") or tag in unclosed:
            continue
        closed = re.compile(rf"</{tag}\s*+>", re.IGNORECASE).search(text, start)
        if closed is None:
            unclosed.add(tag)  # never looked for again: the pass stays linear
            continue
        if tag in ("nowiki", "pre"):
            parts.append(text[start : closed.start()].translate(_PROTECTED))
        start = closed.end()
    return "".join([*parts, text[start:]])


def _variant(match: re.Match[str]) -> str:
    """Return the first variant of `-{zh-hans:...;zh-hant:...}-`, Chinese language conversion."""
    body = match[1]
    flag = _VARIANT_FLAG.match(body)
    if flag:
        if any(letter in flag[0] for letter in "THD-"):
            return ""
        body = body[flag.end() :]
    first = body.split(";", 1)[0]
    return first.split(":", 1)[1] if first.startswith("zh") and ":" in first else first


def _quotes(match: re.Match[str]) -> str:
    count = len(match[0])
    return "'" if count == 4 else "'" * max(0, count - 5)


def _magic(match: re.Match[str]) -> str:
    # __TOC__ and its like; __init__ is a word of an article about Python.
    return match[0] if any(character.islower() for character in match[1]) else ""


def _blocks(text: str, closing: Collection[str]) -> list[tuple[int, str]]:
    """Return lines with the level of their heading, 0 for prose; closing sections left out."""
    blocks: list[tuple[int, str]] = []
    skipped = 0  # level of the section that is being left out
    for raw in text.split("\n"):
        line = raw.strip()
        level = 0
        if not line:
            blocks.append((0, ""))
            continue
        if line.startswith("=") and line.endswith("=") and len(line) > 2:
            left = len(line) - len(line.lstrip("="))
            right = len(line) - len(line.rstrip("="))
            level = min(left, right, 6)
            line = line[level:-level]
        elif line.startswith("----") or _TABLE_LINE.match(line):
            continue
        else:
            line = line.lstrip("*#:;")
        line = _clean(line)
        if level:
            if skipped and level > skipped:
                continue
            skipped = level if line.lower().strip(" :.") in closing else 0
            if skipped:
                continue
        if not skipped:
            blocks.append((level, line))
    return blocks


def _clean(line: str) -> str:
    if _MARKS.search(line):
        # Taking a mark out can join its neighbours to another one; a space cannot.
        line = _MARKS.sub(" ", _MARKS.sub("", line))
    line = _SPACES.sub(" ", html.unescape(line))
    line = _EMPTY_BRACKETS.sub("", line)
    line = _LOOSE.sub("", _OPENING.sub(r"\1", line))
    return line.replace("\r", "").strip()


def _joined(blocks: list[tuple[int, str]]) -> str:
    """Join lines; headings with nothing under them are left out."""
    kept: list[str] = []
    # Seen from the end: the smallest level of a heading between here and the next prose. A heading
    # has prose under it only if its own level is smaller. No prose so far: 0.
    smallest = 0
    for level, line in reversed(blocks):
        if not level:
            kept.append(line)
            smallest = 7 if line else smallest
            continue
        if line and level < smallest:
            kept.extend(("", line, ""))
        smallest = min(smallest, level)
    return re.sub(r"\n{3,}+", "\n\n", "\n".join(reversed(kept))).strip()
