"""How good a prediction is: functions of (prediction, target) in numpy, named and scaled as in metrics.json.

A NaN target was not observed and is left out of every mean; a NaN prediction is refused, for a mean
without it would flatter the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    return _mean_of_series(np.abs(truth - guess) / _scales("mase", truth, insample, season))


def smape_each(prediction: Sequence[ArrayLike], target: Sequence[ArrayLike]) -> Array:
    """smape of each series, (series,), whatever their lengths; NaN for a series without a known target.

    Raises:
        ValueError: as mse, the series named; or not one prediction a series.

    >>> smape_each([[1.0, 0.0, 0.0], [3.0]], [[3.0, 5.0, 0.0], [1.0]]).tolist()
    [100.0, 100.0]
    """
    return np.array([_of_series(row, smape, *pair) for row, pair in enumerate(_pairs(prediction, target))])


def mase_each(
    prediction: Sequence[ArrayLike], target: Sequence[ArrayLike], insample: Sequence[ArrayLike], season: int = 1
) -> Array:
    """mase of each series, (series,), whatever their lengths.

    NaN for a series without a known target or without a scale: its training values are no longer than a
    season, or repeat themselves exactly.

    Raises:
        ValueError: as smape_each; or not one insample a series.

    >>> mase_each([[5.0, 6.0], [1.0]], [[6.0, 8.0], [2.0]], [[1.0, 2.0, 4.0, 4.0], [3.0, 3.0]]).tolist()
    [1.5, nan]
    """
    pairs = _pairs(prediction, target)
    if len(insample) != len(pairs):
        raise ValueError(f"mase_each: {len(pairs)} series ask for one insample each, found {len(insample)}")
    found = np.full(len(pairs), np.nan)
    for row, (pair, x) in enumerate(zip(pairs, insample, strict=True)):
        steps = _season_steps("mase_each", x, season, f"series {row}")
        if steps.any():
            found[row] = _of_series(row, mae, *pair) / steps.mean()
    return found


def owa(
    prediction: ArrayLike,
    target: ArrayLike,
    reference: ArrayLike,
    insample: Insample,
    season: int = 1,
) -> float:
    """Overall weighted average of M4: (smape / smape of the reference + mase / mase of the reference) / 2.

    Each of the four is the mean over all series, so that a ratio is one of means and no mean of ratios.

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
    _ordered("coverage", low, high)
    return float(((low <= truth) & (truth <= high)).mean())


def msis(
    lower: ArrayLike, upper: ArrayLike, target: ArrayLike, insample: Insample, season: int = 1, level: float = 0.95
) -> float:
    """Mean scaled interval score of M4, less is better: an interval costs its width, and 2/a times what it misses by.

        mean(u - l + 2/a max(l - y, 0) + 2/a max(y - u, 0)) / mean(|x[t] - x[t - season]|),    a = 1 - level

    Each series is scaled by its own training values x; the mean goes over each series, then over the series.

    Args:
        lower, upper, target: (horizon,) or (series, horizon).
        insample, season: see mase.
        level: the share of targets that the interval is meant to hold, between 0 and 1.

    Raises:
        ValueError: as mase and coverage, or a level not between 0 and 1.

    Source: Gneiting and Raftery (2007), Strictly Proper Scoring Rules, eq. 43, scaled as in M4.

    >>> msis([0.0, 0.0], [2.0, 2.0], [1.0, 3.0], insample=[1.0, 2.0], level=0.5)
    4.0
    """
    if not 0 < level < 1:
        raise ValueError(f"msis: level must lie between 0 and 1, found {level}")
    low, truth = _numbers(lower, target)
    high, _ = _numbers(upper, target)
    _ordered("msis", *(bound[~_missing(truth)] for bound in (low, high)))
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return _mean_of_series((high - low + 2 / (1 - level) * missed) / _scales("msis", truth, insample, season))


def direction(prediction: ArrayLike, target: ArrayLike, last: ArrayLike) -> float:
    """How many moves from the last known value are foretold with the right sign; a fraction, 0 to 1.

    A step at which the target stands where it last stood has no direction and is left out; a prediction
    that stands still where the target moves is wrong. A coin has 0.5, Naive 0.

    Args:
        prediction, target: (horizon,) or (series, horizon).
        last: the value before the forecast, one number or (series,); or one for each step, of the target's shape.

    Raises:
        ValueError: as mse; last has another shape or is NaN; or no target moves.

    >>> direction([2.0, 3.0, 4.0], [3.0, 2.5, 1.0], last=2.5)
    0.0
    >>> direction([[2.0, 3.0]], [[1.0, 2.5]], last=[2.5])
    1.0
    """
    guess, truth = _numbers(prediction, target)
    start = np.asarray(last, float)
    if start.shape not in ((), truth.shape[:-1], truth.shape):
        raise ValueError(f"direction: last must be one value a series, {truth.shape[:-1]}, found shape {start.shape}")
    start = np.broadcast_to(start if start.shape in ((), truth.shape) else start[..., None], truth.shape)
    known = ~_missing(truth)
    if _missing(start[known]).any():
        raise ValueError("direction: last is NaN where the target is known: give the last observed value")
    moves = np.sign(truth - start)[known]
    if not moves.any():
        raise ValueError("direction: no target differs from the last value, so there is no move to foretell")
    return float((np.sign(guess - start)[known] == moves)[moves != 0].mean())


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


def f1(prediction: ArrayLike, target: ArrayLike, positive: Any) -> float:
    """2 TP / (2 TP + FP + FN) of one class, the harmonic mean of precision and recall; 0 to 1.

    It is 0 where that class occurs in neither, for then nothing was found.

    Raises:
        ValueError: as mse.

    Source: van Rijsbergen (1979), Information Retrieval.

    >>> f1(["spam", "ham", "spam"], ["spam", "ham", "ham"], positive="spam")
    0.66...
    """
    guess, truth = (each == positive for each in _known(prediction, target))
    return float(2 * (guess & truth).sum() / max(1, guess.sum() + truth.sum()))


def auroc(score: ArrayLike, target: ArrayLike) -> float:
    """The area under the ROC curve: how often a positive case has the higher score than a negative one, ties half.

    Args:
        score: higher for cases held to be positive.
        target: 1 for positive, 0 for negative; NaN where it is not known.

    Raises:
        ValueError: as mse; or one of the two does not occur.

    Source: Hanley and McNeil (1982), The Meaning and Use of the Area under a ROC Curve.

    >>> auroc([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0])
    0.75
    """
    scores, truth = _known(*_numbers(score, target))
    above, below = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])
    if not (above.size and below.size and above.size + below.size == truth.size):
        raise ValueError(f"auroc: targets must be 0 and 1, both of them, found {np.unique(truth)[:5].tolist()}")
    less = np.searchsorted(below, above, "left").sum(dtype=float) + np.searchsorted(below, above, "right").sum()
    return float(less / 2 / above.size / below.size)


def calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error, sum over bins of |share right - mean confidence| n(bin) / n; 0 to 1.

    Args:
        confidence: the probability given to what was predicted, 0 to 1; bins are equally wide.
        correct: 1 where the prediction was right, else 0.

    Raises:
        ValueError: as mse.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks.

    >>> round(calibration_error([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0]), 3)
    0.1
    """
    sure, right = _known(*_numbers(confidence, correct))
    place = np.clip((sure * bins).astype(int), 0, bins - 1)
    return float(np.abs(np.bincount(place, right - sure, bins)).sum() / right.size)


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


def _ordered(who: str, low: Array, high: Array) -> None:
    if (low > high).any():
        raise ValueError(f"{who}: {int((low > high).sum())} lower bounds lie above their upper bounds")


def _pairs(prediction: Sequence[ArrayLike], target: Sequence[ArrayLike]) -> list[tuple[Array, Array]]:
    """Prediction and target series by series."""
    if len(prediction) != len(target):
        raise ValueError(f"{len(prediction)} predictions and {len(target)} targets: give one of each a series")
    return [(np.asarray(p, float), np.asarray(t, float)) for p, t in zip(prediction, target, strict=True)]


def _of_series(row: int, metric: Callable[[Array, Array], float], prediction: Array, target: Array) -> float:
    """The metric of one series, NaN where no target is known; what is wrong is said of that series."""
    if prediction.shape == target.shape and _missing(target).all():
        return float("nan")
    try:
        return metric(prediction, target)
    except ValueError as error:
        raise ValueError(f"series {row}: {error}") from None


def _scales(who: str, target: Array, insample: Insample, season: int) -> Array:
    """mean(|x[t] - x[t - season]|) of each series, (series, 1)."""
    rows: Any = insample if target.ndim == 2 else [insample]
    if target.ndim > 2 or len(rows) != len(np.atleast_2d(target)):
        raise ValueError(f"{who}: prediction of shape {target.shape} asks for one insample a series, found {len(rows)}")
    return np.array([[_season_scale(who, x, season, f"series {row}")] for row, x in enumerate(rows)])


def _season_scale(who: str, insample: ArrayLike, season: int, series: str) -> float:
    """The scale of one series, which must have one."""
    steps = _season_steps(who, insample, season, series)
    if not steps.size:
        size = np.size(insample)
        raise ValueError(f"{who}: {series} has {size} training values, no two of them a season of {season} apart")
    if not steps.any():
        raise ValueError(f"{who}: {series} repeats itself every {season} steps in training, so there is no scale")
    return float(steps.mean())


def _season_steps(who: str, insample: ArrayLike, season: int, series: str) -> Array:
    """|x[t] - x[t - season]|, gaps left out."""
    x = np.asarray(insample, float)
    if x.ndim != 1 or season < 1:
        raise ValueError(f"{who}: insample of {series} must be (time,), found {x.shape}; season >= 1, found {season}")
    steps = np.abs(x[season:] - x[:-season])
    return steps[~_missing(steps)]
