"""The fused scan as torch sees it: an autograd.Function, and a custom op for graphs.

Both backwards differentiate the reference loop where a graph of the gradient is asked for, so that
second derivatives are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ostinato.cells.cell import GatedCell, State, Weights
from ostinato.cells.loop import Stages
from ostinato.ops import flops, kernel, probes, recompute
from ostinato.ops.kernel import ACTIVATIONS, KINDS, NAMES, Inputs, Options, Plan, Tensors
from ostinato.ops.random import Zoneout
from ostinato.ops.reference import aliases, by_reference, names_of_row

N = TypeVar("N", int, float)


def eager(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """One direction of one layer, now."""
    plan = plan_of(cell, stages.reverse, zoneout=_drawn(stages))
    return stack(_inputs(cell, plan, w, x, state, stages), plan)


def stack(tensors: Tensors, plan: Plan) -> tuple[Tensor, State]:
    """A whole stack of layers, now, by the cheapest way that autograd can follow; see `kernel.Inputs`."""
    track = negated = False
    for v in tensors:
        if v is not None:
            track, negated = track or v.requires_grad, negated or v.is_neg()
    if negated:  # the memory of such a view (torch's lazy .conj().imag) holds the opposite of its values
        tensors = [v if v is None else v.resolve_neg() for v in tensors]
    tensors = [v if v is None else probes.alive(v) for v in tensors]
    if track and torch.is_grad_enabled():
        return tracked(tensors, plan)
    y, end, _ = kernel.forward(tensors, plan, keep=False)
    return y, end


def tracked(tensors: Tensors, plan: Plan) -> tuple[Tensor, State]:
    """As `stack`, of tensors whose memory holds their values and of which one wants a gradient."""
    if recompute.pays(tensors, plan):
        return recompute.stack(tensors, plan)
    # Less what Function.apply does for functorch, whose transforms and tensors never come this far.
    y, *ends = super(torch.autograd.Function, _Fused).apply(plan, *tensors)
    return y, tuple(ends)


def opaque(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
    """Run as one node of a graph that torch.compile or torch.export makes."""
    plan = plan_of(cell, stages.reverse, zoneout=_drawn(stages))
    tensors = Inputs(*_inputs(cell, plan, w, x, state, stages))  # type: ignore[arg-type]
    y, h, c, _ = torch.ops.ostinato.scan(*tensors, *_flat(plan))
    # The backward reads y as it was made: what comes after the layer may write over a copy (which inductor leaves out).
    # Not in the record of jit.trace, which is checked against one made without gradients.
    apart = y.requires_grad and torch.compiler.is_compiling()
    return y.clone() if apart else y, (h, c)[: len(state)]


def plan_of(
    cell: GatedCell, reverse: bool = False, layers: int = 1, directions: int = 1, zoneout: Zoneout | None = None
) -> Plan:
    """How the kernels run this cell, which must be one that they serve."""
    if cell.kernel not in KINDS:
        there = ", ".join(KINDS)
        raise ValueError(f"{type(cell).__name__}.kernel must be one of {there}, or None; found {cell.kernel!r}")
    activation = ACTIVATIONS[getattr(cell, "nonlinearity", "tanh")]
    coupled, before = getattr(cell, "coupled_gates", False), not getattr(cell, "reset_after", True)
    options = None
    if coupled or before or zoneout is not None or cell.norms() or set(cell.shapes()) - set(NAMES):
        rates, streams = ((), ()) if zoneout is None else (zoneout.rates, zoneout.streams)
        drawn = None if zoneout is None or zoneout.key is None else _two(streams, 0)
        options = Options(coupled, before, _two(rates, 0.0), drawn)
    return Plan(KINDS[cell.kernel], activation, reverse, layers, directions, options)


def _drawn(stages: Stages) -> Zoneout | None:
    assert stages.zoneout is None or isinstance(stages.zoneout, Zoneout)
    return stages.zoneout


def _two(numbers: Sequence[N], missing: N) -> tuple[N, N]:
    return numbers[0] if numbers else missing, numbers[1] if len(numbers) > 1 else missing


def row_of(
    cell: GatedCell, plan: Plan, w: Weights, mask: Tensor | None = None, key: Tensor | None = None
) -> list[Tensor | None]:
    """One row's own tensors in the order of `kernel.Inputs`."""
    drawn = {"mask": mask, "key": key}
    return [drawn[name] if name in drawn else w.get(name) for name in names_of_row(cell, plan)]


def _inputs(cell: GatedCell, plan: Plan, w: Weights, x: Tensor, state: State, stages: Stages) -> list[Tensor | None]:
    c = state[1] if len(state) > 1 else None
    restart_h, restart_c = (*(stages.restart or ()), None, None)[:2]
    zoneout = _drawn(stages)
    key = None if zoneout is None else zoneout.key
    shared = (x, state[0], c, restart_h, restart_c, stages.lengths, stages.resets)
    return [*shared, *row_of(cell, plan, w, stages.mask, key)]


class _Fused(torch.autograd.Function):
    """y, h[, c] of a stack of layers."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        y, end, kept = kernel.forward(tensors, plan, keep=True)
        ctx.plan, ctx.lost, ctx.changes = plan, False, _changes(y)
        ctx.save_for_backward(y.data, kept, *tensors)  # held by torch, which lets go of it after the backward
        ctx.set_materialize_grads(False)
        return y, *end

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        y, kept, tensors, wanted = saved[0], saved[1], saved[2:], ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or probes.transforming() or any(map(probes.batched, gradients)):
            return None, *by_reference(tensors, ctx.plan, gradients, wanted)
        if ctx.lost or ctx.changes._version:  # walked before, which wrote over what was kept; or y was written over
            y, _, kept = kernel.forward(tensors, ctx.plan, keep=True)
        ctx.lost = kept is not None
        return None, *kernel.backward(tensors, ctx.plan, y, kept, gradients, wanted, may_lose=True)


def _changes(y: Tensor) -> Tensor:
    """A tensor without memory of its own whose `_version` counts what is written over y, as `F.relu_(y)` does.

    y itself is saved as `y.data`, whose changes torch does not count: it would refuse the backward, and torch's own RNN
    and GRU do not.
    """
    counter = y.detach()
    counter.data = _NOTHING[y.dtype]
    return counter


_NOTHING = {dtype: torch.empty(0, dtype=dtype) for dtype in (torch.float32, torch.float64)}

# The custom op: what torch.compile and torch.export see ---------------------------------------------

_READS = (
    "Tensor x, Tensor h, Tensor? c, Tensor? restart_h, Tensor? restart_c, Tensor? lengths, Tensor? resets, "
    "Tensor W, Tensor R, Tensor? b_ih, Tensor? b_hh, Tensor? mask, Tensor? peephole, Tensor? P, Tensor? gain_0, "
    "Tensor? shift_0, Tensor? gain_1, Tensor? shift_1, Tensor? gain_2, Tensor? shift_2, Tensor? key"
)
_FLAT = (
    "int kind, int activation, bool reverse, bool coupled, bool reset_before, float zoneout_h, float zoneout_c, "
    "int stream_h, int stream_c"  # -1: the expectation
)
_SCAN = f"({_READS}, {_FLAT}) -> (Tensor y, Tensor h, Tensor c, Tensor saved)"
_BACK = f"({_READS}, {_FLAT}, Tensor y, Tensor saved, Tensor? dy, Tensor? dh, Tensor? dc, bool[] wanted) -> Tensor[]"

_ALL = len(Inputs._fields)  # arguments that are tensors
_PLAN = _ALL + 9  # and, after them, those that make a plan


def _flat(plan: Plan) -> tuple[Any, ...]:
    """A plan of one row, in the types that an operation of torch takes."""
    options = plan.options or Options()
    return (*plan[:3], options.coupled, options.reset_before, *options.zoneout, *(options.streams or (-1, -1)))


def _planned(args: tuple[Any, ...]) -> tuple[Inputs, Plan]:
    """The arguments of an operation; every row has the tensors of options here."""
    coupled, before, rate_h, rate_c, stream_h, stream_c = args[_ALL + 3 : _PLAN]
    options = Options(coupled, before, (rate_h, rate_c), None if stream_h < 0 else (stream_h, stream_c))
    return Inputs(*args[:_ALL]), Plan(args[_ALL], args[_ALL + 1], args[_ALL + 2], options=options)


def _scan(*args: Any) -> tuple[Tensor, ...]:
    inputs, plan = _planned(args)
    y, end, saved = kernel.forward(inputs, plan, keep=True)
    h, c = (*end, y.new_empty(0))[:2]
    width = kernel.saved_width(inputs, plan, kernel.sizes(inputs, plan)[1])
    return y, h, c, y.new_empty(*y.shape[:2], width) if saved is None else saved.view(*y.shape[:2], width)


def _scan_fake(*args: Any) -> tuple[Tensor, ...]:
    inputs, plan = _planned(args)
    x, (output, hidden) = inputs.x, kernel.sizes(inputs, plan)
    batch, time = x.shape[0], x.shape[1]
    saved = x.new_empty(batch, time, kernel.saved_width(inputs, plan, hidden))
    end_c = x.new_empty(0) if inputs.c is None else x.new_empty(batch, hidden)
    return x.new_empty(batch, time, output), x.new_empty(batch, output), end_c, saved


def _back(*args: Any) -> list[Tensor]:
    inputs, plan = _planned(args)
    y, saved, *gradients, wanted = args[_PLAN:]
    found = kernel.backward(inputs, plan, y, saved if saved.numel() else None, gradients, wanted)
    return [inputs.x.new_empty(0) if g is None else g for g in found]


def _back_fake(*args: Any) -> list[Tensor]:
    x = args[0]
    return [
        torch.empty_like(v, memory_format=torch.contiguous_format) if w and v is not None else x.new_empty(0)
        for v, w in zip(args[:_ALL], args[-1], strict=True)
    ]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    y, _, _, saved = output
    ctx.plan = tuple(inputs[_ALL:_PLAN])
    ctx.save_for_backward(y, saved, *inputs[:_ALL])
    ctx.mark_non_differentiable(saved)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dh: Tensor | None, dc: Tensor | None, _: Any) -> tuple[Any, ...]:
    y, saved, *tensors = ctx.saved_tensors
    inputs, wanted = Inputs(*tensors), list(ctx.needs_input_grad[:_ALL])
    dc = dc if inputs.c is not None else None
    made = torch.ops.ostinato.scan_backward(*inputs, *ctx.plan, y, saved, dy, dh, dc, wanted)
    found = [g if w and v is not None else None for g, v, w in zip(made, inputs, wanted, strict=True)]
    return *found, *[None] * (_PLAN - _ALL)


def _save_back(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.plan, ctx.wanted = tuple(inputs[_ALL:_PLAN]), inputs[-1]
    ctx.save_for_backward(*inputs[:_ALL], *inputs[_PLAN + 2 : _PLAN + 5])


def _differentiate_back(ctx: Any, seconds: list[Tensor | None]) -> tuple[Any, ...]:
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        tensors = aliases(ctx.saved_tensors)
        gradients = tensors[_ALL:]
        inputs, plan = _planned((*tensors[:_ALL], *ctx.plan))
        firsts = by_reference(inputs, plan, gradients, ctx.wanted)
        pairs = [(f, s) for f, s in zip(firsts, seconds, strict=True) if f is not None and s is not None]
        sources = [v for v in (*inputs, *gradients) if v is not None and v.requires_grad]
        outputs, weights = [f for f, _ in pairs], [s for _, s in pairs]
        made = torch.autograd.grad(outputs, sources, weights, create_graph=create, allow_unused=True)
    found = iter(made)
    first = [next(found) if v is not None and v.requires_grad else None for v in inputs]
    last = [next(found) if v is not None and v.requires_grad else None for v in gradients]
    return *first, *[None] * (_PLAN - _ALL + 2), *last, None


def _register() -> None:
    for name, schema, run, fake, save, differentiate in (
        ("scan", _SCAN, _scan, _scan_fake, _save, _differentiate),
        ("scan_backward", _BACK, _back, _back_fake, _save_back, _differentiate_back),
    ):
        torch.library.define(f"ostinato::{name}", schema)
        torch.library.impl(f"ostinato::{name}", "CPU")(run)
        torch.library.register_fake(f"ostinato::{name}")(fake)
        torch.library.register_autograd(f"ostinato::{name}", differentiate, setup_context=save)
    flops.register()


_register()
