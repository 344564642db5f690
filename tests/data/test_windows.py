"""Windows: what goes in lies before the origin, what is learnt lies before the part that is held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import Series
from ostinato.data.batches import TensorBatches
from ostinato.data.outlook import Outlook
from ostinato.data.windows import Windows, growth_of


def series_of(size: int, seed: int = 0) -> Series:
    return Series.of(np.random.default_rng(seed).normal(size=size).cumsum() + 50)


def windows_of(series: Series, outlook: Outlook, origins: np.ndarray, look_back: int = 10) -> Windows:
    return Windows(series, outlook, look_back, origins, np.ones(outlook.horizon), gaps=True)


@given(st.integers(3, 60), st.integers(1, 9), st.integers(2, 30), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_what_goes_in_lies_before_the_origin(origin: int, horizon: int, look_back: int, seed: int) -> None:
    series = series_of(70, seed)
    outlook = Outlook.of(series.head(origin), horizon, [4.0])
    values = series.values.copy()
    values[origin:] = 1e6
    told, other = (
        windows_of(each, outlook, np.array([origin]), look_back)[torch.tensor([0])]
        for each in (series, replace(series, values=values))
    )
    torch.testing.assert_close(told["x"], other["x"], rtol=0, atol=0)
    assert torch.isfinite(told["x"]).all()


def test_targets_restore_to_the_truth() -> None:
    series = series_of(80)
    outlook = Outlook.of(series, 5, [4.0])
    origins = np.array([20, 40, 75])
    windows = windows_of(series, outlook, origins)
    residual = windows.target.double().numpy() * windows.view.scale[:, None]
    restored = outlook.restored(windows.view.base + residual, series.start + origins)
    for row, origin in zip(restored, origins, strict=True):
        np.testing.assert_allclose(row, series.values[origin : origin + 5], rtol=1e-5)


def test_what_was_not_observed_is_masked() -> None:
    values = series_of(40).values.copy()
    values[[22, 30]] = np.nan
    series = Series.of(values)
    windows = windows_of(series, Outlook.of(series, 4, []), np.array([21, 28, 38]))
    assert windows.mask.tolist() == [
        [True, False, True, True],
        [True, True, False, True],
        [True, True, False, False],
    ]
    batch = windows[torch.tensor([1])]
    assert batch["x"][0, :, -1].tolist() == [float(not np.isnan(v)) for v in values[18:28]]


def test_short_windows_at_the_begin_say_their_length() -> None:
    windows = windows_of(series_of(40), Outlook.of(series_of(40), 2, []), np.array([3, 30]))
    assert windows[torch.tensor([0, 1])]["lengths"].tolist() == [3, 10]
    assert "lengths" not in windows[torch.tensor([1])]


def test_growth_follows_the_errors_and_bridges_what_was_not_seen() -> None:
    errors = np.array([[1.0, 2.0, 3.0, 0.0]] * 4)
    known = np.array([[True, True, True, False]] * 4)
    assert growth_of(errors, known).tolist() == [1, 2, 3, 3]
    assert growth_of(errors, np.zeros_like(known)).tolist() == [1, 1, 1, 1]


class TestBatches:
    rows = torch.utils.data.TensorDataset(torch.arange(23))

    def epoch(self, number: int, seed: int = 0, first: int = 0, **options: object) -> list[list[int]]:
        return [x.tolist() for (x,) in TensorBatches(self.rows, 5, seed, **options).epoch(number, first)]  # type: ignore[arg-type]

    def test_an_epoch_has_each_row_once(self) -> None:
        assert sorted(sum(self.epoch(3), [])) == list(range(23))  # noqa: RUF017

    def test_the_order_depends_on_seed_and_epoch_alone(self) -> None:
        assert self.epoch(3) == self.epoch(3)
        assert self.epoch(3) != self.epoch(4)
        assert self.epoch(3, seed=1) != self.epoch(3)

    @pytest.mark.parametrize("first", range(6))
    def test_an_epoch_can_be_entered_anywhere(self, first: int) -> None:
        assert self.epoch(2, first=first) == self.epoch(2)[first:]

    def test_most_and_among(self) -> None:
        assert len(self.epoch(0, most=2)) == 2
        assert self.epoch(0, most=2) != self.epoch(1, most=2)
        assert sorted(sum(self.epoch(0, among=torch.tensor([4, 7])), [])) == [4, 7]  # noqa: RUF017
        assert self.epoch(0, shuffle=False)[0] == [0, 1, 2, 3, 4]

    def test_no_rows_in_a_batch_are_refused(self) -> None:
        with pytest.raises(ValueError, match="batch_size"):
            TensorBatches(self.rows, 0)
