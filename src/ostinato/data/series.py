"""One series on its grid of time: every step there, none twice, NaN where nothing was observed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ostinato.data.errors import DataError
from ostinato.data.frequency import Frequency, Times
from ostinato.data.times import write

Array = NDArray[np.float64]
MOST_STEPS = 50_000_000


@dataclass(frozen=True)
class Series:
    """Values at even steps of time, and what goes with them.

    Attributes:
        values: (time,), NaN where nothing was observed; none at all where a table only says what lies ahead.
        start: the step of the first value, on the grid.
        frequency: the grid.
        name, time_name: of the columns.
        style: how the file wrote times, a key of `times.STYLES`.
        notes: what was done to the data, each a sentence without a stop.
        id: which of several; "" where there is one.
        past: (time, P), covariates known up to now, NaN where missing; None: there are none.
        future: (time + more, F), covariates known ahead, which may reach beyond the values.
        static: (S,), what holds at all times.

    >>> series = Series.of([5.0, float("nan"), 7.0])
    >>> series.filled().tolist(), series.labels(2)
    ([5.0, 6.0, 7.0], ['4', '5'])
    """

    values: Array
    start: int
    frequency: Frequency
    name: str = "y"
    time_name: str = ""
    style: str = "step"
    notes: tuple[str, ...] = ()
    id: str = ""
    past: Array | None = None
    future: Array | None = None
    static: Array | None = None

    @classmethod
    def of(cls, values: object, name: str = "y", id: str = "") -> Series:
        """Values without dates, steps counted from 1."""
        return cls(np.asarray(values, dtype=np.float64), 1, Frequency("count", 1), name, id=id)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def end(self) -> int:
        """The step after the last."""
        return self.start + len(self)

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Where there is a value."""
        return ~np.isnan(self.values)

    def filled(self) -> Array:
        """The values, gaps bridged by straight lines, level before the first and after the last."""
        places = np.flatnonzero(self.observed)
        if not len(places):
            return np.zeros(len(self))
        return np.interp(np.arange(len(self)), places, self.values[places])

    def head(self, steps: int) -> Series:
        """The first steps; what is known ahead of them stays known."""
        return replace(self, values=self.values[:steps], past=None if self.past is None else self.past[:steps])

    def tail(self, steps: int) -> Series:
        """The last steps."""
        first = len(self) - steps
        past, future = (None if part is None else part[first:] for part in (self.past, self.future))
        return replace(self, values=self.values[first:], start=self.start + first, past=past, future=future)

    def then(self, later: Series, source: str) -> Series:
        """This series and one that goes on from it; steps between them are not observed.

        What was known ahead is replaced, from this series' end on, by what the later one says.

        Raises:
            DataError: the later one has another grid, begins before this one ends, or has other covariates.
        """
        later = _on(later, self.frequency)
        if later.frequency != self.frequency:
            found = f"steps are {later.frequency.words}, those before are {self.frequency.words}"
            raise DataError(source, found, "give data of the same frequency, on the same grid")
        gap = later.start - self.end
        if len(later) and not 0 <= gap <= MOST_STEPS:
            first, last = later.label(later.start), self.label(self.end - 1)
            raise DataError(source, f"begins at {first}, the data before end at {last}", "give what comes after")
        for kind in ("past", "future", "static"):
            _same_width(getattr(self, kind), getattr(later, kind), kind, source)
        absent = np.full(gap if len(later) else 0, np.nan)
        values = np.concatenate([self.values, absent, later.values])
        past, future = self._past(later, len(absent)), self._future(later, len(values))
        return replace(
            self, values=values, past=past, future=future, static=later.static if self.static is None else self.static
        )

    def _past(self, later: Series, gap: int) -> Array | None:
        parts = [(self.past, len(self)), (None, gap), (later.past, len(later))]
        width = next((part.shape[1] for part, _ in parts if part is not None), None)
        if width is None:
            return None
        return np.concatenate([np.full((n, width), np.nan) if part is None else part for part, n in parts])

    def _future(self, later: Series, length: int) -> Array | None:
        """Own covariates up to the own end, where there are any; those of the later one from there on."""
        if self.future is None and later.future is None:
            return None
        width = (self.future if self.future is not None else later.future).shape[1]  # type: ignore[union-attr]
        own, new = (np.empty((0, width)) if part is None else part for part in (self.future, later.future))
        first = later.start - self.start
        found = np.full((max(len(own), first + len(new), length), width), np.nan)
        found[: len(own)] = own
        new = new[max(0, -first) :]
        first = max(0, first)
        known = ~np.isnan(found[first : first + len(new)])
        known[max(0, len(self) - first) :] = False
        found[first : first + len(new)] = np.where(known | np.isnan(new), found[first : first + len(new)], new)
        return found

    def times(self, ahead: int = 0) -> Times:
        """The moment of each step, or with `ahead` those of the steps that follow."""
        first, count = (self.end, ahead) if ahead else (self.start, len(self))
        return self.frequency.times(np.arange(first, first + count))

    def labels(self, ahead: int = 0) -> list[str]:
        """The same in words."""
        return write(self.times(ahead), self.style)

    def label(self, step: int) -> str:
        """One step in words."""
        return write(self.frequency.times(np.array([step])), self.style)[0]


def carried(array: Array) -> Array:
    """Columns whose NaN were bridged by the value before, at the begin by the one after; 0 where there is none.

    Args:
        array: (time, columns).

    >>> nan = float("nan")
    >>> carried(np.array([[nan, nan], [1.0, nan], [nan, nan], [2.0, nan]])).tolist()
    [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]]
    """
    if not len(array):
        return array.copy()
    known = ~np.isnan(array)
    last = np.maximum.accumulate(np.where(known, np.arange(len(array))[:, None], -1), axis=0)
    found = np.take_along_axis(array, np.where(last < 0, known.argmax(0), last), axis=0)
    return np.where(np.isnan(found), 0.0, found)


def lies_on(grid: Frequency, times: Times) -> bool:
    """Whether moments, in order, are steps of a grid without a gap.

    >>> lies_on(Frequency("business", 1), np.array(["2024-01-05", "2024-01-08"], "M8[us]"))
    True
    """
    if (grid.unit == "count") != (times.dtype.kind == "i"):
        return False
    steps = grid.steps(times)
    return bool((np.diff(steps) == 1).all() and (grid.times(steps) == times).all())


def _on(series: Series, grid: Frequency) -> Series:
    """Few rows may tell another grid than many: five days are daily, or Monday to Friday."""
    count = max(len(series), 0 if series.future is None else len(series.future))
    times = series.frequency.times(np.arange(series.start, series.start + count))
    if series.frequency == grid or not count or not lies_on(grid, times):
        return series
    return replace(series, start=int(grid.steps(times[:1])[0]), frequency=grid)


def _same_width(own: Array | None, new: Array | None, kind: str, source: str) -> None:
    if own is not None and new is not None and own.shape[-1] != new.shape[-1]:
        found = f"{new.shape[-1]} {kind} covariates, the data before have {own.shape[-1]}"
        raise DataError(source, found, "give the same columns, coded in the same way")
