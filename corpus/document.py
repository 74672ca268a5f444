"""What passes between stages: pages, documents, drops and verdicts, with their Arrow schemas.

A source reads its files into `Page` (raw bytes that still need extraction), `Document` (text) and
`Drop` (a row that was lost, with its reason). The extract stage writes documents once, in
`DOCUMENT_SCHEMA`; every later stage writes verdicts that lie row by row beside them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("date", pa.string()),  # ISO 8601, UTC
        pa.field("title", pa.string()),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("language", pa.string()),  # ISO 639-1 where there is one, "un" when unknown
        pa.field("language_score", pa.float32()),  # share of the text in that language, 0 to 1
        # Provenance: an archive and a byte offset in it, or a dump (or any file) and a page of it.
        pa.field("warc_file", pa.string()),
        pa.field("warc_offset", pa.int64()),
        pa.field("dump", pa.string()),
        pa.field("page", pa.int64()),
    ]
)

DROP_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("warc_file", pa.string()),
        pa.field("warc_offset", pa.int64()),
        pa.field("dump", pa.string()),
        pa.field("page", pa.int64()),
    ]
)

# `kept` is true or false for a document that reached the stage, and null for one that an earlier
# stage had dropped: the kept rows of the last verdict are the corpus.
VERDICT_FIELDS = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("kept", pa.bool_()),
    pa.field("reason", pa.string()),
)
FILTER_SCHEMA = pa.schema(
    [
        *VERDICT_FIELDS,
        pa.field("rule", pa.string()),  # of a heuristic set, the rule that the document broke
        pa.field("score", pa.float64()),
    ]
)
DEDUP_SCHEMA = pa.schema(
    [
        *VERDICT_FIELDS,
        pa.field("duplicate_of", pa.string()),
        pa.field("duplicate_source", pa.string()),
        pa.field("duplicate_index", pa.string()),  # null when the keeper is of this build
        pa.field("jaccard", pa.float64()),
    ]
)
# Cuts are half-open ranges of bytes of the UTF-8 text.
CUTS = pa.list_(pa.struct([pa.field("start", pa.int64()), pa.field("end", pa.int64())]))
# Each line that was cut because the keeper, another document or the same one, has it before.
LINES = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            pa.field("keeper", pa.string()),
            pa.field("keeper_source", pa.string()),
            pa.field("hash", pa.uint64()),  # of the line as it is compared
        ]
    )
)
# With `dedup.lines`: the ranges of `cuts` are those of `lines` with their line feeds.
DEDUP_LINES_SCHEMA = pa.schema([*DEDUP_SCHEMA, pa.field("cuts", CUTS), pa.field("lines", LINES)])
DECONTAMINATE_SCHEMA = pa.schema(
    [*VERDICT_FIELDS, pa.field("cuts", CUTS), pa.field("benchmarks", pa.list_(pa.string()))]
)
# Behind `dedup.lines`, `cuts` are all cuts, of lines and of benchmark text, and these the latter.
DECONTAMINATE_LINES_SCHEMA = pa.schema([*DECONTAMINATE_SCHEMA, pa.field("benchmark_cuts", CUTS)])


class DropReason(StrEnum):
    """Why a row was dropped. One reason a row: the first that held, in the order of the checks."""

    # extract: archives
    DAMAGED_RECORD = "damaged_record"  # cannot be read or parsed; detail says the cause
    TRUNCATED_RECORD = "truncated_record"  # shorter than its declared length
    HTTP_STATUS = "http_status"  # not 200
    MIME_TYPE = "mime_type"  # neither HTML nor plain text
    EMPTY_BODY = "empty_body"
    PAGE_TOO_LARGE = "page_too_large"
    # extract: text
    EXTRACTION_TIMEOUT = "extraction_timeout"
    EXTRACTION_CRASH = "extraction_crash"  # the parser died or ran out of memory
    EXTRACTION_ERROR = "extraction_error"  # the parser raised
    NO_TEXT = "no_text"  # nothing left after extraction
    TEXT_TOO_LARGE = "text_too_large"
    # extract: documents and dumps
    MALFORMED = "malformed"  # a line or row that does not parse
    MISSING_TEXT = "missing_text"
    NAMESPACE = "namespace"  # a dump page that is not an article
    REDIRECT = "redirect"
    DISAMBIGUATION = "disambiguation"
    # filter
    LANGUAGE = "language"
    URL = "url"
    QUALITY = "quality"  # lost the Pareto draw
    GOPHER_QUALITY = "gopher_quality"
    GOPHER_REPETITION = "gopher_repetition"
    C4 = "c4"
    FINEWEB = "fineweb"
    # dedup
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    URL_DUPLICATE = "url_duplicate"  # a better document has the same address
    DUPLICATE_LINES = "duplicate_lines"  # too little is left without the lines of other documents
    # decontaminate
    CONTAMINATED = "contaminated"  # cut into more pieces than allowed
    NOTHING_LEFT = "nothing_left"  # every piece was under the minimum


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is from: an archive and a byte offset, or a dump (any file) and a page of it."""

    warc_file: str | None = None
    warc_offset: int | None = None
    dump: str | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One raw page out of an archive, before extraction.

    Attributes:
        id: Stable identifier.
        url: Target URI of the record, as recorded.
        date: ISO 8601 UTC date of the record, or None.
        place: Archive and offset.
        mime_type: Lower-case MIME type of the HTTP response, without parameters.
        charset: Charset named by the HTTP header, or None.
        body: Payload bytes, transfer and content encodings undone.
    """

    id: str
    url: str
    date: str | None
    place: Place
    mime_type: str
    charset: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """One document with its text."""

    id: str
    url: str | None
    date: str | None
    title: str | None
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Drop:
    """One row that was lost: which, where, and why."""

    id: str
    url: str | None
    reason: DropReason
    detail: str | None
    place: Place


def identifier(*parts: object) -> str:
    """Return a stable identifier: 128 bits of BLAKE2b over the parts, as 32 hexadecimal digits.

    Args:
        *parts: What makes the row what it is (archive name, offset, record id, ...). Never a
            path of this machine or a position that depends on the number of workers.
    """
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
