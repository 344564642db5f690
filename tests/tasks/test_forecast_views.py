"""Networks of several views: what each counts in the mean, which are kept, and that a file holds all of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import ostinato as ost
from ostinato.tasks.forecasting import training
from ostinato.tasks.forecasting.learnt import Learnt

SEASON = 12
QUICK: dict[str, Any] = {"horizon": SEASON, "season": SEASON, "epochs": 2, "hidden_size": 8}


def monthly(steps: int = 1500) -> np.ndarray:
    draw = np.random.default_rng(0)
    t = np.arange(steps)
    return 50 + 10 * np.sin(2 * np.pi * t / SEASON) + 0.1 * np.cumsum(draw.normal(size=steps)) + draw.normal(size=steps)


@pytest.fixture(scope="module")
def trained() -> ost.Forecaster:
    model = ost.Forecaster(**QUICK)
    model.fit(monthly())
    return model


def test_members_are_of_several_views_and_their_weights_make_one(trained: ost.Forecaster) -> None:
    learnt = trained._learnt
    assert len(learnt.plan.views) == len(learnt.shares) == 3
    assert sum(learnt.shares) == pytest.approx(1)
    assert learnt.weights.sum() == pytest.approx(1)
    assert all(learnt.shares[view] > 0 for view in learnt.views)
    assert len(learnt.networks) == len(learnt.views) == 3
    widths = [network.mixture.weigh.out_features if network.mixture.weigh else 1 for network in learnt.networks]
    assert widths == [len(learnt.plan.views[view]) for view in learnt.views]


def test_the_forecast_is_the_mean_of_the_views_by_their_shares(trained: ost.Forecaster) -> None:
    learnt = trained._learnt
    rows = torch.tensor([0])
    windows = learnt.windows(trained._panel, np.array([[0, 1500]]), [1500])
    middle, low, high = learnt.ask(windows, rows)
    views = sorted(set(learnt.views))
    parts = [learnt.ask(windows, rows, only=view) for view in views]
    for k, whole in enumerate((middle, low, high)):
        expected = sum(learnt.shares[view] * part[k] for view, part in zip(views, parts, strict=True))
        np.testing.assert_allclose(whole, expected / sum(learnt.shares[view] for view in views), rtol=1e-9)


def test_a_file_holds_views_and_shares(trained: ost.Forecaster, tmp_path: Path) -> None:
    ost.save(trained, tmp_path / "model.ost")
    loaded = ost.load(tmp_path / "model.ost")
    assert (loaded._learnt.views, loaded._learnt.shares) == (trained._learnt.views, trained._learnt.shares)
    assert loaded.predict().equals(trained.predict())


def test_a_single_member_weighs_all_ways() -> None:
    model = ost.Forecaster(**QUICK, members=1)
    model.fit(monthly())
    assert model._learnt.views == [0]


@pytest.mark.parametrize("season", [1, SEASON])
def test_networks_step_by_step_and_those_without_a_season_are_of_one_view(season: int) -> None:
    how: dict[str, Any] = {"decoding": "recursive"} if season > 1 else {}
    model = ost.Forecaster(**QUICK | {"season": season, "epochs": 1}, members=2, **how)
    model.fit(monthly(1100))
    assert model._learnt.views == [0, 0]


# What the views count --------------------------------------------------------------------------------


class Answering:
    """Three views with errors that are known: told = target + error."""

    def __init__(self, errors: np.ndarray, views: tuple[int, ...] = (0, 1, 2)) -> None:
        self.errors, self.views = errors, list(views)
        self.plan = SimpleNamespace(views=(0, 1, 2))

    def ask(self, windows: Any, rows: torch.Tensor, only: int) -> tuple[np.ndarray]:
        return (TARGET[rows.numpy()] + self.errors[only][rows.numpy()],)


TARGET = np.random.default_rng(1).normal(size=(400, 5))


def shares_of(errors: np.ndarray, views: tuple[int, ...] = (0, 1, 2)) -> list[float]:
    class Rows:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __getitem__(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
            target = torch.from_numpy(TARGET)[rows]
            return {
                "target": target,
                "mask": torch.ones_like(target, dtype=torch.bool),
                "weight": torch.ones_like(target),
            }

    run = SimpleNamespace(windows=None, early=None, valid=torch.arange(len(TARGET)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_Learnt", Rows)
        return training._shares(Answering(errors, views), run)  # type: ignore[arg-type]


def test_a_view_without_errors_counts_alone() -> None:
    draw = np.random.default_rng(2)
    assert shares_of(draw.normal(size=(3, 400, 5)) * np.array([1, 0, 1])[:, None, None]) == [0, 1, 0]


def test_views_that_err_alike_count_alike_and_one_that_errs_twice_as_much_nothing() -> None:
    draw = np.random.default_rng(3)
    errors = draw.normal(size=(3, 400, 5)) * np.array([1, 1, 2])[:, None, None]
    np.testing.assert_allclose(shares_of(errors), [0.5, 0.5, 0], atol=0.1)


def test_shares_fall_with_the_fourth_power_of_the_squared_error() -> None:
    errors = np.broadcast_to(np.array([1, 1.2**0.5, 100])[:, None, None], (3, 400, 5))
    np.testing.assert_allclose(shares_of(errors), [1.2**4 / (1 + 1.2**4), 1 / (1 + 1.2**4), 0], rtol=1e-9)


def test_views_that_no_member_has_count_nothing() -> None:
    errors = np.ones((3, 400, 5))
    assert shares_of(errors, views=(0, 0)) == [1, 0, 0]
    assert shares_of(errors, views=(0, 1)) == [0.5, 0.5, 0]
    assert shares_of(0 * errors) == [1 / 3] * 3


def test_members_that_count_nothing_are_let_go() -> None:
    learnt = Learnt.__new__(Learnt)
    learnt.networks, learnt.views, learnt.shares = ["a", "b", "c", "d"], [0, 1, 2, 0], [0.6, 0.0, 0.4]  # type: ignore[list-item]
    learnt.drop_idle()
    assert (learnt.networks, learnt.views) == (["a", "c", "d"], [0, 2, 0])
    np.testing.assert_allclose(learnt.weights, [0.3, 0.4, 0.3])
