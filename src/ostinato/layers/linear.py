"""A dense layer whose output and gradient have the same bits at any number of threads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.ops import probes
from ostinato.ops.products import EVEN


class Linear(nn.Linear):
    """y = W x + b, as torch.nn.Linear, whose parameters it has.

    The gradient of W is a product of (outputs, rows) and (rows, inputs). Where outputs are few, 5 to 11 of them, the
    BLAS under torch 2.13 shares out the sum over rows among its threads, and the last bits depend on how many
    there are. Rows of zeros under W make the product wide enough not to be shared out so. The output is a product of
    (rows, inputs) and (inputs, outputs): where rows are few, rows of zeros are put under them.

    >>> import torch
    >>> Linear(8, 6)(torch.zeros(3, 8)).shape
    torch.Size([3, 6])
    """

    def forward(self, input: Tensor) -> Tensor:
        """x (..., inputs) -> (..., outputs)."""
        missing = EVEN - self.out_features
        if probes.compiling() or input.dim() < 2 or input.numel() >= EVEN * self.in_features:
            return self._wide(input, missing)
        rows = input.reshape(-1, self.in_features)
        padded = F.pad(rows, (0, 0, 0, EVEN - rows.shape[0]))
        return self._wide(padded, missing)[: rows.shape[0]].reshape(*input.shape[:-1], self.out_features)

    def _wide(self, input: Tensor, missing: int) -> Tensor:
        if missing <= 0:
            return super().forward(input)
        bias = None if self.bias is None else F.pad(self.bias, (0, missing))
        return F.linear(input, F.pad(self.weight, (0, 0, 0, missing)), bias)[..., : self.out_features]
