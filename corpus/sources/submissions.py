"""Dumps of Reddit submissions to their outbound links, in batches (GPT-2, section 2.1).

A dump goes in: JSON lines, monthly, as Pushshift published them, plain or compressed. Tables of the
submissions that link to a page outside come out; self posts, links to Reddit, media and lines that
are none are counted. Nothing is summed here: `corpus.sources.webtext` does that.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import xxhash

from corpus.errors import InputError
from corpus.sources import streams, urls

SUBMISSIONS_SCHEMA = pa.schema(
    [
        pa.field("url", pa.large_string(), nullable=False),  # key of `corpus.sources.urls`
        pa.field("original", pa.large_string(), nullable=False),
        pa.field("submission", pa.uint64(), nullable=False),  # hash of its id
        pa.field("score", pa.int64(), nullable=False),
        pa.field("over_18", pa.bool_(), nullable=False),
    ]
)
SELF_POST = "self_post"
MEDIA = "media"
MALFORMED = "malformed"

_REDDIT = frozenset({"reddit.com", "redd.it"})
# Hosts of images, video and sound, as in the lists of OpenWebText and OpenWebText2.
_MEDIA_HOSTS = frozenset(
    {
        "i.redd.it", "v.redd.it", "i.reddituploads.com", "redditmedia.com", "imgur.com",
        "gfycat.com", "giphy.com", "youtube.com", "youtu.be", "vimeo.com",
        "dailymotion.com", "twitch.tv", "streamable.com", "liveleak.com", "vid.me",
        "soundcloud.com", "spotify.com", "minus.com", "photobucket.com", "flickr.com",
        "flic.kr", "instagram.com", "deviantart.com", "tinypic.com", "quickmeme.com",
        "livememe.com", "qkme.me", "memegenerator.net",
    }
)  # fmt: skip
# Endings of addresses that are no page.
_MEDIA_ENDINGS = frozenset(
    {
        "jpg", "jpeg", "jpe", "png", "gif", "gifv", "webp", "bmp", "tif", "tiff", "svg",
        "ico", "mp4", "m4v", "webm", "mov", "avi", "mkv", "flv", "wmv", "mpg", "mpeg",
        "ogv", "mp3", "m4a", "wav", "ogg", "oga", "flac", "aac", "wma", "pdf", "ps", "djvu",
        "epub", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "zip", "rar", "7z", "gz",
        "tgz", "bz2", "xz", "tar", "iso", "dmg", "exe", "msi", "apk", "deb", "rpm", "jar",
        "torrent",
    }
)  # fmt: skip
# A submission's text is at most 40,000 characters and its JSON about 200 kB with crossposts.
_MAX_LINE_BYTES = 8 << 20
# Submissions of a batch, as Python has them: 600 bytes each.
_BATCH = 1 << 16


@dataclass
class Tally:
    """Submissions that were read, and those that are no outbound links, by what they are."""

    read: int = 0
    others: dict[str, int] = field(default_factory=dict)

    def count(self, fate: str) -> None:
        """Count one that is no outbound link."""
        self.others[fate] = self.others.get(fate, 0) + 1


@dataclass(frozen=True, slots=True)
class _Link:
    url: str
    original: str
    submission: str | None
    score: int
    over_18: bool


def read(path: str, *, name: str, tally: Tally) -> Iterator[pa.Table]:
    """Yield the outbound links of a dump in tables of `SUBMISSIONS_SCHEMA`, in its order.

    Args:
        path: Local path or URL: JSON lines, plain or compressed.
        name: Stable name of the dump; it tells submissions without an id apart.
        tally: What has been read; the others are counted in it.

    Raises:
        InputError: The dump cannot be read, or ends or is damaged before its end: a sum over part
            of a dump would be wrong for every address in the rest.
    """
    links: list[_Link] = []
    numbers: list[int] = []
    try:
        for number, line in streams.lines(path, max_line_bytes=_MAX_LINE_BYTES):
            if not isinstance(line, int) and not line.strip():
                continue
            tally.read += 1
            link = MALFORMED if isinstance(line, int) else _submission(line)
            if isinstance(link, str):
                tally.count(link)
                continue
            links.append(link)
            numbers.append(number)
            if len(links) == _BATCH:
                yield _table(links, numbers, name)
                links, numbers = [], []
    except streams.DamagedStreamError as damage:
        raise InputError(
            "the dump of submissions is not whole",
            where=name,
            why=f"{damage}; karma summed over a part of the submissions would be wrong",
            fix="Fetch the file again, or take it out of the recipe",
        ) from damage
    if links:
        yield _table(links, numbers, name)


def _table(links: list[_Link], numbers: list[int], name: str) -> pa.Table:
    # Without an id a line is a submission by itself.
    own = (
        link.submission or f"{name}\n{number}" for link, number in zip(links, numbers, strict=True)
    )
    return pa.table(
        {
            "url": [link.url for link in links],
            "original": [link.original for link in links],
            "submission": [xxhash.xxh3_64_intdigest(one.encode("utf-8")) for one in own],
            "score": [link.score for link in links],
            "over_18": [link.over_18 for link in links],
        },
        schema=SUBMISSIONS_SCHEMA,
    )


def _submission(line: bytes) -> _Link | str:
    """Return the outbound link of a submission, or what it is instead."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return MALFORMED
    if not isinstance(row, Mapping):
        return MALFORMED
    url = row.get("url")
    if row.get("is_self") is True or str(row.get("domain", "")).startswith("self."):
        return SELF_POST
    if not isinstance(url, str):
        return MALFORMED
    url = streams.repaired(url).strip()
    key, host = urls.key(url), urls.host_of(url)
    if key is None or host is None:
        # Old dumps give links to Reddit itself as paths.
        return SELF_POST if url.startswith("/r/") else MALFORMED
    if _is_media(host, key):
        return MEDIA
    if urls.in_domains(host, _REDDIT):
        return SELF_POST
    own = row.get("id")
    submission = streams.repaired(own)[:64] if isinstance(own, str) and own else None
    return _Link(key, url, submission, _score(row.get("score")), row.get("over_18") is True)


def _score(value: object) -> int:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            return 0
    if isinstance(value, float):
        value = int(value) if abs(value) < 2**31 else 0
    # Reddit's scores are below a million; the bound keeps a forged one out of the sum's overflow.
    return value if isinstance(value, int) and abs(value) < 2**31 else 0


def _is_media(host: str, key: str) -> bool:
    if urls.in_domains(host, _MEDIA_HOSTS):
        return True
    path = key.partition("?")[0]
    ending = posixpath.splitext(path)[1] if "/" in path else ""
    return ending[1:].lower() in _MEDIA_ENDINGS
