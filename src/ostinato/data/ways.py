"""Naive ways to go on, all of them at each origin: a network weighs them and corrects what they say.

    last[h] = d[T];  level[h] = mean of the last season;  season p[h] = d[T + h - m p], the last of them that is known
    moved p[h] = season p[h], lifted by as much as the level has moved since
    usual p[h] = mean of d[T + h - m p] over all whole seasons of the window

with T the step before the origin. Source of weighing forecasts: Bates and Granger (1969), The Combination of Forecasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.data.frequency import near


def names(periods: Sequence[float], look_back: int) -> tuple[str, ...]:
    """The ways that make sense with windows of `look_back` steps, the safest first.

    >>> names([24.0, 168.0], look_back=336)
    ('season 24', 'level', 'last', 'moved 24', 'season 168', 'moved 168', 'usual 24', 'usual 168')
    >>> names([], look_back=64)
    ('last', 'level')
    """
    whole = [near(period) for period in periods if near(period) <= look_back]
    if not whole:
        return "last", "level"
    later = [f"{way} {period}" for period in whole[1:] for way in ("season", "moved")]
    usual = [f"usual {period}" for period in whole if 2 * period <= look_back]
    return f"season {whole[0]}", "level", "last", f"moved {whole[0]}", *later, *usual


def views(names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Numbers of the ways that networks of different views weigh: all; usual seasons and levels; the level alone.

    Networks that see the same data through other ways err apart, so that their mean errs less.

    >>> views(names([24.0], look_back=96))
    ((0, 1, 2, 3, 4), (4, 1, 2), (1,))
    >>> views(names([], look_back=64))
    ((0, 1),)
    """
    every, place = tuple(range(len(names))), {name: k for k, name in enumerate(names)}
    if not any(name.startswith("season") for name in names):
        return (every,)
    usual = [k for name, k in place.items() if name.startswith("usual")]
    return every, *([(*usual, place["level"], place["last"])] if usual else []), (place["level"],)


class Ways:
    """The ways of some names: `ways(d, begin, origin)` continues flat values d.

    Args:
        names: as of `names`.
        periods: the seasons; levels are means over the first of them, over 16 steps where there is none.
        horizon: steps ahead.
        look_back: steps of a window, which usual seasons are told from.

    Raises:
        ValueError: a name that is none.

    >>> ways = Ways(("last", "season 2"), [2.0], horizon=3, look_back=4)
    >>> ways(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([[0]]), torch.tensor([[4]]))[0].T
    tensor([[4., 4., 4.],
            [3., 4., 3.]])
    """

    def __init__(self, names: Sequence[str], periods: Sequence[float], horizon: int, look_back: int) -> None:
        self.names, self.horizon, self.look_back = tuple(names), horizon, look_back
        self.span = near(periods[0]) if periods else 16
        for name in self.names:
            kind, _, number = name.partition(" ")
            if not (
                name in ("last", "level") or (kind in ("season", "moved", "usual") and number.isdigit() and int(number))
            ):
                raise ValueError(f"no way to go on is called {name!r}")

    def __call__(self, d: Tensor, begin: Tensor, origin: Tensor) -> Tensor:
        """d (values,); begin and origin (B, 1), places in d -> (B, horizon, ways)."""
        now = self._level(d, begin, origin)
        return torch.stack([self._way(name, d, begin, origin, now) for name in self.names], -1)

    def _way(self, name: str, d: Tensor, begin: Tensor, origin: Tensor, now: Tensor) -> Tensor:
        if name == "last":
            return d[origin - 1].expand(-1, self.horizon)
        if name == "level":
            return now.expand(-1, self.horizon)
        period = int(name.split()[1])
        if name.startswith("usual"):
            return self._usual(period, d, begin, origin)
        places = origin - period + torch.arange(self.horizon) % period
        # Where the series is younger than that, its last value.
        again = torch.where(places >= begin, d[torch.maximum(places, begin)], d[origin - 1])
        if name.startswith("season"):
            return again
        then = self._level(d, begin, torch.maximum(origin - period, begin + 1))
        return again + torch.where(origin - period > begin, now - then, 0)

    def _usual(self, period: int, d: Tensor, begin: Tensor, origin: Tensor) -> Tensor:
        """Phase by phase the mean over the seasons of a window that lie within the series."""
        total = torch.zeros(len(origin), period, dtype=d.dtype)
        count = torch.zeros(len(origin), period)
        for k in range(1, self.look_back // period + 1):
            places = origin - k * period + torch.arange(period)
            inside = places >= begin
            total += torch.where(inside, d[torch.maximum(places, begin)], 0)
            count += inside
        mean = torch.where(count > 0, total / count.clamp(min=1), d[origin - 1])
        return mean[:, torch.arange(self.horizon) % period]

    def _level(self, d: Tensor, begin: Tensor, origin: Tensor) -> Tensor:
        """(B, 1) the mean of the last `span` values before an origin, fewer at a series' begin."""
        places = origin - torch.arange(1, self.span + 1)
        inside = places >= begin
        return torch.where(inside, d[torch.maximum(places, begin)], 0).sum(1, keepdim=True) / inside.sum(
            1, keepdim=True
        )
