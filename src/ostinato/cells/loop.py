"""The plain loop over time: the reference that every kernel must equal, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ostinato.cells.cell import Cell, GatedCell, Gates, State, Weights
from ostinato.sequence import Sequence, resets_backwards

Step = Callable[[int, State], tuple[Tensor, State]]
Watch = Callable[[Gates, State], None]
Parts = tuple[Tensor | float, ...]


class Keeps(Protocol):
    """How much of the old state each step keeps (`ops.random.Zoneout`)."""

    def parts(self, x: Tensor, sizes: tuple[int, ...]) -> Parts:
        """For each tensor of the state a number, or a mask (batch, time, size) of ones (kept) and zeros."""


class Stages(NamedTuple):
    """What the loop does round a cell's equation, each None where not asked for.

    Attributes:
        lengths: (batch,) int64; no step past them.
        resets: (batch, time) bool; the state becomes `restart` before a step so marked.
        restart: the state after a reset, each (batch, size); zeros where None.
        mask: (batch, size) the recurrent product sees mask * h (Gal and Ghahramani 2016).
        zoneout: how much of the old state is kept (Krueger 2017).
        reverse: read each sequence from its end.
    """

    lengths: Tensor | None = None
    resets: Tensor | None = None
    restart: State | None = None
    mask: Tensor | None = None
    zoneout: Keeps | None = None
    reverse: bool = False


def run_gated(
    cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages, watch: Watch | None = None
) -> tuple[Tensor, State]:
    """A gated cell over x (batch, time, input): output (batch, time, size), state after the last step.

    `watch` is shown the gates and the new state of each step, in reading order.
    """
    parts = None if stages.zoneout is None else stages.zoneout.parts(x, cell.sizes())
    sequence, resets, zoneout = _in_reading_order(x, stages, parts)
    if cell.unfused() is None or type(cell).project is GatedCell.project:  # their input can be nothing else
        _must_go_with(x, w["weight_ih"])
    wx = cell.project(w, sequence.values)

    def step(t: int, old: State) -> tuple[Tensor, State]:
        seen = old[0] if stages.mask is None else stages.mask * old[0]
        made = cell.gated(w, wx[:, t], seen, old)
        gates, new = made if t else _checked(cell, made, "gates", old)
        if not t and (found := _shapes(new)) != (wanted := _shapes(old)):
            raise ValueError(f"the new state of {type(cell).__name__} must be of the shapes {wanted}, found {found}")
        if zoneout is not None:
            new = tuple(_keep(k, t, o, n) for k, o, n in zip(zoneout, old, new, strict=True))
        if watch is not None:
            watch(gates, new)
        return new[0], new

    return _loop(step, sequence, state, resets, stages)


def run_cell(cell: Cell, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """Any cell over x (batch, time, ...), by its own step."""
    sequence, resets, _ = _in_reading_order(x, stages, None)

    def step(t: int, old: State) -> tuple[Tensor, State]:
        made = cell.step(sequence.values[:, t], old)
        return made if t else _checked(cell, made, "output", old)

    return _loop(step, sequence, state, resets, stages)


def _must_go_with(x: Tensor, weight: Tensor) -> None:
    """Refuse what torch's own product would refuse as well, but not say of what."""
    if x.device != weight.device:
        what = repr(str(weight.device))
    elif x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        what = str(weight.dtype)
    else:
        return
    raise ValueError(
        f"x is {x.dtype} on {x.device}, the weights are {weight.dtype} on {weight.device}: pass x.to({what})"
    )


def _checked(cell: Cell, made: Any, first: str, old: State) -> tuple[Any, State]:
    """What a cell's first step gave. A tensor where its state should be a tuple would be taken for one: of rows."""
    name = type(cell).__name__
    if not isinstance(made, (tuple, list)) or len(made) != 2:
        found = f"{len(made)} values" if isinstance(made, (tuple, list)) else type(made).__name__
        raise TypeError(f"a step of {name} must return ({first}, state), found {found}")
    new = made[1]
    if not isinstance(new, (tuple, list)) or len(new) != len(old):
        found = f"{len(new)} of them" if isinstance(new, (tuple, list)) else type(new).__name__
        raise TypeError(f"the new state of {name} must be a tuple of {len(old)} tensors, such as (h,); found {found}")
    if first == "gates" and not isinstance(made[0], (tuple, list)):
        raise TypeError(f"the gates of {name} must be a tuple of tensors, such as (f,); found {type(made[0]).__name__}")
    return made[0], tuple(new)


def _shapes(state: State) -> list[tuple[int, ...]]:
    return [tuple(s.shape) for s in state]


def _in_reading_order(x: Tensor, stages: Stages, zoneout: Parts | None) -> tuple[Sequence, Tensor | None, Parts | None]:
    """Input, resets and zoneout's masks as the loop meets them: padding cleaned, turned round where asked."""
    sequence, resets = Sequence(x, stages.lengths).clean(), stages.resets
    if resets is not None and stages.lengths is not None:
        resets = resets & sequence.mask  # a mark past the end is nobody's
    if stages.reverse:
        sequence = sequence.reversed()
        resets = None if resets is None else resets_backwards(resets, stages.lengths)
        zoneout = zoneout and tuple(
            Sequence(k, stages.lengths).reversed().values if isinstance(k, Tensor) else k for k in zoneout
        )
    return sequence, resets, zoneout


def _loop(step: Step, sequence: Sequence, state: State, resets: Tensor | None, stages: Stages) -> tuple[Tensor, State]:
    alive = None if sequence.lengths is None else sequence.mask
    restart = stages.restart or tuple(torch.zeros_like(s) for s in state)
    outputs = []
    for t in range(sequence.values.shape[1]):
        if resets is not None:
            state = _where(resets[:, t], restart, state)
        output, new = step(t, state)
        state = new if alive is None else _where(alive[:, t], new, state)
        outputs.append(output)
    if not outputs:
        return state[0].unsqueeze(1)[:, :0], state
    result = Sequence(torch.stack(outputs, 1), stages.lengths).clean()
    return (result.reversed() if stages.reverse else result).values, state


def _where(flags: Tensor, a: State, b: State) -> State:
    return tuple(torch.where(flags.reshape(-1, *[1] * (p.dim() - 1)), p, q) for p, q in zip(a, b, strict=True))


def _keep(k: Tensor | float, t: int, old: Tensor, new: Tensor) -> Tensor:
    part = k[:, t] if isinstance(k, Tensor) else k
    return part * old + (1 - part) * new
