"""The examples run, and show what they say they show."""

from examples import accelerate, correction, forecast_sunspots, own_cell, stream_without_torch


def test_a_model_of_torch_is_accelerated():
    assert accelerate.main(batch=8, longest=20) < 1e-5


def test_a_cell_of_ones_own_learns():
    assert own_cell.main(steps=150) < 1 / 12 / 2


def test_streaming_equals_the_whole_sequence():
    assert stream_without_torch.main() < 1e-6


def test_the_sunspots_are_forecast():
    ours, naive = forecast_sunspots.main(epochs=3)
    assert 0 < ours < 2 * naive


def test_what_comes_after_the_verb_is_read_by_both_directions_alone():
    both, forwards = correction.main(count=600, epochs=15)
    assert both > 0.85
    assert forwards < 0.6  # one of three times, and it cannot know which
