"""Counts for each output: whole numbers from 0, spread at least as wide as Poisson's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head, Levels

LEAST_MEAN, LEAST_DISPERSION = 1e-6, 1e-4


class NegativeBinomial(Head):
    """mean = unit (softplus(m) + 1e-6), a = softplus(d) + 1e-4 its dispersion, with (m, d) = raw;
    variance = mean + a mean². With r = 1 / a the cost of a count y is

        lgamma(r) + lgamma(y + 1) - lgamma(y + r) + (r + y) log(1 + a mean) - y log(a mean)

    A count has no other unit than 1: targets are handed in as counted, never divided by a scale or
    made to have mean 0. Inputs may be scaled; `unit` then puts the mean near the size of the counts.

    Args:
        features, outputs: see Head.
        unit: a typical count, such as the mean over the training part.

    Raises:
        ValueError: unit not above 0.

    Source: Salinas et al. (2020), DeepAR: Probabilistic Forecasting with Autoregressive Recurrent Networks.

    >>> head = NegativeBinomial(features=8, outputs=1, unit=10.0)
    >>> raw = torch.tensor([[0.5413, -2.2522]])  # mean 10, dispersion 0.1
    >>> head.quantiles(raw, [0.025, 0.5, 0.975])
    tensor([[[ 3.,  9., 20.]]])
    """

    name: ClassVar[str] = "negative_binomial"
    support: ClassVar[str] = "a count: a whole number of at least 0, as counted, not scaled"

    def __init__(self, features: int, outputs: int, *, unit: float = 1.0) -> None:
        if not unit > 0:
            raise ValueError(f"negative_binomial head: unit must be above 0, found {unit}")
        super().__init__(features, outputs, 2, unit=unit)
        self.unit = unit

    def law(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, dispersion), (..., outputs) each."""
        m, d = F.softplus(self.parts(raw)).unbind(-1)
        return self.unit * (m + LEAST_MEAN), d + LEAST_DISPERSION

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """-log p(target), in float64: the lgamma are large and nearly cancel."""
        mean, dispersion = self.law(raw.double())
        y, r, ratio = target.double(), 1 / dispersion, dispersion * mean
        choices = (y + r).lgamma() - r.lgamma() - (y + 1).lgamma()
        return (r + y) * ratio.log1p() - y * ratio.log() - choices

    def predict(self, raw: Tensor) -> Tensor:
        """The mean."""
        return self.law(raw)[0]

    def quantiles(self, raw: Tensor, levels: Levels) -> Tensor:
        """The least count whose cumulative probability reaches the level; no gradient goes through."""
        from scipy.stats import nbinom

        r, success = (part[..., None] for part in self._classical(raw))
        return torch.as_tensor(nbinom.ppf(self._levels(levels), r, success)).to(raw)

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A count, drawn by numpy from a key that torch's generator gives."""
        key = torch.randint(2**62, (1,), generator=generator, device=generator.device if generator else None)
        counts = np.random.default_rng(int(key)).negative_binomial(*self._classical(raw))
        return torch.as_tensor(counts).to(raw)

    def supports(self, target: Tensor) -> Tensor:
        """Finite whole numbers from 0."""
        return (target >= 0) & (target == target.round()) & torch.isfinite(target)

    def _classical(self, raw: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """(r, chance of success) as textbooks and scipy have them."""
        mean, dispersion = (part.cpu().numpy() for part in self.law(raw.detach().double()))
        return 1 / dispersion, 1 / (1 + dispersion * mean)
