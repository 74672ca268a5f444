"""The extraction process, with functions that hang, crash, bomb, raise and babble."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tokenize
from pathlib import Path

import pytest

import corpus
from corpus.document import Drop, DropReason, Page, Place
from corpus.errors import StageError
from corpus.extract.sandbox import Extracted, Failure, Sandbox

MEMORY = 400 << 20
FUNCTION = """
import os, signal, sys, time

def work(body, charset, mime_type, extractor):
    order, _, rest = body.partition(b" ")
    if order == b"hang":
        while True:
            pass
    if order == b"sleep":
        time.sleep(float(rest))
    if order == b"segfault":
        print("about to fall over")
        os.kill(os.getpid(), signal.SIGSEGV)
    if order in (b"killed-once", b"killed"):
        seen = os.path.exists(rest)
        open(rest, "w").close()
        if order == b"killed" or not seen:
            os.kill(os.getpid(), signal.SIGKILL)
    if order == b"slow-once" and not os.path.exists(rest):
        open(rest, "w").close()
        time.sleep(60)
    if order == b"leave":
        os._exit(3)
    if order == b"eat":
        eaten = [bytearray(1 << 26) for _ in range(1000)]
    if order == b"raise":
        raise KeyError("no such thing")
    if order == b"large":
        return "x" * int(rest), None
    if order == b"babble":
        os.write(1, b"babble on standard output" * 100)
        sys.stderr.write("babble on standard error" * 100_000)
    if order == b"pid":
        return str(os.getpid()), None
    if order == b"surrogate":
        return "\\ud800", None
    return body.decode(), f"{charset} {mime_type} {extractor}"
"""


@pytest.fixture
def function(tmp_path: Path) -> str:
    path = tmp_path / "functions.py"
    path.write_text(FUNCTION)
    return f"{path}:work"


def page(body: bytes) -> Page:
    return Page(body[:20].decode(), "", None, Place(), "text/html", "utf-8", body)


def sandbox(function: str, **settings: float) -> Sandbox:
    chosen = {"timeout": 20.0, "memory_bytes": MEMORY, "recycle_pages": 1000, **settings}
    return Sandbox(extractor="test", function=function, **chosen)  # type: ignore[arg-type]


def results(function: str, bodies: list[bytes], **settings: float) -> list[Extracted | Failure]:
    with sandbox(function, **settings) as box:
        return [result for _, result in box.map(map(page, bodies), ahead=2) if result]


def test_map_gives_results_in_order_with_their_items(function):
    bodies = [b"sleep 0.1", b"one", b"sleep 0.05", b"two", *(b"%d" % n for n in range(200))]
    with sandbox(function) as box:
        pairs = list(box.map(map(page, bodies)))
    assert [item.body for item, _ in pairs] == bodies
    assert [result.text for _, result in pairs] == [body.decode() for body in bodies]
    assert pairs[1][1].title == "utf-8 text/html test"


def test_child_has_the_package_of_its_parent_and_no_module_of_it_as_another(tmp_path, monkeypatch):
    """`corpus.tokenize` is not the standard library's module of that name."""
    path = tmp_path / "functions.py"
    path.write_text(
        "import corpus, tokenize\ndef work(*_):\n    return corpus.__file__, tokenize.__file__\n"
    )
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (found,) = results(f"{path}:work", [b""])
    assert found == Extracted(str(corpus.__file__), tokenize.__file__)


def test_map_passes_drops_through_in_their_place(function):
    drop = Drop("d", None, DropReason.HTTP_STATUS, "404", Place())
    items = [drop, page(b"a"), drop, drop, page(b"b"), drop]
    with sandbox(function) as box:
        pairs = list(box.map(items))
    assert [item for item, _ in pairs] == items
    assert [result and result.text for _, result in pairs] == [None, "a", None, None, "b", None]


def test_map_hanging_page_times_out_and_costs_no_other(function):
    begin = time.monotonic()
    found = results(function, [b"a", b"hang", b"b", b"hang", b"c"], timeout=0.5)
    assert [getattr(r, "text", None) for r in found] == ["a", None, "b", None, "c"]
    assert [r.reason for r in found if isinstance(r, Failure)] == ["extraction_timeout"] * 2
    assert time.monotonic() - begin < 5


def test_map_time_that_the_caller_takes_is_not_the_pages(function):
    """Nothing but the page's own work is on its clock: not start-up, not reading the archive."""

    def slow_archive():
        for body in (b"a", b"large 3000000", b"b"):
            yield page(body)
            time.sleep(0.8)

    with sandbox(function, timeout=0.5) as box:
        found = [result for _, result in box.map(slow_archive())]
    assert all(isinstance(result, Extracted) for result in found)


@pytest.mark.parametrize(("body", "says"), [(b"segfault", "SIGSEGV"), (b"leave", "exit code 3")])
def test_map_crash_costs_its_page_alone_and_keeps_the_last_words(function, body, says):
    found = results(function, [b"a", body, b"b", b"c", body])
    assert [getattr(r, "text", None) for r in found] == ["a", None, "b", "c", None]
    failures = [r for r in found if isinstance(r, Failure)]
    assert [failure.reason for failure in failures] == ["extraction_crash"] * 2
    assert says in failures[0].detail
    if body == b"segfault":
        assert "Segmentation fault" in failures[0].detail


def test_map_memory_bomb_is_a_crash_of_its_page(function):
    found = results(function, [b"a", b"eat", b"b"])
    assert [getattr(r, "text", None) for r in found] == ["a", None, "b"]
    assert found[1].reason == DropReason.EXTRACTION_CRASH
    assert "memory" in found[1].detail


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"raise", "KeyError: 'no such thing'"), (b"surrogate", "UnicodeEncodeError")],
)
def test_map_exception_is_an_error_with_its_name_and_the_process_goes_on(function, body, says):
    found = results(function, [b"pid", body, b"pid"])
    assert found[1].reason == DropReason.EXTRACTION_ERROR
    assert says in found[1].detail
    assert found[0] == found[2]


def test_map_large_bodies_and_texts_do_not_block_each_other(function):
    size = 20 << 20
    found = results(
        function, [b"large %d" % size, b"y" * size, b"large %d" % size, b"y" * size] * 2
    )
    assert [len(result.text) for result in found] == [size] * 8


def test_map_output_of_the_extractor_does_not_disturb_the_frames(function):
    found = results(function, [b"babble", b"a", b"babble", b"b"])
    assert [result.text for result in found] == ["babble", "a", "babble", "b"]


def test_map_replaces_the_process_after_the_pages_asked_for(function):
    found = results(function, [b"pid"] * 10, recycle_pages=4)
    pids = [result.text for result in found]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [4, 4, 2]


def test_extract_gives_one_page_and_can_be_called_again(function):
    with sandbox(function) as box:
        assert box.extract(b"a", None, "text/plain") == Extracted("a", "None text/plain test")
        assert box.extract(b"b", None, "text/plain").text == "b"


def test_extract_after_a_pause_does_not_count_the_pause(function):
    with sandbox(function, timeout=0.5) as box:
        assert box.extract(b"a", None, "text/plain").text == "a"
        time.sleep(0.8)
        assert box.extract(b"sleep 0.2", None, "text/plain").text == "sleep 0.2"


def test_exit_ends_the_process_even_when_it_hangs(function):
    def interrupted():
        yield page(b"hang")
        yield page(b"a")
        raise KeyboardInterrupt

    pids = []

    def work():
        with sandbox(function) as box:
            pids.append(int(box.extract(b"pid", None, "text/plain").text))
            list(box.map(interrupted(), ahead=5))

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert time.monotonic() - begin < 10
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_extract_when_the_process_cannot_start_raises_stage_error_with_its_words():
    with (
        Sandbox(
            extractor="x", timeout=1, memory_bytes=MEMORY, recycle_pages=9, function="corpus.none:f"
        ) as box,
        pytest.raises(StageError, match=r"No module named 'corpus\.none'"),
    ):
        box.extract(b"a", None, "text/html")


def test_parent_that_is_killed_takes_its_process_along(function):
    program = (
        "import sys, time\n"
        "from corpus.extract.sandbox import Sandbox\n"
        "box = Sandbox(extractor='x', timeout=60, memory_bytes=1 << 30, recycle_pages=9,"
        f" function={function!r})\n"
        "box.__enter__()\n"
        "print(box.extract(b'pid', None, 'text/plain').text, flush=True)\n"
        "from corpus.document import Page, Place\n"
        "list(box.map([Page('', '', None, Place(), 'text/html', None, b'hang')]))\n"
    )
    root = str(Path(__file__).resolve().parent.parent.parent)
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert parent.stdout
    with parent:
        child = int(parent.stdout.readline())
        time.sleep(0.3)
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        stat = Path(f"/proc/{child}/stat")
        if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("the extraction process outlived its parent")


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse", "none"])
def test_extract_with_the_real_function_gives_text_and_title(extractor):
    words = "<p>The river ran high that morning, and the path beside it was under water.</p>" * 5
    html = f"<title>River</title><body><article>{words}</article></body>".encode()
    with Sandbox(extractor=extractor, timeout=30, memory_bytes=2 << 30, recycle_pages=10) as box:
        result = box.extract(html, "utf-8", "text/html")
    assert isinstance(result, Extracted)
    assert result.title == "River"
    assert "under water" in result.text


@pytest.mark.parametrize("order", ["killed-once", "slow-once"])
def test_page_whose_process_is_killed_or_stopped_once_is_tried_again(function, tmp_path, order):
    """The system's doing, not the page's: the result is as if nothing had happened."""
    body = f"{order} {tmp_path / 'seen'}".encode()
    found = results(function, [b"one", body, b"two"], timeout=1.0)
    assert [result.text for result in found] == ["one", body.decode(), "two"]


def test_process_that_is_killed_every_time_stops_the_stage(function, tmp_path):
    with pytest.raises(StageError, match=r"killed twice.*fewer --workers"):
        results(function, [f"killed {tmp_path / 'seen'}".encode()])
