"""tokenize: documents to token shards, verdicts, cuts and masks applied on the way.

In: documents, and the last verdict with its cuts. Out, for each part and split that
has documents: a Megatron `.bin`/`.idx` pair and the table from tokens to documents. The validation
split is drawn by document, from (seed, id), before anything is mixed.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import storage
from corpus.config import Recipe, Tokenize
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Output, Shard, fingerprint
from corpus.parts import Part, batches, kept_rows, parts, read_columns, read_cuts
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make
from corpus.text import cut_texts
from corpus.tokenize import document_table, shards

if TYPE_CHECKING:
    from corpus.text import tokenizer

STAGE = "tokenize"
VERSION = 1
SPLITS = ("training", "validation")


class Encoder(Protocol):
    """What encodes texts: the reference, or the fast encoder that is compared with it."""

    vocabulary_size: int
    end_of_text: int

    def encode_utf8(self, texts: Sequence[bytes]) -> tokenizer.Encoded:
        """Return the token ids of texts, without end of text."""


@dataclass(frozen=True)
class TokenizeTask:
    """One part to tokenize.

    Attributes:
        vocabulary: Name or path of the vocabulary.
        validation: Share of the documents that is held out.
        mask: Kinds of personal data that are masked.
        fast: Whether to encode with the fast encoder. The tokens are the same.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    vocabulary: str
    validation: float
    seed: int
    mask: tuple[str, ...] = ()
    fast: bool = False
    folder: str = ""


def run(
    recipe: Recipe,
    settings: Tokenize,
    extract: Manifest,
    last: Manifest | None,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Write the token shards of every source.

    Raises:
        InputError: The vocabulary cannot be read.
    """
    from corpus.text import pii, tokenizer

    digest = tokenizer.load(settings.vocabulary).digest
    validation = recipe.mix.validation if recipe.mix else 0.0
    # Those of decontaminate are all cuts; without that stage there may be those of lines.
    cuts = last is not None and (
        last.stage == "decontaminate" or (last.stage == "dedup" and "lines" in last.settings)
    )
    joined = cut_texts.JOIN_VERSION if cuts else False
    common: tuple[object, ...] = (STAGE, VERSION, digest, validation, recipe.seed, joined)
    stored: dict[str, object] = {"version": VERSION, "vocabulary": digest, "validation": validation}
    if settings.mask:  # without it, keys are what they were before there were masks
        common = (*common, pii.VERSION, settings.mask)
        stored |= {"mask": list(settings.mask), "mask_version": pii.VERSION}
    fast, encoder = _choose(settings.encoder)
    progress.watch(lambda: f"encoder: {encoder}")
    tasks = [
        TokenizeTask(
            name=part.name,
            source=part.source,
            key=fingerprint(common, part.sha256, part.verdict_sha256),
            weight=part.bytes + 1,
            part=part,
            vocabulary=settings.vocabulary,
            validation=validation,
            seed=recipe.seed,
            mask=settings.mask,
            fast=fast,
        )
        for part in parts(extract, last)
    ]
    return make(output, STAGE, tokenize_shard, tasks, engine, progress, settings=stored)


def _choose(wanted: str) -> tuple[bool, str]:
    """Return whether to use the fast encoder, and what a person is told.

    Raises:
        InputError: It is wanted by name and not installed.
    """
    from corpus.text import fast_tokenizer

    if wanted == "tiktoken":
        return False, wanted
    if fast_tokenizer.installed():
        return True, "gigatoken, compared with tiktoken on a sample of every shard"
    if wanted == "gigatoken":
        raise InputError(
            "gigatoken is not installed",
            where="tokenize.encoder",
            fix="Install it: pip install 'corpusmill[fast]', or set tokenize.encoder to auto",
        )
    return False, "tiktoken; gigatoken, which is faster, is not installed"


def tokenize_shard(task: TokenizeTask) -> Shard:
    """Tokenize the documents of one part that are still in.

    Where the fast encoder differs from the reference, all of the part is done by the reference, and
    the measure `encoder_mismatches` says so.
    """
    from corpus.text import fast_tokenizer, tokenizer

    reference = tokenizer.load(task.vocabulary)
    if not task.fast:
        return _shard(task, reference)
    try:
        return _shard(task, fast_tokenizer.Watched(reference, seed=f"{task.seed} {task.name}"))
    except fast_tokenizer.EncodersDiffer:
        made = _shard(task, reference)
        return replace(made, measures={**made.measures, "encoder_mismatches": 1})


def _shard(task: TokenizeTask, encoder: Encoder) -> Shard:
    from corpus.text import quality

    kept = kept_rows(task.part)
    ids = read_columns(task.part.documents, ["id"])["id"].combine_chunks()
    # The draw of the quality filter has decided what is here: validation needs one of its own.
    held_out = np.zeros(len(kept), dtype=np.bool_)
    if task.validation:
        held_out = quality.draws(ids, seed=task.seed, purpose="validation") < task.validation
    outputs: list[Output] = []
    measures = {"tokens": 0, "text_bytes": 0, **{f"masked_{kind}": 0 for kind in task.mask}}
    for split, rows in zip(SPLITS, (kept & ~held_out, kept & held_out), strict=True):
        made, tokens, size, masked = _write_split(task, split, rows, ids, encoder)
        outputs += made
        for kind, number in masked.items():
            measures[f"masked_{kind}"] += number
        measures["text_bytes"] += size
        measures["tokens" if split == "training" else "validation_tokens"] = tokens
    documents = int(kept.sum())
    counts = Counts(documents, documents)
    return Shard(task.name, task.source, task.key, tuple(outputs), counts, measures)


def _write_split(
    task: TokenizeTask, split: str, rows: npt.NDArray[np.bool_], ids: pa.Array, encoder: Encoder
) -> tuple[list[Output], int, int, Counter[str]]:
    """Write one split's shard; return its files, tokens, bytes of text, and what was masked."""
    masked: Counter[str] = Counter()
    if not rows.any():
        return [], 0, 0, masked  # no shard without documents: readers cannot map empty files
    suffix = "" if split == "training" else ".validation"
    prefix = f"{task.source}/{task.name}{suffix}"
    size = 0
    with contextlib.ExitStack() as stack:
        path = storage.join(task.folder, prefix)
        writer = stack.enter_context(shards.publish(path, vocabulary_size=encoder.vocabulary_size))
        for texts in _texts(task.part, rows):
            if task.mask:
                marked, numbers = mask_texts([text.decode() for text in texts], task.mask)
                texts = [text.encode() for text in marked]
                masked.update(numbers)
            size += sum(map(len, texts))
            writer.write_documents(*encoder.encode_utf8(texts), encoder.end_of_text)
    lengths = np.frombuffer(writer.lengths, dtype=np.int32)
    table = f"{prefix}.documents.parquet"
    with storage.publish(storage.join(task.folder, table)) as temporary:
        document_table.write_document_table(temporary, ids.filter(pa.array(rows)), lengths)
    documents, tokens_total = len(lengths), writer.tokens_total
    files = [
        describe_output(task.folder, f"{prefix}.bin", f"{split}_bin", tokens_total),
        describe_output(task.folder, f"{prefix}.idx", f"{split}_idx", documents),
        describe_output(task.folder, table, f"{split}_documents", documents),
    ]
    return files, tokens_total, size, masked


def _texts(part: Part, rows: npt.NDArray[np.bool_]) -> Iterator[list[bytes]]:
    """Yield the texts of the chosen rows as UTF-8, what is cut out left out."""
    removed = read_cuts(part)
    for start, batch in batches(part, ["text"]):
        chosen = np.flatnonzero(rows[start : start + len(batch)])
        if not chosen.size:
            continue
        texts = [*_values(batch.column("text").cast(pa.large_binary()), chosen)]
        if removed is not None:
            spans = removed.take(pa.array(chosen + start)).to_pylist()
            texts = [
                cut_texts.cut_bytes(t, s) if s else t for t, s in zip(texts, spans, strict=True)
            ]
        yield texts


def _values(column: pa.LargeBinaryArray, rows: npt.NDArray[np.int64]) -> Iterator[bytes]:
    """Yield values of a column, each copied once: `take` and `to_pylist` would copy twice."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset :]
    view = memoryview(data if data is not None else b"")
    for start, end in zip(bounds[rows].tolist(), bounds[rows + 1].tolist(), strict=True):
        yield bytes(view[start:end])


def mask_texts(
    texts: Sequence[str], kinds: Sequence[str]
) -> tuple[Sequence[str], Mapping[str, int]]:
    """Return texts as they are trained on, and how many of each kind a mark stands for.

    Args:
        texts: Texts without what was cut out of them: what a cut leaves is what is looked at.
        kinds: Kinds of personal data, of `corpus.text.pii.KINDS`; with none nothing is done.
    """
    if not kinds:
        return texts, {}
    from corpus.text import pii

    masked = pii.mask(pa.array(texts, pa.large_string()), kinds)
    return masked.texts.to_pylist(), masked.counts
