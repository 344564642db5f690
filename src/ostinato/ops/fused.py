"""The fused scan as torch sees it: an autograd.Function, and a custom op for graphs.

Both backwards differentiate the reference loop where a graph of the gradient is asked for, so that
second derivatives are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ostinato.cells.cell import GatedCell, State, Weights, get
from ostinato.cells.loop import Stages, run_gated
from ostinato.ops import kernel, probes
from ostinato.ops.kernel import ACTIVATIONS, KINDS, NAMES, OWN, SHARED, Inputs, Plan, Tensors


def eager(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """One direction of one layer, now."""
    return stack(_inputs(w, x, state, stages), plan_of(cell, stages.reverse))


def stack(tensors: Tensors, plan: Plan) -> tuple[Tensor, State]:
    """A whole stack of layers, now, by the cheapest way that autograd can follow; see `kernel.Inputs`."""
    track = negated = False
    for v in tensors:
        if v is not None:
            track, negated = track or v.requires_grad, negated or v.is_neg()
    if negated:  # the memory of such a view (torch's lazy .conj().imag) holds the opposite of its values
        tensors = [v if v is None else v.resolve_neg() for v in tensors]
    if track and torch.is_grad_enabled():
        y, *ends = _Fused.apply(plan, *tensors)
        return y, tuple(ends)
    y, end, _ = kernel.forward(tensors, plan, keep=False)
    return y, end


def opaque(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """Run as one node of a graph that torch.compile or torch.export makes."""
    y, h, c, _ = torch.ops.ostinato.scan(*_inputs(w, x, state, stages), *plan_of(cell, stages.reverse)[:3])
    return y, (h, c)[: len(state)]


def plan_of(cell: GatedCell, reverse: bool = False, layers: int = 1, directions: int = 1) -> Plan:
    """How the kernels run this cell, which must be one that they serve."""
    assert cell.kernel is not None
    activation = ACTIVATIONS[getattr(cell, "nonlinearity", "tanh")]
    return Plan(KINDS[cell.kernel], activation, reverse, layers, directions)


def _inputs(w: Weights, x: Tensor, state: State, stages: Stages) -> Inputs:
    c = state[1] if len(state) > 1 else None
    restart_h, restart_c = (*(stages.restart or ()), None, None)[:2]
    return Inputs(
        x, state[0], c, restart_h, restart_c, stages.lengths, stages.resets,
        w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"), stages.mask,
    )  # fmt: skip


class _Fused(torch.autograd.Function):
    """y, h[, c] of a stack of layers."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        y, end, kept = kernel.forward(tensors, plan, keep=True)
        ctx.plan = plan
        ctx.save_for_backward(y, kept, *tensors)  # held by torch, which lets go of it after the backward
        ctx.set_materialize_grads(False)
        return y, *end

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        y, kept, *tensors = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or probes.transforming() or any(map(probes.batched, gradients)):
            return None, *by_reference(tensors, ctx.plan, gradients, wanted)
        return None, *kernel.backward(tensors, ctx.plan, y, kept, gradients, wanted)


def by_reference(tensors: Tensors, plan: Plan, gradients: Tensors, wanted: Sequence[bool]) -> tuple[Tensor | None, ...]:
    """The gradients of the tensors by the reference loop, themselves differentiable."""
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        tensors = _aliases(tensors)
        y, end = run_reference(tensors, plan)
        pairs = [(o, g) for o, g in zip((y, *end), gradients, strict=False) if g is not None and o.requires_grad]
        asked = [v for v, w in zip(tensors, wanted, strict=True) if w and v is not None]
        if not pairs:
            return (None,) * len(tensors)
        outputs, weights = [o for o, _ in pairs], [g for _, g in pairs]
        found = iter(torch.autograd.grad(outputs, asked, weights, create_graph=create, allow_unused=True))
        return tuple(next(found) if w and v is not None else None for v, w in zip(tensors, wanted, strict=True))


def _aliases(tensors: Tensors) -> list[Tensor | None]:
    """The same values as new nodes: where h was made from x, the gradient of x must not hold h's part too."""
    return [v.view_as(v) if v is not None and v.requires_grad else v for v in tensors]


def run_reference(tensors: Tensors, plan: Plan) -> tuple[Tensor, State]:
    """The same call through the cell's own loop."""
    kind, activation, reverse, layers, directions = plan
    x, h, c, restart_h, restart_c, lengths, resets = tensors[:SHARED]
    assert x is not None
    name = {number: name for name, number in KINDS.items()}[kind]
    options = {"nonlinearity": {n: word for word, n in ACTIVATIONS.items()}[activation]} if name == "rnn" else {}
    states, ends = (h, c) if name == "lstm" else (h,), []
    for k in range(layers):
        outputs = []
        for d in range(directions):
            row = k * directions + d
            own = tensors[SHARED + OWN * row : SHARED + OWN * (row + 1)]
            w = {part: v for part, v in zip(NAMES, own, strict=True) if v is not None}
            mask = w.pop("mask", None)
            hidden = w["weight_hh"].shape[1]
            cell = get(name)(x.shape[2], hidden, "bias_ih" in w, own_weights=False, **options)
            begin = tuple(x.new_zeros(x.shape[0], hidden) if s is None else _row(s, row) for s in states)
            restart = tuple(_row(s, row) for s in (restart_h, restart_c) if s is not None) or None
            y, end = run_gated(cell, w, x, begin, Stages(lengths, resets, restart, mask, None, reverse != (d == 1)))
            outputs.append(y)
            ends.append(end)
        x = torch.cat(outputs, -1) if directions > 1 else outputs[0]
    if h is not None and h.dim() == 2:
        return x, ends[0]
    return x, tuple(torch.stack(each) for each in zip(*ends, strict=True))


def _row(state: Tensor, row: int) -> Tensor:
    return state if state.dim() == 2 else state[row]


# The custom op: what torch.compile and torch.export see ---------------------------------------------

_READS = (
    "Tensor x, Tensor h, Tensor? c, Tensor? restart_h, Tensor? restart_c, Tensor? lengths, Tensor? resets, "
    "Tensor W, Tensor R, Tensor? b_ih, Tensor? b_hh, Tensor? mask"
)
_SCAN = f"({_READS}, int kind, int activation, bool reverse) -> (Tensor y, Tensor h, Tensor c, Tensor saved)"
_BACK = (
    f"({_READS}, int kind, int activation, bool reverse, Tensor y, Tensor saved, Tensor? dy, Tensor? dh, Tensor? dc, "
    "bool[] wanted) -> Tensor[]"
)


SLOTS = {KINDS["rnn"]: 0, KINDS["lstm"]: 5, KINDS["gru"]: 4}  # times hidden: what a step keeps for the backward


def _scan(*args: Any) -> tuple[Tensor, ...]:
    inputs, plan = Inputs(*args[:12]), Plan(*args[12:15])
    y, end, saved = kernel.forward(inputs, plan, keep=True)
    h, c = (*end, y.new_empty(0))[:2]
    if saved is not None:
        return y, h, c, saved.view(*y.shape[:2], -1)
    none = y.new_empty(0) if plan.kind == KINDS["rnn"] else y.new_empty(*y.shape[:2], SLOTS[plan.kind] * y.shape[2])
    return y, h, c, none


def _scan_fake(*args: Any) -> tuple[Tensor, ...]:
    x, c, R, kind = args[0], args[2], args[8], args[12]
    batch, time, hidden = x.shape[0], x.shape[1], R.shape[1]
    slots = SLOTS[kind]
    saved = x.new_empty(batch, time, slots * hidden) if slots else x.new_empty(0)
    end_c = x.new_empty(0) if c is None else x.new_empty(batch, hidden)
    return x.new_empty(batch, time, hidden), x.new_empty(batch, hidden), end_c, saved


def _back(*args: Any) -> list[Tensor]:
    inputs, plan, (y, saved, *gradients), wanted = Inputs(*args[:12]), Plan(*args[12:15]), args[15:20], args[20]
    found = kernel.backward(inputs, plan, y, saved if saved.numel() else None, gradients, wanted)
    return [inputs.x.new_empty(0) if g is None else g for g in found]


def _back_fake(*args: Any) -> list[Tensor]:
    x = args[0]
    return [
        torch.empty_like(v, memory_format=torch.contiguous_format) if w and v is not None else x.new_empty(0)
        for v, w in zip(args[:12], args[20], strict=True)
    ]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    y, _, _, saved = output
    ctx.plan = tuple(inputs[12:15])
    ctx.save_for_backward(y, saved, *inputs[:12])
    ctx.mark_non_differentiable(saved)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dh: Tensor | None, dc: Tensor | None, _: Any) -> tuple[Any, ...]:
    y, saved, *tensors = ctx.saved_tensors
    inputs, wanted = Inputs(*tensors), list(ctx.needs_input_grad[:12])
    dc = dc if inputs.c is not None else None
    made = torch.ops.ostinato.scan_backward(*inputs, *ctx.plan, y, saved, dy, dh, dc, wanted)
    found = [g if w and v is not None else None for g, v, w in zip(made, inputs, wanted, strict=True)]
    return *found, None, None, None


def _save_back(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.plan, ctx.wanted = tuple(inputs[12:15]), inputs[20]
    ctx.save_for_backward(*inputs[:12], *inputs[17:20])


def _differentiate_back(ctx: Any, seconds: list[Tensor | None]) -> tuple[Any, ...]:
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        tensors = _aliases(ctx.saved_tensors)
        inputs, gradients = Inputs(*tensors[:12]), tensors[12:]  # type: ignore[arg-type]
        firsts = by_reference(inputs, Plan(*ctx.plan), gradients, ctx.wanted)
        pairs = [(f, s) for f, s in zip(firsts, seconds, strict=True) if f is not None and s is not None]
        sources = [v for v in (*inputs, *gradients) if v is not None and v.requires_grad]
        outputs, weights = [f for f, _ in pairs], [s for _, s in pairs]
        made = torch.autograd.grad(outputs, sources, weights, create_graph=create, allow_unused=True)
    found = iter(made)
    first = [next(found) if v is not None and v.requires_grad else None for v in inputs]
    last = [next(found) if v is not None and v.requires_grad else None for v in gradients]
    return *first, None, None, None, None, None, *last, None


def _register() -> None:
    for name, schema, run, fake, save, differentiate in (
        ("scan", _SCAN, _scan, _scan_fake, _save, _differentiate),
        ("scan_backward", _BACK, _back, _back_fake, _save_back, _differentiate_back),
    ):
        torch.library.define(f"ostinato::{name}", schema)
        torch.library.impl(f"ostinato::{name}", "CPU")(run)
        torch.library.register_fake(f"ostinato::{name}")(fake)
        torch.library.register_autograd(f"ostinato::{name}", differentiate, setup_context=save)


_register()
