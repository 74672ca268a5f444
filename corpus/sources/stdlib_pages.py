"""HTML round an article: the templates of a few invented sites, and copies with changes.

In: an `Article`. Out: the text of an HTML page with what real pages carry round their text
(navigation, side bar, cookie banner, related links, footer). All wording here is the project's own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from random import Random

from corpus.sources.stdlib_articles import Article, Block


@dataclass(frozen=True, slots=True)
class Site:
    """An invented site: its host (under the reserved top-level domain) and its template."""

    host: str
    name: str
    template: str  # "handbook", "blog", "forum" or "print"


SITES = (
    Site("handbook.lantern.example", "The Lantern Handbook", "handbook"),
    Site("www.quietfox.example", "Quiet Fox Notes", "blog"),
    Site("board.millpond.example", "Millpond Board", "forum"),
    Site("docs.harbour.example", "Harbour Documentation", "handbook"),
    Site("blog.saltandpine.example", "Salt and Pine", "blog"),
)
MIRRORS = (
    Site("mirror1.stillwater.example", "Stillwater Mirror", "handbook"),
    Site("archive.copperleaf.example", "Copperleaf Archive", "blog"),
    Site("print.lantern.example", "Printer-friendly version", "print"),
)

_COOKIES = (
    "We use cookies to remember your settings and to count visits. By continuing you accept them."
)
_FOOTER = "All rights reserved. Imprint, privacy notice, contact, site map."
_EXTRAS = ("also", "usually", "simply", "often", "always", "already", "then", "still")


def html_blocks(blocks: Sequence[Block]) -> str:
    """Return blocks as HTML elements, one a line."""
    lines = []
    for block in blocks:
        text = escape(block.text, quote=False)
        if block.kind == "heading":
            level = min(max(block.level, 2), 4)
            lines.append(f"<h{level}>{text}</h{level}>")
        elif block.kind == "code":
            lines.append(f"<pre><code>{text}</code></pre>")
        elif block.kind == "list":
            items = "".join(f"<li>{item}</li>" for item in text.splitlines())
            lines.append(f"<ul>{items}</ul>")
        else:
            lines.append(f"<p>{text}</p>")
    return "\n".join(lines)


def render(
    site: Site, title: str, content: str, *, related: Sequence[str], charset: str, language: str
) -> str:
    """Return a whole page.

    Args:
        site: Whose template it is.
        title: Plain text.
        content: HTML of the article.
        related: Titles for the links beside it.
        charset: What the page says of itself; empty for a page that does not.
        language: The page's language, for its `lang` attribute.
    """
    title = escape(title)
    links = "".join(f'<li><a href="/{n}">{escape(t)}</a></li>' for n, t in enumerate(related))
    meta = f'<meta charset="{charset}">' if charset else ""
    head = f"<head>{meta}<title>{title} | {site.name}</title></head>"
    if site.template == "print":
        body = (
            f"<main><h1>{title}</h1>\n{content}\n</main>\n<small>Printed from {site.host}</small>"
        )
    elif site.template == "forum":
        body = (
            f'<div id="top"><a href="/">{site.name}</a> | <a href="/login">Log in</a></div>\n'
            f'<div class="thread"><h1>{title}</h1><div class="post"><div class="author">heron, '
            f'212 posts</div><div class="message">\n{content}\n</div></div></div>\n'
            f'<div class="similar"><h4>Similar threads</h4><ul>{links}</ul></div>'
        )
    elif site.template == "blog":
        body = (
            f'<header><a href="/">{site.name}</a><nav><ul><li><a href="/about">About</a></li>'
            '<li><a href="/archive">Archive</a></li><li><a href="/feed">Feed</a></li></ul></nav>'
            f'</header>\n<article><h1>{title}</h1><p class="byline">Posted by the editor</p>\n'
            f"{content}\n</article>\n<aside><h3>You may also like</h3><ul>{links}</ul></aside>\n"
            '<div class="newsletter">Subscribe to our newsletter and never miss a post.</div>'
        )
    else:
        body = (
            f'<div class="cookie-banner">{_COOKIES} <button>Accept</button></div>\n'
            f'<nav class="sidebar"><h3>Contents</h3><ul>{links}</ul></nav>\n'
            f"<main><article><h1>{title}</h1>\n{content}\n</article></main>"
        )
    script = "<script>window.visits = (window.visits || 0) + 1;</script>"
    footer = "" if site.template == "print" else f"<footer>{site.name}. {_FOOTER}</footer>"
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n{head}\n<body>\n{body}\n{footer}\n{script}\n'
        "</body>\n</html>\n"
    )


def reworded(article: Article, random: Random, *, share: float) -> Article:
    """Return a copy with a share of the words of its prose changed, one at the least.

    An adverb is put before a word here and there: 1 % of the words leaves a Jaccard similarity of
    about 0.9 over the sets of five-word shingles, and 4 % one of about 0.7.
    """
    places = [
        (number, position)
        for number, block in enumerate(article.blocks)
        if block.kind == "paragraph"
        for position in range(len(block.text.split()))
    ]
    changes = min(len(places), max(1, round(article.words * share)))
    words = {n: block.text.split() for n, block in enumerate(article.blocks)}
    for number, position in random.sample(places, changes):
        words[number][position] = f"{random.choice(_EXTRAS)} {words[number][position]}"
    blocks = tuple(
        dataclasses.replace(block, text=" ".join(words[n])) if block.kind == "paragraph" else block
        for n, block in enumerate(article.blocks)
    )
    return dataclasses.replace(article, blocks=blocks)


def disguised(text: str, random: Random) -> str:
    """Return a text in other letter case and with other punctuation between its words.

    Only what stands at a word's end changes, so that the words are the same once they are
    lower-cased and freed of punctuation, which is how benchmark overlap is measured (GPT-3,
    Appendix C).
    """
    words = []
    for word in text.split():
        bare = re.sub(r"[,.;:!?]+$", "", word)
        # Some letters do not survive upper and lower case: those words stay as they are.
        if random.random() < 0.3 and bare.upper().lower() == bare.lower():
            bare = bare.upper()
        words.append((bare or word) + random.choice(("", "", "", ",", ";")))
    return " ".join(words)


def quoting(article: Article, quotes: Sequence[str]) -> Article:
    """Return an article with quotes planted as paragraphs of their own, evenly spread in it."""
    blocks = list(article.blocks)
    step = len(blocks) / (len(quotes) + 1)
    for number in range(len(quotes), 0, -1):
        blocks.insert(max(1, round(step * number)), Block("paragraph", quotes[number - 1]))
    return dataclasses.replace(article, blocks=tuple(blocks))
