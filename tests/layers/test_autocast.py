"""Layers under torch.autocast: the fused kernels run, in float32, and answer in the type that torch's layers give."""

import pytest
import torch
from tests.contracts.conftest import as_tuple

import ostinato as ost

X = torch.randn(2, 5, 3)


@pytest.fixture
def kernels_alone(monkeypatch):
    """The reference loop is not to run."""

    def refuse(*_):
        raise AssertionError("the reference loop ran")

    monkeypatch.setattr("ostinato.dispatch.run_gated", refuse)


def outcome(layer, x, state=None):
    layer.zero_grad()
    y, end = layer(x, state)
    (y.float().square().sum() + sum(s.float().sum() for s in as_tuple(end))).backward()
    return y, as_tuple(end), [p.grad.clone() for p in layer.parameters()]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_types_are_those_of_torchs_layer(kind, dtype):
    if kind == "LSTM" and dtype == torch.float32 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("torch's LSTM cannot go under autocast on this processor: oneDNN has none of bfloat16 for it")
    weights = torch.float64 if dtype == torch.float64 else torch.float32
    layer = getattr(ost, kind)(3, 4, 2, bidirectional=True, dtype=weights)
    theirs = getattr(torch.nn, kind)(3, 4, 2, bidirectional=True, batch_first=True, dtype=weights)
    theirs.load_state_dict(layer.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        y, end = layer(X.to(dtype))
        expected, other = theirs(X.to(dtype))
    assert [v.dtype for v in (y, *as_tuple(end))] == [v.dtype for v in (expected, *as_tuple(other))]
    torch.testing.assert_close(y, expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{}, {"zoneout": 0.2, "recurrent_dropout": 0.3, "dropout": 0.2}], ids=["", "noise"])
def test_sums_are_of_float32_and_only_the_answer_is_rounded(kind, options, kernels_alone):
    layer = getattr(ost, kind)(3, 4, 2, **options)
    x = X.bfloat16()
    torch.manual_seed(1)
    y, end, gradients = outcome(layer, x.float())
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(1)
        half, half_end, found = outcome(layer, x)
    assert torch.equal(half, y.bfloat16())
    assert all(torch.equal(a, b.bfloat16()) for a, b in zip(half_end, end, strict=True))
    for a, b in zip(found, gradients, strict=True):  # dy came in rounded
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * b.abs().max().item())


def test_states_of_half_precision_go_in_again(kernels_alone):
    layer = ost.LSTM(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = layer(X)
        y, _ = layer(X, state)
        with pytest.raises(ValueError, match="state h must be"):
            layer(X, tuple(s[:, :1] for s in state))
    expected, _ = layer(X, tuple(s.float() for s in state))
    assert torch.equal(y, expected.bfloat16())


def test_scan_and_compile_give_the_same(kernels_alone):
    layer, cell = ost.GRU(3, 4), ost.cells.get("lstm")(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y, (h, c) = ost.scan(cell, X, resets=torch.rand(2, 5) < 0.5)
        assert y.dtype == h.dtype == c.dtype == torch.bfloat16
        expected = layer(X)[0]
        assert torch.equal(torch.compile(layer, fullgraph=True, backend="aot_eager")(X)[0], expected)


def test_a_cell_without_a_kernel_goes_by_autocasts_own_rules():
    layer = ost.LSTM(3, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(X.bfloat16())[0].dtype == torch.bfloat16
