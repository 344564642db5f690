"""What `fit` does with a model: learns, repeats itself, carries state, keeps the best, tells its callbacks."""

from __future__ import annotations

import io
import json
import math
import re

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.training.small import Chunks, Net, Rows, carried, error, net, same, squares, train, weights
from torch import nn

import ostinato as ost
from ostinato.training import Callback, History, Settings, Trainer, fit, progress


class Recorder(Callback):
    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda logs: self.events.append((name, logs))
        return super().__getattribute__(name)


class Scores:
    """A validation that answers from a list, and keeps the weights it was asked about."""

    def __init__(self, *scores: float) -> None:
        self.scores, self.seen = iter(scores), []

    def __call__(self, model):
        self.seen.append(weights(model))
        return next(self.scores)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_learns(optimizer):
    _, history = train(optimizer=optimizer, learning_rate=0.3 if optimizer == "sgd" else 0.01, epochs=12)
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]


def test_a_step_is_the_gradient_of_sum_over_count():
    """Against the same step in plain torch, without dropout."""
    model, twin = net(dropout=0.0), net(dropout=0.0)
    rows = Rows(rows=6)
    train(model=model, batches=rows, optimizer="sgd", learning_rate=0.1, clip=None, epochs=1)
    (batch,) = rows.epoch(0)
    (twin(batch["x"])[0] - batch["y"]).square().mean().backward()
    with torch.no_grad():
        for p in twin.parameters():
            p -= 0.1 * p.grad
    for ours, reference in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, reference)


def test_the_gradient_is_clipped_as_a_whole():
    model = net(dropout=0.0)
    before = weights(model)
    _, history = train(model=model, batches=Rows(rows=6), optimizer="sgd", learning_rate=1.0, clip=0.01, epochs=1)
    moved = torch.cat([(after - before[name]).flatten() for name, after in weights(model).items()])
    assert history[0]["gradient_norm"] > 0.01
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    first, history = train(validate=error)
    again, repeated = train(validate=error)
    other, _ = train(validate=error, seed=1)
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))
    assert [row["loss"] for row in history] == [row["loss"] for row in repeated]


def test_one_thread_and_two_give_the_same_weights():
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(weights(train()[0]))
    finally:
        torch.set_num_threads(threads)
    assert same(*found)


def test_the_callers_random_stream_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_torchs_own_layers_train_too():
    model, history = train(model=net(cell=nn.LSTM), epochs=12)
    assert history[-1]["loss"] < history[0]["loss"]
    assert not model.training


# State carried from batch to batch -------------------------------------------------------------


def test_state_goes_from_batch_to_batch_and_starts_anew_with_the_epoch():
    given = []

    def watched(model, batch, state):
        given.append(state)
        return carried(model, batch, state)

    train(batches=Chunks(3), objective=watched, epochs=2)
    assert [state is None for state in given] == [True, False, False] * 2
    assert not any(state.requires_grad for state in given if state is not None)


def test_a_carried_state_is_that_of_the_whole_sequence():
    """With no learning to speak of and no dropout, the chunks' losses are the whole sequence's."""
    model, rows = net(dropout=0.0), Chunks(4)
    whole = (model(rows.x)[0] - rows.y).square().mean().item()
    _, history = train(model=model, batches=rows, objective=carried, epochs=1, learning_rate=1e-12)
    assert history[0]["loss"] == pytest.approx(whole, rel=1e-5)


# Validation, best weights, early stopping ---------------------------------------------------------


def test_early_stopping_gives_back_the_best_weights():
    validate = Scores(5.0, 3.0, 4.0, 3.5, 9.0)
    model, history = train(validate=validate, patience=2, epochs=50)
    assert [row["valid_loss"] for row in history] == [5.0, 3.0, 4.0, 3.5]
    assert same(weights(model), validate.seen[1])


def test_the_best_weights_come_back_without_patience_too():
    validate = Scores(5.0, 1.0, 4.0)
    assert same(weights(train(validate=validate, epochs=3)[0]), validate.seen[1])


def test_min_delta_is_what_counts_as_better():
    validate = Scores(5.0, 4.95, 4.91, 1.0)
    _, history = train(validate=validate, patience=2, min_delta=0.1, epochs=50)
    assert len(history) == 3


def test_validation_sees_evaluation_mode_without_gradients_and_may_give_more():
    def validate(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        return {"loss": error(model), "mae": 2, "empty": math.nan}

    _, history = train(validate=validate, epochs=1)
    assert history[0]["valid_mae"] == 2.0
    assert history[0]["valid_empty"] is None


def test_a_validation_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="validate gave mae, mase: give a number, or a dict with loss"):
        train(validate=lambda model: {"mae": 1.0, "mase": 2.0})


@pytest.mark.parametrize("words", [{"patience": 2}, {"schedule": "plateau"}])
def test_what_goes_by_validation_asks_for_it(words):
    with pytest.raises(ValueError, match="give validate"):
        train(**words)


# Schedules -------------------------------------------------------------------------------------------


def _rates(**words):
    recorder = Recorder()
    train(callbacks=[recorder], learning_rate=1.0, optimizer="sgd", clip=0.001, **words)
    return [logs["learning_rate"] for event, logs in recorder.events if event == "on_batch_end"]


def test_the_learning_rate_rises_in_a_line_then_stays():
    assert _rates(warmup=4, epochs=2) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_the_cosine_falls_towards_0_after_the_rise():
    rates = _rates(schedule="cosine", warmup=2, epochs=2)
    assert rates == pytest.approx([0.5, 1.0, *(0.5 + 0.5 * math.cos(math.pi * k / 6) for k in range(6))])


def test_the_plateau_halves_after_every_so_many_epochs_without_a_better_one():
    rates = _rates(schedule="plateau", plateau_patience=2, epochs=6, validate=Scores(3, 4, 4, 4, 4, 1))
    assert rates[::4] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


# Ending ------------------------------------------------------------------------------------------------


class StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_end(self, logs):
        self.trainer.stop = logs["step"] >= self.step


def test_a_callback_can_end_training_inside_an_epoch():
    _, history = train(callbacks=[StopAt(6)], validate=error)
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 4), (2, 6)]


def test_the_time_limit_ends_training_with_the_best_weights():
    model, history = train(time_limit=0.5, epochs=100_000, validate=error)
    assert 1 <= len(history) < 100_000
    assert history[-1]["seconds"] < 20
    assert error(model) == min(row["valid_loss"] for row in history)


def test_callbacks_hear_everything_in_order():
    recorder = Recorder()
    train(callbacks=[recorder], epochs=2, batches=Rows(rows=12), validate=error)
    epoch = ["on_epoch_begin", "on_batch_end", "on_batch_end", "on_epoch_end"]
    assert [event for event, _ in recorder.events] == ["on_train_begin", *epoch, *epoch, "on_train_end"]
    logs = [logs for _, logs in recorder.events]
    assert logs[1] == {"epoch": 1}
    assert logs[3].keys() == {"epoch", "batch", "step", "loss", "learning_rate", "gradient_norm"}
    assert (logs[7]["epoch"], logs[7]["batch"], logs[7]["step"]) == (2, 2, 4)
    assert logs[8]["valid_loss"] == logs[9]["valid_loss"] > 0


def test_a_callback_has_the_trainer():
    class Look(Callback):
        def on_train_end(self, logs):
            self.found = self.trainer

    look = Look()
    model, history = train(callbacks=[look], epochs=1)
    assert isinstance(look.found, Trainer)
    assert look.found.model is model
    assert look.found.history is history


def test_batches_that_count_nothing_teach_nothing():
    def masked(model, batch, state):
        total, _, state = squares(model, batch, state)
        return total * 0, 0, state

    model, history = train(objective=masked, weight_decay=0.1, optimizer="adamw")
    assert same(weights(model), weights(net()))
    assert history[-1]["loss"] is None


def test_no_batches_or_fewer_than_said_are_refused():
    class Short(Rows):
        def epoch(self, number, first=0):
            return list(super().epoch(number, first))[:2]

    with pytest.raises(ValueError, match="no batches to train on"):
        train(batches=Rows(rows=0))
    with pytest.raises(ValueError, match=r"epoch 1 gave 2 batches, len\(batches\) is 4"):
        train(batches=Short())


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match=f"device='{device}'"):
        train(device=device)


# Precision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_learns_with_float32_weights(precision):
    seen = []

    def watched(model, batch, state):
        seen.append(model.dense(torch.ones(1, 8)).dtype)
        return squares(model, batch, state)

    model, history = train(precision=precision, objective=watched, epochs=12, model=net(dropout=0.0))
    assert set(seen) == {getattr(torch, precision)}
    assert model.dense.weight.dtype == torch.float32
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]


def test_the_scaler_leaves_out_steps_that_overflow():
    def overflowing(model, batch, state):
        total, count, state = squares(model, batch, state)
        return total * 1e3, count, state  # times a scale of 65536: past float16

    recorder = Recorder()
    model, _ = train(precision="float16", objective=overflowing, callbacks=[recorder], epochs=5)
    norms = [logs["gradient_norm"] for event, logs in recorder.events if event == "on_batch_end"]
    assert norms[0] is None
    assert norms[-1] is not None
    assert all(torch.isfinite(w).all() for w in weights(model).values())
    assert not same(weights(model), weights(net()))


# History -----------------------------------------------------------------------------------------------------


def test_history_is_plain_rows_a_frame_and_a_picture(tmp_path):
    _, history = train(validate=error, epochs=3, out=tmp_path)
    assert isinstance(history, History)
    assert list(history.to_frame()["epoch"]) == [1, 2, 3]
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(history)
    figure = history.plot()
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation"]
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_an_empty_history_can_be_drawn():
    assert len(History().to_frame()) == 0
    assert not History().plot().axes[0].lines


# What is said --------------------------------------------------------------------------------------------------


def test_one_line_is_said_at_the_end_and_none_when_quiet(capsys):
    fit(net(), Rows(), squares, Settings(epochs=2), validate=error)
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("trained 2 epochs in 0:00:0")
    assert "best validation" in said.err
    train(epochs=1)
    assert capsys.readouterr().err == ""


def test_where_training_is_and_the_time_left_are_said(capsys):
    class Impatient(Callback):
        def on_train_begin(self, logs):
            self.trainer.line.every = 0.0

    fit(net(), Rows(), squares, Settings(epochs=2, time_limit=3600), callbacks=[Impatient()], validate=error)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert lines[0].startswith("epoch 1/2, batch 1/4, loss 0.")
    assert "best validation" in lines[5]
    assert all(line.endswith("left") for line in lines[:8])


def test_on_a_terminal_the_line_is_one_that_moves(monkeypatch):

    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda stderr: Console(file=screen, force_terminal=True, width=100))
    monkeypatch.setattr(progress.time, "monotonic", iter(np.arange(0, 1e6, 0.5)).__next__)
    fit(net(), Rows(), squares, Settings(epochs=1))
    assert re.search(r"epoch 1/1, batch \d/4, loss 0\.\d+, 0:00:\d\d left", screen.getvalue())
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is shown again


def test_our_layers_are_what_the_small_problem_trains():
    assert isinstance(Net().rnn, ost.GRU)
