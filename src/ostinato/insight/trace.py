"""Every gate and state of a recurrent layer, at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ostinato.cells import GatedCell, Gates, State, Weights
from ostinato.cells.loop import Stages, run_gated
from ostinato.layers import Recurrent
from ostinato.sequence import Sequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Tensors = dict[str, Tensor]


class _Pass(NamedTuple):
    """One layer and direction: what each of its steps made, in reading order."""

    cell: GatedCell
    stages: Stages
    steps: list[tuple[Gates, State]]

    def tensors(self) -> Iterator[Tensor]:
        for gates, state in self.steps:
            yield from (*gates, *state)

    def like(self, values: Iterator[Tensor]) -> _Pass:
        """The same steps with other tensors in them."""
        steps = [(tuple(next(values) for _ in g), tuple(next(values) for _ in s)) for g, s in self.steps]
        return self._replace(steps=steps)

    def over_time(self, values: list[Tensor]) -> Tensor:
        """(batch, time, size), index t is time t; 0 past a sequence's end, as the output is."""
        found = Sequence(torch.stack(values, 1), self.stages.lengths).clean()
        return (found.reversed() if self.stages.reverse else found).values


@dataclass(frozen=True, repr=False, eq=False)
class Inside:
    """States and gates by name, each (layers, directions, batch, time, size).

    Index t is time t of the input in both directions: the backward one has read the steps from the end down to t.
    Past a sequence's end all are 0.

    Attributes:
        states: "h" (and "c" of an LSTM): the state after each step, after zoneout.
        gates: by the names in the cell's `gates`, after activation: i f g o; r z n; h of the plain RNN.
            Empty for a cell of one's own that writes `advance` and not `gated`.
    """

    states: Tensors
    gates: Tensors

    def plot(self, row: int = 0, layer: int = -1, direction: int = 0) -> Figure:
        """Units over time, a strip for each state and gate of one sequence: a matplotlib figure, no display needed.

        Red is above 0, blue below; gates that lie within 0..1 go from white (shut) to dark (open). What is not finite
        is grey, and the scale is that of the rest.

        Raises:
            IndexError: there is no such row, layer or direction.
            TypeError: one of them is no whole number.

        >>> figure = trace(Recurrent("gru", 3, 8), torch.randn(4, 7, 3)).plot(row=2)
        >>> [axes.get_ylabel() for axes in figure.axes[:4]]
        ['h', 'r', 'z', 'n']
        """
        from ostinato.insight.strips import strips

        layers, directions, batch = next(iter(self.states.values())).shape[:3]
        place = _place("layer", layer, layers), _place("direction", direction, directions), _place("row", row, batch)
        named = {**self.states, **{name: v for name, v in self.gates.items() if name not in self.states}}
        return strips({name: _array(v[place]) for name, v in named.items()}, self.gates)

    def __repr__(self) -> str:
        sizes = tuple(self.states["h"].shape) if "h" in self.states else ()
        return f"{type(self).__name__}(states={list(self.states)}, gates={list(self.gates)}, h: {sizes})"


@dataclass(frozen=True, repr=False, eq=False)
class Trace(Inside):
    """What `trace` found; see `Inside` for `states` and `gates`.

    Attributes:
        output, state: what the layer itself returns.
    """

    output: Tensor | PackedSequence
    state: Tensor | State
    _passes: list[_Pass]
    _layers: int

    def gradient(self, loss: Tensor) -> Inside:
        """d loss / d of every state and gate: through all that follows it, later steps and layers too.

        The states and gates of a trace are read off the graph and lie on no way from the weights to
        the output: that is why this is asked for here and not with torch.autograd.grad. The graph
        stays: `loss.backward()` may follow.

        Args:
            loss: a scalar made of the output, the state, or states and gates of this trace.

        Raises:
            ValueError: loss is no scalar, is not made of this trace, or has no graph, as under torch.no_grad().

        >>> found = trace(Recurrent("rnn", 3, 8), torch.randn(4, 7, 3))
        >>> through_time = found.gradient(found.output[:, -1].sum()).states["h"]  # (1, 1, 4, 7, 8)
        >>> through_time[0, 0, 0, -1]
        tensor([1., 1., 1., 1., 1., 1., 1., 1.])
        """
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"loss must be a scalar, found {got}: pass a sum, such as output[:, -1].sum()")
        if not loss.requires_grad:
            raise ValueError("loss has no graph to go back through: trace, and make it, outside of torch.no_grad()")
        found = iter(_gradients(loss, [v for one in self._passes for v in one.tensors()]))
        return _inside([one.like(found) for one in self._passes], self._layers)


def _gradients(loss: Tensor, asked: list[Tensor]) -> list[Tensor]:
    """d loss / d of each, 0 where the loss has nothing of it; refused where it has nothing of any."""
    followed = [v for v in asked if v.requires_grad]  # none of a trace made under no_grad: torch refuses to be asked
    found = torch.autograd.grad(loss, followed, retain_graph=True, allow_unused=True) if followed else ()
    if all(g is None for g in found):
        raise ValueError(
            "loss is not made of this trace, so all its gradients would be 0: make it of what trace returned, such as "
            "found.output, and not of another call of the layer"
        )
    by_place = iter(found)
    whole = [next(by_place) if v.requires_grad else None for v in asked]
    return [torch.zeros_like(v) if g is None else g for v, g in zip(asked, whole, strict=True)]


def _place(word: str, number: Any, count: int) -> int:
    """The row, layer or direction asked for, of so many."""
    try:
        place = index(number)
    except TypeError:
        raise TypeError(f"{word} must be a whole number, found {number!r}: a picture is of one {word}") from None
    if not -count <= place < count:
        there = f"{word}s are 0..{count - 1}" if count else f"there are no {word}s, x is an empty batch"
        raise IndexError(f"{word} {place} is not there: {there}")
    return place


def _array(v: Tensor) -> NDArray[Any]:
    """What a picture is drawn from: numpy has no bfloat16."""
    v = v.detach().cpu()
    return (v.float() if v.dtype is torch.bfloat16 else v).numpy()


def trace(
    layer: Recurrent,
    x: Tensor | PackedSequence,
    state: Tensor | State | None = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> Trace:
    """Run a layer and keep every gate and state of every step.

    The layer runs as it always does, dropout on or off by its mode, but by the plain loop in place of a kernel: the
    numbers agree to rounding. All is differentiable: by the weights and x as usual; by the gates and
    states through `Trace.gradient`.

    Args:
        layer: any `ost` layer; `ost.accelerate` makes one of a torch.nn layer.
        x, state, lengths, resets: as the layer takes them.

    Returns:
        `.output` and `.state` as the layer returns them; `.states["h"]` and `.gates["f"]` by name, each (layers,
            directions, batch, time, size), t being time in both directions. Unbatched x is a batch of one.

    Raises:
        TypeError: not a recurrent layer of ours.
        ValueError: x has no steps, or the layer refuses an argument.

    >>> layer = Recurrent("lstm", 3, 8, num_layers=2, bidirectional=True)
    >>> found = trace(layer, torch.randn(4, 7, 3), lengths=[7, 2, 0, 5])
    >>> sorted(found.gates), found.gates["f"].shape, found.states["c"].shape
    (['f', 'g', 'i', 'o'], torch.Size([2, 2, 4, 7, 8]), torch.Size([2, 2, 4, 7, 8]))
    >>> h = found.states["h"][-1]  # (directions, batch, time, hidden) of the last layer: the output
    >>> torch.equal(torch.cat(list(h), -1), found.output)
    True
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(
            f"trace takes a recurrent layer of ostinato, found {type(layer).__name__}: "
            "a torch.nn layer becomes one by ost.accelerate"
        )
    passes: list[_Pass] = []
    output, end = _watched(layer, passes)(x, state, lengths=lengths, resets=resets)
    if not passes[0].steps:
        raise ValueError("x has no steps to trace")
    inside = _inside(passes, layer.num_layers)
    return Trace(inside.states, inside.gates, output, end, passes, layer.num_layers)


def _watched(layer: Recurrent, passes: list[_Pass]) -> Callable[..., tuple[Any, Any]]:
    """The layer in all but its loop, which writes down what it does; the layer itself stays as it is."""

    def run(cell: GatedCell, w: Weights, x: Tensor, state: State, stages: Stages) -> tuple[Tensor, State]:
        floats = x.is_floating_point() or x.is_complex()  # of others the loop says what to do
        if torch.is_grad_enabled() and floats and not x.requires_grad:
            x = x.detach().requires_grad_()  # with frozen weights too there are gradients by gates
        steps: list[tuple[Gates, State]] = []
        passes.append(_Pass(cell, stages, steps))
        return run_gated(cell, w, x, state, stages, lambda gates, new: steps.append((gates, new)))

    twin: Recurrent = object.__new__(type(layer))
    vars(twin).update(vars(layer), _run=run, _plan=None)  # without a plan each layer and direction is run by itself
    return twin


def _inside(passes: list[_Pass], layers: int) -> Inside:
    cell, (gates, _) = passes[0].cell, passes[0].steps[0]
    if len(gates) not in (0, len(cell.gates)):
        raise ValueError(f"{type(cell).__name__}.gated tells {len(gates)} gates, the class names {len(cell.gates)}")

    def whole(part: int, index: int) -> Tensor:
        rows = [one.over_time([step[part][index] for step in one.steps]) for one in passes]
        return torch.stack(rows).unflatten(0, (layers, -1))

    return Inside(
        states={name: whole(1, i) for i, name in enumerate(cell.state_names)},
        gates={name: whole(0, i) for i, name in enumerate(cell.gates[: len(gates)])},
    )
