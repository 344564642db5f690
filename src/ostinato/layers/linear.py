"""A dense layer whose gradient has the same bits at any number of threads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.ops.products import EVEN


class Linear(nn.Linear):
    """y = W x + b, as torch.nn.Linear, whose parameters it has.

    The gradient of W is a product of (outputs, rows) and (rows, inputs). Where outputs are few, 5 to 11 of them, the
    BLAS under torch 2.13 shares out the sum over rows among its threads, and the last bits depend on how many
    there are. Rows of zeros under W make the product wide enough not to be shared out so.

    >>> import torch
    >>> Linear(8, 6)(torch.zeros(3, 8)).shape
    torch.Size([3, 6])
    """

    def forward(self, input: Tensor) -> Tensor:
        """x (..., inputs) -> (..., outputs)."""
        missing = EVEN - self.out_features
        if missing <= 0:
            return super().forward(input)
        bias = None if self.bias is None else F.pad(self.bias, (0, missing))
        return F.linear(input, F.pad(self.weight, (0, 0, 0, missing)), bias)[..., : self.out_features]
