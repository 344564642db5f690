"""What each option does, seen from outside: where weights begin, what is dropped, what is kept."""

import copy
import itertools

import pytest
import torch
from tests.contracts.conftest import as_tuple

import ostinato as ost

KINDS = ["RNN", "LSTM", "GRU"]


def echo(width, layers=1, **options):
    """An RNN that gives out its input: h' = x (+ R h), R = 0, whatever a mask does then shows by itself."""
    layer = ost.RNN(width, width, layers, nonlinearity="identity", bias=False, **options)
    with torch.no_grad():
        for k in range(layers):
            getattr(layer, f"weight_ih_l{k}").copy_(torch.eye(width))
            getattr(layer, f"weight_hh_l{k}").zero_()
    return layer


# ---- initializers


@pytest.mark.parametrize("kind", KINDS)
def test_orthogonal_gate_by_gate(kind):
    layer = getattr(ost, kind)(3, 8, num_layers=2, bidirectional=True, initializer="orthogonal", dtype=torch.float64)
    for _, suffix in layer._each():
        for R in getattr(layer, "weight_hh" + suffix).split(8):
            torch.testing.assert_close(R @ R.T, torch.eye(8, dtype=torch.float64), rtol=0, atol=1e-12)
        biases = getattr(layer, "bias_ih" + suffix) + getattr(layer, "bias_hh" + suffix)
        forget = torch.zeros_like(biases)
        if kind == "LSTM":
            forget[8:16] = 1
        assert torch.equal(biases, forget)
        bound = (6 / (8 + getattr(layer, "weight_ih" + suffix).shape[1])) ** 0.5  # Glorot, of one gate
        assert 0.8 * bound < getattr(layer, "weight_ih" + suffix).abs().max() <= bound


def test_orthogonal_with_projection_and_in_half_precision():
    layer = ost.LSTM(3, 8, proj_size=5, initializer="orthogonal", dtype=torch.float64)
    for R in layer.weight_hh_l0.split(8):  # (8, 5): its columns are orthonormal
        torch.testing.assert_close(R.T @ R, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-12)
    half = ost.LSTM(3, 8, initializer="orthogonal", dtype=torch.bfloat16).weight_hh_l0[:8].float()
    torch.testing.assert_close(half @ half.T, torch.eye(8), rtol=0, atol=0.05)


def test_identity_with_relu_carries_its_state_unchanged():
    """Le 2015: with R the identity and x = 0, h stays as it is."""
    layer, h = ost.RNN(3, 8, nonlinearity="relu", initializer="identity"), torch.rand(1, 2, 8)
    output, end = layer(torch.zeros(2, 50, 3), h)
    assert torch.equal(end, h)
    assert torch.equal(output[:, 7], h[0])
    assert 0 < layer.weight_ih_l0.abs().max() < 0.01


def test_reset_parameters_draws_anew():
    layer = ost.LSTM(3, 8, layer_norm=True, learn_initial_state=True)
    before = copy.deepcopy(layer.state_dict())
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(1)
    layer.reset_parameters()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.startswith(("weight", "bias"))), name
    assert (layer.norm_c_l0.weight == 1).all()
    assert (layer.h0 == 0).all()


# ---- dropout in its kinds


def test_dropout_lies_between_layers_and_not_after_the_last():
    x = torch.ones(40, 25, 30)
    assert torch.equal(echo(30, dropout=0.3)(x)[0], x)
    output = echo(30, 2, dropout=0.3)(x)[0]
    kept = output != 0
    assert 0.69 < kept.double().mean() < 0.71
    torch.testing.assert_close(output[kept], torch.full_like(output[kept], 1 / 0.7))
    twice = echo(30, 3, dropout=0.3)(x)[0]  # two places, two masks
    assert 0.48 < (twice != 0).double().mean() < 0.50
    assert torch.equal(echo(30, 2, dropout=0.3).eval()(x)[0], x)
    assert (echo(30, 2, dropout=1.0)(x)[0] == 0).all()
    varied = (kept.double().mean(dim) for dim in ([0, 1], [0, 2], [1, 2]))  # over units, steps and sequences
    assert all(0.55 < v.min() < v.max() < 0.85 for v in varied)


def recurrent_masks(**options):
    """(uses, sequences, units): R = 1 in one layer and direction at a time, a single 1 in x: h is 1, m, m^2, m^3."""
    masks, x = [], torch.zeros(30, 7, 50)
    x[:, 3] = 1
    for own in itertools.product((0, 1), (0, 1)):
        layer = ost.RNN(50, 50, 2, nonlinearity="identity", bias=False, bidirectional=True, **options)
        with torch.no_grad():
            for k, d in itertools.product((0, 1), (0, 1)):
                W, R = (getattr(layer, f"weight_{name}_l{k}{'_reverse' * d}") for name in ("ih", "hh"))
                R.copy_(torch.eye(50) * ((k, d) == own))
                W.copy_(torch.cat([torch.eye(50)] * (k + 1), 1) / (k + 1))
                if k == 1 and own[0] == 0:  # the layer above looks at the one direction alone
                    W.copy_(torch.cat([torch.eye(50) * (own[1] == 0), torch.eye(50) * (own[1] == 1)], 1))
        torch.manual_seed(8)
        output, _ = layer(x)
        powers = output[:, 3:, :50] if own[1] == 0 else output[:, :4, 50:].flip(1)
        torch.testing.assert_close(powers, (powers[:, 1, :, None] ** torch.arange(4)).transpose(1, 2))
        masks.append(powers[:, 1].detach())
    return torch.stack(masks)


def test_recurrent_dropout_has_one_mask_a_sequence_and_layer():
    masks = recurrent_masks(recurrent_dropout=0.4)
    kept = masks != 0
    torch.testing.assert_close(masks[kept], torch.full_like(masks[kept], 1 / 0.6))
    assert 0.58 < kept.double().mean() < 0.62
    assert len({tuple(row) for row in kept.flatten(0, 1).tolist()}) == 4 * 30  # no two alike
    assert (recurrent_masks(recurrent_dropout=0.0) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_zoneout_keeps_old_values_in_training_and_their_expectation_in_evaluation(kind):
    layer = getattr(ost, kind)(4, 64, zoneout=0.3)
    x = torch.randn(20, 30, 4)
    output, _ = layer(x)
    kept = (output[:, 1:] == output[:, :-1]).double().mean()
    assert 0.28 < kept < 0.32
    layer.eval()
    plain = getattr(ost, kind)(4, 64)
    plain.load_state_dict(layer.state_dict())
    h = torch.randn(1, 20, 64)
    state = (h, torch.randn(1, 20, 64)) if kind == "LSTM" else h
    for old, new, found in zip(
        *map(as_tuple, (state, plain(x[:, :1], state)[1], layer(x[:, :1], state)[1])), strict=True
    ):
        torch.testing.assert_close(found, 0.3 * old + 0.7 * new, rtol=0, atol=1e-6)


def test_zoneout_of_the_two_states_apart():
    layer, x = ost.LSTM(4, 64, zoneout=(0.0, 1.0)), torch.randn(5, 9, 4)
    _, (h, c) = layer(x, (torch.zeros(1, 5, 64), torch.ones(1, 5, 64)))
    assert (c == 1).all()  # all of the old c, always
    assert (h != 0).all()
    _, (h, c) = ost.LSTM(4, 64, zoneout=(1.0, 0.0))(x)
    assert (h == 0).all()
    assert (c != 0).all()


def test_zoneout_has_its_own_mask_for_each_state_and_step():
    layer, state = ost.LSTM(4, 64, zoneout=0.5), tuple(torch.randn(1, 20, 64) for _ in range(2))
    _, (h, c) = layer(torch.randn(20, 1, 4), state)
    of_h, of_c = h == state[0], c == state[1]
    assert 0.45 < (of_h == of_c).double().mean() < 0.55
    output, _ = layer(torch.randn(20, 9, 4))
    kept = output[:, 1:] == output[:, :-1]
    assert 0.45 < (kept[:, 1:] == kept[:, :-1]).double().mean() < 0.55


def test_weight_dropout_drops_entries_of_R_once_a_pass():
    layer = echo(60, weight_dropout=0.25)
    with torch.no_grad():
        layer.weight_hh_l0.fill_(1)
    x = torch.zeros(2, 3, 60)
    x[:, 0] = torch.eye(60)[0]  # then h[1] is column 0 of R
    output, _ = layer(x)
    columns = output[:, 1]
    assert torch.equal(columns[0], columns[1])  # one R for all sequences
    torch.testing.assert_close(columns[columns != 0], torch.tensor(1 / 0.75).expand(int((columns != 0).sum())))
    found = echo(60, weight_dropout=0.25)
    with torch.no_grad():
        found.weight_hh_l0.fill_(1)
    h = torch.eye(60)[None]  # row i of the output is column i of R
    R = found(torch.zeros(60, 1, 60), h)[0][:, 0]
    assert 0.72 < (R != 0).double().mean() < 0.78
    R.sum().backward()
    assert torch.equal(found.weight_hh_l0.grad != 0, (R != 0).T)  # what was dropped has no gradient
    assert torch.equal(found.eval()(torch.zeros(60, 1, 60), h)[0][:, 0], torch.ones(60, 60))


# ---- the rest


def test_residual_adds_input_to_output_from_the_second_layer_on():
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(echo(6, 3, residual=True)(x)[0], 4 * x)  # x, then 2 x, then 4 x
    one, narrow = echo(6, residual=True), ost.GRU(6, 6, residual=True)
    assert torch.equal(one(x)[0], x)
    plain = ost.GRU(6, 6)
    plain.load_state_dict(narrow.state_dict())
    assert torch.equal(narrow(x)[0], plain(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_learnt_initial_state_is_used_where_none_is_given_and_after_resets(kind):
    layer = getattr(ost, kind)(3, 4, num_layers=2, bidirectional=True, learn_initial_state=True, dtype=torch.float64)
    names = ["h0", "c0"] if kind == "LSTM" else ["h0"]
    with torch.no_grad():
        for name in names:
            getattr(layer, name).uniform_(-1, 1)
    learnt = tuple(getattr(layer, name)[:, None].expand(-1, 2, -1) for name in names)
    x, zeros = torch.randn(2, 6, 3, dtype=torch.float64), tuple(torch.zeros_like(s) for s in learnt)
    given = lambda state: state if len(state) > 1 else state[0]
    assert torch.equal(layer(x)[0], layer(x, given(learnt))[0])
    assert not torch.equal(layer(x)[0], layer(x, given(zeros))[0])
    layer(x, given(zeros))[0].sum().backward()
    assert all(getattr(layer, name).grad is None for name in names)
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[:, 3] = True
    output, _ = layer(x, given(zeros), resets=resets)
    output[:, 3:].sum().backward()
    assert all((getattr(layer, name).grad[::2] != 0).all() for name in names)  # the directions that read forwards


@pytest.mark.parametrize("kind", KINDS)
def test_options_of_a_layer_survive_arguments_and_copies(kind):
    options = {"dropout": 0.1, "zoneout": (0.1, 0.2), "residual": True, "learn_initial_state": True, "num_layers": 2}
    layer = getattr(ost, kind)(3, 4, **options, initializer="orthogonal")
    again = ost.Recurrent(**layer.arguments())
    assert again.arguments() == layer.arguments()
    again.load_state_dict(layer.state_dict())
    twin, x = copy.deepcopy(layer), torch.randn(2, 5, 3)
    for other in (again, twin):
        assert torch.equal(other.eval()(x)[0], layer.eval()(x)[0])
    with torch.no_grad():
        twin.weight_hh_l0.zero_()
    assert layer.weight_hh_l0.any()
