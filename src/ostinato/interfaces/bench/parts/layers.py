"""Plain layers on shapes from tiny to large: forward, and training with and without the gradient of x."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from ostinato import _kernels
from ostinato.interfaces.bench.clock import in_turns
from ostinato.interfaces.bench.parts import Plan
from ostinato.interfaces.bench.peers import named
from ostinato.interfaces.bench.ring import inputs
from ostinato.interfaces.bench.row import OURS, Row
from ostinato.interfaces.bench.work import RUNS, Contestant, Shape, Work, check, layer_runs
from ostinato.layers import Recurrent

SHAPES = [
    Shape(1, 100, 32, 64),
    Shape(1, 100, 128, 128),
    Shape(32, 50, 1, 20),
    Shape(32, 100, 64, 128),
    Shape(64, 100, 128, 256),
    Shape(64, 50, 512, 512),
    Shape(128, 24, 3, 64),
    Shape(100, 24, 3, 32),
]
QUICK = [Shape(1, 100, 32, 64), Shape(32, 50, 1, 20), Shape(32, 100, 64, 128)]
PEAK_SECONDS = 0.005


def _shapes(plan: Plan) -> list[Shape]:
    return QUICK if plan.quick else SHAPES


def count(plan: Plan) -> int:
    return len(plan.cells) * len(_shapes(plan)) * len(RUNS)


def rows(plan: Plan) -> Iterator[Row]:
    for kind in plan.cells:
        for shape in _shapes(plan):
            torch.manual_seed(0)
            yield from _of(work_of(kind, shape, plan.threads), plan)


def work_of(kind: str, shape: Shape, threads: int) -> Work:
    """torch's layer with its own random weights, random inputs, a random loss."""
    layer = getattr(torch.nn, kind)(shape.input, shape.hidden, batch_first=True)
    x = inputs(shape.batch, shape.steps, shape.input)
    return Work(kind, shape, layer, x, torch.randn(shape.batch, shape.steps, shape.hidden), threads)


def ours(work: Work) -> Contestant:
    """Our layer with the work's weights."""
    layer = Recurrent(work.kind.lower(), work.shape.input, work.shape.hidden)
    layer.load_state_dict(work.layer.state_dict())
    return layer_runs(layer, work)


def _of(work: Work, plan: Plan) -> Iterator[Row]:
    mine = ours(work)
    field, notes = {OURS: mine}, {}
    for peer in named(plan.peers).values():
        if (missing := peer.missing()) is not None:
            notes[peer.title] = missing
            continue
        field[peer.title] = peer.contestant(work)
        check(f"{peer.title}, {work.kind} {work.shape}", mine, field[peer.title])
    for run in RUNS:
        peaks = _Peaks(work.threads, [])
        able = {who: each.runs[run] for who, each in field.items() if run in each.runs}
        times = in_turns(able, plan.rounds, peaks.measure)
        said = notes | {who: "predicts only" for who in field if who not in able}
        percent = times.percent(work.operations(run), peaks.found)
        yield Row(
            "layers", work.kind, str(work.shape), run, work.threads, times.seconds(), times.ratios(), percent, said
        )  # fmt: skip


class _Peaks(NamedTuple):
    """The machine's peak, measured once a round."""

    threads: int
    found: list[float]

    def measure(self) -> None:
        self.found.append(_kernels.fma_peak(self.threads, PEAK_SECONDS))
