"""How forecasts are measured: against hand computation, each block from what lies before it, all on the same steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ostinato as ost
from ostinato.baselines import budget
from ostinato.data import DataError, Panel
from ostinato.interfaces import report, screen
from ostinato.tasks.forecasting.measure import Held, Told, baselines, only, rolled, scores

QUICK: dict[str, Any] = {"horizon": 4, "epochs": 1, "hidden_size": 8, "members": 1}
NAN = float("nan")


def told(point: Sequence[float], *widths: float) -> Told:
    """Forecasts with intervals so and so far to both sides."""
    middle = np.array(point, float)
    spread = np.array(widths)[:, None]
    return Told(middle, middle - spread, middle + spread)


def held(*series: tuple[list[float], list[float]], season: int = 1) -> Held:
    """What lies before, and what is held out, of each series."""
    panel = Panel.of([before + after for before, after in series])
    return Held(panel, tuple(len(before) for before, _ in series), 2, season, (50.0, 80.0))


TWO = held(([1, 2, 3, 4, 5, 6], [7, 9]), ([10, 12, 10, 12], [11, 13, 14]))
OURS = [told([8, 6], 0.5, 2), told([12, 12, 16], 1, 1)]  # off by 1, 3 and 1, 1, 2
THEIRS = [told([6, 6]), told([12, 12, 13])]


class TestScores:
    """Two series of different lengths; errors over all steps, scaled ones over series."""

    def test_against_hand_computation(self) -> None:
        found = scores(OURS, TWO)
        assert found["mae"] == pytest.approx((1 + 3 + 1 + 1 + 2) / 5)
        assert found["mse"] == pytest.approx((1 + 9 + 1 + 1 + 4) / 5)
        assert found["rmse"] == pytest.approx(math.sqrt(16 / 5))
        first, second = 200 * (1 / 15 + 3 / 15) / 2, 200 * (1 / 23 + 1 / 25 + 2 / 30) / 3
        assert found["smape"] == pytest.approx((first + second) / 2)
        assert found["mase"] == pytest.approx((2 / 1 + (4 / 3) / 2) / 2)  # steps of 1 in the one, of 2 in the other
        assert found["coverage_50"] == found["coverage"] == pytest.approx(2 / 5)
        assert found["coverage_80"] == pytest.approx(3 / 5)
        assert "owa" not in found

    def test_a_season_scales_by_its_own_differences(self) -> None:
        found = scores([told([2])], held(([1, 5, 3, 8], [5]), season=2))
        assert found["mase"] == pytest.approx(3 / ((2 + 3) / 2))

    def test_owa_is_relative_to_the_reference(self) -> None:
        own, other = scores(OURS, TWO), scores(THEIRS, TWO)
        found = scores(OURS, TWO, THEIRS)
        assert found["owa"] == pytest.approx((own["smape"] / other["smape"] + own["mase"] / other["mase"]) / 2)
        assert scores(THEIRS, TWO, THEIRS)["owa"] == pytest.approx(1)
        assert {**found, "owa": 0} == {**own, "owa": 0}

    def test_a_reference_without_errors_gives_no_owa(self) -> None:
        right = [told([7, 9]), told([11, 13, 14])]
        assert math.isnan(scores(OURS, TWO, right)["owa"])

    def test_direction_is_told_from_the_last_value_before_each_forecast(self) -> None:
        """From 6: up, up; from 12: down, up; the second block from 13: up."""
        assert [list(last) for last in TWO.standing()] == [[6, 6], [12, 12, 13]]
        assert scores(OURS, TWO)["direction"] == pytest.approx(2 / 5)  # 6 and 12 are said to stand still
        assert scores([told([7, 9]), told([11, 13, 12.5])], TWO)["direction"] == pytest.approx(4 / 5)
        assert scores([told([6, 6]), told([12, 12, 13])], TWO)["direction"] == 0

    def test_direction_from_the_last_value_that_was_observed(self) -> None:
        gap = held(([1, 5, NAN], [4]))
        assert scores([told([4.5])], gap)["direction"] == 1
        assert scores([told([5.5])], gap)["direction"] == 0

    def test_what_does_not_move_has_no_direction(self) -> None:
        assert math.isnan(scores([told([4])], held(([1, 2, 3], [3])))["direction"])

    def test_missing_steps_are_not_measured(self) -> None:
        some = held(([1, 2, 3, 4], [5, NAN, 9]), ([1, 2, 3], [NAN, NAN]))
        found = scores([told([6, 1e9, 6], 1, 5), told([1e9, 1e9], 1, 5)], some)
        assert found["mae"] == pytest.approx((1 + 3) / 2)
        assert found["mase"] == pytest.approx(2)
        assert (found["coverage_50"], found["coverage_80"]) == (0.5, 1)

    def test_nothing_observed_is_an_error(self) -> None:
        with pytest.raises(DataError, match="nothing was observed"):
            scores([told([1])], held(([1, 2, 3], [NAN])))

    def test_series_with_nothing_held_out_do_not_count(self) -> None:
        more = held(([1, 2, 3, 4, 5, 6], [7, 9]), ([5, 50, 500], []), ([10, 12, 10, 12], [11, 13, 14]))
        assert more.rows == [0, 2]
        assert scores(OURS, more) == scores(OURS, TWO)


class TestBlocks:
    """Origin after origin, a horizon apart."""

    def test_each_block_ends_where_its_forecast_begins(self) -> None:
        found = [(block, [series.values.tolist() for series in panel]) for block, panel in TWO.blocks()]
        assert found == [
            (0, [[1, 2, 3, 4, 5, 6], [10, 12, 10, 12]]),
            (1, [[1, 2, 3, 4, 5, 6, 7, 9], [10, 12, 10, 12, 11, 13]]),
        ]

    @pytest.fixture
    def trained(self) -> ost.Forecaster:
        draw = np.random.default_rng(4)
        model = ost.Forecaster(**QUICK, season=1)
        model.fit([50 + draw.normal(size=40).cumsum(), 20 + draw.normal(size=30).cumsum()])
        return model

    def test_what_comes_later_does_not_reach_an_earlier_block(self, trained: ost.Forecaster) -> None:
        draw = np.random.default_rng(5)
        later = [50 + draw.normal(size=12).cumsum(), 20 + draw.normal(size=6).cumsum()]
        changed = [later[0].copy(), later[1].copy()]
        changed[0][6:] = -1000.0  # inside the second block of the one
        changed[1][5] = 1000.0
        both = [trained.held_out(values) for values in (later, changed)]
        ours = [rolled(trained._learnt, part) for part in both]
        others = [baselines(part, trained._learnt, {}, ("naive", "drift", "outlook"))[0] for part in both]
        assert set(others[0]) == {"naive", "drift", "outlook"}
        for before, after in [ours, *(tuple(found[name] for found in others) for name in others[0])]:
            assert [len(one.point) for one in before] == [12, 6]
            np.testing.assert_array_equal(before[0].point[:8], after[0].point[:8])
            assert (before[0].point[8:] != after[0].point[8:]).all()
            np.testing.assert_array_equal(before[1].point, after[1].point)
        np.testing.assert_array_equal(ours[0][0].low[:, :8], ours[1][0].low[:, :8])

    def test_baselines_start_anew_in_each_block(self, trained: ost.Forecaster) -> None:
        steps = np.arange(9.0)
        part = trained.held_out([50 + steps, 20 - steps])
        found = baselines(part, trained._learnt, {}, ("naive",))[0]["naive"]
        last = [part.panel[k].values[part.first[k] - 1] for k in (0, 1)]
        assert found[0].point.tolist() == [*[last[0]] * 4, *[53.0] * 4, 57.0]
        assert found[1].point.tolist() == [*[last[1]] * 4, *[17.0] * 4, 13.0]

    def test_gaps_before_a_history_are_no_part_of_a_baseline(self, trained: ost.Forecaster) -> None:
        panel = Panel.of([[NAN, NAN, 1.0, 2.0, 3.0, 9.0], [4.0, NAN, 5.0, 6.0, 7.0, 9.0]])
        part = Held(panel, (5, 5), 4, 1, ())
        found = baselines(part, trained._learnt, {}, ("drift",))[0]["drift"]
        assert found[0].point == pytest.approx(4)  # from 1 at its first value to 3, a step further
        assert found[1].point == pytest.approx(7 + 3 / 4)


MONTHS = np.arange(60)
SEASONAL = [
    100 + MONTHS / 2 + 20 * np.sin(MONTHS * np.pi / 6) + np.random.default_rng(k).normal(size=60) for k in range(3)
]


def experiment(names: tuple[str, ...], **options: Any) -> Any:
    model = ost.Forecaster(**QUICK | {"season": 12, "baselines": names} | options)
    return model.experiment(SEASONAL, quiet=True)


class TestBesideBaselines:
    """What stands in one table was measured on the same steps."""

    def test_owa_in_the_table_is_relative_to_naive2(self) -> None:
        found = experiment(("naive", "naive2"))
        own, other = found.metrics, found.baselines["naive2"]
        assert other["owa"] == pytest.approx(1)
        assert own["owa"] == pytest.approx((own["smape"] / other["smape"] + own["mase"] / other["mase"]) / 2)
        assert next(iter(found.best)) == "owa"
        assert "owa" not in experiment(("naive",)).metrics

    @pytest.fixture
    def half(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Seasonal naive is run on every other history alone, as a slow method is."""
        forecasts = budget.forecasts

        def some(name: str, histories: Sequence[Any], *rest: Any) -> tuple[list[Any], str]:
            found, said = forecasts(name, histories, *rest)
            if name != "seasonal_naive":
                return found, said
            return [point if row % 2 == 0 else None for row, point in enumerate(found)], "seasonal_naive took long"

        monkeypatch.setattr(budget, "forecasts", some)

    @pytest.mark.usefixtures("half")
    def test_a_baseline_run_on_a_part_is_told_apart(self) -> None:
        found = experiment(("naive", "seasonal_naive"))
        assert list(found.baselines) == ["naive"]
        assert "seasonal_naive took long" in found.notes
        (sample,) = found.samples
        assert (sample.name, sample.count, sample.of) == ("seasonal_naive", 2, 3)
        target, again = (
            np.stack([y[part] for y in (SEASONAL[0], SEASONAL[2])]) for part in (slice(56, 60), slice(44, 48))
        )
        assert sample.theirs["mae"] == pytest.approx(np.abs(target - again).mean())
        table = pd.DataFrame(found.columns)
        own = table[(table["part"] == "held out") & (table["unique_id"] != "2")]
        assert sample.ours["mae"] == pytest.approx((own["actual"] - own["forecast"]).abs().mean())
        written = found.to_json()
        assert list(written["baselines"]) == ["naive"]
        assert written["samples"]["seasonal_naive"]["series"] == 2
        assert written["samples"]["seasonal_naive"]["of"] == 3
        assert not any("seasonal naive" in line.name for chart in found.charts for line in chart.lines)
        assert "seasonal_naive" not in screen.verdict(found)

    @pytest.mark.usefixtures("half")
    def test_a_sample_that_holds_no_series_whole(self) -> None:
        """Three series from two origins: of each, every other origin is left out."""
        found = experiment(("naive", "seasonal_naive"), windows=2)
        assert list(found.baselines) == ["naive"]

    def test_a_sample_keeps_the_series_it_was_run_on(self) -> None:
        some, own, theirs = only(TWO, OURS, [told([NAN, NAN]), THEIRS[1]])
        assert [series.id for series in some.panel] == ["2"]
        assert (own, theirs) == ([OURS[1]], [THEIRS[1]])
        assert scores(theirs, some)["mae"] == pytest.approx((1 + 1 + 1) / 3)
        assert scores(own, some)["mae"] == pytest.approx(4 / 3)

    def test_a_baseline_without_any_forecast_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budget, "forecasts", lambda name, histories, *rest: ([None] * len(histories), f"no {name}"))
        found = experiment(("naive",))
        assert (found.baselines, found.samples) == ({}, [])
        assert "no naive" in found.notes


class TestScalesThatAreNone:
    """Where a metric cannot be computed there is a gap in the table, and a report all the same."""

    @pytest.mark.parametrize(
        ("panel", "names"),
        [([np.full(40, 5.0), np.full(40, 7.0)], ("naive",)),
         ([np.tile(np.arange(1.0, 13), 5), np.tile(np.arange(3.0, 15), 5)], ("naive", "naive2"))],
        ids=["constants", "seasons that repeat exactly"],
    )  # fmt: skip
    def test_the_report_is_made(self, panel: list[np.ndarray], names: tuple[str, ...]) -> None:
        found = ost.Forecaster(**QUICK, season=12, baselines=names).experiment(panel, quiet=True)
        assert math.isfinite(found.metrics["mae"])
        assert found.to_json()["metrics"]["mase"] is None
        assert "ostinato" in screen.verdict(found)
        assert "<svg" in report.render(found)

    def test_one_constant_among_others_costs_its_own_scale_alone(self) -> None:
        found = ost.Forecaster(**QUICK, season=12, baselines=("naive",)).experiment(
            [*SEASONAL[:2], np.full(60, 5.0)], quiet=True
        )
        assert math.isfinite(found.metrics["mase"])
        assert "<svg" in report.render(replace(found, charts=found.charts[:1]))
