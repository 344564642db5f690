"""Each option beside our plain layer, and beside the loop that people write for it today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato.interfaces.bench.clock import in_turns
from ostinato.interfaces.bench.loop import by_the_loop
from ostinato.interfaces.bench.parts import Plan
from ostinato.interfaces.bench.ring import inputs
from ostinato.interfaces.bench.row import OURS, Row
from ostinato.interfaces.bench.work import Contestant, Shape, Work, check, layer_runs
from ostinato.layers import Recurrent

SHAPE, QUICK = Shape(32, 100, 64, 128), Shape(16, 30, 16, 64)
FEW = 10  # steps
PLAIN, LOOP = "our plain layer", "the loop in torch"
_RUNS = ("forward", "train")

_EVERY: dict[str, dict[str, Any]] = {
    "layer_norm": {"layer_norm": True},
    "recurrent_dropout=0.25": {"recurrent_dropout": 0.25},
    "zoneout=0.1": {"zoneout": 0.1},
    "weight_dropout=0.25": {"weight_dropout": 0.25},
    "learn_initial_state": {"learn_initial_state": True},
    "residual, 2 layers": {"num_layers": 2, "residual": True},
    "dropout=0.25, 2 layers": {"num_layers": 2, "dropout": 0.25},
}
_OWN: dict[str, dict[str, dict[str, Any]]] = {
    "RNN": {f"nonlinearity={word}": {"nonlinearity": word} for word in ("relu", "sigmoid", "identity")},
    "LSTM": {
        "peephole": {"peephole": True},
        "coupled_gates": {"coupled_gates": True},
        "proj_size=32": {"proj_size": 32},
        "all of its own": {"peephole": True, "coupled_gates": True, "layer_norm": True, "proj_size": 32},
    },
    "GRU": {"reset_after=False": {"reset_after": False}},
}


class _Option(NamedTuple):
    kind: str
    what: str
    words: dict[str, Any]


def _options(plan: Plan) -> list[_Option]:
    every = dict(list(_EVERY.items())[:3]) if plan.quick else _EVERY
    return [_Option(kind, what, words) for kind in plan.cells for what, words in {**_OWN[kind], **every}.items()]


def count(plan: Plan) -> int:
    return len(_options(plan)) * len(_RUNS)


def rows(plan: Plan) -> Iterator[Row]:
    shape = QUICK if plan.quick else SHAPE
    for option in _options(plan):
        torch.manual_seed(0)
        yield from _of(option, shape, plan)


def _of(option: _Option, shape: Shape, plan: Plan) -> Iterator[Row]:
    kind, words = option.kind.lower(), option.words
    layer = Recurrent(kind, shape.input, shape.hidden, **words)
    plain = Recurrent(kind, shape.input, shape.hidden, num_layers=words.get("num_layers", 1))
    work = Work(
        option.kind, shape, torch.nn.RNN(1, 1), inputs(shape.batch, shape.steps, shape.input),
        torch.randn(shape.batch, shape.steps, words.get("proj_size") or shape.hidden), plan.threads,
    )  # fmt: skip
    beside = Work(
        work.kind, shape, work.layer, work.inputs, torch.randn(shape.batch, shape.steps, shape.hidden), plan.threads
    )
    field = {
        OURS: layer_runs(layer, work),
        PLAIN: layer_runs(plain, beside),
        LOOP: layer_runs(by_the_loop(layer), work),
    }
    checked = _first_steps(work) if words.get("layer_norm") else work
    ours, loop = layer_runs(layer, checked), layer_runs(by_the_loop(layer), checked)
    check(f"{option.kind} {option.what}", _seeded(ours), _seeded(loop))
    for run in _RUNS:
        times = in_turns({who: each.runs[run] for who, each in field.items()}, plan.rounds)
        yield Row(
            "options", option.kind, f"{option.what} ({shape})", run, plan.threads, times.seconds(), times.ratios()
        )


def _first_steps(work: Work) -> Work:
    """What is compared of a normed layer.

    Norms make rounding grow from step to step: after a hundred, float32 is some 1e-3 from float64 by either way.
    """
    return replace(work, inputs=[work.inputs[0][:, :FEW]], weight=work.weight[:, :FEW])


def _seeded(each: Contestant) -> Contestant:
    """The same random masks whoever is asked."""
    gradients = each.gradients
    assert gradients is not None

    def values() -> Tensor:
        torch.manual_seed(1)
        return each.values()

    def seeded() -> dict[str, Tensor]:
        torch.manual_seed(1)
        return gradients()

    return Contestant(each.runs, values, seeded)
