"""One series on its grid of time: every step there, none twice, NaN where nothing was observed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ostinato.data.errors import DataError
from ostinato.data.frequency import Frequency, IrregularError, Times, infer, parse
from ostinato.data.points import Points
from ostinato.data.times import write

Array = NDArray[np.float64]
MOST_STEPS = 50_000_000
LARGEST = 1e100  # its square is still a number


@dataclass(frozen=True)
class Series:
    """Values at even steps of time.

    Attributes:
        values: (time,), NaN where nothing was observed.
        start: the step of the first value, on the grid.
        frequency: the grid.
        name, time_name: of the columns.
        style: how the file wrote times, a key of `times.STYLES`.
        notes: what was done to the data, each a sentence without a stop.

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

    @classmethod
    def of(cls, values: object, name: str = "y") -> Series:
        """Values without dates, steps counted from 1."""
        return cls(np.asarray(values, dtype=np.float64), 1, Frequency("count", 1), name)

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
        return np.interp(np.arange(len(self)), places, self.values[places])

    def head(self, steps: int) -> Series:
        """The first steps."""
        return replace(self, values=self.values[:steps])

    def tail(self, steps: int) -> Series:
        """The last steps."""
        first = len(self) - steps
        return replace(self, values=self.values[first:], start=self.start + first)

    def then(self, later: Series, source: str) -> Series:
        """This series and one that goes on from it; steps between them are not observed.

        Raises:
            DataError: the later one has another grid, or begins before this one ends.
        """
        if later.frequency != self.frequency:
            found = f"steps are {later.frequency.words}, those before are {self.frequency.words}"
            raise DataError(source, found, "give data of the same frequency, on the same grid")
        if later.start < self.end:
            first, last = later.label(later.start), self.label(self.end - 1)
            raise DataError(source, f"begins at {first}, the data before end at {last}", "give what comes after")
        gap = np.full(later.start - self.end, np.nan)
        return replace(self, values=np.concatenate([self.values, gap, later.values]))

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


def regular(points: Points, freq: str | None = None, duplicates: str | None = None) -> Series:
    """Sort, join repeated times, and lay the points on their grid; what was done is noted.

    Args:
        freq: the grid's spacing (`--freq`); inferred where left out.
        duplicates: what becomes of several values at one time: "mean", "last" or None, an error.

    Raises:
        DataError: repeated times without `duplicates`, times on no grid, or no value at all.
    """
    if np.isnan(points.values).all():
        raise DataError(points.source, "holds no values", "give at least one", column=points.name)
    huge = np.flatnonzero(np.abs(points.values) > LARGEST)
    if len(huge):
        found = f"{points.values[huge[0]]:g}, beyond {LARGEST:g}"
        raise DataError(points.source, found, "use larger units", row=int(points.rows[huge[0]]), column=points.name)
    points, notes = _sorted(points)
    points, joined = _joined(points, duplicates, freq)
    grid, moved = _grid(points, freq)
    steps = grid.steps(points.times)
    if moved and len(np.unique(steps)) < len(steps):
        points, joined = _joined(points, duplicates, freq, steps)
        steps = np.unique(steps)
    values = _placed(points, steps)
    notes += [*joined, *moved, *_gaps(points, len(values), grid)]
    time = f"{len(values)} steps, {grid.words}"
    return Series(
        values, int(steps[0]), grid, points.name, points.time_name, points.style, (*points.notes, time, *notes)
    )


def _sorted(points: Points) -> tuple[Points, list[str]]:
    moved = int((np.diff(points.times) < np.zeros(1, np.diff(points.times).dtype)).sum())
    if not moved:
        return points, []
    order = np.argsort(points.times, kind="stable")
    return _taken(points, order), [f"sorted the rows by time ({moved} were earlier than the row before)"]


def _taken(points: Points, order: NDArray[np.int64]) -> Points:
    return replace(points, times=points.times[order], values=points.values[order], rows=points.rows[order])


def _joined(
    points: Points, duplicates: str | None, freq: str | None, keys: NDArray[np.int64] | None = None
) -> tuple[Points, list[str]]:
    """One value a time; `keys` are the grid's steps where several times share one."""
    keys = points.times if keys is None else keys
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    extra = len(keys) - len(first)
    if not extra:
        return points, []
    if duplicates is None:
        place = int(np.flatnonzero(keys[1:] == keys[:-1])[0]) + 1
        when = points.label(place)
        where = "falls into one step with" if freq else "stands also in"
        found = f"the time {when} {where} row {points.rows[place - 1]}"
        todo = "take it out, or say --duplicates mean or --duplicates last"
        raise DataError(points.source, found, todo, row=int(points.rows[place]), column=points.time_name or None)
    ends = np.append(first[1:], len(keys))
    if duplicates == "last":
        values = np.array([_last(points.values[a:b]) for a, b in zip(first, ends, strict=True)])
    else:
        known = ~np.isnan(points.values)
        sums = np.add.reduceat(np.where(known, points.values, 0.0), first)
        counts = np.add.reduceat(known.astype(np.int64), first)
        values = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    joined = replace(_taken(points, first), values=values)
    return joined, [f"joined {extra} repeated times (--duplicates {duplicates})"]


def _last(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else float("nan")


def _grid(points: Points, freq: str | None) -> tuple[Frequency, list[str]]:
    """The grid, and what to say where times were moved onto it."""
    if freq is not None:
        grid = parse(freq, points.times)
        moved = len(grid.off_grid(points.times))
        return grid, [f"moved {moved} times back onto the grid (--freq {freq})"] * bool(moved)
    if len(points.times) < 2:
        raise DataError(points.source, "one row of data, which tells no frequency", "give more rows, or --freq")
    try:
        return infer(points.times), []
    except IrregularError as error:
        when = points.label(error.place)
        todo = "say --freq (for example D, h, 15min), with --duplicates mean where several rows fall into one step"
        row, column = int(points.rows[error.place]), points.time_name or None
        raise DataError(points.source, f"{when} comes {error}", todo, row=row, column=column) from error


def _placed(points: Points, steps: NDArray[np.int64]) -> Array:
    length = int(steps[-1] - steps[0]) + 1
    if length > MOST_STEPS or length > 1000 * len(steps) + 100_000:
        place = int(np.diff(steps).argmax()) + 1
        when = points.label(place)
        found = f"{when} leaves a gap of {int(np.diff(steps).max()):,} steps before it"
        todo = "correct the time, or say a wider --freq"
        raise DataError(points.source, found, todo, row=int(points.rows[place]), column=points.time_name or None)
    values = np.full(length, np.nan)
    values[steps - steps[0]] = points.values
    return values


def _gaps(points: Points, length: int, grid: Frequency) -> list[str]:
    absent = length - len(points.values)
    if not absent:
        return []
    steps = grid.steps(points.times)
    place = int(np.flatnonzero(np.diff(steps) > 1)[0])
    first = write(grid.times(steps[place : place + 1] + 1), points.style)[0]
    return [f"filled {absent} missing steps by straight lines, first {first}; they are neither learnt from nor scored"]
