"""Step by step: what the stack sees at each step, and that forecasts which feed on themselves do not slip by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.models import small
from tests.models.small import STEPS, alone, batch_of, loud, padded, some, without_gradient
from torch import Tensor

from ostinato import heads
from ostinato.data import Panel, Series
from ostinato.data.covariates import Scaling
from ostinato.data.windows import Shape, Windows
from ostinato.models import answers, recursive
from ostinato.models.forecasters import START
from ostinato.models.recursive import Recursive, drawn

LEVELS = [0.5, 0.1, 0.9]
HORIZON = 7
GROWTH = np.linspace(1, 2, HORIZON)
SEASONS = pytest.mark.parametrize("season", [1, 4, 9, 20])  # 9 is longer than the horizon, 20 than the window too


def model_of(cell: str = "gru", layers: int = 1, head: str = "quantile", season: int = 4, **sizes: Any) -> Recursive:
    usual = {"inputs": small.INPUTS, "clock": small.CLOCK, "ahead": small.AHEAD, "still": small.STILL}
    return Recursive(cell, 6, layers, small.head_of(head, outputs=1), season=season, **{**usual, **sizes})


def calm(model: Recursive) -> Recursive:
    """Drawn anew, but with a head that says small numbers, so that no path runs off."""
    loud(model)
    with torch.no_grad():
        model.head.project.weight.mul_(0.2)
    return model


def ruled(season: int, step: float, way: int, **sizes: int) -> Recursive:
    """An exact rule in place of what is learnt: y[t + 1] = step + the value that a way names."""
    model = loud(model_of(head="point", season=season, **sizes))
    with torch.no_grad():
        for weight in (model.head.project.weight, *model.mixture.parameters()):
            weight.zero_()
        model.head.project.bias.fill_(step)
        if model.mixture.weigh is not None:
            model.mixture.weigh.bias.fill_(-1e4)[way] = 1e4
    return model


def windows_of(series: Series, origins: list[int], season: int, look_back: int, *, gaps: bool = False) -> Windows:
    panel = Panel.of(series)
    shape = Shape(HORIZON, look_back, 1, (float(season),) if season > 1 else (), ("last", "level"), gaps)
    at = np.array([(0, origin) for origin in origins])
    return Windows(panel, shape, at, [len(series)], Scaling.of(panel, [len(series)]))


class TestOffByOneInRecursiveForecasts:
    """The bug that forecasts one step too early or too late, and that errors on average hardly show."""

    def test_a_ramp_goes_on(self) -> None:
        windows = windows_of(Series.of(0.25 * np.arange(60.0) - 3), [30, 45, 60], 1, 10)
        np.testing.assert_allclose(windows.scale, windows.scale[0])
        model = ruled(1, 0.25 / windows.scale[0], 0, inputs=2, clock=0, ahead=0, still=1)
        found = answers(model, windows[torch.arange(3)], [], np.ones(HORIZON))[0]
        told = windows.level[:, None] + windows.scale[:, None] * found
        expected = 0.25 * (np.array([[30], [45], [60]]) + np.arange(HORIZON)) - 3
        np.testing.assert_allclose(told, expected, rtol=1e-5)

    @pytest.mark.parametrize("season", [2, 3, 5, 7, 12])
    @pytest.mark.parametrize("look_back", [12, 20])
    def test_a_season_goes_on(self, season: int, look_back: int) -> None:
        pattern = np.random.default_rng(season).normal(size=season)
        origins = [season, season + 1, 25, 41, 60]  # the first windows are cut at the series' begin
        windows = windows_of(Series.of(np.resize(pattern, 60)), origins, season, look_back)
        sizes = {"inputs": 2, "clock": windows.shape.clock, "ahead": 0, "still": 1}
        found = answers(ruled(season, 0.0, 1, **sizes), windows[torch.arange(5)], [], np.ones(HORIZON))[0]
        told = windows.level[:, None] + windows.scale[:, None] * found
        expected = pattern[(np.array(origins)[:, None] + np.arange(HORIZON)) % season]
        np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-5)

    def test_the_step_that_is_told_is_the_one_whose_covariate_is_seen(self) -> None:
        """A stack that hands through what it sees, and a head that reads off what is known ahead."""
        model, batch = ruled(1, 0.0, 0), batch_of(horizon=HORIZON)
        width = model.recurrent.input_size

        class Through(torch.nn.Module):
            def forward(self, x: Tensor, state: Any = None, *, lengths: Any = None) -> tuple[Tensor, Tensor]:
                return x, torch.zeros(1, len(x), 1)

        model.recurrent, model.head = Through(), heads.build("point", width, 1)
        model.mixture = type(model.mixture)(width, 1)
        with torch.no_grad():
            model.head.project.weight.zero_()[0, small.INPUTS + small.CLOCK] = (
                1  # after the step's own: clock, covariates ahead
            )
            model.head.project.bias.zero_()
        raw = model(batch).raw[..., 0]
        torch.testing.assert_close(raw, batch["ahead"][..., 0])
        steps = np.cumsum(batch["ahead"][..., 0].numpy(), 1) + model._origin(batch).before.numpy()[:, -1:]
        np.testing.assert_allclose(answers(model, batch, [], np.ones(HORIZON))[0], steps, rtol=1e-4, atol=1e-4)

    @SEASONS
    @pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("lstm", 2), ("rnn", 2)])
    @pytest.mark.parametrize("head", ["point", "quantile", "student_t"])
    def test_its_own_predictions_as_targets_change_nothing(
        self, season: int, cell: str, layers: int, head: str
    ) -> None:
        model = calm(model_of(cell, layers, head, season))
        batch = batch_of(horizon=HORIZON, lengths=[12, 1, 5, 12, 2])
        free = answers(model, batch, [], GROWTH)[0]
        with torch.no_grad():
            told = model({**batch, "target": torch.from_numpy(free).float()})
        forced = told.base[..., 0].numpy() + GROWTH * model.head.predict(told.raw)[..., 0].numpy()
        np.testing.assert_allclose(forced, free, rtol=1e-4, atol=1e-5)

    def test_each_input_is_that_of_its_step(self) -> None:
        """Against a loop over the steps of a series, read from the series itself."""
        draw = np.random.default_rng(0)
        season, look_back, origin = 4, 10, 25
        series = replace(
            Series.of(draw.normal(size=40).cumsum() - 20), past=draw.normal(size=(40, 2)),
            future=draw.normal(size=(47, 1)), static=draw.normal(size=1),
        )  # fmt: skip
        series.values[[19, 24]] = np.nan
        windows = windows_of(series, [origin], season, look_back, gaps=True)
        batch = windows[torch.tensor([0])]
        model = model_of(inputs=6, clock=2, ahead=1, still=2)
        seen: list[Tensor] = []
        model.recurrent.register_forward_hook(lambda module, args, output: seen.append(args[0][0].detach()))
        model(batch)
        behind, ahead = seen
        assert (len(behind), len(ahead)) == (look_back - 1, HORIZON)

        d = series.values.copy()
        d[[19, 24]] = d[[18, 23]]
        scaling = Scaling.of(Panel.of(series), [40])
        past, future = scaling(series.past, 0), scaling(series.future, 2)
        for k, step in enumerate(torch.cat([behind, ahead])):
            t = origin - look_back + k
            now = min(t, origin - 1)  # what is not known ahead is carried on from there
            turn = 2 * np.pi * (series.start + t + 1) / season
            expected = [
                5 * np.arcsinh((d[t] - windows.level[0]) / (10 * windows.scale[0])),
                5 * np.arcsinh((d[t] - d[t - season]) / (5 * windows.scale[0])),
                float(now not in (19, 24)), *past[now], *future[t], np.sin(turn), np.cos(turn), *future[t + 1],
                *batch["still"][0],
            ]  # fmt: skip
            np.testing.assert_allclose(step, expected, rtol=1e-4, atol=1e-4, err_msg=f"step {t}")


class TestTold:
    """Under teacher forcing: shapes, what is seen, what is not."""

    @SEASONS
    def test_a_law_for_each_step_ahead(self, season: int) -> None:
        model, batch = model_of(season=season), batch_of(horizon=HORIZON)
        told = model(batch)
        assert (told.raw.shape, told.base.shape) == ((5, HORIZON, 7), (5, HORIZON, 1))
        target, mask = told.like_base(batch["target"]), told.like_base(batch["mask"])
        _, count = model.head.loss(told.raw, target - told.base, mask)
        assert count == batch["mask"].sum()

    @pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
    def test_gradients_reach_every_parameter(self, cell: str) -> None:
        model, batch = loud(model_of(cell, 2)), batch_of(horizon=HORIZON)
        told = model(batch)
        total, _ = model.head.loss(told.raw, batch["target"][..., None] - told.base)
        assert without_gradient(model, total) == []

    @SEASONS
    def test_base_is_between_the_step_before_and_the_season_before(self, season: int) -> None:
        model, batch = loud(model_of(season=season)), batch_of(horizon=HORIZON)
        y = torch.cat([10 * torch.sinh(batch["x"][..., 0] / 5), batch["target"]], 1)
        base = model(batch).base[..., 0]
        for h in range(HORIZON):
            ways = torch.stack([y[:, STEPS + h - 1], y[:, max(STEPS + h - season, 0)]])
            assert (base[:, h] >= ways.amin(0) - 1e-4).all()
            assert (base[:, h] <= ways.amax(0) + 1e-4).all()

    @SEASONS
    @pytest.mark.parametrize("step", range(HORIZON))
    def test_a_step_sees_the_true_ones_before_it_alone(self, season: int, step: int) -> None:
        model, batch = loud(model_of(season=season)), batch_of(horizon=HORIZON)
        other = {**batch, "target": batch["target"].clone()}
        other["target"][:, step] += 1
        changed = (model(other).raw != model(batch).raw).any(-1).any(0)
        assert changed.tolist() == [h > step for h in range(HORIZON)]

    @SEASONS
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_lengths_are_rows_one_by_one(self, season: int, cell: str) -> None:
        model = loud(model_of(cell, 2, season=season))
        batch = batch_of(horizon=HORIZON, lengths=[12, 1, 5, 11, 2])
        with torch.no_grad():
            told = model(padded(batch, 1))
            for row in range(5):
                own = model(alone(batch, row, 1))
                torch.testing.assert_close(told.raw[row], own.raw[0], rtol=1e-4, atol=1e-4)
                torch.testing.assert_close(told.base[row], own.base[0], rtol=1e-4, atol=1e-4)

    def test_the_first_answers_are_near_the_base(self) -> None:
        batch, bound = batch_of(horizon=HORIZON), 6**-0.5  # what a dense layer over six numbers draws its weights in
        torch.manual_seed(0)
        model = model_of()
        assert model.head.project.weight.abs().max() <= START * bound < model.head.project.bias.abs().max()
        torch.testing.assert_close(model(batch).raw, model.head.project.bias.expand(5, HORIZON, 7), rtol=0, atol=0.2)

    def test_every_input_is_heard(self) -> None:
        model, batch = loud(model_of()), batch_of(horizon=HORIZON)
        for name in ("x", "clock", "ahead", "still"):
            other = {**batch, name: batch[name] + 0.1}
            assert (model(other).raw != model(batch).raw).any(-1).all(), name


class TestAnswers:
    """Without a target: paths that feed on themselves."""

    @SEASONS
    @pytest.mark.parametrize("head", ["quantile", "gaussian", "student_t"])
    @pytest.mark.parametrize("levels", [[], LEVELS])
    def test_lengths_are_rows_one_by_one(self, season: int, head: str, levels: list[float]) -> None:
        model = calm(model_of("lstm", head=head, season=season))
        batch = batch_of(horizon=HORIZON, lengths=[12, 1, 5, 11, 2])
        found = answers(model, padded(batch, 1), levels, GROWTH)
        assert found.shape == (len(levels) or 1, 5, HORIZON)
        for row in range(5):
            own = answers(model, alone(batch, row, 1), levels, GROWTH)
            np.testing.assert_allclose(found[:, row], own[:, 0], rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("head", ["quantile", "gaussian", "student_t"])
    def test_the_same_question_gets_the_same_answer(self, head: str) -> None:
        model, batch = calm(model_of(head=head)), batch_of(horizon=HORIZON)
        found = answers(model, batch, LEVELS, GROWTH)
        torch.rand(3)  # the caller's random stream plays no part
        np.testing.assert_array_equal(answers(model, batch, LEVELS, GROWTH), found)
        np.testing.assert_allclose(answers(model, some(batch, [4, 1]), LEVELS, GROWTH), found[:, [4, 1]], rtol=1e-4)
        assert (found[1] < found[0]).all()
        assert (found[0] < found[2]).all()

    def test_no_target_is_needed(self) -> None:
        model, batch = calm(model_of()), batch_of(horizon=HORIZON)
        blind = {name: part for name, part in batch.items() if name not in ("target", "mask", "ways")}
        np.testing.assert_array_equal(answers(model, blind, LEVELS, GROWTH), answers(model, batch, LEVELS, GROWTH))

    @pytest.mark.parametrize("levels", [[], LEVELS])
    def test_few_are_followed_at_once(self, levels: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        model, batch = calm(model_of()), batch_of(rows=9, horizon=HORIZON)
        found = answers(model, batch, levels, GROWTH)
        monkeypatch.setattr(recursive, "PATHS", 100)
        monkeypatch.setattr(recursive, "AT_ONCE", 250 if levels else 4)
        sizes: list[tuple[int, int]] = []
        model.recurrent.register_forward_hook(lambda module, args, output: sizes.append(tuple(args[0].shape[:2])))
        np.testing.assert_allclose(answers(model, batch, levels, GROWTH), found, rtol=1e-4, atol=1e-5)
        assert max(rows for rows, steps in sizes if steps == 1) == (200 if levels else 4)
        assert {steps for _, steps in sizes} == {1, STEPS - 1}

    def test_a_head_without_a_law_goes_on_from_its_prediction(self) -> None:
        model, batch = calm(model_of(head="point")), batch_of(horizon=HORIZON)
        one = answers(model, batch, [], GROWTH)
        np.testing.assert_array_equal(answers(model, batch, LEVELS, GROWTH), np.repeat(one, 3, 0))

    def test_a_walk_spreads_as_the_root_of_time(self) -> None:
        """y[t + 1] = y[t] + e with e normal: after h steps the quantiles are sqrt(h) times those of e."""
        horizon = 25
        model = model_of(head="gaussian", season=1)
        with torch.no_grad():
            model.head.project.weight.zero_()
            model.head.project.bias.copy_(torch.tensor([0.0, 0.5413]))  # mean 0, scale 1
        batch = batch_of(rows=1, horizon=horizon)
        found = answers(model, batch, [0.5, 0.16, 0.84], np.ones(horizon))[:, 0]
        start = float(model._origin(batch).before[0, -1])
        root = np.sqrt(np.arange(1, horizon + 1))
        assert (np.abs(found[0] - start) < 0.5 * root).all()
        np.testing.assert_allclose((found[2] - found[1]) / 2 / root, 1, atol=0.35)  # of a hundred paths
        # Growth widens each step's law, not the path before it.
        wide = answers(model, batch, [0.5, 0.16, 0.84], np.full(horizon, 3.0))[:, 0]
        np.testing.assert_allclose(wide - start, 3 * (found - start), rtol=1e-3, atol=1e-3)

    def test_a_window_of_one_step(self) -> None:
        model = calm(model_of())
        batch = batch_of(horizon=HORIZON, steps=1)
        assert model(batch).raw.shape == (5, HORIZON, 7)
        assert np.isfinite(answers(model, batch, LEVELS, GROWTH)).all()


class TestSample:
    """Draws of the quantile head, which the paths above are made of."""

    def test_draws_lie_below_each_level_as_often_as_it_says(self) -> None:
        head, levels = heads.build("quantile", 5, 2, levels=[0.1, 0.4, 0.9]), torch.tensor([0.1, 0.2, 0.4, 0.7, 0.9])
        raw, count = torch.randn(6), 20_000
        draws = drawn(head, raw.expand(count, 6), torch.Generator().manual_seed(0))
        assert draws.shape == (count, 2)
        share = (draws[..., None] <= head.quantiles(raw, levels)).double().mean(0)
        torch.testing.assert_close(share, levels.double().expand(2, 5), rtol=0, atol=0.015)

    @pytest.mark.parametrize(
        ("levels", "lowest", "highest"),
        [
            ([0.1, 0.5, 0.9], -1.25, 1.25),  # the line goes on for a quarter of its gap
            ([0.4, 0.5, 0.6], -3.0, 3.0),  # for four of them, cut off after two
        ],
    )
    def test_beyond_the_levels_the_line_goes_on_for_two_gaps_at_most(
        self, levels: list[float], lowest: float, highest: float
    ) -> None:
        head = heads.build("quantile", 5, 1, levels=levels)
        raw = torch.tensor([0.0, 0.5413248, 0.5413248]).expand(20_000, 3)  # gaps of 1
        draws = drawn(head, raw, torch.Generator().manual_seed(0))
        assert (float(draws.min()), float(draws.max())) == (
            pytest.approx(lowest, abs=0.01),
            pytest.approx(highest, abs=0.01),
        )

    def test_one_level_is_all_that_is_known(self) -> None:
        head, raw = heads.build("quantile", 5, 2, levels=[0.3]), torch.randn(50, 2)
        assert torch.equal(drawn(head, raw, torch.Generator()), head.predict(raw))
