"""Windows of a series: what was before each origin goes in, what the outlook left over comes out.

    x[t] = asinh((d[t] - level) / 4 scale), (d[t] - center) / width, sin and cos of each season's phase
    target[h] = (d[origin + h] - base[h]) / (scale growth[h])

with d, base, level and scale from `Outlook`: every window is told relative to its own level and
pace, so that one small network serves a series at all its levels. What goes in lies before the
origin, always: `tests/data/test_windows.py` fills the rest with NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.data.frequency import Steps, near
from ostinato.data.outlook import Outlook
from ostinato.data.series import Series

Array = NDArray[np.float64]


class Windows:
    """One window an origin; `windows[numbers]` is a batch.

    A batch is a dict: x (batch, look_back, inputs); lengths (batch,), where some windows reach back
    to the series' begin and are shorter; target (batch, horizon); mask (batch, horizon), True where the
    target was observed.

    Args:
        series: what there is; gaps are bridged for the input and masked in the target.
        outlook: of the part that may be known.
        look_back: steps in a window.
        origins: places of the series, each the first step forecast; len(series) is the step after its end.
        growth: (horizon,) how the outlook's error grows with the step ahead.
        gaps: whether an input says which steps were observed.
    """

    def __init__(
        self, series: Series, outlook: Outlook, look_back: int, origins: Steps, growth: Array, gaps: bool = False
    ) -> None:
        d = outlook.transformed(series)
        self.view = outlook.view(d, origins, look_back)
        self.origins, self.look_back, self.growth = origins, look_back, growth
        self.lengths = np.minimum(origins, look_back)
        self._d = torch.from_numpy(d)
        self._fixed = torch.from_numpy(_fixed(series, outlook, d, gaps))
        self._targets(d, series.observed)

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def inputs(self) -> int:
        """Features of one step."""
        return 1 + self._fixed.shape[1]

    def __getitem__(self, numbers: Tensor) -> dict[str, Any]:
        batch = {"x": self._inputs(numbers), "target": self.target[numbers], "mask": self.mask[numbers]}
        lengths = torch.from_numpy(self.lengths)[numbers]
        return batch if bool((lengths == self.look_back).all()) else {**batch, "lengths": lengths}

    def _inputs(self, numbers: Tensor) -> Tensor:
        rows = numbers.numpy()
        first = torch.from_numpy(self.origins[rows] - self.lengths[rows])
        last = torch.from_numpy(self.origins[rows] - 1)
        # Past a window's end its last step stands; the lengths keep it from being read.
        places = torch.minimum(first[:, None] + torch.arange(self.look_back), last[:, None])  # (B, T)
        level, scale = (torch.from_numpy(part[rows])[:, None] for part in (self.view.level, self.view.scale))
        moved = torch.asinh((self._d[places] - level) / (4 * scale))
        return torch.cat([moved[..., None], self._fixed[places]], -1).float()

    def _targets(self, d: Array, observed: NDArray[np.bool_]) -> None:
        horizon = len(self.growth)
        ahead = self.origins[:, None] + np.arange(horizon)
        inside = np.minimum(ahead, len(d) - 1)
        self.ahead = ahead  # (windows, horizon): the place of each target
        self.mask = torch.from_numpy((ahead < len(d)) & observed[inside])
        residual = (d[inside] - self.view.base) / (self.view.scale[:, None] * self.growth)
        self.target = torch.from_numpy(residual).float()


def _fixed(series: Series, outlook: Outlook, d: Array, gaps: bool) -> Array:
    """What a step says whatever the window: (time, inputs - 1)."""
    steps = np.arange(series.start, series.end)
    columns = [(d - outlook.center) / outlook.width]
    for period in outlook.periods:
        if near(period) > 2:
            turn = 2 * math.pi * np.mod(steps, period) / period
            columns += [np.sin(turn), np.cos(turn)]
    return np.stack(columns + [series.observed.astype(np.float64)] * gaps, -1)


def growth_of(errors: Array, known: NDArray[np.bool_]) -> Array:
    """(horizon,) the mean absolute error at each step ahead, smoothed over five; errors (origins, horizon).

    >>> growth_of(np.array([[1.0, -3.0], [1.0, 3.0]]), np.ones((2, 2), bool))
    array([1., 3.])
    """
    counts = known.sum(0)
    means = np.where(known, np.abs(errors), 0.0).sum(0) / np.maximum(counts, 1)
    seen = np.flatnonzero((counts > 0) & (means > 0))
    if not len(seen):
        return np.ones(errors.shape[1])
    means = np.interp(np.arange(len(means)), seen, means[seen])
    if len(means) < 5:
        return means
    return np.convolve(np.pad(means, 2, mode="edge"), np.full(5, 0.2), "valid")
