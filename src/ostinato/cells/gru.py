"""The gated recurrent unit, in both conventions (Cho 2014; the reset after the product: cuDNN, torch)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.cells.cell import GatedCell, State, Weights, affine


class GRUCell(GatedCell):
    """r, z = sigmoid(.) of W x + R h + b; h' = (1 - z) n + z h.

    reset_after=True: n = tanh(W_n x + b_n + r (R_n h + b'_n)), as torch and cuDNN have it.
    reset_after=False: n = tanh(W_n x + b_n + R_n (r h) + b'_n), as in Cho 2014.
    `layer_norm` (Ba 2016): LN(W x) and LN(R h) over the three gates; refused with reset_after=False.

    >>> GRUCell(3, 8, reset_after=False).step(torch.randn(2, 3), (torch.zeros(2, 8),))[0].shape
    torch.Size([2, 8])
    """

    name, gates, kernel = "gru", ("r", "z", "n"), "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        own_weights: bool = True,
    ) -> None:
        if layer_norm and not reset_after:
            raise ValueError("layer_norm with reset_after=False is refused: R_n sees another vector, no row to norm")
        self.reset_after, self.layer_norm = reset_after, layer_norm
        super().__init__(input_size, hidden_size, bias, own_weights=own_weights)

    def norms(self) -> dict[str, int]:
        return {"norm_ih": 3 * self.hidden_size, "norm_hh": 3 * self.hidden_size} if self.layer_norm else {}

    def project(self, w: Weights, x: Tensor) -> Tensor:
        return affine(w, "ih", x, self.layer_norm)

    def advance(self, w: Weights, wx: Tensor, seen: Tensor, state: State) -> State:
        (h,), H = state, self.hidden_size
        x_r, x_z, x_n = wx.chunk(3, -1)
        if self.reset_after:
            h_r, h_z, h_n = affine(w, "hh", seen, self.layer_norm).chunk(3, -1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            n = torch.tanh(x_n + r * h_n)
        else:
            R, b = w["weight_hh"], w.get("bias_hh")
            h_r, h_z = F.linear(seen, R[: 2 * H], None if b is None else b[: 2 * H]).chunk(2, -1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            n = torch.tanh(x_n + F.linear(r * seen, R[2 * H :], None if b is None else b[2 * H :]))
        return ((1 - z) * n + z * h,)
