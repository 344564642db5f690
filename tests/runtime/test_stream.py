"""Streams: step by step equals the whole, many side by side equal single ones, states go in and out."""

import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from tests.runtime.conftest import layer_of

import ostinato as ost


def steps(stream, x):
    return np.stack([stream.step(x[:, t]).copy() for t in range(x.shape[1])], 1)


def random(*shape, dtype=np.float32):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_steps_equal_the_whole_sequence(kind, options, dtype, model_of):
    layer = layer_of(kind, 3, 17, dtype=dtype, **options)
    x = random(4, 30, 3, dtype=str(dtype).removeprefix("torch."))
    found = steps(model_of(layer).stream(batch=4), x)
    expected = layer(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-13)


@pytest.mark.parametrize("batch", [2, 3, 9, 16])
def test_many_streams_equal_single_ones(kind, batch, model_of):
    model, x = model_of(layer_of(kind, 3, 17, num_layers=2)), random(batch, 12, 3)
    together = steps(model.stream(batch), x)
    for row in range(batch):
        np.testing.assert_allclose(together[row : row + 1], steps(model.stream(), x[row : row + 1]), rtol=0, atol=1e-6)


def test_streams_of_one_model_know_nothing_of_each_other(kind, model_of):
    model, x = model_of(layer_of(kind, 3, 5)), random(1, 6, 3)
    expected, a, b = steps(model.stream(), x), model.stream(), model.stream()
    del model
    for t in range(6):
        b.step(-x[:, t])
        np.testing.assert_array_equal(a.step(x[:, t]), expected[:, t])


def test_any_memory_and_either_float(model_of):
    model, x = model_of(layer_of("LSTM", 4, 5)), random(3, 4)
    expected = model.stream(3).step(x).copy()
    wide, frozen = np.zeros((3, 8), np.float32), x.copy()
    wide[:, ::2] = x
    frozen.setflags(write=False)
    for given in (wide[:, ::2], np.asfortranarray(x), x[::-1].copy()[::-1], frozen, x.astype(np.float64)):
        np.testing.assert_array_equal(model.stream(3).step(given), expected)


def test_the_answer_is_one_array_written_again_and_may_be_fed_back(model_of):
    stream, x = model_of(layer_of("GRU", 5, 5, num_layers=2)).stream(2), random(2, 5)
    first = stream.step(x)
    kept = first.copy()
    second = stream.step(first)  # reads what it then writes over
    assert second is first
    stream.reset()
    np.testing.assert_array_equal(stream.step(x), kept)
    np.testing.assert_array_equal(stream.step(kept), second)


def test_state_out_and_in(kind, options, model_of):
    model, x = model_of(layer_of(kind, 3, 5, **options)), random(2, 10, 3)
    stream = model.stream(2)
    steps(stream, x[:, :4])
    state = stream.state
    assert [s.shape for s in state] == [(model.num_layers, 2, 5)] * (2 if kind == "LSTM" else 1)
    rest = steps(stream, x[:, 4:])
    other = model.stream(2)
    other.state = [s.astype(np.float64) for s in state]  # copies: nothing that the first stream did changed them
    np.testing.assert_array_equal(steps(other, x[:, 4:]), rest)
    _, whole = model.run(x[:, :4])
    for a, b in zip(state, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    state[0][...] = 9  # the caller's own
    np.testing.assert_array_equal(stream.state[0], other.state[0])


def test_a_state_that_does_not_fit_is_refused_whole(model_of):
    stream = model_of(layer_of("LSTM", 3, 5)).stream(2)
    for wrong in (np.ones((1, 2, 5)), (np.ones((1, 2, 5)), np.ones((1, 2, 4))), (np.ones((1, 2, 5)),) * 3):
        with pytest.raises(ValueError, match=r"the state's tensors must be \[\(1, 2, 5\), \(1, 2, 5\)\], found"):
            stream.state = wrong
    assert not any(s.any() for s in stream.state)


def test_a_projected_state_goes_out_and_in(model_of):
    """Its h is narrower than its c."""
    model, x = model_of(layer_of("LSTM", 3, 5, num_layers=2, proj_size=3)), random(4, 8, 3)
    stream, other = model.stream(4), model.stream(4)
    steps(stream, x[:, :4])
    state = stream.state
    assert [s.shape for s in state] == [(2, 4, 3), (2, 4, 5)]
    other.state = state
    np.testing.assert_array_equal(steps(other, x[:, 4:]), steps(stream, x[:, 4:]))
    kept = other.state
    with pytest.raises(ValueError, match=r"must be \[\(2, 4, 3\), \(2, 4, 5\)\], found \[\(2, 4, 5\), \(2, 4, 5\)\]"):
        other.state = (state[1], state[1])
    np.testing.assert_array_equal(other.state[0], kept[0])


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (np.full((1, 2, 5), "a"), "ndarray of <U1"),
        (np.ones((1, 2, 5), complex), "ndarray of complex128"),
        (np.full((1, 2, 5), {}), "ndarray: float"),
        ([[1], [2, 3]], "list: "),
        ({"c": 1}, "dict: float"),
    ],
)
def test_a_state_of_no_numbers_is_named_and_none_of_it_is_kept(wrong, found, model_of):
    stream = model_of(layer_of("LSTM", 3, 5)).stream(2)
    with pytest.raises(ValueError, match=rf"^state\[1\] must be an array of real numbers, found {found}"):
        stream.state = (np.ones((1, 2, 5)), wrong)
    assert not any(s.any() for s in stream.state)


@pytest.mark.parametrize("learnt", [False, True])
@pytest.mark.parametrize(
    "rows", [1, np.int64(1), [1], (1, 1), np.array([1]), [False, True, False], np.array([0, 1, 0]) > 0]
)
def test_reset_of_some_rows(kind, learnt, rows, model_of):
    """Marks as an environment gives them, or indices: the rows named begin anew, the others go on."""
    model, x = model_of(layer_of(kind, 3, 5, num_layers=2, learn_initial_state=learnt)), random(3, 8, 3)
    plain, stream = steps(model.stream(3), x), model.stream(3)
    steps(stream, x[:, :5])
    stream.reset(rows)
    rest = steps(stream, x[:, 5:])
    np.testing.assert_array_equal(rest[[0, 2]], plain[[0, 2], 5:])
    np.testing.assert_allclose(rest[[1]], steps(model.stream(), x[1:2, 5:]), rtol=0, atol=1e-6)
    stream.reset()
    np.testing.assert_array_equal(steps(stream, x), plain)
    stream.reset([])
    stream.reset([False] * 3)
    assert any(s.any() for s in stream.state)


def test_reset_of_rows_that_are_not_there_resets_none(model_of):
    stream = model_of(layer_of("GRU", 3, 5)).stream(2)
    stream.step(random(2, 3))
    before = stream.state[0]
    for wrong, error in (
        (2, ValueError),
        (-1, ValueError),
        ([0, 5], ValueError),
        ([True], TypeError),
        (0.0, TypeError),
    ):
        with pytest.raises(error, match="row"):
            stream.reset(wrong)
    np.testing.assert_array_equal(stream.state[0], before)


def test_a_layer_that_reads_the_end_first_cannot_stream(model_of):
    with pytest.raises(ValueError, match=r"bidirectional layer reads the end first: it cannot stream; use predict"):
        model_of(layer_of("GRU", 3, 5, bidirectional=True)).stream()


def test_what_does_not_fit_is_refused_and_changes_nothing(model_of):
    model = model_of(layer_of("LSTM", 3, 5))
    stream = model.stream(2)
    for wrong in (random(2, 4), random(1, 3), random(2), random(2, 3, 1)):
        with pytest.raises(ValueError, match=r"x must be \(2, 3\), found " + re.escape(str(wrong.shape))):
            stream.step(wrong)
    for dtype in (np.int64, np.float16, bool):
        with pytest.raises(ValueError, match=f"x must be float32 or float64, found {np.dtype(dtype)}"):
            stream.step(np.ones((2, 3), dtype))
    strange = [
        ([[1.0, 2.0, 3.0]] * 2, "list"),
        (None, "NoneType"),
        ("x", "str"),
        (np.ones((2, 3), object), "ndarray of object"),
    ]
    for wrong, found in (*strange, (np.ones((2, 3), ">f4"), "ndarray of >f4")):
        with pytest.raises(TypeError, match=f"x must be an array of float32 or float64 on the CPU, found {found}$"):
            stream.step(wrong)
    assert not any(s.any() for s in stream.state)
    for batch in (0, -1, "3", 2.5, True, 2**40):
        with pytest.raises(ValueError, match=f"batch must be a whole number of at least 1, found {batch!r}"):
            model.stream(batch)
    assert model.stream(np.int64(2)).batch == 2


CODE = """
    import resource, sys
    import ostinato.runtime as runtime
    model = runtime.load("layer.ost")
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 30),) * 2)  # some machines would have had the room
    try:
        model.stream(10**8)
    except MemoryError as error:
        print(error)
    assert model.stream(2).batch == 2
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory is taken")
def test_more_streams_than_there_is_memory_for_are_named(tmp_path):
    ost.save(layer_of("LSTM", 3, 5, num_layers=2), tmp_path / "layer.ost")
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "batch=100000000: the states of so many streams take 8.0 GB: ask for fewer\n"
