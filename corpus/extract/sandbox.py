"""Extraction in a child process that may hang, crash or run out of memory at its page's cost alone.

Parsers of HTML are C libraries, and the web finds their bugs. The child is killed when a page takes
too long, replaced when it dies, and replaced after a number of pages because lxml's memory grows.
The parent reads the archive while the child works: `map` keeps a few pages ahead in its pipe.

In: pages. Out, in the same order: `Extracted` or `Failure`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from corpus.document import Drop, DropReason, Page, Place
from corpus.errors import StageError
from corpus.extract import sandbox_child
from corpus.extract.sandbox_process import Child

_AHEAD_PAGES = 16  # given to the child beyond the one that it works on, so that neither waits
_AHEAD_BYTES = 16 << 20  # and not many when they are large
_START_SECONDS = 120.0  # a child that has not imported its parser by then never will


@dataclass(frozen=True, slots=True)
class Extracted:
    """What the extractor made of a page; the text may be empty."""

    text: str
    title: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no text of a page: `EXTRACTION_TIMEOUT`, `EXTRACTION_CRASH` or `_ERROR`."""

    reason: DropReason
    detail: str


@dataclass(slots=True)
class _Task:
    head: bytes
    body: bytes
    given: bool = False  # to the child that runs now
    retried: bool = False  # after the child died or was killed over it


class Sandbox:
    """Runs an extractor on pages in a child process; a context manager.

    Args:
        extractor: Passed on to the function: `trafilatura`, `resiliparse` or `none`.
        timeout: Seconds for one page.
        memory_bytes: Address space of the child.
        recycle_pages: Pages after which the child is replaced.
        function: What extracts, as `module:name` or `path.py:name`: called with body, charset, MIME
            type and extractor, it returns text and title. If its module has a function `prepare`,
            that is called once with the extractor, before the first page and off its clock.
    """

    def __init__(
        self,
        *,
        extractor: str,
        timeout: float,
        memory_bytes: int,
        recycle_pages: int,
        function: str = "corpus.text.extraction:extract_page",
    ) -> None:
        self._extractor = extractor
        self._timeout = timeout
        self._memory_bytes = memory_bytes
        self._recycle_pages = recycle_pages
        self._function = function
        self._tasks: deque[_Task] = deque()  # the child works on the first
        self._bytes = 0  # of the pages among them
        self._child: Child | None = None

    def __enter__(self) -> Self:
        # Its imports run while the caller opens the archive.
        self._child = self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tasks.clear()
        self._bytes = 0
        self._end()

    def extract(self, body: bytes, charset: str | None, mime_type: str) -> Extracted | Failure:
        """Return the text of one page.

        Raises:
            StageError: The child cannot be started.
        """
        page = Page("", "", None, Place(), mime_type, charset, body)
        ((_, result),) = self.map([page], ahead=1)
        assert result is not None
        return result

    def map(
        self, items: Iterable[Page | Drop], *, ahead: int = _AHEAD_PAGES
    ) -> Iterator[tuple[Page | Drop, Extracted | Failure | None]]:
        """Yield every item with what became of it, in order; drops pass through with None.

        Args:
            items: Read one at a time, while the child works.
            ahead: Pages given to the child beyond the one that it works on, at most.

        Raises:
            StageError: The child cannot be started.
        """
        waiting: deque[Page | Drop] = deque()
        for item in items:
            waiting.append(item)
            if isinstance(item, Page):
                self._submit(item)
            while waiting and (isinstance(waiting[0], Drop) or self._enough(ahead)):
                yield self._first(waiting.popleft())
        while waiting:
            yield self._first(waiting.popleft())

    def _first(self, item: Page | Drop) -> tuple[Page | Drop, Extracted | Failure | None]:
        return item, None if isinstance(item, Drop) else self._result()

    def _enough(self, ahead: int) -> bool:
        return len(self._tasks) > ahead or (self._bytes > _AHEAD_BYTES and len(self._tasks) > 1)

    def _submit(self, page: Page) -> None:
        fields = {"charset": page.charset, "mime_type": page.mime_type}
        self._tasks.append(_Task(sandbox_child.head(fields, len(page.body)), page.body))
        self._bytes += len(page.body)
        child = self._running()
        if child.backlog:
            child.pump(0)

    def _done(self) -> None:
        self._bytes -= len(self._tasks.popleft().body)

    def _start(self) -> Child:
        return Child(self._function, self._extractor, self._memory_bytes)

    def _end(self) -> str:
        """End the child; what it was given goes to the next one."""
        for task in self._tasks:
            task.given = False
        child, self._child = self._child, None
        return child.end() if child else ""

    def _running(self) -> Child:
        """Return the child with all that it may have now in its queue."""
        idle = not (self._tasks and self._tasks[0].given)
        if self._child and idle and self._child.taken >= self._recycle_pages:
            self._end()
        if self._child is None:
            self._child = self._start()
        for task in self._tasks:
            if not task.given and self._child.taken < self._recycle_pages:
                task.given = True
                self._child.give(task.head, task.body)
        return self._child

    def _result(self) -> Extracted | Failure:
        """Wait for the result of the first task."""
        while True:
            child = self._running()
            try:
                answer = child.answer(2 * self._memory_bytes)
            except ValueError as error:
                failure = self._crashed(child, str(error))
                if failure is not None:
                    return failure
                continue
            if answer is not None:
                result = self._answered(child, *answer)
                if result is not None:
                    return result
                continue
            if not child.alive:
                failure = self._crashed(child, "")
                if failure is not None:
                    return failure
                continue
            limit = self._timeout if child.ready else _START_SECONDS
            left = child.since + limit - time.monotonic()
            # Its answer may have been waiting all the while that the caller was away.
            if not child.pump(max(0.0, left)) and left <= 0:
                words = self._end()
                if not child.ready:
                    raise self._no_start(words)
                detail = f"no result within {self._timeout:g} seconds"
                failure = self._failed(DropReason.EXTRACTION_TIMEOUT, detail)
                if failure is not None:
                    return failure

    def _answered(
        self, child: Child, fields: dict[str, str | None], data: bytes
    ) -> Extracted | Failure | None:
        """Turn an answer into a result; None for the word that the child is ready."""
        state = fields.get("state")
        if state == "ready" and not child.ready:
            child.ready = True
            return None
        child.answered += 1
        if state == "memory":
            # A parser that ran out of it is not to be trusted with the next page.
            self._end()
        self._done()
        if state == "memory":
            detail = f"out of memory at {self._memory_bytes} bytes"
            return Failure(DropReason.EXTRACTION_CRASH, detail)
        if state == "error":
            return Failure(DropReason.EXTRACTION_ERROR, str(fields.get("detail")))
        return Extracted(data.decode("utf-8", "replace"), fields.get("title"))

    def _crashed(self, child: Child, cause: str) -> Failure | None:
        words = "; ".join(filter(None, (cause, self._end())))
        if not child.ready:
            raise self._no_start(words)
        if "SIGKILL" in words and self._tasks[0].retried:
            raise StageError(
                "the extraction process was killed twice over one page",
                why="Nothing here kills it so: the machine has most likely run out of memory",
                fix="Run the same command again with fewer --workers or less extract.memory_bytes",
            )
        return self._failed(DropReason.EXTRACTION_CRASH, words)

    def _failed(self, reason: DropReason, detail: str) -> Failure | None:
        """Return the failure of the first page; None the first time, which may not be its fault.

        A process that the system killed, and one that was stopped for a while, look the same as a
        page that crashes or hangs the parser: such a page does so again.
        """
        if not self._tasks[0].retried:
            self._tasks[0].retried = True
            return None
        self._done()
        return Failure(reason, detail)

    def _no_start(self, words: str) -> StageError:
        return StageError(
            "the extraction process cannot be started",
            why=words,
            fix="If it ran out of memory, raise extract.memory_bytes",
        )
