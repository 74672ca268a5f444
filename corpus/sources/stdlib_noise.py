"""Answers of the web that are no good text: low quality, broken, not HTML, not found.

In: a random generator and words to assemble from. Out: status, HTTP headers and body of an answer.
All wording here is the project's own; the words of spam pages are drawn from the articles.
"""

from __future__ import annotations

import json
from random import Random

from corpus.sources.stdlib_articles import Article, Block
from corpus.sources.stdlib_pages import Site, html_blocks, render

# fmt: off
_GOODS = [
    "watches", "shoes", "laptops", "tyres", "curtains", "lamps", "tents", "mattresses",
    "printers", "bicycles", "sofas", "kettles", "sunglasses", "headphones", "perfumes",
    "carpets", "ladders", "gloves", "freezers", "drills",
]
_CLAIMS = [
    "cheap", "best", "buy", "now", "online", "discount", "free", "shipping", "top", "quality",
    "lowest", "price", "sale", "offer", "limited", "order", "today", "guaranteed", "reviews",
    "compare", "deals", "coupon", "bonus", "save", "outlet", "original",
]
# fmt: on

LOW_QUALITY = ("keywords", "link_farm", "spam", "prices", "log", "not_found", "login", "parked")
BROKEN = ("cut", "latin1_as_utf8", "utf16", "empty", "unclosed", "script_only", "binary")
NOT_HTML = ("json", "png", "disguised_png", "robots", "css", "pdf")
HTTP_ERRORS = (
    (404, "Not Found"),
    (301, "Moved Permanently"),
    (500, "Internal Server Error"),
    (302, "Found"),
    (410, "Gone"),
    (503, "Service Unavailable"),
)

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def low_quality(sort: str, random: Random, words: list[str]) -> tuple[str, tuple[Block, ...]]:
    """Return title and blocks of a page that is HTML and text, and nothing that one would read."""
    goods = random.choice(_GOODS)
    if sort == "keywords":
        lines = [", ".join(random.choices(words + _CLAIMS, k=60)) for _ in range(4)]
        return f"{goods} keywords", tuple(Block("paragraph", line) for line in lines)
    if sort == "link_farm":
        links = [f"{random.choice(_CLAIMS)} {random.choice(_GOODS)}" for _ in range(120)]
        return f"{goods} directory", (Block("list", "\n".join(links)),)
    if sort == "spam":
        lines = [
            f"Buy {goods} {' '.join(random.choices([*_CLAIMS, goods, goods], k=12))} "
            f"{' '.join(random.choices(words, k=5))}!!!"
            for _ in range(25)
        ]
        return f"Cheap {goods} !!!", tuple(
            Block("paragraph", " ".join(lines[start : start + 5])) for start in range(0, 25, 5)
        )
    if sort == "prices":
        rows = [
            f"{random.choice(_GOODS)} {random.randint(100, 9999)} | "
            f"{random.randint(5, 900)}.99 EUR | in stock | add to basket"
            for _ in range(60)
        ]
        return f"Price list {goods}", (Block("list", "\n".join(rows)),)
    if sort == "log":
        rows = [
            f"2020-01-{random.randint(1, 28):02} 0{random.randint(0, 9)}:{random.randint(10, 59)} "
            f"INFO worker-{random.randint(1, 16)} request {random.randbytes(4).hex()} "
            f"{random.randint(1, 900)} ms"
            for _ in range(80)
        ]
        return "service.log", (Block("code", "\n".join(rows)),)
    if sort == "not_found":
        return "Page not found", (
            Block("paragraph", "Sorry, the page that you asked for is not here any more."),
            Block("paragraph", f"Perhaps you are looking for {goods}? Go back to the start page."),
        )
    if sort == "login":
        return "Please log in", (
            Block("paragraph", "You have to log in to see this page. Forgot your password?"),
            Block("paragraph", "Please turn on JavaScript and allow cookies to go on."),
        )
    sentence = f"This domain about {goods} is for sale. Make an offer for {goods} today."
    return f"{goods}.example is for sale", tuple(Block("paragraph", sentence) for _ in range(12))


def broken(sort: str, random: Random, site: Site, article: Article) -> tuple[str, bytes]:
    """Return content type and body of a page that a careless reader stumbles over."""
    content = html_blocks(article.blocks)
    umlauts = "<p>Die Übung schließt mit größeren Änderungen für später.</p>"
    page = render(site, article.title, content + umlauts, related=(), charset="", language="en")
    if sort == "cut":  # in the middle of a tag
        return "text/html; charset=utf-8", page[: page.rindex("<p>") + 2].encode()
    if sort == "latin1_as_utf8":
        return "text/html; charset=utf-8", page.encode("latin-1", "xmlcharrefreplace")
    if sort == "utf16":  # says so by its byte order mark alone
        return "text/html", b"\xff\xfe" + page.encode("utf-16-le")
    if sort == "empty":
        return "text/html; charset=utf-8", b""
    if sort == "unclosed":
        for tag in ("</p>", "</h1>", "</h2>", "</li>", "</article>", "</main>", "</body>"):
            page = page.replace(tag, "")
        return "text/html; charset=utf-8", page.encode()
    if sort == "script_only":
        body = "<script>document.body.append('loading');</script>"
        empty = render(site, article.title, body, related=(), charset="utf-8", language="en")
        return "text/html; charset=utf-8", empty.encode()
    noise = random.randbytes(400)
    return "text/html", page[:800].encode() + b"\x00" * 16 + noise + page[800:].encode()


def not_html(sort: str, random: Random) -> tuple[str, bytes]:
    """Return content type and body of a file that is no page."""
    if sort == "json":
        rows = [{"id": n, "value": random.randint(0, 999)} for n in range(20)]
        return "application/json", json.dumps({"items": rows}).encode()
    if sort == "png":
        return "image/png", _PNG + random.randbytes(300)
    if sort == "disguised_png":  # its type is a lie, its first bytes are not
        return "text/html; charset=utf-8", _PNG + random.randbytes(300)
    if sort == "robots":
        return "text/plain", b"User-agent: *\nDisallow: /search\nDisallow: /login\n"
    if sort == "css":
        return "text/css", b"body { margin: 0 auto; max-width: 40em; }\nh1 { color: #234; }\n"
    return "application/pdf", b"%PDF-1.4\n" + random.randbytes(300) + b"\n%%EOF\n"
