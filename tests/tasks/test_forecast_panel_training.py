"""How forecasters of many series are trained: validation, learning curves, limits of time, runs that are killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.tasks.test_forecast_panel import COVARIATES, EARLY, LATE, QUICK, WHOLE, numbers, plain, shop, shops

import ostinato as ost
from ostinato import training


def test_validation_data_of_several_series() -> None:
    train, middle = (part.groupby("unique_id") for part in (plain(EARLY), plain(LATE)))
    model = ost.Forecaster(**QUICK)
    history = model.fit(train.head(100), validation=middle.head(5))
    assert all(row["valid_loss"] is not None for row in history)
    assert model.predict()[::7]["ds"].tolist() == ["2024-03-16", "2024-03-02", "2024-01-10"]
    found = ost.Forecaster(**QUICK).experiment(
        plain(EARLY), validation=middle.head(5), test=plain(LATE).groupby("unique_id").tail(2), quiet=True
    )
    assert found.columns["part"].count("held out") == 4
    np.testing.assert_array_equal(found.columns["actual"][:2], LATE["y"].iloc[5:7])


@pytest.mark.parametrize("decoding", ["direct", "recursive"])
def test_validation_data_are_not_learnt_from(decoding: str) -> None:
    """After one epoch, when there is nothing yet to choose, the network is the same whatever they say."""
    stranger = pd.concat([shop("d", 60), shop("d", 67)[60:].assign(y=np.nan)])

    def told(validation: pd.DataFrame) -> list[float]:
        model = ost.Forecaster(**QUICK | {"epochs": 1}, **COVARIATES, decoding=decoding)
        model.fit(EARLY, validation=validation)
        return model.predict(stranger)["forecast"].tolist()

    odd = LATE.assign(y=-1000 * LATE["y"], wind=LATE["wind"] + 1e6)
    assert told(odd) == told(LATE)


def test_the_learning_curve_ends_at_our_error() -> None:
    found = ost.Forecaster(**QUICK, learning_curve=True).experiment(plain(shops(a=120, b=120)), quiet=True)
    chart = next(chart for chart in found.charts if "amount of data" in chart.title)
    ours = chart.lines[0]
    assert ours.role == "ours"
    assert chart.x.tolist() == sorted(chart.x.tolist())
    assert chart.x[-1] == 2 * 113
    assert len(chart.x) >= 3
    assert ours.y[-1] == pytest.approx(found.metrics["mae"], rel=1e-6)
    naive = next(line for line in chart.lines if line.name.startswith("seasonal naive"))
    np.testing.assert_allclose(naive.y, found.baselines["seasonal_naive"]["mae"])


@pytest.mark.parametrize("learning_curve", [False, True])
def test_a_time_limit_is_shared_out_among_all_that_is_trained(
    learning_curve: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long a machine takes beside training is its own; that no training is left without an end is ours."""
    limits, fit = [], training.fit

    def spied(model: Any, batches: Any, objective: Any, settings: training.Settings, **how: Any) -> Any:
        limits.append(settings.time_limit)
        return fit(model, batches, objective, settings, **how)

    monkeypatch.setattr(training, "fit", spied)
    endless = QUICK | {"epochs": 1_000_000, "learning_rate": 1e-5, "time_limit": 0.8, "learning_curve": learning_curve}
    ost.Forecaster(**endless).experiment(plain(shops(a=300, b=300)), quiet=True)
    assert len(limits) >= (5 if learning_curve else 2)
    assert all(limits)
    assert sum(limits) <= 0.8


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_one_seed_gives_the_same_numbers_at_any_number_of_threads(threads: Callable[[int], None]) -> None:
    def once(count: int) -> np.ndarray:
        threads(count)
        model = ost.Forecaster(**QUICK | {"hidden_size": 64, "epochs": 1, "dropout": 0.2, "members": 2}, **COVARIATES)
        model.fit(WHOLE)
        return numbers(
            model.predict(shops(a=84, b=70).assign(y=lambda frame: frame["y"].where(frame["ds"] < "2024-03-04")))
        )

    first = once(1)
    np.testing.assert_array_equal(once(1), first)
    np.testing.assert_array_equal(once(2), first)


REPLACE = os.replace


class Dying:
    """Files are put in place as ever, but for one of them: then the process is stopped."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.calls, self.dies_at = 0, dies_at

    def __call__(self, *paths: Any) -> None:
        self.calls += 1
        if self.calls == self.dies_at:
            raise KeyboardInterrupt
        REPLACE(*paths)


def run(out: Path, resume: bool = False) -> bytes:
    options = QUICK | {"members": 2, "epochs": 3, "dropout": 0.1}
    model = ost.Forecaster(**options)
    model.experiment(plain(WHOLE), out=out, resume=resume, quiet=True)
    model.save(out / "model.ost")
    return (out / "model.ost").read_bytes()


def test_a_run_stopped_inside_any_members_training_ends_in_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Dying()
    monkeypatch.setattr(os, "replace", whole)
    expected = run(tmp_path / "whole")
    stopped = set()
    for share in (0.4, 0.6, 0.9):
        out = tmp_path / f"{share}"
        monkeypatch.setattr(os, "replace", Dying(round(share * whole.calls)))
        with pytest.raises(KeyboardInterrupt):
            run(out)
        folders = {path.parent.relative_to(out).as_posix() for path in out.rglob("history.jsonl")}
        stopped.add(frozenset(folders))
        monkeypatch.setattr(os, "replace", Dying())
        assert run(out, resume=True) == expected
    assert len(stopped) == 3  # in different networks of the run
