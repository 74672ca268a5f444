"""The tensors of a run by name: out of a model and its optimizer, and back into them.

In a model and its optimizer a tensor may be in parts (FSDP2), one in each process; in a file it is
whole. Into a file the parts go one after the other, and of a file each process reads the rows that
it holds: no process ever has more than its own parts and one of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from corpus.errors import InputError
from corpus.trainer.model import GPT
from corpus.trainer.parallel import part_of, parts_in_turn
from corpus.trainer.tensor_files import TensorFile


def parameters_of(model: GPT) -> dict[str, nn.Parameter]:
    """Return the parameters by name, as the optimizer knows them."""
    if isinstance(model, FSDPModule):
        # Behind a forward pass without a backward one, such as a validation's, the outermost
        # parameters are still put together, as tensors that the optimizer has never seen.
        model.reshard()
    return dict(model.named_parameters())


def weights_of(model: GPT) -> dict[str, Tensor]:
    """Return the parameters by name, in the parts that they are in."""
    return {name: parameter.detach() for name, parameter in parameters_of(model).items()}


def training_of(model: GPT, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's tensors as `<name of the parameter>/<name of the state>`."""
    return {
        f"{name}/{key}": value.detach()
        for name, parameter in parameters_of(model).items()
        for key, value in optimizer.state[parameter].items()
    }


def gathered(tensors: Mapping[str, Tensor], names: list[str]) -> Iterator[Tensor]:
    """Yield what tensors hold, one tensor after the other and one part at a time, on the CPU.

    Every process has to go through all of it: the parts are passed on on the way.
    """
    for name in names:
        for part in parts_in_turn(tensors[name]):
            yield part.cpu()
            del part


def read_weights(model: GPT, file: TensorFile) -> None:
    """Put the weights of a file into a model, each process its part.

    Raises:
        InputError: They are of a model of another shape.
        IntegrityError: The file cannot be read.
    """
    parameters = parameters_of(model)
    if file.shapes != {name: tuple(parameter.shape) for name, parameter in parameters.items()}:
        raise _of_another_shape(file)
    for name, parameter in parameters.items():
        rows, part = part_of(parameter.detach())
        file.read(name, rows, part)


def read_training(model: GPT, optimizer: torch.optim.Optimizer, file: TensorFile) -> None:
    """Put the tensors of an optimizer back, each process its part.

    Raises:
        InputError: They are of a model of another shape.
        IntegrityError: The file cannot be read.
    """
    parameters = parameters_of(model)
    for key, shape in file.shapes.items():
        name, _, of = key.rpartition("/")
        parameter = parameters.get(name)
        if parameter is None or shape not in ((), tuple(parameter.shape)):
            raise _of_another_shape(file)
        # Adam's step counter is one number, of which nobody has a part.
        kept = torch.zeros_like(parameter.detach()) if shape else _number(parameter.device)
        rows, part = part_of(kept)
        file.read(key, rows, part)
        optimizer.state[parameter][of] = kept


def _number(device: torch.device) -> Tensor:
    return torch.zeros((), device=device)


def _of_another_shape(file: TensorFile) -> InputError:
    return InputError(
        "the checkpoint is of a model of another shape",
        where=file.path,
        fix="Use the sizes that it was trained with, or another output folder",
    )
