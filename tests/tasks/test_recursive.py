"""The forecaster, step by step: what it learns stands at the right step, with intervals, covariates and many series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ostinato as ost

STEP_BY_STEP: dict[str, Any] = {"decoding": "recursive", "members": 1, "hidden_size": 16}
STEPS = np.arange(240)
DRAW = np.random.default_rng(0)
WAVE = 10 + 3 * np.sin(STEPS * np.pi / 6) + 0.1 * DRAW.normal(size=240)


@pytest.fixture(scope="module")
def trained() -> ost.Forecaster:
    model = ost.Forecaster(horizon=12, season=12, epochs=8, **STEP_BY_STEP)
    model.fit(WAVE[:228])
    return model


def test_a_wave_goes_on_in_phase(trained: ost.Forecaster) -> None:
    found, truth = trained.predict()["forecast"].to_numpy(), WAVE[228:]
    right = np.abs(found - truth).mean()
    early, late = np.abs(found[:-1] - truth[1:]).mean(), np.abs(found[1:] - truth[:-1]).mean()
    assert right < 0.5
    assert min(early, late) > 2 * right


def test_intervals_hold_the_forecast_and_each_other(trained: ost.Forecaster) -> None:
    found = trained.predict()
    for inner, outer in (("lower_80", "lower_95"), ("forecast", "lower_80")):
        assert (found[outer] <= found[inner]).all()
    for inner, outer in (("upper_80", "upper_95"), ("forecast", "upper_80")):
        assert (found[outer] >= found[inner]).all()


def test_the_same_question_gets_the_same_answer_also_from_a_file(trained: ost.Forecaster, tmp_path: Path) -> None:
    found = trained.predict()
    pd.testing.assert_frame_equal(trained.predict(), found)
    trained.save(tmp_path / "model.ost")
    pd.testing.assert_frame_equal(ost.load(tmp_path / "model.ost").predict(), found)


def test_what_is_known_ahead_moves_the_step_it_belongs_to() -> None:
    sale = (DRAW.random(240) < 0.3).astype(float)
    frame = pd.DataFrame({"y": 20 + 10 * sale + 0.1 * DRAW.normal(size=240), "sale": sale})
    model = ost.Forecaster(target="y", future="sale", horizon=10, season=1, epochs=25, **STEP_BY_STEP)
    model.fit(frame[:228])
    ahead = pd.DataFrame({"y": np.nan, "sale": np.eye(10)[6]})
    found = model.predict(ahead)["forecast"].to_numpy()
    assert found.argmax() == 6
    assert found[6] - np.delete(found, 6).max() > 5


def test_many_series_of_uneven_length_and_a_head_without_intervals() -> None:
    lengths = {"a": 120, "b": 14, "c": 60}  # "b" is shorter than the window
    parts = [
        pd.DataFrame({"unique_id": id, "ds": range(n), "y": WAVE[:n] * (k + 1)})
        for k, (id, n) in enumerate(lengths.items())
    ]
    model = ost.Forecaster(horizon=3, season=12, epochs=2, head="point", **STEP_BY_STEP)
    model.fit(pd.concat(parts))
    found = model.predict()
    assert found.columns.tolist() == ["unique_id", "ds", "forecast"]
    assert found["unique_id"].tolist() == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert found["ds"].astype(int).tolist() == [120, 121, 122, 14, 15, 16, 60, 61, 62]
    assert np.isfinite(found["forecast"]).all()
