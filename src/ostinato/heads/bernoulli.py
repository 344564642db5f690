"""Yes or no for each output: labels that may go together, notes of a chord, pixels between 0 and 1."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head, Levels


class Bernoulli(Head):
    """p = sigmoid(raw); the cost of target y is -y log p - (1 - y) log(1 - p).

    Targets between 0 and 1 are taken as probabilities: the cost is then the cross-entropy.

    Args:
        features, outputs: see Head.

    Source: Cox (1958), The Regression Analysis of Binary Sequences.

    >>> head = Bernoulli(features=8, outputs=2)
    >>> raw = head(torch.randn(4, 8))
    >>> total, count = head.loss(raw, torch.ones(4, 2))
    >>> int(count), bool((head.predict(raw) > 0).all())
    (8, True)
    """

    name: ClassVar[str] = "bernoulli"
    support: ClassVar[str] = "between 0 and 1"

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(features, outputs)

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """The cross-entropy from the logit, which stays finite where log sigmoid would not."""
        return F.binary_cross_entropy_with_logits(raw, target.to(raw.dtype), reduction="none")

    def predict(self, raw: Tensor) -> Tensor:
        """p, the mean of the law; p > 0.5 is the likelier answer."""
        return raw.sigmoid()

    def quantiles(self, raw: Tensor, levels: Levels) -> Tensor:
        """0 up to the level 1 - p, 1 above it."""
        at = torch.tensor(self._levels(levels), dtype=raw.dtype, device=raw.device)
        return (at > torch.sigmoid(-raw).unsqueeze(-1)).to(raw.dtype)

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """0 or 1, each for itself."""
        return torch.bernoulli(raw.sigmoid(), generator=generator)

    def supports(self, target: Tensor) -> Tensor:
        """0 <= target <= 1."""
        return (target >= 0) & (target <= 1)
