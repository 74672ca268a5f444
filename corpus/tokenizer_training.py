"""Training a vocabulary from a build: a sample of its documents in, the vocabulary's files out.

In: the documents of a build that were kept, what was cut left out and what the recipe masks masked.
Out, in a folder: `tokenizer.json`, the same vocabulary as `ranks.tiktoken`, and `training.json`,
which says what they were made from. The sample is drawn by document, from (seed, id).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import pyarrow as pa

from corpus import storage
from corpus.build import BUILD, Build
from corpus.errors import InputError, OutputError, RecipeError
from corpus.export import kept_documents
from corpus.parts import parts
from corpus.stages.tokenize import mask_texts

VERSION = 1
RECORD = "training.json"
JSON, RANKS = "tokenizer.json", "ranks.tiktoken"
LARGEST = 1 << 20


@dataclass(frozen=True)
class Training:
    """What a vocabulary was made from.

    Attributes:
        size: Number of ids, with that of end of text.
        share: Share of the documents that was drawn.
        seed: Of the draws.
        stages: Fingerprint of each stage that the documents come from.
        documents: Documents that were read.
        text_bytes: Their size.
        words: Different words in them.
        digest: SHA-256 of the ranks file, which is what `tokenize` knows a vocabulary by.
        bytes_per_token: Of the sample, encoded with the vocabulary's words.
        version: Of the rules.
    """

    size: int
    share: float
    seed: int
    stages: dict[str, str]
    documents: int
    text_bytes: int
    words: int
    digest: str
    bytes_per_token: float
    version: int = VERSION


def train(
    build: Build,
    *,
    to: str,
    size: int,
    share: float,
    force: bool,
    say: Callable[[str], None],
) -> Training:
    """Train a byte-level BPE with the GPT-2 split, and write its files.

    Args:
        build: The build; it need not be finished.
        to: Folder to write to.
        size: Number of ids, with that of end of text.
        share: Share of the documents to read, above 0.
        force: Replace another vocabulary in that folder.
        say: Is told of each part.

    Raises:
        RecipeError: The size or the share makes no sense.
        InputError: There are no documents, or too little text for the size.
        OutputError: The folder holds another vocabulary, or cannot be written.
    """
    from corpus.text import bpe_training, tokenizer

    if not 257 < size <= LARGEST:
        raise RecipeError(f"{size:,} ids are not between 258 and {LARGEST:,}", where="--size")
    if not 0 < share <= 1:
        raise RecipeError(f"a share of {share} is not above 0 and at most 1", where="--share")
    if not force and storage.exists(storage.join(to, JSON)):
        raise OutputError(
            "there is a vocabulary in that folder",
            where=to,
            fix="Choose another folder, or add --force to replace it",
        )
    recipe = storage.read_json(storage.join(build.output, BUILD))["recipe"]
    mask = (recipe.get("tokenize") or {}).get("mask") or ()
    words: Counter[bytes] = Counter()
    documents = size_read = 0
    for batch in _sample(build, recipe["seed"], share, say):
        texts, _ = mask_texts(batch, mask)
        bpe_training.count_words(words, texts)
        documents += len(texts)
        size_read += sum(len(text.encode("utf-8", "replace")) for text in texts)
    if not documents:
        raise InputError("no document was drawn", where=build.output, fix="Raise --share")
    say(f"{len(words):,} different words in {documents:,} documents")
    tokens = bpe_training.train(words, size)
    ranks = bpe_training.ranks_file(tokens)
    storage.write_bytes(storage.join(to, RANKS), ranks)
    storage.write_bytes(storage.join(to, JSON), bpe_training.tokenizer_json(tokens))
    # Each is read as a build reads it: two files that were not one vocabulary would be refused.
    encoder = tokenizer.load(storage.join(to, JSON))
    same = tokenizer.load(storage.join(to, RANKS)).digest == encoder.digest
    assert same, "tokenizer.json and ranks.tiktoken differ"
    used = sum(
        number * len(ids)
        for number, ids in zip(
            words.values(), encoder.encode([w.decode("utf-8") for w in words]), strict=True
        )
    )
    counted = sum(number * len(word) for word, number in words.items())
    stages = {
        manifest.stage: manifest.fingerprint
        for manifest in (build.stage("extract"), *build.verdicts)
    }
    made = Training(
        encoder.vocabulary_size,
        share,
        recipe["seed"],
        stages,
        documents,
        size_read,
        len(words),
        encoder.digest,
        round(counted / used, 4),
    )
    storage.write_json(storage.join(to, RECORD), asdict(made))
    return made


def _sample(
    build: Build, seed: int, share: float, say: Callable[[str], None]
) -> Iterator[list[str]]:
    """Yield the texts of the documents that are drawn, part by part."""
    from corpus.text import quality

    stages = build.verdicts
    for part in parts(build.stage("extract"), stages[-1] if stages else None):
        drawn = 0
        for batch in kept_documents(part):
            draws = quality.draws(batch.column("id"), seed=seed, purpose="tokenizer")
            texts: list[str] = batch.column("text").filter(pa.array(draws < share)).to_pylist()
            drawn += len(texts)
            if texts:
                yield texts
        say(f"{part.source}/{part.name}: {drawn:,} documents")


def describe(made: Training, to: str) -> Iterator[str]:
    """Yield what a person reads."""
    yield f"A vocabulary of {made.size:,} ids in {to}, from {made.documents:,} documents"
    yield f"{made.bytes_per_token:.2f} bytes a token on the sample; digest {made.digest[:12]}"
    yield f"In a recipe: tokenize: {{vocabulary: {storage.join(to, JSON)}}}"
