"""torch.nn as the oracle: weights loaded both ways, then outputs, states and every gradient are the same."""

import random

import pytest
import torch
from tests.contracts.conftest import as_tuple
from torch.nn.utils.rnn import pack_sequence

import ostinato as ost

KINDS = ["RNN", "LSTM", "GRU"]


def words_of(draw):
    """A random option set of torch.nn's constructors."""
    kind = draw.choice(KINDS)
    sizes = draw.choice([1, 3, 7, 16, 33]), draw.choice([1, 5, 16, 17, 40])
    options = {
        "num_layers": draw.choice([1, 2, 3]),
        "bidirectional": draw.random() < 0.5,
        "bias": draw.random() < 0.8,
        "batch_first": draw.random() < 0.5,
    }
    if kind == "RNN":
        options["nonlinearity"] = draw.choice(["tanh", "relu"])
    if kind == "LSTM" and sizes[1] > 5 and draw.random() < 0.5:
        options["proj_size"] = sizes[1] // 2
    return kind, sizes, options


def pair(kind, sizes, options, dtype):
    """torch's layer and ours, the weights carried there and back by state dicts."""
    torchs, ours = (getattr(home, kind)(*sizes, **options, dtype=dtype) for home in (torch.nn, ost))
    ours.load_state_dict(torchs.state_dict())
    torchs.load_state_dict(ours.state_dict())
    return torchs, ours


def state_for(torchs, batch, dtype, gradient=True):
    """A random state as torch wants it; batch () is an unbatched one."""
    rows = torchs.num_layers * (1 + torchs.bidirectional)
    widths = [torchs.proj_size or torchs.hidden_size, torchs.hidden_size][: 2 if torchs.mode == "LSTM" else 1]
    state = [torch.randn(rows, *batch, width, dtype=dtype, requires_grad=gradient) for width in widths]
    return tuple(state) if len(state) > 1 else state[0]


def data_of(output):
    return output.data if isinstance(output, torch.nn.utils.rnn.PackedSequence) else output


def everything(layer, x, state, seed):
    """Output, end states, then the gradients of a random sum of them by input, state and weights."""
    output, end = layer(x, state)
    results = [data_of(output), *as_tuple(end)]
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(r.shape, generator=generator, dtype=r.dtype) for r in results]
    given = [] if state is None else as_tuple(state)
    sources = [data_of(x), *given, *(p for _, p in sorted(layer.named_parameters()))]
    return results + list(torch.autograd.grad(results, sources, weights))


def assert_equal(torchs, ours, x, state, seed=0):
    tolerance = 1e-12 if data_of(x).dtype == torch.float64 else 1e-5
    for expected, found in zip(*(everything(layer, x, state, seed) for layer in (torchs, ours)), strict=True):
        assert found.shape == expected.shape
        assert torch.isfinite(found).all()
        assert (found - expected).abs().max() <= tolerance * max(1, expected.abs().max().item())


@pytest.mark.parametrize("trial", range(40))
def test_random_option_sets(trial):
    draw = random.Random(trial)
    torch.manual_seed(trial)
    dtype = draw.choice([torch.float32, torch.float64])
    kind, sizes, options = words_of(draw)
    torchs, ours = pair(kind, sizes, options, dtype)
    batch, time = draw.choice([1, 2, 5, 9]), draw.choice([1, 2, 13, 40])
    shape = (batch, time) if options["batch_first"] else (time, batch)
    x = torch.randn(*shape, sizes[0], dtype=dtype, requires_grad=True)
    assert_equal(torchs, ours, x, state_for(torchs, (batch,), dtype) if draw.random() < 0.6 else None, trial)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [False, True])
def test_unbatched_input(kind, given):
    torchs, ours = pair(kind, (3, 5), {"num_layers": 2, "bidirectional": True, "batch_first": True}, torch.float64)
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    assert_equal(torchs, ours, x, state_for(torchs, (), torch.float64) if given else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_packed_input(kind, ordered, given):
    """In the user's order or longest first; the state in the user's order too."""
    torchs, ours = pair(kind, (3, 5), {"num_layers": 2, "bidirectional": True}, torch.float64)
    lengths = [6, 4, 4, 1] if ordered else [4, 1, 6, 4]
    rows = [torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in lengths]
    packed = pack_sequence(rows, enforce_sorted=ordered)
    state = state_for(torchs, (4,), torch.float64) if given else None
    assert_equal(torchs, ours, packed, state)
    expected, found = torchs(packed, state)[0], ours(packed, state)[0]
    assert torch.equal(found.batch_sizes, expected.batch_sizes)
    for index in ("sorted_indices", "unsorted_indices"):
        assert getattr(found, index) is getattr(expected, index)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_weights(kind, dtype):
    options = {"num_layers": 2, "bidirectional": True, "dtype": dtype}
    options |= {"proj_size": 3} if kind == "LSTM" else {}
    layers = []
    for home in (torch.nn, ost):
        torch.manual_seed(5)
        layers.append(getattr(home, kind)(4, 6, **options))
    torchs, ours = layers
    assert list(torchs.state_dict()) == list(ours.state_dict())
    for (name, expected), (_, found) in zip(torchs.named_parameters(), ours.named_parameters(), strict=True):
        assert torch.equal(found, expected), name
        assert found.dtype == dtype


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_by_position_and_by_name_as_torch_has_them(kind):
    first = (3, 4, 2, *(["relu"] if kind == "RNN" else []), False, True, 0.5, True)
    torchs, ours = (getattr(home, kind)(*first) for home in (torch.nn, ost))
    for word in ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "input_size", "hidden_size"):
        assert getattr(torchs, word) == getattr(ours, word), word
    ours.load_state_dict(torchs.state_dict())
    x, state = torch.randn(2, 5, 3), state_for(torchs, (2,), torch.float32, gradient=False)
    torchs.eval(), ours.eval()
    torch.testing.assert_close(ours(input=x, hx=state)[0], torchs(input=x, hx=state)[0], rtol=0, atol=1e-5)
    if kind == "LSTM":  # a list too, as torch takes it
        assert torch.equal(ours(x, list(state))[0], ours(x, state)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_recurrent_layer_inside_a_users_own_model_may_be_swapped(kind):
    """The code round it stays: flatten_parameters, state in and out, seq-first."""
    torchs, ours = pair(kind, (3, 4), {"batch_first": False}, torch.float32)
    x, found = torch.randn(6, 2, 3), []
    for layer in (torchs, ours):
        layer.flatten_parameters()
        _, state = layer(x[:4])
        output, state = layer(x[4:], state)
        found.append([output, *as_tuple(state)])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
