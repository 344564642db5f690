"""The last value goes on, with the season taken out and put back: what M4 measures by."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ostinato.baselines.baseline import Array, Baseline, bridged, last
from ostinato.data.seasons import trend

TEST = 1.645  # the normal quantile of a 90 % test of both sides
SEASONS = 3  # fewer of them are not tested for a season


class Naive2(Baseline):
    """ŷ[T + h] = y[T] / S[T] S[T + h]: Naive on the seasonally adjusted series.

        S[place] = mean of y / trend at that place of the season, divided by the mean over all places

    where the autocorrelation r at the season's lag m passes the 90 % test

        |r[m]| > 1.645 sqrt((1 + 2 (r[1]² + ... + r[m - 1]²)) / T)

    and S = 1 elsewhere. As in the competition's code, but for one thing: R looks at no lag above
    10 log10(T), so that a long season never passes there. A history with a value at or below 0 has no
    ratio to its trend and is forecast as Naive does; gaps are bridged for test and ratios.

    Source: Makridakis et al. (2020), The M4 Competition; the test of its public R code.

    >>> Naive2().fit([1.0, 2.0] * 10 + [2.0, 4.0], season=2).predict(2) > 2.5
    array([False,  True])
    """

    name: ClassVar[str] = "naive2"

    def forecast(self, x: Array, horizon: int) -> Array:
        """The last adjusted value, times the ratio of each step's place."""
        ratios = np.ones(1)
        full = bridged(x, self.season)
        if self.season > 1 and is_seasonal(full, self.season):
            if full.min() > 0:
                ratios = places(full, self.season)
            else:
                self.say("values at or below 0 have no ratio to their trend, so the last value is repeated")
        where = np.arange(len(x) + horizon) % len(ratios)
        adjusted = last(x / ratios[where[: len(x)]])
        return np.asarray(adjusted * ratios[where[len(x) :]])


def is_seasonal(x: Array, season: int) -> bool:
    """Whether the autocorrelation at the season's lag passes the 90 % test, in three seasons or more.

    >>> is_seasonal(np.array([1.0, 5.0, 2.0] * 5), 3)
    True
    """
    rest = x - x.mean()
    power = rest @ rest
    if len(x) < SEASONS * season or power <= 1e-24 * (x @ x):  # a constant, but for its rounding
        return False
    likeness = np.array([rest[lag:] @ rest[:-lag] for lag in range(1, season + 1)]) / power
    limit = TEST * np.sqrt((1 + 2 * np.square(likeness[:-1]).sum()) / len(x))
    return bool(abs(likeness[-1]) > limit)


def places(x: Array, season: int) -> Array:
    """The multiplicative season by place, (season,), counted from the first step; x is above 0 and two seasons long."""
    ratio = x / trend(x, season)
    means = np.array([np.nanmean(ratio[place::season]) for place in range(season)])
    return np.asarray(means / means.mean())
