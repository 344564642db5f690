"""Tensors in, tensors out: the calls into the C++ kernels, with buffers made and memory lent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato import _kernels

KINDS = {"rnn": 0, "lstm": 1, "gru": 2}
ACTIVATIONS = {"tanh": 0, "relu": 1, "sigmoid": 2, "identity": 3}

Tensors = Sequence[Tensor | None]


class Plan(NamedTuple):
    """What a fused scan is, beside its tensors.

    Attributes:
        kind, activation: numbers of KINDS and ACTIVATIONS.
        reverse: whether the first direction reads each sequence from its end; a second one reads the other way.
        layers, directions: of the stack; it has layers x directions rows.
    """

    kind: int
    activation: int
    reverse: bool = False
    layers: int = 1
    directions: int = 1


class Inputs(NamedTuple):
    """All tensors that a fused scan of one row reads; those that may be left out are None.

    A stack hands over the same, flat, and its further rows' own five after them. Shapes: x (batch, time,
    input); states and restarts (rows, batch, hidden), where there is one row also (batch, hidden), None for
    zeros; lengths (batch,); resets (batch, time); W (gates x hidden, input); R (gates x hidden, hidden);
    biases (gates x hidden,); mask (batch, hidden).
    """

    x: Tensor
    h: Tensor | None
    c: Tensor | None
    restart_h: Tensor | None
    restart_c: Tensor | None
    lengths: Tensor | None
    resets: Tensor | None
    W: Tensor
    R: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    mask: Tensor | None


SHARED = 7  # tensors before the first row's
OWN = 5  # tensors of each row
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "mask")  # of a row


# From torch 2.10 on a tensor lends its memory by itself; before, a numpy array does it for the tensor.
LENDS = hasattr(Tensor, "__dlpack_c_exchange_api__")


def forward(tensors: Tensors, plan: Plan, keep: bool) -> tuple[Tensor, tuple[Tensor, ...], Tensor | None]:
    """Output (batch, time, directions x hidden), end states, and what the backward needs where `keep` is set."""
    x, h, R = tensors[0], tensors[1], tensors[SHARED + 1]
    assert x is not None
    assert R is not None
    kind, _, _, layers, directions = plan
    (batch, time, _), hidden = x.shape, R.shape[1]
    y = x.new_empty(batch, time, directions * hidden)
    lead = (layers * directions,) if h is None or h.dim() == 3 else ()
    end_h = x.new_empty(*lead, batch, hidden)
    end_c = x.new_empty(*lead, batch, hidden) if kind == KINDS["lstm"] else None
    size = _kernels.kept_numbers(kind, layers, directions, batch, time, hidden) if keep else 0
    kept = _pooled(x, size) if size else None
    _call(_kernels.forward, tensors, plan, y, end_h, end_c, kept)
    return y, (end_h,) if end_c is None else (end_h, end_c), kept


def backward(
    tensors: Tensors,
    plan: Plan,
    y: Tensor,
    kept: Tensor | None,
    gradients: Tensors,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """The gradients of those of `tensors` that are `wanted`, from those of y, h and c."""
    given = [g if g is None else g.resolve_neg() for g in (*gradients, None)[:3]]
    out = tuple(_room(v) if w and v is not None else None for v, w in zip(tensors, wanted, strict=True))
    _call(_kernels.backward, tensors, plan, y, kept, *given, *out[: SHARED - 2], out[SHARED:])
    return out


def _room(like: Tensor) -> Tensor:
    return torch.empty_like(like, memory_format=torch.contiguous_format)


def _call(run: Any, tensors: Tensors, plan: Plan, *more: Any) -> None:
    """Run with memory lent; inputs that the kernels cannot read as they lie are copied first."""
    kind, activation, reverse, layers, directions = plan
    numbers = (kind, activation, reverse, layers, directions, torch.get_num_threads())
    given = (*tensors[:SHARED], tuple(tensors[SHARED:]), *more)
    if not run(*numbers, *_lend(given)):
        run(*numbers, *_lend(_dense(given)))


def _dense(given: Any) -> Any:
    if isinstance(given, tuple):
        return tuple(map(_dense, given))
    return given if given is None else given.contiguous()


def _lend(given: Any) -> Any:
    if LENDS or given is None:
        return given
    return tuple(map(_lend, given)) if isinstance(given, tuple) else given.detach().numpy()


def _pooled(like: Tensor, size: int) -> Tensor:
    """Memory that is used again, not zeroed."""
    make = _kernels.pooled_f64 if like.dtype == torch.float64 else _kernels.pooled_f32
    return torch.from_numpy(make(size))
