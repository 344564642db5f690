"""Many series, with what is known about them and ahead of them: every way in and out, one answer."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ostinato as ost
from ostinato.data import DataError
from ostinato.interfaces import folder

CHEAP = ("naive", "seasonal_naive")
QUICK: dict[str, Any] = {
    "horizon": 7, "season": 7, "epochs": 2, "hidden_size": 8, "members": 1, "baselines": CHEAP
}  # fmt: skip
COVARIATES: dict[str, Any] = {"target": "y", "past": "wind", "future": "price", "static": "city"}
CITIES = {"a": "Rom", "b": "Ulm", "c": "Rom"}


def shop(id: str, days: int) -> pd.DataFrame:
    """One series of its own level, with a week in it and covariates of every kind."""
    draw, steps = np.random.default_rng(ord(id)), np.arange(days)
    price, wind = draw.normal(size=days), draw.normal(size=days)
    y = 20 * (ord(id) - 96) + 5 * np.sin(steps * 2 * np.pi / 7) + price + 0.3 * draw.normal(size=days)
    times = pd.date_range("2024-01-01", periods=days)
    return pd.DataFrame(
        {"unique_id": id, "ds": times, "y": y, "price": price, "wind": wind, "city": CITIES.get(id, "Bonn")}
    )


def shops(**days: int) -> pd.DataFrame:
    """Several of them, one under the other."""
    return pd.concat([shop(id, count) for id, count in days.items()], ignore_index=True)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Without covariates."""
    return frame[["unique_id", "ds", "y"]]


def numbers(found: pd.DataFrame) -> np.ndarray:
    """The forecasts of a prediction and the ends of its intervals."""
    return found.loc[:, "forecast":].to_numpy()  # type: ignore[misc]


WHOLE = shops(a=77, b=63, c=9)  # c is too short to hold a week out of
EARLY = pd.concat([WHOLE[WHOLE.unique_id == id][:count] for id, count in {"a": 70, "b": 56, "c": 9}.items()])
LATE = WHOLE.drop(EARLY.index)


@pytest.fixture(scope="module")
def trained() -> ost.Forecaster:
    model = ost.Forecaster(**QUICK)
    model.fit(plain(EARLY))
    return model


@pytest.fixture(scope="module")
def informed() -> ost.Forecaster:
    model = ost.Forecaster(**QUICK, **COVARIATES)
    model.fit(EARLY)
    return model


@pytest.fixture(scope="module")
def outcome() -> Any:
    return ost.Forecaster(**QUICK).experiment(plain(WHOLE), quiet=True)


# ---- series of their own ids and lengths ------------------------------------------------------------


def test_each_series_goes_on_from_its_own_end(trained: ost.Forecaster) -> None:
    found = trained.predict()
    assert found["unique_id"].tolist() == [id for id in "abc" for _ in range(7)]
    first = found[::7]["ds"].tolist()
    assert first == ["2024-03-11", "2024-02-26", "2024-01-10"]
    assert np.isfinite(numbers(found)).all()
    levels = found.groupby("unique_id")["forecast"].mean()
    np.testing.assert_allclose(levels, [20, 40, 60], atol=5)


def test_a_series_too_short_to_hold_out_is_learnt_from_and_forecast(outcome: Any) -> None:
    table = pd.read_csv(StringIO(folder.table(outcome.columns)))
    counts = table.groupby(["unique_id", "part"]).size().to_dict()
    assert counts == {
        ("a", "ahead"): 7, ("a", "held out"): 7, ("b", "ahead"): 7, ("b", "held out"): 7, ("c", "ahead"): 7
    }  # fmt: skip
    held = table[table["part"] == "held out"]
    np.testing.assert_allclose(held["actual"], LATE["y"])
    assert held["ds"].tolist() == LATE["ds"].dt.strftime("%Y-%m-%d").tolist()
    assert table["actual"].isna().tolist() == (table["part"] == "ahead").tolist()
    assert any("of 2 series" in note for note in outcome.notes)
    assert float((held["actual"] - held["forecast"]).abs().mean()) == pytest.approx(outcome.metrics["mae"], rel=1e-6)


@pytest.mark.parametrize("ids", [["b"], ["c", "a"]])
def test_a_few_of_the_series_are_forecast_as_among_all(ids: list[str], trained: ost.Forecaster) -> None:
    every = trained.predict(plain(LATE)).set_index("unique_id")
    asked = pd.concat([plain(WHOLE)[WHOLE.unique_id == id] for id in ids])
    found = trained.predict(asked).set_index("unique_id")
    assert found.index.unique().tolist() == ids
    for id in [id for id in ids if id != "c"]:
        np.testing.assert_allclose(numbers(found.loc[id]), numbers(every.loc[id]), rtol=1e-6)
        assert found.loc[id, "ds"].tolist() == every.loc[id, "ds"].tolist()


def test_later_values_of_one_series_move_that_one_alone(trained: ost.Forecaster) -> None:
    late = plain(LATE)[LATE.unique_id == "a"]
    found = trained.predict(late)
    assert found["unique_id"].unique().tolist() == ["a"]
    assert found["ds"][0] == "2024-03-18"
    lifted = trained.predict(late.assign(y=late["y"] + 100))
    assert (lifted["forecast"] > found["forecast"] + 50).all()


def test_a_new_series_beside_known_ones_changes_nothing_for_them(trained: ost.Forecaster) -> None:
    alone = trained.predict(plain(LATE))
    beside = trained.predict(pd.concat([plain(LATE), plain(shop("z", 60))]))
    np.testing.assert_allclose(numbers(beside)[:14], numbers(alone), rtol=1e-6)


# ---- measured on other data -------------------------------------------------------------------------


def test_later_data_and_whole_histories_are_scored_alike(trained: ost.Forecaster) -> None:
    long_enough = plain(WHOLE)[WHOLE.unique_id != "c"]
    assert trained.score(plain(LATE)) == trained.score(long_enough)


def test_scores_of_each_id_make_up_the_score_of_all(trained: ost.Forecaster) -> None:
    every = trained.score(plain(LATE))
    each = [trained.score(plain(LATE)[LATE.unique_id == id]) for id in "ab"]
    for name in ("mae", "mse", "smape", "mase", "coverage_80"):  # as many steps of the one as of the other
        assert every[name] == pytest.approx(np.mean([one[name] for one in each]), rel=1e-6)


def test_a_series_never_seen_is_forecast_by_what_the_others_taught(trained: ost.Forecaster) -> None:
    stranger = plain(shop("d", 60))
    found = trained.score(stranger)
    naive = float(np.abs(stranger["y"][-7:] - stranger["y"].iloc[-8]).mean())
    assert found["mae"] < naive
    assert trained.predict(stranger)["unique_id"].unique().tolist() == ["d"]
    told = trained.evaluate(stranger)
    assert told.columns["unique_id"] == ["d"] * 14
    assert not any("HAS learnt" in note for note in told.notes)


def test_evaluation_says_which_series_it_measured(trained: ost.Forecaster) -> None:
    found = trained.evaluate(plain(LATE))
    held = [id for id, part in zip(found.columns["unique_id"], found.columns["part"], strict=True) if part != "ahead"]
    assert held == ["a"] * 7 + ["b"] * 7
    assert set(found.baselines) == set(CHEAP)
    assert found.metrics["mae"] == trained.score(plain(LATE))["mae"]
    assert any("HAS learnt" in note for note in trained.evaluate(plain(EARLY)).notes)


@pytest.mark.parametrize(("learnt", "given"), [("D", "MS"), ("h", "D")])
def test_data_of_a_wider_frequency_are_refused(learnt: str, given: str) -> None:
    model, values = ost.Forecaster(**QUICK), plain(EARLY)["y"][:70]
    model.fit(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70, freq=learnt), "y": values}))
    with pytest.raises(DataError, match="frequency"):
        model.predict(pd.DataFrame({"ds": pd.date_range("2024-04-01", periods=70, freq=given), "y": values}))


# ---- every way in -----------------------------------------------------------------------------------

TWO = plain(EARLY)[EARLY.unique_id != "c"]
A, B = (TWO["y"][TWO.unique_id == id].to_numpy() for id in "ab")


def of_polars(_: Path) -> Any:
    polars = pytest.importorskip("polars")
    return polars.DataFrame({name: TWO[name].to_list() for name in TWO})


def of_csv(here: Path) -> Any:
    TWO.to_csv(here / "long.csv", index=False)
    return here / "long.csv"


def of_parquet(here: Path) -> Any:
    pytest.importorskip("pyarrow")
    TWO.to_parquet(here / "long.parquet")
    return here / "long.parquet"


def of_shuffled(_: Path) -> Any:
    return TWO.sample(frac=1, random_state=3)


def wide(here: Path, name: str, *rows: np.ndarray) -> Path:
    """As the M4 competition wrote them: a series in a row, padded at the end."""
    longest = max(map(len, rows))
    lines = [",".join(f'"V{k + 1}"' for k in range(longest + 1))]
    for k, row in enumerate(rows):
        cells = [f'"H{k + 1}"', *(repr(float(value)) for value in row), *['""'] * (longest - len(row))]
        lines.append(",".join(cells))
    (here / name).write_text("\n".join(lines) + "\n")
    return here / name


WAYS: dict[str, tuple[Callable[[Path], Any], list[str], bool]] = {
    "pandas": (lambda _: TWO, ["a", "b"], True),
    "polars": (of_polars, ["a", "b"], True),
    "CSV": (of_csv, ["a", "b"], True),
    "Parquet": (of_parquet, ["a", "b"], True),
    "list": (lambda _: [A, B], ["1", "2"], False),
    "M4": (lambda here: wide(here, "train.csv", A, B), ["H1", "H2"], False),
}


@pytest.fixture(scope="module")
def answers() -> dict[bool, pd.DataFrame]:
    """What the frame with dates and the list without say: seasons with dates begin at another step."""
    found = {}
    for dated, source in ((True, TWO), (False, [A, B])):
        model = ost.Forecaster(**QUICK)
        model.fit(source)
        found[dated] = model.predict()
    return found


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_gives_the_same_forecast(way: str, answers: dict[bool, pd.DataFrame], tmp_path: Path) -> None:
    make, ids, dated = WAYS[way]
    model = ost.Forecaster(**QUICK)
    model.fit(make(tmp_path))
    found = model.predict()
    assert found["unique_id"].tolist() == [id for id in ids for _ in range(7)]
    assert found.columns[1] == ("ds" if dated else "step")
    np.testing.assert_array_equal(numbers(found), numbers(answers[dated]))
    assert found.iloc[:, 1].tolist() == answers[dated].iloc[:, 1].tolist()


def test_rows_in_any_order(answers: dict[bool, pd.DataFrame], tmp_path: Path) -> None:
    model = ost.Forecaster(**QUICK)
    model.fit(of_shuffled(tmp_path))
    for id in "ab":  # ids in order of appearance decide which windows share a batch
        found, wanted = (frame[frame["unique_id"] == id] for frame in (model.predict(), answers[True]))
        assert found["ds"].tolist() == wanted["ds"].tolist()
        np.testing.assert_allclose(found["forecast"], wanted["forecast"], rtol=0.05)


def test_an_array_has_a_column_for_each_series() -> None:
    values = np.stack([A[:50], B[:50]], 1)
    model, same = ost.Forecaster(**QUICK), ost.Forecaster(**QUICK)
    model.fit(values)
    same.fit([A[:50], B[:50]])
    pd.testing.assert_frame_equal(model.predict(), same.predict(), check_exact=True)
    later = np.stack([A[50:56], B[50:56]], 1)
    assert model.score(later) == same.score([A[50:56], B[50:56]])


def test_m4_files_are_measured_on_their_test_file(tmp_path: Path) -> None:
    train, test = wide(tmp_path, "train.csv", A[:-7], B[:-7]), wide(tmp_path, "test.csv", A[-7:], B[-7:])
    found = ost.Forecaster(**QUICK).experiment(train, test=test, quiet=True)
    table = pd.DataFrame(found.columns)
    held = table[table["part"] == "held out"]
    assert held["unique_id"].tolist() == ["H1"] * 7 + ["H2"] * 7
    np.testing.assert_array_equal(held["actual"], np.r_[A[-7:], B[-7:]])
    assert held["step"].tolist() == [str(k) for k in [*range(64, 71), *range(50, 57)]]
    naive = np.mean([np.abs(values[-7:] - values[-8]).mean() for values in (A, B)])
    assert found.baselines["naive"]["mae"] == pytest.approx(naive)
    assert table[table["part"] == "ahead"]["step"].tolist() == [str(k) for k in [*range(71, 78), *range(57, 64)]]


def test_several_targets_are_a_series_each() -> None:
    steps = np.arange(60)
    frame = pd.DataFrame(
        {"ds": pd.date_range("2024-01-01", periods=60), "up": 1.0 * steps, "down": 100.0 - steps, "other": 0.0}
    )
    model = ost.Forecaster(**QUICK, target=("up", "down"))
    model.fit(frame[:53])
    found = model.predict()
    assert found["unique_id"].tolist() == ["up"] * 7 + ["down"] * 7
    assert found["forecast"][:7].mean() > 50
    assert found["forecast"][7:].mean() < 50
    assert np.isfinite(model.score(frame[53:])["mae"])
    shelves = pd.concat([frame.assign(unique_id="x"), frame.assign(unique_id="y")])
    model.fit(shelves)
    assert model.predict()["unique_id"].unique().tolist() == ["x/up", "x/down", "y/up", "y/down"]


# ---- covariates -------------------------------------------------------------------------------------


def promoted() -> pd.DataFrame:
    """Two series that are 150 on days of a promotion, which come at random, and 100 on others."""
    draw, parts = np.random.default_rng(1), []
    for id in "ab":
        promo = (draw.random(200) < 0.4).astype(float)
        parts.append(
            pd.DataFrame(
                {"unique_id": id, "ds": pd.date_range("2024-01-01", periods=200), "promo": promo,
                 "y": 100 + 50 * promo + draw.normal(size=200)}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_what_is_known_ahead_is_made_use_of() -> None:
    frame = promoted()
    days = frame["ds"] < frame["ds"].max() - pd.Timedelta(days=13)
    errors = []
    for future in ((), ("promo",)):
        model = ost.Forecaster(horizon=7, season=1, target="y", future=future, epochs=8, members=1)
        model.fit(frame[days])
        errors.append(model.score(frame[~days])["mae"])
    assert errors[1] < errors[0] / 4


def test_rows_ahead_need_nothing_but_covariates(informed: ost.Forecaster, tmp_path: Path) -> None:
    without = LATE[["unique_id", "ds", "price"]]
    found = informed.predict(without)
    assert found["unique_id"].tolist() == ["a"] * 7 + ["b"] * 7
    assert found["ds"].tolist() == LATE["ds"].dt.strftime("%Y-%m-%d").tolist()
    pd.testing.assert_frame_equal(informed.predict(LATE.assign(y=np.nan)), found, check_exact=True)
    without.to_csv(tmp_path / "ahead.csv", index=False)
    np.testing.assert_allclose(numbers(informed.predict(tmp_path / "ahead.csv")), numbers(found), rtol=1e-6)
    one = informed.predict(without[without.unique_id == "b"])
    np.testing.assert_allclose(numbers(one), numbers(found)[7:], rtol=1e-6)


def test_covariates_ahead_of_fits_own_data_are_kept() -> None:
    ahead = LATE.assign(y=np.nan)
    model = ost.Forecaster(**QUICK, **COVARIATES)
    model.fit(pd.concat([EARLY, ahead])[lambda frame: frame.unique_id != "c"])
    found = model.predict()
    pd.testing.assert_frame_equal(model.predict(ahead), found, check_exact=True)
    other = model.predict(ahead.assign(price=ahead["price"] + 1))
    assert (other["forecast"] != found["forecast"]).all()


UNKNOWN: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "nothing": (lambda: None, ["'price' of 'a' is not known at 2024-03-11", "7 steps ahead", "without 'y'"]),
    "a gap": (
        lambda: LATE.assign(y=np.nan, price=LATE["price"].where(LATE["ds"] != "2024-02-28")),
        ["'price' of 'b' is not known at 2024-02-28"],
    ),
    "too few": (lambda: LATE.drop(columns="y").groupby("unique_id").head(5), ["'price' of 'a'", "2024-03-16"]),
    "no such column": (lambda: LATE.drop(columns=["y", "price"]), ["'price'", "--future"]),
    "values without what follows": (lambda: LATE, ["'price' of 'a' is not known at 2024-03-18"]),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_ahead_is_named(name: str, informed: ost.Forecaster) -> None:
    make, said = UNKNOWN[name]
    with pytest.raises(DataError) as error:
        informed.predict(make())
    for word in said:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_an_experiment_without_what_is_known_ahead_says_so() -> None:
    found = ost.Forecaster(**QUICK, **COVARIATES).experiment(WHOLE, quiet=True)
    assert set(found.columns["part"]) == {"held out"}
    assert any("'price' is not known at 2024-03-18" in note for note in found.notes)


def test_loaded_forecasts_as_saved_bit_for_bit(informed: ost.Forecaster, tmp_path: Path) -> None:
    informed.save(tmp_path / "model.ost")
    loaded = ost.load(tmp_path / "model.ost")
    ahead = LATE.assign(y=np.nan)
    pd.testing.assert_frame_equal(loaded.predict(ahead), informed.predict(ahead), check_exact=True)
    assert loaded.score(LATE) == informed.score(LATE)
    assert loaded.summary() == informed.summary()
    stranger = pd.concat([shop("d", 60), shop("d", 67)[60:].assign(y=np.nan)])
    pd.testing.assert_frame_equal(loaded.predict(stranger), informed.predict(stranger), check_exact=True)
    assert (tmp_path / "model.ost").stat().st_size < 1_000_000


# ---- what is held out -------------------------------------------------------------------------------

LARGE = shops(a=400, b=390, c=300)  # enough for naive ways instead of an outlook
MODES: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "outlook": (WHOLE, {}),
    "segments": (LARGE, {"epochs": 1}),
    "recursive": (WHOLE, {"decoding": "recursive", "epochs": 1}),
}


def spoiled(frame: pd.DataFrame, steps: int, **changed: Any) -> pd.DataFrame:
    """The last steps of each series that is long enough, changed in some columns."""
    sizes = frame.groupby("unique_id")["y"].transform("size")
    last = (frame.groupby("unique_id").cumcount(ascending=False) < steps) & (sizes > steps + 3)
    found = frame.copy()
    for name, change in changed.items():
        found.loc[last, name] = change(frame.loc[last, name])
    return found


def measured(frame: pd.DataFrame, **options: Any) -> list[float]:
    """The forecasts of what is held out."""
    found = ost.Forecaster(**{**QUICK, **COVARIATES, **options}).experiment(frame, quiet=True)
    return [y for y, part in zip(found.columns["forecast"], found.columns["part"], strict=True) if part == "held out"]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_held_out_is_known_to_its_forecast(mode: str) -> None:
    frame, options = MODES[mode]
    expected = measured(frame, **options)
    for change in (
        {"y": lambda y: -1000 * y, "wind": lambda wind: wind + 1e6},
        {"y": lambda y: y.where(np.arange(len(y)) % 7 > 3), "wind": lambda wind: np.nan},  # the end stays
    ):
        assert measured(spoiled(frame, 7, **change), **options) == expected


def test_words_held_out_are_not_known_either() -> None:
    frame = WHOLE.assign(wind=np.where(WHOLE["wind"] > 0, "NW", "SE"))
    frame = spoiled(frame, 7, wind=lambda wind: "NW")
    assert measured(spoiled(frame, 7, wind=lambda wind: "SE")) == measured(frame)


def test_the_horizon_is_not_chosen_by_what_is_held_out() -> None:
    steps = np.arange(80)
    values = 50 + 10 * np.sin(steps * np.pi / 6)
    other = np.r_[values[:-24], np.resize([0.0, 500, 0, 0, 0], 24)]
    quick = QUICK | {"horizon": None, "season": None}
    found = [
        ost.Forecaster(**quick).experiment(y, quiet=True).columns["part"].count("held out") for y in (values, other)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("months", [20, 40, 60])
def test_the_horizon_held_out_is_the_horizon_forecast(months: int) -> None:
    values = 50 + 10 * np.sin(np.arange(months) * np.pi / 6)
    frame = pd.DataFrame({"month": pd.date_range("2015-01-01", periods=months, freq="MS"), "y": values})
    found = ost.Forecaster(**QUICK | {"horizon": None, "season": None}).experiment(frame, quiet=True)
    assert found.columns["part"].count("held out") == found.columns["part"].count("ahead")


def test_three_windows_are_forecast_each_from_what_lies_before() -> None:
    def told(frame: pd.DataFrame) -> pd.DataFrame:
        found = ost.Forecaster(**QUICK, windows=3).experiment(plain(frame), quiet=True)
        table = pd.DataFrame(found.columns)
        return table[table["part"] == "held out"]

    found = told(WHOLE)
    assert found.groupby("unique_id").size().to_dict() == {"a": 21, "b": 21}
    assert found["ds"].iloc[0] == "2024-02-26"
    lifted = spoiled(WHOLE, 14, y=lambda y: y + 100)
    other = told(pd.concat([lifted[lifted.unique_id == "a"], WHOLE[WHOLE.unique_id != "a"]]))
    same = found["forecast"].to_numpy() == other["forecast"].to_numpy()
    assert same.tolist() == [True] * 14 + [False] * 7 + [True] * 21
    assert (other["forecast"].to_numpy()[14:21] > found["forecast"].to_numpy()[14:21] + 50).all()
