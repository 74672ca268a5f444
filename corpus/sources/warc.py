"""Pages of WARC, WET and ARC archives.

The crawled half of GPT-3's corpus comes this way (Brown et al. 2020, section 2.2 and appendix A).
Every `response`, `resource` and `conversion` record becomes one `Page` or one `Drop` with its
reason, and so does every stretch of the archive that cannot be read. Requests, metadata, revisits,
archive headers and DNS answers are no pages and yield nothing.

A record that the crawler itself cut short (`WARC-Truncated`, as Common Crawl does at 1 MiB) is
whole as a record, and its page is kept: its beginning is text like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from corpus.document import Drop, DropReason, Page, Place, identifier
from corpus.sources.archive.chosen import in_archive
from corpus.sources.archive.digests import wrong_digest
from corpus.sources.archive.http import (
    MAX_HEAD_BYTES,
    BodyTooLarge,
    Headers,
    Response,
    decoded_body,
    media_type,
    parse_response,
)
from corpus.sources.archive.record import Damage, Record
from corpus.sources.archive.records import records

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
MIME_TYPES = HTML_TYPES | {"text/plain"}
_PAGE_KINDS = frozenset({"response", "resource", "conversion"})
_SNIFFED = 1024
# Servers that name no type, or text for everything: what the first bytes say.
_BINARY = (
    b"%PDF-",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"\x00\x00",
)
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title")


def read(
    path: str,
    *,
    name: str,
    max_page_bytes: int,
    offsets: str | None = None,
    verify_digests: bool = False,
) -> Iterator[Page | Drop]:
    """Yield the pages of an archive and what of it was lost, in the order of the archive.

    Args:
        path: Local path or URL of a WARC, WET or ARC file, plain or compressed.
        name: The archive's stable name; with offset and record id it makes the identifiers.
        max_page_bytes: Bound on the bytes of a page, codings undone.
        offsets: Of a file of records chosen from the archive `name`, the path of the table that
            says where in it they were.
        verify_digests: Whether records have to have the digests that they name.

    Raises:
        InputError: The file cannot be read, or is no archive.
    """
    items = records(path, max_record_bytes=max_page_bytes + MAX_HEAD_BYTES)
    for item in items if offsets is None else in_archive(items, offsets):
        if isinstance(item, Damage):
            reason = DropReason.TRUNCATED_RECORD if item.at_end else DropReason.DAMAGED_RECORD
            yield Drop(
                id=identifier("warc", name, item.offset, "damage"),
                url=None,
                reason=reason,
                detail=f"at byte {item.offset}: {item.cause}",
                place=Place(warc_file=name, warc_offset=item.offset),
            )
        elif item.truncated is not None:
            detail = f"at byte {item.offset}: {item.truncated}"
            yield _drop(item, name, DropReason.TRUNCATED_RECORD, detail)
        elif item.kind in _PAGE_KINDS:
            page = _page(item, name, max_page_bytes, verify_digests)
            if page is not None:
                yield page


def _page(record: Record, name: str, limit: int, verify: bool) -> Page | Drop | None:
    """Return what a record with a page in it becomes; None for a DNS answer."""
    declared_type = record.headers.get("Content-Type")
    mime_type, charset = media_type(declared_type)
    if mime_type == "text/dns" or (record.headers.get("WARC-Target-URI") or "").startswith("dns:"):
        return None
    wrong = wrong_digest(record) if verify else None
    if wrong is not None:
        return _drop(record, name, DropReason.DAMAGED_RECORD, wrong)
    if record.kind == "response" and mime_type in ("application/http", "message/http", ""):
        response = parse_response(record.body)
        if response.status is None:
            return _drop(record, name, DropReason.DAMAGED_RECORD, "no HTTP status line")
        if response.status != 200:
            return _drop(record, name, DropReason.HTTP_STATUS, str(response.status))
        mime_type, charset = media_type(response.headers.get("Content-Type"))
    else:
        response = Response(None, Headers(), record.body)
    whole = record.length == len(record.body)
    try:
        body = decoded_body(response, limit=limit) if whole else response.body[:_SNIFFED]
    except BodyTooLarge:
        body, whole = b"", False
    if not mime_type and body[:_SNIFFED].lstrip().lower().startswith(_HTML_STARTS):
        mime_type = "text/html"
    if mime_type not in MIME_TYPES:
        return _drop(record, name, DropReason.MIME_TYPE, mime_type or "none given")
    if body.startswith(_BINARY):
        return _drop(record, name, DropReason.MIME_TYPE, f"{mime_type}, but the bytes are binary")
    if not whole:
        return _drop(record, name, DropReason.PAGE_TOO_LARGE, f"over {limit} bytes")
    if not body or body.isspace():
        return _drop(record, name, DropReason.EMPTY_BODY, None)
    return Page(
        id=_identifier(record, name),
        url=_url(record) or "",
        date=_date(record),
        place=Place(warc_file=name, warc_offset=record.offset),
        mime_type=mime_type,
        charset=charset or ("utf-8" if record.kind == "conversion" else None),
        body=body,
    )


def _drop(record: Record, name: str, reason: DropReason, detail: str | None) -> Drop:
    return Drop(
        id=_identifier(record, name),
        url=_url(record),
        reason=reason,
        detail=detail,
        place=Place(warc_file=name, warc_offset=record.offset),
    )


def _identifier(record: Record, name: str) -> str:
    record_id = record.headers.get("WARC-Record-ID") or ""
    return identifier("warc", name, record.offset, record_id.strip())


def _url(record: Record) -> str | None:
    # Wget puts the address in angle brackets, as the grammar of WARC 1.0 said by mistake.
    url = (record.headers.get("WARC-Target-URI") or "").strip()
    return url.removeprefix("<").removesuffix(">") or None


def _date(record: Record) -> str | None:
    try:
        when = datetime.fromisoformat((record.headers.get("WARC-Date") or "").strip())
        utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return utc.isoformat(timespec="seconds").replace("+00:00", "Z")
