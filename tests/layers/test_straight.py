"""The call that models make most goes straight to the kernel, and whatever it must not take goes the long way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ostinato as ost
from ostinato.layers import recurrent
from ostinato.ops.kernel import LENDS

KINDS = {
    "rnn": lambda: ost.RNN(3, 5),
    "lstm of two layers": lambda: ost.LSTM(3, 5, num_layers=2),
    "both ways": lambda: ost.GRU(3, 5, bidirectional=True),
    "without biases": lambda: ost.GRU(3, 5, bias=False),
    "norms, whose names have dots": lambda: ost.LSTM(3, 5, layer_norm=True),
    "projection": lambda: ost.LSTM(3, 5, proj_size=2),
}


@pytest.fixture
def no_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def long_way(*_: Any) -> None:
        raise AssertionError("it went the long way")

    monkeypatch.setattr(recurrent.Recurrent, "_batched", long_way)


def zeros(layer: ost.Recurrent, x: Tensor) -> tuple[Tensor, ...]:
    return layer._zeros(x)  # a state that is handed in takes the long way


def flat(answer: Any) -> list[Tensor]:
    return [answer] if isinstance(answer, Tensor) else [v for part in answer for v in flat(part)]


def equal(a: Any, b: Any) -> bool:
    return all(torch.equal(u, v) for u, v in zip(flat(a), flat(b), strict=True))


def the_long_way(layer: ost.Recurrent, x: Tensor) -> Any:
    return layer(x, zeros(layer, x))


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_the_bits_and_gradients_are_those_of_the_long_way(make: Any) -> None:
    layer, x = make(), torch.randn(4, 6, 3)
    with torch.no_grad():
        assert equal(layer(x), the_long_way(layer, x))
    found = []
    for run in (layer, lambda x: the_long_way(layer, x)):
        leaf = x.clone().requires_grad_()
        y = run(leaf)[0]
        found.append(torch.autograd.grad(y.square().sum(), [leaf, *layer.parameters()]))
    assert equal(*found)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.skipif(not LENDS, reason="tensors of a torch older than 2.10 lend no memory: all calls go the long way")
@pytest.mark.usefixtures("no_long_way")
def test_usual_calls_take_it(make: Any) -> None:
    layer = make()
    for x in (torch.randn(4, 6, 3), torch.randn(6, 4, 3).transpose(0, 1), torch.randn(0, 6, 3), torch.randn(4, 0, 3)):
        layer(x)
        with torch.no_grad():
            layer(x)
    with torch.inference_mode():
        layer(torch.randn(4, 6, 3))


@pytest.mark.parametrize("place", ["x", "weight_hh_l0", "bias_ih_l0"])
def test_gradients_are_tracked_where_anything_wants_them(place: str) -> None:
    layer, x = ost.LSTM(3, 5).requires_grad_(False), torch.randn(4, 6, 3)
    assert layer(x)[0].grad_fn is None
    wanted = x if place == "x" else getattr(layer, place)
    wanted.requires_grad_()
    y, (h, c) = layer(x)
    (y.sum() + h.sum() + c.sum()).backward()
    assert wanted.grad is not None
    assert wanted.grad.abs().sum() > 0
    with torch.no_grad():
        assert layer(x)[0].grad_fn is None


def negative(values: Tensor) -> Tensor:
    """These values, in memory that holds the opposite."""
    found = torch.complex(torch.zeros_like(values), -values).conj().imag
    assert found.is_neg()
    assert torch.equal(found.resolve_neg(), values)
    return found


def test_memory_that_holds_the_opposite_is_seen() -> None:
    layer, x = ost.GRU(3, 5), torch.randn(4, 6, 3)
    with torch.no_grad():
        expected = layer(x)
        assert equal(layer(negative(x)), expected)
        layer.weight_hh_l0 = nn.Parameter(negative(layer.weight_hh_l0.detach()))
        assert layer.weight_hh_l0.is_neg()
        assert equal(layer(x), expected)


def test_what_a_transform_left_behind_is_seen() -> None:
    left: list[Tensor] = []
    x = torch.randn(4, 6, 3)
    torch.func.grad(lambda v: left.append(v) or v.sum())(x)
    layer = ost.RNN(3, 5)
    with torch.no_grad():
        assert equal(layer(left[0]), layer(x))


def test_a_parametrized_weight_is_made_at_each_call() -> None:
    layer, x = ost.LSTM(3, 5), torch.randn(4, 6, 3)
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    with torch.no_grad():
        before = layer(x)[0]
        layer.parametrizations.weight_hh_l0.original0.mul_(2)  # type: ignore[union-attr, operator]
        assert not torch.allclose(layer(x)[0], before)
        assert equal(layer(x), the_long_way(layer, x))


def test_other_types_take_the_long_way() -> None:
    layer, x = ost.RNN(3, 5), torch.randn(4, 6, 3)
    with torch.no_grad():
        half = ost.RNN(3, 5).half()
        assert half(x.half())[0].dtype is torch.float16
        with pytest.raises(ValueError, match=r"pass x.to\(torch.float32\)"):
            layer(x.double())
        layer.bias_hh_l0.data = layer.bias_hh_l0.data.double()
        with pytest.raises(RuntimeError, match="dtype"):  # torch's own, from the reference loop
            layer(x)
        assert layer.to("meta")(x.to("meta"))[0].is_meta


def test_lengths_and_resets_may_be_used_again_before_the_backward():
    layer, x = ost.GRU(3, 5), torch.randn(2, 4, 3)
    lengths, resets = torch.tensor([4, 2]), torch.zeros(2, 4, dtype=torch.bool)
    wanted = torch.autograd.grad(layer(x, lengths=lengths, resets=resets)[0].sum(), layer.parameters())
    y = layer(x, lengths=lengths, resets=resets)[0]
    lengths[:], resets[:] = 4, True
    for ours, theirs in zip(torch.autograd.grad(y.sum(), layer.parameters()), wanted, strict=True):
        assert torch.equal(ours, theirs)


def test_torchs_names_for_the_weights():
    """The forget gate's bias as much code sets it, and what weight dropping assigns."""
    ours, theirs = ost.LSTM(3, 5, 2, bidirectional=True), torch.nn.LSTM(3, 5, 2, bidirectional=True)
    assert ours._all_weights == theirs._all_weights
    assert ours._flat_weights_names == theirs._flat_weights_names
    for name in ("mode", "proj_size"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ost.RNN(3, 5, nonlinearity="relu").mode == torch.nn.RNN(3, 5, nonlinearity="relu").mode
    assert all(a is b for a, b in zip(ours._flat_weights, ours.parameters(), strict=True))
    ours._flat_weights = [getattr(ours, name) for name in ours._flat_weights_names]
    with pytest.raises(ValueError, match="taken by name, and weight_ih_l0 is another tensor"):
        ours._flat_weights = [w.clone() for w in ours._flat_weights]
    assert ost.LSTM(3, 5, layer_norm=True)._all_weights[0][-1] == "norm_c_l0.bias"
