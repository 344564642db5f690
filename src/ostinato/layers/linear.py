"""A dense layer whose output and gradient have the same bits at any number of threads."""

from __future__ import annotations

from torch import Tensor, nn

from ostinato.ops.products import linear


class Linear(nn.Linear):
    """y = x Wᵀ + b, as torch.nn.Linear, whose parameters it has.

    Where the sums run, and why not in the BLAS under torch: `ostinato.ops.products`.

    >>> import torch
    >>> Linear(8, 6)(torch.zeros(3, 8)).shape
    torch.Size([3, 6])
    """

    def forward(self, input: Tensor) -> Tensor:
        """x (..., inputs) -> (..., outputs)."""
        return linear(input, self.weight, self.bias)
