"""Whole models before and after `ost.accelerate`."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from ostinato.interfaces.bench.clock import Run, in_turns
from ostinato.interfaces.bench.parts import CELLS, Plan
from ostinato.interfaces.bench.row import OURS, Row
from ostinato.interfaces.bench.whole import Maker, Whole, makers
from ostinato.interfaces.bench.work import Contestant, check
from ostinato.layers.accelerate import accelerate

BEFORE = "as it was"
_RUNS = ("forward", "train")


def _asked(plan: Plan) -> dict[str, Maker]:
    """Models have cells of their own: they are measured where no cell is asked for."""
    return makers() if plan.cells == CELLS else {}


def count(plan: Plan) -> int:
    return len(_asked(plan)) * len(_RUNS)


def rows(plan: Plan) -> Iterator[Row]:
    for make in _asked(plan).values():
        before, after = twins(make, small=plan.quick)
        field = {OURS: _contestant(after), BEFORE: _contestant(before)}
        check(before.what, field[OURS], field[BEFORE])
        for run in _RUNS:
            times = in_turns({who: each.runs[run] for who, each in field.items()}, plan.rounds)
            yield Row("models", "", before.what, run, plan.threads, times.seconds(), times.ratios())


def twins(make: Maker, small: bool) -> tuple[Whole, Whole]:
    """The same model and data twice; in the second one the recurrent layers are ours."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(make(small=small))
    before, after = made
    after.model.load_state_dict(copy.deepcopy(before.model.state_dict()))
    report = accelerate(after.model)
    if not report.replaced:
        raise ValueError(f"{after.what}: nothing was replaced: {report}")
    return before, after


def _contestant(whole: Whole) -> Contestant:
    def forward(_: int) -> Tensor:
        with torch.no_grad():
            return whole.call()

    def train(_: int) -> None:
        whole.model.zero_grad()
        whole.call().square().mean().backward()

    def gradients() -> dict[str, Tensor]:
        train(0)
        return {name: p.grad.clone() for name, p in whole.model.named_parameters() if p.grad is not None}

    runs: dict[str, Run] = {"forward": forward, "train": train}
    return Contestant(runs, lambda: forward(0), gradients)
