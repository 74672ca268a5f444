"""Answers of an invented web as WARC files in Common Crawl's shape.

In: `Answer`s. Out: WARC 1.0 files with a warcinfo record, then for each answer a response and, when
it is good, a metadata record, each a gzip member of its own, with block and payload digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from corpus import storage

FILES = 4
_START = datetime(2020, 1, 17, 6, 0, tzinfo=UTC)  # any fixed date will do


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the invented web; `kind` says what it is there for ("article", ...)."""

    kind: str
    url: str
    status: int
    reason: str
    content_type: str
    body: bytes


def write_warc_files(answers: Sequence[Answer], folder: Path, *, seed: int) -> list[Path]:
    """Write the answers to `FILES` WARC files, in order, and return their paths.

    Dates are counted from a fixed one and record ids are drawn from the seed, so that the bytes
    are the same every time (with the same zlib, which decides on the compressed bytes).
    """
    random = Random(f"warc:{seed}")
    paths = []
    for number in range(FILES):
        first, last = (len(answers) * n // FILES for n in (number, number + 1))
        path = folder / f"TINY-{_START:%Y%m%d%H%M%S}-{number:05}.warc.gz"
        with storage.publish(str(path)) as temporary, temporary.open("wb") as file:
            _write_warc(WARCWriter(file, gzip=True), path.name, answers[first:last], first, random)
        paths.append(path)
    return paths


def _write_warc(
    writer: Any, name: str, answers: Sequence[Answer], first: int, random: Random
) -> None:
    def record_id() -> str:
        return f"<urn:uuid:{UUID(int=random.getrandbits(128), version=4)}>"

    def write_fields(kind: str, url: str, headers: dict[str, str], fields: str) -> None:
        payload = fields.encode()
        writer.write_record(
            writer.create_warc_record(
                url,
                kind,
                payload=BytesIO(payload),
                length=len(payload),
                warc_headers_dict={"WARC-Record-ID": record_id(), **headers},
            )
        )

    date = f"{_START:%Y-%m-%dT%H:%M:%SZ}"
    fields = "software: corpus.sources.stdlib\r\nformat: WARC File Format 1.0\r\n"
    write_fields("warcinfo", "", {"WARC-Date": date, "WARC-Filename": name}, fields)
    for number, answer in enumerate(answers, start=first):
        moment = _START + timedelta(seconds=11 * number)
        date = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        headers = [
            ("Date", format_datetime(moment, usegmt=True)),
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
        ]
        if answer.status in (301, 302):
            headers.append(("Location", "https://www.elsewhere.example/"))
        response_id = record_id()
        writer.write_record(
            writer.create_warc_record(
                answer.url,
                "response",
                payload=BytesIO(answer.body),
                length=len(answer.body),
                http_headers=StatusAndHeaders(
                    f"{answer.status} {answer.reason}", headers, protocol="HTTP/1.1"
                ),
                warc_headers_dict={
                    "WARC-Record-ID": response_id,
                    "WARC-Date": date,
                    "WARC-IP-Address": f"192.0.2.{random.randint(1, 254)}",  # for documentation
                },
            )
        )
        if answer.status == 200:
            concurrent = {"WARC-Date": date, "WARC-Concurrent-To": response_id}
            fields = f"fetchTimeMs: {random.randint(20, 900)}\r\n"
            write_fields("metadata", answer.url, concurrent, fields)
