"""The forecaster: what it promises, on series of every kind, in few epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import ostinato as ost
from ostinato import format
from ostinato.data import DataError, read_series
from ostinato.format import FormatError
from ostinato.interfaces.pictures import svg
from ostinato.tasks.forecasting import training
from ostinato.tasks.task import NotFittedError
from ostinato.training import Callback

MONTHS = np.arange(108)
SALES = 100 + MONTHS / 2 + 20 * np.sin(MONTHS * np.pi / 6) + np.random.default_rng(0).normal(size=108)
FRAME = pd.DataFrame({"month": pd.date_range("2015-01-01", periods=108, freq="MS"), "units": SALES})
CHEAP = ("naive", "seasonal_naive", "drift", "markov_chain", "naive2", "outlook", "feed_forward")  # no process to start
QUICK: dict[str, Any] = {"horizon": 12, "epochs": 3, "baselines": CHEAP}


@pytest.fixture(scope="module")
def trained() -> ost.Forecaster:
    model = ost.Forecaster(**QUICK)
    model.fit(FRAME[:96])
    return model


def test_forecast_goes_on_from_the_data(trained: ost.Forecaster) -> None:
    found = trained.predict()
    assert found.columns.tolist() == ["month", "forecast", "lower_80", "upper_80", "lower_95", "upper_95"]
    assert found["month"].tolist() == [f"2023-{month:02}-01" for month in range(1, 13)]
    assert (found["lower_95"] <= found["lower_80"]).all()
    assert (found["lower_80"] <= found["forecast"]).all()
    assert (found["forecast"] <= found["upper_80"]).all()
    assert (found["upper_80"] <= found["upper_95"]).all()


def test_score_beats_the_season_before(trained: ost.Forecaster) -> None:
    found = trained.score(FRAME[96:])
    naive = float(np.abs(SALES[96:] - SALES[84:96]).mean())
    assert found["mae"] < naive
    assert set(found) == {"mae", "rmse", "mse", "smape", "mase", "direction", "coverage", "coverage_80", "coverage_95"}
    assert found["coverage"] == found["coverage_80"] <= found["coverage_95"]
    assert trained.score(FRAME) == found  # the whole history: the same part of it is new


@pytest.mark.parametrize("options", [{}, {"cell": "lstm", "num_layers": 2, "dropout": 0.2, "bidirectional": True}])
def test_one_seed_gives_the_same_numbers(options: dict[str, Any]) -> None:
    def once(seed: int) -> np.ndarray:
        model = ost.Forecaster(**QUICK, **options, seed=seed)
        model.fit(SALES)
        return model.predict().drop(columns="step").to_numpy()

    first = once(0)
    torch.rand(7)  # the caller's random stream is no part of it
    np.testing.assert_array_equal(first, once(0))
    assert (first != once(1)).any()


def test_the_callers_random_stream_stays() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    ost.Forecaster(**QUICK).fit(SALES)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_nothing_held_out_is_learnt_or_chosen_by() -> None:
    """What follows the part that is known may be anything: the evaluated forecast is the same."""

    def measured(end: float) -> list[Any]:
        values = SALES.copy()
        values[96:] = end
        outcome = ost.Forecaster(horizon=12, epochs=2, baselines=CHEAP).experiment(values, quiet=True)
        return list(outcome.columns["forecast"])[:12]

    assert measured(100.0) == measured(101.0)


@pytest.mark.parametrize(
    "values",
    [np.full(40, 3.0), np.zeros(40), -SALES, SALES * 1e9, SALES * 1e-9, np.where(MONTHS % 7 == 3, np.nan, SALES),
     np.r_[np.full(20, np.nan), SALES[20:]], np.r_[SALES[:60], np.full(20, np.nan), SALES[60:]],
     (MONTHS % 9 == 0).astype(float), np.arange(15.0)],
    ids="constant zeros negative large small gaps gap-first long-gap intermittent short".split(),  # noqa: SIM905
)  # fmt: skip
def test_odd_series(values: np.ndarray) -> None:
    model = ost.Forecaster(horizon=4, epochs=2)
    model.fit(values[:-4])
    found = model.predict().drop(columns="step").to_numpy()
    assert np.isfinite(found).all()
    assert np.isfinite(model.score(values[-4:])["mae"])


def test_a_constant_goes_on() -> None:
    model = ost.Forecaster(horizon=4, epochs=2)
    model.fit(np.full(40, 3.0))
    np.testing.assert_allclose(model.predict()["forecast"], 3.0, rtol=1e-4)


def test_forecasts_stay_at_zero_or_above_where_the_data_do() -> None:
    values = np.abs(np.random.default_rng(1).normal(size=80)) * (MONTHS[:80] % 3 > 0)
    model = ost.Forecaster(horizon=6, epochs=3)
    model.fit(values)
    assert (model.predict()["lower_95"] >= 0).all()


@pytest.mark.parametrize(
    ("size", "horizon", "said"),
    [(10, 8, "horizon of 7"), (3, 1, "more data"), (2, 1, "too few")],
)
def test_too_short_is_said(size: int, horizon: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ost.Forecaster(horizon=horizon, epochs=1).fit(np.arange(float(size)))


def test_too_short_to_hold_out_is_said() -> None:
    with pytest.raises(DataError, match="--horizon 13 or less"):
        ost.Forecaster(horizon=24, epochs=1).experiment(SALES[:30], quiet=True)


@pytest.mark.parametrize("head", ["gaussian", "student_t", "point"])
def test_other_heads(head: str) -> None:
    model = ost.Forecaster(**QUICK, head=head)
    model.fit(SALES)
    found = model.predict()
    assert ("lower_80" in found) == (head != "point")
    assert np.isfinite(found["forecast"]).all()


def test_validation_data_decide_when_to_stop() -> None:
    model = ost.Forecaster(**QUICK)
    history = model.fit(FRAME[:84], validation=FRAME[84:96])
    assert all(row["valid_loss"] is not None for row in history)
    assert model.predict()["month"][0] == "2023-01-01"
    assert len(history.to_frame()) == len(history)


def test_callbacks_are_called() -> None:
    class Once(Callback):
        def on_epoch_end(self, logs: dict[str, Any]) -> None:
            self.trainer.stop = True

    model = ost.Forecaster(horizon=12, epochs=30)
    assert len(model.fit(SALES, callbacks=[Once()])) == 1


# ---- options ----------------------------------------------------------------------------------------


def test_params() -> None:
    model = ost.Forecaster(horizon=36, cell="lstm")
    assert model.get_params()["horizon"] == model.horizon == 36
    assert repr(model) == "Forecaster(cell='lstm', horizon=36)"
    assert model.set_params(horizon=5) is model
    assert model.horizon == 5
    assert ost.Forecaster(**model.get_params()).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [({"horizn": 3}, TypeError, "horizon"), ({"horizon": 0}, ValueError, "horizon=0"),
     ({"levels": (80, 100)}, ValueError, "levels"), ({"dropout": 1.0}, ValueError, "dropout"),
     ({"duplicates": "first"}, ValueError, "duplicates")],
)  # fmt: skip
def test_options_that_cannot_be(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as error:
        ost.Forecaster(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("word", "near"), [({"cell": "gruu"}, "gru"), ({"head": "quantil"}, "quantile")])
def test_names_that_are_not_registered(word: dict[str, Any], near: str) -> None:
    with pytest.raises(ValueError, match=near):
        ost.Forecaster(**QUICK, **word).fit(SALES)


@pytest.mark.parametrize("ask", ["predict", "summary", "refit"])
def test_before_fit(ask: str) -> None:
    with pytest.raises(NotFittedError, match="fit"):
        getattr(ost.Forecaster(), ask)()


# ---- other data -------------------------------------------------------------------------------------


def test_new_data_that_go_on_are_joined(trained: ost.Forecaster) -> None:
    assert trained.predict(FRAME[96:100])["month"][0] == "2023-05-01"
    np.testing.assert_allclose(trained.predict(FRAME[96:100])["forecast"], trained.predict(FRAME[:100])["forecast"])


def test_another_history_has_its_own_level(trained: ost.Forecaster) -> None:
    other = FRAME.assign(units=1000 + 10 * SALES)
    assert trained.predict(other)["forecast"].min() > 1500


@pytest.mark.parametrize("data", [FRAME.assign(month=pd.date_range("2015", periods=108, freq="D")), [1.0, np.nan]])
def test_data_that_do_not_fit(trained: ost.Forecaster, data: Any) -> None:
    with pytest.raises(DataError):
        trained.predict(data)


def test_many_horizons_are_forecast_one_by_one() -> None:
    model = ost.Forecaster(horizon=6, epochs=2, baselines=CHEAP)
    model.fit(SALES[:72])
    held = model.held_out(SALES[72:])
    outcome = model.evaluate(SALES[72:])
    assert (held.first, len(held.panel[0]), len([part for part in outcome.columns["part"] if part == "held out"])) == (
        (72,),
        108,
        36,
    )
    changed = SALES.copy()
    changed[90:] += 1000
    again = model.evaluate(changed[72:])
    assert list(again.columns["forecast"])[:18] == list(outcome.columns["forecast"])[:18]


# ---- experiment -------------------------------------------------------------------------------------


def test_experiment(tmp_path: Path) -> None:
    model = ost.Forecaster(**QUICK)
    outcome = model.experiment(FRAME, out=tmp_path, quiet=True)
    assert list(outcome.baselines) == list(CHEAP)
    np.testing.assert_allclose(outcome.columns["actual"][:12], SALES[96:])
    assert outcome.columns["month"][11:13] == ["2023-12-01", "2024-01-01"]
    assert outcome.baselines["seasonal_naive"]["mae"] == pytest.approx(np.abs(SALES[96:] - SALES[84:96]).mean())
    assert model.predict()["month"][0] == "2024-01-01"
    assert (tmp_path / "checkpoint.ost").exists()
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == len(outcome.history or [])
    assert set(outcome.to_json()) == {
        "task", "data", "metrics", "baselines", "parameters", "seconds", "epochs", "seed", "version"
    }  # fmt: skip
    json.dumps(outcome.to_json(), allow_nan=False)


def test_a_convolutional_network_stands_beside_it_where_it_is_asked_for() -> None:
    words = {"horizon": 6, "epochs": 2, "seed": 3}
    found = [
        ost.Forecaster(**words, baselines=names).experiment(SALES, quiet=True)
        for names in (("naive", "tcn"), ("tcn", "feed_forward"))
    ]
    assert [list(outcome.baselines) for outcome in found] == [["naive", "tcn"], ["feed_forward", "tcn"]]
    told = [outcome.baselines["tcn"] for outcome in found]
    assert told[0] == told[1] != found[1].baselines["feed_forward"]
    assert told[0]["mae"] < found[0].baselines["naive"]["mae"]


def test_years_before_any_calendar(tmp_path: Path) -> None:
    """Shampoo sales come as 1-01, 1-02, ...: years 1 to 3."""
    rows = "".join(f"{1 + k // 12}-{1 + k % 12:02},{value}\n" for k, value in enumerate(SALES[:36]))
    (tmp_path / "shampoo.csv").write_text("Month,Sales\n" + rows)
    outcome = ost.Forecaster(horizon=6, epochs=1, baselines=CHEAP).experiment(tmp_path / "shampoo.csv", quiet=True)
    assert outcome.columns["Month"][6] == "4-01"
    assert "<svg" in svg(outcome.charts[0])


def test_a_test_file_is_measured_on(tmp_path: Path) -> None:
    FRAME[:84].to_csv(tmp_path / "train.csv", index=False)
    FRAME[84:96].to_csv(tmp_path / "valid.csv", index=False)
    FRAME[96:].to_csv(tmp_path / "test.csv", index=False)
    outcome = ost.Forecaster(**QUICK).experiment(
        tmp_path / "train.csv", validation=tmp_path / "valid.csv", test=tmp_path / "test.csv", quiet=True
    )
    assert outcome.columns["month"][0] == "2023-01-01"
    with pytest.raises(DataError, match=r"train\.csv"):
        ost.Forecaster(**QUICK).experiment(tmp_path / "test.csv", test=tmp_path / "train.csv", quiet=True)
    with pytest.raises(ValueError, match="--test"):
        ost.Forecaster(**QUICK).experiment(tmp_path / "train.csv", validation=tmp_path / "valid.csv", quiet=True)


def test_an_interrupted_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    class Killed(Callback):
        def on_batch_end(self, logs: dict[str, Any]) -> None:
            if logs["step"] == 5:
                raise KeyboardInterrupt

    options: dict[str, Any] = {"horizon": 12, "epochs": 4, "dropout": 0.2, "num_layers": 2, "baselines": CHEAP}
    whole = ost.Forecaster(**options).experiment(SALES, out=tmp_path / "whole", quiet=True)
    with pytest.raises(KeyboardInterrupt):
        ost.Forecaster(**options).experiment(SALES, out=tmp_path / "cut", quiet=True, callbacks=[Killed()])
    resumed = ost.Forecaster(**options).experiment(SALES, out=tmp_path / "cut", quiet=True, resume=True)
    assert resumed.metrics == whole.metrics
    assert resumed.columns["forecast"] == whole.columns["forecast"]


def test_out_of_time_keeps_the_measured_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "again", lambda *args, **kwargs: None)
    model = ost.Forecaster(**QUICK)
    outcome = model.experiment(FRAME, quiet=True)
    assert any("no time" in note for note in outcome.notes)
    assert model.predict()["month"][0] == "2024-01-01"


# ---- the model file ---------------------------------------------------------------------------------


def test_loaded_predicts_as_saved(trained: ost.Forecaster, tmp_path: Path) -> None:
    trained.save(tmp_path / "model.ost")
    loaded = ost.load(tmp_path / "model.ost")
    pd.testing.assert_frame_equal(loaded.predict(), trained.predict(), check_exact=True)
    assert loaded.get_params() == trained.get_params()
    assert loaded.score(FRAME[96:]) == trained.score(FRAME[96:])
    assert loaded.summary() == trained.summary()


def put(part: str, name: str, value: Any) -> Any:
    """An alteration of a model file: manifest or tensors, the place, what stands there."""

    def alter(manifest: dict[str, Any], tensors: dict[str, Any]) -> None:
        extra = manifest["extra"]
        known = {
            "manifest": manifest,
            "plan": extra["plan"],
            "panel": extra["panel"],
            "extra": extra,
            "tensors": tensors,
        }
        if value is None:
            del known[part][next(key for key in known[part] if key.startswith(name))]
        else:
            known[part][name] = value

    return alter


ALTERED = {
    "class": put("manifest", "class", "os.system"), "width": put("plan", "hidden_size", 1_000_000),
    "layers": put("plan", "num_layers", 10**9), "plan": put("plan", "horizon", None),
    "cell": put("plan", "cell", "nothing"), "values": put("tensors", "panel.values", np.full(4, np.nan)),
    "grid": put("panel", "every", 0), "style": put("panel", "style", "%s"),
    "names": put("tensors", "panel.names", np.frombuffer(b"[[1, 2]]", np.uint8)),
    "members": put("extra", "views", [0] * 100_000), "view": put("extra", "views", [7]),
    "shares": put("extra", "shares", [2.0]), "idle": put("extra", "shares", [0.0]), "epochs": put("extra", "best", []),
    "growth": put("tensors", "growth", np.ones(3)),
    "missing": put("tensors", "member.1.", None),
}  # fmt: skip


@pytest.mark.parametrize("how", ALTERED)
def test_altered_files_are_refused_in_words(how: str, trained: ost.Forecaster, tmp_path: Path) -> None:
    manifest, tensors = trained.to_file()
    ALTERED[how](manifest, tensors)
    format.write(tmp_path / "model.ost", tensors, manifest)
    with pytest.raises(FormatError, match=r"model\.ost"):
        ost.load(tmp_path / "model.ost")


def test_series_are_taken_as_they_are() -> None:
    series = read_series(FRAME)
    assert read_series(series) is series
    assert replace(series).labels(1) == ["2024-01-01"]


# ---- options that do not go together ------------------------------------------------------------------


def test_step_by_step_reads_in_one_direction() -> None:
    with pytest.raises(ValueError, match="--bidirectional"):
        ost.Forecaster(horizon=6, decoding="recursive", bidirectional=True).fit(SALES)


def test_windows_and_a_test_file_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="--windows"):
        ost.Forecaster(horizon=6, windows=2).experiment(SALES[:96], test=SALES[96:], quiet=True)


@pytest.mark.parametrize("options", [{}, {"decoding": "recursive"}, {"head": "point"}])
def test_one_thread_and_two_give_the_same_bits_on_long_series(options: dict[str, Any]) -> None:
    """Thin products and long sums are what the libraries under torch share out among threads."""
    hours = np.arange(1500)
    values = 50 + 10 * np.sin(hours * np.pi / 12) + np.random.default_rng(0).normal(size=1500)

    def at(threads: int) -> np.ndarray:
        torch.set_num_threads(threads)
        model = ost.Forecaster(horizon=12, season=6, epochs=1, members=1, look_back=24, **options)
        model.fit(values)
        return model.predict().drop(columns="step").to_numpy()

    before = torch.get_num_threads()
    try:
        np.testing.assert_array_equal(at(1), at(2))
    finally:
        torch.set_num_threads(before)
