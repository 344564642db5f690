"""What a cell is: one equation, its weights handed in (decisions/01-cell.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import index
from typing import Any, ClassVar, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.registry import Registry

State = tuple[Tensor, ...]
Gates = tuple[Tensor, ...]
Weights = Mapping[str, Tensor]

_REGISTRY: Registry[GatedCell] = Registry("cell")


def names() -> list[str]:
    """The registered cells, as `--cell` and `ostinato list` name them.

    >>> {"rnn", "lstm", "gru"} <= set(names())
    True
    """
    return sorted(_REGISTRY)


def get(name: str) -> type[GatedCell]:
    """The cell of that name.

    Raises:
        ValueError: no such cell; the nearest name is given.
    """
    return _REGISTRY.find(name)


def check_size(word: str, size: Any) -> int:
    """A size, numpy's whole numbers too; what is none is refused. A graph with free dimensions has symbols for them."""
    try:
        whole = size if isinstance(size, torch.SymInt) else 0 if isinstance(size, bool) else index(size)
    except TypeError:
        whole = 0
    if whole < 1:
        raise ValueError(f"{word} must be a whole number of at least 1, found {size!r}")
    return cast(int, whole)


class Cell(nn.Module):
    """Anything that takes one step of a sequence: `step(x, state) -> (output, state)`.

    State goes in and comes out; nothing is remembered on `self`. Run it over a sequence with
    `ost.scan(cell, x)`, which knows of lengths, resets and the time loop.
    """

    state_names: ClassVar[tuple[str, ...]] = ("h",)

    def start(self, x: Tensor) -> State:
        """The state before the first step, for x (batch, time, ...)."""
        raise TypeError(f"{type(self).__name__} has no start(x): write it, or hand a state to scan")

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: x (batch, ...), state -> (output, new state)."""
        raise TypeError(f"{type(self).__name__} has no step(x, state)")


class _Built(Protocol):
    def __getattr__(self, name: str) -> Any: ...


class GatedCell(Cell):
    """A cell whose input product W x leaves the time loop, so that a kernel may take over.

    A subclass names its gates, and writes `advance`, or `gated`, which tells its gates to `ost.trace` as
    well; it is registered under `name` when its class is made, and from then on has layers, directions,
    lengths, resets, dropout, zoneout and the contract tests.
    Shapes: W (gates x hidden, input), R (gates x hidden, hidden), both biases (gates x hidden,).

    Args:
        input_size: features of one step of x.
        hidden_size: width of h.
        bias: whether there are `bias_ih` and `bias_hh`.
        own_weights: False where a layer owns them and hands them in.

    >>> class MinimalGated(GatedCell):
    ...     '''h' = (1 - f) h + f tanh(W_n x + R_n (f h)), f = sigmoid(W_f x + R_f h) (Zhou 2016).'''
    ...
    ...     name, gates = "doc-mgu", ("f", "n")
    ...
    ...     def shapes(self):  # one bias is enough: that of W x, which wx has already
    ...         return {name: shape for name, shape in super().shapes().items() if name != "bias_hh"}
    ...
    ...     def advance(self, w, wx, seen, state):
    ...         (x_f, x_n), (R_f, R_n) = wx.chunk(2, -1), w["weight_hh"].chunk(2)
    ...         f = torch.sigmoid(x_f + seen @ R_f.T)
    ...         return ((1 - f) * state[0] + f * torch.tanh(x_n + (f * seen) @ R_n.T),)
    >>> import ostinato as ost
    >>> output, (h,) = ost.scan(MinimalGated(3, 8), torch.randn(2, 5, 3))
    >>> output.shape, h.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    name: ClassVar[str] = ""
    gates: ClassVar[tuple[str, ...]] = ()
    kernel: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        _must_name_gates(cls)
        if "kernel" not in own and own.keys() & {"advance", "gated", "project"}:
            cls.kernel = None  # a parent's would run the parent's equation
        if "gated" in own and "advance" not in own:
            cls.advance = _states_of(own["gated"])  # type: ignore[method-assign]
        elif "advance" in own and "gated" not in own:
            cls.gated = GatedCell.gated  # type: ignore[method-assign]
        _REGISTRY.add(cls)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, own_weights: bool = True) -> None:
        super().__init__()
        check_size("input_size", input_size)
        check_size("hidden_size", hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bool(bias)
        if own_weights:
            self.declare(self)
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)
            norms_to_one(self)
            with torch.no_grad():
                self.initialize(self.collect(self))

    # What a cell says of itself ------------------------------------------------------------

    def sizes(self) -> tuple[int, ...]:
        """Width of each tensor of the state; the first is the output's."""
        return (self.hidden_size,) * len(self.state_names)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each parameter's shape, in torch's order."""
        rows = len(self.gates) * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.input_size),
            "weight_hh": (rows, self.sizes()[0]),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        return shapes

    def initialize(self, w: Weights) -> None:
        """Give weights values of the cell's own, in place; all have those of the layer's initializer already."""

    def norms(self) -> dict[str, int]:
        """Layer norms by name and width; each has `weight` and `bias`."""
        return {}

    def unfused(self) -> str | None:
        """Why the kernel cannot serve these options, or None where it can."""
        return None if self.kernel else f"{self.name} has no kernel"

    # The equation --------------------------------------------------------------------------

    def project(self, w: Weights, x: Tensor) -> Tensor:
        """W x + b over all steps at once: (..., input) -> (..., gates x hidden)."""
        return F.linear(x, w["weight_ih"], w.get("bias_ih"))

    def advance(self, w: Weights, wx: Tensor, seen: Tensor, state: State) -> State:
        """One step: wx (batch, gates x hidden), `seen` = h as R sees it (after dropout), state -> new state."""
        raise TypeError(f"{type(self).__name__} has no advance(w, wx, seen, state)")

    def gated(self, w: Weights, wx: Tensor, seen: Tensor, state: State) -> tuple[Gates, State]:
        """The same step, and its gates after activation in the order of `gates`, for `ost.trace`; () tells none."""
        return (), self.advance(w, wx, seen, state)

    def start(self, x: Tensor) -> State:
        """Zeros, (batch, size) each."""
        return tuple(x.new_zeros(x.shape[0], size) for size in self.sizes())

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step with the cell's own weights."""
        w = self.collect(self)
        state = self.advance(w, self.project(w, x), state[0], state)
        return state[0], state

    # Its tensors, wherever they live -----------------------------------------------------------

    def declare(self, owner: nn.Module, suffix: str = "") -> None:
        """Put this cell's parameters on `owner`, each name followed by `suffix` ("_l0_reverse")."""
        for name, shape in self.shapes().items():
            owner.register_parameter(name + suffix, nn.Parameter(torch.empty(shape)))
        for name, width in self.norms().items():
            owner.add_module(name + suffix, nn.LayerNorm(width))

    def collect(self, owner: _Built, suffix: str = "") -> dict[str, Tensor]:
        """The tensors that `declare` put there, by their names without suffix."""
        found: dict[str, Tensor] = {name: getattr(owner, name + suffix) for name in self.shapes()}
        for name in self.norms():
            norm = getattr(owner, name + suffix)
            found |= {f"{name}.weight": norm.weight, f"{name}.bias": norm.bias}
        return found


def _must_name_gates(cls: type[GatedCell]) -> None:
    """Gates size the weights: none, or the letters of one, would be found out by a wrong shape at most."""
    if isinstance(cls.gates, str):
        raise TypeError(f'{cls.__name__}.gates must be a tuple of names, found {cls.gates!r}: write ("{cls.gates}",)')
    if cls.name and not cls.gates and cls.shapes is GatedCell.shapes:
        raise TypeError(f'{cls.__name__} names no gates, which size its weights: write gates = ("n",), one for each')


def _states_of(gated: Callable[..., tuple[Gates, State]]) -> Callable[..., State]:
    """`advance` of a class that writes `gated`: that one's, also where a subclass writes another."""

    def advance(self: GatedCell, w: Weights, wx: Tensor, seen: Tensor, state: State) -> State:
        return gated(self, w, wx, seen, state)[1]

    return advance


def normalise(w: Weights, name: str, v: Tensor) -> Tensor:
    """LN(v) = gain * (v - mean) / sqrt(var + 1e-5) + shift (Ba 2016)."""
    return F.layer_norm(v, v.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])


def affine(w: Weights, side: str, v: Tensor, normed: bool) -> Tensor:
    """M v + b, or LN(M v) + b; `side` "ih" is the input's M = W, "hh" the state's M = R."""
    if not normed:
        return F.linear(v, w[f"weight_{side}"], w.get(f"bias_{side}"))
    made = normalise(w, f"norm_{side}", F.linear(v, w[f"weight_{side}"]))
    return made + w[f"bias_{side}"] if f"bias_{side}" in w else made


def norms_to_one(module: nn.Module) -> None:
    """Layer norms begin as the plain normalisation: gain 1, shift 0."""
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.reset_parameters()
