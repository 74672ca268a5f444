"""The probability of whole documents: GPT-2, section 3.1, and bits a byte of any text.

"-log P(dataset) per canonical unit": the probability is that of the text as it is written
(`detokenizers`), the units are the words, characters and bytes of the text as the benchmark has it.
A document begins after end of text, and its own end is not predicted. In: files, or the held-out
documents of a mixture. Out: an outcome for each document.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from corpus import storage
from corpus.errors import InputError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation import items
from corpus.trainer.evaluation.config import TextConfig
from corpus.trainer.evaluation.detokenizers import DETOKENIZERS, Detokenizer
from corpus.trainer.evaluation.outcomes import Outcome
from corpus.trainer.evaluation.requests import Request, document
from corpus.trainer.evaluation.scoring import Scorer
from corpus.trainer.sequences import MixtureSequences

_GROUP_TOKENS = 1 << 20  # of documents whose requests are held at once


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        id: Its identifier.
        place: Its file and its number there.
        text: As the benchmark has it.
    """

    id: str
    place: str
    text: str


def read(config: TextConfig, paths: Iterable[str]) -> Iterator[Document]:
    """Yield the documents of files.

    Raises:
        InputError: A file cannot be read, or an item has no text.
    """
    for path in paths:
        name = storage.name(path)
        found = items.read(path)
        first = next(found, None)
        if first is None:
            raise InputError("there is no text in this file", where=path)
        found = itertools.chain([first], found)
        if not isinstance(first.value, str):
            for number, item in enumerate(found, start=1):
                place = f"{name}:{number}"
                yield Document(item.name("id") or place, place, item.text(config.field))
        elif config.document == "line":
            for number, item in enumerate(found, start=1):
                yield Document(f"{name}:{number}", f"{name}:{number}", item.value)
        else:
            yield Document(name, f"{name}:1", _whole(path))


def _whole(path: str) -> str:
    text = items.whole(path)
    if not text.strip():
        raise InputError("there is no text in this file", where=path)
    return text


def held_out(sequences: MixtureSequences, source: str, tokenizer: Tokenizer) -> Iterator[Document]:
    """Yield the held-out documents of a source of a mixture.

    Raises:
        InputError: It has no such source.
    """
    if source not in sequences.sources:
        raise InputError(
            f"the mixture has no source {source!r}",
            where=sequences.path,
            why=f"It has: {', '.join(sequences.sources)}",
        )
    stream = sequences.stream(sequences.sources.index(source), held_out=True)
    number = 0
    for shard in stream.shards:
        for start, end in itertools.pairwise(shard.document_offsets.tolist()):
            number += 1
            tokens = shard.read(start, end - start)
            text = tokenizer.decode(tokens[tokens != tokenizer.end_of_text])
            if text.strip():
                yield Document(f"{source}:{number}", f"{source}:{number}", text)


def measure(
    documents: Iterable[Document], *, detokenizer: str, scorer: Scorer, tokenizer: Tokenizer
) -> Iterator[Outcome]:
    """Yield the outcome of each document."""
    way = DETOKENIZERS[detokenizer]
    group: list[tuple[Document, Request, int]] = []
    held = 0
    for one in documents:
        text, inexact = written(one.text, way)
        group.append((one, document(tokenizer, text), inexact))
        held += len(group[-1][1].tokens)
        if held >= _GROUP_TOKENS:
            yield from _outcomes(group, way, scorer)
            group, held = [], 0
    yield from _outcomes(group, way, scorer)


def written(text: str, way: Detokenizer) -> tuple[str, int]:
    """Return a text as it is written, and its lines that are left as they were."""
    if not way.contractions:
        return text, 0
    lines = [way.detokenize(line) for line in text.split("\n")]
    return "\n".join(line.text for line in lines), sum(not line.exact for line in lines)


def _outcomes(
    group: list[tuple[Document, Request, int]], way: Detokenizer, scorer: Scorer
) -> Iterator[Outcome]:
    scores = scorer([one for _, one, _ in group])
    for (one, _, inexact), score in zip(group, scores, strict=True):
        line_ends = one.text.count("\n") if way.line_ends else 0
        yield Outcome(
            id=one.id,
            place=one.place,
            nats=-score.log_probability,
            units={
                "word": len(one.text.split()) + line_ends,
                "character": len(one.text),
                "byte": len(one.text.encode()),
                "token": score.tokens,
            },
            details={"lines_left_as_they_were": inexact} if way.contractions else {},
        )
