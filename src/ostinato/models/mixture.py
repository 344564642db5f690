"""A network that weighs naive forecasts: what it has read says how far to trust each of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.layers.linear import Linear


class Mixture(nn.Module):
    """base[h] = sum over k of w[h, k] way[h, k];    w = softmax(W v + b), one set of weights a stretch of steps.

    At the start the first way has the largest weight, whatever v is. Correcting a mixture of naive forecasts instead of
    forecasting from nothing makes a network good after few steps of training, and no worse than naive.

    Args:
        features: width of v.
        ways: how many forecasts are weighed; or the numbers of those that are, where others lie beside them.

    Shapes: v (..., features), ways (..., steps, ways) -> (..., steps).

    Source: Jacobs et al. (1991), Adaptive Mixtures of Local Experts; Bates and Granger (1969).

    >>> mixture = Mixture(features=8, ways=3)
    >>> mixture(torch.zeros(5, 8), torch.ones(5, 24, 3)).shape
    torch.Size([5, 24])
    """

    def __init__(self, features: int, ways: int | Sequence[int]) -> None:
        super().__init__()
        self.among = list(range(ways)) if isinstance(ways, int) else list(ways)
        count = len(self.among)
        self.weigh = Linear(features, count) if count > 1 else None  # nothing to weigh one way against
        if self.weigh is not None:
            with torch.no_grad():
                self.weigh.weight.zero_()
                self.weigh.bias.copy_(torch.tensor([1.0] + [0.0] * (count - 1)))

    def forward(self, v: Tensor, ways: Tensor) -> Tensor:
        """The weighed mean of the ways."""
        if self.weigh is None:
            return ways[..., self.among[0]]
        return (torch.softmax(self.weigh(v), -1).unsqueeze(-2) * ways[..., self.among]).sum(-1)
