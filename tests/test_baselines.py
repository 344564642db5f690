"""Classical baselines and the feed-forward network: what they answer, and what they refuse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato import baselines, heads, metrics
from ostinato.baselines import Baseline, FeedForward, budget
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


# The budget ----------------------------------------------------------------------------------------

SLOW = """
import os, sys, time
from pathlib import Path
from ostinato.baselines.baseline import Baseline

class Slow(Baseline):
    name = "test-slow"

    @staticmethod
    def cost(time, season):
        return float(season)

    def forecast(self, x, horizon):
        print("a library speaks")
        self.say(f"torch {'torch' in sys.modules}")
        if x[0] == -1:
            raise ValueError("-1 is\\nrefused")
        if x[0] == -2:
            os._exit(1)
        if x[0] < -2:
            Path("process").write_text(str(os.getpid()))
            time.sleep(60)
        return x[-1] + 0.1 * x[:horizon]
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A method that other processes can import; a first value below 0 has it misbehave."""
    (tmp_path / "slow_method.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    import_module("slow_method")
    yield "test-slow"
    del sys.modules["slow_method"]
    baselines.baseline._REGISTRY.pop("test-slow")


def test_a_cheap_method_forecasts_all_of_them() -> None:
    histories = [np.arange(n + 1.0) for n in range(5)]
    found, note = budget.forecasts("naive", histories, 1, 2, seconds=0)
    np.testing.assert_array_equal(found, [[n, n] for n in range(5)])
    assert note == ""


def test_the_choice_is_every_kth_and_fits_the_budget() -> None:
    costs = RNG.uniform(1, 20, size=100).tolist()
    for seconds in (5.0, 50.0, 500.0, 5000.0):
        rows = budget.chosen(costs, seconds)
        assert rows == budget.chosen(costs, seconds)
        assert rows == range(0, 100, rows.step)
        assert sum(costs[row] for row in rows) / budget.PROCESSES <= seconds
        if rows.step > 1:
            assert sum(costs[:: rows.step - 1]) / budget.PROCESSES > seconds
    assert budget.chosen(costs, 5000.0) == range(100)
    assert len(budget.chosen(costs, 0.1)) == len(budget.chosen([], 1.0)) == 0


def test_processes_answer_what_this_one_would(slow: str) -> None:
    histories = [RNG.uniform(1, 2, size=5 + row) for row in range(7)]
    histories[2][3] = NAN
    found, note = budget.forecasts(slow, histories, season=4, horizon=5, seconds=8)
    assert [row for row, values in enumerate(found) if values is not None] == [0, 2, 4, 6]
    for row in (0, 2, 4, 6):
        np.testing.assert_array_equal(found[row], baselines.get(slow)().fit(histories[row], 4).predict(5))
    assert (
        note
        == "test-slow was run on 4 of 7 series: all would take about 14 s; test-slow: torch False (4 of 4 forecasts)"
    )


def test_a_series_that_fails_costs_no_other(slow: str) -> None:
    histories = [np.array([first, 1.0]) for first in (-1.0, 0.0, -2.0, 0.0)]
    found, note = budget.forecasts(slow, histories, season=4, horizon=1, seconds=30)
    assert [values is None for values in found] == [True, False, True, False]
    assert "1 of 4 series had not come after 90 s or were lost" in note
    assert "-1 is refused (1 of 4 forecasts)" in note


def test_it_stops_hard(slow: str) -> None:
    begun = time.monotonic()
    found, note = budget.forecasts(slow, [np.array([1.0]), np.array([-3.0])], season=1, horizon=1, seconds=2)
    assert time.monotonic() - begun < 20
    assert found[1] is None
    assert "had not come after 6 s" in note
    assert ended(int(Path("process").read_text()))


def test_what_does_not_fit_is_left_out_without_a_process(slow: str) -> None:
    found, note = budget.forecasts(slow, [np.array([-3.0])] * 3, season=4, horizon=1, seconds=1)
    assert found == [None] * 3
    assert note == "test-slow was run on 0 of 3 series: all would take about 6 s"


def test_the_processes_end_with_their_parent(slow: str) -> None:
    code = (
        "import sys, numpy as np; sys.path.insert(0, '.'); import slow_method; from ostinato.baselines import budget\n"
        "budget.forecasts('test-slow', [np.array([-3.0])], 1, 1, 60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert before(lambda: Path("process").exists() and Path("process").read_text())
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert ended(int(Path("process").read_text()))


def before(condition, seconds: float = 30) -> bool:
    """Whether it comes true before so many seconds are over."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


def ended(process: int) -> bool:
    def gone() -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{process}/stat")  # one that nobody waits for stays in the table
        return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z"

    return before(gone, 10)


@pytest.mark.parametrize(("season", "horizon", "seconds"), [(0, 1, 1), (1, -1, 1), (1, 1, -1), (1, 1, NAN)])
def test_a_budget_that_is_none_is_refused(season: int, horizon: int, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"found season={season}, horizon={horizon}, seconds={seconds}"):
        budget.forecasts("naive", [np.ones(3)], season, horizon, seconds)
    with pytest.raises(ValueError, match="did you mean 'naive'"):
        budget.forecasts("naiv", [np.ones(3)], 1, 1, 1)


# The feed-forward network ---------------------------------------------------------------------


def by_hand(network: FeedForward, steps: torch.Tensor) -> torch.Tensor:
    """The network on one window, (<= window, inputs)."""
    missing = torch.zeros(network.window - len(steps), network.inputs, dtype=steps.dtype)
    return network.layers(torch.cat([missing, steps]).flatten())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("time", [0, 1, 4, 5, 11])
def test_it_sees_the_last_window(time: int) -> None:
    network, x = FeedForward(3, window=5, hidden_size=8).double(), torch.randn(2, time, 3, dtype=torch.float64)
    for row in (0, 1):
        torch.testing.assert_close(network(x)[row], by_hand(network, x[row, -5:]))


def test_padding_changes_nothing() -> None:
    network, lengths = FeedForward(3, window=5, hidden_size=8).double(), [11, 0, 3, 7]
    x = torch.randn(4, 11, 3, dtype=torch.float64)
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan
    x.requires_grad_()
    output = network(x, lengths)
    output.sum().backward()
    for row, length in enumerate(lengths):
        torch.testing.assert_close(output[row], by_hand(network, x[row, max(length - 5, 0) : length]))
        assert (x.grad[row, length:] == 0).all()
        assert x.grad[row].isfinite().all()


@pytest.mark.parametrize("ahead", [0, 2, 4])
def test_a_window_slides_along(ahead: int) -> None:
    network = FeedForward(3, window=5, hidden_size=8, each_step=True, ahead=ahead).double()
    lengths = [9, 0, 4]
    x = torch.randn(3, 9, 3, dtype=torch.float64)
    output = network(x, lengths)
    for row, length in enumerate(lengths):
        for t in range(length):
            around = torch.zeros(5 + 9 + 5, 3, dtype=torch.float64)
            around[5 : 5 + length] = x[row, :length]
            torch.testing.assert_close(output[row, t], by_hand(network, around[t + ahead + 1 : t + ahead + 6]))
        assert (output[row, length:] == 0).all()
    torch.testing.assert_close(network(x)[0], output[0])


def test_gradient_by_finite_differences() -> None:
    network = FeedForward(2, window=3, hidden_size=4).double()
    x = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: network(x, [5, 1, 3]), x)


def test_depth_and_dropout() -> None:
    network = FeedForward(2, window=3, hidden_size=4, num_layers=3, dropout=0.5)
    assert [type(layer).__name__ for layer in network.layers] == [
        *("Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU")
    ]
    x = torch.randn(50, 5, 2)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": 0}, "inputs must be"),
        ({"window": 2.5}, "window must be"),
        ({"hidden_size": -1}, "hidden_size must be"),
        ({"num_layers": 0}, "num_layers must be"),
        ({"ahead": 1}, r"ahead must lie in 0..0 \(above 0 only with each_step\), found 1"),
        ({"ahead": 4, "each_step": True}, r"ahead must lie in 0..3"),
    ],
)
def test_wrong_sizes_are_named(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=f"FeedForward: {words}"):
        FeedForward(**({"inputs": 2, "window": 4} | arguments))


def test_wrong_input_is_named() -> None:
    network = FeedForward(2, window=4)
    with pytest.raises(ValueError, match=r"x must be \(batch, time, 2\), found \(3, 5, 1\)"):
        network(torch.randn(3, 5, 1))
    with pytest.raises(ValueError, match=r"lengths\[1\] is 6, outside 0..5"):
        network(torch.randn(2, 5, 2), [5, 6])


def test_with_a_head_it_learns_what_lies_in_its_window_and_nothing_older() -> None:
    x = torch.randn(256, 10, 1)
    error = {}
    for lag in (3, 9):
        encoder = FeedForward(1, window=4, hidden_size=32)
        head = heads.build("point", encoder.hidden_size, 1)
        optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], 0.01)
        for _ in range(150):
            optimiser.zero_grad()
            total, count = head.loss(head(encoder(x)), x[:, -lag])
            (total / count).backward()
            optimiser.step()
        fresh = torch.randn(256, 10, 1)
        error[lag] = (head.predict(head(encoder(fresh))) - fresh[:, -lag]).square().mean().item()
    assert error[3] < 0.1
    assert error[9] > 0.9
