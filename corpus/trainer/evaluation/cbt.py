"""The Children's Book Test: 20 sentences, and a query with a blank and ten candidates.

GPT-2, section 3.2: "compute the probability of each choice and the rest of the sentence conditioned
on this choice", after an invertible de-tokenizer. In: the lines of `cbtest_CN_*.txt` or
`cbtest_NE_*.txt`, from the format's description and not from the files themselves. Out: examples.

    1 first sentence
    ...
    21 sentence with XXXXX in it<TAB>answer<TAB><TAB>candidate|candidate|...

A completion is the whole query, filled in. What stands before the blank is the same for all
candidates, so that the likeliest is the one that the paper's rule chooses.
"""

from __future__ import annotations

from collections.abc import Iterator

from corpus.trainer.evaluation.detokenizers import CBT
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.items import Item

_BLANK = "XXXXX"
_SENTENCES = 20


def examples(items: Iterator[Item]) -> Iterator[Example]:
    """Yield an example for every 21 numbered lines.

    Raises:
        InputError: A line is not the next one, or the query is not whole.
    """
    story: list[str] = []
    item: Item | None = None
    for item in items:
        if not isinstance(item.value, str):
            raise item.wrong("the Children's Book Test is plain text")
        number, _, sentence = item.value.partition(" ")
        if number != str(len(story) + 1):
            raise item.wrong(
                f"line {len(story) + 1} of a story was expected", repr(item.value[:60])
            )
        if len(story) < _SENTENCES:
            story.append(CBT.detokenize(sentence).text)
            continue
        yield _example(item, " ".join(story), sentence)
        story = []
    if story and item is not None:
        raise item.wrong(f"the file ends after line {len(story)} of a story", "Lines are missing")


def _example(item: Item, story: str, line: str) -> Example:
    fields = line.rstrip("\n").split("\t")
    if len(fields) < 4 or fields[0].count(_BLANK) != 1:
        raise item.wrong("the query is not whole", repr(line[:60]))
    query, answer, candidates = fields[0], fields[1], tuple(fields[-1].split("|"))
    if answer not in candidates:
        raise item.wrong("the answer is not among the candidates", repr(line[-80:]))
    filled = (CBT.detokenize(query.replace(_BLANK, one)).text for one in candidates)
    return Example(tuple((story, f" {one}") for one in filled), candidates.index(answer))
