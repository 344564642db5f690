"""The last value goes on for ever."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ostinato.baselines.baseline import Array, Baseline, last


class Naive(Baseline):
    """ŷ[T + h] = y[T], the last observed value: the best there is for a random walk.

    Source: Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice, 5.2.

    >>> Naive().fit([1.0, 3.0, 2.0]).predict(3)
    array([2., 2., 2.])
    """

    name: ClassVar[str] = "naive"

    def forecast(self, x: Array, horizon: int) -> Array:
        """The last observed value, `horizon` times."""
        return np.full(horizon, last(x))
