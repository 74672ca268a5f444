"""Keys of URLs: one key for the addresses under which people post one page.

Used to sum a page's karma over Reddit submissions and to find it among the crawled pages (WebText,
GPT-2 section 2.1). A URL goes in, a key such as `example.com/a?b=c` comes out, or None for what is
no web address. What the key forgets, and why:

- scheme, user, default port, `www.` or `www1.` in front, and a dot after the host: the SURT keys of
  Common Crawl's own index forget them too, so that two URLs of one key are one row there;
- fragment, and a slash at the end of the path: the same page in all but a handful of cases;
- parameters that only say where a visitor came from (`utm_*`, `fbclid`, ...), and the order of the
  others, which SURT sorts as well.

Case is forgotten in the host only; percent-encoding is written in one way (RFC 3986, 6.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote, urlsplit

import xxhash

# Beyond what browsers and the crawl's index take; a bound on hostile input.
_MAX_LENGTH = 8192
_SCHEMES = frozenset({"http", "https"})
# Of either scheme: the key forgets which it was.
_PORTS = frozenset({80, 443})
_WWW = re.compile(r"www\d{0,2}\.")
_HOST = re.compile(r"[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*|\[[0-9a-f:.]+\]")
# Control characters and space at the ends; tabs and line ends anywhere (WHATWG URL, 4.4).
_ENDS = "".join(map(chr, range(0x21)))
_IGNORED = str.maketrans("", "", "\t\r\n")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
# Printable ASCII that stays as it is; everything else is percent-encoded.
_KEPT = "/?:@!$&'()*+,;=~%[]|"
_UNRESERVED = frozenset("-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# Parameters that mark the way to a page and never the page: the campaign parameters of Google
# Analytics, and the click identifiers of Google, Meta, Microsoft, Yandex, Mailchimp, HubSpot,
# Marketo, Instagram, Twitter and TikTok.
_TRACKING_PREFIXES = ("utm_", "hsa_", "mtm_", "pk_")
_TRACKING = frozenset(
    {
        "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "srsltid", "_ga", "_gl",
        "msclkid", "yclid", "ymclid", "mc_cid", "mc_eid", "_hsenc", "_hsmi", "mkt_tok",
        "igshid", "igsh", "twclid", "ttclid", "ref_src",
    }
)  # fmt: skip


def key(url: str) -> str | None:
    """Return the key of a URL, or None when it is no http or https address. Never raises."""
    parts = _split(url)
    if parts is None:
        return None
    host, port, path, query = parts
    if _WWW.match(host) and "." in _WWW.sub("", host, count=1):
        host = _WWW.sub("", host, count=1)
    shown = "" if port is None or port in _PORTS else f":{port}"
    path = _without_dots(_canonical(path)).rstrip("/")  # %2e is a dot as well
    pairs = map(_canonical, query.split("&"))
    kept = sorted(pair for pair in pairs if pair and not _is_tracking(pair))
    tail = "?" + "&".join(kept) if kept else ""
    return host + shown + path + tail


def page_hash(key: str) -> int:
    """Return 64 bits that stand for the key of a URL (XXH3).

    The chance that any two of the 25 million links of WebText share theirs is 2e-5, and that a page
    which is not linked is taken for a linked one 1e-12.
    """
    return xxhash.xxh3_64_intdigest(key.encode("utf-8"))


def host_of(url: str) -> str | None:
    """Return the host of an http or https URL in lower case, or None. Never raises."""
    parts = _split(url)
    return None if parts is None else parts[0]


def in_domains(host: str, domains: Collection[str]) -> bool:
    """Say whether a host is one of the domains or below one of them."""
    labels = host.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))


def _split(url: str) -> tuple[str, int | None, str, str] | None:
    """Return host, port, path and query, or None for what is no web address."""
    if len(url) > _MAX_LENGTH:
        return None
    url = url.strip(_ENDS).translate(_IGNORED)
    try:
        parts = urlsplit(url)
        scheme, name, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:  # brackets that are no IPv6 address, a port that is no number
        return None
    if scheme not in _SCHEMES or not name:
        return None
    name = name.removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    if ":" in name:
        name = f"[{name}]"
    if not _HOST.fullmatch(name):
        return None
    return name, port, parts.path, parts.query


def _canonical(text: str) -> str:
    """Write percent-encoding in one way: only where it is needed, in UTF-8 and in upper case."""
    # A surrogate that stands for no character would become a question mark: a query's beginning.
    text = _LONE_PERCENT.sub("%25", _SURROGATE.sub("\ufffd", text))
    text = quote(text, safe=_KEPT, encoding="utf-8")
    return _PERCENT.sub(_decoded_unreserved, text)


def _decoded_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """Resolve the segments `.` and `..` (RFC 3986, 5.2.4)."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def _is_tracking(pair: str) -> bool:
    parameter = pair.partition("=")[0].lower()
    return parameter in _TRACKING or parameter.startswith(_TRACKING_PREFIXES)
