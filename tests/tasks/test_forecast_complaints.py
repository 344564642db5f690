"""What people have complained of in forecasting libraries, each by name: none of it happens here."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import ostinato as ost
from ostinato.tasks.forecasting import learnt

QUICK: dict[str, Any] = {"epochs": 2, "hidden_size": 8, "members": 1, "baselines": ("naive",)}
DECODINGS = pytest.mark.parametrize("decoding", ["direct", "segments", "recursive"])


def walks(count: int, steps: int = 30) -> list[np.ndarray]:
    """Random walks."""
    return list(50 + np.random.default_rng(2).normal(size=(count, steps)).cumsum(1))


@pytest.fixture(scope="module")
def trained() -> ost.Forecaster:
    model = ost.Forecaster(horizon=4, season=1, look_back=8, **QUICK)
    model.fit(walks(40))
    return model


class TestForecastsAreOffByOneStep:
    """Each step is told for the moment it is labelled with, not for one before or after."""

    @pytest.mark.parametrize(
        ("decoding", "period"), [("recursive", 5), ("recursive", 7), ("segments", 7), ("direct", 7)]
    )
    def test_a_ramp_that_starts_again_goes_on_in_step(self, decoding: str, period: int) -> None:
        steps = np.arange(150)
        end, horizon = 150 - 2 * period - 1, 2 * period + 1
        model = ost.Forecaster(
            horizon=horizon, season=period, decoding=decoding, members=1, epochs=5, hidden_size=16,
            learning_rate=0.03, batch_size=8,
        )  # fmt: skip
        model.fit(10.0 + steps[:end] % period)
        found = model.predict()
        assert found["step"].tolist() == [str(step + 1) for step in steps[end:]]
        np.testing.assert_allclose(found["forecast"], 10.0 + steps[end:] % period, atol=0.3)

    @DECODINGS
    def test_covariates_are_those_of_the_step_that_is_told(self, decoding: str) -> None:
        """Known ahead, drawn at random, and all that moves the series: one step aside they say nothing."""
        promo = (np.random.default_rng(1).random((2, 132)) < 0.4).astype(float)
        ds = pd.date_range("2024-01-01", periods=120)
        rows = [
            pd.DataFrame({"unique_id": id, "ds": ds, "promo": x[:120], "y": 100 + 50 * x[:120]})
            for id, x in zip("ab", promo, strict=True)
        ]
        frame = pd.concat(rows)
        frame.loc[frame["ds"] >= ds[108], "y"] = np.nan
        model = ost.Forecaster(
            horizon=12, season=1, target="y", future="promo", decoding=decoding, members=1, epochs=8,
            hidden_size=16, learning_rate=0.02, batch_size=16,
        )  # fmt: skip
        model.fit(frame)
        found = model.predict()["forecast"].to_numpy().reshape(2, 12)
        likeness = {
            shift: float(np.corrcoef(found.ravel(), promo[:, 108 + shift : 120 + shift].ravel())[0, 1])
            for shift in range(-3, 4)
        }
        assert likeness.pop(0) > 0.7
        assert max(likeness.values()) < 0.5

    def test_intervals_and_labels_belong_to_the_same_steps(self) -> None:
        """A month ends on another day than the next: times are those of a calendar."""
        ends = pd.date_range("2020-01-31", periods=49, freq="ME")
        values = 100 + 10.0 * (np.arange(49) % 12)
        model = ost.Forecaster(horizon=3, season=12, **QUICK)
        model.fit(pd.DataFrame({"ds": ends[:46], "y": values[:46]}))
        found = model.predict()
        assert found["ds"].str[:7].tolist() == ["2023-11", "2023-12", "2024-01"]
        assert model.score(pd.DataFrame({"ds": ends[46:], "y": values[46:]}))["mae"] < 3


class TestNaNInNaNOut:
    """What was not observed is bridged, marked and not learnt from; the forecast is numbers."""

    @DECODINGS
    @pytest.mark.parametrize("where", ["y", "static", "all"])
    def test_forecasts_are_numbers(self, decoding: str, where: str) -> None:
        draw, steps = np.random.default_rng(3), 60
        columns = ["y", "past", "future"] if where == "all" else [where]
        parts = []
        for id in "abc":
            part = pd.DataFrame(draw.normal(size=(steps, 3)) + 20, columns=["y", "past", "future"])
            part.insert(0, "ds", np.arange(steps))
            parts.append(part.assign(unique_id=id, static=np.nan if (id, where) == ("b", "static") else 1.0))
            for column in columns if where != "static" else ():
                holes = draw.random(steps) < 0.3
                holes[[0, 53]], holes[[5, 52]] = column != "y", False  # before the first value and at the last
                parts[-1].loc[holes & (np.arange(steps) < 54), column] = np.nan
            parts[-1].loc[54:, "y"] = np.nan
        frame = pd.concat(parts)
        model = ost.Forecaster(
            horizon=6, season=1, decoding=decoding, target="y", past="past", future="future", static="static", **QUICK
        )
        history = model.fit(frame)
        found = model.predict()
        assert found["unique_id"].unique().tolist() == ["a", "b", "c"]
        assert np.isfinite(found.loc[:, "forecast":].to_numpy()).all()  # type: ignore[misc]
        assert np.isfinite([row["loss"] for row in history]).all()

    def test_a_gap_right_before_the_forecast(self) -> None:
        """Rows with no value at the end are what lies ahead; a gap before the last value is a gap."""
        values = np.r_[walks(1, 60)[0], np.full(9, np.nan), 55.0]
        model = ost.Forecaster(horizon=4, season=1, **QUICK)
        model.fit(values)
        assert np.isfinite(model.predict()["forecast"]).all()
        assert model.predict()["step"][0] == "71"


class TestTheSeedDoesNotReproduce:
    """One seed, one result, whatever else the process has drawn, trained or set."""

    def test_other_random_streams_have_no_say(self) -> None:
        def once() -> np.ndarray:
            model = ost.Forecaster(horizon=4, **QUICK | {"dropout": 0.3, "members": 2}, seed=11)
            model.fit(walks(3))
            return model.predict()["forecast"].to_numpy()

        first = once()
        torch.manual_seed(99)
        np.random.seed(99)
        random.seed(99)
        ost.Forecaster(horizon=4, **QUICK).fit(walks(2))
        np.testing.assert_array_equal(once(), first)

    @DECODINGS
    def test_asked_twice_the_answer_is_the_same(self, decoding: str) -> None:
        """Sample paths too are drawn from a stream of their own."""
        model = ost.Forecaster(horizon=4, decoding=decoding, head="gaussian", **QUICK)
        model.fit(walks(2))
        first = model.predict()
        torch.rand(5)
        pd.testing.assert_frame_equal(model.predict(), first, check_exact=True)


class TestPredictingManySeriesRunsOutOfMemory:
    """What the networks are handed at once is bounded, and the rest grows with the data alone."""

    def test_the_peak_grows_no_faster_than_the_data(self, trained: ost.Forecaster) -> None:
        def peak(count: int) -> int:
            given = walks(count)
            tracemalloc.start()
            try:
                assert len(trained.predict(given)) == 4 * count
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        peak(10)  # what is imported at the first call
        few, many = peak(250), peak(1000)
        assert many < 5 * few
        assert many < 40 * 1000 * 30 * 8  # bytes: some dozens of times what the values take

    def test_networks_see_a_bounded_number_of_windows(
        self, trained: ost.Forecaster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given, seen = walks(150), []
        whole = trained.predict(given)
        forward = torch.nn.Module.__call__

        def watched(module: Any, *args: Any, **kwargs: Any) -> Any:
            seen.extend(len(batch["x"]) for batch in args if isinstance(batch, dict))
            return forward(module, *args, **kwargs)

        monkeypatch.setattr(learnt, "AT_ONCE", 32)
        monkeypatch.setattr(torch.nn.Module, "__call__", watched)
        parts = trained.predict(given)
        assert seen == [32, 32, 32, 32, 22]
        np.testing.assert_allclose(parts["forecast"], whole["forecast"], rtol=1e-5)


class TestSeriesMustAllBeOfOneLength:
    """They need not be."""

    @pytest.mark.parametrize(("decoding", "windows"), [("direct", 1), ("segments", 2), ("recursive", 2)])
    def test_lengths_of_any_kind(self, decoding: str, windows: int) -> None:
        lengths = [60, 45, 31, 8, 3, 1]
        given = [series[:length] for series, length in zip(walks(6, 60), lengths, strict=True)]
        model = ost.Forecaster(horizon=4, season=1, decoding=decoding, windows=windows, **QUICK)
        found = model.experiment(given, quiet=True)
        table = pd.DataFrame(found.columns)
        counts = table[table["part"] == "held out"].groupby("unique_id").size().to_dict()
        assert counts == {str(k + 1): 4 * windows for k, n in enumerate(lengths) if n >= 4 * windows + 3}
        ahead = table[table["part"] == "ahead"]
        assert ahead["step"][::4].tolist() == [str(length + 1) for length in lengths]
        assert np.isfinite(ahead["forecast"]).all()

    def test_what_stands_beside_a_series_does_not_change_its_forecast(self) -> None:
        model = ost.Forecaster(horizon=4, season=1, **QUICK)
        model.fit(walks(4))
        series = walks(5)[4]
        alone = model.predict(series)["forecast"].to_numpy()
        beside = model.predict([1e6 * walks(1)[0], series[:30], walks(1, 300)[0]])["forecast"].to_numpy()
        np.testing.assert_allclose(beside[4:8], alone, rtol=1e-5)


class TestTheDataComeBackChanged:
    """A frame is read, never written to; ids are kept as they are written."""

    def test_the_frame_is_as_it_was(self) -> None:
        frame = pd.DataFrame({"ds": pd.date_range("2024", periods=40)[::-1], "y": walks(1, 40)[0]}, index=range(5, 45))
        frame.iloc[7, 1] = np.nan
        before = frame.copy(deep=True)
        model = ost.Forecaster(horizon=4, **QUICK)
        model.fit(frame)
        model.score(frame)
        model.predict(frame)
        pd.testing.assert_frame_equal(frame, before)

    def test_an_array_is_as_it_was(self) -> None:
        values = np.stack(walks(2), 1)
        values[4, 1] = np.nan
        before = values.copy()
        values.flags.writeable = False
        model = ost.Forecaster(horizon=4, **QUICK)
        model.fit(values)
        model.predict(values)
        np.testing.assert_array_equal(values, before)

    def test_ids_that_look_like_numbers_are_words(self, tmp_path: Any) -> None:
        rows = "".join(f"{id},{day},{day % 7 + 1}\n" for id in ("007", "1e3") for day in range(40))
        (tmp_path / "shops.csv").write_text("shop,day,units\n" + rows)
        model = ost.Forecaster(horizon=4, id="shop", target="units", **QUICK)
        model.fit(tmp_path / "shops.csv")
        assert model.predict()["unique_id"].tolist() == ["007"] * 4 + ["1e3"] * 4
