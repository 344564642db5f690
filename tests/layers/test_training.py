"""Layers as training code uses them: chunks with carried state, frozen parts, parametrizations, state dicts."""

import io

import pytest
import torch
from tests.contracts.conftest import as_tuple
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize

import ostinato as ost

KINDS = ["RNN", "LSTM", "GRU"]


def cut(state):
    """The state, without its history."""
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_backpropagation_equals_it_by_hand(kind):
    """Chunks of 4 with the state carried on and its history cut, against torch.nn doing the same."""
    ours = getattr(ost, kind)(3, 6, num_layers=2, dtype=torch.float64)
    torchs = getattr(torch.nn, kind)(3, 6, num_layers=2, batch_first=True, dtype=torch.float64)
    torchs.load_state_dict(ours.state_dict())
    x, target = torch.randn(2, 12, 3, dtype=torch.float64), torch.randn(2, 12, 6, dtype=torch.float64)
    losses = []
    for layer in (ours, torchs):
        optimiser, state, found = torch.optim.SGD(layer.parameters(), 0.3), None, []
        for begin in range(0, 12, 4):
            output, state = layer(x[:, begin : begin + 4], state)
            loss = (output - target[:, begin : begin + 4]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            state = cut(state)
            found.append(loss.item())
        losses.append(found)
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    for (name, a), (_, b) in zip(ours.named_parameters(), torchs.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12, msg=name)


def test_stateful_batches_go_on_where_they_stopped():
    """Nothing is remembered in the layer: the same call twice is the same answer."""
    layer, x = ost.LSTM(3, 4), torch.randn(2, 6, 3)
    first, state = layer(x)
    assert torch.equal(layer(x)[0], first)
    assert not torch.equal(layer(x, state)[0], first)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_in_eval_mode(kind):
    layer, x = getattr(ost, kind)(3, 4, num_layers=2, dropout=0.5), torch.randn(2, 5, 3, requires_grad=True)
    layer.eval()(x)[0].sum().backward()
    assert x.grad.any()
    assert all(p.grad.any() for p in layer.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_asks_for_a_gradient_gets_one(kind):
    layer, x = getattr(ost, kind)(3, 4), torch.randn(2, 5, 3, requires_grad=True)
    layer(x)[0].sum().backward()
    expected = {name: p.grad for name, p in layer.named_parameters()}
    for wanted in expected:
        layer.zero_grad()
        for name, p in layer.named_parameters():
            p.requires_grad_(name == wanted)
        layer(x.detach())[0].sum().backward()
        for name, p in layer.named_parameters():
            assert (p.grad is not None) == (name == wanted)
        torch.testing.assert_close(getattr(layer, wanted).grad, expected[wanted], rtol=1e-6, atol=1e-6)
    layer.requires_grad_(False)
    assert not layer(x.detach())[0].requires_grad
    frozen = torch.autograd.grad(layer(x)[0].sum(), x)[0]
    torch.testing.assert_close(frozen, x.grad, rtol=1e-6, atol=1e-6)


def test_a_kept_loss_does_not_keep_the_steps_memory():
    """Two backwards through one graph are refused as torch does, since the first let go of what it held."""
    layer = ost.LSTM(3, 4)
    loss = layer(torch.randn(2, 5, 3))[0].sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


OPTIONED = [
    ("RNN", {}),
    ("LSTM", {}),
    ("GRU", {}),
    ("RNN", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"proj_size": 3, "recurrent_dropout": 0.3}),
    ("LSTM", {"num_layers": 2, "zoneout": 0.2, "layer_norm": True}),
    ("GRU", {"num_layers": 2, "dropout": 0.4, "bidirectional": True}),
    ("GRU", {"reset_after": False}),
]


@pytest.mark.parametrize("where", ["all", "a step"])
@pytest.mark.parametrize(("kind", "options"), OPTIONED)
def test_an_output_may_be_written_over_before_the_backward(kind, options, where):
    """As nn.ReLU(inplace=True) does behind a layer: torch's RNN and GRU bear it."""
    layer, x = getattr(ost, kind)(3, 4, **options), torch.randn(5, 2, 3, requires_grad=True)

    def gradients(over):
        torch.manual_seed(1)
        y, end = layer(x)
        if over:
            torch.relu_(y if where == "all" else y[-1])
        else:
            y = torch.relu(y) if where == "all" else torch.cat([y[:-1], torch.relu(y[-1:])])
        h = end[0] if kind == "LSTM" else end
        loss = (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum() + h.square().sum()
        return torch.autograd.grad(loss, [x, *layer.parameters()])

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_written_over_between_two_walks(kind):
    layer, x = getattr(ost, kind)(3, 4), torch.randn(2, 5, 3)
    output, _ = layer(x)
    loss = output.sum()
    first = torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)
    with torch.no_grad():
        output.fill_(torch.nan)
    second = torch.autograd.grad(loss, list(layer.parameters()))
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_an_input_written_over_before_the_backward_is_noticed():
    x = torch.randn(2, 5, 3)
    output, _ = ost.GRU(3, 4)(x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_weight_norm_on_the_recurrent_weights(kind, tmp_path):
    torch.manual_seed(0)
    layer = getattr(ost, kind)(3, 8, num_layers=2)
    x = torch.randn(4, 6, 3)
    before = layer(x)[0]
    for name in ("weight_hh_l0", "weight_hh_l1"):
        parametrizations.weight_norm(layer, name)
    torch.testing.assert_close(layer(x)[0], before)
    optimiser, losses = torch.optim.Adam(layer.parameters(), 0.02), []
    start = layer.parametrizations.weight_hh_l0.original1.clone()
    for _ in range(30):
        loss = (layer(x)[0] - 0.3).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert not torch.equal(layer.parametrizations.weight_hh_l0.original1, start)
    trained = layer(x)[0]
    ost.save(layer, tmp_path / "layer.ost")  # plain weights are in the file, the layer stays as it is
    torch.testing.assert_close(ost.load(tmp_path / "layer.ost")(x)[0], trained)
    assert parametrize.is_parametrized(layer, "weight_hh_l0")
    for name in ("weight_hh_l0", "weight_hh_l1"):
        parametrize.remove_parametrizations(layer, name)
    torch.testing.assert_close(layer(x)[0], trained)


def test_pruned_weights_are_used():
    from torch.nn.utils import prune

    layer, x = ost.GRU(3, 4), torch.randn(2, 5, 3)
    prune.random_unstructured(layer, "weight_hh_l0", 1.0)
    plain = ost.GRU(3, 4)
    plain.load_state_dict(
        {name.removesuffix("_orig"): v for name, v in layer.state_dict().items() if "mask" not in name}
    )
    with torch.no_grad():
        plain.weight_hh_l0.zero_()
    assert torch.equal(layer(x)[0], plain(x)[0])


def test_functional_call_uses_the_weights_it_is_given():
    a, b, x = ost.LSTM(3, 4, num_layers=2), ost.LSTM(3, 4, num_layers=2), torch.randn(2, 5, 3)
    given = {name: p.detach().clone().requires_grad_() for name, p in b.named_parameters()}
    output, _ = functional_call(a, given, (x,))
    assert torch.equal(output, b(x)[0])
    output.sum().backward()
    assert all(p.grad.any() for p in given.values())
    assert all(p.grad is None for p in a.parameters())


def test_state_dicts_without_a_pickle_of_code(tmp_path):
    layer, file = ost.LSTM(3, 4, layer_norm=True, learn_initial_state=True), io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    again = ost.LSTM(3, 4, layer_norm=True, learn_initial_state=True)
    again.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(2, 5, 3)
    assert torch.equal(again(x)[0], layer(x)[0])
    wide = ost.LSTM(3, 5, layer_norm=True, learn_initial_state=True)
    with pytest.raises(RuntimeError, match="size mismatch for weight_ih_l0"):
        wide.load_state_dict(layer.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_double_and_back(kind):
    layer, x = getattr(ost, kind)(3, 4, bidirectional=True), torch.randn(2, 5, 3)
    single = layer(x)[0]
    double = layer.double()(x.double())[0]
    assert double.dtype == torch.float64
    torch.testing.assert_close(single, double.float(), rtol=0, atol=1e-6)
    assert torch.equal(layer.to(torch.float32)(x)[0], single)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu_with_lengths_from_anywhere(kind):
    layer = getattr(ost, kind)(3, 4, num_layers=2, bidirectional=True)
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 0, 2])
    expected, end = layer(x, lengths=lengths)
    layer.cuda()
    for given in (lengths, lengths.cuda(), lengths.tolist()):
        output, state = layer(x.cuda(), lengths=given)
        torch.testing.assert_close(output.cpu(), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(as_tuple(state)[0].cpu(), as_tuple(end)[0], rtol=0, atol=1e-5)


def test_empty_modules_on_the_meta_device_say_the_shapes():
    layer = ost.LSTM(3, 4, bidirectional=True, device="meta")
    output, (h, _c) = layer(torch.empty(2, 5, 3, device="meta"), lengths=[5, 3])
    assert output.is_meta
    assert output.shape == (2, 5, 8)
    assert h.shape == (2, 2, 4)
    with pytest.raises(ValueError, match="x is torch.float32 on cpu, the weights are torch.float32 on meta"):
        layer(torch.randn(2, 5, 3))


class Added(torch.nn.Module):
    """As a low-rank adapter: no inverse."""

    def __init__(self):
        super().__init__()
        self.more = torch.nn.Parameter(torch.ones(1))

    def forward(self, weight):
        return weight + self.more


@pytest.mark.parametrize("initializer", ["uniform", "orthogonal"])
@pytest.mark.parametrize("how", ["weight norm", "pruned", "added"])
def test_weights_that_are_made_of_others_are_drawn_anew(how, initializer):
    """Between the folds of a cross-validation nothing of the fold before may stay."""
    from torch.nn.utils import parametrize, prune

    layer = ost.LSTM(3, 4, initializer=initializer, layer_norm=True)
    layer.mine = torch.nn.LayerNorm(2)
    with torch.no_grad():
        layer.weight_hh_l0.fill_(7.0)
        layer.mine.weight.fill_(7.0)
        layer.norm_ih_l0.weight.fill_(7.0)
    if how == "weight norm":
        parametrizations.weight_norm(layer, "weight_hh_l0")
    elif how == "pruned":
        prune.random_unstructured(layer, "weight_hh_l0", 0.5)
    else:
        parametrize.register_parametrization(layer, "weight_hh_l0", Added())
    layer.reset_parameters()
    assert layer(torch.randn(1, 2, 3))[0].isfinite().all()  # pruning makes its weight at a call
    made = layer.weight_hh_l0 - (1 if how == "added" else 0)
    assert 0 < made.abs().max() <= 1 + 1e-6
    assert (layer.norm_ih_l0.weight == 1).all()
    assert (layer.mine.weight == 7).all()  # a person's own, not the cell's
