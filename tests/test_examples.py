"""The examples run, and show what they say they show."""

from examples import accelerate, forecast_sunspots, own_cell, stream_without_torch


def test_a_model_of_torch_is_accelerated():
    assert accelerate.main(batch=8, longest=20) < 1e-5


def test_a_cell_of_ones_own_learns():
    assert own_cell.main(steps=150) < 1 / 12 / 2


def test_streaming_equals_the_whole_sequence():
    assert stream_without_torch.main() < 1e-6


def test_the_sunspots_are_forecast():
    ours, naive = forecast_sunspots.main(epochs=3)
    assert 0 < ours < 2 * naive
