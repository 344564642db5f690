"""What every registered cell must keep, whoever wrote it (the list is in decisions/01 and 03)."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.contracts.conftest import as_tuple, layer_of, state_of
from torch.func import functional_call

import ostinato as ost
from ostinato import cells
from ostinato.cells.loop import Stages, run_gated


def test_gradients_equal_finite_differences(case):
    layer = layer_of(case, 2, 4, bidirectional=True)
    names = [name for name, _ in layer.named_parameters()]
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    state = [s.requires_grad_() for s in state_of(layer, 2)]
    lengths = torch.tensor([3, 2])

    def run(x, *tensors):
        h, parameters = tensors[: len(state)], dict(zip(names, tensors[len(state) :], strict=True))
        y, end = functional_call(layer, parameters, (x, h if len(h) > 1 else h[0]), {"lengths": lengths})
        return y, *as_tuple(end)

    assert torch.autograd.gradcheck(run, (x, *state, *layer.parameters()))


def test_second_derivatives_equal_finite_differences(case):
    layer = layer_of(case, 2, 4)
    x = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


def test_scan_equals_looped_steps(case):
    name, options = case
    cell = cells.get(name)(3, 5, **options).double()
    x, state = torch.randn(2, 6, 3, dtype=torch.float64), None
    y, end = ost.scan(cell, x)
    state = cell.start(x)
    for t in range(6):
        out, state = cell.step(x[:, t], state)
        torch.testing.assert_close(y[:, t], out, rtol=0, atol=1e-12)
    for a, b in zip(end, state, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_two_chunks_equal_one_whole(case):
    layer = layer_of(case, num_layers=2)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    whole, end = layer(x)
    first, carried = layer(x[:, :4])
    second, last = layer(x[:, 4:], carried)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-12)
    for a, b in zip(as_tuple(last), as_tuple(end), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_never_matters(case, bidirectional):
    """NaN in the padding: every value as one by one, gradients finite, 0 in the padding, and equal for the weights."""
    layer = layer_of(case, num_layers=2, bidirectional=bidirectional)
    lengths, x = [7, 0, 3, 1], torch.randn(4, 7, 3, dtype=torch.float64)
    start = state_of(layer, 4)
    given = start if len(start) > 1 else start[0]
    dirty = x.clone()
    for b, n in enumerate(lengths):
        dirty[b, n:] = torch.nan
    dirty.requires_grad_()
    y, end = layer(dirty, given, lengths=lengths)
    weight = torch.randn_like(y)
    (y * weight).sum().backward()
    found = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    for b, n in enumerate(lengths):
        assert torch.equal(y[b, n:], torch.zeros_like(y[b, n:]))
        assert torch.equal(dirty.grad[b, n:], torch.zeros_like(dirty.grad[b, n:]))
        own = tuple(s[:, b : b + 1] for s in start)
        if n == 0:
            for s, o in zip(as_tuple(end), own, strict=True):
                assert torch.equal(s[:, b : b + 1], o)
            continue
        alone, last = layer(x[b : b + 1, :n], own if len(own) > 1 else own[0])
        torch.testing.assert_close(y[b : b + 1, :n], alone, rtol=0, atol=1e-12)
        for s, o in zip(as_tuple(end), as_tuple(last), strict=True):
            torch.testing.assert_close(s[:, b : b + 1], o, rtol=0, atol=1e-12)
        (alone * weight[b : b + 1, :n]).sum().backward()
    for name, p in layer.named_parameters():
        assert torch.isfinite(found[name]).all()
        torch.testing.assert_close(found[name], p.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("learnt", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_resets_equal_separate_sequences(case, bidirectional, learnt):
    layer = layer_of(case, bidirectional=bidirectional, learn_initial_state=learnt)
    lengths = [8, 5]
    x = torch.randn(2, 8, 3, dtype=torch.float64)
    resets = torch.zeros(2, 8, dtype=torch.bool)
    resets[0, [0, 3, 4]] = True
    resets[1, [2, 6]] = True  # 6 is past the end: nobody's
    y, end = layer(x, lengths=lengths, resets=resets)
    if not bidirectional:
        for s, alone in zip(as_tuple(end), as_tuple(layer(x[1:, 2:5])[1]), strict=True):
            torch.testing.assert_close(s[:, 1:], alone, rtol=0, atol=1e-12)
    weight = torch.randn_like(y)
    (y * weight).sum().backward()
    found = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    for b, cuts in enumerate([[0, 3, 4, 8], [0, 2, 5]]):
        parts = torch.cat([layer(x[b : b + 1, i:j])[0] for i, j in itertools.pairwise(cuts)], 1)
        torch.testing.assert_close(y[b : b + 1, : lengths[b]], parts, rtol=0, atol=1e-12)
        (parts * weight[b : b + 1, : lengths[b]]).sum().backward()
    for name, p in layer.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=0, atol=1e-10)


def test_a_reset_at_step_0_discards_the_given_state(case):
    layer = layer_of(case)
    x, start = torch.randn(2, 4, 3, dtype=torch.float64), state_of(layer, 2)
    resets = torch.zeros(2, 4, dtype=torch.bool)
    resets[1, 0] = True
    given = start if len(start) > 1 else start[0]
    y, _ = layer(x, given, resets=resets)
    torch.testing.assert_close(y[0], layer(x, given)[0][0], rtol=0, atol=1e-12)
    torch.testing.assert_close(y[1], layer(x)[0][1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (1, 1), (2, 1), (5, 17)])
def test_empty_short_and_odd_shapes(case, shape):
    layer = layer_of(case, 3, 7, dtype=torch.float32, bidirectional=True)
    x = torch.randn(*shape, 3, requires_grad=True)
    y, end = layer(x)
    assert y.shape == (*shape, 2 * layer._cell(0).sizes()[0])
    (x.sum() + y.sum() + sum(s.sum() for s in as_tuple(end))).backward()
    assert x.grad.shape == x.shape
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)


def test_zoneout_and_dropouts_are_random_in_training_alone(case):
    layer = layer_of(case, num_layers=2, dropout=0.3, recurrent_dropout=0.4, zoneout=0.2, weight_dropout=0.2)
    x = torch.randn(3, 8, 3, dtype=torch.float64)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    torch.manual_seed(3)
    a = layer(x)[0]
    torch.manual_seed(3)
    assert torch.equal(a, layer(x)[0])
    torch.manual_seed(3)
    longer = layer(torch.cat([x, torch.full_like(x, torch.nan)], 1), lengths=[8, 8, 8])[0]
    torch.testing.assert_close(longer[:, :8], a, rtol=0, atol=1e-12)  # more padding, the same masks
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_saved_and_loaded_gives_the_same_numbers(case, tmp_path):
    layer = layer_of(case, num_layers=2, bidirectional=True, dtype=torch.float32).eval()
    x = torch.randn(2, 5, 3)
    ost.save(layer, tmp_path / "layer.ost")
    again = ost.load(tmp_path / "layer.ost")
    assert type(again) is type(layer)
    assert torch.equal(again(x)[0], layer(x)[0])
    again(x)[0].sum().backward()  # trains on


def test_the_runtime_gives_the_same_or_says_why_not(case, tmp_path):
    _name, options = case
    layer = layer_of(case, num_layers=2, dtype=torch.float32).eval()
    ost.save(layer, tmp_path / "layer.ost")
    import ostinato.runtime as runtime

    if layer._cell(0).unfused() is not None:
        with pytest.raises(runtime.FormatError, match=rf"{'|'.join(options) or 'cell'}"):
            runtime.load(tmp_path / "layer.ost")
        return
    x = torch.randn(3, 6, 3)
    model, expected = runtime.load(tmp_path / "layer.ost"), layer(x)[0].detach().numpy()
    np.testing.assert_allclose(model.predict(x.numpy()), expected, rtol=0, atol=1e-6)
    stream = model.stream(batch=3)
    steps = np.stack([stream.step(x[:, t].numpy()).copy() for t in range(6)], 1)
    np.testing.assert_allclose(steps, expected, rtol=0, atol=1e-6)


def test_layer_equals_the_cells_own_loop(case):
    """The layer, by whatever way it runs, against the plain loop in its own weights."""
    layer = layer_of(case)
    x, cell = torch.randn(2, 6, 3, dtype=torch.float64), layer._cell(0)
    start = tuple(x.new_zeros(2, size) for size in cell.sizes())
    y, _ = run_gated(cell, cell.collect(layer, "_l0"), x, start, Stages())
    torch.testing.assert_close(layer(x)[0], y, rtol=0, atol=1e-12)


def test_a_cell_of_ones_own_is_found_and_listed():
    code = (
        "import tests.contracts.minimal_gated_unit\n"
        "import ostinato as ost, torch\n"
        "from ostinato import cells, dispatch\n"
        "assert 'mgu' in cells.names()\n"
        "assert any(row[0] == 'mgu' and 'reference' in row[1] for row in dispatch.kernels())\n"
        "print(ost.Recurrent('mgu', 3, 5, bidirectional=True)(torch.ones(1, 2, 3))[0].shape)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "[1, 2, 10]" in run.stdout


def test_an_unknown_cell_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'lstm'"):
        ost.Recurrent("ltsm", 3, 5)
