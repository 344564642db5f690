"""The TCN: equal to its own equation on torch.nn, nothing from the future, rows as alone, chunks as the whole."""

import pytest
import torch
import torch.nn.functional as F

import ostinato as ost
from ostinato import format
from ostinato.layers import files
from ostinato.models import TCN


def network_of(**words):
    torch.manual_seed(1)
    words = {"inputs": 3, "hidden": 5, "levels": 3, "kernel_size": 2} | words
    return TCN(**words).double().eval()


def by_torch(network, x):
    """The equation with torch.nn's convolution, (batch, features, time)."""
    x = x.transpose(1, 2)
    for block in network.blocks:
        y = x
        for layer in (block.first, block.second):
            g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
            weight = g * v / v.flatten(1).norm(dim=1)[:, None, None]
            more = layer.dilation * (layer.kernel_size - 1)
            ends = (more, 0) if network.causal else (more // 2, more - more // 2)
            y = F.conv1d(F.pad(y, ends), weight, layer.bias, dilation=layer.dilation).relu()
        if block.match is not None:
            x = torch.einsum("oc,bct->bot", block.match.weight, x) + block.match.bias[:, None]
        x = (x + y).relu()
    return x.transpose(1, 2)


@pytest.mark.parametrize("words", [{}, {"inputs": 5}, {"causal": False, "kernel_size": 3}, {"levels": 1}], ids=str)
def test_equal_to_its_equation(words):
    network = network_of(**words)
    x = torch.randn(2, 11, network.inputs, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(2, 11, 5, dtype=torch.float64)
    for expected, found in zip(
        *(
            [y, *torch.autograd.grad(y, [x, *network.parameters()], upstream)]
            for y in (by_torch(network, x), network(x))
        ),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_it_sees_what_it_says(kernel_size):
    """The oldest step within the receptive field counts, the one before it and the future do not."""
    network = network_of(levels=2, kernel_size=kernel_size)
    for parameter in network.parameters():
        parameter.data.uniform_(0.1, 1)  # so that no relu is shut
    field, x = network.receptive_field, torch.rand(1, 40, 3, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(network(x)[0, 30].square().sum(), x)
    seen = grad[0].abs().sum(1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (30 - field + 1, 30)


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 7])
def test_the_fewest_levels_that_see_it(kernel_size):
    for look_back in (1, 2, 3, 4, 5, 7, 8, 13, 14, 61, 62, 200):
        levels = TCN.levels_for(look_back, kernel_size)
        assert TCN(1, 1, levels, kernel_size).receptive_field >= look_back
        assert levels == 1 or TCN(1, 1, levels - 1, kernel_size).receptive_field < look_back


def test_the_future_changes_nothing():
    network, x = network_of(), torch.randn(2, 20, 3, dtype=torch.float64)
    other = x.clone()
    other[:, 9:] = -x[:, 9:]
    assert torch.equal(network(x)[:, :9], network(other)[:, :9])
    assert not torch.equal(network(x)[:, 9:], network(other)[:, 9:])


@pytest.mark.parametrize("causal", [True, False])
def test_each_row_is_what_it_is_alone(causal):
    network, lengths = network_of(causal=causal), [12, 0, 5, 1]
    x = torch.randn(4, 12, 3, dtype=torch.float64)
    given = x.clone()
    for row, n in enumerate(lengths):
        given[row, n:] = torch.nan
    given.requires_grad_(True)
    found, total = network(given, lengths=torch.tensor(lengths)), 0.0
    for row, n in enumerate(lengths):
        alone = network(x[row : row + 1, :n])
        torch.testing.assert_close(found[row, :n], alone[0], rtol=0, atol=1e-12)
        assert torch.all(found[row, n:] == 0)
        total = total + alone.square().sum()
    grads = torch.autograd.grad(found.square().sum(), [given, *network.parameters()])
    for row, n in enumerate(lengths):
        assert torch.all(grads[0][row, n:] == 0)
    for found, wanted in zip(grads[1:], torch.autograd.grad(total, list(network.parameters())), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def test_chunks_equal_the_whole():
    network, x = network_of(), torch.randn(2, 23, 3, dtype=torch.float64)
    state, found = network.start(2), []
    for part in x.split([1, 1, 5, 9, 7], 1):
        y, state = network(part, state=state)
        found.append(y)
    torch.testing.assert_close(torch.cat(found, 1), network(x), rtol=0, atol=1e-12)


def test_the_state_is_that_after_each_rows_own_last_step():
    network, lengths, more = network_of(), [8, 0, 3], torch.randn(3, 4, 3, dtype=torch.float64)
    x = torch.randn(3, 8, 3, dtype=torch.float64)
    _, state = network(x, lengths, network.start(3))
    after, _ = network(more, state=state)
    for row, n in enumerate(lengths):
        whole = network(torch.cat([x[row : row + 1, :n], more[row : row + 1]], 1))
        torch.testing.assert_close(after[row], whole[0, n:], rtol=0, atol=1e-12)


def test_dropout_takes_whole_channels_of_a_sequence():
    """Steady input: what a channel gives is the same at each step; which are dropped differs between sequences."""
    torch.manual_seed(0)
    network = TCN(5, 5, 1, 1, dropout=0.5).train()  # a width of 1 sees one step
    y = network(torch.rand(8, 1, 5).expand(8, 9, 5))
    torch.testing.assert_close(y, y[:, :1].expand_as(y))
    assert not torch.equal(y, network(torch.rand(8, 1, 5).expand(8, 9, 5)))
    assert torch.equal(network.eval()(torch.ones(1, 2, 5)), network(torch.ones(1, 2, 5)))


def test_derivatives():
    network, x = network_of(levels=2, hidden=2), torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: network(x, [4]), (x,))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"levels": 0}, "levels must be a whole number of at least 1, found 0"),
        ({"hidden": 2.5}, "hidden must be a whole number"),
        ({"dropout": 1.0}, "dropout must be a probability in 0..1, below 1; found 1.0"),
    ],
)
def test_constructor_complains(words, message):
    with pytest.raises(ValueError, match=message):
        network_of(**words)


def test_call_complains():
    with pytest.raises(ValueError, match=r"x must be \(batch, time, 3\); found \(2, 4\)"):
        network_of()(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="state must be 6 tensors, two a block; found 1"):
        network_of()(torch.zeros(2, 4, 3).double(), state=(torch.zeros(1),))
    with pytest.raises(ValueError, match="it is not causal"):
        network_of(causal=False).start(2)
    with pytest.raises(ValueError, match="kernel_size must be at least 2"):
        TCN.levels_for(9, kernel_size=1)


def test_saved_and_loaded(tmp_path):
    network, x = network_of(dropout=0.3), torch.randn(2, 9, 3, dtype=torch.float64)
    ost.save(network, tmp_path / "tcn.ost")
    again = ost.load(tmp_path / "tcn.ost")
    assert again.arguments() == network.arguments()
    assert torch.equal(again(x), network(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": 10**9}, "1000000000 layers are declared, 14 tensors are there"),
        ({"levels": None}, "None layers are declared"),
        ({"hidden": 2**31}, "hidden is 2147483648, no size of a layer"),
        ({"dropout": 2}, "the arguments make no TCN: dropout"),
        ({"kernel_size": 3}, "tensor .* is .*, the layer's is"),
    ],
    ids=str,
)
def test_files_that_are_no_network_are_refused(change, message, tmp_path):
    manifest, tensors = files.to_file(network_of(levels=2))
    manifest["arguments"] |= change
    format.write(tmp_path / "bad.ost", tensors, manifest)
    with pytest.raises(format.FormatError, match=message):
        ost.load(tmp_path / "bad.ost")
