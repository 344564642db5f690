"""The grid of time: steps to moments and back, for every unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data.frequency import Frequency, IrregularError, infer, parse

GRIDS = {
    "monthly": Frequency("month", 1), "month ends": Frequency("month", 1, 0, 31 * 86_400_000_000),
    "quarterly": Frequency("month", 3, 2), "yearly": Frequency("month", 12, 6), "business": Frequency("business", 1),
    "daily": Frequency("fixed", 86_400_000_000), "weekly": Frequency("fixed", 7 * 86_400_000_000, 3 * 86_400_000_000),
    "hourly": Frequency("fixed", 3_600_000_000, 1_800_000_000), "counts": Frequency("count", 2, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
@given(first=st.integers(-3000, 3000))
def test_there_and_back(name: str, first: int) -> None:
    grid, steps = GRIDS[name], np.arange(first, first + 40)
    times = grid.times(steps)
    np.testing.assert_array_equal(grid.steps(times), steps)
    assert not len(grid.off_grid(times))
    assert infer(times) == grid


@pytest.mark.parametrize("name", [name for name in GRIDS if name != "business"])
def test_a_gap_does_not_change_the_grid(name: str) -> None:
    times = GRIDS[name].times(np.array([0, 1, 2, 3, 7, 8, 9, 10]))
    assert infer(times) == GRIDS[name]


def test_months_whose_day_drifts_a_little_are_months() -> None:
    times = np.array(["2024-01-02", "2024-02-01", "2024-03-01", "2024-04-02"], "M8[us]")
    assert infer(times).words == "monthly"


def test_forty_days_are_no_month() -> None:
    times = np.datetime64("2024-01-01", "us") + np.arange(6) * np.timedelta64(40, "D")
    assert infer(times).words == "every 40 days"


def test_no_grid() -> None:
    days = np.cumsum([0.0, 1, 1, 1, 1.37, 4.2, 1])
    times = np.datetime64("2024-01-01", "us") + (days * 86_400_000_000).astype("m8[us]")
    with pytest.raises(IrregularError) as error:
        infer(times)
    assert error.value.place == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("D", "daily"), ("h", "hourly"), ("15min", "every 15 minutes"), ("M", "monthly"), ("MS", "monthly"),
        ("QS-JAN", "quarterly"), ("W-SUN", "weekly"), ("weekly", "weekly"), ("B", "business days"),
        ("2Y", "every 24 months"), ("days", "daily"),
    ],
)  # fmt: skip
def test_words(text: str, words: str) -> None:
    assert parse(text, np.array(["2024-01-01"], "M8[us]")).words == words


@pytest.mark.parametrize(
    ("grid", "periods"),
    [("monthly", [12.0]), ("quarterly", [4.0]), ("yearly", []), ("hourly", [24.0, 168.0]), ("business", [5.0, 260.9]),
     ("counts", []), ("daily", [7.0, 365.25])],
)  # fmt: skip
def test_calendar_seasons(grid: str, periods: list[float]) -> None:
    assert GRIDS[grid].periods() == periods


@pytest.mark.parametrize("bad", [("day", 1, 0, 0), ("fixed", 0, 0, 0), ("fixed", 1, 1, 0), ("month", 1.0, 0, 0)])
def test_a_grid_from_a_file_is_checked(bad: tuple[str, int, int, int]) -> None:
    with pytest.raises(ValueError, match="no grid"):
        Frequency.checked(*bad)
