"""A law with heavy tails for each output: like the normal one, but a single outlier does not carry it off."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head, Levels


class StudentT(Head):
    """mean = m, scale = softplus(s) + floor, df = 2 + softplus(d), with (m, s, d) = raw; the cost of y is

        log(scale) + (df + 1) / 2 log(1 + z² / df) + lgamma(df / 2) - lgamma((df + 1) / 2) + log(df pi) / 2

    with z = (y - mean) / scale. df above 2 keeps mean and variance finite.

    Args:
        features, outputs: see Head.
        floor: the least scale, in the target's units.

    Raises:
        ValueError: floor not above 0.

    Source: Lange, Little and Taylor (1989), Robust Statistical Modeling Using the t Distribution.

    >>> head = StudentT(features=8, outputs=1)
    >>> raw = torch.tensor([[3.0, 0.5413, 2.9489]])  # scale 1, df 5
    >>> head.quantiles(raw, [0.025, 0.5, 0.975])
    tensor([[[0.4292, 3.0000, 5.5708]]])
    """

    name: ClassVar[str] = "student_t"

    def __init__(self, features: int, outputs: int, *, floor: float = 1e-4) -> None:
        if not floor > 0:
            raise ValueError(f"student_t head: floor must be above 0, found {floor}")
        super().__init__(features, outputs, 3, floor=floor)
        self.floor = floor

    def law(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(mean, scale, df), (..., outputs) each."""
        mean, s, d = self.parts(raw).unbind(-1)
        return mean, F.softplus(s) + self.floor, F.softplus(d) + 2

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """-log p(target)."""
        mean, scale, df = self.law(raw)
        z = (target - mean) / scale
        half = df.double() / 2  # the two lgamma are large and nearly equal: float32 would keep no digit
        normaliser = half.lgamma() - (half + 0.5).lgamma() + (2 * math.pi * half).log() / 2
        return scale.log() + (df + 1) / 2 * (z.square() / df).log1p() + normaliser.to(z.dtype)

    def predict(self, raw: Tensor) -> Tensor:
        """The mean, which is also the median."""
        return self.law(raw)[0]

    def quantiles(self, raw: Tensor, levels: Levels) -> Tensor:
        """mean + scale times Student's quantile, which is taken as a constant by the gradient."""
        from scipy.special import stdtrit

        mean, scale, df = (part.unsqueeze(-1) for part in self.law(raw))
        standard = stdtrit(df.detach().double().cpu().numpy(), self._levels(levels))
        return mean + scale * torch.as_tensor(standard).to(raw)

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """mean + scale t, with t = sqrt(df (u^(-2 / df) - 1)) cos(2 pi v), u and v uniform.

        Source: Bailey (1994), Polar Generation of Random Variates with the t-Distribution.
        """
        mean, scale, df = self.law(raw)
        u, v = torch.rand(2, *mean.shape, generator=generator, dtype=torch.float64, device=raw.device)
        radius = (df * torch.expm1(-2 / df * torch.log1p(-u))).sqrt()  # 1 - u is never 0
        return mean + scale * (radius * torch.cos(2 * math.pi * v)).to(raw.dtype)
