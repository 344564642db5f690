"""Derivatives of any order, functorch, torch.compile and torch.export: the same numbers as the plain call."""

import pytest
import torch
from tests.contracts.conftest import as_tuple
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad, gradgradcheck
from torch.func import functional_call, grad, hessian, jvp, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

import ostinato as ost
from ostinato import cells
from ostinato.ops import fused, kernel, probes, random

KINDS = ["RNN", "LSTM", "GRU"]
F64 = torch.float64
LENGTHS = torch.tensor([4, 0, 2])
RESETS = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0]]).bool()


@pytest.fixture(params=KINDS)
def kind(request):
    torch.manual_seed(3)
    return getattr(ost, request.param)


def parts(kind, *, hidden=3, batch=3, time=4, mask=True, cell=None, zoneout=None, **changed):
    """A fused scan's inputs, all with gradients, and its plan; `cell` says options of the cell."""
    new = lambda *shape: torch.rand(*shape, dtype=F64).sub(0.5).requires_grad_()
    made = cells.get(kind.__name__.lower())(2, hidden, own_weights=False, **(cell or {}))
    begin, again = ([new(batch, size) for size in made.sizes()] + [None] for _ in range(2))
    w = {name: new(*shape) for name, shape in made.shapes().items()}
    w |= {f"{name}.{part}": new(width) for name, width in made.norms().items() for part in ("weight", "bias")}
    plan = fused.plan_of(made, zoneout=zoneout)
    plan = plan._replace(options=plan.options or kernel.Options())
    masked = torch.bernoulli(torch.full((batch, made.sizes()[0]), 0.6, dtype=F64)) if mask else None
    key = None if zoneout is None else zoneout.key
    inputs = kernel.Inputs(
        new(batch, time, 2), begin[0], begin[1], again[0], again[1], LENGTHS, RESETS,
        *fused.row_of(made, plan, w, masked, key),
    )._replace(**changed)  # fmt: skip
    return inputs, plan


def run_by(way, plan, inputs):
    """y, h and c (empty where there is none) by the autograd.Function or the custom op."""
    return (
        fused._Fused.apply(plan, *inputs) if way == "function" else torch.ops.ostinato.scan(*inputs, *fused._flat(plan))
    )


OPTIONS = {
    "LSTM": [{"peephole": True, "coupled_gates": True}, {"layer_norm": True, "proj_size": 1, "peephole": True}],
    "GRU": [{"reset_after": False}, {"layer_norm": True}],
    "RNN": [{"layer_norm": True}],
}
CHANCE = random.Zoneout((0.3, 0.4), torch.tensor(5), (1, 2))


# ---- second derivatives


@pytest.mark.parametrize("way", ["function", "op"])
def test_second_derivatives_with_lengths_resets_and_mask(kind, way):
    """pytorch 5261, 9229, 2691: by every input at once, each of which the backward sees."""
    inputs, plan = parts(kind, hidden=2, batch=3, time=3)
    inputs = inputs._replace(lengths=torch.tensor([3, 0, 2]), resets=RESETS[:, :3])
    there = [i for i, v in enumerate(inputs) if v is not None and v.requires_grad]

    def run(*given):
        own = inputs._replace(**{kernel.Inputs._fields[i]: v for i, v in zip(there, given, strict=True)})
        made = run_by(way, plan, own)
        return tuple(made[: 2 + (inputs.c is not None)])

    assert gradgradcheck(run, [inputs[i] for i in there])


@pytest.mark.parametrize("way", ["function", "op"])
def test_the_gradient_with_a_graph_is_the_gradient(kind, way):
    """Where one input was made from another (h from x), no part may be counted twice."""
    inputs, plan = parts(kind, hidden=2)
    x = inputs.x

    def gradient(create_graph):
        h = x.mean((1, 2), keepdim=True)[:, 0].expand(-1, 2)
        own = inputs._replace(h=h.tanh(), c=None if inputs.c is None else h.tanh().cos(), restart_h=h * 2)
        y = (run_by(way, plan, own))[0]
        return torch.autograd.grad(y.square().sum(), x, create_graph=create_graph)[0]

    torch.testing.assert_close(gradient(True), gradient(False), rtol=0, atol=1e-12)
    # and one order up: the derivative of the gradient's square, by differences
    (second,) = torch.autograd.grad(gradient(True).square().sum(), x)
    direction, e = torch.randn_like(x), 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            x.add_(sign * e * direction)
        values.append(gradient(False).square().sum())
        with torch.no_grad():
            x.sub_(sign * e * direction)
    slope = (values[0] - values[1]) / (2 * e)
    torch.testing.assert_close((second * direction).sum(), slope, rtol=1e-6, atol=1e-8)


def test_jacobians_and_hessians_in_one_batch_of_gradients(kind):
    layer, x = kind(2, 3, dtype=F64), torch.randn(1, 3, 2, dtype=F64)
    run = lambda x: layer(x, lengths=[3])[0]
    one, all_ = (torch.autograd.functional.jacobian(run, x, vectorize=v) for v in (False, True))
    torch.testing.assert_close(all_, one, rtol=0, atol=1e-12)
    loss = lambda x: run(x).square().sum()
    one, all_ = (torch.autograd.functional.hessian(loss, x, vectorize=v) for v in (False, True))
    torch.testing.assert_close(all_, one, rtol=0, atol=1e-12)
    torch.testing.assert_close(hessian(loss)(x), one, rtol=0, atol=1e-12)


# ---- functorch and forward mode


def test_jvp_equals_differences_and_is_never_0(kind):
    layer, x = kind(3, 4, num_layers=2, bidirectional=True, dtype=F64), torch.randn(3, 4, 3, dtype=F64)
    run, tangent, e = (lambda x: layer(x, lengths=LENGTHS, resets=RESETS)[0]), torch.randn_like(x), 1e-6
    slope = (run(x + e * tangent) - run(x - e * tangent)) / (2 * e)
    value, found = jvp(run, (x,), (tangent,))
    torch.testing.assert_close(value, run(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(found, slope, rtol=0, atol=1e-8)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(run(forward_ad.make_dual(x, tangent)))
    torch.testing.assert_close(dual.tangent, slope, rtol=0, atol=1e-8)


@pytest.mark.parametrize("way", ["function", "op"])
def test_past_the_dispatcher_a_jvp_is_refused_and_not_0(way):
    inputs, plan = parts(ost.GRU)

    def run(x):
        own = inputs._replace(x=x)
        return (run_by(way, plan, own))[0]

    with forward_ad.dual_level(), pytest.raises((NotImplementedError, RuntimeError), match=r"forward.mode|jvp"):
        run(forward_ad.make_dual(inputs.x.detach(), torch.randn_like(inputs.x)))


def test_per_sample_gradients(kind):
    """pytorch 105982: with lengths and resets that differ by sample, equal to one by one."""
    layer, x = kind(3, 4, num_layers=2, bidirectional=True, dtype=F64), torch.randn(3, 4, 3, dtype=F64)
    parameters = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(p, x, n, r):
        output, end = functional_call(layer, p, (x[None],), {"lengths": n[None], "resets": r[None]})
        return output.square().sum() + as_tuple(end)[0].sum()

    found = vmap(grad(loss), (None, 0, 0, 0))(parameters, x, LENGTHS, RESETS)
    for i in range(3):
        layer.zero_grad()
        loss(dict(layer.named_parameters()), x[i], LENGTHS[i], RESETS[i]).backward()
        for name, p in layer.named_parameters():
            torch.testing.assert_close(found[name][i], p.grad, rtol=0, atol=1e-12)


def test_an_ensemble_in_one_call(kind):
    """pytorch 112459, 134606."""
    layers = [kind(3, 4, num_layers=2, learn_initial_state=True, dtype=F64) for _ in range(3)]
    stacked, _ = stack_module_state(layers)
    x = torch.randn(3, 4, 3, dtype=F64)
    found = vmap(lambda p: functional_call(layers[0], p, (x,), {"lengths": LENGTHS})[0])(stacked)
    for i, layer in enumerate(layers):
        torch.testing.assert_close(found[i], layer(x, lengths=LENGTHS)[0], rtol=0, atol=1e-12)


# ---- graphs


def both_ways(layer, compiled, x, before=None, **more):
    """Outputs and gradients: eager (by `before`, where given), compiled."""
    found = []
    for run in (before or layer, compiled):
        layer.zero_grad()
        x = x.detach().requires_grad_()
        output, end = run(x, **more)
        (output.square().sum() + sum(s.sum() for s in as_tuple(end))).backward()
        found.append(
            [output.detach(), *(s.detach() for s in as_tuple(end)), x.grad, *(p.grad for p in layer.parameters())]
        )
    return zip(*found, strict=True)


def test_compiled_without_a_break_equals_eager_for_every_shape(kind):
    """One graph serves all sizes; lengths and resets are inputs of it."""
    torch._dynamo.reset()
    layer = kind(3, 4, num_layers=2, bidirectional=True, learn_initial_state=True)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for batch, time in ((3, 4), (5, 7), (2, 9)):
        lengths, resets = torch.randint(0, time + 1, (batch,)), torch.rand(batch, time) < 0.3
        for a, b in both_ways(layer, compiled, torch.randn(batch, time, 3), lengths=lengths, resets=resets):
            torch.testing.assert_close(b, a, rtol=0, atol=1e-5)


def test_compiled_by_the_default_compiler_with_dropout_random_at_each_call():
    """The one test that makes C++ of a graph: a draw that the compiler took for a constant would repeat."""
    torch._dynamo.reset()
    layer, x = ost.RNN(3, 4, nonlinearity="identity", recurrent_dropout=0.5), torch.randn(8, 4, 3)
    compiled = torch.compile(layer, fullgraph=True)
    first, second = compiled(x)[0], compiled(x)[0]
    assert torch.equal(first[:, 0], second[:, 0])  # nothing recurs yet
    assert not torch.equal(first, second)
    second.sum().backward()
    assert torch.isfinite(layer.weight_hh_l0.grad).all()
    assert layer.weight_hh_l0.grad.any()


def test_compiled_output_may_be_written_over(kind):
    torch._dynamo.reset()
    layer, x = kind(3, 4, num_layers=2), torch.randn(5, 2, 3)

    def over(x):
        output, end = layer(x)
        return torch.relu_(output), end

    compiled = torch.compile(over, fullgraph=True, backend="aot_eager")
    for a, b in both_ways(layer, compiled, x, before=lambda x: (layer(x)[0].relu(), layer(x)[1])):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("name", "cell"), [(name, cell) for name in OPTIONS for cell in OPTIONS[name]], ids=str)
def test_compiled_with_options(name, cell, training):
    torch._dynamo.reset()
    layer = getattr(ost, name)(3, 4, num_layers=2, bidirectional=True, zoneout=0.1, **cell).train(training)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    state = torch.get_rng_state()

    def same_chance(run):
        def again(*args, **more):
            torch.set_rng_state(state)
            return run(*args, **more)

        return again

    for a, b in both_ways(
        layer, same_chance(compiled), torch.randn(3, 4, 3), before=same_chance(layer), lengths=[4, 0, 2]
    ):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-4)


class Tagged(torch.nn.Module):
    """A layer inside a model whose own inputs are lengths and state."""

    def __init__(self):
        super().__init__()
        self.layer = ost.LSTM(3, 4, num_layers=2, bidirectional=True, dropout=0.2)

    def forward(self, x, lengths, state):
        return self.layer(x, state, lengths=lengths)


@pytest.mark.parametrize("training", [False, True])
def test_exported_with_any_batch_and_time(training):
    """pytorch 91439, 149909, 158007: one node for a whole sequence."""
    model, batch, time = Tagged().train(training), torch.export.Dim("batch"), torch.export.Dim("time")
    state = lambda b: (torch.randn(4, b, 4), torch.randn(4, b, 4))
    given = (torch.randn(3, 4, 3), LENGTHS, state(3))
    shapes = ({0: batch, 1: time}, {0: batch}, ({1: batch}, {1: batch}))
    program = torch.export.export(model, given, dynamic_shapes=shapes)
    assert sum("ostinato.scan" in str(node.target) for node in program.graph.nodes) == 4
    for b, t in ((1, 1), (7, 11)):
        x, lengths, own = torch.randn(b, t, 3), torch.randint(0, t + 1, (b,)), state(b)
        outcomes = []
        for run in (model, program.module()):
            torch.manual_seed(1)
            output, (h, c) = run(x, lengths, own)
            outcomes.append([output, h, c])
        for a, b_ in zip(*outcomes, strict=True):
            torch.testing.assert_close(b_, a, rtol=0, atol=1e-5)
    with pytest.raises((ValueError, RuntimeError), match="lengths"):
        program.module()(torch.randn(2, 3, 3), torch.tensor([3, 4]), state(2))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # the check of the features is for the first input
@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("trains", [False, True])
@pytest.mark.parametrize("record", ["jit", "fx"])
def test_what_was_recorded_answers_for_other_inputs(kind, record, trains):
    """A record that held what a kernel wrote, and not that it was called, would answer with noise."""
    layer, x = kind(3, 4, num_layers=2, bidirectional=True).eval().requires_grad_(trains), torch.randn(2, 5, 3)
    made = torch.jit.trace(layer, x) if record == "jit" else make_fx(layer)(x)
    for other in (x, torch.randn(2, 5, 3), *([torch.randn(4, 9, 3)] if record == "jit" else [])):
        torch.testing.assert_close(made(other), layer(other), rtol=0, atol=1e-6)


def test_shapes_without_values(kind):
    layer = kind(3, 4, bidirectional=True)
    with FakeTensorMode(allow_non_fake_inputs=True):
        output, _ = layer(torch.randn(2, 5, 3), lengths=torch.tensor([5, 2]))
    assert output.shape == (2, 5, 8)


def test_a_layer_made_of_shapes_without_values(kind):
    """As models are sized before there is memory for them."""
    with FakeTensorMode():
        layer = kind(3, 4, num_layers=2, learn_initial_state=True)
        output, _ = layer(torch.randn(2, 5, 3))
        output.sum().backward()
    assert output.shape == (2, 5, 4)
    assert layer.weight_ih_l0.grad.shape == layer.weight_ih_l0.shape


CHECKED = [(kind, plain, {}) for kind, plain in [("RNN", False), ("LSTM", False), ("GRU", False), ("GRU", True)]]
CHECKED += [
    ("LSTM", False, {"layer_norm": True, "proj_size": 2, "peephole": True}),
    ("GRU", False, {"layer_norm": True}),
]


@pytest.mark.parametrize(("kind", "plain", "cell"), CHECKED, ids=str)
def test_torchs_own_check_of_the_ops(kind, plain, cell):
    # Rows are full here: what `saved` holds past a row's end is nobody's, and the check would compare it.
    inputs, plan = parts(
        getattr(ost, kind), batch=2, time=3, cell=cell, lengths=torch.tensor([3, 3]), resets=RESETS[:2, :3]
    )
    if plain:
        none = dict.fromkeys(("b_ih", "b_hh", "restart_h", "restart_c", "mask", "lengths", "resets"))
        inputs = inputs._replace(**none)
    scan, backward = torch.ops.ostinato.scan.default, torch.ops.ostinato.scan_backward.default
    assert set(torch.library.opcheck(scan, (*inputs, *fused._flat(plan))).values()) == {"SUCCESS"}
    y, _h, _c, saved = (v.detach() for v in scan(*inputs, *fused._flat(plan)))
    own = [v if v is None or not v.is_floating_point() else v.detach().requires_grad_() for v in inputs]
    wanted = [v is not None and v.requires_grad for v in inputs]
    arguments = (*own, *fused._flat(plan), y, saved, torch.randn_like(y), None, None, wanted)
    assert set(torch.library.opcheck(backward, arguments).values()) == {"SUCCESS"}


# ---- counted operations


def operations(layer, x):
    """Of a forward, and of it and its backward."""
    with FlopCounterMode(display=False) as counter:
        output, _ = layer(x)
        forward = counter.get_total_flops()
        output.sum().backward()
    return forward, counter.get_total_flops()


@pytest.mark.parametrize("towards_x", [False, True])
@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_operations_are_counted_as_of_torchs_layer(name, towards_x):
    x = torch.randn(4, 7, 3, requires_grad=towards_x)
    sizes = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    assert operations(getattr(ost, name)(3, 8, **sizes), x) == operations(getattr(torch.nn, name)(3, 8, **sizes), x)


def test_operations_of_a_projection_and_of_frozen_weights():
    layer, x = ost.LSTM(3, 8, proj_size=5), torch.randn(4, 7, 3)
    of_input, of_state = 2 * 4 * 7 * (4 * 8 * 3), 2 * 4 * 7 * (4 * 8 * 5 + 5 * 8)
    forward, first = of_input + of_state, of_state // 7  # the state before the first step wants no gradient
    assert operations(layer, x) == (forward, forward + of_input + 2 * of_state - first)
    layer.weight_ih_l0.requires_grad_(False)
    assert operations(layer, x) == (forward, forward + 2 * of_state - first)
    assert operations(layer, x[:, :0]) == (0, 0)


# ---- the questions to torch that have no public answer


def test_probe_transforming():
    seen = []

    def ask(x):
        seen.append((probes.transforming(), probes.known()))
        return x.sum()

    x = torch.ones(2)
    for run in (ask, grad(ask), vmap(ask), lambda x: jvp(ask, (x,), (x,)), torch.func.functionalize(ask)):
        run(x)
    with forward_ad.dual_level():
        ask(x)
    assert seen == [(False, True), *[(True, False)] * 5]
    assert not probes.transforming()


def test_probe_compiling():
    seen = []

    def ask(x):
        seen.append(probes.compiling())
        return x + 1

    x = torch.ones(2)
    ask(x)
    make_fx(ask)(x)
    torch.jit.trace(ask, x, check_trace=False)
    with FakeTensorMode():
        ask(torch.ones(2))
    assert seen == [False, True, True, True]
    torch._dynamo.reset()
    told = torch.compile(lambda x: x + (1 if probes.compiling() else 0), fullgraph=True, backend="eager")
    assert torch.equal(told(x), x + 1)
    assert not probes.compiling()


def test_probe_batched():
    seen = []

    class Ask(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            seen.append((probes.batched(gradient), probes.transforming()))
            return gradient * 2

    x = torch.ones(3, requires_grad=True)
    y = Ask.apply(x)
    torch.autograd.grad(y, x, torch.eye(3), is_grads_batched=True, retain_graph=True)
    torch.autograd.grad(y, x, torch.ones(3))
    assert [batched or transforming for batched, transforming in seen] == [True, False]
    assert not probes.batched(None)


@pytest.mark.parametrize("grad", [False, True])
def test_a_tensor_that_a_transform_left_behind_is_read_as_what_it_holds(grad: bool) -> None:
    layer, x, left = ost.GRU(3, 5), torch.randn(2, 4, 3), []

    def keep(v: torch.Tensor) -> torch.Tensor:
        left.append(v)
        return v.sum()

    torch.func.grad(keep)(x)
    state = torch.zeros(1, 2, 5)
    with torch.set_grad_enabled(grad):
        for given in ((left[0],), (left[0], state)):
            assert torch.equal(layer(*given)[0], layer(x)[0])
