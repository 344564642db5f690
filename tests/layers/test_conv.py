"""Conv1d: equal to torch.nn.Conv1d, values and gradients; rows as alone, chunks as the whole."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.parametrizations import weight_norm

import ostinato as ost
from ostinato import format
from ostinato.layers import files


def words_of(draw):
    """Random arguments: torch's, and whether ours is causal."""
    groups = draw.choice([1, 1, 1, 2])
    channels = groups * draw.choice([1, 2, 5, 9]), groups * draw.choice([1, 3, 8, 17])
    words = {"kernel_size": draw.choice([1, 2, 3, 5]), "dilation": draw.choice([1, 2, 3]), "groups": groups}
    words |= {"stride": draw.choice([1, 1, 2]), "bias": draw.random() < 0.8}
    causal = draw.random() < 0.5
    if not causal:
        words["padding"] = draw.choice([0, 1, 4, "same", "valid"]) if words["stride"] == 1 else draw.choice([0, 3])
    return channels, words, causal


def pair(channels, words, causal, dtype):
    """torch's layer and ours, the weights carried there and back by state dicts."""
    torchs = torch.nn.Conv1d(*channels, **words, dtype=dtype)
    ours = ost.Conv1d(*channels, **words, causal=causal, dtype=dtype)
    ours.load_state_dict(torchs.state_dict())
    torchs.load_state_dict(ours.state_dict())
    return torchs, ours


def by_torch(torchs, x, causal):
    """torch's layer on (batch, time, features), or unbatched."""
    x = x.transpose(-1, -2)
    if causal:
        x = F.pad(x, (torchs.dilation[0] * (torchs.kernel_size[0] - 1), 0))
    return torchs(x).transpose(-1, -2)


@pytest.mark.parametrize("trial", range(40))
def test_equal_to_torch(trial):
    draw = random.Random(trial)
    torch.manual_seed(trial)
    dtype = draw.choice([torch.float32, torch.float64])
    channels, words, causal = words_of(draw)
    torchs, ours = pair(channels, words, causal, dtype)
    shape = (draw.choice([1, 2, 7]), draw.choice([13, 14, 41]), channels[0])
    x = torch.randn(shape if draw.random() < 0.8 else shape[1:], dtype=dtype, requires_grad=True)
    expected, found = by_torch(torchs, x, causal), ours(x)
    assert found.shape == expected.shape
    assert found.shape[-2] == ours.steps(x.shape[-2])
    weight = torch.randn_like(expected)
    sources = [[x, *layer.parameters()] for layer in (torchs, ours)]
    expected = [expected, *torch.autograd.grad(expected, sources[0], weight)]
    found = [found, *torch.autograd.grad(found, sources[1], weight)]
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for a, b in zip(expected, found, strict=True):
        assert (a - b).abs().max() <= tolerance * max(1, a.abs().max().item())


def test_arguments_and_first_weights_as_torch_has_them():
    layers = []
    for home in (torch.nn, ost):
        torch.manual_seed(5)
        layers.append(home.Conv1d(4, 6, (3,), 1, 2, 2, 2, False))
    torchs, ours = layers
    assert list(torchs.state_dict()) == list(ours.state_dict()) == ["weight"]
    assert torch.equal(torchs.weight, ours.weight)
    torch.manual_seed(5)
    assert torch.equal(torch.nn.Conv1d(4, 6, 3).bias, (torch.manual_seed(5), ost.Conv1d(4, 6, 3))[1].bias)


def layer_of(**words):
    torch.manual_seed(0)
    return ost.Conv1d(3, 5, **({"kernel_size": 3, "dilation": 2, "dtype": torch.float64} | words))


CAUSAL = [{"causal": True}, {"causal": True, "kernel_size": 1}, {"causal": True, "kernel_size": 4, "dilation": 5}]
ANY = [*CAUSAL, {"causal": True, "stride": 3}, {"padding": "same"}, {"padding": 3, "stride": 2}, {}]


@pytest.mark.parametrize("words", ANY, ids=str)
def test_each_row_is_what_it_is_alone(words):
    """Padding, NaN too, reaches no value and no gradient; output is 0 past the end."""
    layer, lengths = layer_of(**words), [9, 0, 1, 12, 5]
    x = torch.randn(5, 12, 3, dtype=torch.float64)
    given = x.clone()
    for row, n in enumerate(lengths):
        given[row, n:] = torch.nan
    given.requires_grad_(True)
    found = layer(given, lengths=lengths)
    assert found.shape == (5, layer.steps(12), 5)
    upstream = torch.randn_like(found)
    grads = torch.autograd.grad(found, [given, *layer.parameters()], upstream)
    total = [torch.zeros_like(g) for g in grads[1:]]
    for row, n in enumerate(lengths):
        steps = layer.steps(n)
        alone = x[row : row + 1, :n].clone().requires_grad_(True)
        wanted = layer(alone)
        assert wanted.shape[1] == steps
        torch.testing.assert_close(found[row : row + 1, :steps], wanted, rtol=0, atol=1e-12)
        assert torch.all(found[row, steps:] == 0)
        own = torch.autograd.grad(wanted, [alone, *layer.parameters()], upstream[row : row + 1, :steps], True)
        torch.testing.assert_close(grads[0][row, :n], own[0][0], rtol=0, atol=1e-12)
        assert torch.all(grads[0][row, n:] == 0)
        total = [a + b for a, b in zip(total, own[1:], strict=True)]
    for a, b in zip(grads[1:], total, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("words", [*CAUSAL, {"causal": True, "stride": 2}], ids=str)
def test_the_future_changes_nothing(words, dtype):
    layer = layer_of(**words, dtype=dtype)
    x = torch.randn(2, 11, 3, dtype=dtype)
    other = x.clone()
    other[:, 6:] += 1e6
    assert torch.equal(layer(x)[:, : layer.steps(6)], layer(other)[:, : layer.steps(6)])
    assert not torch.equal(layer(x), layer(other))


@pytest.mark.parametrize("cuts", [[4, 9], [1, 2, 3], [], [0, 12]], ids=str)
@pytest.mark.parametrize("words", CAUSAL, ids=str)
def test_chunks_equal_the_whole(words, cuts):
    layer, x = layer_of(**words), torch.randn(2, 13, 3, dtype=torch.float64)
    state, found = layer.start(2), []
    for first, last in zip([0, *cuts], [*cuts, 13], strict=True):
        y, state = layer(x[:, first:last], state)
        found.append(y)
    torch.testing.assert_close(torch.cat(found, 1), layer(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(state, layer(x, layer.start(2))[1], rtol=0, atol=0)


@pytest.mark.parametrize("words", CAUSAL, ids=str)
def test_the_state_is_that_after_each_rows_own_last_step(words):
    layer, lengths = layer_of(**words), [7, 0, 2]
    x, before = torch.randn(3, 7, 3, dtype=torch.float64), torch.randn_like(layer.start(3))
    given = x.clone()
    given[1], given[2, 2:] = torch.nan, torch.inf
    _, state = layer(given, before, lengths=lengths)
    for row, n in enumerate(lengths):
        _, alone = layer(x[row : row + 1, :n], before[row : row + 1])
        assert torch.equal(state[row], alone[0])
    assert torch.equal(state[1], before[1])


def test_unbatched():
    layer, x = layer_of(causal=True), torch.randn(9, 3, dtype=torch.float64)
    whole = layer(x[None])[0]
    torch.testing.assert_close(layer(x), whole, rtol=0, atol=1e-12)
    y, state = layer(x, layer.start())
    assert (y.shape, state.shape) == ((9, 5), (4, 3))
    short = layer(x, lengths=4)
    torch.testing.assert_close(short[:4], whole[:4], rtol=0, atol=1e-12)
    assert torch.all(short[4:] == 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(0, 7, 3), (2, 0, 3), (2, 1, 3), (2, 4, 3)], ids=str)
def test_empty_and_short(shape, dtype):
    for words in ANY:
        layer = layer_of(**words, dtype=dtype)
        x = torch.randn(shape, dtype=dtype, requires_grad=True)
        y = layer(x, lengths=[shape[1]] * shape[0])
        assert y.shape == (shape[0], layer.steps(shape[1]), 5)
        y.sum().backward()
        assert torch.isfinite(x.grad).all()
        assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


@pytest.mark.parametrize("words", [{"causal": True}, {"padding": "same"}, {"groups": 2, "stride": 2}], ids=str)
def test_first_and_second_derivatives(words):
    layer = ost.Conv1d(2, 2, 2, **words, dtype=torch.float64)
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)

    def call(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,), {"lengths": [4, 3]})

    inputs = (x, layer.weight, layer.bias)
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_transforms_and_graphs():
    """Per-sample gradients, forward mode, export: what torch's own layer can do."""
    layer = layer_of(causal=True)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    loss = lambda w, row: torch.func.functional_call(layer, w, (row[None],)).square().sum()
    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(dict(layer.named_parameters()), x)
    for row in range(4):
        (wanted,) = torch.autograd.grad(layer(x[row : row + 1]).square().sum(), [layer.weight])
        torch.testing.assert_close(found["weight"][row], wanted)
    tangent = torch.randn_like(x)
    _, moved = torch.func.jvp(layer, (x,), (tangent,))
    torch.testing.assert_close(moved, layer(tangent) - layer.bias)
    program = torch.export.export(layer, (x,), strict=False)
    torch.testing.assert_close(program.module()(x), layer(x))


def test_half_precision_by_autocast():
    layer = layer_of(causal=True, dtype=torch.float32)
    x = torch.randn(2, 30, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    torch.testing.assert_close(y.float(), layer(x), rtol=0.05, atol=0.05)


def test_the_gradient_has_the_same_bits_at_one_and_two_threads():
    layer, before = ost.Conv1d(24, 40, 3, dilation=2, causal=True), torch.get_num_threads()
    x, found = torch.randn(16, 60, 24), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            y = layer(x)
            found.append([y, *torch.autograd.grad(y.square().sum(), layer.parameters())])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1, found 0"),
        ({"kernel_size": (3, 3)}, r"kernel_size must be a whole number of at least 1, found \(3, 3\)"),
        ({"dilation": True}, "dilation must be a whole number"),
        ({"groups": 2}, r"groups=2 must divide in_channels \(3\) and out_channels \(5\)"),
        ({"padding": -1}, 'padding must be a whole number of at least 0, "same" or "valid"; found -1'),
        ({"padding": "full"}, "found 'full'"),
        ({"padding": "same", "stride": 2}, 'padding="same" with stride=2'),
        ({"padding": 2, "causal": True}, "padding=2: a causal layer pads by itself"),
    ],
    ids=str,
)
def test_constructor_complains(words, message):
    with pytest.raises(ValueError, match=message):
        layer_of(**words)


@pytest.mark.parametrize(
    ("words", "call", "error", "message"),
    [
        ({}, lambda m: m(np.zeros((2, 4, 3))), TypeError, "input must be a tensor, found ndarray"),
        ({}, lambda m: m(torch.zeros(2, 3, 4)), ValueError, r"\(batch, time, 3\).*time before features; found \(2, 3"),
        (
            {},
            lambda m: m(torch.zeros(2, 4, 3).double(), lengths=[5, 1]),
            ValueError,
            r"lengths\[0\] is 5, outside 0..4",
        ),
        ({}, lambda m: m.start(2), ValueError, "it is not causal"),
        ({"causal": True, "stride": 2}, lambda m: m.start(2), ValueError, "it has a stride"),
        (
            {"causal": True},
            lambda m: m(torch.zeros(2, 4, 3).double(), torch.zeros(2, 3, 3).double()),
            ValueError,
            r"state must be .* = \(2, 4, 3\); found \(2, 3, 3\)",
        ),
        (
            {"causal": True},
            lambda m: m(torch.zeros(2, 4, 3).double(), torch.zeros(2, 4, 3)),
            ValueError,
            "state is torch.float32 on cpu, x is torch.float64 on cpu",
        ),
    ],
)
def test_call_complains(words, call, error, message):
    with pytest.raises(error, match=message):
        call(layer_of(**words))


# ---- Files


@pytest.mark.parametrize("words", ANY, ids=str)
def test_saved_and_loaded(words, tmp_path):
    layer, x = layer_of(**words), torch.randn(2, 9, 3, dtype=torch.float64)
    ost.save(layer, tmp_path / "conv.ost")
    again = ost.load(tmp_path / "conv.ost")
    assert repr(again) == repr(layer)
    assert torch.equal(again(x), layer(x))


def test_weight_norm_is_folded_into_the_file(tmp_path):
    layer, x = weight_norm(layer_of(causal=True)), torch.randn(2, 9, 3, dtype=torch.float64)
    ost.save(layer, tmp_path / "conv.ost")
    torch.testing.assert_close(ost.load(tmp_path / "conv.ost")(x), layer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_size": 2}, "tensor 'weight' is .*5, 3, 3.*the layer's is .*5, 3, 2"),
        ({"kernel_size": 2**40}, "kernel_size is 1099511627776, no size of a layer"),
        ({"in_channels": "3"}, "in_channels is '3', no size of a layer"),
        ({"groups": 7}, "the arguments make no Conv1d: groups=7 must divide"),
        ({"device": "cuda"}, "device: not a file's to say"),
        ({"windows": 1}, "the arguments make no Conv1d: .*windows"),
    ],
    ids=str,
)
def test_files_that_are_no_layer_are_refused(change, message, tmp_path):
    manifest, tensors = files.to_file(layer_of(causal=True))
    manifest["arguments"] |= change
    format.write(tmp_path / "bad.ost", tensors, manifest)
    with pytest.raises(format.FormatError, match=message):
        ost.load(tmp_path / "bad.ost")


@pytest.mark.parametrize(("inputs", "width"), [(3, 3), (8, 3), (8, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_follows_may_write_over_the_output(inputs, width, dtype):
    layer, x = ost.Conv1d(inputs, 4, width, dtype=dtype), torch.randn(2, 9, inputs, dtype=dtype, requires_grad=True)
    y = layer(x)
    y[:, 0] = 0
    y.relu_()
    found = torch.autograd.grad(y.sum(), [x, *layer.parameters()])
    masked = layer(x)[:, 1:].relu()
    for ours, theirs in zip(found, torch.autograd.grad(masked.sum(), [x, *layer.parameters()]), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_many_gradients_at_once():
    layer, x = ost.Conv1d(3, 8, 3), torch.randn(1, 9, 3)
    one_by_one = torch.autograd.functional.jacobian(layer, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(layer, x, vectorize=True), one_by_one)
    torch.autograd.functional.hessian(lambda x: layer(x).square().sum(), x, vectorize=True)


def test_lengths_in_the_place_of_a_state_are_named():
    with pytest.raises(TypeError, match="state must be a tensor, found list; lengths go by name"):
        ost.Conv1d(3, 8, 3, causal=True)(torch.randn(1, 9, 3), [4])
