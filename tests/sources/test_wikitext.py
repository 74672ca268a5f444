"""Wikitext to prose."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.sources import wikitext

LEFT_OVERS = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|<ref")


def prose(text: str, language: str = "en") -> str:
    return wikitext.prose(text, language=language, namespaces=["снимка"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'''Bold''' and ''italic'' and '''''both'''''.", "Bold and italic and both."),
        ("the dog''''s'''", "the dog's"),
        ("[[Paris]] and [[Paris, Texas|the other]].", "Paris and the other."),
        ("[[Mercury (planet)|]] rises.", "Mercury rises."),
        ("See [[:Category:Rivers]].", "See Category:Rivers."),
        ("[[wikt:house|house]], [[wikt:home]].", "house, home."),
        ("[[Re: Zero]] is kept.", "Re: Zero is kept."),
        ("A.[[fr:Foo]][[zh-yue:Bar]]", "A."),
        ("A.[[Category:X]][[Datei:x.png]][[Снимка:y.png|мини|z]]", "A."),
        ("[[File:a.jpg|thumb|A [[b|c]] with {{x}} and [[d]]]]Text.", "Text."),
        ("One{{cite|a={{b|{{c}}}}}} two.", "One two."),
        ("{{{1|{{PAGENAME}}}}}Text{{#if:a|{{b}}}}.", "Text."),
        ("{{lang|fr|Bonjour}}, {{lang-de|Tag}}, {{nowrap|no break}}.", "Bonjour, Tag, no break."),
        ("It is {{convert|5|to|10|km|mi|abbr=on}} long.", "It is 5 to 10 km long."),
        ("It is {{convert|5.5|km}} long.", "It is 5.5 km long."),
        ("Name ({{IPA|x}}; {{audio|y}}) is a word.", "Name is a word."),
        ("Name ({{IPA|x}}, born 1900) lives.", "Name (born 1900) lives."),
        ("A<ref>one</ref> b<ref name='x'/> c<ref name=y>[[z]] {{w}}</ref>.", "A b c."),
        ("A<!-- no [[ {{ -->b.", "Ab."),
        ("A <math>x_{{1}}</math>b<gallery>\nfile.jpg|x\n</gallery>.", "A b."),
        ("Before\n{| class=x\n|-\n! a\n| b {{c}}\n{|\n| nested\n|}\n|}\nafter", "Before\n\nafter"),
        ("Before<table><tr><td>x</td></tr></table>after", "Before\nafter"),
        ("* one\n* two\n*# three", "one\ntwo\nthree"),
        ("; term\n: definition", "term\ndefinition"),
        ("x [http://a.example a site] y [http://b.example]z", "x a site y z"),
        ("a&nbsp;b &amp; c &lt;d&gt; &eacute;&#x4e2d;", "a b & c <d> é中"),
        ("H<sub>2</sub>O<br/>next <span style='x'>line</span>", "H2O\nnext line"),
        ("__NOTOC__Text with __init__.", "Text with __init__."),
        ("Use <nowiki>{{name}} and [[x]]</nowiki>.", "Use {{name}} and [[x]]."),
        ("if a < b and c > d", "if a < b and c > d"),
        ("-{zh-hans:汉;zh-hant:漢}-字", "汉字"),
        ("one\n\n\n\n\ntwo", "one\n\ntwo"),
    ],
)
def test_prose_of_markup_is_what_a_reader_reads(text: str, expected: str) -> None:
    assert prose(text) == expected


def test_prose_keeps_headings_with_text_and_drops_empty_and_closing_sections() -> None:
    text = (
        "Lead.\n== History ==\n=== Empty ===\n{{table}}\n=== Early ===\nLong ago.\n"
        "== Gone ==\n== See also ==\n* [[X]]\n=== Below ===\nhidden\n== Uses ==\nMany.\n"
        "== ''References'' ==\n<references/>\nmore\n== External links ==\n* [http://a b]"
    )
    assert prose(text) == "Lead.\n\nHistory\n\nEarly\n\nLong ago.\n\nUses\n\nMany."


@pytest.mark.parametrize(
    ("language", "heading"),
    [
        ("de", "Einzelnachweise"), ("fr", "Notes et références"), ("es", "Véase también"),
        ("ru", "Примечания"), ("ja", "脚注"), ("zh", "參考文獻"), ("it", "Collegamenti esterni"),
        ("pl", "Przypisy"), ("nl", "Zie ook"), ("sv", "Källor"), ("bg", "Вижте също"),
        ("xx", "References"),
    ],
)  # fmt: skip
def test_prose_drops_closing_sections_by_language(language: str, heading: str) -> None:
    text = f"Text.\n== {heading} ==\nx\n== Zzz ==\nkept"
    assert prose(text, language) == "Text.\n\nZzz\n\nkept"


def test_prose_keeps_the_closing_words_of_other_languages() -> None:
    assert "Note" in prose("Text.\n== Note ==\nx", "en")
    assert prose("Text.\n== Note ==\nx", "it") == "Text."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{{never closed\nThe text stays.", "The text stays."),
        ("[[never closed and the text stays.", "the text stays."),
        ("{| class=x\n|-\n| cell\nThe text stays.", "The text stays."),
        ("<ref>never closed, the text stays.", "the text stays."),
        ("{{a|[[b}} The text stays.", "The text stays."),
        ("|} }} ]] The text stays.", "The text stays."),
    ],
)
def test_prose_of_unclosed_marks_loses_the_mark_and_keeps_the_text(text: str, kept: str) -> None:
    found = prose(text)
    assert kept in found
    assert not LEFT_OVERS.search(found)


def test_prose_of_text_escaped_twice_has_no_references() -> None:
    assert prose("A&lt;ref&gt;x&lt;/ref&gt; &amp;amp; b.") == "A & b."


TOKENS = st.sampled_from(
    ["{{", "}}", "[[", "]]", "{|", "|}", "\n", "|", "=", "==", "<ref>", "</ref>", "<ref", "'''",
     "<b>", "[http://a", "]", "a", " b ", "<!--", "-->", "{", "}", "<table>", "</table>", "*", "-{",
     "}-", "__X__", "File:x", "lang"]
)  # fmt: skip


@given(st.lists(TOKENS, max_size=60).map("".join))
def test_prose_of_any_marks_has_no_left_overs(text: str) -> None:
    assert not LEFT_OVERS.search(prose(text))


@pytest.mark.parametrize(
    "part",
    ["{{", "{{a|", "[[a|", "<b>", "<div ", "{|\n", "[http://a ", "<ref>", "<ref name=\"", "'''",
     "{{{", "<nowiki>", "<!--", "(", "\n=", "[[a|{{lang|b|", "&#", "-{", "__A", "<table>", "}"],
)  # fmt: skip
def test_prose_of_hostile_text_takes_linear_time(part: str) -> None:
    """A quadratic pass over these 1.2 MB would take minutes; they take less than a second."""
    text = part * (1_200_000 // len(part))
    start = time.process_time()
    prose(text)
    wikitext.templates(text)
    assert time.process_time() - start < 8


def test_templates_returns_names_in_lower_case() -> None:
    text = "{{Disambig}} {{ human_name  disambiguation|a}} {{x\n|y}} {{#if:a}} [[a]] {{b|{{C}}}}"
    assert wikitext.templates(text) == {"disambig", "human name disambiguation", "x", "b", "c"}
