"""A stack of layers in one call of the kernels against the same stack, one direction at a time, by the loop."""

import itertools

import pytest
import torch
from tests.contracts.conftest import as_tuple
from torch.nn.utils.parametrizations import weight_norm

import ostinato as ost
from ostinato import _kernels
from ostinato.ops import fused, kernel

KINDS = ["RNN", "LSTM", "GRU"]
B, T = 5, 6
pytestmark = pytest.mark.usefixtures("poisoned")


def outcome(layer, x, state, **more):
    """Output, end state, and the gradients of x, the weights and the state."""
    torch.manual_seed(1)
    y, end = layer(x, state, **more)
    sources = [x, *layer.parameters(), *(() if state is None else as_tuple(state))]
    made = [y, *as_tuple(end)]
    gradients = torch.autograd.grad(made, sources, [torch.randn_like(v) for v in made], allow_unused=True)
    return made + [torch.zeros_like(s) if g is None else g for s, g in zip(sources, gradients, strict=True)]


def by_the_loop(layer, monkeypatch, *args, **more):
    with monkeypatch.context() as patch:
        patch.setattr(layer, "_plan", None)
        patch.setattr("ostinato.dispatch.unserved", lambda *_: "asked for by the test")
        return outcome(layer, *args, **more)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_equals_the_loop(kind, dtype, monkeypatch):
    torch.manual_seed(0)
    tolerance = 3e-5 if dtype == torch.float32 else 1e-12
    for layers, both, flags in itertools.product((1, 3), (False, True), range(8)):
        layer = getattr(ost, kind)(3, 17, layers, bidirectional=both, bias=flags != 5, dtype=dtype)
        new = lambda n: torch.randn(n, B, 17, dtype=dtype, requires_grad=True)
        state = [new(layers * (1 + both)) for _ in layer._state_names] if flags & 1 else None
        state = state and (tuple(state) if kind == "LSTM" else state[0])
        x = torch.randn(B, T, 3, dtype=dtype, requires_grad=True)
        more = {
            "lengths": [6, 0, 3, 1, 5] if flags & 2 else None,
            "resets": torch.rand(B, T) < 0.3 if flags & 4 else None,
        }
        slow = by_the_loop(layer, monkeypatch, x, state, **more)
        for a, b in zip(outcome(layer, x, state, **more), slow, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=tolerance * max(1, b.abs().max().item()))


@pytest.mark.parametrize("kind", KINDS)
def test_one_node_for_a_whole_stack_and_frozen_layers_cost_nothing(kind):
    layer, x = getattr(ost, kind)(3, 5, 3, bidirectional=True), torch.randn(B, T, 3)
    y = layer(x)[0]
    assert {type(n).__name__ for n, _ in y.grad_fn.next_functions if n is not None} == {"AccumulateGrad"}
    y.sum().backward()
    expected = {n: p.grad.clone() for n, p in layer.named_parameters() if "_l2" in n}
    layer.zero_grad()
    for name, p in layer.named_parameters():
        p.requires_grad_("_l2" in name)
    layer(x)[0].sum().backward()
    for name, p in layer.named_parameters():
        assert (p.grad is None) if "_l2" not in name else torch.equal(p.grad, expected[name])


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_any_layout_and_a_transposed_gradient(kind):
    layer, x = getattr(ost, kind)(3, 5, 2, bidirectional=True), torch.randn(B, T, 3)
    dense = [torch.randn(4, B, 5) for _ in layer._state_names]
    pack = lambda s: tuple(s) if kind == "LSTM" else s[0]
    y, _ = layer(x, pack(dense))
    for view in (lambda s: s.transpose(0, 1).contiguous().transpose(0, 1), lambda s: torch.stack([s, s], -1)[..., 0]):
        assert torch.equal(layer(x, pack([view(s) for s in dense]))[0], y)
    weights = torch.randn(T, B, 10)
    y.backward(weights.transpose(0, 1))
    found = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    layer(x, pack(dense))[0].backward(weights.transpose(0, 1).contiguous())
    assert all(torch.equal(g, p.grad) for g, p in zip(found, layer.parameters(), strict=True))


def test_a_view_that_negates_is_read_as_its_values():
    layer, z = ost.GRU(1, 4), torch.randn(2, 3, 1, dtype=torch.complex64)
    x = z.conj().imag
    assert x.is_neg()
    assert torch.equal(layer(x)[0], layer(x.resolve_neg())[0])


def test_weights_that_a_parametrization_makes_are_seen():
    layer, x = ost.LSTM(3, 4, 2), torch.randn(2, 5, 3)
    y = layer(x)[0]
    weight_norm(layer, "weight_hh_l1")
    torch.testing.assert_close(layer(x)[0], y)
    layer(x)[0].sum().backward()
    assert layer.parametrizations.weight_hh_l1.original1.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_torch_that_lends_by_numpy_alone(kind, monkeypatch):
    """Before torch 2.10 tensors have no C exchange."""
    layer, x = getattr(ost, kind)(3, 4, 2, bidirectional=True), torch.randn(2, 5, 3, requires_grad=True)
    expected = outcome(layer, x, None, lengths=[5, 2])
    monkeypatch.setattr(kernel, "LENDS", False)
    assert all(torch.equal(a, b) for a, b in zip(outcome(layer, x, None, lengths=[5, 2]), expected, strict=True))


def test_wrong_tensors_are_refused_with_words_before_a_pointer_is_used():
    x, W, R, b = torch.randn(2, 3, 4), torch.randn(20, 4), torch.randn(20, 5), torch.randn(20)
    lstm = kernel.Plan(1, 0)
    run = lambda x=x, h=None, W=W, R=R, b=b, plan=lstm: fused.stack(
        (x, h, None, None, None, None, None, W, R, b, b, None), plan
    )
    run()
    for words, given in {
        "W has the wrong shape": {"W": W[:, :3]},
        "R has the wrong shape": {"R": R[:19]},
        "b_ih has another type than x": {"b": b.double()},
        "b_ih has the wrong number": {"b": b[None]},
        "h has the wrong shape": {"h": torch.zeros(1, 3, 5)},
        "W and R must be there": {"W": None},
        "parts must be 5 a row": {"plan": kernel.Plan(1, 0, layers=2)},
        "kind is unknown": {"plan": kernel.Plan(7, 0)},
        "x must be float32 or float64": {"x": x.half()},
    }.items():
        with pytest.raises(ValueError, match=words):
            run(**given)
    with pytest.raises(ValueError, match="y has the wrong shape"):
        _kernels.forward(lstm, 1, (x, *[None] * 6, W, R, b, b, None), x, False)
    with pytest.raises(ValueError, match="is no array"):
        _kernels.forward(lstm, 1, ("x", *[None] * 6, W, R, b, b, None), None, False)
