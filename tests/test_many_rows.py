"""Batches large enough for tiles of bytes, where the machine multiplies them: errors as float32's sums have them."""

import math
import os
import subprocess
import sys

import pytest
import torch

import ostinato as ost
from ostinato import _kernels
from ostinato.ops import kernel

KINDS = ["RNN", "LSTM", "GRU"]


def exact(layer, x):
    """The same layer in float64, where no tiles serve."""
    twin = type(layer)(layer.input_size, layer.hidden_size, dtype=torch.float64)
    twin.load_state_dict({name: value.double() for name, value in layer.state_dict().items()})
    return twin, x.detach().double().requires_grad_()


def gradients(layer, x, weight):
    layer.zero_grad()
    (layer(x)[0] * weight.to(x.dtype)).sum().backward()
    return [x.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize(("inputs", "hidden"), [(64, 128), (50, 130), (7, 257), (129, 65), (300, 70)])
@pytest.mark.parametrize("kind", KINDS)
def test_as_near_to_float64_as_float32_is(kind, inputs, hidden):
    torch.manual_seed(0)
    layer = getattr(ost, kind)(inputs, hidden)
    with torch.no_grad():
        for p in layer.parameters():
            p.mul_(2)  # pre-activations of a trained network's size
    x, weight = torch.randn(37, 9, inputs, requires_grad=True), torch.randn(37, 9, hidden)
    found = gradients(layer, x, weight)
    twin, x64 = exact(layer, x)
    wanted = gradients(twin, x64, weight)
    assert (layer(x)[0] - twin(x64)[0]).abs().max() < 5e-6  # what float32 rounds in sums of 370 terms
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).abs().max() < 3e-6 * max(1, theirs.abs().max())


@pytest.mark.parametrize("size", [1e-30, 1e-6, 1e4, 1e30])
def test_numbers_of_any_size(size):
    torch.manual_seed(0)
    a, b = torch.randn(40, 70) * size, torch.randn(70, 33)
    wanted = a.double() @ b.double()
    assert (kernel.multiply(a, b, None) - wanted).abs().max() < 2e-6 * 10 * size


@pytest.mark.parametrize("inner", [48, 64, 200, 1000])
def test_what_is_left_out_is_below_the_last_bits_of_the_largest_product(inner):
    """One number in each row: there is no sum whose rounding would hide what its digits leave out."""
    torch.manual_seed(0)
    a, b = torch.zeros(48, inner), torch.randn(inner, 32)
    columns = torch.randint(0, inner, (48,))
    a[torch.arange(48), columns] = values = torch.randn(48)
    wanted = values[:, None].double() * b[columns].double()
    largest = (values.abs() * b[columns].abs().amax(1))[:, None]
    assert ((kernel.multiply(a, b, None) - wanted).abs() / largest).max() < 2**-21


def test_no_number_hides_behind_one_of_another_unit():
    """Columns of a in units from 1e-6 to 1e6, b's rows in theirs: the same sums, as near as without."""
    torch.manual_seed(0)
    a, b = torch.randn(40, 96), torch.randn(96, 33)
    units = 2.0 ** torch.randint(-20, 21, (96,))
    plain = (kernel.multiply(a, b, None) - a.double() @ b.double()).abs().max()
    assert torch.equal(kernel.multiply(a * units, b / units[:, None], None), kernel.multiply(a, b, None))
    assert plain < 3e-5
    a[:, 3], b[3] = 1e9, 0  # what no column asks for
    found, wanted = kernel.multiply(a, b, None), a.double() @ b.double()
    assert (found - wanted).abs().max() < 3e-5


def test_columns_turned_are_the_same_numbers():
    torch.manual_seed(0)
    a, b = torch.randn(40, 300), torch.randn(300, 33)
    assert torch.equal(kernel.multiply(a.T.contiguous().T, b, None), kernel.multiply(a, b, None))
    assert torch.equal(kernel.multiply(a, b.T.contiguous().T, None), kernel.multiply(a, b, None))


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, 3.4e38])
def test_a_number_that_has_no_parts_stays_in_its_row(odd):
    torch.manual_seed(0)
    a, b = torch.randn(40, 70), torch.randn(70, 33)
    clean = kernel.multiply(a, b, None)
    a[5, 7], a[21, 69] = odd, odd
    found, wanted = kernel.multiply(a, b, None), a @ b
    others = [r for r in range(40) if r not in (5, 21)]
    assert torch.equal(found[others], clean[others])
    torch.testing.assert_close(found, wanted, equal_nan=True, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("odd", [math.inf, math.nan])
def test_a_weight_that_is_not_finite_spoils_its_own_column_alone(odd):
    torch.manual_seed(0)
    a, b = torch.randn(40, 70), torch.randn(70, 33)
    b[5, 7] = odd
    found, wanted = kernel.multiply(a, b, None), a.double() @ b.double()
    others = [c for c in range(33) if c != 7]
    assert not found[:, 7].isfinite().any()
    assert (found - wanted)[:, others].abs().max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_step_there_is_no_gradient(kind):
    layer = getattr(ost, kind)(300, 70)
    x = torch.randn(40, 9, 300, requires_grad=True)
    layer(x, lengths=torch.zeros(40, dtype=torch.long))[0].sum().backward()
    assert not any(t.grad.any() for t in (x, *layer.parameters()))


@pytest.mark.parametrize("odd", [math.inf, math.nan])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_that_is_not_finite_is_seen_in_those_of_the_weights(kind, odd):
    torch.manual_seed(0)
    layer = getattr(ost, kind)(64, 130)
    x, weight = torch.randn(40, 9, 64, requires_grad=True), torch.randn(40, 9, 130)
    weight[3, 8, 100] = odd
    (layer(x)[0] * weight).sum().backward()
    assert not x.grad[3].isfinite().any()
    assert x.grad[:3].isfinite().all()
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        assert not getattr(layer, name).grad.isfinite().all(), name


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("kind", KINDS)
def test_input_that_is_not_finite_gives_what_torch_gives(kind, odd):
    torch.manual_seed(0)
    ours, theirs = getattr(ost, kind)(64, 70), getattr(torch.nn, kind)(64, 70, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(33, 6, 64)
    x[4, 2, 9] = odd
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[0], theirs(x)[0], equal_nan=True, rtol=1e-5, atol=1e-5)


def test_a_state_that_overflows_is_infinite_as_torch_has_it():
    ours, theirs = ost.RNN(64, 70, nonlinearity="relu"), torch.nn.RNN(64, 70, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        for p in ours.parameters():
            p.abs_().mul_(30)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(33, 30, 64)
    with torch.no_grad():
        y, wanted = ours(x)[0], theirs(x)[0]
    assert wanted.isinf().any()
    assert torch.equal(y.isinf(), wanted.isinf())
    assert not y.isnan().any()


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_too_large_for_a_cache_give_the_same_bits_on_any_number_of_threads(kind, lengths):
    """Threads share the units there, not the rows, and meet at every step."""
    assert_the_same_bits(kind, (20, 7, 300, 520), lengths)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_over_two_halves_of_the_steps_have_the_same_bits_on_any_number_of_threads(kind, lengths):
    assert_the_same_bits(kind, (30, 41, 40, 70), lengths)


def assert_the_same_bits(kind, sizes, lengths):
    torch.manual_seed(0)
    batch, time, inputs, hidden = sizes
    layer = getattr(ost, kind)(inputs, hidden)
    x, weight = torch.randn(batch, time, inputs, requires_grad=True), torch.randn(batch, time, hidden)
    long = torch.randint(0, time + 1, (batch,)) if lengths else None
    found, before = [], torch.get_num_threads()
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        layer.zero_grad()
        x.grad = None
        y, end = layer(x, lengths=long)
        (y * weight).sum().backward()
        found.append([y, *(end if kind == "LSTM" else [end]), x.grad, *(p.grad for p in layer.parameters())])
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_streams_of_many_rows_equal_the_sequence(tmp_path):
    from ostinato import runtime

    layer = ost.LSTM(64, 96)
    ost.save(layer, tmp_path / "layer.ost")
    x = torch.randn(20, 5, 64)
    stream = runtime.load(tmp_path / "layer.ost").stream(batch=20)
    steps = torch.stack([torch.from_numpy(stream.step(x[:, t].numpy()).copy()) for t in range(5)], 1)
    with torch.no_grad():
        torch.testing.assert_close(steps, layer(x)[0], rtol=0, atol=1e-6)


def test_a_lesser_instruction_set_agrees():
    """Those tests once more in vectors, where tiles serve by themselves."""
    if os.environ.get("OSTINATO_ISA") or _kernels.instruction_set() != "amx":
        return  # the run that this test started; or there is one way alone
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", __file__],
        env=os.environ | {"OSTINATO_ISA": "avx512"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
