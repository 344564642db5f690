"""How good forecasts are: every held-out step forecast from what lies before it, by us and by the baselines."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato import metrics
from ostinato.data import DataError, Panel
from ostinato.data.outlook import Outlook
from ostinato.data.series import carried
from ostinato.tasks.forecasting.learnt import Forecast, Learnt

Array = NDArray[np.float64]

CLASSICAL = ("naive", "seasonal_naive", "drift", "markov_chain")
SLOW = ("auto_arima", "auto_ets")
BASELINES = (*CLASSICAL, "naive2", *SLOW, "outlook", "feed_forward")
ON_REQUEST = ("tcn",)  # takes as long to learn as the forecaster itself
SECONDS = 30.0  # that each slow baseline may take


class Told(NamedTuple):
    """Forecasts of the held-out part of one series.

    Attributes:
        point: (steps,), NaN where a baseline was left out.
        low, high: (levels, steps).
    """

    point: Array
    low: Array
    high: Array


class Held(NamedTuple):
    """What is held out: of each series the steps from a place on; series with nothing after it are not measured."""

    panel: Panel
    first: tuple[int, ...]
    horizon: int
    season: int
    levels: tuple[float, ...]

    @property
    def rows(self) -> list[int]:
        """The series that are measured."""
        return [k for k, (s, first) in enumerate(zip(self.panel, self.first, strict=True)) if first < len(s)]

    @property
    def target(self) -> list[Array]:
        """(steps,) of each measured series."""
        return [self.panel[k].values[self.first[k] :] for k in self.rows]

    @property
    def before(self) -> list[Array]:
        """What lies before, of each measured series."""
        return [self.panel[k].values[: self.first[k]] for k in self.rows]

    def standing(self) -> list[Array]:
        """(steps,) of each measured series the last value before the forecast that a step belongs to."""
        found = []
        for k, target in zip(self.rows, self.target, strict=True):
            origins = self.first[k] + np.arange(len(target)) // self.horizon * self.horizon
            found.append(carried(self.panel[k].values[:, None])[origins - 1, 0])
        return found

    def blocks(self) -> Iterator[tuple[int, Panel]]:
        """Origin after origin, a horizon apart: which they are, and the measured series cut at them."""
        chosen = Panel(tuple(self.panel[k] for k in self.rows), self.panel.coding)
        most = max(len(target) for target in self.target)
        for block in range(-(-most // self.horizon)):
            ends = [min(self.first[k] + block * self.horizon, len(self.panel[k])) for k in self.rows]
            yield block, chosen.heads(ends)

    def told(self, blocks: Sequence[Forecast]) -> list[Told]:
        """One forecast a block, each of all measured series, as one a series."""
        found = []
        for row, target in enumerate(self.target):
            n = len(target)
            point = np.concatenate([block.point[row] for block in blocks])[:n]
            low, high = (
                np.concatenate([getattr(b, side)[:, row] for b in blocks], 1)[:, :n] for side in ("low", "high")
            )
            found.append(Told(point, low, high))
        return found


def refuse_unmeasured(panel: Panel, first: Sequence[int], source: str) -> None:
    """There must be something to measure by.

    Raises:
        DataError: no value was observed in what is held out.
    """
    if not any(series.observed[k:].any() for series, k in zip(panel, first, strict=True)):
        found = f"nothing was observed of {panel.name!r} in what is held out"
        raise DataError(source or panel.source or panel.name, found, "give a longer one, or another --test FILE")


def rolled(learnt: Learnt, held: Held) -> list[Told]:
    """Ours: each horizon from what lies before it alone."""
    return held.told([learnt.forecast(panel) for _, panel in held.blocks()])


Said = dict[str, tuple[list[Told] | None, list[str]]]  # what a baseline told, and what is to be said of it


class Slow:
    """The slow baselines, run beside the training: they have processes of their own, and need nothing that is learnt.

    Args:
        held: what they forecast.
        asked: names; all where left out.
    """

    def __init__(self, held: Held, asked: Sequence[str] = ()) -> None:
        self._names = [name for name in SLOW if name in (asked or BASELINES)]
        self._found: Said = {}
        self._error: BaseException | None = None
        # A daemon: whoever interrupts the training need not wait for ARIMA.
        self._thread = threading.Thread(target=self._run, args=(held,), daemon=True)
        self._thread.start()

    def _run(self, held: Held) -> None:
        try:
            cut = list(held.blocks())
            self._found = {name: _classical(name, held, cut) for name in self._names}
        except BaseException as error:
            self._error = error

    def result(self) -> Said:
        """What came of them, once they are through."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found


def baselines(
    held: Held, learnt: Learnt, rivals: Mapping[str, Learnt], asked: Sequence[str] = (), slow: Slow | None = None
) -> tuple[dict[str, list[Told]], list[str]]:
    """The others on the same origins, and what is to be said of them.

    Args:
        rivals: the networks that were trained beside it, by their names.
        asked: names; all where left out.
        slow: those that run already, where they do.
    """
    found: dict[str, list[Told]] = {}
    said = []
    asked = asked or BASELINES
    cut = list(held.blocks())
    names = [name for name in (*CLASSICAL, *(["naive2"] if held.season > 1 else [])) if name in asked]
    for name, (told, notes) in (
        {name: _classical(name, held, cut) for name in names} | (slow or Slow(held, asked)).result()
    ).items():
        said += notes
        if told is not None:
            found[name] = told
    if not learnt.plan.ways and "outlook" in asked:
        found["outlook"] = held.told([_outlook(panel, learnt) for _, panel in cut])
    return found | {name: rolled(rival, held) for name, rival in rivals.items()}, said


def _classical(name: str, held: Held, cut: list[tuple[int, Panel]]) -> tuple[list[Told] | None, list[str]]:
    """One baseline: of every k-th series, where all would take too long; None where there is nothing to show."""
    from ostinato.baselines import budget, get

    count, kind = len(held.rows), get(name)
    histories = [[_observed(series.values) for series in panel] for _, panel in cut]
    costs = [sum(kind.cost(len(block[row]), held.season) for block in histories) for row in range(count)]
    rows = budget.chosen(costs, SECONDS)
    if not len(rows):
        return None, [f"{name} was left out: a single series would take about {min(costs):,.0f} s"]
    asked = [block[row] for block in histories for row in rows]
    points, note = budget.forecasts(name, asked, held.season, held.horizon, SECONDS)
    notes = [note] * bool(note)
    if len(rows) < count:
        notes.append(f"{name} was run on {len(rows)} of {count} series: all would take about {sum(costs):,.0f} s")
    full = np.full((len(cut), count, held.horizon), np.nan)
    for place, point in enumerate(points):
        if point is not None:
            full[place // len(rows), rows[place % len(rows)]] = point
    none = np.empty((0, count, held.horizon))
    told = held.told([Forecast(block, none, none) for block in full])
    return (told if any(not np.isnan(t.point).any() for t in told) else None), notes


def _observed(values: Array) -> Array:
    """A history from its first value on."""
    seen = np.flatnonzero(~np.isnan(values))
    return values[seen[0] :] if len(seen) else np.zeros(1)


def _outlook(panel: Panel, learnt: Learnt) -> Forecast:
    """What the networks correct, without them."""
    horizon, periods = learnt.plan.horizon, list(learnt.plan.periods)
    points = np.array([Outlook.of(s, horizon, periods, learnt.log).forecast(s) for s in panel])
    none = np.empty((0, *points.shape))
    return Forecast(points, none, none)


# ---- scores


def scores(told: Sequence[Told], held: Held, reference: Sequence[Told] | None = None) -> dict[str, float]:
    """The metrics over all series; smape, mase and owa are means over series, as the M4 competition takes them.

    Args:
        reference: Naive2's forecasts, which owa is relative to; none: no owa.

    Raises:
        DataError: nothing was observed in the held-out part.
    """
    target = held.target
    known = [~np.isnan(y) & ~np.isnan(t.point) for y, t in zip(target, told, strict=True)]
    if not any(mask.any() for mask in known):
        raise DataError(held.panel.source or held.panel.name, "nothing was observed in what is held out", "give more")
    points = [t.point for t in told]
    y, p = (np.concatenate([x[m] for x, m in zip(side, known, strict=True)]) for side in (target, points))
    named = {"mae": metrics.mae(p, y), "rmse": metrics.rmse(p, y), "mse": metrics.mse(p, y)}
    named |= _by_series(points, held, reference)
    last = np.concatenate([x[m] for x, m in zip(held.standing(), known, strict=True)])
    named["direction"] = metrics.direction(p, y, last) if (y != last).any() else math.nan
    return named | _coverage(told, target, held.levels)


def _by_series(points: list[Array], held: Held, reference: Sequence[Told] | None) -> dict[str, float]:
    target, before = held.target, held.before
    named = {"smape": _mean(metrics.smape_each(points, target))}
    named["mase"] = _mean(metrics.mase_each(points, target, before, held.season))
    if reference is not None:
        theirs = [t.point for t in reference]
        smape = _mean(metrics.smape_each(theirs, target))
        mase = _mean(metrics.mase_each(theirs, target, before, held.season))
        named["owa"] = (named["smape"] / smape + named["mase"] / mase) / 2 if smape and mase else math.nan
    return named


def _mean(values: Array) -> float:
    seen = values[~np.isnan(values)]
    return float(seen.mean()) if len(seen) else math.nan


def _coverage(told: Sequence[Told], target: list[Array], levels: tuple[float, ...]) -> dict[str, float]:
    if not len(told[0].low):
        return {}
    named: dict[str, float] = {}
    y = np.concatenate(target)
    for k, level in enumerate(levels):
        low, high = (np.concatenate([getattr(t, side)[k] for t in told]) for side in ("low", "high"))
        share = metrics.coverage(low, high, y)
        named |= {f"coverage_{level:g}": share} if k else {"coverage": share, f"coverage_{level:g}": share}
    return named


def only(held: Held, told: Sequence[Told], by: Sequence[Told]) -> tuple[Held, list[Told], list[Told]]:
    """The series that a baseline was run on: what is held out of them, our forecasts of them and its own."""
    rows = [k for k, t in enumerate(by) if not np.isnan(t.point).any()]
    panel = Panel(tuple(held.panel[held.rows[k]] for k in rows), held.panel.coding)
    first = tuple(held.first[held.rows[k]] for k in rows)
    return held._replace(panel=panel, first=first), [told[k] for k in rows], [by[k] for k in rows]
