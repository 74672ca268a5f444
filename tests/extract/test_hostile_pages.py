"""Pages made to hurt the parser, through the extraction process: each costs itself at most."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from corpus.document import DropReason, Page, Place
from corpus.extract.sandbox import Extracted, Failure, Sandbox

TIMEOUT = 0.6
START = 10.0  # for a new process, on a machine that is busy
MEMORY = 1 << 30
SENTENCE = "The river ran high that morning, and the path beside it was under water. "
ARTICLE = "".join(f"<p>{SENTENCE * 3}{number}</p>" for number in range(5))
HEALTHY = f"<html><title>River</title><body><article>{ARTICLE}</article></body></html>".encode()


def nested(tag: str, depth: int) -> bytes:
    return f"<html><body>{f'<{tag}>' * depth}{SENTENCE}".encode()


def entity_bomb() -> bytes:
    """A billion laughs: each entity is ten of the one before."""
    lines = [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    head = "<?xml version='1.0'?><!DOCTYPE html [<!ENTITY a0 'lol'>" + "".join(lines) + "]>"
    return f"{head}<html><body><p>&a9;</p>{ARTICLE}</body></html>".encode()


def external_entity() -> bytes:
    head = "<?xml version='1.0'?><!DOCTYPE html [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
    return f"{head}<html><body><p>&x; {SENTENCE * 5}</p></body></html>".encode()


def table(rows: int, columns: int) -> bytes:
    row = "<tr>" + "<td>1" * columns
    return f"<html><body><table>{row * rows}</table>{ARTICLE}</body></html>".encode()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "div nested 100,000 deep": lambda: nested("div", 100_000),
    "b nested 100,000 deep": lambda: nested("b", 100_000),
    "tables nested 20,000 deep": lambda: nested("table><tr><td", 20_000),
    "lists nested 50,000 deep": lambda: nested("ul><li", 50_000),
    "unclosed formatting before every paragraph": lambda: b"<p><b><i><a href=x>word" * 3_000,
    "entity bomb": entity_bomb,
    "external entity": external_entity,
    "a million character references": lambda: b"<p>" + b"&amp;&#65;&nosuch;" * 350_000,
    "table of a million cells": lambda: table(1_000, 1_000),
    "huge colspan and rowspan": lambda: (
        b"<table><tr><td colspan=99999999999 rowspan=99999999999>a<td colspan=-1>b</table>"
        + HEALTHY
    ),
    "one line of 8 MB": lambda: b"<html><body><p>" + SENTENCE.encode() * 115_000,
    "one word of 8 MB": lambda: b"<html><body><p>" + b"a" * (8 << 20),
    "one tag that never ends": lambda: b"<html><body><p " + b"a=1 " * (2 << 20),
    "an attribute of 8 MB": lambda: b"<p class='" + b"x " * (4 << 20) + b"'>" + HEALTHY,
    "a thousand classes that match nothing": lambda: (
        b"<body>"
        + b"".join(b"<div class='%s!'>" % (b"comment-" * 200) for _ in range(1000))
        + HEALTHY
    ),
    "white space that makes patterns try again": lambda: b"<p>" + b" \n\t" * 500_000 + b"a</p>",
    "title of unclosed titles": lambda: b"<title" * 40_000 + b">" + b"<meta charset" * 40_000,
    "comments that never end": lambda: b"<!--" * 500_000 + HEALTHY,
    "script that never ends": lambda: b"<script>" + b"'</scrip" * 300_000,
    "declarations and instructions": lambda: b"<!DOCTYPE [" * 100_000 + b"<?x " * 100_000,
    "NUL bytes": lambda: bytes(1 << 20) + b"".join(bytes([b, 0]) for b in HEALTHY),
    "random bytes": lambda: bytes((n * n * 2654435761 >> 13) & 0xFF for n in range(1 << 19)),
    "charset that does not exist": lambda: b"<meta charset=no-such-thing>" + HEALTHY,
    "charset that is a compression": lambda: b"<meta charset=zlib>" + HEALTHY,
    "UTF-16 said to be Latin-1": lambda: (
        b"<meta charset=latin1>" + HEALTHY.decode().encode("utf-16")
    ),
    "EBCDIC and a mark of UTF-8": lambda: b"\xef\xbb\xbf" + HEALTHY.decode().encode("cp500"),
    "surrogates by reference": lambda: (
        b"<p>&#xD800;&#xDFFF;&#55357;&#56832;&#x110000;&#99999999999999999999;&#0;</p>" + HEALTHY
    ),
    "50,000 forms": lambda: b"<form><input name=a><select><option>b" * 50_000 + HEALTHY,
    "50,000 links": lambda: b"<a href='http://a.example/?x=1&y=2'>buy now</a> " * 50_000,
    "everything unclosed": lambda: (
        b"<html><head><title>a<body><table><tr><td><select><svg><math>"
        b"<template><frameset><noscript><plaintext>" * 2_000
    ),
    "foreign content": lambda: (
        b"<svg><foreignObject><math><annotation-xml encoding=text/html>" * 5_000
    ),
}


# Cheap ones, whose text has to be there as the browser would show it.
READABLE = (
    "entity bomb",
    "external entity",
    "huge colspan and rowspan",
    "NUL bytes",
    "charset that does not exist",
    "charset that is a compression",
    "UTF-16 said to be Latin-1",
    "surrogates by reference",
)
REASONS = {
    DropReason.EXTRACTION_TIMEOUT,
    DropReason.EXTRACTION_CRASH,
    DropReason.EXTRACTION_ERROR,
}


def page(name: str, body: bytes) -> Page:
    return Page(name, "", None, Place(), "text/html", None, body)


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse", "none"])
def test_map_hostile_pages_end_in_time_and_the_next_page_is_fine(extractor: str) -> None:
    """Every page gives text or a reason, and the healthy one behind it is what it always is."""
    bodies = {name: make() for name, make in HOSTILE.items()}
    pages = [page(*pair) for one in bodies.items() for pair in (one, ("healthy", HEALTHY))]
    took: dict[str, float] = {}
    found: dict[str, Extracted | Failure] = {}
    with Sandbox(
        extractor=extractor, timeout=TIMEOUT, memory_bytes=MEMORY, recycle_pages=1000
    ) as box:
        healthy = box.extract(HEALTHY, None, "text/html")
        assert isinstance(healthy, Extracted)
        assert healthy.text.count("under water") == 15
        before = time.monotonic()
        for item, result in box.map(pages, ahead=1):
            assert result is not None
            took[item.id] = time.monotonic() - before
            before = time.monotonic()
            if item.id == "healthy":
                assert result == healthy, f"after {list(found)[-1]}"
            else:
                found[item.id] = result
    assert list(found) == list(HOSTILE)
    assert {name: t for name, t in took.items() if t > TIMEOUT + START} == {}
    for name, result in found.items():
        if isinstance(result, Failure):
            assert result.reason in REASONS
            assert result.detail
        else:
            assert len(result.text) <= 2 * len(bodies[name])
            assert not re.search(r"[\0\ud800-\udfff]", result.text + (result.title or ""))
    for name in READABLE:
        result = found[name]
        assert isinstance(result, Extracted), f"{name}: {result}"
        assert "The river ran high that morning" in result.text, name
        assert "root:" not in result.text
