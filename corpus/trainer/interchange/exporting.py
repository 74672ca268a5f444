"""A trained model into a folder that Transformers opens without network.

In: the folder of a run or of a checkpoint. Out::

    config.json             the class and its sizes; written last, so a folder that has it is whole
    model.safetensors       the weights, in float32
    generation_config.json  the token that ends a text
    tokenizer.json, ...     the tokenizer (corpus.trainer.interchange.tokenizer_files)

`AutoModelForCausalLM.from_pretrained(folder)` and `AutoTokenizer.from_pretrained(folder)` read it.
The same checkpoint gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from safetensors.torch import load_file

from corpus import storage
from corpus.errors import OutputError
from corpus.trainer.interchange.carriers import CLASSES, carrier_of, config_of, to_carrier
from corpus.trainer.interchange.parity import require_parity
from corpus.trainer.interchange.tokenizer_files import tokenizer_files
from corpus.trainer.pretrained import open_model
from corpus.trainer.tensor_files import save_tensors

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that was written.

    Attributes:
        folder: Where.
        checkpoint: Folder of the checkpoint that it was made from.
        step: Its optimizer steps.
        carrier: The class of Transformers.
        parameters: Number of parameters of our model.
        difference: Largest difference of the logits, as a share of the largest logit.
    """

    folder: str
    checkpoint: str
    step: int
    carrier: str
    parameters: int
    difference: float


def export_model(path: str, *, to: str, force: bool = False) -> Exported:
    """Write a trained model as a folder of Transformers.

    Args:
        path: The output folder of a run, or the folder of one of its checkpoints.
        to: Folder to write to.
        force: Replace another model in that folder.

    Raises:
        InputError: There is no checkpoint, or no class of Transformers computes its model.
        IntegrityError: The checkpoint is damaged.
        OutputError: The folder holds a model, or cannot be written.
    """
    place = storage.join(to, CONFIG)
    if not force and storage.exists(place):
        raise OutputError(
            "there is a model in that folder",
            where=to,
            fix="Choose another folder, or add --force to replace it",
        )
    opened = open_model(path)
    shape, model = opened.model.shape, opened.model
    kind = carrier_of(shape)
    end_of_text = opened.tokenizer.end_of_text
    dropout = float(opened.settings.get("dropout", 0.0))
    config = config_of(shape, kind=kind, dropout=dropout, end_of_text=end_of_text)
    tensors = to_carrier(kind, dict(model.named_parameters()), shape)
    storage.remove(place)  # until all is there, the folder is none
    with storage.publish(storage.join(to, WEIGHTS)) as temporary:
        # Older releases of Transformers refuse a file that does not say which library it is for.
        save_tensors(
            {name: tensor.detach() for name, tensor in tensors.items()},
            temporary,
            metadata={"format": "pt"},
        )
        difference = require_parity(model, config, load_file(temporary), where=opened.folder)
    files = tokenizer_files(
        opened.tokenizer.ranks_file(),
        context=shape.context,
        end_of_text=end_of_text,
        size=opened.tokenizer.vocabulary_size,
    )
    for name, data in files.items():
        storage.write_bytes(storage.join(to, name), data)
    ends = {"bos_token_id": end_of_text, "eos_token_id": end_of_text}
    storage.write_json(storage.join(to, "generation_config.json"), ends)
    storage.write_json(place, config)
    return Exported(
        folder=to,
        checkpoint=opened.folder,
        step=opened.step,
        carrier=CLASSES[kind],
        parameters=model.parameter_count(),
        difference=difference,
    )


def describe(made: Exported) -> Iterator[str]:
    """Yield what a person reads."""
    yield f"{made.carrier} with {made.parameters:,} parameters in {made.folder}"
    yield f"from {made.checkpoint}; its logits agree to {made.difference:.0e} of the largest"
