"""Classical baselines and the feed-forward network: what they answer, and what they refuse."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from ostinato import baselines, metrics
from ostinato.baselines import Baseline
from ostinato.baselines.baseline import bridged

NAN = float("nan")
RNG = np.random.default_rng(0)
AUTOMATIC = ["auto_arima", "auto_ets"]
installed = pytest.mark.skipif(find_spec("statsforecast") is None, reason="needs statsforecast")
every_baseline = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[installed] if name in AUTOMATIC else []) for name in baselines.names()]
)


@every_baseline
def test_shapes_follow_the_history(name: str) -> None:
    baseline, x = baselines.get(name)(), RNG.normal(size=(30, 2)).cumsum(0)
    table = baseline.fit(x, season=7).predict(10)
    assert table.shape == (10, 2)
    for column in (0, 1):
        single = baselines.get(name)().fit(x[:, column], season=7).predict(10)
        np.testing.assert_array_equal(single, table[:, column])
    assert baseline.predict(0).shape == (0, 2)
    np.testing.assert_array_equal(baseline.predict(4), table[:4])


@pytest.mark.parametrize("name", ["drift", "markov_chain", "naive", "seasonal_naive"])
def test_it_follows_the_scale_and_the_level(name: str) -> None:
    x = RNG.normal(size=30).cumsum()
    plain = baselines.get(name)().fit(x, season=7).predict(10)
    moved = baselines.get(name)().fit(3 * x + 100, season=7).predict(10)
    np.testing.assert_allclose(moved, 3 * plain + 100)


@every_baseline
def test_a_constant_goes_on(name: str) -> None:
    for history in ([4.0] * 20, [4.0], [NAN, 4.0, NAN, 4.0, NAN]):
        np.testing.assert_array_equal(baselines.get(name)().fit(history, season=3).predict(5), [4.0] * 5)


@every_baseline
def test_it_keeps_its_own_copy_of_the_history(name: str) -> None:
    x = RNG.normal(size=30)
    baseline = baselines.get(name)().fit(x, season=7)
    before = baseline.predict(9)
    x[:] = 0
    np.testing.assert_array_equal(baseline.predict(9), before)


@every_baseline
def test_what_cannot_be_forecast_is_refused(name: str) -> None:
    baseline = baselines.get(name)()
    with pytest.raises(RuntimeError, match=f"{name}: call fit"):
        baseline.predict(3)
    for history, words in (
        ([], "without any observed value"),
        ([NAN, NAN], "without any observed value"),
        ([[1.0, NAN], [2.0, NAN]], "without any observed value"),
        ([1.0, np.inf], "infinite at step 1"),
        (np.zeros((2, 2, 2)), r"found shape \(2, 2, 2\)"),
    ):
        with pytest.raises(ValueError, match=f"{name}: history .*{words}"):
            baseline.fit(history)
    for season in (0, 1.5):
        with pytest.raises(ValueError, match="season must be a whole number of at least 1"):
            baseline.fit([1.0], season=season)
    with pytest.raises(ValueError, match="horizon must be at least 0"):
        baseline.fit([1.0]).predict(-1)


def test_naive_repeats_the_last_observed_value() -> None:
    np.testing.assert_array_equal(baselines.get("naive")().fit([1.0, 7.0, NAN]).predict(3), [7.0] * 3)


def test_seasonal_naive_repeats_a_season_exactly() -> None:
    pattern = RNG.normal(size=7)
    for cut in range(7, 21):
        history, future = np.split(np.tile(pattern, 6), [cut])
        forecast = baselines.get("seasonal_naive")().fit(history, season=7)
        np.testing.assert_array_equal(forecast.predict(len(future)), future)
        assert forecast.notes == ()


def test_seasonal_naive_looks_further_back_over_gaps() -> None:
    history = [1.0, 2.0, NAN, 4.0, NAN, NAN]  # season 3: the places hold (1, 4), (2, -), (-, -)
    np.testing.assert_array_equal(
        baselines.get("seasonal_naive")().fit(history, season=3).predict(4), [4.0, 2.0, 4.0, 4.0]
    )


def test_seasonal_naive_says_that_it_falls_back() -> None:
    baseline = baselines.get("seasonal_naive")().fit([1.0, 2.0], season=12)
    np.testing.assert_array_equal(baseline.predict(3), [2.0] * 3)
    assert "2 steps of history are less than a season of 12" in baseline.notes[0]
    assert baseline.fit([1.0] * 12, season=12).notes == ()


def test_drift_continues_a_line_over_gaps() -> None:
    line = 3.0 - 0.5 * np.arange(12)
    history = line[:8].copy()
    history[[0, 3, 7]] = NAN
    np.testing.assert_allclose(baselines.get("drift")().fit(history).predict(4), line[8:])


def test_an_unknown_baseline_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="baseline 'seasonal-naive' is not registered; did you mean 'seasonal_naive'"):
        baselines.get("seasonal-naive")
    with pytest.raises(ValueError, match=r"known: .*drift, .*naive, .*seasonal_naive"):
        baselines.get("xyz")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match=r"baseline 'naive' is registered already, by .*Naive"):

        class Impostor(Baseline):
            name = "naive"


# The Markov chain -------------------------------------------------------------------------------


def test_a_known_chain_is_recovered() -> None:
    moves = np.array([[0.8, 0.2, 0.0], [0.1, 0.6, 0.3], [0.5, 0.0, 0.5]])
    values = np.array([0.0, 1.0, 5.0])
    rng = np.random.default_rng(0)
    states = [0]
    for _ in range(20_000):
        states.append(rng.choice(3, p=moves[states[-1]]))
    baseline = baselines.get("markov_chain")().fit(values[states])
    expected = [np.linalg.matrix_power(moves, h)[states[-1]] @ values for h in range(1, 9)]
    np.testing.assert_allclose(baseline.predict(8), expected, atol=0.1)
    assert "a chain of values" in baseline.notes[0]


def test_a_gap_breaks_a_transition_and_takes_a_step() -> None:
    cycle = np.tile([0.0, 1.0, 2.0], 200)
    gapped = cycle.copy()
    gapped[np.random.default_rng(0).random(600) < 0.3] = NAN
    gapped[-2:] = NAN  # the last known value is followed by two steps that nobody saw
    gapped[-3] = cycle[-3]
    baseline = baselines.get("markov_chain")().fit(gapped)
    np.testing.assert_allclose(baseline.predict(3), [0.0, 1.0, 2.0], atol=0.1)


@pytest.mark.parametrize(("season", "words"), [(1, "a chain of steps"), (6, "a chain of differences over 6 steps")])
def test_a_chain_of_differences_where_it_errs_less(season: int, words: str) -> None:
    line = np.arange(200) * 2.0 + 20 * np.sin(np.arange(200) * 2 * np.pi / season if season > 1 else 0)
    baseline = baselines.get("markov_chain")().fit(line[:180], season=season)
    np.testing.assert_allclose(baseline.predict(20), line[180:])
    assert words in baseline.notes[0]


def test_a_chain_of_differences_goes_on_over_a_gap_at_the_end() -> None:
    line = np.arange(100.0)
    gapped = np.where(np.arange(100) >= 97, NAN, line)
    np.testing.assert_allclose(baselines.get("markov_chain")().fit(gapped).predict(2), [100.0, 101.0])


@pytest.mark.parametrize("history", [[1.0], [1.0, 2.0], [3.0, NAN, 1.0], [1.0, 2.0, 4.0, 3.0, 5.0]])
@pytest.mark.parametrize("season", [1, 3, 12])
def test_short_histories_make_a_chain_too(history: list[float], season: int) -> None:
    forecast = baselines.get("markov_chain")().fit(history, season=season).predict(6)
    assert forecast.shape == (6,)
    assert np.nanmin(history) <= forecast.min() <= forecast.max() <= np.nanmax(history)


# Naive2 ------------------------------------------------------------------------------------------


def test_naive2_puts_a_multiplicative_season_back() -> None:
    ratios = np.array([0.5, 1.0, 1.5, 1.0])
    history = 10 * np.tile(ratios, 12)[:-2]  # ends in the middle of a season
    np.testing.assert_allclose(
        baselines.get("naive2")().fit(history, season=4).predict(6), 10 * ratios[[2, 3, 0, 1, 2, 3]]
    )
    level = np.linspace(10, 40, 46)
    growing = baselines.get("naive2")().fit(level * np.tile(ratios, 12)[:-2], season=4).predict(4)
    np.testing.assert_allclose(growing, 40 * ratios[[2, 3, 0, 1]], rtol=0.03)


def test_naive2_is_naive_where_no_season_is_proved() -> None:
    noise = 10 + np.random.default_rng(0).normal(size=60)
    for history, season in ((noise, 12), (noise, 1), ([1.0, 9.0] * 2, 2), (np.full(40, 3.0), 4)):
        baseline = baselines.get("naive2")().fit(history, season=season)
        np.testing.assert_array_equal(baseline.predict(3), [history[-1]] * 3)
        assert baseline.notes == ()


def test_naive2_divides_by_nothing_at_or_below_zero() -> None:
    baseline = baselines.get("naive2")().fit(np.tile([0.0, 5.0, 9.0], 10), season=3)
    np.testing.assert_array_equal(baseline.predict(2), [9.0, 9.0])
    assert "values at or below 0" in baseline.notes[0]


def test_naive2_starts_from_the_last_value_that_was_seen() -> None:
    history = 10 * np.tile([0.5, 1.0, 1.5, 1.0], 12)
    history[[7, 20, 46, 47]] = NAN
    np.testing.assert_allclose(baselines.get("naive2")().fit(history, season=4).predict(3), [5.0, 10.0, 15.0])


def test_gaps_are_bridged_within_the_season() -> None:
    season = np.tile([1.0, 8.0, 3.0], 5)
    gapped = season.copy()
    gapped[[0, 4, 5, 14]] = NAN
    np.testing.assert_array_equal(bridged(gapped, 3), season)
    np.testing.assert_array_equal(bridged(np.array([NAN, 1.0, NAN, 3.0, NAN])), [1.0, 1.0, 2.0, 3.0, 3.0])
    assert not np.isnan(bridged(np.array([1.0, NAN, 2.0, NAN]), 2)).any()  # a place that was never seen


# The models of statsforecast ----------------------------------------------------------------------


def trend_and_season(time: int, season: int) -> np.ndarray:
    steps = np.arange(time)
    noise = np.random.default_rng(0).normal(size=time)
    return 100 + 0.5 * steps + 15 * np.sin(2 * np.pi * steps / season) + noise


@pytest.mark.parametrize("name", AUTOMATIC)
@pytest.mark.parametrize(("time", "season"), [(96, 12), (200, 40)])
def test_automatic_models_beat_naive_on_trend_and_season(name: str, time: int, season: int) -> None:
    pytest.importorskip("statsforecast")
    series = trend_and_season(time + season, season)
    history, future = series[:time], series[time:]
    rivals = [baselines.get(rival)().fit(history, season).predict(season) for rival in ("naive", "seasonal_naive")]
    method = baselines.get(name)().fit(history, season)
    assert metrics.mae(method.predict(season), future) < 0.5 * min(metrics.mae(rival, future) for rival in rivals)
    assert ("is taken out first (STL)" in " ".join(method.notes)) == (season > 24)


@pytest.mark.parametrize("name", AUTOMATIC)
def test_automatic_models_bridge_gaps(name: str) -> None:
    pytest.importorskip("statsforecast")
    series = trend_and_season(108, 12)
    gapped = series[:96].copy()
    gapped[[0, 1, 30, 31, 50, 95]] = NAN
    method = baselines.get(name)().fit(gapped, 12)
    assert metrics.mae(method.predict(12), series[96:]) < 5
    assert "gaps were bridged" in method.notes[0]


@pytest.mark.parametrize("name", AUTOMATIC)
def test_automatic_models_answer_odd_histories(name: str) -> None:
    pytest.importorskip("statsforecast")
    histories = ([3.0, 4.0], [1.0, 2.0, 5.0], np.arange(40.0), np.r_[np.zeros(39), 1.0], RNG.normal(size=40) * 1e-200)
    for history in histories:
        for season in (1, 12, 30):
            assert np.isfinite(baselines.get(name)().fit(history, season).predict(3)).all()


@pytest.mark.parametrize("name", AUTOMATIC)
def test_automatic_models_say_what_they_left_out(name: str) -> None:
    pytest.importorskip("statsforecast")
    method = baselines.get(name)().fit(RNG.normal(size=1500))
    assert method.predict(2).shape == (2,)
    assert method.notes == (f"{name}: only the last 1,000 values are used, to stay quick",)
    assert method.cost(1500, 1) == method.cost(1000, 1)
    method.fit(RNG.normal(size=40), season=30).predict(2)
    assert method.notes == (f"{name}: fewer than two seasons of 30 are known, so no season is modelled",)


def test_ets_says_that_a_history_is_too_short_for_it() -> None:
    pytest.importorskip("statsforecast")
    method = baselines.get("auto_ets")().fit([1.0, 2.0, 5.0])
    np.testing.assert_array_equal(method.predict(2), [5.0, 5.0])
    assert "no model could be fitted to this history, so the last value is repeated" in method.notes[0]


@pytest.mark.parametrize("name", AUTOMATIC)
def test_a_missing_library_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    monkeypatch.setitem(sys.modules, "statsforecast.models", None)
    with pytest.raises(ImportError, match=rf"{name} needs statsforecast.*: pip install ostinato\[stats\]"):
        baselines.get(name)().fit(np.arange(9.0)).predict(3)
