"""Recurrent layers: stacks and directions of any cell, with torch's constructor and state_dict keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from inspect import signature
from operator import attrgetter
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ostinato import cells
from ostinato.cells import GatedCell, State
from ostinato.cells.cell import check_size
from ostinato.cells.loop import Stages
from ostinato.dispatch import mixed, plan_for, row_names, run, run_stack, run_whole, stages_of
from ostinato.layers.arguments import alike, flag, own_options, probability, zoneout_of
from ostinato.layers.initialize import INITIALIZERS, reach_originals
from ostinato.layers.streams import stream, stream_of_state
from ostinato.layers.torch_names import TorchNames
from ostinato.ops import probes, random
from ostinato.sequence import Sequence, as_tensor


class Recurrent(TorchNames):
    """A stack of recurrent layers, one or both directions, over any registered cell.

    Layer k reads the output of layer k - 1, both directions side by side:
    y_k[t], s_k[t] = cell(y_{k-1}[t], s_k[t - 1]).

    Args:
        cell: name of a registered cell ("rnn", "lstm", "gru", or one's own).
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as in
            torch.nn.LSTM, but `batch_first` defaults to True.
        recurrent_dropout: R (m h), one mask m a sequence and layer (Gal and Ghahramani 2016).
        zoneout: p or (p_h, p_c), one for each tensor of the state: parts of it keep their old value (Krueger 2017).
        weight_dropout: entries of R dropped once a forward pass (Merity 2018).
        residual: layer k > 1 adds its input to its output where sizes match (He 2016).
        learn_initial_state: `h0` (and `c0`), (layers x directions, size), are parameters, used where
            no state is given and after a reset.
        initializer: "uniform" (torch's), "orthogonal" or "identity".
        options: the cell's own, such as `peephole=True`.

    Shapes: x (batch, time, input_size); output (batch, time, directions x size); each tensor of the
    state (layers x directions, batch, size). Unbatched (time, input_size) and packed input as torch does.

    Raises:
        ValueError: an argument does not fit; it is named.

    >>> layer = Recurrent("gru", 3, 8, num_layers=2, bidirectional=True)
    >>> output, h = layer(torch.randn(4, 7, 3), lengths=[7, 2, 0, 5])
    >>> output.shape, h.shape
    (torch.Size([4, 7, 16]), torch.Size([4, 4, 8]))
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        weight_dropout: float = 0.0,
        residual: bool = False,
        learn_initial_state: bool = False,
        initializer: str = "uniform",
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        kind = cells.get(cell)
        options = own_options(type(self).__name__, kind, options, signature(Recurrent).parameters)
        input_size, hidden_size = check_size("input_size", input_size), check_size("hidden_size", hidden_size)
        num_layers = check_size("num_layers", num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bool(bias), bool(batch_first), bool(bidirectional)
        self.dropout = probability("dropout", dropout)
        self.recurrent_dropout = probability("recurrent_dropout", recurrent_dropout)
        self.weight_dropout = probability("weight_dropout", weight_dropout)
        self.residual = flag("residual", residual)
        self.learn_initial_state = flag("learn_initial_state", learn_initial_state)
        self.initializer = initializer
        self.cell, self.options = cell, options
        if initializer not in tuple(INITIALIZERS):  # a list is no key
            raise ValueError(f"initializer must be one of {', '.join(INITIALIZERS)}; found {initializer!r}")

        first = kind(input_size, hidden_size, bias, own_weights=False, **options)
        above = first.sizes()[0] * self.num_directions
        more = [kind(above, hidden_size, bias, own_weights=False, **options) for _ in range(num_layers - 1)]
        self.zoneout = zoneout_of(zoneout, first)
        if self.weight_dropout and "weight_hh" not in first.shapes():
            raise ValueError(f"weight_dropout drops entries of weight_hh, which {cell!r} has not: leave it out")
        self._cells = _held([first, *more])  # equations: most without weights, which are the layer's own, below
        for cell_, suffix in self._each():
            cell_.declare(self, suffix)
        self._state_names, self._sizes = first.state_names, first.sizes()
        expected = random.Zoneout(self.zoneout) if any(self.zoneout) else None
        self._plan = plan_for(first, num_layers, self.num_directions, expected)
        self._names = [name for cell_, suffix in self._each() for name in row_names(cell_, self._plan, suffix)]
        if learn_initial_state:
            for name, size in zip(self._state_names, self._sizes, strict=True):
                self.register_parameter(f"{name}0", nn.Parameter(torch.zeros(num_layers * self.num_directions, size)))
        if device is not None or dtype is not None:  # fake tensors refuse a .to that asks for nothing
            self.to(device=device, dtype=dtype)  # first: torch draws in the type that is asked for
        self.reset_parameters()

    _run = staticmethod(run)  # one layer and direction; a trace puts a watched loop in its place
    _spares_input = False  # whether what follows may write over x before the backward, which reads it: it gets a copy

    @property
    def num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    def reset_parameters(self) -> None:
        """Draw all weights anew, by the layer's initializer; learnt initial states become 0."""
        with torch.no_grad():
            for cell, suffix in self._each():
                w = cell.collect(self, suffix)
                INITIALIZERS[self.initializer](cell, w)
                cell.initialize(w)
                reach_originals(self, suffix, w)
                for name in cell.norms():
                    cells.cell.norms_to_one(getattr(self, name + suffix))
            for start in self._learnt() or ():
                start.zero_()

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | State | None = None,
        *,
        lengths: Any = None,
        resets: Any = None,
    ) -> tuple[Tensor | PackedSequence, Tensor | State]:
        """Run the stack over x; see the class for shapes.

        Args:
            input: x, under the name that torch.nn gives it.
            hx: the state to begin from, as returned by an earlier call.
            lengths: (batch,) integers, 0 allowed, any order, any device: output is 0 past them, the state
                is that after each sequence's own last step. What lies in the padding never matters.
            resets: (batch, time) bool: a new segment begins there, from the learnt initial state or zeros.
                For unbatched input lengths is a number, resets (time,).

        Raises:
            TypeError, ValueError: an argument does not fit; it is named.
        """
        if self._spares_input and isinstance(input, Tensor) and (torch.is_grad_enabled() or probes.compiling()):
            input = input.clone()  # jit.trace compares what it recorded with a call without gradients
        if hx is None and lengths is None and resets is None and type(input) is Tensor:
            straight = self._straight(input)
            if straight is not None:
                return straight
        if isinstance(input, PackedSequence):
            return self._packed(input, hx, lengths, resets)
        if not isinstance(input, Tensor):
            hint = ": pass s.values, lengths=s.lengths" if isinstance(input, Sequence) else ""
            raise TypeError(f"input must be a tensor or a PackedSequence, found {type(input).__name__}{hint}")
        if input.is_nested or input.layout is not torch.strided:
            raise TypeError(
                f"input must be a dense tensor, found {'a nested one' if input.is_nested else input.layout}: pass "
                "x.to_dense(), or sequences of unequal length padded, with lengths="
            )
        x = input
        if x.dim() == 2:
            return self._unbatched(x, hx, lengths, resets)
        if x.dim() != 3:
            raise ValueError(f"x must be (batch, time, features) or unbatched (time, features); found {tuple(x.shape)}")
        y, state = self._batched(x if self.batch_first else x.transpose(0, 1), hx, lengths, resets)
        return (y if self.batch_first else y.transpose(0, 1).contiguous()), self._public(state)

    def _straight(self, x: Tensor) -> tuple[Tensor, Tensor | State] | None:
        """The call that models make most, whole sequences from zeros, or None where this is another.

        In as few steps as can be: between a model's other work none of them is in the caches any more, and each costs
        a microsecond or two. All it does, `_batched` does as well.
        """
        if self._plan is None or not self.batch_first or self.learn_initial_state or self.residual:
            return None
        if self.training and self._random():
            return None
        found = run_whole(self._plan, x, self.input_size, self, self._names)
        return None if found is None else (found[0], self._public(found[1]))

    def _packed(
        self, packed: PackedSequence, hx: Tensor | State | None, lengths: Any, resets: Any
    ) -> tuple[PackedSequence, Tensor | State]:
        if lengths is not None:
            raise ValueError("lengths: a packed sequence has its own; leave them out")
        if packed.data.dim() != 2:
            raise ValueError(f"a packed sequence must hold (steps, features), found {tuple(packed.data.shape)}")
        sequence = Sequence.unpack(packed)
        y, state = self._batched(sequence.values, hx, sequence.lengths, resets)
        return Sequence(y, sequence.lengths).pack(packed), self._public(state)

    def _unbatched(
        self, x: Tensor, hx: Tensor | State | None, lengths: Any, resets: Any
    ) -> tuple[Tensor, Tensor | State]:
        """x (time, features), each tensor of the state (layers x directions, size)."""
        state = None if hx is None else tuple(s.unsqueeze(1) for s in self._state(hx, ()))
        count = None if lengths is None else as_tensor("lengths", lengths).reshape(-1)
        marks = None if resets is None else torch.atleast_2d(as_tensor("resets", resets))
        y, end = self._batched(x[None], state, count, marks)
        return y[0], self._public(tuple(s[:, 0] for s in end))

    # One whole pass over (batch, time, features) ---------------------------------------------

    def _batched(self, x: Tensor, hx: Tensor | State | None, lengths: Any, resets: Any) -> tuple[Tensor, State]:
        if x.shape[2] != self.input_size:
            raise ValueError(f"x has {x.shape[2]} features, the layer was made for input_size={self.input_size}")
        if x.is_cpu and torch.is_autocast_enabled("cpu"):
            half = mixed(self._cell(0), x, self.parameters())
            if half is not None:
                return self._in_float32(half, x, hx, lengths, resets)
        begin, restart = self._begin(hx, x), None if resets is None else self._learnt()
        stages = stages_of(x, lengths, resets)
        key = random.draw_key() if self.training and self._random() else None
        dropped = self.dropout if key is not None else 0.0
        if self.residual or (dropped and self.num_layers > 1):
            ends = []
            for k in range(self.num_layers):
                y, end = self._layers(k, k + 1, x, begin, restart, stages, key)
                ends.append(end)
                if k + 1 < self.num_layers and dropped:
                    y = random.dropout(y, cast(Tensor, key), stream(k, 0, "layer"), dropped)
                x = y + x if self.residual and k and y.shape == x.shape else y
            return x, tuple(torch.cat(each) for each in zip(*ends, strict=True))
        return self._layers(0, self.num_layers, x, begin, restart, stages, key)

    def _in_float32(
        self, half: torch.dtype, x: Tensor, hx: Tensor | State | None, lengths: Any, resets: Any
    ) -> tuple[Tensor, State]:
        """A pass under autocast: the sums as without it, the answer in the type that torch's layer gives."""
        state = None if hx is None else tuple(s.float() for s in self._state(hx, (x.shape[0],)))
        with torch.autocast("cpu", enabled=False):
            y, end = self._batched(x.float(), state, lengths, resets)
        return y.to(half), tuple(s.to(half) for s in end)

    def _layers(
        self, first: int, last: int, x: Tensor, begin: State | None, restart: State | None, stages: Stages,
        key: Tensor | None,
    ) -> tuple[Tensor, State]:  # fmt: skip
        """Layers first..last - 1, with nothing between them: in one call of a kernel, or one by one."""
        if self._plan is not None and (key is None or not self._noisy()):
            found = self._in_one_call(first, last, x, begin, restart, stages)
            if found is not None:
                return found
        begin, ends = self._zeros(x) if begin is None else begin, []
        for k in range(first, last):
            x, states = self._layer(k, x, begin, restart, stages, key)
            ends += states
        return x, tuple(torch.stack(each) for each in zip(*ends, strict=True))

    def _in_one_call(
        self, first: int, last: int, x: Tensor, begin: State | None, restart: State | None, stages: Stages
    ) -> tuple[Tensor, State] | None:
        names, plan = self._names, self._plan
        assert plan is not None
        if last - first < plan.layers:
            part = slice(first * plan.directions, last * plan.directions)
            names = names[part.start * plan.own : part.stop * plan.own]
            begin, restart = (s and tuple(v[part] for v in s) for s in (begin, restart))
            plan = plan._replace(layers=last - first)
        again = () if restart is None else (s[:, None].expand(-1, x.shape[0], -1) for s in restart)
        states = (*_pair(begin or ()), *_pair(again))
        return run_stack(plan, x, states, stages, self._rows(names))

    def _rows(self, names: list[str | None]) -> list[Tensor | None]:
        own = self._parameters  # nn.Module's own lookup, for what a parametrization makes, takes ten times as long
        return [None if n is None else own[n] if n in own else attrgetter(n)(self) for n in names]

    def _layer(
        self, k: int, x: Tensor, begin: State, restart: State | None, stages: Stages, key: Tensor | None
    ) -> tuple[Tensor, list[State]]:
        """One layer, a direction at a time."""
        outputs, states = [], []
        for d, suffix in enumerate(self._suffixes(k)):
            cell, row = self._cell(k), k * self.num_directions + d
            w = cell.collect(self, suffix)
            if key is not None and self.weight_dropout:
                w["weight_hh"] = random.dropout(w["weight_hh"], key, stream(k, d, "weight"), self.weight_dropout)
            state = tuple(s[row] for s in begin)
            again = None if restart is None else tuple(s[row].expand(x.shape[0], -1) for s in restart)
            own = stages._replace(restart=again, reverse=d == 1, **self._noise(k, d, x, key))
            y, end = self._run(cell, w, x, state, own)
            outputs.append(y)
            states.append(end)
        return (torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]), states

    def _noise(self, k: int, d: int, x: Tensor, key: Tensor | None) -> dict[str, Any]:
        """Recurrent dropout's mask and zoneout's, for one layer and direction."""
        if not (self.recurrent_dropout or any(self.zoneout)):
            return {}
        sizes, mask, zoneout = self._cell(k).sizes(), None, None
        if key is not None and self.recurrent_dropout:
            p = self.recurrent_dropout
            mask = random.scaled_mask(key, stream(k, d, "state"), (x.shape[0], sizes[0]), p, x)
        if any(self.zoneout):
            streams = tuple(stream_of_state(k, d, i) for i in range(len(sizes)))
            zoneout = random.Zoneout(self.zoneout, key, () if key is None else streams)
        return {"mask": mask, "zoneout": zoneout}

    # States ------------------------------------------------------------------------------------

    def _learnt(self) -> State | None:
        if not self.learn_initial_state:
            return None
        return tuple(getattr(self, f"{name}0") for name in self._state_names)

    def _begin(self, hx: Tensor | State | None, x: Tensor) -> State | None:
        """The state before the first step, each (layers x directions, batch, size); None for zeros."""
        batch = x.shape[0]
        if hx is not None:
            return tuple(map(partial(alike, x), self._state_names, self._state(hx, (batch,))))
        learnt = self._learnt()
        return None if learnt is None else tuple(s[:, None].expand(-1, batch, -1) for s in learnt)

    def _zeros(self, x: Tensor) -> State:
        rows = self.num_layers * self.num_directions
        return tuple(x.new_zeros(rows, x.shape[0], size) for size in self._cell(0).sizes())

    def _state(self, hx: Tensor | State, batch: tuple[int, ...]) -> State:
        """A state that was handed in, checked; `batch` is () for unbatched input."""
        rows, names, sizes = self.num_layers * self.num_directions, self._state_names, self._sizes
        state = (hx,) if isinstance(hx, Tensor) or not isinstance(hx, Iterable) else tuple(hx)
        if len(state) != len(sizes) or not all(isinstance(s, Tensor) for s in state):
            found = [type(s).__name__ for s in state]
            raise ValueError(f"the state must be {' and '.join(names)}, a tensor each; found {found}")
        axes = "(layers x directions, batch, size)" if batch else "(layers x directions, size) for unbatched input"
        for name, s, size in zip(names, state, sizes, strict=True):
            wanted = (rows, *batch, size)
            if s.shape != wanted:
                raise ValueError(f"state {name} must be {axes} = {wanted}; found {tuple(s.shape)}")
        return state

    @staticmethod
    def _public(state: State) -> Tensor | State:
        """A state of one tensor is that tensor, as torch returns it."""
        return state[0] if len(state) == 1 else state

    # Names and places ----------------------------------------------------------------------------

    def _cell(self, k: int) -> GatedCell:
        cell = self._cells[k]
        assert isinstance(cell, GatedCell)
        return cell

    def _suffixes(self, k: int) -> list[str]:
        return [f"_l{k}{direction}" for direction in ("", "_reverse")[: self.num_directions]]

    def _each(self) -> Iterator[tuple[GatedCell, str]]:
        """Every (cell, suffix), in torch's order of parameters."""
        for k in range(self.num_layers):
            for suffix in self._suffixes(k):
                yield self._cell(k), suffix

    def _random(self) -> bool:
        """Whether training draws anything."""
        return bool((self.dropout and self.num_layers > 1) or self._noisy())

    def _noisy(self) -> bool:
        """Whether training draws something for each direction."""
        return bool(self.recurrent_dropout or self.weight_dropout or any(self.zoneout))

    def arguments(self) -> dict[str, Any]:
        """What makes this layer again: `Recurrent(**layer.arguments())`."""
        words = "cell input_size hidden_size num_layers bias batch_first dropout bidirectional recurrent_dropout"
        words += " weight_dropout residual learn_initial_state initializer"
        zoneout = self.zoneout[0] if len(set(self.zoneout)) == 1 else list(self.zoneout)
        return {w: getattr(self, w) for w in words.split()} | {"zoneout": zoneout} | self.options

    def extra_repr(self) -> str:
        usual = {word: parameter.default for word, parameter in signature(Recurrent.__init__).parameters.items()}
        words = list(self.arguments().items())[3:]  # after the cell and its two sizes
        said = [f"{word}={value}" for word, value in words if value != usual.get(word, 0)]
        return ", ".join([self.cell, str(self.input_size), str(self.hidden_size), *said])


class RNN(Recurrent):
    """The simple (Elman) recurrent layer: h' = f(W x + R h + b); constructor as torch.nn.RNN's.

    `nonlinearity` is tanh, relu, sigmoid or identity; `options` are `Recurrent`'s keywords and `layer_norm`.

    >>> RNN(3, 8, nonlinearity="relu")(torch.randn(2, 5, 3))[0].shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            "rnn", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            nonlinearity=nonlinearity, **options,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(Recurrent):
    """Long short-term memory; constructor as torch.nn.LSTM's.

    `options` are `Recurrent`'s keywords and `layer_norm`, `peephole`, `coupled_gates`.

    >>> output, (h, c) = LSTM(3, 64, num_layers=2, bidirectional=True)(torch.randn(2, 5, 3))
    >>> output.shape, h.shape
    (torch.Size([2, 5, 128]), torch.Size([4, 2, 64]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(
            "lstm", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            proj_size=proj_size, **options,
        )  # fmt: skip
        self.proj_size = proj_size


class GRU(Recurrent):
    """The gated recurrent unit; constructor as torch.nn.GRU's.

    `options` are `Recurrent`'s keywords and `reset_after`, `layer_norm`.

    >>> GRU(3, 8, reset_after=False)(torch.randn(2, 5, 3))[0].shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            "gru", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options
        )


def _held(cells: list[GatedCell]) -> tuple[GatedCell, ...] | nn.ModuleList:
    """Modules, but for equations that a kernel runs, without tensors: torch walks through all at each `zero_grad`.

    Only code of Python can ask for `self.training`, which a layer hands down to its modules.
    """
    asks = any(cell.unfused() is not None for cell in cells)
    own = any(True for cell in cells for _ in (*cell.parameters(), *cell.buffers()))
    return nn.ModuleList(cells) if asks or own else tuple(cells)


def _pair(tensors: Iterable[Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """h and c; None where there is none."""
    h, c, *_ = (*tensors, None, None)
    return h, c
