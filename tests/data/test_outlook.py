"""Seasons and the statistical forecast: exact where they can be, causal always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import Series
from ostinato.data.outlook import PRIOR, WAYS, Outlook, continuations
from ostinato.data.seasons import cycle, guess, phase, profile, strength, trend

T = np.arange(240)
WAVE = np.tile([3.0, 1.0, -2.0, 0.0, 4.0, -6.0, 1.0, 2.0, -3.0, 0.0, 5.0, -5.0], 20)


def noise(seed: int, size: int = 240) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


@pytest.mark.parametrize("period", [3, 4, 12, 99, 100, 101, 168])
def test_trend_is_the_centred_mean(period: int) -> None:
    x = noise(0, 400)
    found = trend(x, period)
    middle = 200
    half = period // 2
    whole = x[middle - half : middle + half + 1].copy()
    if period % 2 == 0:
        whole[[0, -1]] /= 2
    assert found[middle] == pytest.approx(whole.sum() / period)
    assert np.isnan(found[:half]).all()
    assert np.isfinite(found[half : len(x) - half]).all()


def test_a_season_is_found_exactly() -> None:
    np.testing.assert_allclose(profile(WAVE + T / 10, T, 12.0), WAVE[:12] - WAVE[:12].mean(), atol=1e-9)


def test_a_season_that_is_not_there_is_nearly_nothing() -> None:
    sizes = [np.abs(profile(noise(seed), T, 12.0)).mean() for seed in range(20)]
    raw = [np.abs(noise(seed).reshape(20, 12).mean(0)).mean() for seed in range(20)]
    assert np.mean(sizes) < 0.6 * np.mean(raw)
    assert strength(WAVE + 0.1 * noise(1), T, 12.0) > 0.9
    assert strength(noise(2), T, 12.0) < 0.1


def test_a_period_need_not_be_whole() -> None:
    steps = np.arange(3000)
    places = phase(steps, 52.18)
    assert (places.min(), places.max()) == (0, 51)
    x = np.sin(2 * np.pi * steps / 52.18)
    assert strength(x, steps, 52.18) > 0.98
    assert strength(x, steps, 52.0) < strength(x, steps, 52.18)


@pytest.mark.parametrize("period", [5, 11, 24, 60])
def test_cycles_by_autocorrelation(period: int) -> None:
    x = np.sin(2 * np.pi * np.arange(400) / period) + 0.3 * noise(3, 400)
    assert cycle(x) == period


@pytest.mark.parametrize("x", [np.zeros(100), np.arange(100.0), noise(4), np.cumsum(noise(5)), np.ones(2), np.ones(1)])
def test_no_cycle(x: np.ndarray) -> None:
    assert cycle(x) is None


def test_the_stronger_season_comes_first() -> None:
    steps = np.arange(2000)
    weekly = np.where(steps % 168 < 48, 5.0, 0.0)
    daily = np.sin(2 * np.pi * steps / 24)
    assert guess(weekly + daily, steps, [24.0, 168.0])[0] == [168.0, 24.0]
    assert guess(5 * daily + 0.1 * weekly, steps, [24.0, 168.0])[0] == [24.0, 168.0]


@given(st.integers(5, 60), st.integers(1, 12), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_continuations_know_nothing_of_what_comes(origin: int, horizon: int, seed: int) -> None:
    x = noise(seed, 80)
    changed = x.copy()
    changed[origin:] = 1e9
    places = np.array([origin])
    np.testing.assert_array_equal(continuations(x, places, horizon), continuations(changed, places, horizon))


def test_weights_are_a_mixture() -> None:
    found = Outlook.of(Series.of(noise(6).cumsum()), 12, [12.0])
    assert len(found.weights) == len(WAYS) == len(PRIOR)
    assert found.weights.min() >= 0
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "values",
    [np.full(60, 7.0), np.zeros(60), np.array([3.0, 4.0]), np.array([5.0]), np.array([1e99, 2e99, 3e99] * 9),
     -np.arange(1.0, 50), np.array([0.0] * 30 + [1.0] + [0.0] * 30)],
    ids=["constant", "zeros", "two", "one", "huge", "negative", "intermittent"],
)  # fmt: skip
def test_odd_series_have_a_finite_outlook(values: np.ndarray) -> None:
    found = Outlook.of(Series.of(values), 6, [12.0])
    assert np.isfinite(found.forecast(Series.of(values))).all()


def test_growth_is_forecast_on_logarithms() -> None:
    values = 100 * np.exp(T[:120] / 60) * (1 + 0.3 * np.sin(T[:120] * np.pi / 6))
    found = Outlook.of(Series.of(values[:96]), 24, [12.0])
    assert found.log
    np.testing.assert_allclose(found.forecast(Series.of(values[:96])), values[96:], rtol=0.06)


def test_restoring_undoes_transforming() -> None:
    series = Series.of(np.exp(WAVE / 10 + T / 100))
    found = Outlook.of(series.head(200), 24, [12.0], log=True)
    d = found.transformed(series)
    origins = np.array([100, 150])
    ahead = np.stack([d[k : k + 24] for k in origins])
    truth = np.stack([series.values[k : k + 24] for k in origins])
    np.testing.assert_allclose(found.restored(ahead, series.start + origins), truth, rtol=1e-10)
