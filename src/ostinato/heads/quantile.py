"""Quantiles of each output without any law behind them; they never cross."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head, Levels


class Quantile(Head):
    """q[a] = raw[0] at the level a nearest the median; from there each next level is a softplus away:

        q[k] = raw[0] + sum over the gaps between a and k of +-softplus(raw[gap])

    so q rises with the level whatever raw is. The cost of target y is the pinball loss of the level nearest the
    median, which is what is predicted, and the mean over all levels:

        l(a) + mean over k of l(k),    l = max(p e, (p - 1) e),    e = y - q(p)

    Args:
        features, outputs: see Head.
        levels: p, rising, each between 0 and 1.

    Raises:
        ValueError: levels are none, not rising, or not between 0 and 1.

    Source: Koenker and Bassett (1978), Regression Quantiles; rising by construction: Park et al. (2022),
    Learning Quantile Functions without Quantile Crossing for Distribution-free Time Series Forecasting.

    >>> head = Quantile(features=8, outputs=1, levels=[0.1, 0.5, 0.9])
    >>> raw = torch.tensor([[3.0, 0.5413, 0.5413]])  # softplus(0.5413) = 1
    >>> head.predict(raw)
    tensor([[3.]])
    >>> head.quantiles(raw, [0.1, 0.7, 0.9])
    tensor([[[2.0000, 3.5000, 4.0000]]])
    """

    name: ClassVar[str] = "quantile"
    at: Tensor

    def __init__(
        self, features: int, outputs: int, *, levels: Sequence[float] = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
    ) -> None:
        plain = self._levels(levels)
        if not plain or any(low >= high for low, high in pairwise(plain)):
            raise ValueError(f"quantile head: levels must be one or more rising numbers, found {plain}")
        super().__init__(features, outputs, len(plain), levels=plain)
        self.levels = plain
        self.middle = min(range(len(plain)), key=lambda k: abs(plain[k] - 0.5))
        self.register_buffer("at", torch.tensor(plain), persistent=False)

    def ladder(self, raw: Tensor) -> Tensor:
        """The head's own levels, (..., outputs, levels), rising."""
        anchor, gaps = self.parts(raw).split([1, self.width - 1], -1)
        steps = torch.cat([torch.zeros_like(anchor), F.softplus(gaps).cumsum(-1)], -1)
        return anchor + (steps - steps[..., self.middle, None])

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """The pinball loss, the middle level's counted apart from that of all levels."""
        error, at = target.to(raw.dtype).unsqueeze(-1) - self.ladder(raw), self.at.to(raw.dtype)
        losses = torch.maximum(at * error, (at - 1) * error)
        return losses[..., self.middle] + losses.mean(-1)

    def predict(self, raw: Tensor) -> Tensor:
        """The quantile at the level nearest the median."""
        return self.parts(raw)[..., 0]

    def quantiles(self, raw: Tensor, levels: Levels) -> Tensor:
        """At the head's own levels its quantiles, between them straight lines.

        Raises:
            ValueError: a level outside those that the head has learnt.
        """
        asked = self._levels(levels)
        for level in asked:
            if not self.levels[0] - 1e-6 <= level <= self.levels[-1] + 1e-6:
                raise ValueError(
                    f"quantile head: level {level} lies outside {self.levels[0]}..{self.levels[-1]}, which it was "
                    "made with: train it with levels that reach further"
                )
        places = np.interp(asked, self.levels, range(len(self.levels)))
        low, high = ([int(side(place)) for place in places] for side in (math.floor, math.ceil))
        known = self.ladder(raw)
        share = torch.tensor([place % 1 for place in places]).to(raw)
        return torch.lerp(known[..., low], known[..., high], share)
