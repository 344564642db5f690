"""The fused kernels against their slow twin, the reference loop: values and every gradient."""

import itertools
import math
import os
import subprocess
import sys

import pytest
import torch
from tests.contracts.conftest import as_tuple

import ostinato as ost
from ostinato import cells
from ostinato.cells.loop import Stages, run_gated
from ostinato.ops import fused, kernel, random, reference

KINDS = list(kernel.KINDS)
SIZES = [(1, 1), (3, 5), (2, 15), (7, 16), (5, 17), (1, 40), (33, 65)]  # (input, hidden): odd and even vectors
pytestmark = pytest.mark.usefixtures("poisoned")


def arguments(
    kind, D, H, B, T, *, bias, dtype, lengths, resets, mask, reverse, activation="tanh", zoneout=None, **options
):
    """A fused scan's inputs, every tensor random and distinct; R small enough that rounding does not grow."""
    if kind == "rnn":
        options["nonlinearity"] = activation
    cell = cells.get(kind)(D, H, bias, own_weights=False, **options)
    new = lambda *shape: ((torch.rand(*shape, dtype=dtype) - 0.5) * 2 * H**-0.5).requires_grad_()
    begin, restart = [new(B, size) for size in cell.sizes()], [new(B, size) for size in cell.sizes()]
    w = {name: new(*shape) for name, shape in cell.shapes().items()}
    for name, width in cell.norms().items():
        w[f"{name}.weight"] = (torch.rand(width, dtype=dtype) + 0.5).requires_grad_()
        w[f"{name}.bias"] = new(width)
    rates, key = (0.3, 0.4)[: len(begin)], torch.tensor(12345) if zoneout == "drawn" else None
    keeps = random.Zoneout(rates, key, (7, 8)[: len(begin)] if zoneout == "drawn" else ()) if zoneout else None
    plan = fused.plan_of(cell, reverse, zoneout=keeps)
    plan = plan._replace(options=plan.options or kernel.Options())  # all tensors, for a plain cell too
    size = cell.sizes()[0]
    masked = torch.bernoulli(torch.full((B, size), 0.6, dtype=dtype)) / 0.6 if mask else None
    inputs = kernel.Inputs(
        new(B, T, D), begin[0], begin[1] if len(begin) > 1 else None, restart[0] if resets else None,
        restart[1] if resets and len(begin) > 1 else None, torch.randint(0, T + 1, (B,)) if lengths else None,
        torch.rand(B, T) < 0.25 if resets else None, *fused.row_of(cell, plan, w, masked, key),
    )  # fmt: skip
    return inputs, plan


def compare(inputs, plan, tolerance, plain=False):
    if plain:
        plan = plan._replace(options=None)
        inputs = inputs[: kernel.SHARED + plan.own]
    wanted = [v for v in inputs if v is not None and v.requires_grad]
    slow_y, slow_end = reference.run_reference(inputs, plan)
    y, *end = fused._Fused.apply(plan, *inputs)
    outputs = list(zip((y, *end), (slow_y, *slow_end), strict=True))
    weights = [torch.randn_like(a) for a, _ in outputs]
    fast = torch.autograd.grad([a for a, _ in outputs], wanted, weights, allow_unused=True, retain_graph=True)
    again = torch.autograd.grad([a for a, _ in outputs], wanted, weights, allow_unused=True)
    slow = torch.autograd.grad([b for _, b in outputs], wanted, weights, allow_unused=True)
    for a, b in outputs:
        assert (a - b).abs().amax().nan_to_num(9) <= tolerance if a.numel() else True
    for a, twice, b in zip(fast, again, slow, strict=True):
        b = torch.zeros_like(a) if b is None else b
        assert torch.equal(a, twice)  # a graph that is kept can be walked again
        if a.numel():
            assert (a - b).abs().amax().nan_to_num(9) <= 10 * tolerance * max(1, b.abs().amax().item())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_reference(kind, dtype, size):
    torch.manual_seed(KINDS.index(kind) * 100 + SIZES.index(size))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    for B, T in [(1, 7), (3, 4), (13, 5), (2, 70)]:
        for flags in range(8):
            on = {"lengths": bool(flags & 1), "resets": bool(flags & 2), "mask": bool(flags & 4)}
            inputs, plan = arguments(kind, *size, B, T, bias=flags != 3, dtype=dtype, reverse=flags % 3 == 1, **on)
            compare(inputs, plan, tolerance, plain=flags != 5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_larger_than_a_cache_equal_the_reference(kind):
    """Above 1 MB the next panel is called while one is multiplied, and a team shares the units."""
    torch.manual_seed(3)
    hidden = 600 if kind == "rnn" else 270
    for B, T in [(17, 3), (2, 9)]:
        inputs, plan = arguments(kind, 130, hidden, B, T, bias=True, dtype=torch.float32, lengths=False, resets=False,
                                 mask=False, reverse=False)  # fmt: skip
        compare(inputs, plan, 1e-5, plain=True)


LONG_LINES = [("rnn", 520, {}), ("lstm", 130, {}), ("lstm", 130, {"proj_size": 67}), ("gru", 130, {})]
LONG_LINES += [("gru", 130, {"reset_after": False})]


@pytest.mark.parametrize(("kind", "hidden", "options"), LONG_LINES, ids=str)
def test_sums_over_steps_that_the_second_cache_does_not_hold_equal_the_reference(kind, hidden, options):
    """On one thread: the more there are, the more units they take."""
    torch.manual_seed(5)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for mask in (False, True):  # 36 x 13 steps are three rounds
            more = {"lengths": mask, "resets": mask, "mask": mask} | options
            inputs, plan = arguments(kind, 301, hidden, 36, 13, bias=True, dtype=torch.float64, reverse=False, **more)
            compare(inputs, plan, 1e-13)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("hidden", [64, 70])
@pytest.mark.parametrize("kind", [ost.LSTM, ost.GRU])
def test_what_is_kept_is_the_same_where_it_is_more_than_the_caches_hold(kind, hidden):
    """Above 20 MB it is stored past them. A batch and its two halves, which are below: the same rows, bit by bit."""
    torch.manual_seed(4)
    layer = kind(3, hidden, batch_first=True)
    x, weights = torch.randn(400, 60, 3, requires_grad=True), torch.randn(400, 60, hidden)
    y = layer(x)[0]
    y.backward(weights)
    whole, sums = x.grad, [p.grad for p in layer.parameters()]
    layer.zero_grad(), setattr(x, "grad", None)
    for half in (slice(200), slice(200, 400)):
        part = layer(x[half])[0]
        assert torch.equal(part, y[half])
        part.backward(weights[half])
    assert torch.equal(x.grad, whole)
    for p, s in zip(layer.parameters(), sums, strict=True):
        assert (p.grad - s).abs().max() <= 1e-5 * s.abs().max()


@pytest.mark.parametrize("activation", kernel.ACTIVATIONS)
def test_every_activation_of_the_rnn(activation):
    torch.manual_seed(1)
    inputs, plan = arguments("rnn", 3, 19, 4, 6, bias=True, dtype=torch.float64, lengths=True, resets=True, mask=True,
                             reverse=False, activation=activation)  # fmt: skip
    compare(inputs, plan, 1e-13)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_activations_of_floats_are_right_wherever_they_are_asked(activation):
    """Of one number at a time, h = f(x): all over the range, at its ends, and at what is no number."""
    layer = ost.RNN(1, 1, nonlinearity=activation, batch_first=True, bias=False)
    x = torch.cat([torch.linspace(-20, 20, 200_001), torch.linspace(-100, 100, 50_001), torch.tensor([0.0, -0.0])])
    far = torch.tensor([math.nan, math.inf, -math.inf, 3e38, -3e38])
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1), layer.weight_hh_l0.zero_()
        found, there = (layer(v.reshape(-1, 1, 1))[0].flatten() for v in (x, far))
    right = getattr(torch, activation)
    assert (found - right(x.double())).abs().max() <= 3e-7
    assert found[-1] == found[-2] == right(torch.zeros(()))  # exactly
    assert found.abs().max() == 1
    assert found.min() >= right(torch.tensor(-math.inf))
    assert torch.allclose(there, right(far), atol=1e-30, rtol=0, equal_nan=True)


SINGLE = {
    "rnn": [{"layer_norm": True}],
    "lstm": [{"peephole": True}, {"coupled_gates": True}, {"layer_norm": True}, {"proj_size": True}],
    "gru": [{"reset_after": False}, {"layer_norm": True}],
}
PAIRS = {kind: [a | b for a, b in itertools.combinations(each, 2)] for kind, each in SINGLE.items()}
PAIRS["lstm"].append({"peephole": True, "coupled_gates": True, "layer_norm": True, "proj_size": True})
PAIRS["gru"] = []  # reset_after=False with layer norm is no cell that there is
OPTIONS = [(kind, options) for kind in KINDS for options in ({}, *SINGLE.get(kind, ()), *PAIRS.get(kind, ()))]
WORDS = ["-".join((kind, *options)) for kind, options in OPTIONS]


@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=WORDS)
def test_every_option_equals_the_reference(kind, options):
    torch.manual_seed(WORDS.index("-".join((kind, *options))))
    for turn, (H, zoneout) in enumerate(itertools.product([2, 15, 17, 63], [None, "expected", "drawn"])):
        if not options and zoneout is None:
            continue
        own = options | ({"proj_size": max(1, H // (1 + turn % 3) - 1)} if "proj_size" in options else {})
        for flags in range(turn % 3, 8, 3):
            on = {"lengths": bool(flags & 1), "resets": bool(flags & 2), "mask": bool(flags & 4)}
            B, T = [(1, 5), (3, 4), (13, 5), (2, 37)][(turn + flags) % 4]
            dtype = (
                torch.float32 if flags == 3 + turn % 3 and H > 2 else torch.float64
            )  # a norm of two numbers loses digits
            inputs, plan = arguments(
                kind, 3, H, B, T, bias=flags != 3, dtype=dtype, reverse=flags % 3 == 1, zoneout=zoneout, **on, **own
            )
            compare(inputs, plan, 1e-4 if dtype == torch.float32 else 1e-11)


@pytest.mark.parametrize(("kind", "options"), OPTIONS[1:], ids=WORDS[1:])
def test_options_give_the_same_bits_on_any_number_of_threads(kind, options):
    options = options | ({"proj_size": 33} if "proj_size" in options else {})
    inputs, plan = arguments(kind, 24, 70, 37, 50, bias=True, dtype=torch.float32, lengths=True, resets=True,
                             mask=True, reverse=False, zoneout="drawn", **options)  # fmt: skip
    found, before = [], torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        y, *end = fused._Fused.apply(plan, *inputs)
        sources = [v for v in inputs if v is not None and v.requires_grad]
        gradients = torch.autograd.grad([y.square().sum(), *(s.sum() for s in end)], sources)
        found.append(torch.cat([v.flatten() for v in (y, *end, *gradients)]))
    torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_zoneouts_numbers_are_those_of_the_reference(p):
    """Kept units are equal to the bit: 0 * new + 1 * old."""
    cell = cells.get("rnn")(3, 37, own_weights=False)
    w = {name: torch.rand(shape) for name, shape in cell.shapes().items()}
    x, key = torch.randn(5, 9, 3), torch.tensor(2**31 - 2)
    stages = Stages(zoneout=random.Zoneout((p,), key, (11,)))
    fast, _ = fused.eager(cell, w, x, (torch.zeros(5, 37),), stages)
    slow, _ = run_gated(cell, w, x, (torch.zeros(5, 37),), stages)
    torch.testing.assert_close(fast, slow)
    kept = random.keep(key, 11, (5, 9, 37), p, x) == 0
    assert torch.equal((fast[:, 1:] == fast[:, :-1]) & kept[:, 1:], kept[:, 1:])


@pytest.mark.parametrize("p", [0.0, 0.25, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(7, 37), (7, 1, 37), (60, 50, 129), (0, 3, 4), (4, 0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_a_mask_made_in_one_pass_has_the_numbers_of_the_other(p, shape, dtype):
    key, like = torch.tensor(2**31 - 2), torch.empty(0, dtype=dtype)
    expected = random.keep(key, 9, shape, p, like) / max(1 - p, 1e-6)
    assert torch.equal(random.scaled_mask(key, 9, shape, p, like), expected)


@pytest.mark.long
def test_thousands_of_random_cases():
    torch.manual_seed(2)
    pick = lambda *choices: choices[int(torch.randint(len(choices), ()))]
    for _ in range(3000):
        (kind, options), H = pick(*OPTIONS), pick(2, 7, 15, 16, 17, 33, 63, 64, 65, 100)
        options = options | ({"proj_size": pick(1, H // 2, H - 1)} if "proj_size" in options else {})
        # Over many steps a norm makes rounding grow.
        time = pick(1, 2, 3, 11, 33) if "layer_norm" in options else pick(1, 2, 3, 11, 33, 140)
        inputs, plan = arguments(
            kind, pick(1, 2, 3, 16, 31, 64), H, pick(1, 2, 5, 9, 24), time, bias=pick(True, False), dtype=torch.float64,
            lengths=pick(True, False), resets=pick(True, False), mask=pick(True, False), reverse=pick(True, False),
            zoneout=pick(None, "expected", "drawn"), **options,
        )  # fmt: skip
        compare(inputs, plan, 1e-10)


def chosen_for(isa):
    code = "from ostinato import _kernels; print(_kernels.instruction_set())"
    environment = os.environ | {"OSTINATO_ISA": isa}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_an_unknown_instruction_set_is_refused_with_those_there_are():
    refused = chosen_for("avx1024")
    assert refused.returncode
    assert "OSTINATO_ISA=avx1024: this machine and build have" in refused.stderr
    best = chosen_for("").stdout.strip()
    first = refused.stderr.rsplit("have ", 1)[1].split(",")[0].strip()
    assert first == best  # nothing asked for: the first of them


@pytest.mark.parametrize("isa", ["plain", "avx2", "avx512"])
def test_other_instruction_sets(isa):
    """The same tests of this file with the kernels of a lesser machine."""
    if os.environ.get("OSTINATO_ISA"):
        return  # the run that this test started
    probe = chosen_for(isa)
    if "this machine and build have" in probe.stderr:
        pytest.skip(f"this machine has no {isa}")
    assert probe.stdout.strip() == isa
    chosen = "reference or activation or option"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", __file__, "-k", chosen],
        env=os.environ | {"OSTINATO_ISA": isa}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_threads_do_not_change_a_bit(kind):
    layer = getattr(ost, kind)(24, 70, num_layers=2, bidirectional=True, dropout=0.3, recurrent_dropout=0.3)
    x, lengths, found = torch.randn(37, 50, 24), torch.randint(0, 51, (37,)), []
    before = torch.get_num_threads()
    for threads in (1, 2, 2, 5):
        torch.set_num_threads(threads)
        torch.manual_seed(7)
        layer.zero_grad()
        y, end = layer(x, lengths=lengths)
        (y.square().sum() + sum(s.sum() for s in as_tuple(end))).backward()
        found.append(torch.cat([y.flatten(), *[p.grad.flatten() for p in layer.parameters()]]).detach())
    torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=WORDS)
@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
def test_steps_so_many_that_they_fall_into_halves_equal_the_reference(kind, options, lengths):
    """Gradients are two halves' sums then, each made by a thread of what it wrote, and dx is made where dz lies."""
    before = torch.get_num_threads()
    torch.manual_seed(5)
    own = options | ({"proj_size": 11} if "proj_size" in options else {})
    inputs, plan = arguments(kind, 9, 21, 19, 60, bias=True, dtype=torch.float64, lengths=False, resets=True,
                             mask=lengths, reverse=lengths, **own)  # fmt: skip
    if lengths:  # far more in one half of the batch than in the other
        inputs = inputs._replace(lengths=torch.tensor([60] * 9 + [3, 0, 1, 59, 2, 7, 60, 4, 5, 31]))
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        compare(inputs, plan, 1e-11, plain=not options)
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
def test_a_team_that_shares_a_single_row_does_not_change_a_bit(kind, lengths):
    inputs, plan = arguments(kind, 19, 210, 1, 60, bias=True, dtype=torch.float32, lengths=False, resets=False,
                             mask=False, reverse=lengths)  # fmt: skip
    inputs = inputs._replace(lengths=torch.tensor([47]) if lengths else None)
    found, before = [], torch.get_num_threads()
    for threads in (1, 2, 2, 3, 5, 2):
        torch.set_num_threads(threads)
        y, *end = fused._Fused.apply(plan, *inputs)
        sources = [v for v in inputs if v is not None and v.requires_grad]
        gradients = torch.autograd.grad([y.square().sum(), *(s.sum() for s in end)], sources)
        found.append(torch.cat([v.flatten() for v in (y, *end, *gradients)]))
    torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])
    compare(inputs, plan, 1e-5, plain=True)


def test_many_python_threads_at_once():
    from concurrent.futures import ThreadPoolExecutor

    layer = ost.LSTM(9, 33).eval()
    x = torch.randn(6, 20, 9)
    with torch.no_grad():
        expected = layer(x)[0]

        def run(_):
            with torch.no_grad():
                return torch.equal(layer(x)[0], expected)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(run, range(400)))


def test_weights_written_behind_torchs_back_are_seen():
    layer, x = ost.GRU(3, 8), torch.randn(2, 4, 3)
    before = layer(x)[0]
    layer.weight_hh_l0.data.mul_(2)  # leaves the version counter as it was
    assert not torch.equal(layer(x)[0], before)


def test_any_memory_layout_of_x_and_of_the_gradient():
    layer = ost.LSTM(6, 10)
    x = torch.randn(5, 3, 12)
    for view in (x.transpose(0, 1)[..., :6], x.transpose(0, 1)[..., ::2], x.flip(1).transpose(0, 1)[..., 6:]):
        torch.testing.assert_close(layer(view)[0], layer(view.contiguous())[0], rtol=0, atol=0)
    view = x.transpose(0, 1)[..., :6].requires_grad_()
    layer(view)[0].sum().backward()  # hands in a gradient of stride 0
    summed = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    layer(view.detach().contiguous())[0].backward(torch.ones(3, 5, 10))
    for a, p in zip(summed, layer.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad)


def test_reference_serves_what_has_no_kernel_and_says_so(caplog):
    with caplog.at_level("DEBUG", logger="ostinato.dispatch"):
        ost.LSTM(3, 5).bfloat16()(torch.randn(2, 4, 3).bfloat16())
    assert "bfloat16" in caplog.text
    caplog.clear()
    with caplog.at_level("DEBUG", logger="ostinato.dispatch"):
        ost.LSTM(3, 5, peephole=True, layer_norm=True, zoneout=0.1)(torch.randn(2, 4, 3))
    assert caplog.text == ""


def test_the_list_says_that_every_option_has_a_kernel():
    from ostinato import dispatch

    rows = dispatch.kernels()
    assert not [row for row in rows if row[1] == "reference loop"]
    assert dict(rows)["lstm"].startswith("fused kernel")


def test_stages_by_hand_equal_the_reference_loop():
    cell = ost.LSTM(3, 5)._cell(0)
    own = ost.LSTM(3, 5).double()
    w, x = cell.collect(own, "_l0"), torch.randn(2, 4, 3, dtype=torch.float64)
    start = (x.new_zeros(2, 5), x.new_zeros(2, 5))
    y, _ = run_gated(cell, w, x, start, Stages(reverse=True))
    torch.testing.assert_close(fused.eager(cell, w, x, start, Stages(reverse=True))[0], y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_exact_beside_numbers_however_small(dtype):
    layer = ost.RNN(1, 1, bias=False, dtype=dtype)
    torch.nn.init.ones_(layer.weight_ih_l0)
    size = 10.0 ** torch.linspace(-30, 1.3, 5001, dtype=torch.float64)
    x = torch.cat([size, -size]).to(dtype)
    with torch.no_grad():
        found = layer(x[:, None, None])[0].flatten().double()
    wanted = x.double().tanh()
    assert ((found - wanted).abs() / wanted.abs()).max() < (2e-6 if dtype is torch.float32 else 1e-15)
    assert found.abs().max() <= 1


def test_a_nan_that_relu_hands_on_stops_no_gradient():
    layer = ost.RNN(1, 1, nonlinearity="relu")
    layer(torch.full((1, 1, 1), torch.nan))[0].sum().backward()
    assert layer.bias_ih_l0.grad == 1


def test_an_output_larger_than_any_memory_is_a_memory_error():
    with torch.no_grad(), pytest.raises(MemoryError, match=r"there is no memory for 1\.84e\+10 GB"):
        ost.RNN(1, 4)(torch.zeros(1, 1, 1).expand(2**40, 2**20, 1))
