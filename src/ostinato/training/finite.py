"""What is no longer finite: training ends with its name, and it reaches no checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.training import trees

Named = list[tuple[str, nn.Parameter]]


class TrainingDiverged(RuntimeError):  # noqa: N818 - said of training, as StopIteration is of an iterator
    """A loss, a gradient or a weight is no longer finite.

    Attributes:
        epoch, step: where, counted from 1; the step over all epochs.
        tensor: what is not finite.
    """

    def __init__(self, epoch: int, step: int, tensor: str) -> None:
        super().__init__(
            f"epoch {epoch}, step {step}: {tensor} is not finite; look for such values in the data, "
            "or try a smaller learning_rate or clip"
        )
        self.epoch, self.step, self.tensor = epoch, step, tensor


def finite(*tensors: Tensor) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def bad_weight(named: Named, optimizer: torch.optim.Optimizer) -> str | None:
    """The first parameter, or tensor that the optimizer keeps for one, that is not finite."""
    for name, parameter in named:
        if not finite(parameter):
            return name
        for what, kept in optimizer.state.get(parameter, {}).items():
            if isinstance(kept, Tensor) and not finite(kept):
                return f"the optimizer's {what} of {name}"
    return None


def bad_gradient(named: Named) -> str:
    """The first gradient that is not finite; where each is, their norm has overflowed."""
    for name, parameter in named:
        if parameter.grad is not None and not finite(parameter.grad):
            return f"the gradient of {name}"
    return "the norm of the gradient"


def bad_loss(batch: Any) -> str:
    """The loss, and whether its batch explains it."""
    return "the loss" if finite(*trees.leaves(batch)) else "the loss, and some of the batch's values,"


def as_json(row: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A row of plain numbers, None where one is not finite: JSON has no such numbers."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row}
