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
from ostinato.ops.kernel import ACTIVATIONS, KINDS, Inputs, Plan


def eager(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """Run now, by the cheapest way that autograd can follow."""
    inputs, plan = _inputs(w, x, state, stages), _plan(cell, stages)
    if not torch.is_grad_enabled() or not any(v is not None and v.requires_grad for v in inputs[:9]):
        y, end, _ = kernel.forward(inputs, plan, keep=False)
        return y, end
    y, *end = _Fused.apply(plan, *inputs)
    return y, tuple(end)


def opaque(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """Run as one node of a graph that torch.compile or torch.export makes."""
    y, h, c, _ = torch.ops.ostinato.scan(*_inputs(w, x, state, stages), *_plan(cell, stages))
    return y, (h, c)[: len(state)]


def _plan(cell: GatedCell, stages: Stages) -> Plan:
    assert cell.kernel is not None
    return KINDS[cell.kernel], ACTIVATIONS[getattr(cell, "nonlinearity", "tanh")], stages.reverse


def _inputs(w: Weights, x: Tensor, state: State, stages: Stages) -> Inputs:
    c = state[1] if len(state) > 1 else None
    restart_h, restart_c = (*(stages.restart or ()), None, None)[:2]
    return Inputs(
        x, w["weight_ih"], w["weight_hh"], w.get("bias_ih"), w.get("bias_hh"), state[0], c, restart_h, restart_c,
        stages.mask, stages.lengths, stages.resets,
    )  # fmt: skip


class _Fused(torch.autograd.Function):
    """y, h[, c] of one layer and direction."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        inputs = Inputs(*tensors)  # type: ignore[arg-type]  # x, W, R and h are never None
        y, end, saved = kernel.forward(inputs, plan, keep=True)
        ctx.plan = plan
        ctx.save_for_backward(y, saved, *inputs)  # held by torch, which lets go of it after the backward
        ctx.set_materialize_grads(False)
        return y, *end

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        y, saved, *tensors = ctx.saved_tensors
        inputs, wanted = Inputs(*tensors), tuple(ctx.needs_input_grad[1:10])
        if torch.is_grad_enabled() or probes.transforming() or any(map(probes.batched, gradients)):
            found = by_reference(inputs, ctx.plan, gradients, wanted)
        else:
            found = kernel.backward(inputs, ctx.plan, y, saved, gradients, wanted)
        return None, *found, None, None, None


def by_reference(
    inputs: Inputs, plan: Plan, gradients: Sequence[Tensor | None], wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """The gradients of the first nine inputs by the reference loop, themselves differentiable."""
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        inputs = Inputs(*_aliases(inputs))  # type: ignore[arg-type]  # None where it was None
        y, end = run_reference(inputs, plan)
        pairs = [(o, g) for o, g in zip((y, *end), gradients, strict=False) if g is not None and o.requires_grad]
        asked = [v for v, w in zip(inputs[:9], wanted, strict=True) if w and v is not None]
        if not pairs:
            return (None,) * 9
        outputs, weights = [o for o, _ in pairs], [g for _, g in pairs]
        found = iter(torch.autograd.grad(outputs, asked, weights, create_graph=create, allow_unused=True))
        return tuple(next(found) if w and v is not None else None for v, w in zip(inputs[:9], wanted, strict=True))


def _aliases(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The same values as new nodes: where h was made from x, the gradient of x must not hold h's part too."""
    return [v.view_as(v) if v is not None and v.requires_grad else v for v in tensors]


def run_reference(inputs: Inputs, plan: Plan) -> tuple[Tensor, State]:
    """The same call through the cell's own loop."""
    kind, activation, reverse = plan
    name = {number: name for name, number in KINDS.items()}[kind]
    options = {"nonlinearity": {n: word for word, n in ACTIVATIONS.items()}[activation]} if name == "rnn" else {}
    cell = get(name)(inputs.W.shape[1], inputs.R.shape[1], inputs.b_ih is not None, own_weights=False, **options)
    named = {"weight_ih": inputs.W, "weight_hh": inputs.R, "bias_ih": inputs.b_ih, "bias_hh": inputs.b_hh}
    state = (inputs.h,) if inputs.c is None else (inputs.h, inputs.c)
    restart = tuple(v for v in (inputs.restart_h, inputs.restart_c) if v is not None) or None
    stages = Stages(inputs.lengths, inputs.resets, restart, inputs.mask, None, reverse)
    return run_gated(cell, {k: v for k, v in named.items() if v is not None}, inputs.x, state, stages)


# The custom op: what torch.compile and torch.export see ---------------------------------------------

_READS = (
    "Tensor x, Tensor W, Tensor R, Tensor? b_ih, Tensor? b_hh, Tensor h, Tensor? c, Tensor? restart_h, "
    "Tensor? restart_c, Tensor? mask, Tensor? lengths, Tensor? resets"
)
_SCAN = f"({_READS}, int kind, int activation, bool reverse) -> (Tensor y, Tensor h, Tensor c, Tensor saved)"
_BACK = (
    f"({_READS}, int kind, int activation, bool reverse, Tensor y, Tensor saved, Tensor? dy, Tensor? dh, Tensor? dc, "
    "bool[] wanted) -> Tensor[]"
)


def _scan(*args: Any) -> tuple[Tensor, ...]:
    inputs, plan = Inputs(*args[:12]), args[12:15]
    y, end, saved = kernel.forward(inputs, plan, keep=True)
    h, c = (*end, y.new_empty(0))[:2]
    return y, h, c, y.new_empty(0) if saved is None else saved


def _scan_fake(*args: Any) -> tuple[Tensor, ...]:
    x, R, c, kind = args[0], args[2], args[6], args[12]
    batch, time, hidden = x.shape[0], x.shape[1], R.shape[1]
    slots = {KINDS["rnn"]: 0, KINDS["lstm"]: 5, KINDS["gru"]: 4}[kind]
    saved = x.new_empty(batch, time, slots * hidden) if slots else x.new_empty(0)
    end_c = x.new_empty(0) if c is None else x.new_empty(batch, hidden)
    return x.new_empty(batch, time, hidden), x.new_empty(batch, hidden), end_c, saved


def _back(*args: Any) -> list[Tensor]:
    inputs, plan, (y, saved, *gradients), wanted = Inputs(*args[:12]), args[12:15], args[15:20], args[20]
    found = kernel.backward(inputs, plan, y, saved if saved.numel() else None, tuple(gradients), tuple(wanted))
    return [inputs.x.new_empty(0) if g is None else g for g in found]


def _back_fake(*args: Any) -> list[Tensor]:
    x = args[0]
    return [
        torch.empty_like(v, memory_format=torch.contiguous_format) if w and v is not None else x.new_empty(0)
        for v, w in zip(args[:9], args[20], strict=True)
    ]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    y, _, _, saved = output
    ctx.plan = tuple(inputs[12:15])
    ctx.save_for_backward(y, saved, *inputs[:12])
    ctx.mark_non_differentiable(saved)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dh: Tensor | None, dc: Tensor | None, _: Any) -> tuple[Any, ...]:
    y, saved, *tensors = ctx.saved_tensors
    inputs, wanted = Inputs(*tensors), list(ctx.needs_input_grad[:9])
    dc = dc if inputs.c is not None else None
    made = torch.ops.ostinato.scan_backward(*inputs, *ctx.plan, y, saved, dy, dh, dc, wanted)
    found = [g if w and v is not None else None for g, v, w in zip(made, inputs[:9], wanted, strict=True)]
    return *found, None, None, None, None, None, None


def _save_back(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.plan, ctx.wanted = tuple(inputs[12:15]), inputs[20]
    ctx.save_for_backward(*inputs[:12], *inputs[17:20])


def _differentiate_back(ctx: Any, seconds: list[Tensor | None]) -> tuple[Any, ...]:
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        tensors = _aliases(ctx.saved_tensors)
        inputs, gradients = Inputs(*tensors[:12]), tensors[12:]  # type: ignore[arg-type]
        firsts = by_reference(inputs, ctx.plan, gradients, ctx.wanted)
        pairs = [(f, s) for f, s in zip(firsts, seconds, strict=True) if f is not None and s is not None]
        sources = [v for v in (*inputs[:9], *gradients) if v is not None and v.requires_grad]
        outputs, weights = [f for f, _ in pairs], [s for _, s in pairs]
        made = torch.autograd.grad(outputs, sources, weights, create_graph=create, allow_unused=True)
    found = iter(made)
    first = [next(found) if v is not None and v.requires_grad else None for v in inputs[:9]]
    last = [next(found) if v is not None and v.requires_grad else None for v in gradients]
    return *first, *[None] * 6, None, None, *last, None


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
