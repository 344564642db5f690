"""The rows of a series laid on its grid of time: sorted, repeats joined, gaps left open, the end found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ostinato.data.errors import DataError
from ostinato.data.frequency import Frequency, IrregularError, Steps, Times, infer, parse
from ostinato.data.records import Records, end_of
from ostinato.data.series import MOST_STEPS, Array, Series, lies_on
from ostinato.data.times import write

_LETTERS = {"fixed": "us", "month": "M", "business": "B", "count": "step"}
_ADVICE = "say --freq (for example D, h, 15min), with --duplicates mean where several rows fall into one step"


@dataclass(frozen=True)
class Done:
    """What was done to one series, in rows or steps.

    Attributes:
        sorted: rows that were earlier than the row before.
        joined: repeated times.
        moved: times that were put back onto the grid.
        filled: missing steps, and the first of them in words.
        missing: values that are missing in their rows.
        dropped: rows after the end that say nothing.
        ahead: steps by which covariates reach beyond the values.
    """

    sorted: int = 0
    joined: int = 0
    moved: int = 0
    filled: int = 0
    first: str = ""
    missing: int = 0
    dropped: int = 0
    ahead: int = 0


@dataclass(frozen=True)
class Points:
    """The rows of one series, in any order.

    Attributes:
        records: what they came from.
        id, name: of the series and of its values.
        times, rows, values: (rows,), as of `Records`.
        past, future: (rows, columns) or None; static: (columns,) or None.
        done: what was done so far.
    """

    records: Records
    id: str
    name: str
    times: Times
    rows: NDArray[np.int64]
    values: Array
    past: Array | None = None
    future: Array | None = None
    static: Array | None = None
    done: Done = Done()

    def label(self, place: int) -> str:
        """One time, as it was written."""
        return write(self.times[place : place + 1], self.records.style)[0]

    def error(self, found: str, todo: str, place: int, time: bool = True) -> DataError:
        """What is wrong in one row; the series is named where there are several."""
        found = f"in series {self.id!r}, {found}" if self.id else found
        column = self.records.time_column if time else self.name
        return DataError(self.records.source, found, todo, row=int(self.rows[place]), column=column)

    def taken(self, order: NDArray[np.int64]) -> Points:
        """Some rows, or all of them in another order."""
        past, future = (None if part is None else part[order] for part in (self.past, self.future))
        return replace(
            self, times=self.times[order], rows=self.rows[order], values=self.values[order], past=past, future=future
        )


def regular(many: Sequence[Points], freq: str | None, duplicates: str | None) -> list[tuple[Series, Done]]:
    """Each series on its grid; all grids have one unit and one spacing.

    Args:
        freq: the spacing (`--freq`); where left out, that of most of the series.
        duplicates: what becomes of several rows at one time: "mean", "last" or None, an error.

    Raises:
        DataError: repeated times without `duplicates`, or times on no grid, or on another than most are.
    """
    many = [_joined(_sorted(points), duplicates) for points in many]
    if freq is not None:
        return [_laid(points, _asked(points, freq), freq, duplicates) for points in many]
    own = [_inferred(points) for points in many]
    found = Counter((grid.unit, grid.every) for grid in own if grid)
    if not found:
        what = "one row of data, which tells no frequency"
        raise DataError(many[0].records.source, what, "give more rows, or --freq")
    common = Frequency(*found.most_common(1)[0][0])
    grids = [_agreed(points, grid, common) for points, grid in zip(many, own, strict=True)]
    return [_laid(points, grid, None, duplicates) for points, grid in zip(many, grids, strict=True)]


def spelled(grid: Frequency) -> str:
    """A grid's spacing in the words of `--freq`.

    >>> spelled(Frequency("month", 3))
    '3M'
    """
    return f"{grid.every}{_LETTERS[grid.unit]}"


def _sorted(points: Points) -> Points:
    steps = np.diff(points.times)
    moved = int((steps < np.zeros(1, steps.dtype)).sum())
    if not moved:
        return points
    order = np.argsort(points.times, kind="stable")
    return replace(points.taken(order), done=replace(points.done, sorted=moved))


def _joined(points: Points, duplicates: str | None, steps: Steps | None = None) -> Points:
    """One row a time; `steps` are the grid's, where several times share one."""
    keys = points.times if steps is None else steps
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    extra = len(keys) - len(first)
    if not extra:
        return points
    if duplicates is None:
        raise _repeated(points, int(np.flatnonzero(keys[1:] == keys[:-1])[0]) + 1, steps is not None)
    merged = {
        name: None if array is None else _merged(array, first, duplicates)
        for name, array in (("values", points.values), ("past", points.past), ("future", points.future))
    }
    done = replace(points.done, joined=points.done.joined + extra)
    return replace(points.taken(first), **merged, done=done)  # type: ignore[arg-type]


def _repeated(points: Points, place: int, shared: bool) -> DataError:
    where = "falls into one step with" if shared else "stands also in"
    found = f"the time {points.label(place)} {where} row {points.rows[place - 1]}"
    column = None if points.id else points.records.telling()
    todo = f"is it {column!r} that tells the series apart? say --id {column}; else" if column else "take it out, or"
    todo += " say --duplicates mean or --duplicates last"
    return points.error(found, todo, place)


def _merged(array: Array, first: NDArray[np.int64], how: str) -> Array:
    """The mean, or the last that is known, of the rows from each of `first` to the next."""
    known = ~np.isnan(array)
    if how == "mean":
        counts = np.add.reduceat(known.astype(np.int64), first, axis=0)
        sums = np.add.reduceat(np.where(known, array, 0.0), first, axis=0)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    rows = np.arange(len(array)).reshape(-1, *[1] * (array.ndim - 1))
    last = np.maximum.reduceat(np.where(known, rows, -1), first, axis=0)
    return np.where(last < 0, np.nan, np.take_along_axis(array, np.maximum(last, 0), axis=0))


def _asked(points: Points, freq: str) -> Frequency:
    """The grid of `--freq`, through the first time."""
    try:
        return parse(freq, points.times)
    except ValueError as error:
        found, _, todo = str(error).partition(": ")
        raise DataError(points.records.source, found, todo, column=points.records.time_column) from error


def _inferred(points: Points) -> Frequency | None:
    """The grid that the times tell; None where there is one row."""
    if not points.records.time_names:
        return Frequency("count", 1)
    if len(points.times) < 2:
        return None
    try:
        return infer(points.times)
    except IrregularError as error:
        raise points.error(f"{points.label(error.place)} comes {error}", _ADVICE, error.place) from error


def _agreed(points: Points, own: Frequency | None, common: Frequency) -> Frequency:
    """A series' own grid where it is as most are; few rows may lie on either."""
    if own and (own.unit, own.every) == (common.unit, common.every):
        return own
    grid = parse(spelled(common), points.times)
    if lies_on(grid, points.times):
        return grid
    what = f"steps are {own.words}" if own else f"{points.label(0)} is no step"
    what += f", those of most series are {common.words}"
    raise points.error(
        what, "take the series out, or say --freq (for example D, h, 15min)", min(1, len(points.rows) - 1)
    )


def _laid(points: Points, grid: Frequency, freq: str | None, duplicates: str | None) -> tuple[Series, Done]:
    if freq:
        moved = len(grid.off_grid(points.times))
        points = _joined(replace(points, done=replace(points.done, moved=moved)), duplicates, grid.steps(points.times))
    records, steps = points.records, grid.steps(points.times)
    start, length = int(steps[0]), _length(points, steps)
    places = steps - start
    values = _spread(points.values, places, length)
    past, future = (None if part is None else _spread(part, places, length) for part in (points.past, points.future))
    n = end_of(values)
    m = n if future is None else max(n, end_of(future))
    done = _done(points, places, grid, n, m)
    time_name = records.time_names[0] if len(records.time_names) == 1 else "time" if records.time_names else ""
    series = Series(
        values[:n], start, grid, points.name, time_name, records.style, id=points.id, static=points.static,
        past=None if past is None else past[:n], future=None if future is None else future[:m],
    )  # fmt: skip
    return series, done


def _length(points: Points, steps: Steps) -> int:
    length = int(steps[-1] - steps[0]) + 1
    if length > MOST_STEPS or length > 1000 * len(steps) + 100_000:
        place = int(np.diff(steps).argmax()) + 1
        found = f"{points.label(place)} leaves a gap of {int(np.diff(steps).max()):,} steps before it"
        raise points.error(found, "correct the time, or say a wider --freq", place)
    return length


def _spread(array: Array, places: Steps, length: int) -> Array:
    found = np.full((length, *array.shape[1:]), np.nan)
    found[places] = array
    return found


def _done(points: Points, places: Steps, grid: Frequency, n: int, m: int) -> Done:
    """What the grid shows: steps without a row, rows without a value, rows after the end."""
    inside = places[places < n]
    absent = n - len(inside)
    first = ""
    if absent:
        gap = int(np.flatnonzero(np.diff(inside) > 1)[0])
        step = inside[gap : gap + 1] + 1 + int(grid.steps(points.times[:1])[0])
        first = write(grid.times(step), points.records.style)[0]
    return replace(
        points.done, filled=absent, first=first, missing=int(np.isnan(points.values[places < n]).sum()),
        dropped=int((places >= m).sum()), ahead=m - n,
    )  # fmt: skip
