"""One of several classes, or the next token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head


class Softmax(Head):
    """p(k) = exp(raw[k]) / sum_j exp(raw[j]); the cost of class y is, with smoothing s over K classes,

        -(1 - s) w[y] log p(y) - (s / K) sum_k w[k] log p(k)

    and counts for w[y], as in torch.nn.CrossEntropyLoss. The target is the class's number, one for
    the whole of raw: shape (...), not (..., outputs); predict and sample answer likewise.

    Args:
        features: see Head.
        outputs: K, the number of classes.
        weights: w, one for each class, for classes of unequal size; None: all 1.
        smoothing: s, in [0, 1).

    Raises:
        ValueError: not K weights, a weight below 0, or smoothing outside [0, 1).

    Source: Bridle (1990), Probabilistic Interpretation of Feedforward Classification Network Outputs;
    smoothing: Szegedy (2016), Rethinking the Inception Architecture.

    >>> head = Softmax(features=8, outputs=3, weights=[1.0, 1.0, 2.0])
    >>> raw = head(torch.randn(4, 5, 8))
    >>> total, count = head.loss(raw, torch.full((4, 5), 2))
    >>> head.predict(raw).shape, float(count)
    (torch.Size([4, 5]), 40.0)
    """

    name: ClassVar[str] = "softmax"
    support: ClassVar[str] = "the number of a class, 0 to outputs - 1"
    weights: Tensor | None

    def __init__(
        self, features: int, outputs: int, *, weights: Sequence[float] | None = None, smoothing: float = 0.0
    ) -> None:
        plain = None if weights is None else [float(weight) for weight in weights]
        if plain is not None and (len(plain) != outputs or min(plain) < 0):
            raise ValueError(f"softmax head: weights must be {outputs} numbers of at least 0, found {plain}")
        if not 0 <= smoothing < 1:
            raise ValueError(f"softmax head: smoothing must lie in [0, 1), found {smoothing}")
        super().__init__(features, outputs, weights=plain, smoothing=smoothing)
        self.smoothing = smoothing
        self.register_buffer("weights", None if plain is None else torch.tensor(plain), persistent=False)

    def parts(self, raw: Tensor) -> Tensor:
        """raw as it is, (..., classes): one answer over all of it."""
        return raw

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """The weighted, smoothed -log p(target): (..., classes), (...) -> (...)."""
        weights = None if self.weights is None else self.weights.to(raw.dtype)
        known = self._known(target).flatten()
        flat = F.cross_entropy(
            raw.reshape(-1, self.outputs), known, weight=weights, reduction="none", label_smoothing=self.smoothing
        )
        return flat.view(target.shape)

    def predict(self, raw: Tensor) -> Tensor:
        """The likeliest class, (...)."""
        return raw.argmax(-1)

    def probabilities(self, raw: Tensor) -> Tensor:
        """p, (..., classes)."""
        return raw.softmax(-1)

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A class drawn by the Gumbel trick, argmax of raw - log E with E exponential, (...)."""
        return (raw - torch.empty_like(raw).exponential_(generator=generator).log()).argmax(-1)

    def supports(self, target: Tensor) -> Tensor:
        """Whole numbers in 0..outputs - 1."""
        return (target >= 0) & (target < self.outputs) & (target == target.round())

    def weigh(self, target: Tensor) -> Tensor:
        """w[y]."""
        ones = super().weigh(target)
        return ones if self.weights is None else ones * F.embedding(self._known(target), self.weights[:, None])[..., 0]

    def _known(self, target: Tensor) -> Tensor:
        # Out of range would be an abort on a GPU, and -100 a silent "ignore": loss makes both NaN.
        return target.nan_to_num().clamp(0, self.outputs - 1).long()
