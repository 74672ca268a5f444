"""mix: the sources by weight, as Table 2.2 has them.

In: token shards. Out: `mixture.json`, which is all that a loader needs (the order of the sequences
is a function of it), and `blend.txt` for Megatron. No token is written again.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpus import storage
from corpus.config import Mix, Recipe
from corpus.engine import LocalEngine
from corpus.manifest import Counts, Manifest, Output, Shard, fingerprint
from corpus.mix.mixture import Mixture, ShardEntry, Vocabulary
from corpus.mix.plan import Ingredient, MixtureRow, blend, compose, table
from corpus.progress import Progress
from corpus.stage_folder import StageFolder, describe_output
from corpus.tokenize.shards import token_dtype

STAGE = "mix"
VERSION = 1
MIXTURE = "mixture.json"


@dataclass(frozen=True)
class MixTask:
    """The mixture to write."""

    name: str
    source: str
    key: str
    weight: int
    mixture: Mixture
    vocabulary: str
    folder: str = ""


def run(
    recipe: Recipe, settings: Mix, tokenize: Manifest, output: str, progress: Progress
) -> Manifest:
    """Compose the mixture from the shards that were measured, and write it.

    Raises:
        InputError: A source with a weight has no tokens.
        StageError: A source would be repeated more than `mix.max_epochs` times.
    """
    from corpus.text import tokenizer

    assert recipe.tokenize is not None
    assert recipe.tokens is not None  # the recipe's model refuses a mix without them
    encoder = tokenizer.load(recipe.tokenize.vocabulary)
    ingredients = [
        Ingredient(
            name,
            source.weight,
            _entries(tokenize, name, "training_bin"),
            _entries(tokenize, name, "validation_bin"),
        )
        for name, source in recipe.sources.items()
        if source.weight is not None
    ]
    mixture = compose(
        ingredients,
        seed=recipe.seed,
        tokens=recipe.tokens,
        sequence_length=settings.sequence_length,
        block=settings.block,
        max_epochs=settings.max_epochs,
        vocabulary=Vocabulary(
            _vocabulary_name(recipe.tokenize.vocabulary),
            encoder.vocabulary_size,
            encoder.digest,
            encoder.end_of_text,
        ),
        dtype=token_dtype(encoder.vocabulary_size).name,
    )
    key = fingerprint(STAGE, VERSION, mixture.fingerprint)
    task = MixTask("mixture", "", key, 1, mixture, recipe.tokenize.vocabulary)
    stored = {"version": VERSION, "mixture": mixture.fingerprint}
    folder = StageFolder(output, STAGE, settings=stored, versions={}, tasks=[task])
    manifest = folder.manifest()
    if manifest is None:
        # One small file: not worth a Ray.
        shards = folder.run(mix_shard, LocalEngine(0), progress)
        manifest = folder.finish(shards, {"table": render(table(mixture))})
    return manifest


def _vocabulary_name(vocabulary: str) -> str:
    """Return what the mixture calls the vocabulary: a file of one's own is copied beside it."""
    is_json = vocabulary.endswith(".json")
    return "gpt2" if vocabulary == "gpt2" else f"vocabulary.{'json' if is_json else 'tiktoken'}"


def _entries(tokenize: Manifest, source: str, role: str) -> list[ShardEntry]:
    folder = f"../{storage.name(tokenize.folder)}"
    return [
        ShardEntry(f"{folder}/{output.path}", output.rows, output.sha256)
        for shard in tokenize.of(source)
        for output in shard.all(role)
    ]


def mix_shard(task: MixTask) -> Shard:
    """Write the mixture and the blend."""
    mixture = task.mixture
    storage.write_json(storage.join(task.folder, MIXTURE), mixture.to_json())
    storage.write_bytes(
        storage.join(task.folder, "blend.txt"), f"{blend(mixture, folder='')}\n".encode()
    )
    vocabulary: tuple[Output, ...] = ()
    name = mixture.vocabulary.name
    if name != task.vocabulary:
        data = storage.read_bytes(task.vocabulary)
        storage.write_bytes(storage.join(task.folder, name), data)
        vocabulary = (describe_output(task.folder, name, "vocabulary"),)
    drawn = sum(row.tokens_drawn for row in table(mixture))
    outputs = (
        describe_output(task.folder, MIXTURE, "mixture", mixture.horizon),
        describe_output(task.folder, "blend.txt", "blend"),
        *vocabulary,
    )
    measures = {"tokens": drawn, "sequences": mixture.horizon}
    return Shard(task.name, task.source, task.key, outputs, Counts(), measures)


def render(rows: tuple[MixtureRow, ...]) -> str:
    """Return the mixture as the paper prints it: Table 2.2, with what was measured."""
    head = ("source", "tokens", "weight", "obtained", "drawn", "epochs")
    drawn = sum(row.tokens_drawn for row in rows)
    lines = [
        (
            row.name,
            f"{row.tokens:,}",
            f"{row.weight:.2%}",
            f"{row.tokens_drawn / drawn:.2%}",
            f"{row.tokens_drawn:,}",
            f"{row.epochs:.2f}",
        )
        for row in rows
    ]
    total = sum(row.tokens for row in rows)
    lines.append(("all", f"{total:,}", "100.00%", "100.00%", f"{drawn:,}", ""))
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [head, *lines]
    )
