"""Norms of weights: the limit holds after every step; weight norm trains, and leaves plain weights."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tests.training.small import error, net, same, squares, train, weights
from torch import nn
from torch.nn.utils import parametrize

import ostinato as ost
from ostinato.training import Callback, Trainer
from ostinato.training.weights import Weight


def _largest(model: nn.Module) -> float:
    """The largest spectral norm of one gate's R, by NumPy's own singular values."""
    norms = [0.0]
    for module in model.modules():
        hidden = getattr(module, "hidden_size", None)
        for name in [n for n in dir(module) if n.startswith("weight_hh_l")] if hidden else ():
            norms += [float(np.linalg.norm(gate, 2)) for gate in getattr(module, name).detach().split(hidden)]
    return max(norms)


class Watch(Callback):
    def __init__(self) -> None:
        self.norms: list[float] = []

    def on_batch_end(self, logs):
        self.norms.append(_largest(self.trainer.model))


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("cell", [ost.RNN, ost.GRU, ost.LSTM, nn.GRU, nn.LSTM])
def test_the_limit_holds_after_every_step(cell, weight_norm):
    watch = Watch()
    model = net(cell=cell)
    assert _largest(model) > 0.4
    train(model=model, callbacks=[watch], recurrent_norm_limit=0.4, weight_norm=weight_norm, learning_rate=0.1)
    assert len(watch.norms) == 16
    assert max(watch.norms) <= 0.4 * (1 + 1e-5)
    assert _largest(model) <= 0.4 * (1 + 1e-5)


def test_a_weight_under_the_limit_is_not_touched():
    assert same(weights(train(recurrent_norm_limit=1e3)[0]), weights(train()[0]))


def test_each_gate_is_limited_by_itself_and_only_in_length():
    layer = nn.LSTM(2, 4)
    with torch.no_grad():
        layer.weight_hh_l0[4:8] *= 0.01
    before = layer.weight_hh_l0.detach().clone()
    (weight,) = [w for w in Weight.all_of(layer) if w.recurrent]
    weight.limit(0.3)
    after = layer.weight_hh_l0.detach()
    assert torch.equal(after[4:8], before[4:8])
    for gate in (0, 8, 12):
        ratio = after[gate : gate + 4] / before[gate : gate + 4]
        torch.testing.assert_close(ratio, ratio[0, 0].expand(4, 4))
        assert float(torch.linalg.matrix_norm(after[gate : gate + 4], 2)) == pytest.approx(0.3, rel=1e-5)


def test_a_projected_layer_has_gates_of_hidden_size_rows():
    layer = nn.LSTM(2, 6, proj_size=3)
    (weight,) = [w for w in Weight.all_of(layer) if w.recurrent]
    weight.limit(0.1)
    assert _largest(layer) == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("cell", [ost.GRU, ost.LSTM, nn.GRU, nn.LSTM])
def test_weight_norm_is_folded_into_the_same_parameters_in_the_same_order(cell):
    model = net(cell=cell)
    before, ids = list(model.state_dict()), [id(p) for p in model.parameters()]
    x = torch.randn(2, 5, 2)

    class Last(Callback):
        def on_train_end(self, logs):
            self.plain = not any(parametrize.is_parametrized(m) for m in self.trainer.model.modules())

    last = Last()
    train(model=model, weight_norm=True, callbacks=[last], validate=error)
    assert last.plain
    assert list(model.state_dict()) == before
    assert [id(p) for p in model.parameters()] == ids
    assert all(p.requires_grad and p.is_leaf for p in model.parameters())
    fresh = net(seed=77, cell=cell)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.eval()(x)[0], model(x)[0])


def test_weight_norm_changes_the_descent_and_not_the_start():
    plain, normalized = net(dropout=0.0), net(dropout=0.0)
    _, slow = train(model=normalized, weight_norm=True, learning_rate=1e-12, epochs=1)
    for name, weight in weights(normalized).items():
        torch.testing.assert_close(weight, weights(plain)[name])
    _, history = train(model=normalized, weight_norm=True, epochs=12)
    _, reference = train(model=plain, epochs=12)
    assert history[-1]["loss"] < 0.7 * slow[0]["loss"]
    assert history[-1]["loss"] != reference[-1]["loss"]


def test_weights_are_plain_again_after_a_failure():
    model = net()
    before = weights(model)

    def fails(model, batch, state):
        raise KeyError("a mistake in a recipe")

    with pytest.raises(KeyError):
        train(model=model, weight_norm=True, objective=fails)
    assert list(model.state_dict()) == list(before)
    for name, weight in weights(model).items():
        torch.testing.assert_close(weight, before[name])


def test_a_row_of_zeros_is_refused_and_the_model_left_plain():
    model = net()
    with torch.no_grad():
        model.rnn.weight_hh_l0[3] = 0
    before = weights(model)
    with pytest.raises(ValueError, match="row 3 of weight_hh_l0 is all zeros"):
        train(model=model, weight_norm=True)
    assert list(model.state_dict()) == list(before)


def test_a_weight_that_the_user_parametrized_is_left_to_the_user():
    model = net()
    parametrize.register_parametrization(model.rnn, "weight_hh_l0", nn.Tanh(), unsafe=True)
    train(model=model, weight_norm=True, epochs=1)
    assert parametrize.is_parametrized(model.rnn, "weight_hh_l0")
    assert not parametrize.is_parametrized(model.rnn, "weight_ih_l0")


def test_a_model_without_recurrent_weights_is_trained_as_it_is():
    model = nn.Linear(2, 1)

    def dense(model, batch, state):
        return (model(batch["x"]) - batch["y"]).square().sum(), batch["y"].numel(), None

    _, history = train(model=model, objective=dense, weight_norm=True, recurrent_norm_limit=0.5)
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_frozen_weight_stays():
    model = net()
    model.rnn.weight_ih_l0.requires_grad_(False)
    before = model.rnn.weight_ih_l0.clone()
    train(model=model)
    assert torch.equal(model.rnn.weight_ih_l0, before)


def test_a_copy_of_a_trained_model_trains_on():
    model, _ = train(weight_norm=True, epochs=1)
    twin = copy.deepcopy(model)
    train(model=model, epochs=1)
    train(model=twin, epochs=1)
    assert same(weights(model), weights(twin))


def test_the_trainer_says_which_weights_it_limits():
    from tests.training.small import Rows

    from ostinato.training import Settings

    trainer = Trainer(net(), Rows(), squares, Settings(epochs=1, recurrent_norm_limit=1.0), quiet=True)
    with trainer.ready(resume=False):
        assert {w.name for w in trainer._limited} == {"weight_hh_l0", "weight_hh_l1"}
