"""Seasons: what repeats, how strongly, and how long it is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ostinato.data.frequency import Steps, near

Array = NDArray[np.float64]

NOISE = 2.0  # how many times its expected noise a harmonic must carry before any of it is kept
STRONG = 0.1  # share of the detrended variance from which on a season is believed


def trend(x: Array, period: int) -> Array:
    """The centred moving average over one season, NaN at the ends.

    >>> trend(np.array([1.0, 3.0, 5.0, 7.0, 6.0]), 4).tolist()
    [nan, nan, 4.625, nan, nan]
    """
    half = period // 2
    if len(x) <= 2 * half:
        return np.full(len(x), np.nan)
    weights = np.full(2 * half + 1, 1.0 / period)
    if period % 2 == 0:
        weights[[0, -1]] /= 2
    inner = np.convolve(x, weights, "valid") if period < 100 else _running(x, period)
    return np.concatenate([np.full(half, np.nan), inner, np.full(half, np.nan)])


def _running(x: Array, period: int) -> Array:
    """The same by differences of a cumulative sum, for long seasons."""
    total = np.concatenate([[0.0], np.cumsum(x - x.mean())])
    half = period // 2
    inner = (total[period:] - total[:-period]) / period
    averaged = (inner[1:] + inner[:-1]) / 2 if period % 2 == 0 else inner
    return averaged[: len(x) - 2 * half] + x.mean()


def phase(steps: Steps, period: float) -> Steps:
    """The place of each step in its season, 0 to near(period) - 1; the period need not be whole.

    >>> phase(np.array([0, 11, 12, 25]), 12.0).tolist()
    [0, 11, 0, 1]
    """
    places = near(period)
    return np.floor(np.mod(steps, period) * (places / period) + 1e-9).astype(np.int64) % places


def profile(x: Array, steps: Steps, period: float) -> Array:
    """What each place of the season adds to the level: means by place, each harmonic shrunk by its noise.

        s = mean over seasons of x - trend;    S = F s;    S[k] <- S[k] max(0, |S[k]|² - 2 N) / |S[k]|²

    with N the power that noise alone would give a harmonic (Wiener's filter, its gain estimated): a
    season that is not there comes out as 0, a long one as smooth as the data allow.

    Args:
        x, steps: (time,) values and their steps.
        period: the season's length in steps; where two of them are not seen, 0 is returned.

    Source: Wiener (1949), Extrapolation, Interpolation and Smoothing of Stationary Time Series.
    """
    places = near(period)
    rest = x - trend(x, places)
    known = np.isfinite(rest)
    where = phase(steps, period)[known]
    counts = np.bincount(where, minlength=places)
    if len(x) < 2 * places + 1 or not counts.all():
        return np.zeros(places)
    means = np.bincount(where, weights=rest[known], minlength=places) / counts
    means -= means.mean()
    error = rest[known] - means[where]
    noise = float(error @ error) / max(len(error) - places, 1) / (len(error) / places)
    spectrum = np.fft.rfft(means)
    power = np.abs(spectrum) ** 2 / places
    kept = np.maximum(power - NOISE * noise, 0) / np.where(power > 0, power, 1)
    return np.fft.irfft(spectrum * kept, places)


def strength(x: Array, steps: Steps, period: float) -> float:
    """Share of the variance about the trend that the season explains, 0 to 1."""
    rest = x - trend(x, near(period))
    known = np.isfinite(rest)
    total = float(np.var(rest[known])) if known.any() else 0.0
    if total <= 1e-12 * float(np.var(x)):
        return 0.0
    error = rest[known] - profile(x, steps, period)[phase(steps, period)][known]
    return max(0.0, 1 - float(np.var(error)) / total)


def cycle(x: Array) -> int | None:
    """The lag at which a series is most like itself, once it has been unlike itself; None where there is none.

    >>> cycle(np.sin(np.arange(200) * 2 * np.pi / 11))
    11
    """
    most = len(x) // 3
    if most < 4:
        return None
    rest = x - np.polyval(np.polyfit(np.arange(len(x)), x, 1), np.arange(len(x)))
    if float(rest @ rest) <= 1e-12 * float(x @ x):
        return None
    spectrum = np.fft.rfft(rest, 2 * len(x))
    lags = np.arange(2 * most + 1)
    likeness = np.fft.irfft(np.abs(spectrum) ** 2)[: len(lags)]
    likeness = likeness / likeness[0] * len(x) / (len(x) - lags)
    below = np.flatnonzero(likeness[: most + 1] < 0)
    if not len(below):
        return None
    seen = likeness[below[0] : most + 1]
    peaks = np.flatnonzero((seen[1:-1] > seen[:-2]) & (seen[1:-1] >= seen[2:])) + 1
    if not len(peaks) or seen[peaks].max() < max(0.3, 2.6 / math.sqrt(len(x))):
        return None
    # The first of those about as high as the highest: the others are its multiples.
    peak = int(below[0] + peaks[seen[peaks] >= 0.85 * seen[peaks].max()][0])
    around = np.arange(math.ceil(0.8 * peak), min(most, math.floor(1.25 * peak)) + 1)
    return int(around[(likeness[around] + likeness[2 * around]).argmax()])  # the second turn tells them apart


def guess(x: Array, steps: Steps, calendar: list[float]) -> tuple[list[float], str]:
    """The seasons of a series, the strongest first, and how they were told.

    Args:
        calendar: the seasons that its frequency suggests.
    """
    able = [period for period in calendar if len(x) >= 2 * near(period) + 1]
    strengths = {period: strength(x, steps, period) for period in able}
    if able and max(strengths.values()) >= STRONG:
        best = able[0]
        for period in able[1:]:  # a longer season holds the shorter one: it must explain more
            best = period if strengths[period] > strengths[best] + STRONG else best
        return [best, *(period for period in able if period != best)], "by the calendar and the data"
    lag = cycle(x)
    if lag is not None:
        return [float(lag), *able], "by autocorrelation"
    return able, "by the calendar; weak in the data" if able else "none found"
