"""Metrics against their definitions written out by hand, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from statsmodels.tools import eval_measures

from ostinato import metrics

NAN = float("nan")
RNG = np.random.default_rng(0)
GUESS, TRUTH = RNG.normal(size=(5, 7)), RNG.normal(size=(5, 7))
OF_NUMBERS = [metrics.mse, metrics.mae, metrics.rmse, metrics.smape]
OF_PAIRS = [*OF_NUMBERS, metrics.accuracy, metrics.macro_f1]


def insamples() -> list[np.ndarray]:
    return [RNG.normal(size=20 + 3 * row).cumsum() for row in range(5)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(metrics.mse, eval_measures.mse), (metrics.mae, eval_measures.meanabs), (metrics.rmse, eval_measures.rmse)],
)
def test_errors_equal_statsmodels(ours, theirs) -> None:
    assert ours(GUESS, TRUTH) == pytest.approx(theirs(GUESS.ravel(), TRUTH.ravel()))


def test_smape_by_hand() -> None:
    expected = np.mean([200 * abs(y - f) / (abs(y) + abs(f)) for f, y in zip(GUESS.flat, TRUTH.flat, strict=True)])
    assert metrics.smape(GUESS, TRUTH) == pytest.approx(expected)
    assert metrics.smape([1.0, -1.0], [-1.0, 1.0]) == 200
    assert metrics.smape([0.0], [0.0]) == 0


def test_mase_by_hand() -> None:
    series, season = insamples(), 4
    each = []
    for guess, truth, x in zip(GUESS, TRUTH, series, strict=True):
        scale = sum(abs(x[t] - x[t - season]) for t in range(season, len(x))) / (len(x) - season)
        each.append(sum(abs(guess - truth)) / 7 / scale)
        assert metrics.mase(guess, truth, x, season) == pytest.approx(each[-1])
    assert metrics.mase(GUESS, TRUTH, series, season) == pytest.approx(np.mean(each))


def test_mase_of_last_season_in_sample_is_one() -> None:
    x = RNG.normal(size=40).cumsum()
    assert metrics.mase(x[:-12], x[12:], x, season=12) == pytest.approx(1)


def test_owa_by_hand() -> None:
    series, reference = insamples(), RNG.normal(size=(5, 7))
    ratios = [
        metrics.smape(GUESS, TRUTH) / metrics.smape(reference, TRUTH),
        metrics.mase(GUESS, TRUTH, series, 4) / metrics.mase(reference, TRUTH, series, 4),
    ]
    assert metrics.owa(GUESS, TRUTH, reference, series, 4) == pytest.approx(sum(ratios) / 2)
    assert metrics.owa(reference, TRUTH, reference, series, 4) == 1
    with pytest.raises(ValueError, match="the reference makes no error"):
        metrics.owa(GUESS, TRUTH, TRUTH, series, 4)


def test_a_short_series_weighs_like_a_long_one() -> None:
    guess, truth = [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]], [[1.0, 1.0, 1.0], [3.0, NAN, NAN]]
    assert metrics.smape(guess, truth) == 50  # the mean of 0 and 100, not of 0 0 0 100
    assert metrics.mase(guess, truth, [[0.0, 1.0], [0.0, 4.0]]) == 0.25
    assert metrics.smape([[1.0], [1.0]], [[3.0], [NAN]]) == 100


@pytest.mark.parametrize(
    ("insample", "words"),
    [
        ([1.0, 2.0], "series 0 has 2 training values, no two of them a season of 2 apart"),
        ([1.0, NAN, NAN, 4.0], "no two of them a season of 2 apart"),
        ([1.0, 2.0, 1.0, 2.0], "series 0 repeats itself every 2 steps in training"),
        ([[1.0, 2.0, 3.0]], r"insample of series 0 must be \(time,\), found \(1, 3\)"),
    ],
)
def test_mase_says_why_there_is_no_scale(insample, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        metrics.mase([1.0], [2.0], insample, season=2)


def test_mase_asks_for_one_insample_a_series() -> None:
    with pytest.raises(ValueError, match="asks for one insample a series, found 4"):
        metrics.mase(GUESS, TRUTH, insamples()[:4])
    with pytest.raises(ValueError, match="season >= 1, found 0"):
        metrics.mase([1.0], [2.0], [1.0, 2.0], season=0)


def test_pinball_by_hand() -> None:
    levels = [0.1, 0.5, 0.9]
    guess = RNG.normal(size=(5, 7, 3))
    costs = [
        [p * max(y - q, 0) + (1 - p) * max(q - y, 0) for p, q in zip(levels, row, strict=True)]
        for row, y in zip(guess.reshape(-1, 3), TRUTH.flat, strict=True)
    ]
    assert metrics.pinball(guess, TRUTH, levels) == pytest.approx(np.mean(costs))
    assert metrics.pinball(guess[..., 0], TRUTH, 0.1) == pytest.approx(np.mean(costs, axis=0)[0])
    assert metrics.pinball(GUESS, TRUTH, 0.5) == pytest.approx(metrics.mae(GUESS, TRUTH) / 2)
    gaps = np.where(RNG.random(TRUTH.shape) < 0.3, NAN, TRUTH)
    kept = np.array(costs)[~np.isnan(gaps).ravel()]
    assert metrics.pinball(guess, gaps, levels) == pytest.approx(kept.mean())


@pytest.mark.parametrize("levels", [0.0, 1.0, [0.5, 95.0], [[0.5]]])
def test_pinball_refuses_levels_that_are_none(levels) -> None:
    with pytest.raises(ValueError, match="levels must lie between 0 and 1"):
        metrics.pinball([1.0], [1.0], levels)


def test_pinball_is_least_at_the_quantile() -> None:
    data = RNG.normal(size=2001)
    grid = np.linspace(-2, 2, 401)
    costs = [metrics.pinball(np.full_like(data, q), data, 0.8) for q in grid]
    assert grid[np.argmin(costs)] == pytest.approx(np.quantile(data, 0.8), abs=0.02)


def test_coverage_counts_its_bounds_in() -> None:
    assert metrics.coverage([0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 1.0, -0.1, NAN]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="1 lower bounds lie above their upper bounds"):
        metrics.coverage([0.0, 2.0], [1.0, 1.0], [0.5, 0.5])


def test_likelihood_measures_agree() -> None:
    chances = np.array([0.5, 0.25, 0.125])
    assert metrics.nll(np.log(chances)) == pytest.approx(2 * math.log(2))
    assert metrics.perplexity([*np.log(chances), NAN]) == pytest.approx(4)
    assert metrics.bits_per_character(np.log(chances)) == pytest.approx(2)
    assert metrics.perplexity([0.0]) == 1
    with pytest.raises(ValueError, match="none of 1 values is known"):
        metrics.nll([NAN])


def test_macro_f1_by_hand() -> None:
    truth, guess = list("aaaaabbc"), list("aaabbbad")
    f1 = {"a": 6 / 9, "b": 2 / 5, "c": 0.0, "d": 0.0}
    assert metrics.macro_f1(guess, truth) == pytest.approx(sum(f1.values()) / 4)
    assert metrics.accuracy(guess, truth) == 4 / 8
    assert metrics.macro_f1(truth, truth) == metrics.accuracy(truth, truth) == 1


@pytest.mark.parametrize("metric", OF_PAIRS)
def test_unknown_targets_are_left_out(metric) -> None:
    guess, truth = RNG.integers(0, 3, (2, 30)).astype(float)
    gaps = RNG.random(30) < 0.4
    assert metric(np.where(gaps, NAN, guess), np.where(gaps, NAN, truth)) == pytest.approx(
        metric(guess[~gaps], truth[~gaps])
    )


@pytest.mark.parametrize("metric", OF_PAIRS)
def test_what_cannot_be_compared_is_refused(metric) -> None:
    with pytest.raises(ValueError, match=r"prediction has shape \(3,\) and target \(3, 1\)"):
        metric([1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]])
    with pytest.raises(ValueError, match="none of 2 targets is known"):
        metric([1.0, 2.0], [NAN, NAN])
    with pytest.raises(ValueError, match="none of 0 targets is known"):
        metric([], [])
    with pytest.raises(ValueError, match=r"prediction\[0, 1\] is NaN where the target is known \(1 such\)"):
        metric([[1.0, NAN]], [[1.0, 2.0]])


@pytest.mark.parametrize("metric", OF_NUMBERS)
def test_narrow_types_do_not_wrap_round(metric) -> None:
    guess, truth = np.array([3, 250], np.uint8), np.array([5, 1], np.uint8)
    assert metric(guess, truth) == pytest.approx(metric(guess.astype(float), truth.astype(float)))


def test_tensors_and_lists_are_taken() -> None:
    assert metrics.mae(torch.tensor([1.0, 2.0]), [1, 4]) == 1
    assert metrics.mse(1.0, 3.0) == 4


def test_each_series_has_its_own_smape_and_mase_whatever_its_length() -> None:
    rng = np.random.default_rng(1)
    lengths = [1, 6, 48, 3]
    guess, truth = ([rng.normal(size=n) for n in lengths] for _ in range(2))
    training = [rng.normal(size=30 + n).cumsum() for n in lengths]
    np.testing.assert_array_equal(
        metrics.smape_each(guess, truth), [metrics.smape(g, t) for g, t in zip(guess, truth, strict=True)]
    )
    alone = [metrics.mase(g, t, x, 7) for g, t, x in zip(guess, truth, training, strict=True)]
    np.testing.assert_allclose(metrics.mase_each(guess, truth, training, 7), alone)


def test_each_series_without_a_number_has_none() -> None:
    guess, truth = [[1.0], [1.0], [2.0]], [[3.0], [NAN], [1.0]]
    np.testing.assert_array_equal(metrics.smape_each(guess, truth), [100, NAN, 200 / 3])
    training = [[1.0, 3.0], [1.0, 3.0], [5.0, 5.0]]  # the last has no scale
    np.testing.assert_array_equal(metrics.mase_each(guess, truth, training), [1, NAN, NAN])
    np.testing.assert_array_equal(metrics.mase_each(guess, truth, [[1.0], [1.0], [1.0, 2.0]]), [NAN, NAN, 1])


def test_each_names_the_series_that_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"series 1: prediction\[0\] is NaN"):
        metrics.smape_each([[1.0], [NAN]], [[1.0], [1.0]])
    with pytest.raises(ValueError, match=r"series 0: prediction has shape \(2,\)"):
        metrics.mase_each([[1.0, 2.0]], [[1.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="2 predictions and 1 targets"):
        metrics.smape_each([[1.0], [1.0]], [[1.0]])
    with pytest.raises(ValueError, match="1 series ask for one insample each, found 2"):
        metrics.mase_each([[1.0]], [[1.0]], [[1.0, 2.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match=r"insample of series 0 must be \(time,\), found \(1, 2\)"):
        metrics.mase_each([[1.0]], [[1.0]], [[[1.0, 2.0]]])


def test_msis_by_hand() -> None:
    low, high, series, level = GUESS - 0.5, GUESS + 0.5, insamples(), 0.8
    rows = []
    for k, x in enumerate(series):
        scale = np.mean([abs(x[t] - x[t - 4]) for t in range(4, len(x))])
        costs = []
        for lower, upper, y in zip(low[k], high[k], TRUTH[k], strict=True):
            costs.append(upper - lower)
            if y < lower:
                costs[-1] += 2 / 0.2 * (lower - y)
            if y > upper:
                costs[-1] += 2 / 0.2 * (y - upper)
        rows.append(np.mean(costs) / scale)
        assert metrics.msis(low[k], high[k], TRUTH[k], x, 4, level) == pytest.approx(rows[-1])
    assert metrics.msis(low, high, TRUTH, series, 4, level) == pytest.approx(np.mean(rows))


def test_msis_is_least_at_the_interval_of_its_level() -> None:
    data = np.random.default_rng(2).normal(size=4001)
    widths = np.linspace(0.5, 3, 251)
    costs = [metrics.msis(np.full_like(data, -w), np.full_like(data, w), data, data, 1, 0.9) for w in widths]
    assert widths[np.argmin(costs)] == pytest.approx(np.quantile(np.abs(data), 0.9), abs=0.02)


def test_msis_refuses_what_is_no_interval() -> None:
    for level in (0.0, 1.0, 95, NAN):
        with pytest.raises(ValueError, match=f"level must lie between 0 and 1, found {level}"):
            metrics.msis([0.0], [1.0], [1.0], [1.0, 2.0], level=level)
    with pytest.raises(ValueError, match="msis: 1 lower bounds lie above"):
        metrics.msis([2.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="msis: series 0 repeats itself"):
        metrics.msis([0.0], [1.0], [1.0], [1.0, 1.0])


def test_direction_counts_the_moves_foretold() -> None:
    assert metrics.direction([6.0, 4.0, 9.0, 5.0], [7.0, 7.0, 5.0, 4.0], last=5.0) == pytest.approx(1 / 3)
    assert metrics.direction([6.0, 4.0], [NAN, 1.0], last=5.0) == 1
    assert metrics.direction(TRUTH, TRUTH, last=TRUTH.mean(axis=1)) == 1
    naive = np.repeat(TRUTH[:, :1], 7, axis=1)
    assert metrics.direction(naive, TRUTH, last=TRUTH[:, 0]) == 0
    walk = np.random.default_rng(3).normal(size=40).cumsum()  # one step ahead, each from the value before
    assert metrics.direction(walk[:-1] + np.diff(walk) * 0.1, walk[1:], last=walk[:-1]) == 1


def test_direction_says_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="no target differs from the last value"):
        metrics.direction([1.0, 2.0], [3.0, 3.0], last=3.0)
    with pytest.raises(ValueError, match=r"one value a series, \(5,\), found shape \(7,\)"):
        metrics.direction(GUESS, TRUTH, last=np.zeros(7))
    with pytest.raises(ValueError, match="last is NaN where the target is known"):
        metrics.direction([1.0], [2.0], last=NAN)


def test_f1_auroc_and_calibration_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score, roc_auc_score

    random = np.random.default_rng(4)
    truth, score = random.integers(0, 2, 200), random.integers(0, 20, 200) / 20  # with ties
    guess = (score > 0.4).astype(int)
    for positive in (0, 1):
        assert metrics.f1(guess, truth, positive) == pytest.approx(f1_score(truth, guess, pos_label=positive))
    assert metrics.auroc(score, truth) == pytest.approx(roc_auc_score(truth, score))
    assert metrics.auroc(truth, truth) == 1
    assert metrics.auroc(-truth, truth) == 0
    assert metrics.f1(["a"], ["a"], positive="b") == 0


def test_auroc_needs_both_classes() -> None:
    for target in ([1, 1], [0, 0], [0, 2]):
        with pytest.raises(ValueError, match="auroc: targets must be 0 and 1, both of them"):
            metrics.auroc([0.1, 0.2], target)


def test_calibration_error_by_hand() -> None:
    sure = [0.95, 0.95, 0.95, 0.95, 0.55, 0.55, 1.0]
    right = [1, 1, 1, 0, 1, 0, 1]
    expected = (abs((3 + 1) - (4 * 0.95 + 1.0)) + abs(1 - 1.1)) / 7
    assert metrics.calibration_error(sure, right, bins=10) == pytest.approx(expected)
    random = np.random.default_rng(5)
    p = random.uniform(0.5, 1, 20_000)
    assert metrics.calibration_error(p, random.random(20_000) < p) < 0.02
    assert metrics.calibration_error(p, random.random(20_000) < p - 0.3) == pytest.approx(0.3, abs=0.02)
