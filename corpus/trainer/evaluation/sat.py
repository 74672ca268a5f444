"""SAT analogies: GPT-3, section 3.9.3 and figure G.12.

In: the public hubs' items with `stem`, `choice` and `answer`, or the lines of the authors'
`SAT-package-V3.txt`, of which each question is, by the scripts of others that read it::

    190 FROM REAL SATs
    lull trust v:n
    balk fortitude v:n
    ...                       four more pairs
    d

Out: examples, whose choices are "a is to b".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpus.trainer.evaluation.example import Example, choosing
from corpus.trainer.evaluation.items import Item

_LETTERS = "abcde"


def examples(items: Iterator[Item]) -> Iterator[Example]:
    """Yield an example a question.

    Raises:
        InputError: A question is not whole.
    """
    lines: list[Item] = []
    for item in items:
        if not isinstance(item.value, str):
            yield _of_hub(item)
            continue
        text = item.value.strip()
        if text.startswith("#"):
            continue
        if len(text) > 1:
            lines.append(item)
            continue
        yield _of_lines(item, lines, text)
        lines = []
    if lines:
        raise lines[0].wrong("the file ends within a question", repr(lines[0].value[:60]))


def _of_hub(item: Item) -> Example:
    choices = [Item(one.where, {"choice": one.value}) for one in item.each("choice")]
    pairs = [one.texts("choice") for one in choices]
    stem, gold = item.texts("stem"), item.number("answer")
    return _example(item, [stem, *pairs], gold)


def _of_lines(item: Item, lines: Sequence[Item], letter: str) -> Example:
    """Return a question: its name, the stem, the choices, and the letter of the right one."""
    pairs = [tuple(line.value.split()[:2]) for line in lines[1:]]
    if letter not in _LETTERS:
        raise item.wrong("a letter from a to e was expected", repr(letter))
    return _example(item, pairs, _LETTERS.index(letter))


def _example(item: Item, pairs: Sequence[Sequence[str]], gold: int) -> Example:
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        raise item.wrong("a question is a pair of words and at least two pairs to choose from")
    if not 0 <= gold < len(pairs) - 1:
        raise item.wrong(f"there is no choice {gold}", f"There are {len(pairs) - 1}, from 0")
    stem, *choices = (" is to ".join(pair) for pair in pairs)
    return choosing(f"{stem} as", tuple(choices), gold)
