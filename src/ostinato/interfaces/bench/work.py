"""One comparison of layers: what every contestant is given, and what it gives back to be timed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ostinato.interfaces.bench.clock import Run
from ostinato.layers import Recurrent

RUNS = ("forward", "train", "train + dx")


class Shape(NamedTuple):
    batch: int
    steps: int
    input: int
    hidden: int

    def __str__(self) -> str:
        return ", ".join(map(str, self))


@dataclass(frozen=True)
class Work:
    """One layer on one shape.

    Attributes:
        kind: "RNN", "LSTM" or "GRU".
        layer: torch's, batch first, whose weights every contestant takes.
        inputs: several x (batch, steps, input), used in turn.
        weight: the loss is (y * weight).sum().
        threads: that a contestant may use.
    """

    kind: str
    shape: Shape
    layer: nn.RNN | nn.LSTM | nn.GRU
    inputs: list[Tensor]
    weight: Tensor
    threads: int

    def operations(self, run: str) -> float:
        """Multiplications and additions of the products of one run, as `speed` counts them."""
        gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[self.kind]
        b, t, d, h = self.shape
        wide = {"forward": d + h, "train": 2 * (d + h) + h, "train + dx": 2 * (d + h) + h + d}[run]
        return 2.0 * gates * h * b * t * wide


@dataclass(frozen=True)
class Contestant:
    """What a library can do with a work.

    Attributes:
        runs: of RUNS those that it has.
        values: the output for the first input.
        gradients: of the parameters of `Work.layer` by name, and of x as "x", for the first input; None where it
            only predicts. Parameters that it adds up first (both biases) are there as their sum, the rest left out.
    """

    runs: dict[str, Run]
    values: Callable[[], Tensor]
    gradients: Callable[[], dict[str, Tensor]] | None = None


def layer_runs(layer: Recurrent | nn.Module, work: Work) -> Contestant:
    """A module with torch's manners: forward without a graph, training with and without the gradient of x."""
    with_dx = [x.clone().requires_grad_() for x in work.inputs]

    def forward(turn: int) -> Tensor:
        with torch.no_grad():
            return layer(work.inputs[turn % len(work.inputs)])[0]

    def train(turn: int) -> None:
        layer.zero_grad()
        (layer(work.inputs[turn % len(work.inputs)])[0] * work.weight).sum().backward()

    def train_dx(turn: int) -> None:
        layer.zero_grad()
        x = with_dx[turn % len(with_dx)]
        x.grad = None
        (layer(x)[0] * work.weight).sum().backward()

    def gradients() -> dict[str, Tensor]:
        train_dx(0)
        named = {name: p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None}
        x = with_dx[0].grad
        assert x is not None
        return {**named, "x": x.clone()}

    return Contestant({"forward": forward, "train": train, "train + dx": train_dx}, lambda: forward(0), gradients)


class DiffersError(ValueError):
    """A contestant's numbers are not ours: no time is told of it."""


def check(name: str, ours: Contestant, theirs: Contestant, values: float = 5e-5, gradients: float = 3e-4) -> None:
    """Values within `values`, gradients within `gradients` of their largest.

    Raises:
        DiffersError: they are not.
    """
    _near(f"{name}: the output", ours.values(), theirs.values(), values)
    if theirs.gradients is None or ours.gradients is None:
        return
    mine = ours.gradients()
    for parameter, gradient in theirs.gradients().items():
        _near(f"{name}: the gradient of {parameter}", mine[parameter], gradient, gradients)


def _near(what: str, a: Tensor, b: Tensor, tolerance: float) -> None:
    if a.shape != b.shape:
        raise DiffersError(f"{what} has the shape {tuple(b.shape)}, ours {tuple(a.shape)}")
    scale = max(1.0, b.abs().max().item())
    difference = (a - b).abs().max().item()
    if not difference <= tolerance * scale:  # NaN is not
        raise DiffersError(f"{what} differs by {difference:.1e} of {scale:.1e}")
    assert math.isfinite(difference)
