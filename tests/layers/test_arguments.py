"""What a layer refuses, and that it says which argument and what to do; what it takes at the edges."""

import re

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import ostinato as ost

X = torch.randn(2, 5, 3)
H = torch.zeros(1, 2, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be a whole number of at least 1, found 0"),
        ({"input_size": True}, "input_size must be a whole number of at least 1, found True"),
        ({"num_layers": 1.5}, "num_layers must be a whole number of at least 1, found 1.5"),
        ({"dropout": 1.5}, "dropout must be a probability in 0..1, found 1.5"),
        ({"dropout": True}, "dropout must be a probability"),
        ({"recurrent_dropout": float("nan")}, "recurrent_dropout must be a probability in 0..1, found nan"),
        ({"weight_dropout": "0.5"}, "weight_dropout must be a probability"),
        ({"zoneout": (0.1, 0.2, 0.3)}, r"zoneout must be one number or \(p_h, p_c\)"),
        ({"zoneout": -0.1}, "zoneout must be a probability"),
        ({"initializer": "glorot"}, "initializer must be one of uniform, orthogonal, identity; found 'glorot'"),
        ({"initializer": ["uniform"]}, r"one of uniform, orthogonal, identity; found \['uniform'\]"),
        ({"proj_size": 4}, r"proj_size must be in 0..hidden_size - 1 \(3\), found 4"),
        ({"proj_size": 2.0}, r"proj_size must be in 0..hidden_size - 1 \(3\), found 2.0"),
        ({"proj_size": "2"}, r"proj_size must be in 0..hidden_size - 1 \(3\), found '2'"),
        ({"proj_size": True}, r"proj_size must be in 0..hidden_size - 1 \(3\), found True"),
        ({"residual": "no"}, "residual must be True or False, found 'no'"),
        ({"learn_initial_state": None}, "learn_initial_state must be True or False, found None"),
        ({"layer_norm": "no"}, "layer_norm must be True or False, found 'no'"),
    ],
    ids=str,
)
def test_constructor(words, message):
    with pytest.raises(ValueError, match=message):
        ost.LSTM(**{"input_size": 3, "hidden_size": 4} | words)


def test_other_constructors():
    with pytest.raises(ValueError, match="nonlinearity must be one of tanh, relu, sigmoid, identity; found 'elu'"):
        ost.RNN(3, 4, nonlinearity="elu")
    with pytest.raises(ValueError, match="layer_norm with reset_after=False is refused"):
        ost.GRU(3, 4, layer_norm=True, reset_after=False)
    with pytest.raises(TypeError, match="GRU has no argument 'peephole'; known: batch_first, bias, "):
        ost.GRU(3, 4, peephole=True)
    with pytest.raises(TypeError, match="LSTM has no argument 'num_layer'; did you mean 'num_layers'?"):
        ost.LSTM(3, 4, num_layer=2)
    with pytest.raises(TypeError, match="RNN has no argument 'zone_out'; did you mean 'zoneout'?"):
        ost.RNN(3, 4, zone_out=0.1)
    with pytest.raises(TypeError, match="Recurrent has no argument 'peepholes'; did you mean 'peephole'?"):
        ost.Recurrent("lstm", 3, 4, peepholes=True)
    with pytest.raises(TypeError, match="LSTM has no argument 'own_weights'"):
        ost.LSTM(3, 4, own_weights=True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m(X[..., :2]), ValueError, "x has 2 features, the layer was made for input_size=3"),
        (lambda m: m(X[None]), ValueError, "x must be (batch, time, features) or unbatched (time, features)"),
        (lambda m: m(X.numpy()), TypeError, "input must be a tensor or a PackedSequence, found ndarray"),
        (
            lambda m: m(X.double()),
            ValueError,
            "x is torch.float64 on cpu, the weights are torch.float32 on cpu: pass x.to(torch.float32)",
        ),
        (lambda m: m(X.long()), ValueError, "x is torch.int64 on cpu, the weights are torch.float32 on cpu"),
        (lambda m: m(X.bfloat16()), ValueError, "x is torch.bfloat16 on cpu, the weights are torch.float32 on cpu"),
        (lambda m: m(X.to("meta")), ValueError, "x is torch.float32 on meta, the weights are torch.float32 on cpu"),
        (lambda m: m(X.double(), lengths=[1, 2]), ValueError, "the weights are torch.float32 on cpu"),
        (lambda m: m(pack_sequence([X[0].double()])), ValueError, "the weights are torch.float32 on cpu"),
        (lambda m: ost.trace(m, X.double()), ValueError, "the weights are torch.float32 on cpu"),
        (lambda m: m(X.to_sparse()), TypeError, "input must be a dense tensor, found torch.sparse_coo: pass x.to_den"),
        (lambda m: m(torch.nested.nested_tensor(list(X))), TypeError, "found a nested one: pass x.to_dense(), or seq"),
        (lambda m: m(pack_sequence([X[0, :, 0]])), ValueError, "must hold (steps, features), found (5,)"),
        (lambda m: m(X, 5), ValueError, "the state must be h and c, a tensor each; found ['int']"),
        (lambda m: m(X, H), ValueError, "the state must be h and c, a tensor each; found ['Tensor']"),
        (lambda m: m(X, (H, None)), ValueError, "found ['Tensor', 'NoneType']"),
        (lambda m: m(X, (H, H[:, :1])), ValueError, "state c must be (layers x directions, batch, size) = (1, 2, 4)"),
        (lambda m: m(X, (H[0], H[0])), ValueError, "state h must be (layers x directions, batch, size) = (1, 2, 4)"),
        (
            lambda m: m(X[0], (H, H)),
            ValueError,
            "(layers x directions, size) for unbatched input = (1, 4); found (1, 2",
        ),
        (
            lambda m: m(X, (H.double(), H.double())),
            ValueError,
            "state h is torch.float64 on cpu, x is torch.float32 on cpu",
        ),
        (lambda m: m(X, lengths=[5]), ValueError, "lengths must have one entry a sequence, shape (2,)"),
        (lambda m: m(X, lengths=[5.0, 2.0]), TypeError, "lengths must be integers"),
        (lambda m: m(X, lengths=[5, 6]), ValueError, "lengths[1] is 6, outside 0..5"),
        (lambda m: m(X, resets=torch.zeros(2, 4, dtype=torch.bool)), ValueError, "(2, 5), found (2, 4)"),
        (lambda m: m(X, resets=torch.zeros(2, dtype=torch.bool)), ValueError, "(2, 5), found (2,)"),
        (lambda m: m(X, resets=torch.rand(2, 5)), TypeError, "resets must be bool, found torch.float32"),
        (lambda m: m(pack_sequence(list(X)), lengths=[5, 5]), ValueError, "a packed sequence has its own"),
    ],
    ids=str,
)
def test_call(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(ost.LSTM(3, 4))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_unbatched_input_has_lengths_and_resets_too(kind):
    layer, resets = getattr(ost, kind)(3, 4, bidirectional=True), torch.tensor([0, 0, 1, 0, 0]).bool()
    output, _ = layer(X[0], lengths=4, resets=resets)
    expected, _ = layer(X[:1], lengths=[4], resets=resets[None])
    assert torch.equal(output, expected[0])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_resets_with_packed_input_are_in_the_users_order(kind):
    layer = getattr(ost, kind)(3, 4, bidirectional=True)
    rows, resets = [X[0, :2], X[1]], torch.tensor([[0, 1, 0, 0, 1], [0, 0, 1, 1, 0]]).bool()
    packed, _ = layer(pack_sequence(rows, enforce_sorted=False), resets=resets)
    expected, _ = layer(X, lengths=[2, 5], resets=resets)
    unpacked = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    assert torch.equal(unpacked, expected)


def test_resets_of_any_type():
    layer, marks = ost.GRU(3, 4), [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    expected = layer(X, resets=torch.tensor(marks).bool())[0]
    assert not torch.equal(expected, layer(X)[0])
    for given in (marks, np.array(marks, bool), np.array(marks, np.uint8), torch.tensor(marks)):
        assert torch.equal(layer(X, resets=given)[0], expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_empty_sequences_in_a_batch(kind):
    """All empty, with and without time in x: the state comes out as it went in."""
    layer = getattr(ost, kind)(3, 4, num_layers=2, bidirectional=True)
    state = torch.randn(4, 2, 4)
    given = (state, state * 2) if kind == "LSTM" else state
    for x, lengths in ((X, [0, 0]), (X[:, :0], [0, 0]), (X[:, :0], None)):
        output, end = layer(x, given, lengths=lengths)
        assert output.shape == (2, x.shape[1], 8)
        assert (output == 0).all()
        assert torch.equal(end[0] if kind == "LSTM" else end, state)


def test_float16_and_bfloat16_and_autocast():
    for dtype in (torch.float16, torch.bfloat16):
        layer = ost.GRU(3, 4, bidirectional=True, dtype=dtype)
        output, h = layer(X.to(dtype), lengths=[5, 2])
        assert output.dtype == h.dtype == dtype
    layer, x = ost.LSTM(3, 4, num_layers=2), X.clone().requires_grad_()
    expected = layer(X)[0]
    with torch.autocast("cpu", torch.bfloat16):
        output, state = layer(x.bfloat16(), lengths=[5, 5])  # as it comes out of a linear layer
        output, _ = layer(x, state)
        first, _ = layer(x)
    torch.testing.assert_close(first.float(), expected, rtol=0, atol=0.02)
    output.float().sum().backward()
    assert layer.weight_hh_l0.grad.dtype == torch.float32
    assert torch.isfinite(x.grad).all()


def test_scan_refuses_a_state_that_is_not_the_cells():
    cell = ost.cells.get("gru")(3, 4, reset_after=False)
    for state in ((torch.zeros(1, 4),), torch.zeros(2, 4), (torch.zeros(2, 4),) * 2):
        with pytest.raises(ValueError, match=r"the state of GRUCell must be a tuple of tensors \[\(2, 4\)\]"):
            ost.scan(cell, X, state)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: ost.scan(c, X[..., :2]), ValueError, "x must be (batch, time, 3), found (2, 5, 2)"),
        (lambda c: ost.scan(c, X[0]), ValueError, "x must be (batch, time, 3), found (5, 3)"),
        (lambda c: ost.scan(c, X.numpy()), TypeError, "x must be a tensor, found ndarray"),
        (lambda c: ost.scan(c, X.double()), ValueError, "x is torch.float64 on cpu, the weights are torch.float32"),
        (lambda c: ost.scan(c, X, "a"), ValueError, "the state of GRUCell must be a tuple of tensors [(2, 4)]"),
        (lambda c: ost.scan(c, X, 5), ValueError, "the state of GRUCell must be a tuple of tensors [(2, 4)]"),
        (lambda c: ost.scan(type(c), X), TypeError, "scan takes an object of an ost.Cell, found the class GRUCell"),
        (lambda c: ost.scan(ost.GRU(3, 4), X), TypeError, "found GRU: a layer is called, layer(x)"),
    ],
    ids=str,
)
def test_scan_says_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(ost.cells.get("gru")(3, 4))


def test_a_layer_says_what_it_is():
    words = repr(ost.LSTM(3, 4, 2, bidirectional=True, zoneout=(0.1, 0.2), initializer="orthogonal", peephole=True))
    options = "num_layers=2, bidirectional=True, initializer=orthogonal, zoneout=[0.1, 0.2], peephole=True"
    assert words == f"LSTM(lstm, 3, 4, {options})"
    assert repr(ost.LSTM(3, 4)) == "LSTM(lstm, 3, 4)"


def test_flags_of_numpy_and_of_numbers_are_kept_as_bools():
    layer = ost.GRU(3, 4, residual=1, reset_after=np.bool_(False))
    assert (layer.arguments()["residual"], layer.arguments()["reset_after"]) == (True, False)
    assert type(layer.arguments()["reset_after"]) is bool
