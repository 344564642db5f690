"""Long sequences in little memory: a chunk's gates are computed again when its turn comes in the backward.

The forward keeps the state at the border of each chunk of steps (Chen 2016, "Training deep nets with
sublinear memory cost"), not the gates of every step. A chunk's second forward gives the first one's bits, with the
same random masks; gradients of weights are added up chunk by chunk, and agree with those of one pass to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ostinato.cells.cell import State
from ostinato.ops import kernel, probes
from ostinato.ops.kernel import SHARED, Plan, Tensors
from ostinato.ops.reference import by_reference

LARGE = 512 << 20  # bytes: a call whose backward would need more, beside the output, is run in chunks
ROOM = 32 << 20  # bytes that one chunk needs, about
STEPS = 2048  # of all sequences together: a call with fewer is never long
EVEN = 128  # chunks of so many steps, or a multiple: the kernels' own sums run over as many


def pays(tensors: Tensors, plan: Plan) -> bool:
    """Whether what a forward would keep is too large. Asked at each call: most are answered by their shape."""
    x = cast(Tensor, tensors[0])
    if x.shape[0] * x.shape[1] < STEPS or x.shape[1] < 2:
        return False
    return _bytes(tensors, plan) > LARGE


def _bytes(tensors: Tensors, plan: Plan) -> int:
    """What a forward keeps, and the gates' gradients of one layer."""
    x, W = cast(Tensor, tensors[0]), cast(Tensor, tensors[SHARED])
    return (kernel.kept_numbers(tensors, plan) + x.shape[0] * x.shape[1] * W.shape[0]) * x.element_size()


def stack(tensors: Tensors, plan: Plan) -> tuple[Tensor, State]:
    """A whole stack, one layer after the other: arguments and answer as `fused.stack`."""
    x, *shared = tensors[:SHARED]
    ends, rows = [], plan.directions * plan.own
    for k in range(plan.layers):
        part = slice(k * plan.directions, (k + 1) * plan.directions)
        states = [s if s is None or s.dim() == 2 else s[part] for s in shared[:4]]
        own = tensors[SHARED + k * rows : SHARED + (k + 1) * rows]
        x, *end = _Chunked.apply(plan._replace(layers=1), x, *states, *shared[4:], *own)
        ends.append(end)
    if plan.layers == 1:
        return cast(Tensor, x), tuple(ends[0])
    return cast(Tensor, x), tuple(torch.cat(each) for each in zip(*ends, strict=True))


class _Piece(NamedTuple):
    """One chunk of one direction."""

    begin: int
    end: int
    left: Tensor | None  # (batch, 1) rows whose state begins anew between the chunk read before and this one


class _Walk:
    """One direction of one layer, chunk by chunk."""

    def __init__(self, tensors: Tensors, plan: Plan, direction: int) -> None:
        # Lying as the kernels read them: their own way out would be a copy for each chunk, and one of the output.
        self.x, self.lengths, self.resets = (_rows_dense(cast(Tensor, tensors[0])), *tensors[5:SHARED])
        own = tensors[SHARED + plan.own * direction : SHARED + plan.own * (direction + 1)]
        self.own = [v if v is None else v.contiguous() for v in own]
        self.direction, self.time = direction, self.x.shape[1]
        self.backwards = plan.reverse != (direction == 1)
        self.plan = plan._replace(reverse=self.backwards, directions=1)
        self.output = kernel.sizes(tensors, plan)[0]
        self.start = [self._state(s) for s in tensors[1:3]]
        self.restart = [self._state(s) for s in tensors[3:5]]

    def _state(self, state: Tensor | None) -> Tensor | None:
        return None if state is None else (state if state.dim() == 2 else state[self.direction]).contiguous()

    def pieces(self) -> Iterator[_Piece]:
        """In reading order."""
        steps = self._steps()
        begins = range(0, self.time, steps)
        for begin in reversed(begins) if self.backwards else begins:
            end = min(begin + steps, self.time)
            yield _Piece(begin, end, self._left(end))

    def _steps(self) -> int:
        most = ROOM // _bytes([self.x[:, :1], *[None] * (SHARED - 1), *self.own], self.plan)
        return max(1, most // EVEN * EVEN or most)

    def _left(self, end: int) -> Tensor | None:
        """Read backwards, a segment that begins at `end` is left before the step in front of it."""
        if self.resets is None or not self.backwards or end == self.time:
            return None
        marked = self.resets[:, end]
        return (marked if self.lengths is None else marked & (self.lengths > end))[:, None]

    def inputs(self, piece: _Piece, state: Tensors) -> tuple[list[Tensor | None], Plan]:
        """The call of one chunk that begins with this state."""
        begin, end, _ = piece
        lengths = None if self.lengths is None else (self.lengths - begin).clamp(0, end - begin)
        resets = None if self.resets is None else self.resets[:, begin:end].contiguous()
        shared = [self.x[:, begin:end], *state, *self.restart, lengths, resets]
        options = self.plan.options
        options = None if options is None else options._replace(first=begin)
        return [*shared, *self.own], self.plan._replace(options=options)

    def begun(self, piece: _Piece, state: list[Tensor | None]) -> list[Tensor | None]:
        """The state with which a chunk begins, from that after the chunk read before it."""
        if piece.left is None:
            return state
        return [
            s if s is None else torch.where(piece.left, s.new_zeros(()) if again is None else again, s)
            for s, again in zip(state, self.restart, strict=True)
        ]

    def of(self, y: Tensor | None, piece: _Piece) -> Tensor | None:
        """A chunk's steps and this direction's half of an output or its gradient."""
        if y is None:
            return None
        first = self.direction * self.output
        return y[:, piece.begin : piece.end, first : first + self.output]


def _rows_dense(x: Tensor) -> Tensor:
    return x if x.stride(2) == 1 else x.contiguous()


class _Chunked(torch.autograd.Function):
    """y, h[, c] of one layer, both directions."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        x, h = cast(Tensor, tensors[0]), tensors[1]
        y = x.new_empty(x.shape[0], x.shape[1], plan.directions * kernel.sizes(tensors, plan)[0])
        ends, borders = [], []
        for d in range(plan.directions):
            walk = _Walk(tensors, plan, d)
            state = list(walk.start)
            for piece in walk.pieces():
                state = walk.begun(piece, state)
                borders.append(state)
                inputs, own = walk.inputs(piece, state)
                _, end, _ = kernel.forward(inputs, own, False, walk.of(y, piece))
                state = [*_flat(end), None][:2]
            ends.append([s for s in state if s is not None])
        ctx.plan = plan
        ctx.save_for_backward(*(s for border in borders for s in border), *tensors)
        ctx.set_materialize_grads(False)
        alone = h is not None and h.dim() == 2
        return y, *(each[0] if alone else torch.stack(each) for each in zip(*ends, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        wanted, plan = ctx.needs_input_grad[1:], ctx.plan
        saved = ctx.saved_tensors
        tensors = saved[len(saved) - len(wanted) :]
        if torch.is_grad_enabled() or probes.transforming() or any(map(probes.batched, gradients)):
            return None, *by_reference(tensors, plan, gradients, wanted)
        sums = _Sums(tensors, wanted)
        dy, *dends = (g if g is None else g.resolve_neg() for g in (*gradients, None)[:3])
        borders = iter(zip(saved[0::2], saved[1::2], strict=False))
        for d in range(plan.directions):
            walk = _Walk(tensors, plan, d)
            pairs = [(piece, next(borders)) for piece in walk.pieces()]
            _through(walk, pairs[::-1], dy, dends, sums)
        return None, *sums.all


def _flat(states: tuple[Tensor, ...]) -> list[Tensor]:
    """Each (batch, size), whether it came with an axis of rows or not."""
    return [s if s.dim() == 2 else s[0] for s in states]


class _Sums:
    """The gradients asked for, as they grow chunk by chunk."""

    def __init__(self, tensors: Tensors, wanted: Sequence[bool]) -> None:
        self.wanted, self.all = wanted, [
            torch.zeros_like(v, memory_format=torch.contiguous_format) if w and v is not None else None
            for v, w in zip(tensors, wanted, strict=True)
        ]  # fmt: skip

    def add(self, place: int, gradient: Tensor | None, *where: Any) -> None:
        total = self.all[place]
        if total is not None and gradient is not None:
            total[where or ...] += gradient

    def add_state(self, place: int, direction: int, gradient: Tensor | None) -> None:
        total = self.all[place]
        if total is not None and gradient is not None:
            (total if total.dim() == 2 else total[direction]).add_(gradient)


def _through(
    walk: _Walk,
    pairs: Sequence[tuple[_Piece, tuple[Tensor | None, ...]]],
    dy: Tensor | None,
    dends: Tensors,
    sums: _Sums,
) -> None:
    """One direction backward through time, from the chunk read last."""
    carried: list[Tensor | None] = [
        None if g is None else (g if g.dim() == 2 else g[walk.direction]).contiguous() for g in dends
    ]
    first = SHARED + walk.plan.own * walk.direction
    wanted = [*sums.wanted[:1], True, True, *sums.wanted[3:SHARED], *sums.wanted[first : first + walk.plan.own]]
    for piece, state in pairs:
        inputs, plan = walk.inputs(piece, state)
        y, _, kept = kernel.forward(inputs, plan, True)
        given = walk.of(dy, piece)
        given = given if given is None else _rows_dense(given)
        dx, *found = kernel.backward(inputs, plan, y, kept, [given, *carried], wanted, may_lose=True)
        sums.add(0, dx, slice(None), slice(piece.begin, piece.end))
        for place, g in enumerate(found[SHARED - 1 :]):
            sums.add(first + place, g)
        for i, g in enumerate(found[2:4]):
            sums.add_state(3 + i, walk.direction, g)
        carried = _across(walk, piece, found[:2], sums)
    for i, g in enumerate(carried):
        sums.add_state(1 + i, walk.direction, g)


def _across(walk: _Walk, piece: _Piece, carried: list[Tensor | None], sums: _Sums) -> list[Tensor | None]:
    """The gradient of the state before a chunk; of rows that begin anew there it belongs to the restart."""
    if piece.left is None:
        return carried
    for i, g in enumerate(carried):
        if g is not None:
            sums.add_state(3 + i, walk.direction, g * piece.left)
    return [None if g is None else g.masked_fill(piece.left, 0) for g in carried]
