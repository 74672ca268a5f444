"""Decoding and extraction on pages written for the purpose."""

from __future__ import annotations

import codecs
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import extraction

PAGE = """<!DOCTYPE html><html><head><title>A
 walk &amp; a talk</title></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li></ul></nav>
<article><h1>A walk</h1>
<p>The river ran high that morning, and the path beside it was under water for most of its
length.</p>
<p>We took the upper road instead, which nobody had used since the bridge
was closed last winter.</p>
<p>By noon the sun was out; the town lay below us, and the talk turned to the price of timber.</p>
</article><div class="comments" id="comments">
<p>First! What a lovely walk that must have been.</p></div>
<footer>Imprint and privacy policy and cookies</footer></body></html>"""


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("Straße".encode(), "utf-8", "Straße"),
        ("Straße".encode(), None, "Straße"),
        ("Straße".encode("cp1252"), "latin1", "Straße"),
        ("“é”".encode("cp1252"), "ISO-8859-1", "“é”"),
        ("“é”".encode("cp1252"), None, "“é”"),
        ("Привет".encode("koi8-r"), " KOI8-R ", "Привет"),
        ("日本語".encode("shift_jis"), "x-sjis", "日本語"),
        (b'<meta charset="windows-1251">' + "Привет".encode("cp1251"), None, "Привет"),
        (
            b'<meta http-equiv=content-type content="text/html; charset=koi8-r">'
            + "Привет".encode("koi8-r"),
            None,
            "Привет",
        ),
        (b"<?xml version='1.0' encoding='iso-8859-2'?>" + "ł".encode("iso-8859-2"), None, "ł"),
        # The header wins over the tag, a mark over both.
        (b'<meta charset="koi8-r">' + "Привет".encode("cp1251"), "windows-1251", "Привет"),
        (codecs.BOM_UTF8 + b'<meta charset="koi8-r">' + "é".encode(), "latin1", "é"),
        (codecs.BOM_UTF16_LE + "é".encode("utf-16-le"), "latin1", "é"),
        (codecs.BOM_UTF16_BE + "é".encode("utf-16-be"), None, "é"),
        # Names that lie or do not exist.
        ("Straße im Tal".encode("cp1252"), "utf-8", "Straße im Tal"),
        ("Straße".encode(), "no-such-charset", "Straße"),
        ("Straße".encode(), "utf-7", "Straße"),
        (b'<meta charset="utf-16">' + "Straße".encode(), None, "Straße"),
        ("Straße".encode(), "rot13", "Straße"),
    ],
)
def test_decode_finds_the_encoding_as_a_browser_does(body, charset, text):
    assert extraction.decode(body, charset=charset).endswith(text)


def test_decode_named_charset_with_few_wrong_bytes_is_believed():
    body = "ü".encode() * 500 + b"\xff" + "ü".encode() * 500
    assert extraction.decode(body, charset="utf-8").count("ü") == 1000


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=400), charset=st.none() | st.text(max_size=12))
def test_decode_of_anything_gives_text_that_can_be_stored(body, charset):
    text = extraction.normalize(extraction.decode(body, charset=charset))
    assert text.encode("utf-8").decode("utf-8") == text


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_main_text_is_the_article_without_its_surroundings(extractor):
    text = extraction.main_text(PAGE, extractor=extractor)
    assert "the path beside it was under water" in text
    assert "price of timber" in text
    assert "privacy policy" not in text
    assert "Shop" not in text


def test_main_text_by_trafilatura_leaves_comments_out():
    assert "lovely walk" not in extraction.main_text(PAGE, extractor="trafilatura")


def test_main_text_of_a_page_that_trafilatura_refuses_is_found_all_the_same():
    """It begins in the middle: trafilatura's parser makes one element of it, and gives up."""
    from trafilatura import extract

    sentence = "The river ran high that morning, and the path beside it was under water."
    fragment = f"<text id='1' title='River'>\n<pre>\n{sentence}\n</pre>"
    assert extract(fragment, include_comments=False) is None
    assert sentence in extraction.main_text(fragment, extractor="trafilatura")


def test_main_text_is_the_other_extractors_where_it_finds_several_times_as_much(monkeypatch):
    def length_taken(first: int, second: int) -> int:
        monkeypatch.setattr(extraction, "_trafilatura", lambda page: "t" * first)
        monkeypatch.setattr(extraction, "_resiliparse", lambda page, main_content: "r" * second)
        text = extraction.main_text("<p>", extractor="trafilatura")
        assert set(text) <= {"t" if len(text) == first else "r"}
        return len(text)

    assert length_taken(299, 1000) == 1000
    assert length_taken(300, 1000) == 1000
    assert length_taken(301, 1000) == 301
    assert length_taken(2999, 20_000) == 20_000
    assert length_taken(3000, 20_000) == 3000
    assert length_taken(0, 5) == 5
    assert length_taken(5, 0) == 5


def test_main_text_by_none_is_all_visible_text():
    text = extraction.main_text(PAGE.encode(), extractor="none")
    assert "privacy policy" in text
    assert "<p>" not in text


@pytest.mark.parametrize("html", ["", " ", "<html></html>", "<p", "\x00", "<!-- -->", "<a>" * 3000])
@pytest.mark.parametrize("extractor", extraction.EXTRACTORS)
def test_main_text_of_a_page_without_text_is_empty_and_silent(html, extractor, caplog, capfd):
    level = logging.getLogger("trafilatura").level
    assert extraction.main_text(html, extractor=extractor) == ""
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("trafilatura").level == level


def test_main_text_with_unknown_extractor_raises_value_error():
    with pytest.raises(ValueError, match=r"lynx.*trafilatura"):
        extraction.main_text("<p>a", extractor="lynx")


def test_normalize_removes_control_characters_and_keeps_tabs_and_lines():
    assert extraction.normalize(" \x00a\tb\r\nc\rd\x07\x9f\ud800e\n ") == "a\tb\nc\nde"


@pytest.mark.parametrize(
    ("html", "title"),
    [
        (PAGE, "A walk & a talk"),
        ("<TITLE lang=en>\n Caf&eacute; </TITLE>", "Café"),
        ("<p>none</p>", None),
        ("<title> </title>", None),
        ("<title>" + "x" * 10_000, "x" * 512),
        ("<p>" * 200_000 + "<title>too late</title>", None),
    ],
)
def test_title_is_that_of_the_page(html, title):
    assert extraction.title(html) == title


def test_extract_page_of_plain_text_is_that_text():
    result = extraction.extract_page(b"a <b> c\r\n", "utf-8", "text/plain", "trafilatura")
    assert result == ("a <b> c", None)


@pytest.mark.real
def test_decode_of_real_pages_gives_their_charset(real_data):
    """The crawl's own note of each page's charset is met by all but a few pages."""
    import json

    import zstandard

    from corpus.document import Page
    from corpus.sources import warc

    gold = {}
    with (real_data / "gold" / "pages.jsonl.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    for line in text.splitlines():
        row = json.loads(line)
        gold[row["warc"].rsplit("/", 1)[-1], row["offset"]] = row["charset"]
    path = next((real_data / "commoncrawl").glob("crawl-data/*/segments/*/warc/*-00000.warc.gz"))
    same = total = 0
    for item in warc.read(str(path), name=path.name, max_page_bytes=10 << 20):
        charset = gold.get((path.name, item.place.warc_offset))
        if isinstance(item, Page) and charset:
            total += 1
            expected = item.body.decode(charset, "replace").lstrip("\ufeff")
            same += extraction.decode(item.body, charset=item.charset) == expected
    assert total > 600
    assert same / total > 0.97
