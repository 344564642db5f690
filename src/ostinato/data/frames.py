"""Rows out of what a Python session holds: pandas and polars frames and series, numpy arrays, lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.clock import Clock, joined
from ostinato.data.coding import Cells, Vocabulary
from ostinato.data.columns import Asked, Column, Roles, choose, is_wide, names_series
from ostinato.data.errors import DataError, shown
from ostinato.data.frequency import Times
from ostinato.data.numbers import numbers
from ostinato.data.panel import several
from ostinato.data.points import SAMPLE
from ostinato.data.records import LARGEST, Records, long
from ostinato.data.times import missing

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Columns by place, whatever library they came from; an index of times or ids is among the first columns."""

    source: str
    names: list[str]
    columns: list[NDArray[Any]]

    def described(self) -> list[Column]:
        """What there is to choose from."""
        return [_column(name, values) for name, values in zip(self.names, self.columns, strict=True)]


def read_frame(
    data: Any, asked: Asked | None = None, *, words: dict[str, bool] | None = None, name: str = ""
) -> Records:
    """Rows of a pandas or polars frame or series, of an array or a list; the data are not changed.

    A pandas index of times or periods is the time. An array is (time,) or (time, series), a list of arrays
    holds one series each; both have steps without dates.

    Args:
        asked, words, name: see `points.read_csv`.

    Raises:
        DataError: no such data, or a cell is not what its column asks for; its row is counted from 0.

    >>> read_frame([3.0, None, 5.0]).targets[0].values.tolist()
    [3.0, nan, 5.0]
    """
    asked, words = asked or Asked(), words or {}
    if several(data):
        return _series(data, asked, name or "array")
    table = _table(data, asked, name)
    if not table.columns or not len(table.columns[0]):
        raise DataError(table.source, "is empty", "give at least two rows")
    if is_wide(table.names, asked) and names_series(_column(table.names[0], table.columns[0])):
        return _wide(table)
    columns = table.described()
    roles = choose(columns, table.source, asked, header=None)
    cells = {place: _numbers(table, place) for place in roles.target}
    for place in roles.covariates:
        wordy = words.get(table.names[place], columns[place].words)
        cells[place] = _words(table, place) if wordy else _numbers(table, place)
    target, past, future, static = (
        tuple(cells[place] for place in places) for places in (roles.target, roles.past, roles.future, roles.static)
    )
    times, key = _times(table, roles.time) if roles.time else (None, "step")
    time_names = tuple(table.names[place] for place in roles.time)
    id = None if roles.id is None else _id(table, roles.id)
    return Records(
        table.source, np.arange(len(table.columns[0])), times, time_names, key, target, id, past, future, static,
        roles.notes, lambda: _others(table, columns, roles),
    )  # fmt: skip


def _series(data: Any, asked: Asked, source: str) -> Records:
    """Arrays side by side, or in a list: each a series."""
    choose([Column("y", numeric=True, dates=False)], source, asked, header=None)
    parts = data.T if isinstance(data, np.ndarray) else data
    found = [_table(part, asked, source).columns[0] for part in parts]
    ids = [str(k + 1) for k in range(len(found))] if len(found) > 1 else [""]
    if not sum(map(len, found)):
        raise DataError(source, "is empty", "give at least two rows")
    values = [_numbers(Table(source, [f"series {id}"], [part]), 0).values for id, part in zip(ids, found, strict=True)]
    return long(values, np.zeros(len(found), np.int64), ids, Records(source, np.empty(0, np.int64)))


def _wide(table: Table) -> Records:
    """A row is a series: its id, then its values, padded at the end."""
    ids = _id(table, 0)
    codes = ids.values.astype(np.int64)
    if len(set(codes.tolist())) < len(codes):
        row = next(k for k, code in enumerate(codes) if code in codes[:k])
        found = f"{ids.word(row)!r} stands also in row {codes.tolist().index(codes[row])}"
        raise DataError(table.source, found, "rename it", row=row, column=table.names[0])
    values = np.stack([_numbers(table, place).values for place in range(1, len(table.names))], axis=1)
    took = f"took each row as a series, its id from '{table.names[0]}', its values from '{table.names[1]}' on"
    records = Records(table.source, np.empty(0, np.int64), notes=(took,))
    return long(list(values), np.arange(len(codes)), [ids.word(row) for row in range(len(codes))], records)


def _table(data: Any, asked: Asked, name: str) -> Table:
    library = type(data).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(data, asked, name or "frame")
    if library == "polars":
        frame = data.to_frame() if type(data).__name__ == "Series" else data
        return Table(name or "frame", list(frame.columns), [frame[column].to_numpy() for column in frame.columns])
    try:
        values = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        found = f"{type(data).__name__} that is no array of numbers ({error})"
        raise DataError(name or "array", found, "give a path, a pandas or polars frame, or numbers (time,)") from error
    if values.ndim != 1:
        todo = "give (time,), (time, series), or a frame and target="
        raise DataError(name or "array", f"shape {values.shape}", todo)
    return Table(name or "array", ["y"], [values])


def _pandas(data: Any, asked: Asked, source: str) -> Table:
    import pandas as pd

    frame = data.to_frame(name="y" if data.name is None else data.name) if isinstance(data, pd.Series) else data
    names, columns = [str(name) for name in frame.columns], [frame.iloc[:, k] for k in range(frame.shape[1])]
    wanted = {"unique_id", "ds", *asked.id, *asked.time, *asked.static}
    for level in reversed(range(frame.index.nlevels)):
        index = frame.index.get_level_values(level)
        timely = isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex))
        if timely or frame.index.nlevels > 1 or index.name in wanted:
            names.insert(0, str(index.name or ("time" if timely else f"level {level}")))
            columns.insert(0, index.to_series())
    return Table(source, names, [_plain(column) for column in columns])


def _plain(column: Any) -> NDArray[Any]:
    """A pandas column as numpy: periods by their begin, zoned times in UTC, masked numbers with NaN."""
    import pandas as pd

    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return column.to_numpy()
    if pd.api.types.is_bool_dtype(column.dtype) or not pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=object, na_value=None)
    if pd.api.types.is_integer_dtype(column.dtype) and not column.hasnans:
        return column.to_numpy(dtype=np.int64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _column(name: str, values: NDArray[Any]) -> Column:
    if values.dtype.kind == "M":
        return Column(name, numeric=False, dates=True)
    if values.dtype.kind in "iuf":
        return Column(name, numeric=True, dates=False)
    return Column.of(name, _cells(values[:SAMPLE]))


def _cells(values: NDArray[Any]) -> list[str]:
    """Cells as a text file would hold them."""
    if values.dtype.kind == "f":
        return ["" if value != value else f"{value:.15g}" for value in values.tolist()]
    return ["" if value is None or value != value else str(value) for value in values.tolist()]


def _numbers(table: Table, place: int) -> Cells:
    column, name = table.columns[place], table.names[place]
    if column.dtype.kind in "iuf":
        values = column.astype(np.float64)
        bad = np.flatnonzero(np.isinf(values)).tolist()
    else:
        values, bad = numbers(_cells(column))
    if bad:
        found = f"found {shown(column[bad[0]])}, which is not a finite number"
        raise DataError(table.source, found, "correct it, or make it NaN", row=bad[0], column=name)
    beyond = np.flatnonzero(np.abs(values) > LARGEST).tolist()
    if beyond:
        found = f"found {values[beyond[0]]:g}, beyond {LARGEST:g}"
        raise DataError(table.source, found, "use larger units", row=beyond[0], column=name)
    return Cells(name, values)


def _words(table: Table, place: int) -> Cells:
    vocabulary = Vocabulary()
    values = vocabulary.places(_cells(table.columns[place]))
    return Cells(table.names[place], values, vocabulary.words)


def _id(table: Table, place: int) -> Cells:
    cells = _words(table, place)
    absent = np.flatnonzero(np.isnan(cells.values)).tolist()
    if absent:
        found = f"found {shown(table.columns[place][absent[0]])}, which is no id"
        raise DataError(table.source, found, "correct it, or take the row out", row=absent[0], column=cells.name)
    return cells


def _others(table: Table, columns: Sequence[Column], roles: Roles) -> list[Cells]:
    """Columns of words without a role."""
    used = {*roles.time, *roles.covariates, *roles.target}
    return [_words(table, k) for k, column in enumerate(columns) if column.words and k not in used]


def _times(table: Table, places: tuple[int, ...]) -> tuple[Times, str]:
    """Moments of the rows, and the key of the style they are written in."""
    columns, names = [table.columns[place] for place in places], [table.names[place] for place in places]
    if len(places) > 1:
        clock = Clock.told(names, [], table.source)
        times, key = joined([_numbers(table, place).values for place in places]), clock.style.key
    elif columns[0].dtype.kind == "M":
        times, key = columns[0].astype("M8[us]"), "iso"
    else:
        cells = _cells(columns[0])
        clock = Clock.told(names, [cells[:SAMPLE]], table.source)
        times, key = clock.read([cells]), clock.style.key
    wrong = np.flatnonzero(missing(times)).tolist()
    if wrong:
        cell = ",".join(str(column[wrong[0]]) for column in columns)
        todo = "correct it, or take the row out"
        raise DataError(
            table.source, f"found {shown(cell)}, which is no time", todo, row=wrong[0], column=",".join(names)
        )
    return times, key
