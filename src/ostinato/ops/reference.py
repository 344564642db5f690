"""What a fused scan computes, by the cells' own loop: for second derivatives, and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ostinato.cells.cell import GatedCell, State, get
from ostinato.cells.loop import Stages, run_gated
from ostinato.ops.kernel import ACTIVATIONS, KINDS, NAMES, SHARED, Inputs, Options, Plan, Tensors
from ostinato.ops.random import Zoneout


def names_of_row(cell: GatedCell, plan: Plan) -> list[str]:
    """The names of a row's tensors, in the order of `kernel.Inputs`; "" for a norm that the cell has not."""
    if plan.options is None:
        return list(NAMES)
    norms = [f"{name}.{part}" for name in cell.norms() for part in ("weight", "bias")]
    return [*NAMES, "peephole", "weight_hr", *norms, *[""] * (6 - len(norms)), "key"]


def by_reference(tensors: Tensors, plan: Plan, gradients: Tensors, wanted: Sequence[bool]) -> tuple[Tensor | None, ...]:
    """The gradients of the tensors by the reference loop, themselves differentiable."""
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        tensors = aliases(tensors)
        y, end = run_reference(tensors, plan)
        pairs = [(o, g) for o, g in zip((y, *end), gradients, strict=False) if g is not None and o.requires_grad]
        asked = [v for v, w in zip(tensors, wanted, strict=True) if w and v is not None]
        if not pairs:
            return (None,) * len(tensors)
        outputs, weights = [o for o, _ in pairs], [g for _, g in pairs]
        found = iter(torch.autograd.grad(outputs, asked, weights, create_graph=create, allow_unused=True))
        return tuple(next(found) if w and v is not None else None for v, w in zip(tensors, wanted, strict=True))


def aliases(tensors: Tensors) -> list[Tensor | None]:
    """The same values as new nodes: where h was made from x, the gradient of x must not hold h's part too."""
    return [v.view_as(v) if v is not None and v.requires_grad else v for v in tensors]


def run_reference(tensors: Tensors, plan: Plan) -> tuple[Tensor, State]:
    """The same call through the cell's own loop."""
    x, h, c, restart_h, restart_c, lengths, resets = tensors[:SHARED]
    assert x is not None
    states, ends, directions = (h, c) if plan.kind == KINDS["lstm"] else (h,), [], plan.directions
    for k in range(plan.layers):
        outputs = []
        for d in range(directions):
            row = k * directions + d
            own = Inputs(*tensors[:SHARED], *tensors[SHARED + plan.own * row : SHARED + plan.own * (row + 1)])  # type: ignore[arg-type]
            cell = _cell_of(plan, own, x.shape[2])
            w = {
                name: v
                for name, v in zip(names_of_row(cell, plan), own[SHARED : SHARED + plan.own], strict=True)
                if v is not None and name not in ("mask", "key")
            }
            begin = tuple(
                x.new_zeros(x.shape[0], n) if s is None else _row(s, row)
                for s, n in zip(states, cell.sizes(), strict=True)
            )
            restart = tuple(_row(s, row) for s in (restart_h, restart_c) if s is not None) or None
            stages = Stages(lengths, resets, restart, own.mask, _zoneout(plan, own), plan.reverse != (d == 1))
            y, end = run_gated(cell, w, x, begin, stages)
            outputs.append(y)
            ends.append(end)
        x = torch.cat(outputs, -1) if directions > 1 else outputs[0]
    if h is not None and h.dim() == 2:
        return x, ends[0]
    return x, tuple(torch.stack(each) for each in zip(*ends, strict=True))


def _cell_of(plan: Plan, own: Inputs, width: int) -> GatedCell:
    """The cell whose equation one row is."""
    name, options = {number: name for name, number in KINDS.items()}[plan.kind], plan.options or Options()
    found: dict[str, Any] = {
        "layer_norm": own.gain_0 is not None,
        "nonlinearity": {number: word for word, number in ACTIVATIONS.items()}[plan.activation],
        "reset_after": not options.reset_before,
        "peephole": own.peephole is not None,
        "coupled_gates": options.coupled,
        "proj_size": 0 if own.P is None else own.P.shape[0],
    }
    kind, hidden = get(name), own.R.shape[1] if own.P is None else own.P.shape[1]
    said = {word: found[word] for word in signature(kind).parameters if word in found}
    return kind(width, hidden, own.b_ih is not None, own_weights=False, **said)


def _zoneout(plan: Plan, own: Inputs) -> Zoneout | None:
    if plan.options is None or not any(plan.options.zoneout):
        return None
    states = 2 if plan.kind == KINDS["lstm"] else 1
    return Zoneout(plan.options.zoneout[:states], own.key, (plan.options.streams or ())[:states])


def _row(state: Tensor, row: int) -> Tensor:
    return state if state.dim() == 2 else state[row]
