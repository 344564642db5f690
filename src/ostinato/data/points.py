"""A time and a value a row, out of a text file of any size: names are found, cells become numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostinato.data.columns import Column, Roles, choose, style_of
from ostinato.data.errors import DataError, shown
from ostinato.data.frequency import Times
from ostinato.data.lines import Row, TextFile
from ostinato.data.numbers import decimal_comma, is_missing, is_number, numbers
from ostinato.data.styles import Style
from ostinato.data.times import detect, missing, write

SAMPLE = 1000  # rows from which columns are told
CHUNK = 50_000  # rows parsed at once
REPEATED = "unique_id"


@dataclass(frozen=True)
class Points:
    """One series as it came: in any order, with gaps and repeats.

    Attributes:
        source: the file's name, or "frame", "array": what errors call it.
        time_name, name: of the time column ("" where there is none) and of the target.
        times: datetime64[us] or, where steps are only counted, int64; (rows,).
        values: (rows,), NaN where missing.
        rows: the row each came from, as an editor counts them.
        style: how the times were written, a key of `times.STYLES`.
        notes: what was done, each a sentence without a stop.
    """

    source: str
    time_name: str
    name: str
    times: Times
    values: NDArray[np.float64]
    rows: NDArray[np.int64]
    style: str
    notes: tuple[str, ...] = ()

    def label(self, place: int) -> str:
        """One time, as it was written."""
        return write(self.times[place : place + 1], self.style)[0]


def read_csv(
    path: Path, *, name: str | None = None, time: str | None = None, target: str | None = None, skip: bool = False
) -> Points:
    """Read a delimited text file; `.gz`, byte-order marks, any line ends, delimiters and encodings.

    Args:
        name: what errors call the file; its own name where left out.
        time, target: columns, told from the content where left out.
        skip: leave out broken rows and count them.

    Raises:
        DataError: the file cannot be used; the row and the column are named.
    """
    return _Reader(TextFile(path, name or path.name, skip), time, target).points()


class _Reader:
    """One pass to tell the columns, one to read them."""

    def __init__(self, file: TextFile, time: str | None, target: str | None) -> None:
        self.file = file
        sample = list(islice(file.rows(), SAMPLE))
        if not sample:
            raise DataError(file.name, "is empty", "give a table with a header and rows")
        self.headed = not any(map(_is_data, sample[0].cells)) or all(map(is_missing, sample[0].cells))
        self.names = [cell.strip() for cell in sample[0].cells] if self.headed else _numbered(sample[0].cells)
        body = sample[1:] if self.headed else sample
        if not body:
            raise DataError(file.name, "has a header and no rows", "give a table with rows of data")
        cells = [[row.cells[k] for row in body] for k in range(len(self.names))]
        columns = [Column.of(name, column) for name, column in zip(self.names, cells, strict=True)]
        self.roles: Roles = choose(columns, file.name, time, target)
        self.style = self._style(cells)
        self.comma = file.delimiter != "," and decimal_comma(cells[self.roles.target])
        self._refuse_several(cells)

    def points(self) -> Points:
        chunks = list(self._chunks())
        values = np.concatenate([chunk[1] for chunk in chunks]) if chunks else np.empty(0)
        rows = np.concatenate([chunk[2] for chunk in chunks]) if chunks else np.empty(0, np.int64)
        if not len(values):
            found = f"all {self.file.skipped} rows are broken"
            raise DataError(self.file.name, found, f"correct them, first {self.file.first_skipped}")
        times = np.concatenate([chunk[0] for chunk in chunks]) if self.style else np.arange(1, len(values) + 1)
        style = self.style.key if self.style else "step"
        time = "" if self.roles.time is None else self.names[self.roles.time]
        notes = (*self.roles.notes, *self._notes(values))
        return Points(self.file.name, time, self.names[self.roles.target], times, values, rows, style, notes)

    def _style(self, cells: Sequence[Sequence[str]]) -> Style | None:
        if self.roles.time is None:
            return None
        column = cells[self.roles.time]
        style = style_of(column)
        if style is None:
            first = shown(next((cell for cell in column if cell.strip()), ""))
            found, todo = f"no times that are understood ({first})", "write them as 2024-01-31 15:00"
            raise DataError(self.file.name, found, todo, column=self.names[self.roles.time])
        return style

    def _refuse_several(self, cells: Sequence[Sequence[str]]) -> None:
        """One series at a time."""
        if REPEATED in self.names:
            names = sorted(set(cells[self.names.index(REPEATED)]))
            if len(names) > 1:
                found, todo = f"several series ({', '.join(names[:3])}, ...)", "put one into a file of its own"
                raise DataError(self.file.name, found, todo, column=REPEATED)

    def _chunks(self) -> Iterator[tuple[Times, NDArray[np.float64], NDArray[np.int64]]]:
        rows = islice(self.file.rows(), int(self.headed), None)
        for first in rows:
            block = list(chain([first], islice(rows, CHUNK - 1)))
            times, wrong = self._times(block)
            values, bad = numbers([row.cells[self.roles.target] for row in block], self.comma)
            keep = self._kept(block, wrong, bad)
            yield times[keep], values[keep], np.array([row.number for row in block])[keep]

    def _times(self, block: list[Row]) -> tuple[Times, set[int]]:
        if self.style is None or self.roles.time is None:
            return np.zeros(len(block), np.int64), set()
        times = self.style.parse([row.cells[self.roles.time] for row in block])
        return times, set(np.flatnonzero(missing(times)).tolist())

    def _kept(self, block: list[Row], wrong: set[int], bad: list[int]) -> NDArray[np.bool_]:
        """Marks of the rows that are whole; the first broken one, in the file's order, is named."""
        keep, places = np.ones(len(block), bool), set(bad)
        for place in sorted(wrong | places):
            keep[place] = False
            if place in wrong and self.roles.time is not None:
                self._refuse(block[place], self.roles.time, self._strange(block[place].cells[self.roles.time]))
            else:
                self._refuse(block[place], self.roles.target, "is not a number")
        return keep

    def _strange(self, cell: str) -> str:
        if is_missing(cell):
            return "is no time"
        return f"is not a time written as the others ({self.style.words if self.style else ''})"

    def _refuse(self, row: Row, column: int, what: str) -> None:
        found = f"found {shown(row.cells[column])}, which {what}"
        self.file.refuse(found, "correct it", row.number, self.names[column])

    def _notes(self, values: NDArray[np.float64]) -> Iterator[str]:
        if not self.headed:
            yield f"found no header: the columns are called {', '.join(self.names[:4])}"
        if self.style and "/" in self.style.words and self.roles.time is not None:
            yield f"read the times as {self.style.words}"
        if self.file.foreign:
            yield f"read bytes that are not UTF-8 as Windows-1252, first in row {self.file.foreign}"
        if self.file.skipped:
            yield f"left out {self.file.skipped} broken rows (--on-bad skip), first {self.file.first_skipped}"
        if np.isnan(values).any():
            yield f"{int(np.isnan(values).sum())} values are missing in '{self.names[self.roles.target]}'"


def _is_data(cell: str) -> bool:
    """Whether a cell of the first row looks like data and not like a name."""
    return is_number(cell) or detect([cell], plain=False) is not None


def _numbered(cells: Sequence[str]) -> list[str]:
    return [f"column {k + 1}" for k in range(len(cells))]


def spooled(stream: object = None) -> Path:
    """Standard input as a file, because a table is read twice; the caller removes it."""
    import shutil
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".csv", delete=False) as file:
        shutil.copyfileobj(stream or sys.stdin.buffer, file)  # type: ignore[arg-type]
        return Path(file.name)
