"""Sums and maxima over all paths through a chain of tags: what a linear-chain CRF asks for, whole batches at once.

A path y of n steps scores

    s(y) = first[y_1] + sum_t raw[t, y_t] + sum_{t>1} between[y_{t-1}, y_t] + last[y_n]

The sums run on probabilities, rescaled at each step, as products of (rows, tags) and (tags, tags); forward and
backward messages go through one loop together. Where scores lie too far apart for that, and where torch asks for
more than a gradient, the loop over logarithms runs in its place: it is the reference.

Source: Rabiner (1989), A Tutorial on Hidden Markov Models, III and V.A; Lafferty et al. (2001), Conditional Random
Fields; Sutton and McCallum (2012), An Introduction to Conditional Random Fields, 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato.ops import probes
from ostinato.ops.products import linear, product

NEVER = -1e30  # so little that e to it is 0 beside anything; a thousand steps of it are still finite in float32
WIDEST = 600.0  # e to the power of minus this is still told from 0 in float64


Join = Callable[[Tensor, int], Tensor]


class Moves(NamedTuple):
    """What a path scores beside raw; -inf: no path goes there.

    Attributes:
        between: (tags, tags) from row to column.
        first, last: (tags,) for beginning and ending in a tag.
    """

    between: Tensor
    first: Tensor
    last: Tensor


def log_partition(raw: Tensor, moves: Moves, lengths: Tensor) -> Tensor:
    """log sum_y exp s(y) of each row, (batch,); 0 for a row of no steps, not finite where no path is allowed.

    Args:
        raw: (batch, time, tags), finite; what lies past a row's length reaches nothing.
        lengths: (batch,) int64 on raw's device.

    >>> free = Moves(torch.zeros(3, 3), torch.zeros(3), torch.zeros(3))
    >>> log_partition(torch.zeros(2, 4, 3), free, torch.tensor([4, 2])).exp().round()  # so many paths
    tensor([81.,  9.])
    """
    if raw.numel() == 0 or not probes.known() or _too_wide(raw, moves):
        return log_partition_plain(raw, moves, lengths)
    value: Tensor = _Partition.apply(raw, *moves, lengths)
    return value


def log_partition_plain(raw: Tensor, moves: Moves, lengths: Tensor) -> Tensor:
    """`log_partition` step by step on logarithms: slower, and right for any scores."""
    if raw.shape[1] == 0:
        return raw.new_zeros(raw.shape[0])
    # -inf would do, but for its gradient: log-sum-exp of nothing but -inf has none.
    between, first, last = (part.clamp(min=NEVER) for part in moves)
    alpha = first + raw[:, 0]  # (B, K)
    for t in range(1, raw.shape[1]):
        new = torch.logsumexp(alpha[:, :, None] + between, 1) + raw[:, t]
        alpha = torch.where((t < lengths)[:, None], new, alpha)
    value = torch.logsumexp(alpha + last, 1)
    return torch.where(lengths > 0, value.where(value > NEVER / 2, -torch.inf), 0)


def marginals(raw: Tensor, moves: Moves, lengths: Tensor) -> Tensor:
    """p(y_t = k), (batch, time, tags), by forward and backward messages; 0 past a row's length.

    >>> p = marginals(torch.randn(1, 5, 3), Moves(torch.randn(3, 3), torch.zeros(3), torch.zeros(3)), torch.tensor([5]))
    >>> bool(torch.allclose(p.sum(-1), torch.ones(1, 5)))
    True
    """
    with torch.enable_grad():  # d log Z / d raw[t, k]
        raw = raw.detach().requires_grad_()
        fixed = Moves(*(part.detach() for part in moves))
        return torch.autograd.grad(log_partition(raw, fixed, lengths).sum(), raw)[0]


def best_path(raw: Tensor, moves: Moves, lengths: Tensor) -> Tensor:
    """argmax_y s(y), (batch, time) int64 (Viterbi 1967); 0 past a row's length.

    >>> stay = Moves(torch.eye(2), torch.zeros(2), torch.zeros(2))
    >>> best_path(torch.tensor([[[2.0, 0.0], [0.0, 0.5], [1.0, 0.0]]]), stay, torch.tensor([3])).tolist()
    [[0, 0, 0]]
    """
    return _traced(raw, moves, lengths, Tensor.amax, Tensor.argmax)


def drawn_path(raw: Tensor, moves: Moves, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A path with the chance exp s(y) / Z, (batch, time) int64: forward messages, then tag after tag from the end.

    >>> sure = Moves(torch.tensor([[-torch.inf, 0.0], [0.0, -torch.inf]]), torch.tensor([0.0, -99.0]), torch.zeros(2))
    >>> drawn_path(torch.zeros(1, 4, 2), sure, torch.tensor([3])).tolist()
    [[0, 1, 0, 0]]
    """

    def choose(x: Tensor, dim: int) -> Tensor:
        return (x - torch.empty_like(x).exponential_(generator=generator).log()).argmax(dim)  # Gumbel's trick

    return _traced(raw, moves, lengths, torch.logsumexp, choose)


def _traced(raw: Tensor, moves: Moves, lengths: Tensor, join: Join, choose: Join) -> Tensor:
    """Messages from the left, what comes to a tag joined; then a tag chosen at each step, backwards."""
    batch, time, tags = raw.shape
    if raw.numel() == 0:
        return raw.new_zeros((batch, time), dtype=torch.int64)
    steps, into = raw.transpose(0, 1), moves.between.T.contiguous()  # into[j, i]: from i to j
    messages = [moves.first + steps[0]]  # messages[t][b, k]: of all paths that are at k at step t
    for step in steps[1:]:
        messages.append(join(messages[-1][:, None] + into, 2) + step)
    # Nothing but messages was kept: where they came from is asked along one path a row. Row `tags` is the end.
    onward = torch.cat([into, moves.last[None]])
    tag, path = torch.full_like(lengths, tags), []
    for t in range(time - 1, -1, -1):
        tag = choose(messages[t] + onward[tag], 1)
        path.append(torch.where(t < lengths, tag, 0))
        tag = torch.where(t < lengths, tag, tags)
    return torch.stack(path[::-1], 1)


def score(raw: Tensor, moves: Moves, lengths: Tensor, path: Tensor) -> Tensor:
    """s(y) of one path a row, (batch,); path (batch, time) holds whole numbers in 0..tags - 1 throughout."""
    if raw.shape[1] == 0:
        return raw.new_zeros(raw.shape[0])
    seen = torch.arange(raw.shape[1], device=raw.device) < lengths[:, None]
    steps = raw.gather(2, path[:, :, None])[..., 0]
    # Rows of the flat table, not pairs of indices: the gradient of those is summed in an order of its own.
    pairs = torch.embedding(moves.between.reshape(-1, 1), path[:, :-1] * raw.shape[2] + path[:, 1:])[..., 0]
    ends = path.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0]
    around = torch.embedding(moves.first[:, None], path[:, 0]) + torch.embedding(moves.last[:, None], ends)
    inner = torch.where(seen, steps, 0).sum(1) + torch.where(seen[:, 1:], pairs, 0).sum(1)
    return torch.where(lengths > 0, inner + around[:, 0], 0)


# The sums as products ---------------------------------------------------------------------------


class _Kept(NamedTuple):
    """Of the forward pass, for the gradient; time first, all of it on probabilities.

    Attributes:
        p: (time, batch, tags) messages from the left, with the step's own score.
        q: (time, batch, tags) the same from the right.
        onward: (time, batch, tags) messages from the right without the step's own score.
        total: (time, batch, 1) p . onward.
        weights: (tags, tags) e to the power of the moves.
    """

    p: Tensor
    q: Tensor
    onward: Tensor
    total: Tensor
    weights: Tensor


class _Partition(torch.autograd.Function):
    """log Z, its gradient from messages that both went through one loop."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, between: Tensor, first: Tensor, last: Tensor, lengths: Tensor) -> Tensor:
        moves = Moves(between, first, last)
        value, kept = _messages(raw, moves, lengths, any(ctx.needs_input_grad))
        if kept is not None:
            ctx.save_for_backward(raw, *moves, lengths, *kept)
        return value.to(raw.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        raw, between, first, last, lengths, *kept = ctx.saved_tensors
        if torch.is_grad_enabled() or probes.transforming() or probes.batched(gradient):
            return *_by_reference(raw, Moves(between, first, last), lengths, gradient), None
        found = _expected(_Kept(*kept), lengths, gradient.double())
        return *(part.to(raw.dtype) for part in found), None


def _too_wide(raw: Tensor, moves: Moves) -> bool:
    """Whether a tag that matters could be rounded to 0: by two steps and three moves, as far as scores lie apart."""
    low, high = torch.aminmax(raw.detach())
    apart = 2 * (high - low)
    for part in moves:
        known = part.detach()[part.isfinite()]
        if known.numel():
            apart = apart + 3 * (known.max() - known.min())
    return not bool(apart < WIDEST)


def _messages(raw: Tensor, moves: Moves, lengths: Tensor, both: bool) -> tuple[Tensor, _Kept | None]:
    """log Z (batch,) in float64, and with `both` what its gradient is made of."""
    seen = torch.arange(raw.shape[1], device=raw.device) < lengths[:, None]  # (B, T)
    x = torch.where(seen[..., None], raw.detach().double(), 0).transpose(0, 1)  # (T, B, K)
    tops = x.amax(2)  # (T, B)
    e = (x - tops[..., None]).exp()
    largest = [part.detach().double().amax().clamp(min=-1e300) for part in moves]
    weights, first, last = ((part.detach().double() - top).exp() for part, top in zip(moves, largest, strict=True))
    turned = _turned(lengths, e) if both else None
    inputs = e[:, None] if turned is None else torch.stack([e, e.gather(0, turned)], 1)  # (T, 1 or 2, B, K)
    begins = torch.stack([first, last])[: inputs.shape[1], None]
    table = torch.stack([weights, weights.T])[: inputs.shape[1]]
    messages, sums = _recursion(inputs, begins, table)
    p = messages[:, 0]
    ends = (lengths - 1).clamp(min=0)
    rows = torch.arange(len(lengths), device=raw.device)
    closing = (p[ends, rows] * last).sum(1)
    inner = torch.where(seen.T, sums[:, 0, :, 0].log() + tops, 0).sum(0)
    value = inner + closing.log() + largest[1] + largest[2] + ends * largest[0]
    value = torch.where(lengths > 0, value, 0)
    if turned is None:
        return value, None
    q = messages[:, 1].gather(0, turned)
    onward = torch.cat([linear(q[1:], weights), q.new_zeros(1, *q.shape[1:])])
    onward[ends, rows] = last
    total = (p * onward).sum(2, keepdim=True)
    return value, _Kept(p, q, onward, total, weights)


def _recursion(inputs: Tensor, begins: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """m[t] = inputs[t] (m[t - 1] table) / sum: all messages, and the sums that they were divided by."""
    messages, sums = torch.empty_like(inputs), inputs.new_empty(*inputs.shape[:-1], 1)
    for t, step in enumerate(inputs):
        new = begins * step if t == 0 else torch.bmm(messages[t - 1], table).mul_(step)
        torch.sum(new, 2, keepdim=True, out=sums[t])
        torch.div(new, sums[t], out=messages[t])
    return messages, sums


def _turned(lengths: Tensor, like: Tensor) -> Tensor:
    """Where each step of (time, batch, tags) is found when a row is read from its end; padding stays in place."""
    steps = torch.arange(len(like), device=like.device)[:, None]
    return torch.where(steps < lengths, lengths - 1 - steps, steps)[..., None].expand_as(like)


def _expected(kept: _Kept, lengths: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of raw and Moves: how often each tag and each move is expected on a path."""
    steps = torch.arange(len(kept.p), device=lengths.device)[:, None]
    share = (gradient / kept.total[..., 0]).where(steps < lengths, 0)[..., None]  # (T, B, 1)
    tags = torch.where(share != 0, kept.p * kept.onward * share, 0)  # what lies in the padding may be NaN
    left = torch.where((steps < lengths - 1)[..., None], kept.p * share, 0)[:-1]
    right = torch.where((steps < lengths - 1)[..., None], kept.q.roll(-1, 0), 0)[:-1]
    moves = product(left.flatten(0, 1).t(), right.flatten(0, 1)) * kept.weights
    ends = tags[(lengths - 1).clamp(min=0), torch.arange(len(lengths), device=lengths.device)]
    return tags.transpose(0, 1), moves, tags[0].sum(0), ends.sum(0)


def _by_reference(raw: Tensor, moves: Moves, lengths: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """The gradients by the reference loop, themselves differentiable."""
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        given = [part.view_as(part) if part.requires_grad else part.detach().requires_grad_() for part in (raw, *moves)]
        value = log_partition_plain(given[0], Moves(*given[1:]), lengths)
        return torch.autograd.grad(value, given, gradient, create_graph=create)
