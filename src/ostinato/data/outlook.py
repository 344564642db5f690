"""The statistical forecast from every step of a series: what the network starts from and corrects.

    z = log y or y                           where spread grows with level, and all values are above 0
    d = z - seasons                          the profiles of `seasons.profile`
    outlook[t, h] = sum over k of w[k] level_k[t, h] + seasons[t + h]

over six ways to continue a level: the last value, two exponential smoothings, the mean so far, a line
through first and last, and a damped local trend. The weights are at least 0, sum to 1 and are fitted
by least squares with a pull towards a plain mixture, so that short series are forecast well too.
Sources: Holt (1957) and Gardner (1985) for smoothing and damping, Hyndman and Athanasopoulos (2021) for
decomposition, Bates and Granger (1969) for combining forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.data.frequency import Steps, near
from ostinato.data.seasons import phase, profile
from ostinato.data.series import Series

Array = NDArray[np.float64]

WAYS = ("last", "smoothed", "smoother", "mean", "drift", "damped trend")
PRIOR = np.array([0.2, 0.25, 0.1, 0.0, 0.25, 0.2])
PULL = 0.1  # towards the prior, as a share of the squared error
DAMPING = 0.95
TINY = 1e-300  # what stands for values from 0 down that came after logarithms were chosen
RECENT = 3000  # origins that the weights are fitted on


class View(NamedTuple):
    """What is known at each of some origins, the step before the first one forecast.

    Attributes:
        base: (origins, horizon) the outlook, seasons taken out, in z.
        level: (origins,) where z stands.
        scale: (origins,) how far z moves in a step.
    """

    base: Array
    level: Array
    scale: Array


@dataclass(frozen=True)
class Outlook:
    """The statistical forecast of one series.

    Attributes:
        horizon: steps ahead.
        log: whether z = log y.
        periods, profiles: the seasons and what their places add to z.
        weights: (6,) of the ways to continue a level.
        step: mean absolute change of d from one step to the next.
        center, width: mean and standard deviation of d.
        length: values that it was fitted to.

    >>> series = Series.of(10 + np.tile([0.0, 3.0, 0.0, -3.0], 10))
    >>> Outlook.of(series, horizon=4, periods=[4.0]).forecast(series).round(3).tolist()
    [10.0, 13.0, 10.0, 7.0]
    """

    horizon: int
    log: bool
    periods: tuple[float, ...]
    profiles: tuple[Array, ...]
    weights: Array
    step: float
    center: float
    width: float
    length: int

    @classmethod
    def of(cls, series: Series, horizon: int, periods: list[float], log: bool | None = None) -> Outlook:
        """Fit to a whole series.

        Args:
            periods: seasons to take out, of any length; what is not in the data comes out as 0.
            log: whether to take logarithms; told from the data where left out. Never with values from 0 down.
        """
        y = series.filled()
        log = bool((y > 0).all()) and (spreads_with_level(y, periods) if log is None else log)
        z = np.log(y) if log else y
        steps = np.arange(series.start, series.end)
        profiles: list[Array] = []
        for period in sorted(periods):
            found = profile(z, steps, period)
            profiles.append(found)
            z = z - found[phase(steps, period)]
        move = float(np.abs(np.diff(z)).mean()) if len(z) > 1 else 0.0
        floor = 1e-6 * float(np.abs(z).mean()) + 1e-12
        plain = cls(
            horizon, log, tuple(sorted(periods)), tuple(profiles), PRIOR, max(move, floor), float(z.mean()),
            max(float(z.std()), floor), len(series),
        )  # fmt: skip
        return plain._weighed(z, series.observed)

    def _weighed(self, d: Array, observed: NDArray[np.bool_]) -> Outlook:
        """With the weights that would have forecast d best."""
        origins = np.arange(max(2, len(d) - RECENT), len(d))
        if not len(origins):
            return self
        ways = continuations(d, origins, self.horizon)
        ahead = origins[:, None] + np.arange(self.horizon)
        known = ahead < len(d)
        known &= observed[np.minimum(ahead, len(d) - 1)]
        targets = d[np.minimum(ahead, len(d) - 1)]
        weights = _mixture(ways[known] / self.step, targets[known] / self.step)
        return replace(self, weights=weights)

    def transformed(self, series: Series) -> Array:
        """d: the series in z, seasons taken out, gaps bridged."""
        y = series.filled()
        return (np.log(np.maximum(y, TINY)) if self.log else y) - self.seasons(np.arange(series.start, series.end))

    def seasons(self, steps: Steps) -> Array:
        """What the seasons add at steps, in z."""
        total = np.zeros(steps.shape)
        for period, found in zip(self.periods, self.profiles, strict=True):
            total += found[phase(steps, period)]
        return total

    def view(self, d: Array, origins: Steps, look_back: int) -> View:
        """What is known at origins: places in d, each the first step forecast.

        Args:
            look_back: steps over which the scale is told.
        """
        ways = continuations(d, origins, self.horizon)
        moves = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(d, prepend=d[:1])))])
        span = np.minimum(look_back, origins)
        local = (moves[origins] - moves[origins - span]) / np.maximum(span, 1)
        scale = np.sqrt((local**2 + self.step**2) / 2)
        return View(ways @ self.weights, ways[:, 0, 1], scale)

    def restored(self, d: Array, first: Steps) -> Array:
        """From d back to y: (origins, horizon, ...) whose first steps are given."""
        ahead = first[:, None] + np.arange(self.horizon)
        seasons = self.seasons(ahead)
        z = d + seasons.reshape(*seasons.shape, *[1] * (d.ndim - 2))
        return np.exp(np.minimum(z, 700.0)) if self.log else z

    def forecast(self, series: Series) -> Array:
        """The next `horizon` values, without any network."""
        d = self.transformed(series)
        view = self.view(d, np.array([len(d)]), len(d))
        return self.restored(view.base, np.array([series.end]))[0]


def continuations(d: Array, origins: Steps, horizon: int) -> Array:
    """The six ways to go on, (origins, horizon, 6), each from what lies before its origin alone."""
    last, ahead = origins - 1, np.arange(1, horizon + 1)
    smooth, smoother = _smoothed(d, 0.5)[last], _smoothed(d, 0.2)[last]
    so_far = (np.cumsum(d) / np.arange(1, len(d) + 1))[last]
    slope = (d[last] - d[0]) / np.maximum(last, 1)
    local = _smoothed(np.diff(d, prepend=d[:1]), 0.1)[last]
    flat = [np.repeat(level[:, None], horizon, 1) for level in (d[last], smooth, smoother, so_far)]
    drift = d[last][:, None] + slope[:, None] * ahead
    damped = smooth[:, None] + local[:, None] * np.cumsum(DAMPING**ahead)
    return np.stack([*flat, drift, damped], -1)


def _smoothed(x: Array, share: float) -> Array:
    """s[t] = share x[t] + (1 - share) s[t - 1], from s[-1] = x[0]."""
    from scipy.signal import lfilter

    found, _ = lfilter([share], [1, share - 1], x, zi=[(1 - share) * x[0]])
    return np.asarray(found)


def _mixture(ways: Array, targets: Array) -> Array:
    """Weights from 0 up that sum to 1: min |ways w - targets|² + a pull to the prior, by a heavy row for the sum."""
    from scipy.optimize import nnls

    error = targets - ways[:, 0]  # against the last value: the sum of 1 then costs nothing
    size = max(float(np.abs(error).mean()) if len(error) else 0.0, 1e-9)
    share = 1 / np.sqrt(max(len(error), 1))
    pull, heavy = np.sqrt(PULL) * size, 1e3 * size
    rows = np.concatenate([(ways - ways[:, :1]) * share, pull * np.eye(len(PRIOR)), heavy * np.ones((1, len(PRIOR)))])
    wanted = np.concatenate([error * share, pull * PRIOR, [heavy]])
    found, _ = nnls(rows / size, wanted / size)
    return np.asarray(found / found.sum())


def spreads_with_level(y: Array, periods: list[float]) -> bool:
    """Whether a positive series moves in proportion to its level, so that its logarithm moves evenly.

    >>> t = np.arange(96)
    >>> growing = np.exp(t / 30) * (2 + np.sin(t * np.pi / 6))
    >>> spreads_with_level(growing, [12.0]), spreads_with_level(10 + np.sin(t), [12.0])
    (True, False)
    """
    size = max(4, near(min(periods, default=4.0)))
    count = len(y) // size
    if count < 4:
        return False
    blocks = y[len(y) - count * size :].reshape(count, size)
    level = np.log(blocks.mean(1))
    moves = np.abs(np.diff(blocks, axis=1)).mean(1)
    if level.std() < 0.1 or not moves.all():
        return False
    spread = np.log(moves)
    slope = float(np.polyfit(level, spread, 1)[0])
    return slope > 0.5 and float(np.corrcoef(level, spread)[0, 1]) > 0.5
