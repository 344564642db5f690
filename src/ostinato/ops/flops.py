"""What `torch.utils.flop_counter.FlopCounterMode` counts of the custom op: the products, as of torch's own layers."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

from ostinato.ops.kernel import Inputs

_ALL = len(Inputs._fields)


def _products(shapes: Any, steps: int) -> tuple[int, int]:
    """Operations of `steps` steps' products with W, and with R and the projection; steps of padding count as well."""
    of_input, of_state = prod(shapes.W), sum(prod(s) for s in (shapes.R, shapes.P) if s is not None)
    rows = 2 * shapes.x[0] * steps
    return rows * of_input, rows * of_state


def _scan(*shapes: Any, out_shape: Any = None) -> int:
    inputs: Any = Inputs(*shapes[:_ALL])
    return sum(_products(inputs, inputs.x[1]))


def _scan_backward(*shapes: Any, out_shape: Any = None) -> int:
    inputs: Any = Inputs(*shapes[:_ALL])
    wanted = Inputs(*shapes[-1])
    of_input, of_state = _products(inputs, inputs.x[1])
    first = 0 if wanted.h else _products(inputs, min(1, inputs.x[1]))[1]  # the first step's state wants no gradient
    return of_input * (bool(wanted.W) + bool(wanted.x)) + of_state * (1 + bool(wanted.R)) - first


def register() -> None:
    """To be called once the operations are there."""
    register_flop_formula(torch.ops.ostinato.scan)(_scan)
    register_flop_formula(torch.ops.ostinato.scan_backward)(_scan_backward)
