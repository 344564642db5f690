"""Cells of one's own with other weights than the usual, more tensors of state, or a slip in them."""

import pytest
import torch
import torch.nn.functional as F

import ostinato as ost
from ostinato.cells.cell import _REGISTRY


@pytest.fixture(autouse=True)
def registry():
    """What a test registers is gone after it."""
    before = dict(_REGISTRY)
    yield
    for name in set(_REGISTRY) - set(before):
        del _REGISTRY[name]


def scaled():
    class Scaled(ost.GatedCell):
        """More weights than the usual, and values of its own for one of them."""

        name, gates = "own-scaled", ("n",)

        def shapes(self):
            return super().shapes() | {"scale": (self.hidden_size,), "leak": (1,)}

        def initialize(self, w):
            w["leak"].fill_(0.25)

        def advance(self, w, wx, seen, state):
            n = torch.tanh(w["scale"] * (wx + F.linear(seen, w["weight_hh"], w.get("bias_hh"))))
            return (torch.lerp(state[0], n, w["leak"]),)

    return Scaled


def diagonal():
    class Diagonal(ost.GatedCell):
        """h' = relu(W x + u h + b) (IndRNN, Li 2018): no matrix R."""

        name, gates = "own-diagonal", ("n",)

        def shapes(self):
            usual = super().shapes()
            return {"weight_ih": usual["weight_ih"], "bias_ih": usual["bias_ih"], "recur": (self.hidden_size,)}

        def advance(self, w, wx, seen, state):
            return (torch.relu(wx + w["recur"] * seen),)

    return Diagonal


def three():
    class Three(ost.GatedCell):
        """A state of three tensors: the last two count and add up what h was."""

        name, gates, state_names = "own-three", ("n",), ("h", "m", "t")

        def advance(self, w, wx, seen, state):
            h = torch.tanh(wx + F.linear(seen, w["weight_hh"], w.get("bias_hh")))
            return h, state[1] + h, state[2] + 1

    return Three


@pytest.mark.parametrize("initializer", ["uniform", "orthogonal", "identity"])
@pytest.mark.parametrize("cell", [scaled, diagonal])
def test_every_weight_of_a_cell_is_given_a_value(cell, initializer, monkeypatch):
    """Memory that nothing was written to would keep the NaN put there."""
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, **more: empty(*size, **more).fill_(torch.nan))
    kind = cell()
    layer = ost.Recurrent(kind.name, 3, 5, num_layers=2, bidirectional=True, initializer=initializer)
    assert all(p.isfinite().all() for p in layer.parameters())
    assert layer(torch.randn(2, 4, 3))[0].isfinite().all()
    if cell is scaled:
        assert (layer.leak_l1_reverse == 0.25).all()
        assert (kind(3, 5).leak == 0.25).all()
        assert 0 < layer.scale_l0.abs().max() <= 5**-0.5


def test_weight_dropout_without_recurrent_weights_is_refused():
    diagonal()
    with pytest.raises(ValueError, match="weight_dropout .* weight_hh, which 'own-diagonal' has not: leave it out"):
        ost.Recurrent("own-diagonal", 3, 4, weight_dropout=0.1)


def test_zoneout_of_a_state_of_three_tensors():
    three()
    x = torch.randn(4, 500, 3)
    layer = ost.Recurrent("own-three", 3, 40, zoneout=(0.0, 0.0, 0.3), bidirectional=True)
    torch.manual_seed(0)
    _, (_, _, t) = layer(x)
    assert abs(t.mean() / 500 - 0.7) < 0.01  # of so many steps a count went on
    assert not torch.equal(t[0], t[1])
    torch.manual_seed(0)
    torch.testing.assert_close(layer(x)[1][2], t, rtol=0, atol=0)
    layer.eval()
    torch.testing.assert_close(layer(x)[1][2], torch.full_like(t, 500 * 0.7), rtol=1e-4, atol=0)
    plain = ost.Recurrent("own-three", 3, 40, bidirectional=True)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(plain(x)[1][0], layer(x)[1][0], rtol=0, atol=0)  # h keeps nothing
    assert ost.Recurrent("own-three", 3, 4, zoneout=0.2).zoneout == (0.2, 0.2, 0.2)
    with pytest.raises(ValueError, match=r"zoneout must be one number or \(p_h, p_m, p_t\), found \(0.1, 0.2\)"):
        ost.Recurrent("own-three", 3, 4, zoneout=(0.1, 0.2))


def test_no_two_masks_share_their_random_numbers():
    three()
    layer = ost.Recurrent("own-three", 4, 4, num_layers=3, bidirectional=True, zoneout=0.5)
    key, x = torch.tensor(1), torch.zeros(1, 1, 4)
    streams = [s for k in range(3) for d in (0, 1) for s in layer._noise(k, d, x, key)["zoneout"].streams]
    assert len(set(streams)) == len(streams) == 18


def test_gates_must_be_named():
    with pytest.raises(TypeError, match=r'Slip.gates must be a tuple of names, found \'cand\': write \("cand",\)'):

        class Slip(ost.GatedCell):
            name, gates = "own-slip", "cand"

    with pytest.raises(TypeError, match="Bare names no gates, which size its weights"):

        class Bare(ost.GatedCell):
            name = "own-bare"

    assert not {"own-slip", "own-bare"} & set(ost.cells.names())

    class Step(ost.GatedCell):
        """On the way to others, and one whose weights are its own, need none."""

    class Free(Step):
        name = "own-free"

        def shapes(self):
            return {"mix": (self.input_size, self.hidden_size)}

        def project(self, w, x):
            return x @ w["mix"]

        def advance(self, w, wx, seen, state):
            return (wx + seen / 2,)

    layer = ost.Recurrent("own-free", 3, 4, initializer="orthogonal")
    assert layer(torch.randn(2, 5, 3))[0].shape == (2, 5, 4)


def test_a_gate_that_is_no_tuple_is_refused():
    class One(ost.GatedCell):
        name, gates = "own-one", ("f",)

        def gated(self, w, wx, seen, state):
            f = torch.sigmoid(wx)
            return f, (f,)

    layer = ost.Recurrent("own-one", 3, 4)
    for batch in (1, 2):
        with pytest.raises(TypeError, match=r"the gates of One must be a tuple of tensors, such as \(f,\); found T"):
            ost.trace(layer, torch.randn(batch, 5, 3))


def test_another_type_of_x_is_refused_by_name():
    three()
    layer = ost.Recurrent("own-three", 3, 4)
    with pytest.raises(ValueError, match=r"x is torch.float64 on cpu, the weights are torch.float32"):
        layer(torch.randn(2, 5, 3).double())


class Waits(ost.Cell):
    """Begins from a state that it cannot know."""

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Linear(7, 4)

    def step(self, x, state):
        h = torch.tanh(self.mix(torch.cat([x, state[0]], -1)))
        return h, (h, state[1])


def test_a_cell_without_start_runs_from_a_given_state():
    cell, x = Waits(), torch.randn(2, 5, 3)
    output, (h, kept) = ost.scan(cell, x, (torch.zeros(2, 4), torch.ones(2, 1)), lengths=[5, 3])
    assert output.shape == (2, 5, 4)
    torch.testing.assert_close(h[1], output[1, 2])
    assert (kept == 1).all()
    with pytest.raises(TypeError, match=r"Waits has no start\(x\): write it, or hand a state to scan"):
        ost.scan(cell, x)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (torch.zeros(2, 4), r"a tuple of tensors \(batch, ...\) each, found a bare tensor: pass \(state,\)"),
        ((torch.zeros(3, 4), torch.zeros(2, 1)), r"must have the 2 rows of x, found \[\(3, 4\), \(2, 1\)\]"),
        ((torch.zeros(2, 4), 1.0), r"found \['Tensor', 'float'\]"),
        (5, "found int"),
    ],
)
def test_a_state_that_is_none_is_refused(state, message):
    with pytest.raises(ValueError, match=f"the state of Waits .*{message}"):
        ost.scan(Waits(), torch.randn(2, 5, 3), state)


def test_a_start_that_is_no_tuple_is_named():
    class Bad(Waits):
        def start(self, x):
            return x.new_zeros(x.shape[0], 4)

    with pytest.raises(TypeError, match=r"start of Bad must return a tuple of tensors, such as \(h,\); found Tensor"):
        ost.scan(Bad(), torch.randn(2, 5, 3))
