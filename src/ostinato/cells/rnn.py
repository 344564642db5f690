"""The simple recurrent cell (Elman 1990, Finding structure in time)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.cells.cell import GatedCell, State, Weights, normalise

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda a: a,
}


class RNNCell(GatedCell):
    """h' = f(W x + R h + b), f in tanh, relu, sigmoid, identity; with layer norm f(LN(W x + R h) + b).

    The texts' words: a = b + W h + U x, h = f(a).

    >>> RNNCell(3, 8, nonlinearity="relu").step(torch.randn(2, 3), (torch.zeros(2, 8),))[0].shape
    torch.Size([2, 8])
    """

    name, gates, kernel = "rnn", ("h",), "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        nonlinearity: str = "tanh",
        layer_norm: bool = False,
        own_weights: bool = True,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(f"nonlinearity must be one of {', '.join(NONLINEARITIES)}; found {nonlinearity!r}")
        self.nonlinearity, self.layer_norm = nonlinearity, layer_norm
        super().__init__(input_size, hidden_size, bias, own_weights=own_weights)

    def norms(self) -> dict[str, int]:
        return {"norm": self.hidden_size} if self.layer_norm else {}

    def project(self, w: Weights, x: Tensor) -> Tensor:
        return F.linear(x, w["weight_ih"]) if self.layer_norm else super().project(w, x)

    def advance(self, w: Weights, wx: Tensor, seen: Tensor, state: State) -> State:
        if self.layer_norm:  # the biases come after the norm
            a = normalise(w, "norm", wx + F.linear(seen, w["weight_hh"]))
            a = a + w["bias_ih"] + w["bias_hh"] if self.bias else a
        else:
            a = wx + F.linear(seen, w["weight_hh"], w.get("bias_hh"))
        return (NONLINEARITIES[self.nonlinearity](a),)
