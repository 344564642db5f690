"""Naive ways to go on, against a loop that reads off one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.ways import Ways, names, views

PERIODS = [3.0, 7.0]
LOOK_BACK = 16


def slow(name: str, y: list[float], horizon: int, span: int, look_back: int) -> list[float]:
    """One series up to its origin -> what a way says."""

    def level(values: list[float]) -> float:
        recent = values[-span:]
        return sum(recent) / len(recent)

    kind, _, number = name.partition(" ")
    if kind == "last":
        return [y[-1]] * horizon
    if kind == "level":
        return [level(y)] * horizon
    period, told = int(number), []
    for h in range(horizon):
        if kind == "usual":
            places = [len(y) + h % period - m * period for m in range(1, look_back // period + 1)]
            same = [y[place] for place in places if place >= 0]
            told.append(sum(same) / len(same) if same else y[-1])
            continue
        place = len(y) + h
        while place >= len(y):
            place -= period
        again = y[place] if place >= 0 else y[-1]
        lift = level(y) - level(y[: len(y) - period]) if kind == "moved" and len(y) > period else 0.0
        told.append(again + lift)
    return told


@given(
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=4), horizon=st.integers(1, 9),
    periods=st.sampled_from([[], [1.0], [3.0], PERIODS, [4.4, 2.6]]), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_ways_are_those_of_a_slow_loop(lengths: list[int], horizon: int, periods: list[float], seed: int) -> None:
    draw = np.random.default_rng(seed)
    series = [draw.normal(size=n + 3) for n in lengths]
    begin = np.cumsum([0, *[len(y) for y in series]])[:-1]
    asked = names(periods, LOOK_BACK)
    ways = Ways(asked, periods, horizon, LOOK_BACK)
    span = int(periods[0] + 0.5) if periods else 16
    d, first = torch.from_numpy(np.concatenate(series)), torch.from_numpy(begin)[:, None]
    found = ways(d, first, first + torch.tensor(lengths)[:, None])
    assert found.shape == (len(lengths), horizon, len(asked))
    for row, (y, n) in enumerate(zip(series, lengths, strict=True)):
        expected = [slow(name, y[:n].tolist(), horizon, span, LOOK_BACK) for name in asked]
        np.testing.assert_allclose(found[row].T, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["season 4", "moved 4", "usual 4"])
def test_a_season_goes_on_exactly(name: str) -> None:
    y = torch.tensor([5.0, 1.0, 3.0, 8.0]).repeat(6)
    found = Ways((name,), [4.0], horizon=11, look_back=8)(y, torch.tensor([[0]]), torch.tensor([[9]]))
    torch.testing.assert_close(found[0, :, 0], y[9:20])


def test_a_season_is_lifted_by_as_much_as_the_level_has_moved() -> None:
    y = torch.arange(20.0)
    moved = Ways(("moved 4",), [4.0], horizon=4, look_back=8)(y, torch.tensor([[0]]), torch.tensor([[20]]))
    assert moved[0, :, 0].tolist() == [20, 21, 22, 23]


def test_a_usual_season_is_the_mean_of_those_in_the_window() -> None:
    y = torch.tensor([99.0, 99.0, 1.0, 2.0, 3.0, 6.0, 5.0, 4.0])
    usual = Ways(("usual 2",), [2.0], horizon=3, look_back=6)(y, torch.tensor([[0]]), torch.tensor([[8]]))
    assert usual[0, :, 0].tolist() == [3, 4, 3]


def test_views_differ_and_the_first_is_all_ways() -> None:
    seen = views(names([24.0, 168.0], 336))
    assert seen[0] == tuple(range(8))
    assert len(set(seen)) == len(seen) == 3
    assert views(names([12.0], 12)) == ((0, 1, 2, 3), (1,))  # one season is not a usual one
    assert views(("last", "level")) == ((0, 1),)


@pytest.mark.parametrize(
    ("periods", "look_back", "expected"),
    [
        ([], 10, ("last", "level")),
        ([12.0], 11, ("last", "level")),
        ([12.0], 12, ("season 12", "level", "last", "moved 12")),
        ([12.0], 24, ("season 12", "level", "last", "moved 12", "usual 12")),
        ([7.4, 365.25], 30, ("season 7", "level", "last", "moved 7", "usual 7")),
        ([365.25, 7.4], 30, ("season 7", "level", "last", "moved 7", "usual 7")),
    ],
)
def test_only_seasons_that_a_window_holds_have_a_name(
    periods: list[float], look_back: int, expected: tuple[str, ...]
) -> None:
    assert names(periods, look_back) == expected


@pytest.mark.parametrize("name", ["season", "season 0", "season x", "drift", "moved -3", "last 3", ""])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"no way to go on is called {name!r}"):
        Ways((name,), PERIODS, 3, LOOK_BACK)
