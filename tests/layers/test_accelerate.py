"""torch's layers inside models that people own become ours: same numbers, same names, and back again."""

import copy
import io
import json

import numpy as np
import pytest
import torch
from tests.layers.owned import MODELS, Agent, Forecaster, Language, Tagger
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_sequence

import ostinato as ost

everyone = pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
KINDS = [nn.RNN, nn.LSTM, nn.GRU]


def pair(kind, dtype=torch.float32):
    """A model and its accelerated twin, with the same weights and an input."""
    torch.manual_seed(3)
    model, given = kind().to(dtype).eval(), kind().example()
    twin = copy.deepcopy(model)
    return model, twin, ost.accelerate(twin), tuple(v.to(dtype) if v.is_floating_point() else v for v in given)


def close(found, expected, dtype=torch.float32):
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert (found - expected).abs().max() <= tolerance * max(1, expected.abs().max().item())


def same_module(a, b):
    """Attributes, hooks' places and parameters alike: nothing of ours is left behind."""
    assert vars(a).keys() == vars(b).keys()
    assert a._modules.keys() == b._modules.keys()
    assert type(a) is type(b)


# ---- models that people own


@everyone
def test_outputs_and_gradients_are_the_same(kind):
    model, twin, report, given = pair(kind)
    assert report.replaced
    assert report.kept == {}
    found, expected = twin(*given), model(*given)
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        close(f, e)
    for outputs in (found, expected):
        sum(v.sin().sum() for v in outputs).backward()
    for (name, f), (_, e) in zip(twin.named_parameters(), model.named_parameters(), strict=True):
        assert f.grad is not None, name
        close(f.grad, e.grad)


@everyone
def test_in_float64(kind):
    model, twin, _, given = pair(kind)
    model, twin = model.double(), twin.double()  # after the replacement
    given = tuple(v.double() if v.is_floating_point() else v for v in given)
    if kind is Agent:
        for m in (model, twin):
            m.start = lambda batch: tuple(torch.zeros(1, batch, 16, dtype=torch.float64) for _ in range(2))
    for f, e in zip(twin(*given), model(*given), strict=True):
        close(f, e, torch.float64)


@everyone
def test_state_dicts_are_those_of_torch_both_ways(kind, tmp_path):
    model, twin, _, given = pair(kind)
    assert list(twin.state_dict()) == list(model.state_dict())
    assert [name for name, _ in twin.named_parameters()] == [name for name, _ in model.named_parameters()]
    other = kind().eval()
    torch.save(other.state_dict(), tmp_path / "weights.pt")
    for m in (model, twin):
        assert str(m.load_state_dict(torch.load(tmp_path / "weights.pt"))) == "<All keys matched successfully>"
    model.load_state_dict(twin.state_dict())
    for f, e in zip(twin(*given), other(*given), strict=True):
        close(f, e)


@everyone
def test_undo_leaves_no_trace(kind):
    model, twin, report, given = pair(kind)
    layers = [m for m in twin.modules() if isinstance(m, ost.Recurrent)]
    report.undo()
    report.undo()
    assert not any(isinstance(m, ost.Recurrent) for m in twin.modules())
    assert [m for m in twin.modules() if isinstance(m, nn.RNNBase)] == layers  # the same objects
    for a, b in zip(twin.modules(), model.modules(), strict=True):
        same_module(a, b)
    for f, e in zip(twin(*given), model(*given), strict=True):
        assert torch.equal(f, e)


@everyone
def test_training_goes_on_under_the_same_optimizer(kind):
    """Made before, stepped after: the parameters are the same objects. Undone, the layers have the newest weights."""
    torch.manual_seed(0)
    model = kind()
    given, optimizer = model.example(), torch.optim.Adam(model.parameters(), lr=0.01)
    before = dict(model.named_parameters())
    report = ost.accelerate(model)
    assert all(p is before[name] for name, p in model.named_parameters())
    losses = []
    for _ in range(8):
        torch.manual_seed(1)
        optimizer.zero_grad()
        loss = model(*given)[0].square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    model.eval()
    expected = model(*given)
    report.undo()
    for f, e in zip(model(*given), expected, strict=True):
        close(f, e)


@everyone
def test_copied_and_pickled(kind):
    _, twin, _, given = pair(kind)
    saved = io.BytesIO()
    torch.save(twin, saved)
    saved.seek(0)
    for again in (copy.deepcopy(twin), torch.load(saved, weights_only=False)):
        for f, e in zip(again(*given), twin(*given), strict=True):
            assert torch.equal(f, e)
        assert any(isinstance(m, ost.Recurrent) for m in again.modules())


def test_one_series_without_a_batch():
    model, twin, _, (window,) = pair(Forecaster)
    for f, e in zip(twin(window[0]), model(window[0]), strict=True):
        assert f.shape == e.shape
        close(f, e)


def test_an_agent_that_steps_one_by_one():
    """Acting, a step a call, equals learning on the whole."""
    model, twin, _, (seen, action, reward) = pair(Agent)
    whole, _ = model.unroll(seen, action, reward, model.start(3))
    state = twin.start(3)
    for t in range(len(seen)):
        q, state = twin.unroll(seen[t : t + 1], action[t : t + 1], reward[t : t + 1], state)
        close(q[0], whole[t])


def test_one_module_at_two_places_stays_one():
    model = Language()
    report = ost.accelerate(model)
    assert report.replaced == ["stack.0", "stack.1"]
    assert model.again is model.stack[0]
    assert isinstance(model.again, ost.LSTM)
    assert model.decoder.weight is model.encoder.weight


def test_dropout_runs_in_training_alone():
    _, twin, _, given = pair(Tagger)
    assert twin.lstm.dropout == 0.1
    assert torch.equal(twin(*given)[0], twin(*given)[0])
    twin.train()
    assert twin.lstm.training
    assert not torch.equal(twin(*given)[0], twin(*given)[0])
    torch.manual_seed(1)
    many = torch.stack([twin(*given)[0] for _ in range(400)]).mean(0)
    torch.testing.assert_close(many, twin.eval()(*given)[0], rtol=0, atol=0.05)


# ---- what a layer is stays what it is


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [
    {}, {"bias": False}, {"batch_first": True}, {"bidirectional": True, "num_layers": 3}, {"dtype": torch.float64},
])  # fmt: skip
def test_the_root_itself_with_each_option(kind, options):
    torch.manual_seed(0)
    layer = kind(3, 5, **options)
    expected, x = copy.deepcopy(layer), torch.randn(6, 4, 3, dtype=options.get("dtype"))
    report = ost.accelerate(layer)
    assert report.replaced == [""]
    assert type(layer) is getattr(ost, kind.__name__)
    for word in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(layer, word) == getattr(expected, word), word
    assert layer.mode == expected.mode
    close(layer(x)[0], expected(x)[0], x.dtype)
    if "batch_first" not in options:
        assert layer(x)[0].is_contiguous()  # code round torch's layers calls .view on it
    report.undo()
    same_module(layer, expected)
    assert torch.equal(layer(x)[0], expected(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_weights_and_sizes_are_there_as_torch_has_them(kind):
    """Code that draws weights by itself walks through `all_weights`."""
    layer, words = kind(3, 5, 2, bidirectional=True), {nn.LSTM: ["proj_size"], nn.RNN: ["nonlinearity"]}.get(kind, [])
    expected, own = layer.all_weights, getattr(ost, kind.__name__)(3, 5, 2, bidirectional=True)
    ost.accelerate(layer)
    for row, other in zip(layer.all_weights, expected, strict=True):
        assert all(a is b for a, b in zip(row, other, strict=True))
    assert [[w.shape for w in row] for row in own.all_weights] == [[w.shape for w in row] for row in expected]
    assert [getattr(own, word) for word in words] == [getattr(layer, word) for word in words]


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_nonlinearity(nonlinearity):
    layer = nn.RNN(3, 5, nonlinearity=nonlinearity)
    expected = layer(x := 3 * torch.randn(4, 2, 3))[0]
    ost.accelerate(layer)
    close(layer(x)[0], expected)
    assert layer.nonlinearity == nonlinearity


def test_projections_are_computed_the_same_or_kept_with_the_reason():
    layer = nn.LSTM(3, 5, proj_size=2)
    expected = layer(x := torch.randn(4, 2, 3))[0]
    report = ost.accelerate(layer)
    assert report.replaced == [""] or "proj_size" in report.kept[""]
    close(layer(x)[0], expected)


def test_what_is_frozen_stays_frozen():
    layer = nn.GRU(3, 5)
    layer.weight_hh_l0.requires_grad_(False)
    ost.accelerate(layer)
    layer(torch.randn(4, 2, 3))[0].sum().backward()
    assert layer.weight_hh_l0.grad is None
    assert layer.weight_ih_l0.grad is not None


def test_hooks_run_and_their_handles_still_take_them_off():
    layer, seen = nn.LSTM(3, 5).eval(), []
    handles = [
        layer.register_forward_pre_hook(lambda m, args: seen.append("before")),
        layer.register_forward_hook(lambda m, args, out: seen.append(type(m).__module__.split(".")[0])),
        layer.register_full_backward_hook(lambda m, gi, go: seen.append("backward")),
    ]
    report = ost.accelerate(layer)
    x = torch.randn(4, 2, 3, requires_grad=True)
    layer(x)[0].sum().backward()
    assert seen == ["before", "ostinato", "backward"]
    report.undo()
    layer(x)[0].sum().backward()
    assert seen[3:] == ["before", "torch", "backward"]
    for handle in handles:
        handle.remove()
    ost.accelerate(layer)
    layer(x)
    assert len(seen) == 6


def test_attributes_of_the_users_own_stay():
    layer = nn.GRU(3, 5)
    layer.note, layer.extra = "mine", nn.Linear(2, 2)
    report = ost.accelerate(layer)
    assert layer.note == "mine"
    assert "extra.weight" in layer.state_dict()
    report.undo()
    assert layer.note == "mine"
    assert isinstance(layer.extra, nn.Linear)


def test_no_random_numbers_are_drawn():
    layer = nn.LSTM(3, 5)
    before = torch.get_rng_state()
    ost.accelerate(layer)
    assert torch.equal(torch.get_rng_state(), before)


NORMS = {
    "weight_norm": lambda layer: parametrizations.weight_norm(layer, "weight_hh_l0"),
    "spectral_norm": lambda layer: parametrizations.spectral_norm(layer, "weight_hh_l0").eval(),
    "orthogonal": lambda layer: parametrizations.orthogonal(layer, "weight_ih_l0"),
}


@pytest.mark.parametrize("norm", NORMS)
def test_parametrized_weights(norm):
    """The parametrization stays on; it can be taken off, put on and copied as before."""
    torch.manual_seed(0)
    layer = NORMS[norm](nn.LSTM(3, 5))
    expected, x = copy.deepcopy(layer), torch.randn(4, 2, 3)
    report = ost.accelerate(layer)
    assert report.replaced == [""]
    assert isinstance(layer, ost.LSTM)
    assert list(layer.state_dict()) == list(expected.state_dict())
    close(layer(x)[0], expected(x)[0])
    for m in (layer, expected):
        m(x)[0].sin().sum().backward()
    for f, e in zip(layer.parameters(), expected.parameters(), strict=True):
        close(f.grad, e.grad)
    assert torch.equal(copy.deepcopy(layer)(x)[0], layer(x)[0])
    name = "weight_ih_l0" if norm == "orthogonal" else "weight_hh_l0"
    torch.nn.utils.parametrize.remove_parametrizations(layer, name)
    assert type(layer) is ost.LSTM
    close(layer(x)[0], expected(x)[0])
    NORMS[norm](layer)
    report.undo()
    assert torch.nn.utils.parametrize.type_before_parametrizations(layer) is nn.LSTM
    close(layer(x)[0], expected(x)[0])


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_weights_that_a_hook_makes():
    """The older weight_norm and pruning put a plain tensor where the parameter was, before each call."""
    x = torch.randn(4, 2, 3)
    normed = torch.nn.utils.weight_norm(nn.LSTM(3, 5), "weight_hh_l0")
    pruned = prune.l1_unstructured(nn.GRU(3, 5), "weight_hh_l0", 0.4)
    for layer, part in ((normed, "weight_hh_l0_g"), (pruned, "weight_hh_l0_orig")):
        expected = layer(x)[0]
        report = ost.accelerate(layer)
        close(layer(x)[0], expected)
        getattr(layer, part).data.mul_(2)
        changed = layer(x)[0]
        assert (changed - expected).abs().max() > 1e-3
        changed.sum().backward()
        assert getattr(layer, part).grad is not None
        report.undo()
        close(layer(x)[0], changed)


def test_what_changes_between_is_there_after_undo():
    layer = nn.LSTM(3, 5, dropout=0.0, num_layers=2)
    report = ost.accelerate(layer)
    layer.eval()
    layer.batch_first = True
    layer.load_state_dict(nn.LSTM(3, 5, num_layers=2).state_dict(), assign=True)
    expected = layer(x := torch.randn(2, 4, 3))[0]
    report.undo()
    assert not layer.training
    close(layer(x)[0], expected)


def test_functional_calls_and_compiling():
    model, twin, _, given = pair(Forecaster)
    other = {name: p.detach() * 0.5 for name, p in model.named_parameters()}
    for f, e in zip(
        torch.func.functional_call(twin, other, given), torch.func.functional_call(model, other, given), strict=True
    ):
        close(f, e)
    compiled = torch.compile(twin, backend="eager", fullgraph=True)
    close(compiled(*given)[0], model(*given)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_with_a_state(kind):
    layer = kind(3, 5, num_layers=2, bidirectional=True).double()
    packed = pack_sequence([torch.randn(n, 3, dtype=torch.float64) for n in (2, 6, 4)], enforce_sorted=False)
    h = torch.randn(4, 3, 5, dtype=torch.float64)
    state = (h, h.flip(0)) if kind is nn.LSTM else h
    out, end = layer(packed, state)
    ost.accelerate(layer)
    found, state = layer(packed, state)
    close(found.data, out.data, torch.float64)
    for f, e in zip(*(s if isinstance(s, tuple) else (s,) for s in (state, end)), strict=True):
        close(f, e, torch.float64)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_what_follows_may_write_over_input_and_output(kind):
    """x += layer(x) and nn.ReLU(inplace=True), as models of torch do, whose layer has a copy of such an input."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layer = nn.Linear(5, 5), kind(5, 5, batch_first=True)

        def forward(self, x):
            x = self.first(x)
            y, _ = self.layer(x)
            x += y
            return torch.relu_(x)

    model, x = Residual(), torch.randn(2, 6, 5)
    model(x).square().sum().backward()
    expected = [p.grad for p in model.parameters()]
    report = ost.accelerate(model)
    model.zero_grad()
    torch.relu_(model.layer(x)[0]).sum().backward()
    model.zero_grad()
    model(x).square().sum().backward()
    for p, wanted in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, wanted, rtol=1e-4, atol=1e-5)
    report.undo()
    assert "_spares_input" not in vars(model.layer)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # the check of the features is for the first input
@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_jit_trace_finds_the_same_graph_twice(batch_first, mode):
    model = nn.Sequential(nn.GRU(3, 5, batch_first=batch_first))
    ost.accelerate(getattr(model, mode)())
    made = torch.jit.trace(model, torch.randn(2, 4, 3))
    x = torch.randn(3, 6, 3)
    torch.testing.assert_close(made(x)[0], model(x)[0])


def test_dropout_wherever_tensors_are_made_by_default():
    model = nn.LSTM(3, 5, 2, dropout=0.5, batch_first=True)
    ost.accelerate(model)
    x = torch.randn(2, 4, 3)
    with torch.device("meta"):
        assert model(x)[0].is_cpu


def test_one_layer_has_nothing_to_drop_and_draws_nothing():
    model = nn.LSTM(3, 5, 1, batch_first=True)
    model.dropout = 0.5
    ost.accelerate(model)
    before = torch.get_rng_state()
    model(torch.randn(2, 4, 3, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)


def test_numpy_numbers_are_numbers():
    model = nn.LSTM(3, 5, num_layers=np.int64(2), dropout=np.float32(0.5))
    assert ost.accelerate(model).replaced == [""]
    for layer in (model, ost.LSTM(3, 5, np.int64(2), dropout=np.float32(0.5), batch_first=False)):
        json.dumps(layer.arguments())  # as a file holds them
