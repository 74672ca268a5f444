"""A crawl from a server that fails all the time, killed twice: whether every byte lands, once.

`python benchmarks/mirror.py [FOLDER] [--seed 1]` serves FOLDER/commoncrawl with FOLDER/tools/
cc_mirror.py (FOLDER is `$CORPUS_TEST_DATA` by default), which fails three requests in ten: 503 with
and without Retry-After, 403, cut and reset connections, stalls, flipped bits, error pages under
status 200. `corpus crawl` fetches all WARC and WET files of it; its whole process group is killed
with SIGKILL at two random moments, and the same command is run again until it is through. Then the
pages in one language are fetched by range in the same way, without kills.

What is checked, from the files and from the server's log:

* every file is there with the SHA-256 of the original, every chosen record byte for byte;
* a byte that was sent twice is behind a flipped bit, was under way when a connection was reset or a
  process killed, was sent by a server that had stalled to a client that had gone, or is one of the
  index that no checksum covers;
* in any T seconds at most `1 + T * rate` requests started, give or take `--jitter` seconds that a
  request is on its way to the log;
* for `cooldown` seconds after a 403 nobody asked for anything.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from corpus.build import read_build
from corpus.fetching.keeper import scratch_folder

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = "CC-MAIN-2026-47"
FAULTS = {
    "errors": 0.10,
    "forbid": 0.05,
    "truncate": 0.05,
    "reset": 0.05,
    "corrupt": 0.01,
    "slowdown-200": 0.02,
}
STALL = (0.02, 6.0)  # share of requests, seconds
CRAWL = {"timeout": 2, "cooldown": 2, "longest_pause": 10, "backoff": 0.1}
FLIGHT = 8 << 20  # bytes that the buffers of a connection may hold


@dataclass(frozen=True)
class Request:
    """A line of the server's log; `start` is the first byte of what was sent of the file."""

    path: str
    start: int
    sent: int
    status: int
    fault: str | None
    begin: float
    end: float


@contextmanager
def mirror(folder: Path, log: Path, seed: int, bandwidth: float) -> Iterator[str]:
    """Yield the address of a server with faults."""
    tool = [sys.executable, str(folder / "tools" / "cc_mirror.py"), str(folder / "commoncrawl")]
    rates = [part for name, rate in FAULTS.items() for part in (f"--{name}", str(rate))]
    options = ["--seed", str(seed), "--log", str(log), "--bandwidth", str(bandwidth)]
    stall = ["--stall", *map(str, STALL)]
    command = [*tool, *rates, *stall, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


def read_log(path: Path) -> list[Request]:
    found: list[Request] = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        ranged = entry["status"] == 206
        start = int(entry["range"].removeprefix("bytes=").partition("-")[0]) if ranged else 0
        is_file = entry["status"] in (200, 206) and entry["fault"] != "slowdown-200"
        sent = entry["bytes"] if is_file else 0
        times = entry["time"], entry["time"] + entry["seconds"]
        found.append(Request(entry["path"], start, sent, entry["status"], entry["fault"], *times))
    return sorted(found, key=lambda request: request.begin)


def crawl(
    recipe: Path, output: Path, workers: int, kills: Sequence[float], total: int
) -> list[float]:
    """Run `corpus crawl`, kill it when shares of the bytes are there; return when that was."""
    command = [sys.executable, "-m", "corpus", "crawl", "--config", str(recipe)]
    command += ["--output", str(output), "--engine", "local", "--workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    moments: list[float] = []
    for share in [*kills, None]:
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        while process.poll() is None:
            time.sleep(0.02)
            if share is not None and _there(output) >= share * total:
                moments.append(time.time())
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                print(f"killed with {_there(output):,} of {total:,} bytes there", flush=True)
        if process.returncode not in (0, -signal.SIGKILL):
            sys.exit(f"corpus crawl ended with {process.returncode}")
    return moments


def _there(output: Path) -> int:
    found = 0
    for path in output.glob("crawl-*/**/*.gz*"):
        try:
            found += path.stat().st_size
        except FileNotFoundError:  # renamed meanwhile
            continue
    return found


def twice(log: Sequence[Request], kills: Sequence[float]) -> tuple[dict[str, int], list[str]]:
    """Return the bytes that came again by cause, and those that came again without one."""
    causes: collections.Counter[str] = collections.Counter()
    unexplained: list[str] = []
    for path, requests in itertools.groupby(sorted(log, key=lambda r: r.path), lambda r: r.path):
        sent: list[Request] = []
        for request in sorted(requests, key=lambda r: r.begin):
            for before in sent:
                again = min(before.start + before.sent, request.start + request.sent) - max(
                    before.start, request.start
                )
                if again <= 0:
                    continue
                cause = _cause(path, before, kills)
                if cause is None or (cause in ("reset", "stall", "kill") and again > FLIGHT):
                    unexplained.append(f"{again} bytes at {request.start} of {path} ({cause})")
                causes[cause or "none"] += again
            sent.append(request)
    return dict(causes), unexplained


def _cause(path: str, before: Request, kills: Sequence[float]) -> str | None:
    if before.fault in ("corrupt", "reset", "stall"):
        return before.fault
    if any(before.begin - 0.5 <= moment <= before.end + 0.5 for moment in kills):
        return "kill"
    return "no checksum" if path.startswith("/cc-index/") else None


def spread(log: Sequence[Request], rate: float) -> tuple[float, float]:
    """Return the mean requests a second, and by how many seconds any came too early at most."""
    times = [request.begin for request in log]
    ahead = max(
        (j - i) / rate - (times[j] - times[i])
        for i in range(len(times))
        for j in range(i + 1, len(times))
    )
    return len(times) / (times[-1] - times[0]), ahead


def during_cooldowns(log: Sequence[Request], cooldown: float) -> int:
    """Return the requests that began while a 403 kept everybody waiting."""
    refused = [request.end for request in log if request.status == 403]
    return sum(
        end + 0.1 < request.begin < end + cooldown - 0.1 for end in refused for request in log
    )


def judge(log: Sequence[Request], kills: Sequence[float], rate: float, jitter: float) -> bool:
    """Print what the log says; return whether all of it is as promised."""
    faults = collections.Counter(request.fault for request in log if request.fault)
    causes, unexplained = twice(log, kills)
    mean, ahead = spread(log, rate)
    hasty = during_cooldowns(log, CRAWL["cooldown"])
    print(f"requests: {len(log)}, faults: {dict(faults)}")
    print(f"bytes sent: {sum(r.sent for r in log):,}, of them again: {causes or 'none'}")
    print(f"requests a second: {mean:.2f} of {rate}; at most {ahead * 1000:.0f} ms early")
    print(f"requests during a cool-down: {hasty}")
    for line in unexplained:
        print(f"fetched again without a cause: {line}")
    return not unexplained and ahead <= jitter and not hasty


def whole_files(folder: Path, output: Path) -> bool:
    """Return whether every file has the digest of its original."""
    manifest = read_build(str(output)).stage("crawl")
    originals = {path.name: path for path in (folder / "commoncrawl").rglob("*.gz")}
    right = 0
    for shard in manifest.shards:
        path = Path(manifest.path(shard.outputs[0]))
        original = originals[path.name.removeprefix(f"{shard.name}-")]
        same = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, original)]
        right += same[0] == same[1] == shard.outputs[0].sha256
    print(f"files with the right SHA-256: {right} of {len(manifest.shards)}")
    return right == len(manifest.shards) == 10


def chosen_records(folder: Path, output: Path) -> bool:
    """Return whether every chosen record has the bytes that it has in its archive."""
    manifest = read_build(str(output)).stage("crawl")
    originals = {path.name: path for path in (folder / "commoncrawl").rglob("*.warc.gz")}
    right = number = 0
    for shard in manifest.shards:
        path = Path(manifest.path(shard.output("input")))
        archive = originals[path.name.removeprefix(f"{shard.name}-")].read_bytes()
        data = path.read_bytes()
        table = pq.read_table(manifest.path(shard.output("offsets"))).to_pylist()
        for row in table:
            length = row["length"]
            here = data[row["start"] : row["start"] + length]
            right += here == archive[row["offset"] : row["offset"] + length]
            number += 1
            gzip.decompress(here)
    print(f"records as in their archives: {right} of {number}")
    return right == number > 0


def recipe(path: Path, base: str, rate: float, sources: dict[str, dict[str, Any]]) -> Path:
    shared = {"snapshots": SNAPSHOT, "base_url": base}
    listed = {name: {"commoncrawl": {**shared, **source}} for name, source in sources.items()}
    settings = {"requests_per_second": rate, **CRAWL}
    value = {"name": "mirror", "seed": 1, "sources": listed, "crawl": settings}
    path.write_text(json.dumps(value))  # JSON is YAML
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--bandwidth", type=float, default=4e6, help="bytes a second")
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--jitter", type=float, default=0.1)
    given = parser.parse_args()
    folder = (given.folder or Path(os.environ["CORPUS_TEST_DATA"])).resolve()
    generator = random.Random(given.seed)
    archives = (folder / "commoncrawl" / "crawl-data").rglob("*.warc*.gz")
    total = sum(path.stat().st_size for path in archives)
    good = True
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        kills = [generator.uniform(0.05, 0.45), generator.uniform(0.5, 0.95)]
        with mirror(folder, work / "files.log", given.seed, given.bandwidth) as base:
            sources: dict[str, dict[str, Any]] = {"warc": {}, "wet": {"kind": "wet"}}
            path = recipe(work / "files.yaml", base, given.rate, sources)
            began = time.monotonic()
            moments = crawl(path, work / "files", given.workers, kills, total)
            print(f"whole files: {time.monotonic() - began:.0f} s", flush=True)
        good &= whole_files(folder, work / "files")
        good &= judge(read_log(work / "files.log"), moments, given.rate, given.jitter)
        with mirror(folder, work / "pages.log", given.seed, given.bandwidth) as base:
            pages = {"languages": "eng", "limit": given.pages}
            path = recipe(work / "pages.yaml", base, 5 * given.rate, {"s": {"pages": pages}})
            began = time.monotonic()
            crawl(path, work / "pages", given.workers, [], total)
            print(f"chosen pages: {time.monotonic() - began:.0f} s", flush=True)
        good &= chosen_records(folder, work / "pages")
        good &= judge(read_log(work / "pages.log"), [], 5 * given.rate, given.jitter)
        left = [
            path for path in (work / "files", work / "pages") if scratch_folder(str(path)).exists()
        ]
        good &= not left
    print("as promised" if good else "NOT as promised")
    sys.exit(not good)


if __name__ == "__main__":
    main()
