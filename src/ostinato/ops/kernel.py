"""Tensors in, tensors out: the calls into the C++ kernels, with buffers made and memory lent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from ostinato import _kernels

KINDS = {"rnn": 0, "lstm": 1, "gru": 2}
ACTIVATIONS = {"tanh": 0, "relu": 1, "sigmoid": 2, "identity": 3}

Tensors = Sequence[Tensor | None]


class Options(NamedTuple):
    """What the plain cells have not, as far as no tensor says it.

    Attributes:
        coupled: the LSTM's i = 1 - f.
        reset_before: the GRU resets h before R_n sees it.
        zoneout: how much of h and c is kept.
        streams: of zoneout's random numbers for h and c; None for the expectation.
        first: the step that this call begins with, as zoneout's random numbers count them.
    """

    coupled: bool = False
    reset_before: bool = False
    zoneout: tuple[float, float] = (0.0, 0.0)
    streams: tuple[int, int] | None = None
    first: int = 0


class Plan(NamedTuple):
    """What a fused scan is, beside its tensors.

    Attributes:
        kind, activation: numbers of KINDS and ACTIVATIONS.
        reverse: whether the first direction reads each sequence from its end; a second one reads the other way.
        layers, directions: of the stack; it has layers x directions rows.
        options: None for a plain cell, whose rows have fewer tensors.
    """

    kind: int
    activation: int
    reverse: bool = False
    layers: int = 1
    directions: int = 1
    options: Options | None = None

    @property
    def own(self) -> int:
        """How many tensors each row has."""
        return OWN if self.options is None else OWN + MORE


class Inputs(NamedTuple):
    """All tensors that a fused scan of one row reads; those that may be left out are None.

    A stack hands over the same, flat, and its further rows' own after them. A plain cell's row ends with the
    mask. Shapes: x (batch, time, input); states and restarts (rows, batch, size), where there is one row also
    (batch, size), None for zeros; lengths (batch,); resets (batch, time); W (gates x hidden, input);
    R (gates x hidden, output); biases (gates x hidden,); mask (batch, output); peephole (3, hidden);
    P (output, hidden); gains and shifts of the cell's norms in their order; key () int64.
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
    peephole: Tensor | None = None
    P: Tensor | None = None
    gain_0: Tensor | None = None
    shift_0: Tensor | None = None
    gain_1: Tensor | None = None
    shift_1: Tensor | None = None
    gain_2: Tensor | None = None
    shift_2: Tensor | None = None
    key: Tensor | None = None


SHARED = 7  # tensors before the first row's
OWN = 5  # tensors of each row
MORE = 9  # and of one with options
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "mask")  # of a row


# From torch 2.10 on a tensor lends its memory by itself; before, a numpy array does it for the tensor.
LENDS = hasattr(Tensor, "__dlpack_c_exchange_api__")


straight = _kernels.straight


def forward(
    tensors: Tensors, plan: Plan, keep: bool, y: Tensor | None = None
) -> tuple[Tensor, tuple[Tensor, ...], Tensor | None]:
    """Output (batch, time, directions x hidden), end states, and what the backward needs where `keep` is set.

    `y` is room for the output, by any strides but the last; then the other tensors must lie as kernels read them.
    """
    y, h, c, kept = _call(_kernels.forward, plan, tensors, y, keep)
    return y, (h,) if c is None else (h, c), kept


def sizes(tensors: Tensors, plan: Plan) -> tuple[int, int]:
    """Widths of h and of c: the same but for a projection."""
    R, P = tensors[SHARED + 1], None if plan.options is None else tensors[SHARED + OWN + 1]
    assert R is not None
    return R.shape[1], R.shape[1] if P is None else P.shape[1]


def saved_width(tensors: Tensors, plan: Plan, hidden: int) -> int:
    """Numbers that a step of a row keeps for the backward; `hidden` may be a symbol."""
    projected = normed = False
    if plan.options is not None:
        _, P, gain, *_ = tensors[SHARED + OWN : SHARED + OWN + MORE]
        projected, normed = P is not None, gain is not None
    slots, beside = _saved(plan, projected, normed)
    return slots * hidden + beside


@cache
def _saved(plan: Plan, projected: bool, normed: bool) -> tuple[int, int]:
    options = plan.options or Options()
    return _kernels.saved(plan.kind, options.reset_before, projected, normed, any(options.zoneout))


def kept_numbers(tensors: Tensors, plan: Plan) -> int:
    """How many numbers a forward keeps for its backward."""
    x = tensors[0]
    assert x is not None
    output, hidden = sizes(tensors, plan)
    return _kernels.kept_numbers(
        x.shape[0] * x.shape[1], saved_width(tensors, plan, hidden), plan.layers, plan.directions,
        plan.directions * output,
    )  # fmt: skip


def backward(
    tensors: Tensors,
    plan: Plan,
    y: Tensor,
    kept: Tensor | None,
    gradients: Tensors,
    wanted: Sequence[bool],
    may_lose: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of those of `tensors` that are `wanted`, from those of y, h and c.

    `may_lose`: what was kept may be written over, which takes less memory and time.
    """
    dy, dh, dc = (g.resolve_neg() if g is not None and g.is_neg() else g for g in (*gradients, None)[:3])
    return _call(_kernels.backward, plan, tensors, y, kept, (dy, dh, dc), tuple(wanted), may_lose)


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a b + bias: (rows, inner), (inner, columns), (columns,) -> (rows, columns); the same bits at any threads."""
    given = (a, b, bias, torch.get_num_threads())
    found = _take(_kernels.multiply(*_lend(given)))
    return cast(Tensor, multiply(*_dense((a, b, bias))) if found is None else found)


def _call(run: Any, plan: Plan, tensors: Tensors, *more: Any) -> tuple[Any, ...]:
    """Run with memory lent; inputs that the kernels cannot read as they lie are copied first."""
    given, threads = tuple(tensors), torch.get_num_threads()
    found = run(plan, threads, given, *more) if LENDS else _take(run(plan, threads, *_lend((given, *more))))
    return _call(run, plan, _dense(given), *_dense(more)) if found is None else found


def _dense(given: Any) -> Any:
    if isinstance(given, tuple):
        return tuple(map(_dense, given))
    return given.contiguous() if isinstance(given, Tensor) else given


def _lend(given: Any) -> Any:
    if LENDS:
        return given
    if isinstance(given, tuple):
        return tuple(map(_lend, given))
    return given.detach().numpy() if isinstance(given, Tensor) else given


def _take(made: Any) -> Any:
    """What came back for numpy arrays that stood for tensors."""
    if isinstance(made, tuple):
        return tuple(map(_take, made))
    return torch.from_numpy(made) if isinstance(made, np.ndarray) else made
