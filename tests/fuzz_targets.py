"""What is fuzzed: functions that take any bytes and fail only when the program is wrong.

`tests/test_fuzz.py` feeds them from hypothesis at a small budget. For longer:
`python tests/fuzz_targets.py [TARGET ...] --seconds N`, under atheris (coverage-guided) where that
is installed, and else with hypothesis at twenty thousand examples (`HYPOTHESIS_PROFILE=fuzz`).
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import zstandard

from corpus.document import Drop, Page
from corpus.errors import InputError
from corpus.sources import urls, warc
from corpus.sources.archive import http
from corpus.sources.archive.record import Damage
from corpus.sources.archive.records import records
from corpus.text import extraction, language

LIMIT = 1 << 16
# CPU seconds of one call, whatever the machine: inputs are of kilobytes.
BOUND = 5.0
ROOT = Path(__file__).resolve().parent.parent


def _packed(data: bytes) -> bytes:
    """Return an archive: the first byte says how the rest is packed, blank lines where."""
    kind, data = data[:1] or b"0", data[1:]
    pieces = [piece for piece in data.split(b"\r\n\r\n\r\n") if piece]
    match kind[0] % 6:
        case 1:
            return gzip.compress(data, mtime=0)
        case 2:
            return b"".join(gzip.compress(piece + b"\r\n\r\n", mtime=0) for piece in pieces)
        case 3:
            return b"".join(zstandard.compress(piece + b"\r\n\r\n") for piece in pieces)
        case 4:  # every other member in the clear: junk between members
            halves = [gzip.compress(p, mtime=0) if n % 2 else p for n, p in enumerate(pieces)]
            return b"".join(halves)
        case 5:  # damage in the middle of the compressed bytes
            whole = bytearray(gzip.compress(data, mtime=0) * 3)
            whole[len(whole) // 2] ^= 0xFF
            return bytes(whole)
    return data


def archive(data: bytes) -> None:
    """Reading anything as an archive: records in order and within bounds, or no archive."""
    with tempfile.NamedTemporaryFile(suffix=".warc.gz") as file:
        packed = _packed(data)
        file.write(packed)
        file.flush()
        try:
            last = 0
            for item in records(file.name, max_record_bytes=LIMIT):
                assert 0 <= last <= item.offset <= len(packed)
                last = item.offset
                if not isinstance(item, Damage):
                    assert len(item.body) <= max(LIMIT, item.length)
            for row in warc.read(file.name, name="fuzz", max_page_bytes=LIMIT):
                assert isinstance(row, Page | Drop)
                assert not isinstance(row, Page) or 0 < len(row.body) <= LIMIT
        except InputError:
            return


def response(data: bytes) -> None:
    """An HTTP response: parts of what there is, codings undone within the limit."""
    found = http.parse_response(data)
    assert found.status is None or 100 <= found.status <= 599
    assert len(found.body) <= len(data)
    mime_type, charset = http.media_type(found.headers.get("Content-Type"))
    assert mime_type == mime_type.lower()
    assert charset is None or 0 < len(charset) <= 40
    try:
        assert len(http.decoded_body(found, limit=LIMIT)) <= LIMIT
    except http.BodyTooLarge:
        return


def page(data: bytes) -> None:
    """A page, its first line the charset of the header: text and title that can be stored."""
    name, _, body = data.partition(b"\n")
    text = extraction.decode(body, charset=name.decode("latin-1") or None)
    clean = extraction.normalize(text)
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert not set(clean) & set(map(chr, range(9)))
    title = extraction.title(text)
    assert title is None or (0 < len(title) <= 512 and "\n" not in title)
    column = pa.array([clean], pa.large_string())
    codes, shares = language.identify(column, maximum_bytes=1 + len(name))
    assert 2 <= len(codes[0].as_py()) <= 3
    assert 0 <= shares[0] <= 1


def url(data: bytes) -> None:
    """A key of a URL is ASCII, and its own key."""
    address = data.decode("utf-8", "surrogateescape")
    key = urls.key(address)
    assert (key is None) == (urls.host_of(address) is None)
    if key is not None:
        assert key.isascii()
        # Percent-encoding makes it longer, and too long an address has no key; and as in SURT one
        # leading www. is forgotten, not the next.
        assert len(key) > 8000 or key.startswith("www") or urls.key("http://" + key) == key


# Words that mean something to a target, for those who make its inputs.
WARC = [
    b"WARC/1.0\r\n", b"WARC/1.1\n", b"WARC-Type: response\r\n", b"WARC-Type: conversion\r\n",
    b"WARC-Target-URI: http://a.example/\r\n", b"Content-Type: application/http\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: 40\r\n", b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n", b"\n\n",
    b"HTTP/1.1 200 OK\r\n", b"Content-Type: text/html\r\n", b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18",
    b"filedesc://a.arc 0.0.0.0 20080430204825 text/plain 9\n",
    b"http://a.example/ 192.0.2.1 20080430204825 text/html 30\n", b"<p>word word", b" ", b"\0",
]  # fmt: skip
HTTP = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404\n", b"ICY 200", b"\r\n", b"\r\n\r\n", b"\n\n",
    b" folded", b"Content-Type: text/html; charset=", b"charset", b"=", b"'", b"utf-8", b";", b":",
    b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip, deflate, br, zstd\r\n",
    b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n",
    b"ffffffff\r\n", b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x78\x9c", b"\x28\xb5\x2f\xfd\x24", b"\xe9",
]  # fmt: skip
PAGE = [
    b"\n", b"utf-8", b"utf-16", b"utf-7", b"iso-2022-jp", b"big5", b"x-user-defined", b"idna",
    b"<meta charset=", b"<?xml encoding='", b"content=\"text/html; charset=", b">", b"\"",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"<title", b"<title>", b"</title>", b"&#xD800;",
    b"&#0;", b"&amp", b"\xed\xa0\x80", b"\x1b$B", b"\xc3\xa9", b"\xe9", b"\0", b"Das Schiff ",
    b"\xef\xbf\xbe", b"\xf4\x8f\xbf\xbf", b"\r",
]  # fmt: skip
URL = [
    b"http://", b"https://", b"www.", b"example.com", b":80", b":99999", b"@", b"[", b"]", b"::1",
    b"/", b"/..", b"/.", b"?", b"&", b"=", b"#", b"%", b"%2", b"%2e", b"%C3", b"utm_source=a",
    b"\\", b"xn--", b"\xc3\xbc", b"\xe2\x80\x8b", b"\xef\xbc\x8e", b"\xff", b" ", b"\t", b";", b"~",
]  # fmt: skip

TARGETS: dict[str, Callable[[bytes], None]] = {
    "archive": archive,
    "response": response,
    "page": page,
    "url": url,
}


DICTIONARIES = {"archive": WARC, "response": HTTP, "page": PAGE, "url": URL}
_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n<p>ab\r\n0\r\n\r\n"
)
_RECORD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\n"
    b"Content-Type: application/http\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n\r\n"
) % (len(_RESPONSE), _RESPONSE)
SEEDS = {
    "archive": [bytes([kind]) + _RECORD * 3 for kind in range(6)],
    "response": [_RESPONSE],
    "page": [b"utf-8\n<meta charset=latin1><title>A &amp; b</title><p>Das Schiff"],
    "url": [b"https://www.example.com:80/a/../b%20c?utm_source=d&e=f#g"],
}


def timed(target: str, data: bytes) -> None:
    """Call a target and check that it took a bounded time."""
    begin = time.process_time()
    TARGETS[target](data)
    took = time.process_time() - begin
    assert took < BOUND, f"{took:.1f} CPU seconds for {len(data)} bytes"


def _under_atheris(target: str, seconds: int, folder: str) -> None:
    import atheris  # type: ignore[import-not-found]

    def one(data: bytes) -> None:
        timed(target, data)

    atheris.instrument_all()
    limits = [f"-max_total_time={seconds}", "-timeout=20", "-max_len=8192", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], f"-dict={folder}/words.dict", *limits, f"{folder}/seeds"], one)
    atheris.Fuzz()  # ends the process


def _write_seeds(target: str, folder: Path) -> None:
    """Write what the fuzzer begins with: a dictionary and a folder of good inputs."""
    words = ("".join(f"\\x{byte:02x}" for byte in word) for word in DICTIONARIES[target])
    (folder / "words.dict").write_text("".join(f'"{word}"\n' for word in words))
    (folder / "seeds").mkdir()
    for number, seed in enumerate(SEEDS[target]):
        (folder / "seeds" / str(number)).write_bytes(seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=[])
    parser.add_argument("--seconds", type=int, default=60, help="for each target, under atheris")
    parser.add_argument("--one", choices=TARGETS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        _under_atheris(given.one, given.seconds, given.folder)
        return 0
    targets = given.targets or list(TARGETS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HYPOTHESIS_PROFILE": "fuzz"}
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("atheris is not installed: hypothesis instead, at its larger budget\n")
        chosen = " or ".join(targets)
        pytest = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "test_fuzz.py")]
        return subprocess.run([*pytest, "-k", chosen], env=environment, cwd=ROOT).returncode
    worst = 0
    for target in targets:
        with tempfile.TemporaryDirectory() as folder:
            _write_seeds(target, Path(folder))
            command = [sys.executable, __file__, "--one", target, "--folder", folder]
            command += ["--seconds", str(given.seconds)]
            worst = max(worst, abs(subprocess.run(command, env=environment, cwd=ROOT).returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main())
