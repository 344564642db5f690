"""The one dispatcher: a sequence goes to the fused kernel, or to the cell's own loop (decisions/03)."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from ostinato.cells.cell import Cell, GatedCell, State, Weights, get, names
from ostinato.cells.loop import Stages, run_cell, run_gated
from ostinato.ops import fused, probes
from ostinato.sequence import as_lengths

_log = logging.getLogger("ostinato.dispatch")


def run(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """A gated cell with these weights over x (batch, time, input), by the fastest way that serves."""
    reason = unserved(cell, w, x, stages)
    if reason is not None:
        _log.debug("%s: the reference loop runs: %s", cell.name, reason)
        return run_gated(cell, w, x, state, stages)
    if probes.compiling():
        return fused.opaque(cell, w, x, state, stages)
    return fused.eager(cell, w, x, state, stages)


def unserved(cell: GatedCell, w: Weights, x: Tensor, stages: Stages) -> str | None:
    """Why no kernel runs this call, or None where one does."""
    if (reason := cell.unfused()) is not None:
        return reason
    if stages.zoneout is not None:
        return "zoneout: no kernel yet"
    if x.device.type != "cpu":
        return f"no kernel for the device {x.device.type}"
    if x.dtype not in (torch.float32, torch.float64):
        return f"no kernel for {x.dtype}"
    if any(v.dtype != x.dtype for v in w.values()):
        return "weights and input differ in type"
    if not probes.compiling() and probes.transforming():
        return "a functorch transform or forward-mode AD is running"
    return None


def scan(
    cell: Cell, x: Tensor, state: State | None = None, *, lengths: Any = None, resets: Tensor | None = None
) -> tuple[Tensor, State]:
    """A cell over a whole sequence: for t in 0..time-1: output[t], state = step(x[t], state).

    Args:
        cell: any `ost.Cell`; a `ost.GatedCell` with a kernel runs fused.
        x: (batch, time, ...).
        state: a tuple of tensors, batch first; `cell.start(x)` where left out.
        lengths: (batch,) integers; output is 0 past them, the state is that after the last real step.
        resets: (batch, time) bool; a new segment begins there, from `cell.start(x)`.

    Returns:
        The output (batch, time, size) and the state after the last step.

    Raises:
        ValueError: lengths or resets do not fit x.

    >>> from ostinato.cells import get
    >>> output, (h, c) = scan(get("lstm")(3, 8), torch.randn(4, 6, 3), lengths=[6, 0, 2, 1])
    >>> output.shape, bool((output[1] == 0).all()), h.shape
    (torch.Size([4, 6, 8]), True, torch.Size([4, 8]))
    """
    batch, time = x.shape[:2]
    start = cell.start(x)
    stages = Stages(
        lengths=None if lengths is None else as_lengths(lengths, batch, time),
        resets=as_resets(resets, batch, time),
        restart=None if resets is None else start,
    )
    state = start if state is None else state
    if isinstance(cell, GatedCell):
        return run(cell, cell.collect(cell), x, state, stages)
    return run_cell(cell, x, state, stages)


def as_resets(resets: Tensor | None, batch: int, time: int) -> Tensor | None:
    """Marks as a bool tensor (batch, time), checked."""
    if resets is None:
        return None
    if resets.shape != (batch, time):
        raise ValueError(f"resets must have the shape (batch, time) = ({batch}, {time}), found {tuple(resets.shape)}")
    return resets.bool()


def kernels() -> list[tuple[str, str]]:
    """Each registered cell, and what runs it; the first row says which instruction set was chosen."""
    from ostinato import _kernels

    rows = [("instruction set", _kernels.instruction_set())]
    for name in names():
        reason = get(name)(1, 1, own_weights=False).unfused()
        rows.append((name, "fused kernel, forward and backward" if reason is None else f"reference loop ({reason})"))
    return rows
