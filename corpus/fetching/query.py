"""Asking a server one question, as politely and as stubbornly as files are fetched.

In: an address with a query. Out: the whole answer, or None when the server has none. An answer has
no length that can be relied on and no ranges: it is asked for anew after a fault.
"""

from __future__ import annotations

from corpus.errors import FetchError, NoSuchFileError
from corpus.fetching.attempts import Attempts
from corpus.fetching.http_range import open_http
from corpus.fetching.ranges import damaged_on_the_way
from corpus.fetching.session import Session
from corpus.fetching.transport import Answer, Fault

LARGEST = 1 << 28  # bytes of one answer: a page of an index has some megabytes


def ask(url: str, session: Session) -> bytes | None:
    """Return the answer of a server, or None when it says that there is nothing (404).

    TLS finds what the way changes; over plain http it is asked until two answers agree.

    Args:
        url: http(s)://, with its query.
        session: How to ask.

    Raises:
        FetchError: Refused for good, too many faults, or no two answers agree.
    """
    tries = Attempts(url, session.politeness, session.attempts)
    if url.startswith("https://"):
        return _once(url, session, tries)
    answers: set[bytes | None] = set()
    for _ in range(session.attempts + 1):
        answer = _once(url, session, tries)
        if answer in answers:
            return answer
        if answers:
            tries.note("corrupt")
        answers.add(answer)
    raise damaged_on_the_way(url, len(answers))


def _once(url: str, session: Session, tries: Attempts) -> bytes | None:
    while True:
        tries.begin()
        try:
            with open_http(
                url, 0, None, None, user_agent=session.user_agent, timeout=session.timeout
            ) as answer:
                data = _whole(url, answer, tries)
            tries.succeeded()
            return data
        except Fault as fault:
            fix = "Run the same command again, or use `index: columnar`, which asks no server."
            tries.failed(fault, advanced=False, fix=fix)
        except NoSuchFileError:
            tries.answered()
            tries.succeeded()
            return None
        except FetchError:
            tries.answered()
            raise


def _whole(url: str, answer: Answer, tries: Attempts) -> bytes:
    data = bytearray()
    for block in tries.counted(answer.blocks):
        data += block
        if len(data) > LARGEST:
            raise FetchError(f"the answer is longer than {LARGEST} bytes", where=url)
    tries.answered()
    if answer.length is not None and len(data) != answer.length:
        raise Fault("truncated", f"{len(data)} of {answer.length} bytes")
    return bytes(data)
