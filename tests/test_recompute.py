"""Long sequences in chunks against the same call in one piece."""

import itertools
import subprocess
import sys

import pytest
import torch
from tests.contracts.conftest import as_tuple
from torch.autograd import gradgradcheck

import ostinato as ost
from ostinato.ops import recompute

KINDS = ["RNN", "LSTM", "GRU"]
B, T = 3, 23
pytestmark = pytest.mark.usefixtures("poisoned")


def in_chunks(monkeypatch, steps=5):
    """Every sequence is a long one, and is cut every few steps."""
    monkeypatch.setattr(recompute, "LARGE", -1)
    monkeypatch.setattr(recompute, "STEPS", 0)
    monkeypatch.setattr(recompute._Walk, "_steps", lambda _: steps)


def outcome(layer, x, state, **more):
    """Output and end state, then the gradients of x and of the state, then those of the weights."""
    torch.manual_seed(1)
    y, end = layer(x, state, **more)
    made = [y, *as_tuple(end)]
    sources = [x, *(() if state is None else as_tuple(state)), *layer.parameters()]
    weights = [torch.randn_like(v) for v in made]
    found = torch.autograd.grad(made, sources, weights, allow_unused=True)
    found = [torch.zeros_like(s) if g is None else g for s, g in zip(sources, found, strict=True)]
    exact = 1 + (0 if state is None else len(as_tuple(state)))
    return made, found[:exact], found[exact:]


def compare(layer, monkeypatch, *given, **more):
    made, exact, sums = outcome(layer, *given, **more)
    with monkeypatch.context() as patch:
        in_chunks(patch)
        assert layer(*given, **more)[0].grad_fn.name().startswith(("_Chunked", "Cat"))
        again, exact_again, sums_again = outcome(layer, *given, **more)
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(exact, exact_again, strict=True))
    for a, b in zip(sums, sums_again, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-12 * max(1, a.abs().max().item()))


@pytest.mark.parametrize("kind", KINDS)
def test_equals_one_piece_to_the_bit_but_for_sums_over_time(kind, monkeypatch):
    torch.manual_seed(0)
    for layers, both, flags in itertools.product((1, 3), (False, True), range(8)):
        layer = getattr(ost, kind)(2, 9, layers, bidirectional=both, dtype=torch.float64, learn_initial_state=flags > 3)
        new = lambda n: torch.randn(n, B, 9, dtype=torch.float64, requires_grad=True)
        state = [new(layers * (1 + both)) for _ in layer._state_names] if flags & 1 else None
        state = state and (tuple(state) if kind == "LSTM" else state[0])
        x = torch.randn(B, T, 2, dtype=torch.float64, requires_grad=True)
        lengths = [T, 0, 11] if flags & 2 else None
        resets = torch.rand(B, T) < 0.4 if flags & 4 else None
        compare(layer, monkeypatch, x, state, lengths=lengths, resets=resets)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("both", [False, True], ids=["", "both"])
def test_random_masks_are_those_of_one_piece(kind, both, monkeypatch):
    noise = {"zoneout": 0.3, "recurrent_dropout": 0.3, "weight_dropout": 0.2, "dropout": 0.2}
    options = {"layer_norm": True} if kind != "LSTM" else {"layer_norm": True, "peephole": True, "proj_size": 4}
    layer = getattr(ost, kind)(2, 9, 2, bidirectional=both, dtype=torch.float64, **noise, **options)
    x = torch.randn(B, T, 2, dtype=torch.float64, requires_grad=True)
    compare(layer, monkeypatch, x, None, lengths=[T, 4, 11], resets=torch.rand(B, T) < 0.3)


def test_any_memory_layout_and_gradients_that_are_views(monkeypatch):
    in_chunks(monkeypatch)
    layer = ost.LSTM(6, 10, bidirectional=True)
    x = torch.randn(T, B, 12)
    for view in (x.transpose(0, 1)[..., :6], x.transpose(0, 1)[..., ::2]):
        assert torch.equal(layer(view)[0], layer(view.contiguous())[0])
    found = []
    for weight in (torch.ones(()).expand(B, T, 20), torch.ones(B, T, 20), torch.ones(T, B, 20).transpose(0, 1)):
        layer.zero_grad()
        layer(x.transpose(0, 1)[..., :6])[0].backward(weight)
        found.append([p.grad.clone() for p in layer.parameters()])
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind, monkeypatch):
    in_chunks(monkeypatch, 2)
    layer = getattr(ost, kind)(1, 2, bidirectional=True).double()
    x = torch.randn(2, 3, 1, dtype=torch.double, requires_grad=True)
    assert gradgradcheck(lambda x: layer(x, lengths=[3, 2])[0], (x,))


def test_frozen_weights_get_no_gradient(monkeypatch):
    in_chunks(monkeypatch)
    layer = ost.GRU(2, 3, 2)
    layer.weight_ih_l0.requires_grad_(False)
    layer(torch.randn(B, T, 2))[0].sum().backward()
    assert layer.weight_ih_l0.grad is None
    assert layer.weight_hh_l0.grad.abs().sum() > 0


def test_it_chooses_by_what_a_backward_would_keep(monkeypatch):
    layer, x = ost.LSTM(1, 8), torch.randn(2, 3000, 1)
    ways = []
    for large in (recompute.LARGE, 2 * 3000 * 9 * 8 * 4, 2 * 3000 * 9 * 8 * 4 - 1):  # five slots and four gates
        monkeypatch.setattr(recompute, "LARGE", large)
        ways.append(type(layer(x)[0].grad_fn).__name__)
    assert ways == ["_FusedBackward", "_FusedBackward", "_ChunkedBackward"]
    with torch.no_grad():
        assert layer(x)[0].grad_fn is None


def test_chunks_are_as_large_as_their_room(monkeypatch):
    monkeypatch.setattr(recompute, "ROOM", 1 << 20)
    layer, x = ost.LSTM(1, 8), torch.randn(2, 3000, 1)
    monkeypatch.setattr(recompute, "LARGE", -1)
    begins = []
    run = recompute._Walk.inputs
    monkeypatch.setattr(recompute._Walk, "inputs", lambda self, p, s: begins.append(p.begin) or run(self, p, s))
    layer(x)[0].sum().backward()
    assert begins == [0, 1792, 1792, 0]  # 2^20 / (2 x 9 x 8 x 4) = 1820, in whole runs of 128


MILLION = """
import resource, sys
import torch
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
import ostinato as ost
torch.manual_seed(0)
layer, head = getattr(ost, sys.argv[1])(1, 64), torch.nn.Linear(64, 1)
x = torch.randn(1, 1_000_000, 1, requires_grad=True)
(head(layer(x)[0]) - x.detach().roll(-1, 1)).square().mean().backward()
assert all(torch.isfinite(v.grad).all() and v.grad.abs().sum() > 0 for v in (x, *layer.parameters()))
print((peak() - before) // 1024)
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_million_steps_train_in_a_gigabyte(kind):
    """pytorch 133751: torch's own layers stop at 65,535 steps on some devices, and keep every gate on all."""
    run = subprocess.run([sys.executable, "-c", MILLION, kind], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) <= 1024
