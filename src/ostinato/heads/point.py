"""Regression: one number for each output."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from ostinato.heads.head import Head

LOSSES: dict[str, Any] = {"squared": F.mse_loss, "absolute": F.l1_loss, "huber": F.huber_loss}


class Point(Head):
    """y = raw; with e = y - target the cost of each value is

        squared   e²
        absolute  |e|
        huber     e² / 2 where |e| <= delta, else delta (|e| - delta / 2)

    so that y goes to the mean, to the median, or between them, where outliers weigh little.

    Args:
        features, outputs: see Head.
        loss: "squared", "absolute" or "huber".
        delta: where huber turns from square to line, in the target's units.

    Raises:
        ValueError: an unknown loss, or delta not above 0.

    Source: Huber (1964), Robust Estimation of a Location Parameter.

    >>> import torch
    >>> head = Point(features=8, outputs=2, loss="huber")
    >>> raw = head(torch.randn(4, 8))
    >>> total, count = head.loss(raw, torch.zeros(4, 2))
    >>> head.predict(raw).shape, int(count)
    (torch.Size([4, 2]), 8)
    """

    name: ClassVar[str] = "point"

    def __init__(self, features: int, outputs: int, *, loss: str = "squared", delta: float = 1.0) -> None:
        if loss not in LOSSES:
            raise ValueError(f"point head: loss must be one of {', '.join(LOSSES)}; found {loss!r}")
        if not delta > 0:
            raise ValueError(f"point head: delta must be above 0, found {delta}")
        super().__init__(features, outputs, loss=loss, delta=delta)
        self._cost = partial(F.huber_loss, delta=delta) if loss == "huber" else LOSSES[loss]

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """The chosen loss, value by value."""
        return self._cost(raw, target.to(raw.dtype), reduction="none")

    def predict(self, raw: Tensor) -> Tensor:
        """raw itself."""
        return raw
