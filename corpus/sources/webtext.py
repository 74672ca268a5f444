"""WebText: the pages that Reddit submissions with enough karma link to (GPT-2 section 2.1, GPT-3).

Two steps. `links` reads dumps of Reddit submissions and says for every address whether it is
linked: an outbound link of at least 3 karma, with the karma summed over all submissions of the
address as OpenWebText2 does, no media, no Wikipedia. `read` yields those pages of an archive whose
address is linked; the extract stage turns them into text as it does with any other page.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Collection, Container, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpus.document import Drop, Page
from corpus.errors import InputError
from corpus.sources import streams, urls, warc

LINKS_SCHEMA = pa.schema(
    [
        pa.field("url", pa.large_string()),  # key of `corpus.sources.urls`; null: see `links`
        pa.field("original", pa.large_string()),
        pa.field("karma", pa.int64(), nullable=False),
        pa.field("submissions", pa.int64(), nullable=False),
        pa.field("fate", pa.string(), nullable=False),
    ]
)
LINKED = "linked"
LOW_KARMA = "low_karma"
OVER_18 = "over_18"
WIKIPEDIA = "wikipedia"
BLOCKED = "blocked"
SELF_POST = "self_post"
MEDIA = "media"
MALFORMED = "malformed"
# Fates of submissions, not of addresses: nobody will look for those, and they are most of a dump.
_COUNTED = (SELF_POST, MEDIA, MALFORMED)

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
_WIKIPEDIA = frozenset({"wikipedia.org"})
# A submission's text is at most 40,000 characters and its JSON about 200 kB with crossposts.
_MAX_LINE_BYTES = 8 << 20
# Submissions that are gathered before they are summed into the table.
_BATCH = 1 << 16


def links(
    paths: Sequence[tuple[str, str]], *, min_karma: int, blocked_domains: Collection[str]
) -> pa.Table:
    """Say of every address in dumps of Reddit submissions whether it is linked, and why not.

    Scores are summed exactly over the submissions of an address, a missing score counts 0, and
    submissions marked `over_18` are left out of the sum. The result does not depend on the order
    of files or lines. Memory grows with the distinct addresses that are none of `self_post`,
    `media` and `malformed`: 1.3 kB each at the peak and 0.2 kB in the result (measured: a million
    addresses of 75 characters, 1.3 GB); not with the submissions.

    Args:
        paths: Local path or URL, and stable name, of each dump: JSON lines, plain or compressed.
            A submission that is in two dumps counts twice.
        min_karma: Least sum of scores of a linked address (GPT-2 and GPT-3: 3).
        blocked_domains: Domains in lower case that are left out, with their sub-domains.

    Returns:
        Table of `LINKS_SCHEMA`, sorted by url with nulls last. `original` is the first, in order
        of its characters, of the addresses as submitted. `fate` is `linked` or, of these, the
        first that holds: `wikipedia`, `blocked`, `over_18` (every submission is), `low_karma`.
        Three fates are only counted, one row each with url and original null and karma 0:
        `self_post` (text posts and links to Reddit itself), `media` and `malformed`. The
        submissions of all rows add up to the submissions read.

    Raises:
        InputError: A dump cannot be read, or it ends or is damaged before its end: a sum over
            part of a dump would be wrong for every address in the rest.
    """
    counted = dict.fromkeys(_COUNTED, 0)
    merged: pa.Table | None = None
    waiting: list[pa.Table] = []
    waiting_rows = 0
    for batch in _batches(paths, counted):
        part = _summed(batch)
        waiting.append(part)
        waiting_rows += part.num_rows
        # Joined when the parts outgrow the whole, so that a row is summed O(log n) times.
        if merged is None or waiting_rows >= merged.num_rows:
            merged = _summed(pa.concat_tables([*waiting, *([] if merged is None else [merged])]))
            waiting, waiting_rows = [], 0
    if merged is not None and waiting:
        merged = _summed(pa.concat_tables([*waiting, merged]))
    return _with_fates(merged, counted, min_karma, frozenset(blocked_domains))


class LinkedUrls:
    """A set of keys of URLs in 8 bytes each: the sorted 64-bit hashes (XXH3) of the keys.

    The chance that a page that is not linked is taken for a linked one is 25 million / 2**64 with
    the 25 million links of WebText: 1e-12.
    """

    def __init__(self, keys: pa.Array | pa.ChunkedArray | Collection[str]) -> None:
        """Hash the keys; nulls are left out."""
        hashes = (
            xxhash.xxh3_64_intdigest(str(key).encode("utf-8")) for key in keys if _present(key)
        )
        self._hashes = np.unique(np.fromiter(hashes, dtype=np.uint64))

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str) or not len(self._hashes):
            return False
        value = np.uint64(xxhash.xxh3_64_intdigest(key.encode("utf-8")))
        place = int(np.searchsorted(self._hashes, value))
        return place < len(self._hashes) and bool(self._hashes[place] == value)


def read(
    path: str,
    *,
    name: str,
    linked: Container[str],
    max_page_bytes: int,
    verify_digests: bool = False,
) -> Iterator[Page | Drop]:
    """Yield the pages of an archive whose address is linked.

    Pages that are not linked are no candidates and yield nothing; so do drops that name an address
    that is not linked. Drops without an address (damage to the archive) are passed on.

    Args:
        path: Local path or URL of a WARC file.
        name: Stable name of the file.
        linked: The keys (`corpus.sources.urls.key`) of the linked addresses: a frozenset, or
            `LinkedUrls` where there are millions.
        max_page_bytes: Bound on a page's body.
        verify_digests: Whether records have to have the digests that they name.

    Raises:
        InputError: The file cannot be read.
    """
    items = warc.read(path, name=name, max_page_bytes=max_page_bytes, verify_digests=verify_digests)
    for item in items:
        if item.url is None:
            if isinstance(item, Drop):
                yield item
        elif urls.key(item.url) in linked:
            yield item


def _present(key: object) -> bool:
    return key is not None and getattr(key, "is_valid", True) is not False


def _batches(paths: Sequence[tuple[str, str]], counted: dict[str, int]) -> Iterator[pa.Table]:
    """Yield the submissions that are outbound links, and count the others."""
    keys: list[str] = []
    originals: list[str] = []
    scores: list[int] = []
    adults: list[bool] = []

    def batch() -> pa.Table:
        return pa.table(
            {
                "url": pa.array(keys, pa.large_string()),
                "original": pa.array(originals, pa.large_string()),
                "karma": pa.array(scores, pa.int64()),
                "submissions": pa.array([1] * len(keys), pa.int64()),
                "sfw": pa.array([int(not adult) for adult in adults], pa.int64()),
            }
        )

    for path, name in paths:
        try:
            for _, line in streams.lines(path, max_line_bytes=_MAX_LINE_BYTES):
                if not isinstance(line, int) and not line.strip():
                    continue
                submission = None if isinstance(line, int) else _submission(line)
                if submission is None:
                    counted[MALFORMED] += 1
                    continue
                key, original, score, adult, fate = submission
                if fate is not None:
                    counted[fate] += 1
                    continue
                keys.append(key)
                originals.append(original)
                scores.append(0 if adult else score)
                adults.append(adult)
                if len(keys) == _BATCH:
                    yield batch()
                    keys, originals, scores, adults = [], [], [], []
        except streams.DamagedStreamError as damage:
            raise InputError(
                "the dump of submissions is not whole",
                where=name,
                why=f"{damage}; karma summed over a part of the submissions would be wrong",
                fix="Fetch the file again, or take it out of the recipe",
            ) from damage
    if keys:
        yield batch()


def _submission(line: bytes) -> tuple[str, str, int, bool, str | None] | None:
    """Return key, address, score, whether it is over 18, and a fate that is only counted."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, Mapping):
        return None
    url = row.get("url")
    if row.get("is_self") is True or str(row.get("domain", "")).startswith("self."):
        return "", "", 0, False, SELF_POST
    if not isinstance(url, str):
        return None
    url = streams.repaired(url).strip()
    key, host = urls.key(url), urls.host_of(url)
    if key is None or host is None:
        # Old dumps give links to Reddit itself as paths.
        return ("", "", 0, False, SELF_POST) if url.startswith("/r/") else None
    if _is_media(host, key):
        return key, url, 0, False, MEDIA
    if urls.in_domains(host, _REDDIT):
        return key, url, 0, False, SELF_POST
    return key, url, _score(row.get("score")), row.get("over_18") is True, None


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


def _summed(table: pa.Table) -> pa.Table:
    """Return one row for each url: sums, and the first of the addresses."""
    grouped = table.group_by("url", use_threads=False).aggregate(
        [("original", "min"), ("karma", "sum"), ("submissions", "sum"), ("sfw", "sum")]
    )
    columns = ["url", "original_min", "karma_sum", "submissions_sum", "sfw_sum"]
    return grouped.select(columns).rename_columns(table.column_names)


def _with_fates(
    merged: pa.Table | None, counted: Mapping[str, int], min_karma: int, blocked: frozenset[str]
) -> pa.Table:
    parts = [LINKS_SCHEMA.empty_table()]
    if merged is not None:
        merged = merged.sort_by("url")
        by_host = pa.array(
            (_host_fate(urls.host_of(url.as_py()) or "", blocked) for url in merged["original"]),
            pa.string(),
        )
        by_karma = pc.if_else(
            pc.equal(merged["sfw"], 0),
            OVER_18,
            pc.if_else(pc.greater_equal(merged["karma"], min_karma), LINKED, LOW_KARMA),
        )
        fates = pc.coalesce(by_host, by_karma)
        parts.append(merged.drop_columns("sfw").append_column("fate", fates).cast(LINKS_SCHEMA))
    rows = [
        {"url": None, "original": None, "karma": 0, "submissions": number, "fate": fate}
        for fate, number in counted.items()
        if number
    ]
    parts.append(pa.Table.from_pylist(rows, schema=LINKS_SCHEMA))
    return pa.concat_tables(parts)


def _host_fate(host: str, blocked: frozenset[str]) -> str | None:
    if urls.in_domains(host, _WIKIPEDIA):
        return WIKIPEDIA
    return BLOCKED if urls.in_domains(host, blocked) else None
