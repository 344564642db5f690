"""Three ways from a window to all steps ahead: at once from a vector, segment by segment, or step by step.

Each reads a batch of `data.windows` and gives the head's raw numbers and the base that they correct:
y[h] = base[h] + growth[h] head(raw[h]), in units of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ostinato.heads import Head
from ostinato.layers import Recurrent
from ostinato.layers.linear import Linear
from ostinato.models.mixture import Mixture

Batch = dict[str, Tensor]
START = 0.1  # what a head's first weights are scaled by: the first answers are near the base


class Told(NamedTuple):
    """What a forecaster says.

    Attributes:
        raw: of the head, for the steps of base.
        base: (batch, horizon), or (batch, segments, steps) of which the last may lie beyond the horizon;
            what the head's law is laid upon.
    """

    raw: Tensor
    base: Tensor

    def like_base(self, x: Tensor) -> Tensor:
        """(batch, horizon) in the shape of base: 0, or False, beyond the horizon."""
        if self.base.dim() == 2:
            return x
        missing = self.base[0].numel() - x.shape[1]
        return nn.functional.pad(x, (0, missing)).view(self.base.shape)


class Direct(nn.Module):
    """Sequence to vector: v = [encoder(window), what is known ahead]; every step ahead from v at once.

    No forecast feeds on another (Ben Taieb et al. 2012, A Review and Comparison of Strategies for
    Multi-step Ahead Time Series Forecasting).

    Args:
        encoder: (batch, segments, inputs), lengths -> (batch, features); see `Encoder`, `baselines.FeedForward`.
        head: a function of the width of v that makes a head with `horizon` outputs.
        segment: steps of a window that the encoder reads at once; 1: step by step.
        ahead: numbers known of all steps ahead together, horizon x covariates.
        still: numbers that hold at all times.
        ways: how many naive forecasts are weighed, or the numbers of those that are.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: Any,
        *,
        segment: int,
        ahead: int,
        still: int,
        ways: int | Sequence[int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        features = int(encoder.features)  # type: ignore[arg-type]
        self.encoder, self.segment, self.dropout = encoder, segment, nn.Dropout(dropout)
        self.ahead = Linear(ahead, features) if ahead else None
        width = features * (2 if ahead else 1) + still
        self.head: Head = _quiet(head(width))
        self.mixture = Mixture(width, ways)

    def forward(self, batch: Batch) -> Told:
        """A batch of windows -> raw and base."""
        x = by_segment(batch, self.segment)
        parts = [self.encoder(x, batch.get("lengths")), batch["still"]]
        if self.ahead is not None:
            parts.append(torch.relu(self.ahead(batch["ahead"].flatten(1))))
        v = self.dropout(torch.cat(parts, 1))
        return Told(self.head(v), self.mixture(v, batch["ways"]))


class Segments(nn.Module):
    """Segment by segment: one stack reads the window's segments, then is asked for each segment ahead at once.

        state = scan(relu(W x[s]));    v[j] = step(relu(place[j] + U known[j]), state);    y of segment j from v[j]

    with x[s] a segment of the window, known[j] what is known of a segment ahead (its place in the seasons,
    covariates) and place[j] learnt. Few steps in time instead of many make it quick and steady; no segment
    feeds on another.

    Args:
        cell, hidden_size, num_layers, dropout, bidirectional: of the stack. Bidirectional: both last states
            are joined by a dense layer, and a stack of its own answers.
        segment: steps in a segment.
        horizon: steps ahead; the last segment may be cut.
        inputs, clock, ahead, still: numbers of a step behind, of its place in the seasons, of a step ahead,
            and of the window as a whole.
        ways: how many naive forecasts are weighed, or the numbers of those that are.
        head: a function of a width that makes a head with `segment` outputs.

    Source: Lin et al. (2023), SegRNN: Segment Recurrent Neural Network for Long-Term Time Series Forecasting.
    """

    def __init__(
        self, cell: str, hidden_size: int, num_layers: int, head: Any, *, segment: int, horizon: int, inputs: int,
        clock: int, ahead: int, still: int, ways: int | Sequence[int], dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.segment, self.horizon, self.count = segment, horizon, -(-horizon // segment)
        self.embed = Linear(segment * inputs + clock, hidden_size)
        self.encoder = Recurrent(
            cell, hidden_size, hidden_size, num_layers, dropout=dropout, bidirectional=bidirectional
        )
        self.bridge = Linear(2 * hidden_size, hidden_size) if bidirectional else None
        self.decoder = Recurrent(cell, hidden_size, hidden_size, num_layers, dropout=dropout) if bidirectional else None
        self.place = nn.Parameter(0.1 * torch.randn(self.count, hidden_size))
        self.known = Linear(segment * ahead + clock + still, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.head: Head = _quiet(head(hidden_size))
        self.mixture = Mixture(hidden_size, ways)

    def forward(self, batch: Batch) -> Told:
        """A batch of windows -> raw and base."""
        x = self.embed(by_segment(batch, self.segment)).relu()
        _, state = self.encoder(x, lengths=batch.get("lengths"))
        v = self.dropout(self._asked(batch, state))  # (B, J, H)
        ways = _cut(batch["ways"], self.segment, self.count)  # (B, J, S, K)
        return Told(self.head(v), self.mixture(v, ways))

    def _asked(self, batch: Batch, state: Any) -> Tensor:
        """v (B, J, hidden): the stack's one step from where it stands, for each segment ahead."""
        rows, count = len(batch["x"]), self.count
        ahead = _cut(batch["ahead"], self.segment, count).flatten(2)
        clock = batch["clock"][:, -self.horizon :: self.segment]
        still = batch["still"][:, None].expand(-1, count, -1)
        asked = (self.place + self.known(torch.cat([ahead, clock, still], -1))).relu()
        stack = self.encoder if self.decoder is None else self.decoder
        states = tuple(
            self._joined(s).repeat_interleave(count, 1) for s in (state if type(state) is tuple else (state,))
        )
        v, _ = stack(asked.reshape(rows * count, 1, -1), states if len(states) > 1 else states[0])
        return v.reshape(rows, count, -1)

    def _joined(self, state: Tensor) -> Tensor:
        """(layers x directions, B, H) -> (layers, B, H)."""
        if self.bridge is None:
            return state
        both = state.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)  # (layers, B, 2 H)
        return self.bridge(both)


def by_segment(batch: Batch, segment: int) -> Tensor:
    """(B, L / segment, segment x features + clock): the steps of a segment side by side, and when it begins."""
    x, steps = batch["x"], batch["x"].shape[1]
    return torch.cat([_cut(x, segment, steps // segment).flatten(2), batch["clock"][:, :steps:segment]], -1)


def _cut(x: Tensor, segment: int, count: int) -> Tensor:
    """(B, steps, features) -> (B, count, segment, features), 0 where steps are missing."""
    missing = count * segment - x.shape[1]
    return nn.functional.pad(x, (0, 0, 0, missing)).unflatten(1, (count, segment))


def _quiet(head: Head) -> Head:
    with torch.no_grad():
        head.project.weight.mul_(START)
    return head
