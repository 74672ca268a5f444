"""The child process of the sandbox: pages in on standard input, texts out on standard output.

A frame is two lengths, a JSON object and bytes: nothing that is unpickled or evaluated. What
anything prints goes to standard error, so that standard output holds frames and nothing else. The
process ends with its parent, and cannot take more memory than it was given.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import importlib.util
import json
import os
import resource
import signal
import struct
import sys
from types import ModuleType
from typing import Any, BinaryIO

HEAD = struct.Struct("!IQ")  # bytes of the JSON object, bytes that follow it
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MAX_DETAIL = 500


def head(fields: dict[str, Any], size: int) -> bytes:
    """Return what comes before the data of a frame: the lengths and the fields as JSON."""
    encoded = json.dumps(fields).encode()
    return HEAD.pack(len(encoded), size) + encoded


def main(arguments: list[str]) -> int:
    """Serve pages until standard input ends.

    Args:
        arguments: Function (`module:name` or `path.py:name`), extractor, bound on the memory in
            bytes, process id of the parent.
    """
    function_name, extractor, memory_bytes, parent = arguments
    _confine(int(memory_bytes), int(parent))
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module_name, _, name = function_name.rpartition(":")
    module = _module(module_name)
    function = getattr(module, name)
    prepare = getattr(module, "prepare", None)
    if prepare is not None:
        prepare(extractor)
    _send(frames, {"state": "ready"}, b"")
    source = os.fdopen(os.dup(0), "rb")
    while lengths := source.read(HEAD.size):
        length, size = HEAD.unpack(lengths)
        fields = json.loads(source.read(length))
        body = source.read(size)
        try:
            text, title = function(body, fields["charset"], fields["mime_type"], extractor)
            answer, data = {"state": "done", "title": title}, text.encode("utf-8")
        except MemoryError:
            answer, data = {"state": "memory"}, b""
        except Exception as error:  # noqa: BLE001 -- whatever a parser raises costs its page alone
            detail = f"{type(error).__name__}: {error}"[:_MAX_DETAIL]
            answer, data = {"state": "error", "detail": detail}, b""
        _send(frames, answer, data)
    return 0


def _send(frames: BinaryIO, fields: dict[str, Any], data: bytes) -> None:
    frames.write(head(fields, len(data)))
    frames.write(data)
    frames.flush()


def _confine(memory_bytes: int, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the parent ended before its child began")
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location("extraction_function", name)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module at {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
