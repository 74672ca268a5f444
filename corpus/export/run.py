"""Exporting what was built, for other programs: documents, or the mixture for another trainer.

In: a build. Out: in a folder, JSONL or Parquet with the documents that were kept, or the mixture in
a form that another trainer reads; and `export.json`, which names the build, the files, their bytes
and their SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpus import storage
from corpus.build import Build
from corpus.errors import OutputError, RecipeError
from corpus.export import datatrove, documents, litdata, llmc, mds, megatron, nanogpt, olmo
from corpus.export import token_rows as parquet_tokens
from corpus.export.documents import COMPRESSIONS
from corpus.export.rows import SPLITS, Files, Rows, open_splits, require_shard_tokens
from corpus.trainer.sequences import MixtureSequences

_DOCUMENTS = ("jsonl", "parquet")
_WHOLE = ("nanogpt", "megatron")  # whose files are as large as the mixture, or its shards
_SHARDED: Mapping[str, Callable[[Rows, Files, int], None]] = {
    "llmc": llmc.write,
    "mds": mds.write,
    "litdata": litdata.write,
    "olmo": olmo.write,
    "datatrove": datatrove.write,
    "parquet-tokens": parquet_tokens.write,
}
FORMATS = (*_DOCUMENTS, *_WHOLE, *_SHARDED)
RECORD = "export.json"
VERSION = 1  # of the token formats: an interrupted export of another version is begun again


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        folder: The folder.
        files: The files in it.
        documents: The documents in them, 0 for mixtures.
        masked: How many of each kind of personal data were masked; nothing without masks.
        sequences: The sequences of each split, for mixtures in files of sequences.
    """

    folder: str
    files: tuple[str, ...]
    documents: int
    masked: Mapping[str, int] = field(default_factory=dict)
    sequences: Mapping[str, int] = field(default_factory=dict)


def export(
    build: Build,
    *,
    form: str,
    folder: str,
    compression: str,
    force: bool,
    say: Callable[[str], None],
    mask: Sequence[str] = (),
    split: str | None = None,
    shard_tokens: int | None = None,
) -> Export:
    """Write a build in another form.

    Files appear when they are whole; those that were there are written again, but for the files of
    sequences that an interrupted export of the same mixture has finished.

    Args:
        build: The build.
        form: One of `FORMATS`.
        folder: Where to.
        compression: Of JSONL: "zst", "gz" or "none".
        force: Write into a folder that holds other things too.
        say: Is told of each file.
        mask: Kinds of personal data to mask in texts and titles: "email", "ip", "phone".
        split: Of a mixture: "train", "val", or both.
        shard_tokens: The most tokens a file, for formats in files of sequences.

    Raises:
        RecipeError: No such form, compression, kind or split, or one that the form has not.
        OutputError: The folder holds other things, or cannot be written.
        InputError: The stages that are needed are not built, or the form cannot hold the mixture.
    """
    for what, value, known in (
        ("--format", form, FORMATS),
        ("--compression", compression, COMPRESSIONS),
        ("--split", split or SPLITS[0], SPLITS),
    ):
        if value not in known:
            raise RecipeError(
                f"{value!r} is not known", where=what, fix=f"Use one of {', '.join(known)}"
            )
    of_documents = form in _DOCUMENTS
    _require_masks(mask, of_documents)
    _require_mixture_options(form, split, shard_tokens)
    depends = [build.stage("extract"), *build.verdicts] if of_documents else [build.stage("mix")]
    record: dict[str, Any] = {
        "format": form,
        "compression": compression if form == "jsonl" else None,
        "stages": {manifest.stage: manifest.fingerprint for manifest in depends},
        **({"mask": sorted(set(mask))} if mask else {}),
    }
    if not of_documents:
        record |= {"version": VERSION, "split": split}
    if form in _SHARDED:
        record["shard_tokens"] = require_shard_tokens(shard_tokens)
    resume = _claim(folder, record, force)
    files = Files(folder, resume and form in _SHARDED, say)
    if of_documents:
        total, masked = documents.write(build, form, compression, files, sorted(set(mask)))
        written = Export(folder, tuple(files.paths), total, masked)
    else:
        sequences = _mixture(build, form, files, split, record)
        written = Export(folder, tuple(files.paths), 0, sequences=sequences)
        record |= {"sequences": sequences} if sequences else {}
    record["files"] = sorted(files.digests)
    record["digests"] = files.digests
    if mask:
        record["masked"] = dict(written.masked)
    storage.write_json(storage.join(folder, RECORD), record)
    return written


def _require_masks(mask: Sequence[str], documents: bool) -> None:
    if not mask:
        return
    from corpus.text.pii import KINDS

    for kind in mask:
        if kind not in KINDS:
            raise RecipeError(
                f"{kind!r} is not known", where="--mask", fix=f"Use some of {', '.join(KINDS)}"
            )
    if not documents:
        raise RecipeError(
            "a mixture is exported as it was tokenized",
            where="--mask",
            fix=f"Say it in the recipe: tokenize: {{mask: [{', '.join(mask)}]}}",
        )


def _require_mixture_options(form: str, split: str | None, shard_tokens: int | None) -> None:
    if split is not None and form in _DOCUMENTS:
        raise RecipeError(
            "documents are exported before they are divided",
            where="--split",
            fix="Leave it out, or export the mixture",
        )
    if shard_tokens is not None and form not in _SHARDED:
        raise RecipeError(
            f"the files of {form} have the size that they have",
            where="--shard-tokens",
            fix=f"Leave it out, or use one of {', '.join(_SHARDED)}",
        )


def _claim(folder: str, record: dict[str, Any], force: bool) -> bool:
    """Make sure that nothing of someone else's is mixed with what is written, and say whose it is.

    Returns:
        Whether an export of just this was interrupted here.

    Raises:
        OutputError: The folder holds other things, or an export of another build.
    """
    path = storage.join(folder, RECORD)
    mine: dict[str, Any] = storage.read_json(path) if storage.exists(path) else {}
    same = {key: mine.get(key) for key in record} == record
    if storage.list_folder(folder) and not force and not same:
        raise OutputError(
            "the folder holds an export of another build or form"
            if mine
            else "the folder is not empty and was not made by corpus export",
            where=folder,
            fix="Choose another folder, empty this one, or add --force to write into it",
        )
    storage.sweep(folder)
    # What an earlier export has left would be taken for a part of this one.
    for name in mine.get("files", []):
        if ".." not in name.split("/"):
            storage.remove(storage.join(folder, name))
    storage.write_json(path, record)
    return same


def _mixture(
    build: Build, form: str, files: Files, split: str | None, record: dict[str, Any]
) -> dict[str, int]:
    mix = build.stage("mix")
    sequences = MixtureSequences.open(mix.path(mix.shards[0].output("mixture")))
    if form == "nanogpt":
        nanogpt.write(sequences, files, split)
        return {}
    if form == "megatron":
        megatron.write(sequences, files, split)
        return {}
    splits = open_splits(sequences, split)
    for rows in splits.values():
        _SHARDED[form](rows, files, record["shard_tokens"])
    return {name: rows.total for name, rows in splits.items()}


def describe(made: Export) -> Iterator[str]:
    """Yield what a person reads."""
    what = f"{made.documents:,} documents in " if made.documents else ""
    yield f"Exported {what}{len(made.files):,} files to {made.folder}"
    if made.masked:
        yield f"Masked {', '.join(f'{number:,} {kind}' for kind, number in made.masked.items())}"
