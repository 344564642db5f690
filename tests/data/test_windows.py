"""Windows: what goes in lies before the origin, what is told after it, in units of the window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import Panel, Series
from ostinato.data.batches import TensorBatches
from ostinato.data.covariates import Scaling, widths
from ostinato.data.outlook import Outlook
from ostinato.data.windows import Shape, Windows, growth_of

SEASON = 4
BEHIND = ("x", "ways", "still", "clock", "lengths")
WAYS = ("season 4", "level", "last", "moved 4")


def series_of(length: int, seed: int = 0, *, horizon: int = 0, id: str = "", covariates: bool = False) -> Series:
    """A walk from below 0, which has no logarithm, with two past covariates, one future and one static where asked."""
    draw = np.random.default_rng(seed)
    series = Series.of(draw.normal(size=length).cumsum(), id=id)
    series.values[0] = -1
    if not covariates:
        return series
    past, future = draw.normal(size=(length, 2)), draw.normal(size=(length + horizon, 1))
    return replace(series, past=past, future=future, static=draw.normal(size=1))


def shape_of(horizon: int = 3, look_back: int = 12, segment: int = 4, **other: Any) -> Shape:
    return Shape(horizon, look_back, segment, **{"periods": (float(SEASON),), "ways": WAYS, "gaps": False, **other})


def windows_of(
    panel: Panel, origins: list[tuple[int, int]], shape: Shape | None = None, known: list[int] | None = None,
    outlooks: list[Outlook] | None = None, scaling: Scaling | None = None,
) -> Windows:  # fmt: skip
    known = [len(series) for series in panel] if known is None else known
    scaling = scaling or Scaling.of(panel, known)
    return Windows(panel, shape or shape_of(), np.array(origins), known, scaling, outlooks)


def all_of(windows: Windows) -> dict[str, torch.Tensor]:
    return windows[torch.arange(len(windows))]


def heights(x: torch.Tensor, windows: Windows, row: int = 0) -> np.ndarray:
    """d of each step of a window, from its first input."""
    told = windows.shape.moves * 5 * np.sinh(x[row, :, 0].double().numpy() / 5)
    return windows.level[row] + windows.scale[row] * told


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], names: tuple[str, ...]) -> None:
    for name in names:
        assert (name in one) == (name in other), name
        if name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0, msg=name)


class TestNothingAfterTheOrigin:
    """Whatever is put in place of what comes after it, the same goes in."""

    @given(
        origin=st.integers(SEASON + 1, 35), horizon=st.integers(1, 6), segment=st.integers(1, 5),
        lift=st.sampled_from([0.0, 100.0]), fill=st.sampled_from([np.nan, 1e6, -1e6]),
    )  # fmt: skip
    @settings(max_examples=40, deadline=None)
    def test_reaches_what_goes_in(self, origin: int, horizon: int, segment: int, lift: float, fill: float) -> None:
        series = series_of(40, origin, horizon=horizon, covariates=True)
        series = replace(series, values=series.values + lift)  # at 100 it is told in logarithms
        values, past = series.values.copy(), series.past.copy()
        values[origin:] = past[origin:] = fill
        windows, others = (
            windows_of(Panel.of(each), [(0, origin)], shape_of(horizon, 3 * segment, segment), [origin])
            for each in (series, replace(series, values=values, past=past))
        )
        assert bool(windows.logs[0]) == (lift > 0)
        same(all_of(windows), all_of(others), (*BEHIND, "ahead"))
        assert (windows.level[0], windows.scale[0]) == (others.level[0], others.scale[0])
        assert all(torch.isfinite(all_of(windows)[name]).all() for name in ("x", "ways", "still"))

    @pytest.mark.parametrize("fill", [np.nan, 50.0])
    def test_but_what_is_known_ahead(self, fill: float) -> None:
        origin, series = 20, series_of(40, horizon=3, covariates=True)
        future = series.future.copy()
        future[origin:] = fill
        scaling = Scaling.of(Panel.of(series), [origin])
        one, other = (
            all_of(windows_of(Panel.of(each), [(0, origin)], known=[origin], scaling=scaling))
            for each in (series, replace(series, future=future))
        )
        same(one, other, (*BEHIND, "target", "mask"))
        assert not torch.equal(one["ahead"], other["ahead"])
        if np.isnan(fill):  # carried on from the last that is known
            assert torch.equal(other["ahead"], other["x"][:, -1:, -1:].expand(-1, 3, -1))

    def test_reaches_an_outlook(self) -> None:
        series, origin = series_of(40), 25
        values = series.values.copy()
        values[origin:] = 1e6
        outlook = Outlook.of(series.head(origin), 3, [4.0])
        windows, others = (
            windows_of(Panel.of(each), [(0, origin)], shape_of(ways=()), [origin], [outlook])
            for each in (series, replace(series, values=values))
        )
        same(all_of(windows), all_of(others), BEHIND)
        assert (windows.level[0], windows.scale[0]) == (others.level[0], others.scale[0])

    @pytest.mark.parametrize("origin", [2, SEASON])
    def test_reaches_the_scale_within_the_first_season(self, origin: int) -> None:
        series = series_of(40)
        values = series.values.copy()
        values[origin:] = 1e6
        windows, others = (
            windows_of(Panel.of(each), [(0, origin)], known=[origin])
            for each in (series, replace(series, values=values))
        )
        assert windows.scale[0] == others.scale[0]


class TestWholeSegments:
    """Segments end before the origin; what is missing of the first one is the first value."""

    @pytest.mark.parametrize(("origin", "count"), [(1, 1), (3, 1), (4, 1), (5, 2), (11, 3), (12, 3), (30, 3)])
    def test_the_last_ends_before_the_origin(self, origin: int, count: int) -> None:
        series = series_of(40)
        windows = windows_of(Panel.of(series), [(0, origin)])
        batch = all_of(windows)
        assert batch.get("lengths", torch.tensor([3])).tolist() == [count]
        places = np.maximum(np.arange(origin - 4 * count, origin), 0)
        np.testing.assert_allclose(heights(batch["x"], windows)[: 4 * count], series.values[places], rtol=1e-4)
        assert batch["x"].shape[2] == 1

    def test_step_by_step_the_season_before_is_told_too(self) -> None:
        series = series_of(40)
        windows = windows_of(Panel.of(series), [(0, 30)], shape_of(segment=1))
        x, places = all_of(windows)["x"], np.arange(18, 30)
        assert x.shape[2] == 2
        np.testing.assert_allclose(heights(x, windows), series.values[places], rtol=1e-4)
        moved = 5 * np.arcsinh((series.values[places] - series.values[places - SEASON]) / windows.scale[0] / 5)
        np.testing.assert_allclose(x[0, :, 1], moved, rtol=1e-4, atol=1e-6)

    def test_lengths_are_said_where_not_all_are_whole(self) -> None:
        windows = windows_of(Panel.of(series_of(40)), [(0, 3), (0, 7), (0, 30)])
        assert all_of(windows)["lengths"].tolist() == [1, 2, 3]
        assert "lengths" not in windows[torch.tensor([2])]

    def test_a_row_is_the_same_in_every_batch(self) -> None:
        windows = windows_of(Panel.of(series_of(40, horizon=3, covariates=True)), [(0, 3), (0, 21), (0, 39)])
        whole = all_of(windows)
        for row in range(3):
            alone = windows[torch.tensor([row])]
            for name, part in alone.items():
                assert torch.equal(part[0], whole[name][row]), name


class TestTargets:
    """What is told lies from the origin on, in the window's units; what was not observed does not count."""

    def test_restore_to_the_truth(self) -> None:
        series = series_of(80)
        windows = windows_of(Panel.of(series), [(0, 20), (0, 40), (0, 77)])
        told = windows.level[:, None] + windows.scale[:, None] * all_of(windows)["target"].double().numpy()
        for row, origin in zip(told, (20, 40, 77), strict=True):
            np.testing.assert_allclose(row, series.values[origin : origin + 3], rtol=1e-5)

    def test_ways_restore_to_what_they_say(self) -> None:
        series = series_of(40)
        windows = windows_of(Panel.of(series), [(0, 21)])
        ways = windows.level[0] + windows.scale[0] * all_of(windows)["ways"][0].double().numpy()
        np.testing.assert_allclose(ways[:, 0], series.values[17:20], rtol=1e-5)
        np.testing.assert_allclose(ways[:, 1], series.values[17:21].mean(), rtol=1e-5)
        np.testing.assert_allclose(ways[:, 2], series.values[20], rtol=1e-5)

    def test_gaps_and_the_end_are_masked_and_said(self) -> None:
        values = series_of(40).values.copy()
        values[[22, 30]] = np.nan
        windows = windows_of(Panel.of(values), [(0, 21), (0, 29), (0, 38), (0, 40)], shape_of(4, gaps=True))
        batch = all_of(windows)
        assert batch["mask"].tolist() == [
            [True, False, True, True],
            [True, False, True, True],
            [True, True, False, False],
            [False, False, False, False],
        ]
        assert batch["x"][1, :, 1].tolist() == [float(not np.isnan(v)) for v in values[17:29]]
        assert torch.isfinite(batch["target"]).all()
        bridged = heights(batch["x"], windows, 1)
        assert bridged[22 - 17] == pytest.approx(bridged[21 - 17])  # by what was known then, not by a line

    def test_covariates_stand_beside_their_steps(self) -> None:
        panel = Panel.of(series_of(40, horizon=3, covariates=True))
        series, scaling = panel[0], Scaling.of(panel, [40])
        batch = all_of(windows_of(panel, [(0, 20)], scaling=scaling))
        np.testing.assert_allclose(batch["x"][0, :, 1:3], scaling(series.past[8:20], 0), rtol=1e-6)
        np.testing.assert_allclose(batch["x"][0, :, 3:], scaling(series.future[8:20], 2), rtol=1e-6)
        np.testing.assert_allclose(batch["ahead"][0], scaling(series.future[20:23], 2), rtol=1e-6)
        assert batch["still"].shape == (1, 1 + widths(panel)[2])
        end = all_of(windows_of(panel, [(0, 40)], scaling=scaling))
        np.testing.assert_allclose(end["ahead"][0], scaling(series.future[40:], 2), rtol=1e-6)

    def test_the_clock_goes_by_the_steps_of_the_series(self) -> None:
        series = replace(series_of(40), start=1001)
        clock = all_of(windows_of(Panel.of(series), [(0, 20)], shape_of(periods=(4.0, 7.5))))["clock"][0]
        steps = 1001 + np.arange(8, 23)
        turns = [2 * np.pi * steps / period for period in (4.0, 7.5)]
        expected = np.stack([f(turn) for turn in turns for f in (np.sin, np.cos)], 1)
        np.testing.assert_allclose(clock, expected, atol=1e-5)


class TestPanels:
    """Series lie end to end, and know nothing of each other."""

    lengths = (30, 7, 41)

    def panel(self) -> Panel:
        return Panel(tuple(series_of(n, n, horizon=3, id=str(n), covariates=True) for n in self.lengths))

    def test_each_series_is_as_it_is_alone(self) -> None:
        panel = self.panel()
        scaling = Scaling.of(panel, self.lengths)
        origins = [(0, 29), (1, 1), (1, 7), (2, 2), (2, 41), (0, 30)]
        whole = all_of(windows_of(panel, origins, scaling=scaling))
        for row, (k, place) in enumerate(origins):
            alone = all_of(windows_of(Panel((panel[k],)), [(0, place)], scaling=scaling))
            count = 4 * int(whole["lengths"][row])
            torch.testing.assert_close(alone["x"][0, :count], whole["x"][row, :count], rtol=0, atol=0)
            for name in ("ahead", "still", "ways", "target", "mask"):
                torch.testing.assert_close(alone[name][0], whole[name][row], rtol=0, atol=0, msg=name)

    def test_a_neighbour_changes_nothing(self) -> None:
        panel = self.panel()
        scaling, middle = Scaling.of(panel, self.lengths), panel[1]
        other = replace(middle, values=middle.values + 1e6, past=middle.past * 9, future=middle.future * 9)
        one, two = (
            all_of(windows_of(each, [(0, 30), (2, 1), (2, 20)], scaling=scaling))
            for each in (panel, replace(panel, series=(panel[0], other, panel[2])))
        )
        same(one, two, tuple(one))


class TestUnits:
    """A window is told relative to its own level and pace."""

    @pytest.mark.parametrize("factor", [1000.0, 1e-3, -1.0])
    def test_do_not_matter(self, factor: float) -> None:
        series = series_of(40)
        one, other = (
            all_of(windows_of(Panel.of(values), [(0, 5), (0, 39)]))
            for values in (series.values, factor * series.values)
        )
        sign = -1.0 if factor < 0 else 1.0
        for name in ("x", "ways", "target"):
            torch.testing.assert_close(sign * one[name], other[name], rtol=1e-5, atol=1e-6, msg=name)
        torch.testing.assert_close(one["still"], other["still"], rtol=1e-5, atol=1e-6)

    def test_do_not_matter_to_logarithms(self) -> None:
        values = np.exp(series_of(40).values)
        windows, others = (windows_of(Panel.of(factor * values), [(0, 5), (0, 39)]) for factor in (1.0, 1000.0))
        assert windows.logs.all()
        assert others.logs.all()
        for name in ("x", "ways", "target"):
            torch.testing.assert_close(all_of(windows)[name], all_of(others)[name], rtol=1e-5, atol=1e-5, msg=name)

    def test_levels_do_not_matter_where_there_is_no_logarithm(self) -> None:
        values = series_of(40).values
        one, other = (all_of(windows_of(Panel.of(each), [(0, 39)])) for each in (values, values - 20))
        for name in ("x", "ways", "target"):
            torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5, msg=name)
        assert float(one["still"]) > float(other["still"])  # the scale is larger against the level

    @pytest.mark.parametrize(
        ("values", "log"),
        [([5.0, 7.0, 6.0, 9.0], True), ([0.0, 7.0, 6.0, 9.0], False), ([-5.0, 7.0, 6.0, 9.0], False),
         ([1e-4, 7.0, 6.0, 9.0], False), ([np.nan, 7.0, 6.0, 9.0], True), ([-7.0, -6.0, -5.0, -6.0], False),
         ([5.0, 7.0, 6.0, -9.0], True), ([np.nan, np.nan, np.nan, 4.0], False)],
    )  # fmt: skip
    def test_logarithms_are_taken_where_all_that_is_known_lies_well_above_0(
        self, values: list[float], log: bool
    ) -> None:
        windows = windows_of(Panel.of(values), [(0, 3)], known=[3])
        assert windows.logs.tolist() == [log]
        told = windows.level[0] + windows.scale[0] * float(all_of(windows)["target"][0, 0])
        if values[3] > 0:
            assert told == pytest.approx(np.log(values[3]) if log else values[3], rel=1e-5)
        assert torch.isfinite(all_of(windows)["x"]).all()

    @pytest.mark.parametrize("values", [np.full(40, 7.0), np.zeros(40), np.full(40, -1e9), np.array([3.0])])
    def test_a_series_that_never_moves_is_told_too(self, values: np.ndarray) -> None:
        batch = all_of(windows_of(Panel.of(values), [(0, 1), (0, len(values))]))
        assert all(torch.isfinite(batch[name]).all() for name in ("x", "ways", "still", "target"))
        assert batch["x"][..., :2].abs().max() < 1e-6


class TestOutlooks:
    """Where a statistical forecast is corrected, it is the only way to go on."""

    def windows(self) -> tuple[Panel, list[Outlook], Windows]:
        panel = Panel((series_of(40, 1, id="a"), series_of(25, 2, id="b")))
        outlooks = [Outlook.of(series, 3, [4.0], log=False) for series in panel]
        return panel, outlooks, windows_of(panel, [(0, 20), (1, 24), (0, 38)], shape_of(ways=()), None, outlooks)

    def test_their_view_is_the_base(self) -> None:
        panel, outlooks, windows = self.windows()
        ways = all_of(windows)["ways"]
        assert ways.shape == (3, 3, 1)
        for row, (k, place) in enumerate(windows.origins):
            view = outlooks[k].view(outlooks[k].transformed(panel[k]), np.array([place]), 12)
            assert (windows.level[row], windows.scale[row]) == (view.level[0], view.scale[0])
            base = windows.level[row] + windows.scale[row] * ways[row, :, 0].double().numpy()
            np.testing.assert_allclose(base, view.base[0], rtol=1e-5)

    def test_base_and_correction_restore_to_the_truth(self) -> None:
        panel, outlooks, windows = self.windows()
        d = windows.level[:, None] + windows.scale[:, None] * all_of(windows)["target"].double().numpy()
        for row, (k, place) in enumerate(windows.origins[:1]):
            told = outlooks[k].restored(d[row : row + 1], np.array([panel[k].start + place]))
            np.testing.assert_allclose(told[0], panel[k].values[place : place + 3], rtol=1e-5)

    def test_errors_are_those_of_what_is_known(self) -> None:
        _, _, windows = self.windows()
        batch = all_of(windows)
        errors, known = windows.errors([22, 25])
        assert known.tolist() == [[True, True, False], [True, False, False], [False, False, False]]
        expected = (batch["target"] - batch["ways"][..., 0]).numpy()
        np.testing.assert_allclose(errors[known], expected[known], rtol=1e-4, atol=1e-5)

    def test_naive_ways_have_no_errors_to_tell(self) -> None:
        with pytest.raises(ValueError, match="no outlook"):
            windows_of(Panel.of(series_of(40)), [(0, 20)]).errors([40])

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_what_comes_later_may_be_0(self) -> None:
        values = np.exp(series_of(40).values + 5)
        values[35:] = 0
        outlook = Outlook.of(Series.of(values[:35]), 3, [4.0], log=True)
        windows = windows_of(Panel.of(values), [(0, 34)], shape_of(ways=()), [35], [outlook])
        assert torch.isfinite(all_of(windows)["target"]).all()


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
