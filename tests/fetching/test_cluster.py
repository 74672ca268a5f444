"""A cluster asks no faster than one machine: two nodes, each with a temporary folder of its own."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.server import Server, Trouble

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = "CC-MAIN-2026-47"
NAMES = [f"crawl-data/{SNAPSHOT}/segments/1/warc/CC-{i:05d}.warc.gz" for i in range(24)]


@pytest.mark.ray
@pytest.mark.slow
def test_cluster_has_one_rate_limit_one_breaker_and_one_tally(tmp_path: Path) -> None:
    files = {name: gzip.compress(name.encode() * 99, mtime=0) for name in NAMES}
    listed = gzip.compress("\n".join(NAMES).encode(), mtime=0)
    with Server({**files, f"crawl-data/{SNAPSHOT}/warc.paths.gz": listed}) as server:
        server.script[NAMES[12]] = [Trouble(status=403)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.cluster_crawl", server.url, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        log = list(server.log)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["places"] == [str(tmp_path / f"machine-{number}") for number in (1, 2)]
    assert found["files"] == len(NAMES)
    assert len(log) == len(NAMES) + 2
    # In any T seconds at most 1 + T * 8 requests; between the object's word and the log lies the
    # way to here, which is some milliseconds more or less.
    times = [request.time for request in log]
    for span in range(1, len(times)):
        shortest = min(late - early for early, late in zip(times, times[span:], strict=False))
        assert span <= (shortest + 0.06) * 8, f"{span + 1} requests in {shortest:.3f} s"
    refused = next(index for index, request in enumerate(log) if request.status == 403)
    gaps = [late - early for early, late in pairwise(times[refused:])]
    assert max(gaps) >= 0.9
    assert gaps.index(max(gaps)) <= 1  # at most one request was under way
    sent = sum(request.sent for request in log if request.status == 200)
    assert "forbidden 1" in found["status"]
    assert found["status"].startswith(f"{sent / 1000:.1f} kB" if sent >= 1000 else f"{sent} B")
    left = [path for home in found["places"] for path in Path(home).glob("corpusmill-*")]
    assert left == []
    assert all(40 < seconds <= 50 for seconds in found["paused"])
    assert "killable) is lost" in found["lost"]
    assert "Run the same command again" in found["lost"]
