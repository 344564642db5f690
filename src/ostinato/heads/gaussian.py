"""A normal law for each output: a mean and how far off it may be."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head, Levels


class Gaussian(Head):
    """mean = m, scale = softplus(s) + floor, with (m, s) = raw; the cost of target y is

        log(scale) + z² / 2 + log(2 pi) / 2,    z = (y - mean) / scale

    Args:
        features, outputs: see Head.
        floor: the least scale, in the target's units; without it a value met exactly costs -infinity.

    Raises:
        ValueError: floor not above 0.

    Source: Nix and Weigend (1994), Estimating the Mean and Variance of the Target Probability Distribution.

    >>> head = Gaussian(features=8, outputs=1)
    >>> raw = torch.tensor([[3.0, 0.5413]])  # softplus(0.5413) = 1
    >>> head.quantiles(raw, [0.025, 0.5, 0.975])
    tensor([[[1.0399, 3.0000, 4.9601]]])
    """

    name: ClassVar[str] = "gaussian"

    def __init__(self, features: int, outputs: int, *, floor: float = 1e-4) -> None:
        if not floor > 0:
            raise ValueError(f"gaussian head: floor must be above 0, found {floor}")
        super().__init__(features, outputs, 2, floor=floor)
        self.floor = floor

    def law(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, scale), (..., outputs) each, from raw (..., outputs x 2)."""
        mean, s = self.parts(raw).unbind(-1)
        return mean, F.softplus(s) + self.floor

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """-log p(target)."""
        mean, scale = self.law(raw)
        z = (target - mean) / scale
        return scale.log() + z.square() / 2 + math.log(2 * math.pi) / 2

    def predict(self, raw: Tensor) -> Tensor:
        """The mean, which is also the median."""
        return self.law(raw)[0]

    def quantiles(self, raw: Tensor, levels: Levels) -> Tensor:
        """mean + scale times the normal quantile."""
        mean, scale = (part.unsqueeze(-1) for part in self.law(raw))
        at = torch.tensor(self._levels(levels), dtype=torch.float64)
        return mean + scale * torch.special.ndtri(at).to(raw)

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """mean + scale times a standard normal draw."""
        mean, scale = self.law(raw)
        return mean + scale * torch.randn(mean.shape, generator=generator, dtype=raw.dtype, device=raw.device)
