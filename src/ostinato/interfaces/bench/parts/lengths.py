"""Sequences of different lengths beside torch's padding and packing; resets beside none, and beside a loop of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ostinato.interfaces.bench.clock import Run, in_turns
from ostinato.interfaces.bench.parts import Plan
from ostinato.interfaces.bench.parts.layers import work_of
from ostinato.interfaces.bench.row import OURS, Row
from ostinato.interfaces.bench.work import Contestant, Shape, Work, check
from ostinato.layers import Recurrent

SHAPE, SHORTEST = Shape(64, 200, 128, 128), 10
QUICK = Shape(16, 60, 32, 64)
RESETS = 0.03
PADDED, PACKED, NONE, STEPS = "torch.nn padded", "torch.nn packed", "ours without resets", "torch's cell, step by step"
_RUNS = ("forward", "train")

Call = Callable[[Tensor], Tensor]


def count(plan: Plan) -> int:
    return 2 * len(plan.cells) * len(_RUNS)


def rows(plan: Plan) -> Iterator[Row]:
    for kind in plan.cells:
        torch.manual_seed(0)
        work = work_of(kind, QUICK if plan.quick else SHAPE, plan.threads)
        layer = Recurrent(kind.lower(), work.shape.input, work.shape.hidden)
        layer.load_state_dict(work.layer.state_dict())
        yield from _lengths(work, layer, plan)
        yield from _resets(work, layer, plan)


def _lengths(work: Work, layer: Recurrent, plan: Plan) -> Iterator[Row]:
    batch, steps, *_ = work.shape
    lengths = torch.randint(SHORTEST, steps + 1, (batch,))
    lengths[0] = steps
    real = (torch.arange(steps) < lengths[:, None]).unsqueeze(-1)

    def packed(x: Tensor) -> Tensor:
        sequence = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(work.layer(sequence)[0], batch_first=True)[0]

    field = {
        OURS: _calls(lambda x: layer(x, lengths=lengths)[0], layer, work),
        PADDED: _calls(lambda x: work.layer(x)[0] * real, work.layer, work),
        PACKED: _calls(packed, work.layer, work),
    }
    what = f"lengths {SHORTEST}..{steps} of {work.shape}"
    yield from _timed(field, (PADDED, PACKED), work, what, plan)


def _resets(work: Work, layer: Recurrent, plan: Plan) -> Iterator[Row]:
    resets = torch.rand(work.shape.batch, work.shape.steps) < RESETS
    cell = getattr(nn, f"{work.kind}Cell")(work.shape.input, work.shape.hidden)
    for name, weight in work.layer.named_parameters():  # the very same parameters
        setattr(cell, name.removesuffix("_l0"), weight)

    def steps(x: Tensor) -> Tensor:
        state = (x.new_zeros(x.shape[0], work.shape.hidden),) * (2 if work.kind == "LSTM" else 1)
        outputs = []
        for t in range(x.shape[1]):
            state = tuple(s * ~resets[:, t, None] for s in state)
            made = cell(x[:, t], state if len(state) > 1 else state[0])
            state = made if isinstance(made, tuple) else (made,)
            outputs.append(state[0])
        return torch.stack(outputs, 1)

    field = {
        OURS: _calls(lambda x: layer(x, resets=resets)[0], layer, work),
        NONE: _calls(lambda x: layer(x)[0], layer, work),
        STEPS: _calls(steps, work.layer, work),
    }
    yield from _timed(field, (STEPS,), work, f"resets in {RESETS:.0%} of the steps of {work.shape}", plan)


def _calls(call: Call, owner: nn.Module, work: Work) -> Contestant:
    """A call on x, trained by the parameters of `owner`."""

    def forward(turn: int) -> Tensor:
        with torch.no_grad():
            return call(work.inputs[turn % len(work.inputs)])

    def train(turn: int) -> None:
        owner.zero_grad()
        (call(work.inputs[turn % len(work.inputs)]) * work.weight).sum().backward()

    def gradients() -> dict[str, Tensor]:
        train(0)
        return {name: p.grad.clone() for name, p in owner.named_parameters() if p.grad is not None}

    runs: dict[str, Run] = {"forward": forward, "train": train}
    return Contestant(runs, lambda: forward(0), gradients)


def _timed(field: dict[str, Contestant], equal: tuple[str, ...], work: Work, what: str, plan: Plan) -> Iterator[Row]:
    for who in equal:
        check(f"{work.kind}, {what}, {who}", field[OURS], field[who])
    for run in _RUNS:
        times = in_turns({who: each.runs[run] for who, each in field.items()}, plan.rounds)
        yield Row("lengths", work.kind, what, run, plan.threads, times.seconds(), times.ratios())
