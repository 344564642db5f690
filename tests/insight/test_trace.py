"""A trace is the layer itself, seen from inside: values, gradients, time, and every option."""

import dataclasses

import pytest
import torch
from tests.contracts.conftest import CASES, as_tuple, layer_of, state_of, words
from torch.nn.utils.rnn import pack_sequence

import ostinato as ost
from ostinato import cells

TELLING = [case for case in CASES if cells.get(case[0]).gated is not cells.GatedCell.gated]
given = pytest.mark.parametrize("case", CASES, ids=words)


def close(found, expected, atol=1e-12):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def one_or_all(state):
    return state if len(state) > 1 else state[0]


@given
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_it_agrees_with_the_layer(case, bidirectional, with_state):
    """Lengths, resets, a state and both directions; output, states, and the gradients of both."""
    torch.manual_seed(1)
    layer = layer_of(case, num_layers=2, bidirectional=bidirectional, learn_initial_state=True)
    x, lengths = torch.randn(4, 7, 3, dtype=torch.float64), [7, 0, 3, 5]
    resets = torch.rand(4, 7) < 0.2
    state = one_or_all(state_of(layer, 4)) if with_state else None
    y, end = layer(x, state, lengths=lengths, resets=resets)
    found = ost.trace(layer, x, state, lengths=lengths, resets=resets)
    close(found.output, y)
    close(as_tuple(found.state), as_tuple(end))
    top = found.states["h"][-1]
    assert torch.equal(torch.cat(list(top), -1), found.output)
    weight = torch.randn_like(y)
    for expected, got in zip(
        torch.autograd.grad((y * weight).sum(), list(layer.parameters())),
        torch.autograd.grad((found.output * weight).sum(), list(layer.parameters())),
        strict=True,
    ):
        close(got, expected, 1e-10)


@given
def test_names_and_shapes(case):
    layer = layer_of(case, num_layers=2, bidirectional=True)
    found, cell = ost.trace(layer, torch.randn(4, 6, 3, dtype=torch.float64)), cells.get(case[0])
    assert list(found.states) == list(cell.state_names)
    assert [tuple(s.shape) for s in found.states.values()] == [(2, 2, 4, 6, n) for n in layer._cell(0).sizes()]
    assert list(found.gates) == (list(cell.gates) if case in TELLING else [])
    assert all(g.shape == (2, 2, 4, 6, 5) for g in found.gates.values())


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_states_follow_from_the_gates_at_each_time(name, direction):
    """The equation's last line, in the order in which each direction reads; lengths cut it short."""
    layer = layer_of((name, {}), bidirectional=True)
    x, lengths = torch.randn(3, 6, 3, dtype=torch.float64), [6, 4, 1]
    found = ost.trace(layer, x, lengths=lengths)
    for b, length in enumerate(lengths):
        gates = {g: v[0, direction, b] for g, v in found.gates.items()}
        states = {s: v[0, direction, b] for s, v in found.states.items()}
        for t in range(length):
            before = t - 1 if direction == 0 else t + 1
            old = {s: v[before] if 0 <= before < length else torch.zeros_like(v[0]) for s, v in states.items()}
            now = {g: v[t] for g, v in gates.items()}
            if name == "lstm":
                close(states["c"][t], now["f"] * old["c"] + now["i"] * now["g"])
                close(states["h"][t], now["o"] * torch.tanh(states["c"][t]))
            elif name == "gru":
                close(states["h"][t], (1 - now["z"]) * now["n"] + now["z"] * old["h"])
            else:
                close(states["h"][t], now["h"])
        for values in (*gates.values(), *states.values()):
            assert torch.equal(values[length:], torch.zeros_like(values[length:]))


def test_a_gate_is_what_the_equation_says_of_x():
    """h = 0 before step 0: there f = sigmoid(W_f x + b_f), forwards at the first time, backwards at the last."""
    layer = layer_of(("lstm", {}), bidirectional=True)
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    f = ost.trace(layer, x).gates["f"][0]
    for direction, suffix, t in ((0, "", 0), (1, "_reverse", 3)):
        W, b_ih, b_hh = (getattr(layer, f"{part}_l0{suffix}")[5:10] for part in ("weight_ih", "bias_ih", "bias_hh"))
        close(f[direction, :, t], torch.sigmoid(x[:, t] @ W.T + b_ih + b_hh))


@given
def test_the_gradient_by_a_state_equals_finite_differences(case, monkeypatch):
    """A state is nudged inside the cell at one step of the backward direction; the loss moves as was said."""
    torch.manual_seed(2)
    layer = layer_of(case, bidirectional=True, zoneout=0.1).eval()
    x, lengths, weight = torch.randn(2, 5, 3, dtype=torch.float64), [5, 4], torch.randn(2, 5, dtype=torch.float64)

    def loss_of(found):
        return (found.output.sum(-1).sin() * weight).sum()

    def nudged(index, amount):
        calls, gated = [], kind.gated

        def other(cell, w, wx, seen, state):
            calls.append(None)
            gates, new = gated(cell, w, wx, seen, state)
            if len(calls) == 5 + 2:  # the second step of the backward direction: time 3, and 2 of the shorter row
                push = torch.zeros_like(new[index])
                push[:, 1] = amount / 0.9  # zoneout lets 0.9 of it through
                new = tuple(s + push if i == index else s for i, s in enumerate(new))
            return gates, new

        with monkeypatch.context() as patch:
            patch.setattr(kind, "gated", other)
            return loss_of(ost.trace(layer, x, lengths=lengths)).item()

    kind, found = type(layer._cell(0)), ost.trace(layer, x, lengths=lengths)
    gradient = found.gradient(loss_of(found)).states
    for index, name in enumerate(found.states):
        if case[0] == "lstm" and name == "c":
            continue  # c nudged after the cell does not reach that step's own h: see the gates' test
        slope = (nudged(index, 1e-5) - nudged(index, -1e-5)) / 2e-5
        assert (gradient[name][0, 1, 0, 3, 1] + gradient[name][0, 1, 1, 2, 1]).item() == pytest.approx(slope, abs=1e-8)
        assert torch.equal(gradient[name][0, :, 1, 4], torch.zeros_like(gradient[name][0, :, 1, 4]))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_the_gradient_by_a_gate_follows_by_the_chain_rule(name):
    layer = layer_of((name, {}), num_layers=2)
    found = ost.trace(layer, torch.randn(3, 6, 3, dtype=torch.float64))
    inside = found.gradient(found.output.square().sum())
    dh, h, g, d = inside.states["h"], found.states["h"], found.gates, inside.gates

    def before(v):
        return torch.cat([torch.zeros_like(v[..., :1, :]), v[..., :-1, :]], -2)

    if name == "gru":
        close(d["z"], dh * (before(h) - g["n"]))
        close(d["n"], dh * (1 - g["z"]))
    else:
        c, dc = found.states["c"], inside.states["c"]
        close(d["o"], dh * torch.tanh(c))
        close(d["f"], dc * before(c))
        close(d["i"], dc * g["g"])
        close(d["g"], dc * g["i"])
        later = torch.cat([dc[..., 1:, :] * g["f"][..., 1:, :], torch.zeros_like(dc[..., :1, :])], -2)
        close(dc, dh * g["o"] * (1 - torch.tanh(c) ** 2) + later)


def test_gradients_of_the_gates_reach_the_weights_and_the_graph_stays():
    layer = layer_of(("lstm", {}))
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    found = ost.trace(layer, x)
    loss = (found.gates["f"] - 0.5).square().sum() + found.output.sum()
    found.gradient(loss)
    found.gates["f"].retain_grad()
    loss.backward()
    close(found.gates["f"].grad, 2 * (found.gates["f"].detach() - 0.5))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in [x, *layer.parameters()])


def test_gradients_by_states_with_every_weight_frozen():
    layer = layer_of(("gru", {}), num_layers=2).requires_grad_(False)
    found = ost.trace(layer, torch.randn(2, 4, 3, dtype=torch.float64))
    assert (found.gradient(found.output.sum()).states["h"] != 0).all()


def test_a_loss_that_is_none_is_refused():
    layer, x = layer_of(("gru", {})), torch.randn(2, 4, 3, dtype=torch.float64)
    found = ost.trace(layer, x)
    for loss, said in ((found.output, r"must be a scalar, found \(2, 4, "), (1.0, "must be a scalar, found float")):
        with pytest.raises(ValueError, match=said):
            found.gradient(loss)
    with torch.no_grad():
        found = ost.trace(layer, x)
    with pytest.raises(ValueError, match=r"no graph to go back through: trace, and make it, outside of torch.no_grad"):
        found.gradient(found.output.sum())


def test_a_loss_of_another_call_is_refused():
    """Its gradients by this trace would all be 0, which looks like an answer."""
    layer, x = layer_of(("gru", {})), torch.randn(2, 4, 3, dtype=torch.float64)
    found = ost.trace(layer, x)
    with torch.no_grad():
        without = ost.trace(layer, x)
    for one in (found, without):
        with pytest.raises(ValueError, match="loss is not made of this trace.*: make it of .*found.output"):
            one.gradient(layer(x)[0].sum())
    both = found.gradient(found.output.sum() + layer(x)[0].sum()).states["h"]
    assert torch.equal(both, found.gradient(found.output.sum()).states["h"])


def test_what_a_loss_does_not_reach_has_the_gradient_0():
    """The output of step 1 has nothing of the steps after it."""
    layer = layer_of(("lstm", {}), num_layers=2)
    found = ost.trace(layer, torch.randn(2, 4, 3, dtype=torch.float64))
    h = found.gradient(found.gates["f"][0, 0, :, 1].sum()).states["h"]
    assert (h[0, 0, :, 0] != 0).all()
    assert not h[0, 0, :, 1:].any()
    assert not h[1].any()


def test_a_cell_with_a_gate_that_hangs_on_nothing():
    class Fixed(cells.GatedCell):
        name, gates = "doc-fixed", ("a", "b")

        def gated(self, w, wx, seen, state):
            a, b = torch.ones_like(state[0]), torch.tanh(wx.chunk(2, -1)[1])
            return (a, b), (a * b + state[0],)

    found = ost.trace(ost.Recurrent("doc-fixed", 3, 5), torch.randn(2, 4, 3))
    inside = found.gradient(found.output.sum())
    assert not inside.gates["a"].any()
    assert (inside.gates["b"] != 0).all()


def test_input_of_whole_numbers_is_refused_as_the_layer_does():
    layer, x = ost.GRU(3, 4), torch.ones(2, 4, 3, dtype=torch.int32)
    for call in (layer, lambda x: ost.trace(layer, x)):
        with pytest.raises(ValueError, match=r"x is torch.int32 .*: pass x.to\(torch.float32\)"):
            call(x)


def test_without_gradients():
    layer = layer_of(("gru", {}))
    with torch.no_grad():
        found = ost.trace(layer, torch.randn(2, 4, 3, dtype=torch.float64))
    assert not found.gates["z"].requires_grad


def test_dropouts_are_the_layers_own():
    """In training the same draws as the layer's, in evaluation none; the layer is left as it was."""
    options = {"dropout": 0.3, "recurrent_dropout": 0.2, "zoneout": (0.1, 0.3), "weight_dropout": 0.2}
    layer = layer_of(("lstm", {}), num_layers=2, residual=True, bidirectional=True, **options)
    x, attributes = torch.randn(3, 6, 3, dtype=torch.float64), set(vars(layer))
    for _ in range(2):
        torch.manual_seed(3)
        y, _ = layer(x)
        torch.manual_seed(3)
        close(ost.trace(layer, x).output, y)
        layer.eval()
    assert set(vars(layer)) == attributes


def test_unbatched_packed_and_time_first():
    layer = layer_of(("lstm", {}), num_layers=2, bidirectional=True)
    rows = [torch.randn(n, 3, dtype=torch.float64) for n in (2, 5, 3)]
    alone = ost.trace(layer, rows[1])
    close(alone.output, layer(rows[1])[0])
    assert alone.gates["i"].shape == (2, 2, 1, 5, 5)
    packed = pack_sequence(rows, enforce_sorted=False)
    found = ost.trace(layer, packed)
    close(found.output.data, layer(packed)[0].data)
    close(found.gates["i"][:, :, 1:2], alone.gates["i"])
    layer.batch_first = False
    turned = ost.trace(layer, rows[1][:, None])
    assert turned.output.shape == (5, 1, 10)
    close(turned.states["c"], alone.states["c"])


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_weights_that_are_made_anew_at_each_call():
    """torch's parametrizations, and the hooks of the older weight_norm."""
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    for norm in (torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.weight_norm):
        layer = norm(layer_of(("gru", {})), "weight_hh_l0")
        close(ost.trace(layer, x).output, layer(x)[0])


def test_an_accelerated_layer_is_traced():
    layer = torch.nn.LSTM(3, 5)
    with pytest.raises(TypeError, match=r"found LSTM.*accelerate"):
        ost.trace(layer, torch.randn(4, 2, 3))
    expected = layer(x := torch.randn(4, 2, 3))[0]
    ost.accelerate(layer)
    close(ost.trace(layer, x).output, expected, 1e-6)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="no steps"):
        ost.trace(layer_of(("gru", {})), torch.zeros(2, 0, 3, dtype=torch.float64))


def test_a_picture_has_a_strip_for_each_state_and_gate():
    found = ost.trace(layer_of(("lstm", {})), torch.randn(2, 9, 3, dtype=torch.float64))
    for inside in (found, found.gradient(found.output.sum())):
        figure = inside.plot(row=1)
        pictures = [axes.images[0].get_array().data for axes in figure.axes if axes.images]
        assert [axes.get_ylabel() for axes in figure.axes if axes.images] == ["h", "c", "i", "f", "g", "o"]
        assert (pictures[3] == inside.gates["f"][0, 0, 1].detach().numpy().T).all()
    assert "gates=['i', 'f', 'g', 'o']" in repr(found)


def test_a_cell_with_another_equation_than_its_parent_does_not_tell_the_parents_gates():
    class Leaky(cells.get("gru")):
        """h' = 0.9 h + 0.1 tanh(n of x)."""

        name, kernel = "doc-leaky", None

        def advance(self, w, wx, seen, state):
            return (0.9 * state[0] + 0.1 * torch.tanh(wx.chunk(3, -1)[2]),)

        def unfused(self):
            return "a test"

    layer, x = ost.Recurrent("doc-leaky", 3, 5, dtype=torch.float64), torch.randn(2, 4, 3, dtype=torch.float64)
    found = ost.trace(layer, x)
    assert found.gates == {}
    close(found.output, layer(x)[0])
    W, b = layer.weight_ih_l0[10:], layer.bias_ih_l0[10:]
    close(found.states["h"][0, 0, :, 0], 0.1 * torch.tanh(x[:, 0] @ W.T + b))


def test_a_cell_that_names_other_gates_than_it_tells():
    class Short(cells.GatedCell):
        name, gates = "doc-short", ("a", "b")

        def gated(self, w, wx, seen, state):
            return (wx,), (torch.tanh(wx.chunk(2, -1)[0] + state[0]),)

    with pytest.raises(ValueError, match="tells 1 gates, the class names 2"):
        ost.trace(ost.Recurrent("doc-short", 3, 5), torch.randn(2, 4, 3))


@pytest.mark.parametrize("place", [{"row": 2}, {"layer": 1}, {"direction": -2}])
def test_a_picture_of_what_is_not_there_is_refused(place):
    found = ost.trace(layer_of(("gru", {})), torch.randn(2, 4, 3, dtype=torch.float64))
    ((word, number),) = place.items()
    with pytest.raises(IndexError, match=f"{word} {number} is not there"):
        found.plot(**place)


@pytest.mark.parametrize("place", [{"row": "a"}, {"row": None}, {"layer": 0.5}])
def test_a_picture_is_asked_for_by_whole_numbers(place):
    found = ost.trace(layer_of(("gru", {})), torch.randn(2, 4, 3, dtype=torch.float64))
    ((word, number),) = place.items()
    with pytest.raises(TypeError, match=f"{word} must be a whole number, found {number!r}"):
        found.plot(**place)


def test_a_picture_of_an_empty_batch_is_refused():
    found = ost.trace(layer_of(("gru", {})), torch.randn(0, 4, 3, dtype=torch.float64))
    with pytest.raises(IndexError, match="row 0 is not there: there are no rows, x is an empty batch"):
        found.plot()


def drawn(inside):
    """The pictures of the strips, by name."""
    return {axes.get_ylabel(): axes.images[0] for axes in inside.plot().figure.axes if axes.images}


def test_a_picture_of_a_layer_in_bfloat16():
    found = ost.trace(ost.GRU(3, 5).bfloat16(), torch.randn(2, 9, 3).bfloat16())
    assert (drawn(found)["z"].get_array().data == found.gates["z"][0, 0, 0].detach().float().numpy().T).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_step_that_is_not_finite_leaves_the_scale_to_the_others(bad):
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    found = ost.trace(layer_of(("gru", {})), x)
    h = found.states["h"].detach().clone()
    h[..., 4, :] = bad
    picture = drawn(dataclasses.replace(found, states={"h": h}))["h"]
    largest = h[0, 0, 0][[0, 1, 2, 3, 5, 6, 7, 8]].abs().max().item()
    assert picture.get_clim() == (-largest, largest)
    colors = picture.to_rgba(picture.get_array())
    assert (colors[:, 4] == picture.cmap.get_bad()).all()
    assert tuple(picture.cmap.get_bad()) != picture.cmap(0.5)  # not to be taken for 0


def test_gates_are_drawn_from_shut_to_open_and_all_else_around_0():
    found = ost.trace(ost.LSTM(3, 5), torch.randn(2, 9, 3))
    pictures = drawn(found)
    assert [pictures[name].get_clim() for name in "ifo"] == [(0, 1)] * 3
    for name in "hcg":
        low, high = pictures[name].get_clim()
        assert low == -high < 0
    loss = found.output.square().sum()
    low, high = drawn(found.gradient(loss))["f"].get_clim()
    assert low == -high < 0
