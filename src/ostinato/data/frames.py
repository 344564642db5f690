"""Points out of what a Python session holds: pandas and polars frames and series, numpy arrays, lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.columns import Column, choose, style_of
from ostinato.data.errors import DataError, shown
from ostinato.data.frequency import Times
from ostinato.data.numbers import numbers
from ostinato.data.points import SAMPLE, Points
from ostinato.data.times import missing


@dataclass(frozen=True)
class Table:
    """Columns by place, whatever library they came from; an index of times is the first column."""

    source: str
    names: list[str]
    columns: list[NDArray[Any]]

    def roles_columns(self) -> list[Column]:
        return [_column(name, values) for name, values in zip(self.names, self.columns, strict=True)]


def read_frame(data: Any, *, time: str | None = None, target: str | None = None) -> Points:
    """Points of a pandas or polars frame or series, of an array or a list; the data are not changed.

    A pandas index of times or periods is the time. An array (time,) or (time, 1) has steps without dates.

    Raises:
        DataError: no such data, or a cell is not what its column asks for; its row is counted from 0.

    >>> read_frame([3.0, None, 5.0]).values.tolist()
    [3.0, nan, 5.0]
    """
    table = _table(data)
    if not table.columns or not len(table.columns[0]):
        raise DataError(table.source, "is empty", "give at least two rows")
    roles = choose(table.roles_columns(), table.source, time, target)
    values = _values(table, roles.target)
    if roles.time is None:
        times: Times = np.arange(1, len(values) + 1)
        return Points(table.source, "", table.names[roles.target], times, values, _rows(values), "step", roles.notes)
    times, style = _times(table, roles.time)
    name = table.names[roles.target]
    return Points(table.source, table.names[roles.time], name, times, values, _rows(values), style, roles.notes)


def _rows(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.arange(len(values))


def _table(data: Any) -> Table:
    library = type(data).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(data)
    if library == "polars":
        frame = data.to_frame() if type(data).__name__ == "Series" else data
        return Table("frame", list(frame.columns), [frame[name].to_numpy() for name in frame.columns])
    try:
        values = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        found = f"{type(data).__name__} that is no array of numbers ({error})"
        raise DataError("array", found, "give a path, a pandas or polars frame, or numbers (time,)") from error
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError("array", f"shape {values.shape}", "give one series, (time,), or a frame and target=")
    return Table("array", ["y"], [values])


def _pandas(data: Any) -> Table:
    import pandas as pd

    frame = data.to_frame(name="y" if data.name is None else data.name) if isinstance(data, pd.Series) else data
    names, columns = [str(name) for name in frame.columns], [frame.iloc[:, k] for k in range(frame.shape[1])]
    if isinstance(frame.index, (pd.DatetimeIndex, pd.PeriodIndex)):
        names.insert(0, str(frame.index.name or "time"))
        columns.insert(0, frame.index.to_series())
    return Table("frame", names, [_plain(column) for column in columns])


def _plain(column: Any) -> NDArray[Any]:
    """A pandas column as numpy: periods by their begin, zoned times in UTC, masked numbers with NaN."""
    import pandas as pd

    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=object)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy()


def _column(name: str, values: NDArray[Any]) -> Column:
    if values.dtype.kind == "M":
        return Column(name, numeric=False, dates=True)
    if values.dtype.kind in "iuf":
        return Column(name, numeric=True, dates=False)
    return Column.of(name, _cells(values[:SAMPLE]))


def _cells(values: NDArray[Any]) -> list[str]:
    return ["" if value is None or value != value else str(value) for value in values.tolist()]


def _values(table: Table, place: int) -> NDArray[np.float64]:
    column = table.columns[place]
    if column.dtype.kind in "iuf":
        values, bad = column.astype(np.float64), np.flatnonzero(np.isinf(column.astype(np.float64))).tolist()
    else:
        values, bad = numbers(_cells(column))
    if bad:
        found = f"found {shown(column[bad[0]])}, which is not a finite number"
        raise DataError(table.source, found, "correct it, or make it NaN", row=bad[0], column=table.names[place])
    return values


def _times(table: Table, place: int) -> tuple[Times, str]:
    column, name = table.columns[place], table.names[place]
    if column.dtype.kind == "M":
        times, key = column.astype("M8[us]"), "iso"
    else:
        cells = _cells(column) if column.dtype.kind not in "iuf" else [f"{value:.15g}" for value in column.tolist()]
        style = style_of(cells[:SAMPLE])
        if style is None:
            found = f"no times that are understood ({shown(cells[0])})"
            raise DataError(table.source, found, "make them datetime64", column=name)
        times, key = style.parse(cells), style.key
    wrong = np.flatnonzero(missing(times))
    if len(wrong):
        found = f"found {shown(column[wrong[0]])}, which is no time"
        raise DataError(table.source, found, "correct it, or take the row out", row=int(wrong[0]), column=name)
    return times, key
