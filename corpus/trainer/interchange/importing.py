"""A model of Transformers into a checkpoint that this project opens and trains.

In: a folder with `config.json`, safetensors (one file, or several and their index) and
`tokenizer.json`. Out: an output folder with one checkpoint of step 0, which `open_model` reads.
Pickled weights are not read: loading them runs what they contain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from corpus import storage
from corpus.errors import InputError, IntegrityError, OutputError
from corpus.text import tokenizer
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import checkpoint
from corpus.trainer.interchange.carriers import CLASSES, config_of, from_carrier, not_ours, shape_of
from corpus.trainer.interchange.exporting import CONFIG, WEIGHTS
from corpus.trainer.interchange.parity import require_parity
from corpus.trainer.interchange.tokenizer_files import TOKENIZER, TOKENIZER_CONFIG
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw
from corpus.trainer.presets import Architecture

_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Imported:
    """A checkpoint that was written.

    Attributes:
        checkpoint: Its folder.
        source: The folder that it was made from.
        carrier: The class of Transformers that it was.
        parameters: Number of parameters.
        difference: Largest difference of the logits, as a share of the largest logit.
    """

    checkpoint: str
    source: str
    carrier: str
    parameters: int
    difference: float


def import_model(path: str, *, to: str, vocabulary: str | None = None) -> Imported:
    """Write a model of Transformers as a checkpoint.

    Args:
        path: Folder of `GPT2LMHeadModel`, `OpenAIGPTLMHeadModel` or `GPTNeoForCausalLM`.
        to: Output folder, as of a run; it must have no checkpoints.
        vocabulary: "gpt2", a ranks file or a `tokenizer.json`, instead of the one in the folder.

    Raises:
        InputError: A file is missing, or the model or its tokenizer is not one that we have.
        IntegrityError: The weights cannot be read.
        OutputError: There are checkpoints in the output folder, or it cannot be written.
    """
    if checkpoint.steps_present(to):
        raise OutputError(
            "there are checkpoints in that folder", where=to, fix="Choose another output folder"
        )
    place = storage.join(path, CONFIG)
    config = storage.read_json(place)
    if not isinstance(config, dict):
        raise not_ours(place, "It is no object")
    shape, kind = shape_of(config, where=place), str(config["model_type"])
    if vocabulary is None:
        named = _end_of_text(path, config)
        encoder = _tokenizer(storage.join(path, TOKENIZER), shape, named)
    else:
        encoder = _tokenizer(vocabulary, shape, None)
    tensors = _read_tensors(path)
    with torch.device("meta"):
        model = GPT(shape, dropout=0.0)
    weights = from_carrier(kind, tensors, shape, where=path)
    _require_shapes(weights, model, where=path)
    model.load_state_dict(weights, assign=True)
    model.eval()
    difference = require_parity(
        model,
        config_of(shape, kind=kind, dropout=0.0, end_of_text=encoder.end_of_text),
        {f"transformer.{name.removeprefix('transformer.')}": t for name, t in tensors.items()},
        where=path,
    )
    folder = checkpoint.save(
        to,
        step=0,
        model=model,
        optimizer=adamw(model, weight_decay=0.0, beta1=0.9, beta2=0.95, epsilon=1e-8),
        loader={},
        settings={f"model.{key}": value for key, value in asdict(shape).items()}
        | {"imported": storage.name(path)},
        tokenizer=encoder,
        keep=1,
    )
    return Imported(
        checkpoint=folder,
        source=path,
        carrier=CLASSES[kind],
        parameters=model.parameter_count(),
        difference=difference,
    )


def _tokenizer(path: str, shape: Architecture, end_of_text: str | int | None) -> Tokenizer:
    """Return a model's tokenizer.

    Args:
        path: Where it is.
        shape: Of the model.
        end_of_text: What ends a document, where another file says so.

    Raises:
        InputError: It is missing, no byte-level BPE with the GPT-2 split, or not of this model.
    """
    encoder = tokenizer.load(path, end_of_text=end_of_text)
    if encoder.vocabulary_size != shape.vocabulary_size:
        raise InputError(
            "the tokenizer is not one that this model can be used with",
            where=path,
            why=f"It has {encoder.vocabulary_size:,} tokens, and the model has "
            f"{shape.vocabulary_size:,}",
            fix="Name the vocabulary of the model with --vocabulary",
        )
    return encoder


def _end_of_text(path: str, config: Mapping[str, Any]) -> str | int | None:
    """Return the token that ends a document, or its id, as a folder names it; None if it does not.

    The tokenizer's own file comes first: `config.json` of a class has an id also where no one set
    it, which then is none of the tokenizer's.

    Raises:
        InputError: What it names is no token.
    """
    place = storage.join(path, TOKENIZER_CONFIG)
    content = storage.read_json(place) if storage.exists(place) else {}
    named = content.get("eos_token") if isinstance(content, dict) else None
    if isinstance(named, dict):  # an AddedToken, written out
        named = named.get("content")
    if named is not None:
        if not isinstance(named, str):
            raise InputError("eos_token is not text", where=place, fix="Name the token that it is")
        return named
    id = config.get("eos_token_id")
    if not isinstance(id, int) or isinstance(id, bool):
        return None
    whole = storage.read_json(storage.join(path, TOKENIZER))
    added = whole.get("added_tokens") if isinstance(whole, dict) else None
    known = added if isinstance(added, list) else []
    return id if any(isinstance(t, dict) and t.get("id") == id for t in known) else None


def _read_tensors(path: str) -> dict[str, Tensor]:
    """Return all tensors of a folder by name.

    Raises:
        InputError: A file is missing, or the index is no index.
        IntegrityError: A file is not safetensors.
    """
    names = {WEIGHTS}
    index = storage.join(path, _INDEX)
    if not storage.exists(storage.join(path, WEIGHTS)):
        if not storage.exists(index):
            raise InputError(
                "there are no weights in this folder that can be read",
                where=path,
                why=f"It has no {WEIGHTS}; pickled weights (.bin, .pt) are not read",
                fix="In Transformers, write it again: model.save_pretrained(folder)",
            )
        content: Any = storage.read_json(index)
        try:
            names = set(content["weight_map"].values())
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError("the index has no weight_map", where=index) from error
        if not all(isinstance(name, str) and "/" not in name for name in names):
            raise InputError("the index names files outside its folder", where=index)
    tensors: dict[str, Tensor] = {}
    for name in sorted(names):
        place = storage.join(path, name)
        with storage.local_copy(place) as local:
            try:
                tensors |= load_file(local)
            except SafetensorError as error:
                raise IntegrityError(
                    "the file cannot be read as safetensors", where=place, why=str(error)
                ) from error
    return tensors


def _require_shapes(weights: dict[str, Tensor], model: GPT, *, where: str) -> None:
    """Check that the tensors are the model's.

    Raises:
        InputError: One is missing, unknown or of another shape.
    """
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wrong = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if wrong:
        name = wrong[0]
        raise not_ours(
            where,
            f"{len(wrong)} tensors are not those of its config.json, the first {name}: "
            f"{found.get(name, 'missing')}, expected {expected.get(name, 'none')}",
        )


def describe(made: Imported) -> Iterator[str]:
    """Yield what a person reads."""
    yield f"{made.carrier} with {made.parameters:,} parameters from {made.source}"
    yield f"in {made.checkpoint}; its logits agree to {made.difference:.0e} of the largest"
