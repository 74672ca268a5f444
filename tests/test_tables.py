"""Lines and tables: plain in a pipe, ruled on a terminal, harmless on both."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import tables
from corpus.tables import Table

TABLE = Table(("name", "count"), [("essays", "1,200"), ("[red]x[/red]", "7"), ("none", "-")])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_show_in_a_pipe_aligns_numbers_to_the_right() -> None:
    out = io.StringIO()
    tables.show(["a line", TABLE], out)
    assert out.getvalue().splitlines() == [
        "a line",
        "name          count",
        "essays        1,200",
        "[red]x[/red]      7",
        "none              -",
    ]


def test_show_of_sentences_that_begin_with_a_number_aligns_them_to_the_left() -> None:
    out = io.StringIO()
    tables.show([Table(("size", "what"), [("1.2 GB", "3 files"), ("7 B", "12 files in")])], out)
    assert out.getvalue().splitlines()[1:] == ["1.2 GB  3 files", "   7 B  12 files in"]


def test_show_on_a_terminal_rules_the_table_and_obeys_no_markup() -> None:
    out = Terminal()
    tables.show([TABLE], out)
    assert "[red]x[/red]" in out.getvalue()
    assert "──" in out.getvalue()


@given(st.text())
def test_printable_is_one_line_without_controls(text: str) -> None:
    shown = tables.printable(text)
    categories = {unicodedata.category(c) for c in shown}
    assert not categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert tables.printable(shown) == shown


def test_excerpt_marks_what_it_leaves_out() -> None:
    assert tables.excerpt("one\ntwo", 7) == "one two"
    assert tables.excerpt("one\ntwo", 3) == "one …"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (2_500_000_000, "2.5 GB")],
)
def test_size_reads_like_a_person_writes_it(number: int, text: str) -> None:
    assert tables.size(number) == text
