"""Whole sequences through the runtime, beside the layer that was saved."""

import numpy as np
import pytest
import torch
from tests.contracts.conftest import as_tuple
from tests.runtime.conftest import layer_of

import ostinato as ost
from ostinato import runtime


def assert_same(model, layer, x, state=None, lengths=None, tolerance=1e-6):
    """Output and end states of both."""
    given = None if state is None else tuple(s.numpy() for s in as_tuple(state))
    found, ends = model.run(x.numpy(), given, lengths=lengths)
    expected, end = layer(x, state, lengths=lengths)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)
    for a, b in zip(ends, as_tuple(end), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_equals_the_layer(kind, options, bidirectional, dtype, model_of):
    layer = layer_of(kind, 3, 5, bidirectional=bidirectional, dtype=dtype, **options)
    model, x = model_of(layer), torch.randn(4, 6, 3, dtype=dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    assert str(model.dtype) == str(dtype).removeprefix("torch.")
    assert_same(model, layer, x, tolerance=tolerance)
    assert_same(model, layer, x, lengths=[6, 0, 2, 6], tolerance=tolerance)
    _, state = layer(x)
    assert_same(model, layer, x, state, lengths=[0, 1, 6, 3], tolerance=tolerance)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid", "identity"])
def test_every_activation_of_the_rnn(nonlinearity, model_of):
    layer = layer_of("RNN", 3, 5, nonlinearity=nonlinearity)
    assert_same(model_of(layer), layer, torch.randn(2, 6, 3))


def test_what_is_random_in_training_is_not_there(model_of):
    layer = layer_of("LSTM", 3, 5, num_layers=2, dropout=0.5, recurrent_dropout=0.5, weight_dropout=0.5)
    assert_same(model_of(layer.train()), layer.eval(), torch.randn(2, 6, 3))


def test_sequences_of_no_steps_and_no_sequences(kind, model_of):
    layer = layer_of(kind, 3, 5, num_layers=2, learn_initial_state=True)
    for shape in ((2, 0, 3), (0, 4, 3)):
        assert_same(model_of(layer), layer, torch.randn(shape))


def test_any_memory_and_any_real_type(model_of):
    model = model_of(layer_of("GRU", 3, 5))
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    expected = model.predict(x)
    frozen = x.copy()
    frozen.setflags(write=False)
    for given in (x.astype(np.float64), x.astype(">f4"), np.asfortranarray(x), x[:, ::-1][:, ::-1], frozen, x.tolist()):
        np.testing.assert_array_equal(model.predict(given), expected)
    whole = np.arange(36).reshape(2, 6, 3)
    np.testing.assert_array_equal(model.predict(whole), model.predict(whole.astype(np.float32)))


def test_threads_do_not_change_a_bit(tmp_path):
    layer, x = layer_of("LSTM", 8, 70, bidirectional=True), torch.randn(33, 40, 8)
    ost.save(layer, tmp_path / "layer.ost")
    answers = [runtime.load(tmp_path / "layer.ost", threads=n).predict(x.numpy()) for n in (1, 2, None)]
    for other in answers[1:]:
        np.testing.assert_array_equal(answers[0], other)


@pytest.mark.parametrize("threads", [0, -1, "2", 1.5, True])
def test_what_is_no_number_of_threads_is_refused_when_it_is_said(threads, tmp_path):
    ost.save(layer_of("GRU", 3, 5), tmp_path / "layer.ost")
    with pytest.raises(ValueError, match=f"threads must be a whole number of at least 1, found {threads!r}"):
        runtime.load(tmp_path / "layer.ost", threads=threads)


def test_an_empty_list_is_the_lengths_of_no_sequences(model_of):
    assert model_of(layer_of("GRU", 3, 5)).predict(np.zeros((0, 6, 3)), lengths=[]).shape == (0, 6, 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, x: m.predict(x[..., :2]), r"x must be \(batch, time, 3\), found \(2, 6, 2\)"),
        (lambda m, x: m.predict(x[0]), r"x must be \(batch, time, 3\), found \(6, 3\)"),
        (lambda m, x: m.predict(x, lengths=[1]), "lengths must be 2 integers, found int64 \\(1,\\)"),
        (lambda m, x: m.predict(x, lengths=[1.0, 2.0]), "lengths must be 2 integers, found float64"),
        (lambda m, x: m.predict(x, lengths=[7, 0]), r"lengths must lie in 0..6, found 0..7"),
        (lambda m, x: m.predict(x, lengths=[-1, 0]), r"lengths must lie in 0..6, found -1..0"),
        (lambda m, x: m.predict(x, np.zeros((1, 2, 5))), r"must be \[\(1, 2, 5\), \(1, 2, 5\)\]"),
        (lambda m, x: m.predict(x, (np.zeros((1, 2, 5)), np.zeros((1, 2, 4)))), r"found \[\(1, 2, 5\), \(1, 2, 4\)\]"),
    ],
)
def test_what_does_not_fit_is_refused(call, words, model_of):
    with pytest.raises(ValueError, match=words):
        call(model_of(layer_of("LSTM", 3, 5)), np.zeros((2, 6, 3), np.float32))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, x: m.predict("abc"), "x must be an array of real numbers, found str of <U3"),
        (lambda m, x: m.predict([[1, 2], [3]]), "x must be an array of real numbers, found list: "),
        (lambda m, x: m.predict({"x": 1}), "x must be an array of real numbers, found dict: "),
        (lambda m, x: m.predict([[[10**400] * 3]]), "x must be an array of real numbers, found list: "),
        (lambda m, x: m.predict(x + 1j), "x must be an array of real numbers, found ndarray of complex64"),
        (
            lambda m, x: m.predict(x.astype("datetime64[s]")),
            "x must be an array of real numbers, found ndarray of date",
        ),
        (lambda m, x: m.predict(x, "abc"), "state must be an array of real numbers, found str of <U3"),
        (lambda m, x: m.predict(x, {"h": 1}), "state must be an array of real numbers, found dict: "),
        (lambda m, x: m.predict(x, [[[1, 2], [3]]]), r"state\[0\] must be an array of real numbers, found list: "),
        (lambda m, x: m.predict(x, (np.zeros((1, 2, 5)), 1j)), r"state\[1\] must be .* found complex of complex128"),
        (lambda m, x: m.predict(x, lengths=[[1, 2], [3]]), "lengths must be 2 integers, found list: "),
    ],
)
def test_what_is_no_array_of_numbers_is_named(call, words, model_of):
    with pytest.raises(ValueError, match=f"^{words}"):
        call(model_of(layer_of("LSTM", 3, 5)), np.zeros((2, 6, 3), np.float32))


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("LSTM", {"dtype": torch.float16}, "the tensors are float16; the runtime has float32 or float64"),
    ],
)
def test_what_has_no_kernel_says_so(kind, options, words, model_of):
    with pytest.raises(runtime.FormatError, match=words):
        model_of(layer_of(kind, 3, 5, **options))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {"peephole": True, "coupled_gates": True, "zoneout": (0.1, 0.2)}),
        ("LSTM", {"proj_size": 2, "layer_norm": True, "num_layers": 2}),
        ("LSTM", {"proj_size": 3, "bidirectional": True, "num_layers": 2, "learn_initial_state": True}),
        ("GRU", {"reset_after": False, "zoneout": 0.1}),
        ("GRU", {"layer_norm": True, "bias": False}),
        ("RNN", {"layer_norm": True, "nonlinearity": "relu", "zoneout": 0.3}),
    ],
)
def test_options_are_served_whole_and_step_by_step(kind, options, model_of):
    torch.manual_seed(2)
    layer, x = layer_of(kind, 3, 17, **options, dtype=torch.float64), torch.randn(4, 6, 3, dtype=torch.float64)
    for p in layer.parameters():
        p.uniform_(-0.7, 0.7)
    model, lengths = model_of(layer), [6, 0, 2, 5]
    np.testing.assert_allclose(
        model.predict(x.numpy(), lengths=lengths), layer(x, lengths=lengths)[0], rtol=0, atol=1e-12
    )
    if layer.bidirectional:
        return
    expected, stream = layer(x)[0].numpy(), model.stream(batch=4)
    for t in range(6):
        np.testing.assert_allclose(stream.step(x[:, t].numpy()), expected[:, t], rtol=0, atol=1e-12)
    stream.reset([2])
    np.testing.assert_allclose(stream.step(x[:, 0].numpy())[2], expected[2, 0], rtol=0, atol=1e-12)


def test_bfloat16_is_refused_when_it_is_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save layer.float\(\)"):
        ost.save(layer_of("GRU", 3, 5, dtype=torch.bfloat16), tmp_path / "layer.ost")
    assert not list(tmp_path.iterdir())
