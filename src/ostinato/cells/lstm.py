"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers 2000)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.cells.cell import GatedCell, Gates, State, Weights, affine, normalise


class LSTMCell(GatedCell):
    """i, f, o = sigmoid(.), g = tanh(.) of W x + R h + b; c' = f c + i g; h' = o tanh(c').

    c is the long-term memory, h the short-term one. The texts' words: forget gate f, *learn* gate i g,
    *remember* gate c', *use* gate o tanh(c').

    Options: `peephole` (Gers 2002): i, f also see p c, o sees p_o c'. `coupled_gates` (Greff 2017):
    i = 1 - f. `layer_norm` (Ba 2016): LN(W x) + LN(R h) + b, h' = o tanh(LN(c')). `proj_size` (Sak 2014):
    h' = P (o tanh(c')).

    >>> h, (h, c) = LSTMCell(3, 8, peephole=True).step(torch.randn(2, 3), (torch.zeros(2, 8), torch.zeros(2, 8)))
    >>> h.shape, c.shape
    (torch.Size([2, 8]), torch.Size([2, 8]))
    """

    name, gates, kernel = "lstm", ("i", "f", "g", "o"), "lstm"
    state_names = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        proj_size: int = 0,
        layer_norm: bool = False,
        peephole: bool = False,
        coupled_gates: bool = False,
        own_weights: bool = True,
    ) -> None:
        whole = isinstance(proj_size, (int, torch.SymInt)) and not isinstance(proj_size, bool)
        if not whole or not 0 <= proj_size < max(hidden_size, 1):
            raise ValueError(f"proj_size must be in 0..hidden_size - 1 ({hidden_size - 1}), found {proj_size!r}")
        self.proj_size, self.layer_norm = proj_size, layer_norm
        self.peepholes, self.coupled_gates = peephole, coupled_gates  # `peephole` is the parameter's name
        super().__init__(input_size, hidden_size, bias, own_weights=own_weights)

    def sizes(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = super().shapes()
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        if self.peepholes:
            shapes["peephole"] = (3, self.hidden_size)
        return shapes

    def norms(self) -> dict[str, int]:
        H = self.hidden_size
        return {"norm_ih": 4 * H, "norm_hh": 4 * H, "norm_c": H} if self.layer_norm else {}

    def project(self, w: Weights, x: Tensor) -> Tensor:
        return affine(w, "ih", x, self.layer_norm)

    def gated(self, w: Weights, wx: Tensor, seen: Tensor, state: State) -> tuple[Gates, State]:
        c, p = state[1], w.get("peephole")
        i, f, g, o = (wx + affine(w, "hh", seen, self.layer_norm)).chunk(4, -1)
        if p is not None:
            i, f = i + p[0] * c, f + p[1] * c
        f, g = torch.sigmoid(f), torch.tanh(g)
        i = 1 - f if self.coupled_gates else torch.sigmoid(i)
        c = f * c + i * g
        if p is not None:
            o = o + p[2] * c
        o = torch.sigmoid(o)
        h = o * torch.tanh(normalise(w, "norm_c", c) if self.layer_norm else c)
        return (i, f, g, o), (F.linear(h, w["weight_hr"]) if self.proj_size else h, c)
