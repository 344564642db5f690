"""A cell of one's own made from one of ours: its own equation is what runs, never the parent's kernel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import ostinato as ost
from ostinato import cells
from ostinato.cells.lstm import LSTMCell
from ostinato.cells.rnn import RNNCell


class Doubled(LSTMCell):
    """h' = 2 o tanh(c')."""

    name = "doc-doubled"

    def advance(self, w: cells.Weights, wx: Tensor, seen: Tensor, state: cells.State) -> cells.State:
        h, c = super().advance(w, wx, seen, state)
        return 2 * h, c


class Shifted(RNNCell):
    """h' = f(W x + 1 + R h + b): only the input's part differs."""

    name = "doc-shifted"

    def project(self, w: cells.Weights, x: Tensor) -> Tensor:
        return super().project(w, x) + 1


def stepped(cell: cells.GatedCell, x: Tensor) -> Tensor:
    state, outputs = cell.start(x), []
    for t in range(x.shape[1]):
        output, state = cell.step(x[:, t], state)
        outputs.append(output)
    return torch.stack(outputs, 1)


def test_an_equation_that_is_overridden_is_the_one_that_runs() -> None:
    x = torch.randn(2, 5, 3)
    for kind in (Doubled, Shifted):
        cell = kind(3, 8)
        assert cell.unfused() == f"{kind.name} has no kernel"
        torch.testing.assert_close(ost.scan(cell, x)[0], stepped(cell, x))


def test_the_parents_step_can_be_called() -> None:
    cell, parent = Doubled(3, 8), LSTMCell(3, 8)
    parent.load_state_dict(cell.state_dict())
    x = torch.randn(4, 3)
    h, (_, c) = cell.step(x, cell.start(x))
    h_parent, (_, c_parent) = parent.step(x, parent.start(x))
    torch.testing.assert_close((h, c), (2 * h_parent, c_parent))


def test_it_has_layers_and_a_trace_without_gates() -> None:
    layer = ost.Recurrent("doc-doubled", 3, 8, bidirectional=True)
    x = torch.randn(2, 5, 3)
    found = ost.trace(layer, x)
    torch.testing.assert_close(found.output, layer(x)[0])
    assert found.gates == {}


def test_a_subclass_that_changes_nothing_keeps_its_parents_kernel() -> None:
    class Same(LSTMCell):
        """As its parent."""

        name = "doc-same"

    assert Same(3, 8).unfused() is None


class Noisy(RNNCell):
    """Adds 1 to h while training."""

    name = "doc-noisy"

    def advance(self, w: cells.Weights, wx: Tensor, seen: Tensor, state: cells.State) -> cells.State:
        (h,) = super().advance(w, wx, seen, state)
        return (h + 1 if self.training else h,)


def test_a_kernel_that_is_not_there_is_refused_with_those_that_are() -> None:
    class Misnamed(LSTMCell):
        name, kernel = "doc-misnamed", "ltsm"

    with pytest.raises(ValueError, match="Misnamed.kernel must be one of rnn, lstm, gru, or None; found 'ltsm'"):
        ost.Recurrent("doc-misnamed", 3, 8)(torch.randn(2, 5, 3))


def test_a_cell_of_ones_own_is_told_whether_its_layer_trains() -> None:
    layer, x = ost.Recurrent("doc-noisy", 3, 4), torch.randn(2, 1, 3)
    learning = layer(x)[0]
    torch.testing.assert_close(layer.eval()(x)[0], learning - 1)
    assert [type(m) for m in ost.LSTM(3, 4).modules()] == [ost.LSTM]


class Careless(cells.GatedCell):
    """Returns whatever it is told to."""

    name, gates, made = "doc-careless", ("f",), staticmethod(lambda h: (h,))

    def gated(self, w: cells.Weights, wx: Tensor, seen: Tensor, state: cells.State) -> tuple[cells.Gates, cells.State]:
        return type(self).made(torch.tanh(wx))


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda h: (h,), TypeError, r"a step of Careless must return \(gates, state\), found 1 values"),
        (lambda h: h, TypeError, r"a step of Careless must return \(gates, state\), found Tensor"),
        (lambda h: ((h,), h), TypeError, r"must be a tuple of 1 tensors, such as \(h,\); found Tensor"),
        (lambda h: ((h,), (h, h)), TypeError, "must be a tuple of 1 tensors.* found 2 of them"),
        (lambda h: ((h,), (h[:, :2],)), ValueError, r"must be of the shapes \[\(4, 4\)\], found \[\(4, 2\)\]"),
    ],
)
def test_a_step_that_returns_no_state_is_refused(made, error, message, monkeypatch) -> None:
    """A bare tensor was once taken for a tuple of its rows: the output was the first row's, without a word."""
    monkeypatch.setattr(Careless, "made", staticmethod(made))
    for run in (ost.Recurrent("doc-careless", 3, 4), lambda x: ost.scan(Careless(3, 4), x)):
        with pytest.raises(error, match=message):
            run(torch.randn(4, 5, 3))


def test_a_cell_of_any_kind_returns_its_state_as_a_tuple() -> None:
    class Bare(ost.Cell):
        def start(self, x: Tensor) -> cells.State:
            return (x.new_zeros(x.shape[0], 3),)

        def step(self, x: Tensor, state: cells.State) -> tuple[Tensor, cells.State]:
            return x, x

    with pytest.raises(TypeError, match=r"the new state of Bare must be a tuple of 1 tensors"):
        ost.scan(Bare(), torch.randn(4, 5, 3))
