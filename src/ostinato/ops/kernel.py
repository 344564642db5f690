"""Tensors in, tensors out: the calls into the C++ kernels, with buffers made and pointers lent."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato import _kernels

KINDS = {"rnn": 0, "lstm": 1, "gru": 2}
ACTIVATIONS = {"tanh": 0, "relu": 1, "sigmoid": 2, "identity": 3}


Plan = tuple[int, int, bool]  # kind, activation, whether each sequence is read from its end


class Inputs(NamedTuple):
    """All tensors that a fused scan reads; those that may be left out are None.

    Shapes: x (batch, time, input); W (gates x hidden, input); R (gates x hidden, hidden); biases
    (gates x hidden,); h, c, restart_h, restart_c and mask (batch, hidden).
    """

    x: Tensor
    W: Tensor
    R: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    h: Tensor
    c: Tensor | None
    restart_h: Tensor | None
    restart_c: Tensor | None
    mask: Tensor | None
    lengths: Tensor | None
    resets: Tensor | None


class Gradients(NamedTuple):
    """What the backward gives, in the order of `Inputs`; None where it was not asked for."""

    x: Tensor | None
    W: Tensor | None
    R: Tensor | None
    b_ih: Tensor | None
    b_hh: Tensor | None
    h: Tensor | None
    c: Tensor | None
    restart_h: Tensor | None
    restart_c: Tensor | None


def forward(inputs: Inputs, plan: Plan, keep: bool) -> tuple[Tensor, tuple[Tensor, ...], Tensor | None]:
    """Output (batch, time, hidden), end states, and what the backward needs where `keep` is set."""
    batch, time, hidden = *inputs.x.shape[:2], inputs.R.shape[1]
    y = inputs.x.new_empty(batch, time, hidden)
    end_h = inputs.x.new_empty(batch, hidden)
    end_c = None if inputs.c is None else inputs.x.new_empty(batch, hidden)
    slots = _kernels.saved_slots(plan[0])
    saved = _pooled(inputs.x, batch, time, slots * hidden) if keep and slots else None
    _kernels.forward(*_call(inputs, plan), *map(_lend, (y, end_h, end_c, saved)))
    return y, (end_h,) if end_c is None else (end_h, end_c), saved


def backward(
    inputs: Inputs,
    plan: Plan,
    y: Tensor,
    saved: Tensor | None,
    gradients: tuple[Tensor | None, ...],
    wanted: tuple[bool, ...],
) -> Gradients:
    """The gradients of those of the first nine inputs that are `wanted`, from those of y, h and c."""
    dy, dh, dc = (g if g is None else g.contiguous() for g in (*gradients, None)[:3])
    out = Gradients(*(_room(v) if w and v is not None else None for v, w in zip(inputs[:9], wanted, strict=True)))
    if plan[0] != KINDS["rnn"] and saved is None and y.numel():
        raise RuntimeError("the forward kept nothing for this backward")
    _kernels.backward(*_call(inputs, plan), *map(_lend, (y, saved, dy, dh, dc, *out)))
    return out


def _room(like: Tensor) -> Tensor:
    return torch.empty_like(like, memory_format=torch.contiguous_format)


def _call(inputs: Inputs, plan: Plan) -> tuple[Any, ...]:
    x = inputs.x if inputs.x.stride(-1) == 1 else inputs.x.contiguous()  # the kernels take any other strides
    W, R, b_ih, b_hh, h, c, restart_h, restart_c, mask, lengths, resets = map(_lend, inputs[1:])
    kind, activation, reverse = plan
    return (
        kind, activation, x.detach().numpy(), W, R, b_ih, b_hh, h, c, lengths, resets, restart_h, restart_c, mask,
        reverse, torch.get_num_threads(),
    )  # fmt: skip


def _lend(tensor: Tensor | None) -> Any:
    """The tensor's memory as a numpy array, a tenth of the cost of DLPack; a copy only of what is not dense."""
    return None if tensor is None else tensor.detach().contiguous().numpy()


def _pooled(like: Tensor, *shape: int) -> Tensor:
    make = _kernels.pooled_f64 if like.dtype == torch.float64 else _kernels.pooled_f32
    return torch.from_numpy(make(*shape))
