"""Classical baselines and the feed-forward network: what they answer, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato import baselines, heads
from ostinato.baselines import Baseline, FeedForward

NAN = float("nan")
RNG = np.random.default_rng(0)
every_baseline = pytest.mark.parametrize("name", baselines.names())


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


@every_baseline
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
    with pytest.raises(ValueError, match=r"known: .*drift, naive, seasonal_naive"):
        baselines.get("xyz")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match=r"baseline 'naive' is registered already, by .*Naive"):

        class Impostor(Baseline):
            name = "naive"


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
