"""The tensors of a run by name: out of a model and its optimizer, and back into them.

Here each tensor is whole; in the model and the optimizer it may be in parts (FSDP2), one in each
process. All processes call these functions together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from corpus.errors import InputError
from corpus.trainer.model import GPT
from corpus.trainer.parallel import placed, whole


def parameters_of(model: GPT) -> dict[str, nn.Parameter]:
    """Return the parameters by name, as the optimizer knows them."""
    if isinstance(model, FSDPModule):
        # Behind a forward pass without a backward one, such as a validation's, the outermost
        # parameters are still put together, as tensors that the optimizer has never seen.
        model.reshard()
    return dict(model.named_parameters())


def weights_of(model: GPT, *, leads: bool) -> dict[str, Tensor]:
    """Return the parameters by name, on the CPU; nothing in the processes that do not lead."""
    return _gathered(parameters_of(model).items(), leads)


def training_of(model: GPT, optimizer: torch.optim.Optimizer, *, leads: bool) -> dict[str, Tensor]:
    """Return the optimizer's tensors as `<name of the parameter>/<name of the state>`."""
    return _gathered(
        (
            (f"{name}/{key}", value)
            for name, parameter in parameters_of(model).items()
            for key, value in optimizer.state[parameter].items()
        ),
        leads,
    )


def _gathered(tensors: Iterable[tuple[str, Tensor]], leads: bool) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors:
        complete = whole(tensor.detach())  # every process takes part in this
        if leads:
            found[name] = complete.cpu()
    return found


def set_weights(model: GPT, weights: Mapping[str, Tensor], *, where: str) -> None:
    """Put weights into a model, each process its part.

    Raises:
        InputError: They are of a model of another shape.
    """
    parameters = parameters_of(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if shapes != {name: tuple(parameter.shape) for name, parameter in parameters.items()}:
        raise InputError(
            "the checkpoint is of a model of another shape",
            where=where,
            fix="Use the sizes that it was trained with, or another output folder",
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(placed(weights[name], parameter))


def set_training(
    model: GPT, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put the tensors of an optimizer back, each process its part."""
    parameters = parameters_of(model)
    for key, value in tensors.items():
        name, _, of = key.rpartition("/")
        parameter = parameters[name]
        # Adam's step counter is one number, of which nobody has a part.
        kept = value.to(parameter.device) if of == "step" else placed(value, parameter)
        optimizer.state[parameter][of] = kept.clone()


def whole_model(model: GPT, device: torch.device, *, leads: bool) -> GPT | None:
    """Return a copy of a model with nothing laid around it, or None where it does not lead."""
    weights = weights_of(model, leads=leads)
    if not leads:
        return None
    copy = GPT.create(model.shape, dropout=0.0, seed=0)
    set_weights(copy, weights, where="memory")
    return copy.to(device).eval()
