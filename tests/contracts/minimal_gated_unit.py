"""A cell of one's own, in one file: what a person writes, and all that they write."""

import torch

from ostinato import GatedCell


class MinimalGatedUnit(GatedCell):
    """f = sigmoid(W_f x + R_f h + b_f); h' = (1 - f) h + f tanh(W_n x + R_n (f h) + b_n) (Zhou 2016)."""

    name, gates = "mgu", ("f", "n")

    def advance(self, w, wx, seen, state):
        (x_f, x_n), (R_f, R_n), H = wx.chunk(2, -1), w["weight_hh"].chunk(2), self.hidden_size
        b_f, b_n = (w["bias_hh"][:H], w["bias_hh"][H:]) if self.bias else (0, 0)
        f = torch.sigmoid(x_f + seen @ R_f.T + b_f)
        n = torch.tanh(x_n + (f * seen) @ R_n.T + b_n)
        return ((1 - f) * state[0] + f * n,)
