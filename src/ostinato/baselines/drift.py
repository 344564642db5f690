"""The line from the first value to the last goes on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ostinato.baselines.baseline import Array, Baseline


class Drift(Baseline):
    """ŷ[T + h] = y[T] + h (y[T] - y[1]) / (T - 1): a random walk with the average step of the past.

    A single observed value is repeated.

    Source: Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice, 5.2.

    >>> Drift().fit([1.0, 5.0, 3.0]).predict(2)
    array([4., 5.])
    """

    name: ClassVar[str] = "drift"

    def forecast(self, x: Array, horizon: int) -> Array:
        """From the last observed step on along the line through it and the first."""
        seen = np.flatnonzero(~np.isnan(x))
        first, final = seen[0], seen[-1]
        slope = (x[final] - x[first]) / max(final - first, 1)
        return np.asarray(x[final] + slope * (np.arange(len(x), len(x) + horizon) - final))
