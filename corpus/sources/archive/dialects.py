"""How a record begins in WARC and in ARC archives: the two grammars that the careful reader knows.

WARC (ISO 28500, section 4): a version line, headers, an empty line, the block. ARC (Internet
Archive, 1996): one line with URL, address, date, MIME type and length, then the block.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from corpus.sources.archive.http import Headers, parse_headers


@dataclass(frozen=True, slots=True)
class Dialect:
    """The grammar of a record's head.

    Attributes:
        start: Matches a record's first bytes.
        inside: Finds a record that starts within other bytes; stricter where prose could match.
        head_end: Finds the end of the head.
        prefixes: What the first bytes of a gzip member that holds a record may be.
        parse: Head to headers, under the names that WARC gives them.
    """

    start: re.Pattern[bytes]
    inside: re.Pattern[bytes]
    head_end: re.Pattern[bytes]
    prefixes: tuple[bytes, ...]
    parse: Callable[[bytes], Headers]


def _warc_headers(head: bytes) -> Headers:
    return parse_headers(head)[1]


# URL address date, then at least a MIME type and the length.
_ARC_LINE = re.compile(r"(?P<url>.+?) (?P<ip>\S*) (?P<date>\d{8,18}\S*) ", re.S)


def _arc_headers(head: bytes) -> Headers:
    line = head.decode("utf-8", "replace").rstrip("\r\n")
    fields = _ARC_LINE.match(line)
    before, _, length = line.rpartition(" ")
    url = fields["url"] if fields else (before.rsplit(" ", 3) or [line])[0]
    headers = Headers({"warc-target-uri": url, "content-length": length})
    if fields:
        headers["warc-date"] = _arc_date(fields["date"])
    headers["warc-type"] = "arc_header" if url.startswith("filedesc:") else "response"
    if not url.lower().startswith(("http:", "https:")):
        headers["content-type"] = (
            "text/dns" if url.startswith("dns:") else "application/octet-stream"
        )
    return headers


def _arc_date(digits: str) -> str:
    """Return an ISO date for the 14 digits that ARC prescribes; the value as it is otherwise."""
    if len(digits) < 14 or not digits[:14].isdigit():
        return digits
    year, month, day, hour, minute, second = (
        digits[:4], digits[4:6], digits[6:8], digits[8:10], digits[10:12], digits[12:14]
    )  # fmt: skip
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}Z"


# Versions 0.17, 0.18, 1.0 and 1.1 were in use.
_VERSION = rb"WARC/[01]\.\d{1,3}[ \t]*\r{0,2}\n"
WARC = Dialect(
    start=re.compile(_VERSION, re.IGNORECASE),
    inside=re.compile(_VERSION + rb"[A-Za-z-]{4,40}:"),
    head_end=re.compile(rb"\r{0,2}\n\r{0,2}\n"),
    prefixes=(b"WARC/", b"warc/"),
    parse=_warc_headers,
)

_ARC_START = rb"(?:filedesc:|https?:|ftp:|dns:)[^\n]{1,8192} -?\w{1,15}[ \t]*\r?\n"
ARC = Dialect(
    start=re.compile(_ARC_START, re.IGNORECASE),
    inside=re.compile(
        rb"(?<=\n)(?:https?|ftp|dns):[^ \n]{1,8192} [0-9A-Fa-f.:]{3,45} \d{8,18} "
        rb"[^\n]{1,256} -?\w{1,15}\r?\n"
    ),
    head_end=re.compile(rb"\r?\n"),
    prefixes=(b"http", b"filedesc:", b"ftp:", b"dns:", b"HTTP"),
    parse=_arc_headers,
)
