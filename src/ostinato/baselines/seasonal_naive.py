"""The last season comes again."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ostinato.baselines.baseline import Array, Baseline, last


class SeasonalNaive(Baseline):
    """ŷ[T + h] = y[T + h - m k], one season of m steps ago, k the least that reaches into the past.

    A history shorter than one season is forecast as Naive does, and `notes` says so. Where the value
    a season ago is missing, the season before it serves; where that place of the season was never
    observed, the last value.

    Source: Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice, 5.2.

    >>> SeasonalNaive().fit([1.0, 2.0, 3.0, 4.0, 5.0], season=3).predict(4)
    array([3., 4., 5., 3.])
    >>> SeasonalNaive().fit([1.0, 2.0], season=12).notes
    ('seasonal_naive: 2 steps of history are less than a season of 12, so the last value is repeated',)
    """

    name: ClassVar[str] = "seasonal_naive"

    def forecast(self, x: Array, horizon: int) -> Array:
        """The last observed value at each place of the season, repeated."""
        if len(x) < self.season:
            return np.full(horizon, last(x))
        phases = (x[len(x) + place - self.season :: -self.season] for place in range(self.season))
        pattern = [last(phase[::-1]) if not np.isnan(phase).all() else last(x) for phase in phases]
        return np.resize(pattern, horizon)

    def remarks(self, time: int) -> tuple[str, ...]:
        """Says where the season found no whole season."""
        if time >= self.season:
            return ()
        steps = f"{time} steps of history are less than a season of {self.season}"
        return (f"{self.name}: {steps}, so the last value is repeated",)
