"""Step by step: each step ahead is told from the one before, in training the true one, in use the forecast itself.

    state[t], v[t] = step(x[t], known[t + 1], state[t - 1]);    y[t + 1] = base(v[t]) + growth head(v[t])

Teacher forcing and its price, forecasts that feed on forecasts: Williams and Zipser (1989), A Learning Algorithm for
Continually Running Fully Recurrent Neural Networks; Salinas et al. (2020), DeepAR, for the sample paths.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostinato.data.windows import height, moves
from ostinato.heads import Head
from ostinato.heads.quantile import Quantile
from ostinato.layers import Recurrent
from ostinato.models.forecasters import START, Batch, Told
from ostinato.models.mixture import Mixture

Array = NDArray[np.float64]

PATHS = 100  # futures that are drawn for each row where quantiles are asked for
AT_ONCE = 8192  # paths that are followed together: what an answer takes of memory does not grow with the rows
SEED = 20  # of every answer: the same question gets the same one


class _Origin(NamedTuple):
    """Where a row stands before its first step ahead.

    Attributes:
        state: each (layers, B, H), after all steps but the last.
        before: (B, season) y of the last season, the oldest first.
        moves: (B, 2) what x says of y at the last step.
        rest: (B, horizon, ...) the other inputs of that step and of those ahead: all is known or carried on.
    """

    state: tuple[Tensor, ...]
    before: Tensor
    moves: Tensor
    rest: Tensor


class Recursive(nn.Module):
    """One stack for the window and for the steps ahead; at step t it sees t and says the law of t + 1.

        input[t] = x[t], clock[t + 1], ahead[t + 1], still;    base[t + 1] = w[0] y[t] + w[1] y[t + 1 - season]

    y is in units of the window. What is not known ahead (past covariates, the observed mark) is carried on from
    the window's last step, in training as in prediction. Where a window does not reach back a season, its
    oldest value stands in, as it does in `data.windows` before a series' begin.

    Args:
        cell, hidden_size, num_layers, dropout: of the stack.
        head: a function of a width that makes a head with one output.
        inputs, clock, ahead, still: numbers of a step of the window, of its place in the seasons, of what is known
            ahead of it (the last of `inputs` too), and of the window as a whole.
        season: steps; 1: the step before is all that base goes on from.

    Shapes: a batch of `data.windows` with segments of one step -> raw (B, H, width), base (B, H, 1).

    >>> from functools import partial
    >>> from ostinato import heads
    >>> model = Recursive("gru", 8, 1, partial(heads.build, "gaussian", outputs=1), inputs=2, clock=2, ahead=0,
    ...     still=1, season=4)
    >>> batch = {"x": torch.zeros(5, 12, 2), "clock": torch.zeros(5, 15, 2), "ahead": torch.zeros(5, 3, 0),
    ...     "still": torch.zeros(5, 1), "target": torch.zeros(5, 3)}
    >>> model(batch).base.shape, model.answers(batch, [0.5, 0.1, 0.9], np.ones(3)).shape
    (torch.Size([5, 3, 1]), (3, 5, 3))
    """

    def __init__(
        self, cell: str, hidden_size: int, num_layers: int, head: Any, *, inputs: int, clock: int, ahead: int,
        still: int, season: int, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.season, self.carried = season, slice(2, inputs - ahead)  # of a step's inputs: not known ahead
        self.recurrent = Recurrent(cell, inputs + clock + ahead + still, hidden_size, num_layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head: Head = head(hidden_size)
        with torch.no_grad():
            self.head.project.weight.mul_(START)
        self.mixture = Mixture(hidden_size, 2 if season > 1 else 1)

    # In training: the true step before ----------------------------------------------------------

    def forward(self, batch: Batch) -> Told:
        """A batch of windows -> raw and base, step h + 1 from the true step h."""
        at, horizon = self._origin(batch), batch["target"].shape[1]
        y = torch.cat([at.before, batch["target"]], 1)  # y[:, h] lies a season before step h
        again, step = y[:, :horizon], y[:, self.season - 1 :][:, :horizon]
        moved = torch.cat([at.moves[:, None], moves(step[:, 1:], again[:, :-1])], 1)
        v, _ = self.recurrent(torch.cat([moved, at.rest], -1), _plain(at.state))
        v = self.dropout(v)
        return Told(self.head(v), self._base(v, step, again))

    def _origin(self, batch: Batch) -> _Origin:
        """The window read up to its last step, and what is known of that one and of those ahead."""
        x, clock, ahead, still = (batch[name] for name in ("x", "clock", "ahead", "still"))
        (rows, steps, _), first = x.shape, self.carried.stop
        ends = batch.get("lengths")
        n = torch.full((rows,), steps, device=x.device) if ends is None else ends.to(x.device)
        # After a sequence's own end comes its first step ahead, not the next place of the window: that step waits.
        behind = _inputs(x[:, :-1], clock[:, 1:steps], x[:, 1:, first:], still)
        _, state = self.recurrent(behind, lengths=None if ends is None else n - 1)
        last = x[torch.arange(rows, device=x.device), n - 1][:, None]  # (B, 1, inputs)
        places = n[:, None] + torch.arange(-self.season, 0, device=x.device)
        before = height(x[..., 0].gather(1, places.clamp(min=0)))
        now = torch.cat([last[..., first:], ahead[:, :-1]], 1)
        known = torch.cat([last[..., self.carried].expand(-1, ahead.shape[1], -1), now], -1)
        rest = _inputs(known, clock[:, steps:], ahead, still)
        return _Origin(state if type(state) is tuple else (state,), before, last[:, 0, :2], rest)

    def _base(self, v: Tensor, step: Tensor, again: Tensor) -> Tensor:
        """v (..., hidden), step and again (...) -> (..., 1)."""
        ways = [step, again] if self.season > 1 else [step]
        return self.mixture(v, torch.stack(ways, -1).unsqueeze(-2))

    # In use: the forecast itself ----------------------------------------------------------------

    def answers(self, batch: Batch, levels: Sequence[float], growth: Array) -> Array:
        """(1 or levels, B, H) in units of the window, without any target: quantiles over paths that feed on themselves.

        A head that cannot be sampled goes on from its prediction, as all do where no level is asked for: one path.
        Every row is given the same random numbers, so that no answer hangs on what else is asked.

        Args:
            levels: of probability.
            growth: (H,) how errors grow with the step ahead.
        """
        drawn = bool(levels) and (type(self.head).sample is not Head.sample or isinstance(self.head, Quantile))
        count, rows = PATHS if drawn else 1, max(1, AT_ONCE // PATHS if drawn else AT_ONCE)
        asked = torch.tensor(levels or [0.5], dtype=torch.float64)
        found = []
        with torch.no_grad():
            for first in range(0, len(batch["x"]), rows):
                part = {name: tensor[first : first + rows] for name, tensor in batch.items()}
                steps = [y.double().cpu().quantile(asked, 1) for y in self._paths(part, count, drawn, growth)]
                found.append(torch.stack(steps, -1).numpy())
        return np.concatenate(found, 1)

    def _paths(self, batch: Batch, count: int, drawn: bool, growth: Array) -> Iterator[Tensor]:
        """y of each step ahead, (B, count); only a season of them is kept."""
        at, rows = self._origin(batch), len(batch["x"])
        generator = torch.Generator(at.rest.device).manual_seed(SEED) if drawn else None
        past = deque(at.before.T[..., None], maxlen=self.season)  # each (B, 1) or (B, count)
        state, moved = _plain(tuple(s.repeat_interleave(count, 1) for s in at.state)), at.moves[:, None]
        for rest, size in zip(at.rest.unbind(1), growth.tolist(), strict=True):
            x = torch.cat([moved.expand(-1, count, -1), rest[:, None].expand(-1, count, -1)], -1)
            v, state = self.recurrent(x.reshape(rows * count, 1, -1), state)
            v = self.dropout(v.reshape(rows, count, -1))
            again, step = past[0].expand(-1, count), past[-1].expand(-1, count)
            y = self._base(v, step, again)[..., 0] + size * self._said(self.head(v), generator)
            moved = moves(y, again)
            past.append(y)
            yield y

    def _said(self, raw: Tensor, generator: torch.Generator | None) -> Tensor:
        """raw (B, paths, width) -> (B, paths): a draw, the same random numbers for each row, or the prediction."""
        if generator is None:
            return self.head.predict(raw)[..., 0]
        return torch.func.vmap(lambda own: drawn(self.head, own, generator), randomness="same")(raw)[..., 0]


def drawn(head: Head, raw: Tensor, generator: torch.Generator) -> Tensor:
    """One draw of the head's law. Quantiles are no whole law: between them straight lines are taken.

    Beyond them the outermost line goes on, by at most twice the gap that it spans.
    """
    if not isinstance(head, Quantile):
        return head.sample(raw, generator)
    known = head.ladder(raw)
    if head.width == 1:
        return known[..., 0]
    u = torch.rand(known.shape[:-1], generator=generator, dtype=torch.float64, device=raw.device)
    at = torch.tensor(head.levels, dtype=u.dtype, device=raw.device)
    gap = (u.unsqueeze(-1) >= at[1:-1]).sum(-1)  # from level gap to level gap + 1
    share = ((u - at[gap]) / (at[gap + 1] - at[gap])).clamp(-2, 3)
    low, high = (known.gather(-1, (gap + k).unsqueeze(-1))[..., 0] for k in (0, 1))
    return low + share.to(raw.dtype) * (high - low)


def _inputs(x: Tensor, clock: Tensor, ahead: Tensor, still: Tensor) -> Tensor:
    """Side by side: a step, what is known of the next, and what always holds."""
    return torch.cat([x, clock, ahead, still[:, None].expand(-1, x.shape[1], -1)], -1)


def _plain(state: tuple[Tensor, ...]) -> Any:
    """A state as `Recurrent` takes it."""
    return state if len(state) > 1 else state[0]
