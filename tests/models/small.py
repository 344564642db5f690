"""Small batches and networks for the tests of the forecasters."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ostinato import heads
from ostinato.baselines import FeedForward
from ostinato.models import TCN, Direct, Encoder, Segments

Batch = dict[str, Tensor]
STEPS, SEGMENT, INPUTS, CLOCK, AHEAD, STILL, WAYS = 12, 4, 5, 2, 1, 2, 3


def batch_of(
    rows: int = 5, horizon: int = 7, lengths: list[int] | None = None, seed: int = 0, steps: int = STEPS
) -> Batch:
    """Random numbers in the shapes of `data.windows`; `lengths` count segments, and NaN stands behind them."""
    draw = torch.Generator().manual_seed(seed)
    sizes: dict[str, tuple[int, ...]] = {
        "x": (steps, INPUTS), "clock": (steps + horizon, CLOCK), "ahead": (horizon, AHEAD), "still": (STILL,),
        "ways": (horizon, WAYS), "target": (horizon,),
    }  # fmt: skip
    batch = {name: torch.randn(rows, *size, generator=draw) for name, size in sizes.items()}
    batch["mask"] = torch.rand(rows, horizon, generator=draw) < 0.8
    if lengths is not None:
        batch["lengths"] = torch.tensor(lengths)
    return batch


def padded(batch: Batch, segment: int) -> Batch:
    """With NaN in all that lies behind the steps that count."""
    x, clock = batch["x"].clone(), batch["clock"].clone()
    for row, count in enumerate(batch["lengths"].tolist()):
        x[row, count * segment :] = clock[row, count * segment : x.shape[1]] = torch.nan
    return {**batch, "x": x, "clock": clock}


def alone(batch: Batch, row: int, segment: int) -> Batch:
    """One row, cut to the steps that count."""
    own = {name: part[row : row + 1] for name, part in batch.items() if name != "lengths"}
    steps, size = batch["x"].shape[1], int(batch["lengths"][row]) * segment
    clock = torch.cat([own["clock"][:, :size], own["clock"][:, steps:]], 1)
    return {**own, "x": own["x"][:, :size], "clock": clock}


def some(batch: Batch, rows: list[int]) -> Batch:
    return {name: part[rows] for name, part in batch.items()}


def head_of(name: str = "quantile", **options: Any) -> Any:
    return partial(heads.build, name, **options)


def direct(
    cell: str = "gru", layers: int = 1, both: bool = False, head: str = "quantile", horizon: int = 7, ahead: int = AHEAD
) -> Direct:
    width = SEGMENT * INPUTS + CLOCK
    encoder: nn.Module
    if cell == "feed_forward":
        encoder = FeedForward(width, STEPS // SEGMENT, 8)
    elif cell == "tcn":
        encoder = TCN(width, 6, layers, each_step=False)
    else:
        encoder = Encoder(cell, width, 6, layers, bidirectional=both)
    return Direct(
        encoder, head_of(head, outputs=horizon), segment=SEGMENT, ahead=horizon * ahead, still=STILL, ways=WAYS
    )


def segments(
    cell: str = "gru", layers: int = 1, both: bool = False, head: str = "quantile", horizon: int = 7, ahead: int = AHEAD
) -> Segments:
    return Segments(
        cell, 6, layers, head_of(head, outputs=SEGMENT), segment=SEGMENT, horizon=horizon, inputs=INPUTS, clock=CLOCK,
        ahead=ahead, still=STILL, ways=WAYS, bidirectional=both,
    )  # fmt: skip


def loud(model: nn.Module, seed: int = 0) -> nn.Module:
    """All weights drawn anew and large, so that nothing hides behind a weight of 0 or a saturated softmax."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=draw))
    return model.eval()


def without_gradient(model: nn.Module, loss: Tensor) -> list[str]:
    """Names of the parameters that a loss does not reach."""
    loss.backward()
    return [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
