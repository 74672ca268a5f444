"""The brackets of wikitext: templates, links, tables, matched in one pass with one stack.

Wikitext goes in; out comes the same with links as their texts, and without templates, arguments and
tables, but for the few templates that stand for words of the sentence. Brackets are matched as
MediaWiki's own preprocessor does (`Preprocessor_Hash::preprocessToObj`): what is not closed loses
its mark and keeps its text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from corpus.sources.wikipedia_words import SISTER_PROJECTS

# MediaWiki stops at a depth of 40 for templates (`$wgMaxTemplateDepth`); the bound keeps the
# copying of nested texts linear.
_MAX_DEPTH = 40

_BRACKETS = re.compile(
    r"\{{2,}+|\}{2,}+|\[\[|\]\]|(?:^|(?<=\n))[ \t:*#]*+\{\||(?:^|(?<=\n))[ \t]*+\|\}(?!\})"
    r"|<table\b[^<>]*+>|</table\s*+>",
    re.IGNORECASE,
)
_LANGUAGE_LINK = re.compile(r"(?:[a-z]{2,3}|simple)(?:-[a-z]{2,10}){0,2}")
# Templates that stand for words of the sentence: number of the argument that is shown.
_SHOWN_ARGUMENT = {
    "lang": 2, "langx": 2, "transl": -1, "transliteration": -1, "nowrap": 1, "nobr": 1,
    "nobreak": 1, "abbr": 1, "tooltip": 1, "small": 1, "smallcaps": 1, "sc": 1, "em": 1, "ill": 1,
    "interlanguage link": 1, "quote": 1, "blockquote": 1, "cquote": 1, "bquote": 1, "nihongo": 1,
    "ship": 2, "uss": 1, "hms": 1, "frac": -1, "val": 1, "formatnum": 1, "as of": 1, "nbsp": 0,
}  # fmt: skip
_RANGES = frozenset({"-", "–", "to", "and", "or", "to(-)", "by", "x", "×", "+/-", "±"})


@dataclass
class _Frame:
    """An opened bracket: its mark and the text since then."""

    mark: str
    width: int = 2
    parts: list[str] = field(default_factory=list)


def matched(text: str, unshown: Collection[str]) -> str:
    """Replace links by their texts; take out templates, arguments and tables.

    Args:
        text: Wikitext without comments.
        unshown: Names, in lower case, of the namespaces whose links show no text.
    """
    stack = [_Frame("")]
    unclosed = {"{{": 0, "[[": 0, "{|": 0, "<table": 0}

    def open_frame(mark: str, width: int) -> None:
        if len(stack) <= _MAX_DEPTH:
            stack.append(_Frame(mark, width))
            unclosed[mark] += 1

    def close_frame(mark: str, *, is_closed: bool) -> int:
        """Close the innermost frame of a mark, and those above it, which are never closed."""
        while True:
            frame = stack.pop()
            unclosed[frame.mark] -= 1
            content = "".join(frame.parts)
            if frame.mark == mark and is_closed:
                stack[-1].parts.append(_rendered(mark, content, unshown))
            else:
                stack[-1].parts.append(_opened(frame.mark, content))
            if frame.mark == mark:
                return frame.width

    start = 0
    for token in _BRACKETS.finditer(text):
        stack[-1].parts.append(text[start : token.start()])
        start = token.end()
        bracket = token[0].strip(" \t:*#").lower()
        if bracket == "[[":
            open_frame("[[", 2)
        elif bracket == "]]":
            if stack[-1].mark == "[[":
                close_frame("[[", is_closed=True)
        elif bracket == "{|":
            open_frame("{|", 2)
        elif bracket.startswith("<table"):
            open_frame("<table", 2)
        elif bracket.startswith("{"):
            for width in _widths(len(bracket)):
                open_frame("{{", width)
        else:
            mark = {"|}": "{|", "</": "<table"}.get(bracket[:2], "{{")
            left = len(bracket) if mark == "{{" else 2
            while left >= 2 and unclosed[mark]:
                left -= close_frame(mark, is_closed=True)
    stack[-1].parts.append(text[start:])
    while len(stack) > 1:
        close_frame(stack[-1].mark, is_closed=False)
    return "".join(stack[0].parts)


def _widths(braces: int) -> list[int]:
    """Split a run of braces: three open an argument, two a template, the outermost first."""
    widths: list[int] = []
    while braces >= 2 and len(widths) <= _MAX_DEPTH:
        widths.append(2 if braces in (2, 4) else 3)
        braces -= widths[-1]
    return widths[::-1]


def _rendered(mark: str, content: str, unshown: Collection[str]) -> str:
    if mark == "[[":
        return _link(content, unshown)
    return _template(content) if mark == "{{" else "\n"


def _opened(mark: str, content: str) -> str:
    """Return what is left of a bracket that is never closed."""
    if mark not in ("{|", "<table"):
        return content
    # The rest of a page after a table that is not closed: its cells go, its paragraphs stay.
    lines = content.split("\n")
    return "\n".join(line for line in lines[1:] if not line.lstrip().startswith(("|", "!")))


def _link(content: str, unshown: Collection[str]) -> str:
    target, bar, shown = content.partition("|")
    prefix, colon, rest = target.partition(":")
    prefix = prefix.strip().lower().replace("_", " ")
    if colon and prefix in unshown:
        return ""
    if bar and shown.strip():
        return shown
    if not colon:
        # [[Mercury (planet)|]] shows "Mercury".
        return re.sub(r" \([^()]*+\)$", "", target.strip()) if bar else target
    if not prefix:
        return rest
    if prefix in SISTER_PROJECTS:
        return rest
    is_language = not bar and not rest.startswith(" ")
    if is_language and _LANGUAGE_LINK.fullmatch(target.partition(":")[0]):
        return ""
    return target


def _template(content: str) -> str:
    name, *arguments = content.split("|")
    name = " ".join(name.replace("_", " ").split()).lower()
    if name.startswith("lang-"):
        shown = 1
    elif name in ("convert", "cvt"):
        return _conversion(arguments)
    elif name in _SHOWN_ARGUMENT:
        shown = _SHOWN_ARGUMENT[name]
    else:
        return ""
    values = [argument.strip() for argument in arguments]
    positional = [value[2:] if value.startswith("1=") else value for value in values]
    positional = [value for value in positional if not re.match(r"[\w -]{1,30}+=", value)]
    if name == "nbsp":
        return " "
    if not positional or shown > len(positional):
        return ""
    return positional[-1] if shown < 0 else positional[shown - 1]


def _conversion(arguments: list[str]) -> str:
    """Return the measure as it was given: `{{convert|5|to|10|km|mi}}` is "5 to 10 km"."""
    values = [argument.strip() for argument in arguments if "=" not in argument]
    shown = values[:2]
    if len(values) >= 4 and values[1] in _RANGES:
        shown = values[:4]
    return " ".join(shown)
