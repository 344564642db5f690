"""How good a prediction is: functions of (prediction, target) in numpy, named and scaled as in metrics.json.

A NaN target was not observed and is left out of every mean; a NaN prediction is refused, for a mean
without it would flatter the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Insample = ArrayLike | Sequence[ArrayLike]


def mse(prediction: ArrayLike, target: ArrayLike) -> float:
    """Mean squared error, mean((y - ŷ)²), in the target's units squared.

    Raises:
        ValueError: shapes differ, a prediction is NaN, or no target is known.

    >>> mse([1.0, 2.0, 5.0], [1.0, 4.0, float("nan")])
    2.0
    """
    return float(np.square(_errors(prediction, target)).mean())


def mae(prediction: ArrayLike, target: ArrayLike) -> float:
    """Mean absolute error, mean(|y - ŷ|), in the target's units.

    Raises:
        ValueError: as mse.

    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return float(np.abs(_errors(prediction, target)).mean())


def rmse(prediction: ArrayLike, target: ArrayLike) -> float:
    """Root mean squared error, sqrt(mse), in the target's units.

    Raises:
        ValueError: as mse.

    >>> rmse([0.0, 0.0], [3.0, 3.0])
    3.0
    """
    return float(np.sqrt(mse(prediction, target)))


def smape(prediction: ArrayLike, target: ArrayLike) -> float:
    """Symmetric mean absolute percentage error, mean(200 |y - ŷ| / (|y| + |ŷ|)), 0 to 200; 0 / 0 counts 0.

    The mean goes over each series, (horizon,) or the rows of (series, horizon), then over the series.

    Raises:
        ValueError: as mse.

    Source: Makridakis et al. (2020), The M4 Competition.

    >>> smape([1.0, 0.0, 0.0], [3.0, 5.0, 0.0])
    100.0
    """
    guess, truth = _numbers(prediction, target)
    size = np.abs(guess) + np.abs(truth)
    return _mean_of_series(200 * np.abs(truth - guess) / np.where(size == 0, 1, size))


def mase(prediction: ArrayLike, target: ArrayLike, insample: Insample, season: int = 1) -> float:
    """Mean absolute scaled error: mean(|y - ŷ|) / mean(|x[t] - x[t - season]|) over the training values x.

    Below 1 is better than what "as one season ago" was in training. For several series each is
    scaled by its own training values; the mean goes over each series, then over the series.

    Args:
        prediction, target: (horizon,) or (series, horizon).
        insample: training values of the series, (time,); for several, a list of them or (series, time).
        season: steps in one season; 1 where there is none.

    Raises:
        ValueError: as mse; or a series has no scale: it is no longer than a season, or repeats itself exactly.

    Source: Hyndman and Koehler (2006), Another Look at Measures of Forecast Accuracy, as used in M4.

    >>> mase([5.0, 6.0], [6.0, 8.0], insample=[1.0, 2.0, 4.0, 4.0])
    1.5
    """
    guess, truth = _numbers(prediction, target)
    rows: Any = insample if guess.ndim == 2 else [insample]
    if guess.ndim > 2 or len(rows) != len(np.atleast_2d(guess)):
        raise ValueError(f"mase: prediction of shape {guess.shape} asks for one insample a series, found {len(rows)}")
    scale = np.array([[_season_scale(x, season, f"series {row}")] for row, x in enumerate(rows)])
    return _mean_of_series(np.abs(truth - guess) / scale)


def owa(
    prediction: ArrayLike,
    target: ArrayLike,
    reference: ArrayLike,
    insample: Insample,
    season: int = 1,
) -> float:
    """Overall weighted average of M4: (smape / smape of the reference + mase / mase of the reference) / 2.

    Args:
        reference: the forecast to beat, of the shape of prediction; in M4 that of Naive2.
        prediction, target, insample, season: see mase.

    Raises:
        ValueError: as mase, or the reference makes no error at all.

    Source: Makridakis et al. (2020), The M4 Competition.

    >>> owa([5.0, 7.0], [6.0, 8.0], reference=[4.0, 6.0], insample=[1.0, 2.0, 4.0])
    0.47...
    """
    theirs = smape(reference, target), mase(reference, target, insample, season)
    if min(theirs) == 0:
        raise ValueError("owa: the reference makes no error, so nothing can be measured against it")
    ours = smape(prediction, target), mase(prediction, target, insample, season)
    return float(np.mean(np.divide(ours, theirs)))


def pinball(prediction: ArrayLike, target: ArrayLike, levels: float | Sequence[float]) -> float:
    """Quantile loss, mean(max(p e, (p - 1) e)) with e = y - q(p), in the target's units.

    Args:
        prediction: q of the target's shape for one level; with one more axis for several, (..., levels).
        target: (...).
        levels: p, or several; the mean goes over them too.

    Raises:
        ValueError: as mse, or a level not between 0 and 1.

    Source: Koenker and Bassett (1978), Regression Quantiles.

    >>> pinball([[8.0, 12.0]], [10.0], levels=[0.25, 0.75])
    0.5
    """
    p = np.asarray(levels, float)
    if p.ndim > 1 or not ((p > 0) & (p < 1)).all():
        raise ValueError(f"pinball: levels must lie between 0 and 1, found {levels}")
    truth = np.asarray(target, float)
    if p.ndim:
        truth = np.broadcast_to(truth[..., None], (*truth.shape, len(p)))
    e = _errors(prediction, truth)
    p = np.broadcast_to(p, truth.shape)[~_missing(truth)]
    return float(np.maximum(p * e, (p - 1) * e).mean())


def coverage(lower: ArrayLike, upper: ArrayLike, target: ArrayLike) -> float:
    """How many targets lie within lower..upper, bounds included; a fraction, 0 to 1.

    A forecaster's 80 % intervals are honest where this is 0.8.

    Raises:
        ValueError: as mse, or a lower bound above its upper one.

    >>> coverage([0.0, 0.0], [1.0, 1.0], [0.5, 2.0])
    0.5
    """
    low, truth = _known(*_numbers(lower, target))
    high, _ = _known(*_numbers(upper, target))
    if (low > high).any():
        raise ValueError(f"coverage: {int((low > high).sum())} lower bounds lie above their upper bounds")
    return float(((low <= truth) & (truth <= high)).mean())


def nll(log_probability: ArrayLike) -> float:
    """Negative log-likelihood, -mean(log p), in nats a value; NaN marks a value that was not observed.

    Args:
        log_probability: the natural log of what the model gave to each value that came true.

    Raises:
        ValueError: no value is known.

    >>> nll([-1.0, -3.0, float("nan")])
    2.0
    """
    found = np.asarray(log_probability, float)
    found = found[~np.isnan(found)]
    if not found.size:
        raise ValueError(f"nll: nothing to measure: none of {np.size(log_probability)} values is known")
    return float(-found.mean())


def perplexity(log_probability: ArrayLike) -> float:
    """exp(nll): among how many equally likely tokens the model wavers, at least 1.

    Raises:
        ValueError: as nll.

    >>> round(perplexity([-1.3862944, -1.3862944]), 6)  # each token had 1 chance in 4
    4.0
    """
    return float(np.exp(nll(log_probability)))


def bits_per_character(log_probability: ArrayLike) -> float:
    """nll / log 2, with one log-probability for each character.

    Raises:
        ValueError: as nll.

    >>> round(bits_per_character([-1.3862944, -1.3862944]), 6)
    2.0
    """
    return nll(log_probability) / float(np.log(2))


def accuracy(prediction: ArrayLike, target: ArrayLike) -> float:
    """How many labels are right; a fraction, 0 to 1. Labels are numbers or words.

    Raises:
        ValueError: as mse.

    >>> accuracy(["cat", "dog", "cat", "cat"], ["cat", "dog", "dog", "cat"])
    0.75
    """
    guess, truth = _known(prediction, target)
    return float((guess == truth).mean())


def macro_f1(prediction: ArrayLike, target: ArrayLike) -> float:
    """The mean over classes, small ones as much as large, of F1 = 2 TP / (2 TP + FP + FN); 0 to 1.

    The classes are those that occur in prediction or target.

    Raises:
        ValueError: as mse.

    Source: van Rijsbergen (1979), Information Retrieval.

    >>> macro_f1([0, 0, 1, 1], [0, 0, 0, 1])
    0.73...
    """
    guess, truth = _known(prediction, target)
    scores = []
    for label in np.union1d(guess, truth):
        hits = ((guess == label) & (truth == label)).sum()
        scores.append(2 * hits / ((guess == label).sum() + (truth == label).sum()))
    return float(np.mean(scores))


def _errors(prediction: ArrayLike, target: ArrayLike) -> Array:
    """y - ŷ, flat, where y is known."""
    guess, truth = _known(*_numbers(prediction, target))
    return truth - guess


def _numbers(prediction: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    """Both in float64, for small whole numbers would wrap round in a difference, and fit to be compared."""
    guess, truth = np.atleast_1d(np.asarray(prediction, float)), np.atleast_1d(np.asarray(target, float))
    _known(guess, truth)
    return guess, truth


def _known(prediction: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    """Both, flat, where the target is known."""
    guess, truth = np.atleast_1d(prediction), np.atleast_1d(target)
    if guess.shape != truth.shape:
        raise ValueError(f"prediction has shape {guess.shape} and target {truth.shape}: they must be the same")
    observed = ~_missing(truth)
    if not observed.any():
        raise ValueError(f"nothing to compare with: none of {truth.size} targets is known")
    unknown = observed & _missing(guess)
    if unknown.any():
        place = [int(index) for index in np.argwhere(unknown)[0]]
        raise ValueError(f"prediction{place} is NaN where the target is known ({int(unknown.sum())} such)")
    return guess[observed], truth[observed]


def _mean_of_series(values: Array) -> float:
    """The mean of the means over the last axis, NaN left out; M4 weighs a short series like a long one."""
    rows = values.reshape(-1, values.shape[-1])
    rows = rows[~_missing(rows).all(-1)]
    return float(np.nanmean(rows, axis=-1).mean())


def _missing(values: Array) -> Array:
    return np.asarray(values != values)  # NaN alone differs from itself; words and whole numbers never do


def _season_scale(insample: ArrayLike, season: int, who: str) -> float:
    """mean(|x[t] - x[t - season]|), gaps left out."""
    x = np.asarray(insample, float)
    if x.ndim != 1 or season < 1:
        raise ValueError(f"mase: insample of {who} must be (time,), found {x.shape}; season >= 1, found {season}")
    steps = np.abs(x[season:] - x[:-season])
    steps = steps[~np.isnan(steps)]
    if not steps.size:
        raise ValueError(f"mase: {who} has {len(x)} training values, no two of them a season of {season} apart")
    if not steps.any():
        raise ValueError(f"mase: {who} repeats itself every {season} steps in training, so there is no scale")
    return float(steps.mean())
