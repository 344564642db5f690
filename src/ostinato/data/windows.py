"""Windows of many series: what was before each origin goes in, what came after it is to be told.

    x[t] = s((d[t] - level) / scale), observed, covariates;  s(u) = 5 asinh(u / 5)
    read step by step also s((d[t] - d[t - season]) / scale): a segment of steps holds its season itself
    way[h, k] = (continuation k of d - level) / scale
    target[h] = (d[origin + h] - level) / scale

with d = log y where all values lie well above 0, else y (or what an outlook makes of it).
Every window is told relative to its own level and pace, so that one small network serves all series at
all their levels. What goes in lies before the origin, always, but for covariates that are known ahead:
`tests/data/test_windows.py` fills the rest with NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.data.covariates import Scaling, laid
from ostinato.data.frequency import Steps, near
from ostinato.data.outlook import Outlook
from ostinato.data.panel import Panel
from ostinato.data.series import carried
from ostinato.data.ways import Ways

Array = NDArray[np.float64]


WIDEST = 3.0  # seasonal differences that a series' scale is at most
SQUASHED = 5.0  # units from which on inputs grow as logarithms
TINY = 1e-300
NEAR_ZERO = 1e-3  # of the median: series with lower values are not told in logarithms


class Shape(NamedTuple):
    """The sizes of a window.

    Attributes:
        horizon: steps that are told.
        look_back: steps that go in.
        segment: steps that go in at once; look_back is a multiple of it.
        periods: seasons in steps, the leading one first.
        ways: what `data.ways` knows to go on with; () for the outlook of each series.
        gaps: whether an input says which steps were observed.
    """

    horizon: int
    look_back: int
    segment: int
    periods: tuple[float, ...]
    ways: tuple[str, ...]
    gaps: bool

    @property
    def moves(self) -> int:
        """Numbers that say what a step's value is."""
        return 1 if self.segment > 1 else 2

    @property
    def clock(self) -> int:
        """Numbers that say where in its seasons a step lies."""
        return 2 * sum(near(period) > 2 for period in self.periods)


class Windows:
    """One window an origin; `windows[numbers]` is a batch.

    A batch is a dict of float tensors, B windows, L = look_back, H = horizon, K ways:

        x (B, L, features)        what went before, whole segments of it, and before a series' begin its first value
        clock (B, L + H, clock)   sin and cos of each season, behind and ahead
        ahead (B, H, covariates)  what is known of the steps that are told
        still (B, numbers)        the same for all steps: static covariates, the scale against the level
        ways (B, H, K), target (B, H), mask (B, H) bool
        weight (B, H)             the window's scale against its series': what makes errors count alike
        lengths (B,) int          segments that lie within the series, left out where that is all of them

    Args:
        panel: what there is; gaps are bridged for the input and masked in the target.
        origins: (windows, 2) the series, and the place in it of the first step that is told; its length is
            the step after its end.
        known: (series,) places from which on nothing may be used to tell scales.
        scaling: of the covariates.
        outlooks: one a series; None where `shape.ways` go on instead.
        growth: (horizon,) how errors grow with the step ahead; 1 where left out.
    """

    def __init__(
        self,
        panel: Panel,
        shape: Shape,
        origins: Steps,
        known: Sequence[int],
        scaling: Scaling,
        outlooks: Sequence[Outlook] | None = None,
        growth: Array | None = None,
    ) -> None:
        self.shape, self.origins, self.outlooks = shape, origins, outlooks
        self.growth = np.ones(shape.horizon) if growth is None else growth
        lengths = np.array([len(series) for series in panel])
        # Each series has `horizon` places more than values, for what is known ahead.
        self._begin = np.concatenate([[0], np.cumsum(lengths + shape.horizon)])[:-1]
        self._end = self._begin + lengths
        self.logs = logs_of(panel, known) if outlooks is None else np.array([outlook.log for outlook in outlooks])
        values = _carried(panel, self.logs) if outlooks is None else _transformed(panel, outlooks)
        # A value from 0 down, after those that logarithms were chosen by, is not told.
        seen = [s.observed & ~(log & (s.values <= 0)) for s, log in zip(panel, self.logs, strict=True)]
        self._d = torch.from_numpy(_end_to_end(values, shape.horizon, "edge"))
        self._observed = torch.from_numpy(_end_to_end(seen, shape.horizon, "constant"))
        self._covariates(panel, scaling)
        self._clock = torch.from_numpy(_clock(panel, shape))
        self._pace = _Pace(values, known, shape)
        self._ways = Ways(shape.ways, shape.periods, shape.horizon, shape.look_back)
        self._views(values, outlooks)

    def __len__(self) -> int:
        return len(self.origins)

    def _covariates(self, panel: Panel, scaling: Scaling) -> None:
        past, future, static = laid(panel, self.shape.horizon, scaling)
        self._past, self._future, self._static = (torch.from_numpy(part) for part in (past, future, static))

    def _views(self, values: list[Array], outlooks: Sequence[Outlook] | None) -> None:
        """Level, scale and the outlook at each origin; `base` (windows, horizon) only where outlooks go on."""
        count, horizon = len(self.origins), self.shape.horizon
        self.level, self.scale, self.base = np.empty(count), np.empty(count), None
        self.weight = np.ones(count)
        which, places = self.origins[:, 0], self.origins[:, 1]
        if outlooks is None:
            self.level, self.scale = self._pace.at(which, places)
            self.weight = self.scale / self._pace.own[which]
            return
        self.base = np.empty((count, horizon))
        for k, (d, outlook) in enumerate(zip(values, outlooks, strict=True)):
            rows = np.flatnonzero(which == k)
            if len(rows):
                view = outlook.view(d, places[rows], self.shape.look_back)
                self.base[rows], self.level[rows], self.scale[rows] = view

    def errors(self, known: Sequence[int]) -> tuple[Array, NDArray[np.bool_]]:
        """(windows, H) how far the outlooks were off, in units of the window, and which of that is known by then."""
        if self.base is None:
            raise ValueError("there is no outlook: naive ways go on instead")
        ahead = self._begin[self.origins[:, 0]][:, None] + self.origins[:, 1:] + np.arange(self.shape.horizon)
        inside = self.origins[:, 1:] + np.arange(self.shape.horizon) < np.asarray(known)[self.origins[:, 0]][:, None]
        off = (self._d.numpy()[ahead] - self.base) / self.scale[:, None]
        return off, inside & self._observed.numpy()[ahead]

    # A batch ----------------------------------------------------------------------------------

    def __getitem__(self, numbers: Tensor) -> dict[str, Tensor]:
        rows = numbers.numpy()
        which, place = self.origins[rows, 0], self.origins[rows, 1]
        begin, origin = (torch.from_numpy(self._begin[which] + k)[:, None] for k in (0, place))
        level, scale = (torch.from_numpy(part[rows])[:, None] for part in (self.level, self.scale))
        behind, lengths = self._behind(begin, origin)
        ahead = origin + torch.arange(self.shape.horizon)
        batch = {
            "x": self._inputs(behind, begin, level, scale),
            "clock": self._clock[torch.cat([behind, ahead], 1)],
            "ahead": self._future[ahead],
            "still": torch.cat([self._size(which, level, scale), self._static[torch.from_numpy(which)]], 1),
            "ways": self._continued(rows, begin, origin, level, scale),
            "target": ((self._d[ahead] - level) / scale).float(),
            "mask": self._observed[ahead],
            "weight": torch.from_numpy(self.weight[rows])[:, None].float().expand(-1, self.shape.horizon),
        }
        whole = self.shape.look_back // self.shape.segment
        return batch if bool((lengths == whole).all()) else {**batch, "lengths": lengths}

    def _behind(self, begin: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) the places of a window's steps, and the segments of it that count.

        The last segment ends before the origin. Of a first segment that begins before the series does,
        the first value stands for what is not there. After the segments that count, anything may stand.
        """
        segment, most = self.shape.segment, self.shape.look_back // self.shape.segment
        count = torch.clamp(-torch.div(begin - origin, segment, rounding_mode="floor"), max=most)
        places = origin - count * segment + torch.arange(self.shape.look_back)
        return torch.clamp(torch.maximum(places, begin), max=origin - 1), count[:, 0]

    def _inputs(self, behind: Tensor, begin: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        y = (self._d[behind] - level) / scale
        if self.shape.moves == 1:
            features = [squashed(y).float()[..., None]]
        else:
            season = near(self.shape.periods[0]) if self.shape.periods else 1
            before = (self._d[torch.maximum(behind - season, begin)] - level) / scale
            features = [moves(y, before).float()]
        if self.shape.gaps:
            features.append(self._observed[behind].float()[..., None])
        return torch.cat([*features, self._past[behind], self._future[behind]], -1)

    def _size(self, which: Steps, level: Tensor, scale: Tensor) -> Tensor:
        """How large the scale is against the level: counts near 0 behave unlike loads in the thousands."""
        whole = torch.where(torch.from_numpy(self.logs[which])[:, None], 1.0, level.abs() + scale)
        return (torch.log(scale / whole) / 3).float()

    def _continued(self, rows: Any, begin: Tensor, origin: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        base = self.base
        ways = self._ways(self._d, begin, origin) if base is None else torch.from_numpy(base[rows])[..., None]
        return ((ways - level[..., None]) / scale[..., None]).float()


def squashed(y: Tensor) -> Tensor:
    """Plain numbers up to about 5, logarithms beyond: an outlier does not drown the rest."""
    return SQUASHED * torch.asinh(y / SQUASHED)


def moves(y: Tensor, before: Tensor) -> Tensor:
    """What a window read step by step says of y, given in its units, (...) -> (..., 2).

    How high, at half the size, and how far from the season before.
    """
    return torch.stack([squashed(y / 2), squashed(y - before)], -1)


def height(first: Tensor) -> Tensor:
    """y back from the first of its moves.

    >>> height(moves(torch.tensor([3.0]), torch.tensor([0.0]))[..., 0])
    tensor([3.])
    """
    return 2 * SQUASHED * torch.sinh(first / SQUASHED)


class _Pace:
    """Level and scale of a window: the mean of its last season, and what a move of the series usually is.

    scale = sqrt((s² + l²) / 2) with l the mean absolute seasonal difference of the window and s the standard
    deviation of the series, at most WIDEST times its seasonal difference: one that wanders is wide, its moves are not.
    """

    def __init__(self, values: list[Array], known: Sequence[int], shape: Shape) -> None:
        self.season = near(shape.periods[0]) if shape.periods else 1
        self.look_back = shape.look_back
        lags = [min(self.season, max(1, k // 2)) for k in known]
        moves = [np.abs(d - np.concatenate([d[:lag], d[:-lag]])) for d, lag in zip(values, lags, strict=True)]
        self.sums = [np.concatenate([[0.0], np.cumsum(d)]) for d in values]
        self.moved = [np.concatenate([[0.0], np.cumsum(m)]) for m in moves]
        self.lags = np.array(lags)
        parts = zip(values, moves, lags, known, strict=True)
        self.own = np.array([_usual(d[:k], m[lag:k]) for d, m, lag, k in parts])

    def at(self, which: Steps, places: Steps) -> tuple[Array, Array]:
        level, scale = np.empty(len(which)), np.empty(len(which))
        for k in np.unique(which):
            rows = np.flatnonzero(which == k)
            at, sums, moved, lag = places[rows], self.sums[k], self.moved[k], self.lags[k]
            span = np.minimum(self.season, at)
            level[rows] = (sums[at] - sums[at - span]) / span
            back = np.clip(at - lag, 1, self.look_back)  # the first `lag` moves are none
            local = (moved[at] - moved[np.maximum(at - back, 0)]) / back
            scale[rows] = np.sqrt((local**2 + self.own[k] ** 2) / 2)
        return level, scale


def _usual(d: Array, moves: Array) -> float:
    """What a series' own part of the scale is; never 0."""
    if not len(d):
        return 1e-12
    typical = float(moves.mean()) if len(moves) else 0.0
    return max(min(float(d.std()), WIDEST * typical), 1e-3 * float(np.abs(d).mean()), 1e-12)


def _transformed(panel: Panel, outlooks: Sequence[Outlook]) -> list[Array]:
    return [outlook.transformed(series) for series, outlook in zip(panel, outlooks, strict=True)]


def logs_of(panel: Panel, known: Sequence[int]) -> NDArray[np.bool_]:
    """(series,) which are told in logarithms: those well above 0, so that no forecast of them falls below it.

    >>> logs_of(Panel.of([[5.0, 7.0, 6.0], [0.0, 7.0, 6.0], [-1.0, 1.0, 2.0]]), [3, 3, 3]).tolist()
    [True, False, False]
    """
    seen = [series.values[:k][series.observed[:k]] for series, k in zip(panel, known, strict=True)]
    return np.array([bool(len(y) and y.min() > NEAR_ZERO * np.median(y) > 0) for y in seen])


def _carried(panel: Panel, logs: NDArray[np.bool_]) -> list[Array]:
    """d, gaps bridged by what was known then: no window sees what comes after it."""
    values = [carried(series.values[:, None])[:, 0] for series in panel]
    # What comes after `known` may be 0 or below; nothing is learnt from it.
    return [np.log(np.maximum(y, TINY)) if log else y for y, log in zip(values, logs, strict=True)]


def _end_to_end(parts: Sequence[NDArray[Any]], more: int, mode: Any) -> NDArray[Any]:
    return np.concatenate([np.pad(part, (0, more), mode=mode) for part in parts])


def _clock(panel: Panel, shape: Shape) -> NDArray[np.float32]:
    parts = []
    for series in panel:
        steps = np.arange(series.start, series.end + shape.horizon)
        columns = [np.zeros((len(steps), 0))]
        for period in shape.periods:
            if near(period) > 2:
                turn = 2 * math.pi * np.mod(steps, period) / period
                columns += [np.sin(turn)[:, None], np.cos(turn)[:, None]]
        parts.append(np.concatenate(columns, 1))
    return np.concatenate(parts).astype(np.float32)


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
