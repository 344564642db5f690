"""The one dispatcher: a sequence goes to the fused kernel, or to the cell's own loop (decisions/03)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.cells.cell import Cell, GatedCell, State, Weights, get, names
from ostinato.cells.loop import Stages, run_cell, run_gated
from ostinato.ops import fused, kernel, probes
from ostinato.ops.kernel import Plan, Tensors
from ostinato.ops.random import Zoneout
from ostinato.ops.reference import names_of_row
from ostinato.sequence import as_lengths, as_tensor

_PLAIN = Stages()
_TYPES = (torch.float32, torch.float64)
_log = logging.getLogger("ostinato.dispatch")


def run(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """A gated cell with these weights over x (batch, time, input), by the fastest way that serves."""
    reason = unserved(cell, w, x, stages)
    if reason is not None:
        if not probes.compiling():  # a log has no place in a graph
            _log.debug("%s: the reference loop runs: %s", cell.name, reason)
        return run_gated(cell, w, x, state, stages)
    if probes.compiling():
        return fused.opaque(cell, w, x, state, stages)
    return fused.eager(cell, w, x, state, stages)


def unserved(cell: GatedCell, w: Weights, x: Tensor, stages: Stages) -> str | None:
    """Why no kernel runs this call, or None where one does."""
    if (reason := cell.unfused()) is not None:
        return reason
    if not probes.compiling() and probes.transforming():
        return "a functorch transform or forward-mode AD is running"
    return unfit(x, w.values())


def unfit(x: Tensor, weights: Iterable[Tensor | None]) -> str | None:
    """Why kernels cannot read these tensors, or None where they can. Asked at each call: written to cost little."""
    dtype = x.dtype
    if not x.is_cpu:
        return f"no kernel for the device {x.device.type}"
    if dtype not in _TYPES:
        return f"no kernel for {dtype}"
    for v in weights:
        if v is not None and (v.dtype is not dtype or not v.is_cpu):
            return "weights and input differ in type or device"
    return None


def mixed(cell: GatedCell, x: Tensor, weights: Iterable[Tensor]) -> torch.dtype | None:
    """The type of the answer where torch.autocast is on and a kernel serves; None where all goes as without it.

    Kernels compute in float32 whatever autocast says: half precision is no faster there, and only the answer is
    rounded. Its type is that of torch's layers: the GRU's is that of x, because torch's GRU adds x's state to it.
    """
    if not (x.is_cpu and torch.is_autocast_enabled("cpu")) or x.dtype is torch.float64:
        return None
    if cell.unfused() is not None or any(w.dtype is not torch.float32 for w in weights):
        return None
    return x.dtype if cell.kernel == "gru" else torch.get_autocast_dtype("cpu")


def plan_for(cell: GatedCell, layers: int, directions: int, zoneout: Zoneout | None) -> Plan | None:
    """How kernels run a whole stack of such cells without chance, or None where none does."""
    return fused.plan_of(cell, False, layers, directions, zoneout) if cell.unfused() is None else None


def row_names(cell: GatedCell, plan: Plan | None, suffix: str) -> list[str | None]:
    """The names of a row's tensors on the layer that owns them, in the order of `kernel.Inputs`; None where absent."""
    if plan is None:
        return []
    there = cell.shapes().keys() | {f"{norm}.{part}" for norm in cell.norms() for part in ("weight", "bias")}
    return [named(name, suffix) if name in there else None for name in names_of_row(cell, plan)]


def named(name: str, suffix: str) -> str:
    """weight_ih -> weight_ih_l0, norm_ih.bias -> norm_ih_l0.bias."""
    owner, dot, part = name.partition(".")
    return owner + suffix + dot + part


def run_stack(plan: Plan, x: Tensor, states: Tensors, stages: Stages, rows: Tensors) -> tuple[Tensor, State] | None:
    """A whole stack of gated cells in one call, or None where it must be run one direction at a time.

    Args:
        plan: what the cells are.
        states: h, c and those after a reset, each (rows, batch, size); None where zeros or absent.
        rows: the weights of all rows, flat, as in `kernel.Inputs`.
    """
    if not probes.known() or unfit(x, rows) is not None:
        return None
    return fused.stack((x, *states, stages.lengths, stages.resets, *rows), plan)


def run_whole(
    plan: Plan, x: Tensor, size: int, layer: nn.Module, names: list[str | None]
) -> tuple[Tensor, State] | None:
    """As `run_stack`, over whole sequences of x of this size from zeros, with the weights of these names on the layer.

    In as few steps as can be: between a model's other work none of them is in the caches any more.
    """
    if not probes.known() or probes.autocast():
        return None
    found = kernel.straight(
        plan, torch.get_num_threads(), x, size, layer, layer._parameters, names, torch.is_grad_enabled()
    )
    if found is None:
        return None
    y, end, tensors = found
    return (y, end) if tensors is None else fused.tracked(tensors, plan)


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
        TypeError, ValueError: x does not fit the cell, or lengths, resets or the state do not fit x.

    >>> from ostinato.cells import get
    >>> output, (h, c) = scan(get("lstm")(3, 8), torch.randn(4, 6, 3), lengths=[6, 0, 2, 1])
    >>> output.shape, bool((output[1] == 0).all()), h.shape
    (torch.Size([4, 6, 8]), True, torch.Size([4, 8]))
    """
    _must_fit(cell, x)
    stages = stages_of(x, lengths, resets)
    if isinstance(cell, GatedCell) or state is None or resets is not None:  # else a cell need not know where it starts
        start = _started(cell, x)
        stages = stages._replace(restart=None if resets is None else start)
        state = start if state is None else _like(cell, start, state)
    else:
        state = _of_rows(cell, x, state)
    if not isinstance(cell, GatedCell):
        return run_cell(cell, x, state, stages)
    w = cell.collect(cell)
    half = mixed(cell, x, w.values())
    if half is None:
        return run(cell, w, x, state, stages)
    stages = stages._replace(restart=stages.restart and tuple(s.float() for s in stages.restart))
    with torch.autocast("cpu", enabled=False):
        y, state = run(cell, w, x.float(), tuple(s.float() for s in state), stages)
    return y.to(half), tuple(s.to(half) for s in state)


def _must_fit(cell: Cell, x: Tensor) -> None:
    if not isinstance(cell, Cell):
        found = f"the class {cell.__name__}" if isinstance(cell, type) else type(cell).__name__
        raise TypeError(f"scan takes an object of an ost.Cell, found {found}: a layer is called, layer(x)")
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a tensor, found {type(x).__name__}")
    wanted = (cell.input_size,) if isinstance(cell, GatedCell) else x.shape[2:]
    if x.dim() < 2 or x.shape[2:] != wanted:
        axes = f"(batch, time, {cell.input_size})" if isinstance(cell, GatedCell) else "(batch, time, ...)"
        raise ValueError(f"x must be {axes}, found {tuple(x.shape)}")


def _started(cell: Cell, x: Tensor) -> State:
    start = cell.start(x)
    if not isinstance(start, (tuple, list)) or not all(isinstance(s, Tensor) for s in start):
        found = type(start).__name__
        raise TypeError(f"start of {type(cell).__name__} must return a tuple of tensors, such as (h,); found {found}")
    return tuple(start)


def _like(cell: Cell, start: State, state: Any) -> State:
    """The state, if it has the shapes that the cell itself starts with."""
    wanted = [tuple(s.shape) for s in start]
    made = _of_tensors(cell, state, wanted)
    if wanted != (found := [tuple(s.shape) for s in made]):
        raise ValueError(f"the state of {type(cell).__name__} must be a tuple of tensors {wanted}, found {found}")
    return made


def _of_rows(cell: Cell, x: Tensor, state: Any) -> State:
    """The state of a cell that does not say where it starts, if each tensor has as many rows as x."""
    made = _of_tensors(cell, state, "(batch, ...) each")
    if any(s.shape[:1] != x.shape[:1] for s in made):
        found = [tuple(s.shape) for s in made]
        raise ValueError(f"the state of {type(cell).__name__} must have the {x.shape[0]} rows of x, found {found}")
    return made


def _of_tensors(cell: Cell, state: Any, wanted: Any) -> State:
    if isinstance(state, (tuple, list)) and state and all(isinstance(s, Tensor) for s in state):
        return tuple(state)
    found: Any = type(state).__name__
    if isinstance(state, Tensor):
        found = "a bare tensor: pass (state,)"
    elif isinstance(state, (tuple, list)):
        found = [type(s).__name__ for s in state]
    raise ValueError(f"the state of {type(cell).__name__} must be a tuple of tensors {wanted}, found {found}")


def stages_of(x: Tensor, lengths: Any, resets: Any) -> Stages:
    """Lengths and resets as the loop takes them, checked against x (batch, time, ...)."""
    if lengths is None and resets is None:
        return _PLAIN
    batch, time = x.shape[:2]
    return Stages(
        lengths=None if lengths is None else as_lengths(lengths, batch, time, known=probes.known()),
        resets=None if resets is None else _as_resets(resets, x),
    )


def _as_resets(resets: Any, x: Tensor) -> Tensor:
    found, wanted = as_tensor("resets", resets), tuple(x.shape[:2])
    if found.is_floating_point() or found.is_complex():
        raise TypeError(f"resets must be bool, found {found.dtype}: pass resets.bool()")
    if tuple(found.shape) != wanted:
        raise ValueError(f"resets must have the shape (batch, time) = {wanted}, found {tuple(found.shape)}")
    marks = found.to(x.device, torch.bool)
    return marks.clone() if marks is resets else marks  # a backward reads them; a rollout's buffer is used again


def kernels() -> list[tuple[str, str]]:
    """Each registered cell and what runs it, then each option that no kernel serves yet.

    The first row says which instruction set was chosen.
    """
    from ostinato import _kernels

    rows = [("instruction set", _kernels.instruction_set())]
    for name in names():
        reason = get(name)(2, 2, own_weights=False).unfused()
        rows.append((name, "fused kernel, forward and backward" if reason is None else f"reference loop ({reason})"))
        rows += [(f"  {option}", "reference loop") for option in _unserved_options(name) if reason is None]
    return rows


def _unserved_options(name: str) -> list[str]:
    """The options of a cell, each changed from its default alone, that its kernel does not serve."""
    changed: dict[str, Any] = {}
    for option, usual in ((p.name, p.default) for p in signature(get(name)).parameters.values()):
        if isinstance(usual, (bool, int)) and option not in ("bias", "own_weights"):
            changed[option] = not usual if isinstance(usual, bool) else usual + 1
    return [
        f"{option}={value}"
        for option, value in changed.items()
        if get(name)(2, 2, own_weights=False, **{option: value}).unfused() is not None
    ]
