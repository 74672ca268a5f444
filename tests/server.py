"""A small HTTP server with ranges and with faults that a test scripts, on loopback only.

It answers GET like S3: ETag, Last-Modified, single ranges, If-Range. Each request for a path takes
the next `Trouble` from that path's script, and is served well when the script has run out. `log`
has one entry a request, made before its first byte is sent.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with one request; what is left out goes well."""

    status: int | None = None  # answer with this status and `body` instead of the file
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = SLOW_DOWN
    refuse: bool = False  # reset before any answer
    close_after: int | None = None  # close the connection after so many bytes of the body
    reset_after: int | None = None  # the same with a TCP reset
    stall_after: int | None = None  # send no more after so many bytes, for `seconds`
    seconds: float = 0.0
    flip: int | None = None  # change the byte at this offset of the file
    no_ranges: bool = False  # answer a range with 200 and the whole file
    wrong_range: bool = False  # answer a range with bytes from another offset
    chunked: bool = False  # do not say how long the body is
    bandwidth: float | None = None  # bytes a second


@dataclass
class Request:
    path: str
    range: str | None
    if_range: str | None
    user_agent: str | None
    time: float
    status: int = 0
    sent: int = 0


class Server(ThreadingHTTPServer):
    """Serves `files` (path without the leading slash to bytes); a context manager."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.script: dict[str, list[Trouble]] = defaultdict(list)
        self.log: list[Request] = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def __enter__(self) -> Server:
        # A short poll: shutdown waits for it.
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def etag(self, path: str) -> str:
        return f'"{hashlib.md5(self.files[path]).hexdigest()}-1"'

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        self.request_entry = entry = Request(
            path,
            self.headers.get("Range"),
            self.headers.get("If-Range"),
            self.headers.get("User-Agent"),
            time.time(),
        )
        with self.server.lock:
            self.server.log.append(entry)
            script = self.server.script[path]
            trouble = script.pop(0) if script else Trouble()
        if trouble.refuse:
            self.reset()
        elif trouble.status is not None:
            self.answer(trouble.status, trouble.headers, trouble.body, trouble, 0)
        elif path not in self.server.files:
            self.answer(404, {}, b"<Error><Code>NoSuchKey</Code></Error>", trouble, 0)
        else:
            self.file(path, trouble)

    def file(self, path: str, trouble: Trouble) -> None:
        data = self.server.files[path]
        if trouble.flip is not None:
            changed = bytearray(data)
            changed[trouble.flip] ^= 0x10
            data = bytes(changed)
        headers = {"ETag": self.server.etag(path), **trouble.headers}
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if not found or trouble.no_ranges or (condition and condition != headers["ETag"]):
            self.answer(200, headers, data, trouble, 0)
            return
        start, end = int(found[1]), int(found[2] or len(data)) + 1
        if start >= len(data):
            self.answer(416, {"Content-Range": f"bytes */{len(data)}"}, b"", trouble, 0)
            return
        if trouble.wrong_range:
            start += 1
        part = data[start:end]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        self.answer(206, headers, part, trouble, start)

    def answer(
        self, status: int, headers: Mapping[str, str], body: bytes, trouble: Trouble, start: int
    ) -> None:
        self.request_entry.status = status
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if trouble.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        step = 1 << 14
        if trouble.bandwidth:  # ten parts a second, so that a slow body does not look like a stall
            step = max(1, min(step, int(trouble.bandwidth / 10)))
        stops = [trouble.close_after, trouble.reset_after, trouble.stall_after]
        stop = min([stop for stop in stops if stop is not None], default=len(body))
        for offset in range(0, stop, step):
            part = body[offset : min(offset + step, stop)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if trouble.chunked else part)
            self.request_entry.sent += len(part)
            if trouble.bandwidth:
                time.sleep(len(part) / trouble.bandwidth)
        if trouble.stall_after is not None:
            time.sleep(trouble.seconds)
        if trouble.reset_after is not None:
            # Let the client take what was sent: a reset discards what it has not read.
            time.sleep(0.05)
            self.reset()
        elif stop < len(body):
            self.close_connection = True
        elif trouble.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
