"""The topics of Python's language reference as a Wikipedia dump: `pages-articles.xml.bz2`.

In: articles. Out: a dump in MediaWiki's export format 0.11
(https://www.mediawiki.org/xml/export-0.11.xsd) with wikitext of every sort that a reader has to
deal with (headings, templates, tables, references, links, code) and with pages that are no
articles: redirects, talk pages, a template, a disambiguation page. What is not the reference's text
is the project's own.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from corpus import storage
from corpus.sources.stdlib_articles import Article

DUMP_NAME = "tinywiki-20200120-pages-articles.xml.bz2"
REDIRECTS = 10
TALKS = 3
NAMESPACES = {0: "", 1: "Talk", 2: "User", 4: "Project", 10: "Template", 14: "Category"}
_START = datetime(2019, 3, 1, tzinfo=UTC)  # any fixed date will do
_MARKUP = re.compile(r"''+|\[\[|\]\]|\{\{|\}\}|\{\||\|\}|~~~+|__[A-Z]+__")


def wikitext(article: Article, others: Sequence[Article]) -> str:
    """Return an article as wikitext, with what a reader has to take away round its prose.

    Args:
        article: The article.
        others: What it links to under "See also".
    """
    parts = [
        "{{Short description|Topic of a language reference}}\n"
        f"{{{{Infobox topic|name={_plain(article.title)}|language=Python|blocks="
        f"{len(article.blocks)}}}}}",
        f"'''{_plain(article.title)}''' is a topic of the reference of the [[Python (programming "
        'language)|Python]] language.<ref name="reference">{{cite web|title=The language '
        "reference|url=https://reference.example/}}</ref>",
    ]
    for block in article.blocks:
        if block.kind == "heading":
            marks = "=" * min(max(block.level, 2), 4)
            parts.append(f"{marks} {_plain(block.text)} {marks}")
        elif block.kind == "code":
            code = escape(block.text)
            parts.append(f'<syntaxhighlight lang="python">\n{code}\n</syntaxhighlight>')
        elif block.kind == "list":
            parts.append("\n".join(f"* {_plain(item)}" for item in block.text.splitlines()))
        else:
            parts.append(_plain(block.text))
    links = "\n".join(f"* [[{_title(other)}|{_plain(other.title)}]]" for other in others)
    parts += [
        '{| class="wikitable"\n! Measure !! Value\n|-\n'
        f"| Words || {article.words}\n|-\n| Blocks || {len(article.blocks)}\n|}}",
        f"== See also ==\n{links}",
        "== References ==\n{{reflist}}",
        "[[Category:Topics of the language reference]]",
    ]
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Return text as wikitext that shows it as it is."""
    return _MARKUP.sub(lambda match: f"<nowiki>{match[0]}</nowiki>", escape(text))


def _title(article: Article) -> str:
    """Return a page title without the characters that titles cannot have."""
    return re.sub(r"[\[\]{}|#<>_]", " ", article.title).strip()


def _pages(articles: Sequence[Article]) -> Iterator[tuple[int, str, str, str]]:
    """Yield namespace, title, target of a redirect or "", and wikitext, page by page."""
    for number, article in enumerate(articles):
        others = [articles[(number + step) % len(articles)] for step in (1, 2, 3)]
        yield 0, _title(article), "", wikitext(article, others)
        if number < REDIRECTS:
            target = _title(article)
            yield 0, f"{target} (Python)", target, f"#REDIRECT [[{target}]]\n\n{{{{R from topic}}}}"
        if number < TALKS:
            talk = "== Wording ==\nShould the first sentence not name the version? ~~~~\n"
            yield 1, f"Talk:{_title(article)}", "", talk
    first, second = articles[0], articles[-1]
    yield (
        0,
        "Topic (disambiguation)",
        "",
        f"'''Topic''' may refer to:\n* [[{_title(first)}]]\n* [[{_title(second)}]]\n\n"
        "{{disambiguation}}",
    )
    yield 10, "Template:Infobox topic", "", '<includeonly>{| class="infobox"\n|}</includeonly>'


def write_dump(articles: Sequence[Article], folder: Path) -> Path:
    """Write the dump and return its path; its bytes are a function of the articles alone."""
    names = "".join(
        f'      <namespace key="{key}" case="first-letter">{name}</namespace>\n'
        if name
        else f'      <namespace key="{key}" case="first-letter" />\n'
        for key, name in NAMESPACES.items()
    )
    lines = [
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" '
        'xml:lang="en">\n  <siteinfo>\n    <sitename>Tinywiki</sitename>\n'
        "    <dbname>tinywiki</dbname>\n    <base>https://tinywiki.example/wiki/Main_Page</base>\n"
        "    <generator>MediaWiki 1.42.0</generator>\n    <case>first-letter</case>\n"
        f"    <namespaces>\n{names}    </namespaces>\n  </siteinfo>\n"
    ]
    for number, (namespace, title, target, text) in enumerate(_pages(articles), start=1):
        redirect = f"    <redirect title={quoteattr(target)} />\n" if target else ""
        size = len(text.encode())
        lines.append(
            f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n"
            f"    <id>{number}</id>\n{redirect}    <revision>\n      <id>{1000 + number}</id>\n"
            f"      <timestamp>{_START + timedelta(hours=number):%Y-%m-%dT%H:%M:%SZ}</timestamp>\n"
            "      <contributor><username>Editor</username><id>7</id></contributor>\n"
            "      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
            f'      <text bytes="{size}" xml:space="preserve">{escape(text)}</text>\n'
            "    </revision>\n  </page>\n"
        )
    lines.append("</mediawiki>\n")
    path = folder / DUMP_NAME
    with storage.publish(str(path)) as temporary:
        temporary.write_bytes(bz2.compress("".join(lines).encode()))
    return path
