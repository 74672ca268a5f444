"""A crawl of an invented web, made of the standard library's documentation.

In: the `Library`, a seed, a number of pages, and texts that some pages shall quote. Out: the
answers of that web, which `stdlib_archive` writes as WARC files.

The crawl has what a build has to find: copies, near-copies, chains of slowly differing versions,
pages that the curated sources hold too, other languages, low quality, broken pages, files that are
no pages, errors, and pages that quote a benchmark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from html import escape
from random import Random

from corpus.errors import RecipeError
from corpus.sources import stdlib_foreign, stdlib_noise
from corpus.sources.stdlib_archive import Answer
from corpus.sources.stdlib_articles import Article, Block, Library
from corpus.sources.stdlib_pages import (
    MIRRORS,
    SITES,
    Site,
    disguised,
    html_blocks,
    quoting,
    render,
    reworded,
)

# Shares of the answers; what is left are articles, each on one page. They are chosen so that every
# reason for dropping a row occurs, not to resemble the web.
SHARES = {
    "exact_copy": 0.06,  # the same bytes at another address
    "near_copy": 0.10,  # another site's template, some with a few words changed
    "version": 0.04,  # chains of versions, each a little different from the one before
    "shared": 0.05,  # articles that the curated sources hold as well
    "foreign": 0.07,
    "low_quality": 0.20,
    "broken": 0.04,
    "not_html": 0.03,
    "http_error": 0.04,
}
CHAIN = 8  # versions in a chain
QUOTED = 2  # pages that quote each text: once word for word, once disguised
OVERQUOTED = 3  # pages that quote many texts
# More than 10 pieces means dropped whole (GPT-3, Appendix C); 14 quotes leave 14 pieces.
OVERQUOTES = 14
_LONG = 200  # words of an article that has room for a quote in its middle


def plan_counts(pages: int, *, quotes: int, articles: int) -> dict[str, int]:
    """Return how many answers of each kind there are.

    Args:
        pages: Answers in all.
        quotes: Texts to be quoted.
        articles: Articles that the library has for the crawl; what pages are asked for beyond
            them become near-copies.

    Raises:
        RecipeError: There are too few pages for one of each kind and for the quotes.
    """
    counts = {kind: max(1, round(share * pages)) for kind, share in SHARES.items()}
    counts["article"] = pages - sum(counts.values())
    needed = QUOTED * quotes + (OVERQUOTED if quotes else 0) + 1
    if counts["article"] < needed:
        share = 1 - sum(SHARES.values())
        raise RecipeError(
            f"{pages} pages are too few for a crawl that quotes {quotes} texts",
            where="pages",
            why=f"Only {max(counts['article'], 0)} of them are articles, and {needed} are needed",
            fix=f"Ask for at least {round((needed + len(SHARES)) / share)} pages",
        )
    beyond = max(0, counts["article"] - articles)
    counts["article"] -= beyond
    counts["near_copy"] += beyond
    return counts


def plan_answers(library: Library, *, seed: int, pages: int, quote: Sequence[str]) -> list[Answer]:
    """Return all answers of the crawl, shuffled; a function of the arguments alone.

    Raises:
        RecipeError: There are too few pages for the quotes.
    """
    random = Random(f"crawl:{seed}")
    overquoting = OVERQUOTED if quote else 0
    counts = plan_counts(pages, quotes=len(quote), articles=len(library.crawl) + overquoting)
    supply = random.sample(library.crawl, len(library.crawl))
    articles = supply[: counts["article"] - overquoting]
    # Long articles carry the quotes, each one; the sort is stable, so that chance still decides.
    articles.sort(key=lambda article: article.words < _LONG)
    hosts, plain = articles[: QUOTED * len(quote)], articles[QUOTED * len(quote) :]

    answers = []
    for number, host in enumerate(hosts):
        text = quote[number // QUOTED]
        planted = text if number % QUOTED == 0 else disguised(text, random)
        answers.append(_page("article", SITES, quoting(host, [planted]), random, supply))
    for number in range(overquoting):
        anthology = _anthology(library.webtext, quote, number, random)
        answers.append(_page("article", SITES, anthology, random, supply))
    originals = [_page("article", SITES, article, random, supply) for article in plain]
    answers += originals

    for number in range(counts["exact_copy"]):
        original = random.choice(originals)
        url = f"{original.url}?session={number}"
        answers.append(dataclasses.replace(original, kind="exact_copy", url=url))
    for number in range(counts["near_copy"]):
        article = random.choice(plain)
        if number % 2:
            article = reworded(article, random, share=0.01)
        answers.append(_page("near_copy", MIRRORS, article, random, supply, f"?copy={number}"))
    for number in range(counts["version"]):
        if number % CHAIN == 0:
            article = random.choice(plain)
            site = random.choice(MIRRORS)
        article = reworded(article, random, share=0.012)
        answers.append(_page("version", [site], article, random, supply, f"?version={number}"))
    # Four of five out of WebText, the fifth out of Wikipedia.
    essays = random.sample(library.webtext, len(library.webtext))
    for number in range(counts["shared"]):
        article = essays[number % len(essays)]
        if number % 5 == 4:
            article = random.choice(library.wikipedia)
        answers.append(_page("shared", SITES, article, random, supply, f"?from={number}"))
    answers += _noise(counts, supply, random)
    random.shuffle(answers)
    return answers


def _anthology(
    essays: Sequence[Article], quote: Sequence[str], number: int, random: Random
) -> Article:
    """Return one long article out of many good ones, with a quote after each of them."""
    blocks: list[Block] = []
    parts = random.sample([essay for essay in essays if essay.words >= _LONG], OVERQUOTES)
    for place, part in enumerate(parts):
        text = quote[(number * OVERQUOTES + place) % len(quote)]
        blocks += [*part.blocks, Block("paragraph", text)]
    return Article(f"anthology.{number}", f"An anthology, volume {number + 1}", tuple(blocks))


def _page(
    kind: str,
    sites: Sequence[Site],
    article: Article,
    random: Random,
    supply: Sequence[Article],
    query: str = "",
) -> Answer:
    """Return an article as a page of one of the sites."""
    site = random.choice(sites)
    # A tenth of the pages is in Latin-1, and a few say nothing about their charset.
    charset, header, meta = random.choices(
        [
            ("utf-8", "; charset=utf-8", "utf-8"),
            ("utf-8", "", "utf-8"),
            ("iso-8859-1", "; charset=ISO-8859-1", "iso-8859-1"),
            ("utf-8", "", ""),
        ],
        weights=[70, 15, 10, 5],
    )[0]
    page = render(
        site,
        article.title,
        html_blocks(article.blocks),
        related=[other.title for other in random.sample(supply, 6)],
        charset=meta,
        language="en",
    )
    url = f"https://{site.host}/{article.name.replace('.', '/')}.html{query}"
    body = page.encode(charset, "xmlcharrefreplace")
    return Answer(kind, url, 200, "OK", f"text/html{header}", body)


def _noise(counts: dict[str, int], supply: list[Article], random: Random) -> Iterator[Answer]:
    """Yield what is no good text: foreign, low quality, broken, no page, an error."""
    for number in range(counts["foreign"]):
        languages = sorted(stdlib_foreign.SENTENCES)
        language = languages[number % len(languages)]
        paragraphs = stdlib_foreign.paragraphs(language, random)
        content = html_blocks([Block("paragraph", text) for text in paragraphs])
        site = random.choice(SITES)
        title = paragraphs[0].partition(" ")[0]
        page = render(site, title, content, related=(), charset="utf-8", language=language)
        url = f"https://{site.host}/{language}/{number}.html"
        yield Answer("foreign", url, 200, "OK", "text/html; charset=utf-8", page.encode())
    vocabulary = sorted(
        {word for article in supply[:50] for word in article.text.split() if word.isalpha()}
    )
    for number in range(counts["low_quality"]):
        sort = stdlib_noise.LOW_QUALITY[number % len(stdlib_noise.LOW_QUALITY)]
        title, blocks = stdlib_noise.low_quality(sort, random, vocabulary)
        site = random.choice(SITES)
        links = [block.text[:30] for block in blocks]
        content = html_blocks(blocks)
        page = render(site, title, content, related=links, charset="utf-8", language="en")
        url = f"https://{site.host}/{sort}/{number}.html"
        yield Answer("low_quality", url, 200, "OK", "text/html; charset=utf-8", page.encode())
    for number in range(counts["broken"]):
        sort = stdlib_noise.BROKEN[number % len(stdlib_noise.BROKEN)]
        site = random.choice(SITES)
        content_type, body = stdlib_noise.broken(sort, random, site, random.choice(supply))
        url = f"https://{site.host}/{sort}/{number}.html"
        yield Answer("broken", url, 200, "OK", content_type, body)
    for number in range(counts["not_html"]):
        sort = stdlib_noise.NOT_HTML[number % len(stdlib_noise.NOT_HTML)]
        content_type, body = stdlib_noise.not_html(sort, random)
        url = f"https://{random.choice(SITES).host}/files/{number}.{sort}"
        yield Answer("not_html", url, 200, "OK", content_type, body)
    for number in range(counts["http_error"]):
        status, reason = stdlib_noise.HTTP_ERRORS[number % len(stdlib_noise.HTTP_ERRORS)]
        url = f"https://{random.choice(SITES).host}/gone/{number}.html"
        body = f"<html><body><h1>{status} {escape(reason)}</h1></body></html>".encode()
        yield Answer("http_error", url, status, reason, "text/html", body)
