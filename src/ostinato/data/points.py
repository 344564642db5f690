"""Rows out of a text file of any size: columns are told from a sample, cells become numbers in chunks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.data.clock import Clock
from ostinato.data.coding import Cells, Vocabulary
from ostinato.data.columns import Asked, Column, choose, is_date, is_wide, names_series
from ostinato.data.errors import DataError, shown
from ostinato.data.lines import Row, TextFile
from ostinato.data.numbers import decimal_comma, is_missing, is_number, numbers
from ostinato.data.records import LARGEST, Records, long
from ostinato.data.times import missing

Array = NDArray[np.float64]

SAMPLE = 1000  # rows from which columns are told,
SAMPLED = 1_000_000  # or fewer, of this many cells together
CHUNK = 50_000  # rows parsed at once


def read_csv(
    path: Path, asked: Asked | None = None, *, words: dict[str, bool] | None = None, name: str = "", skip: bool = False
) -> Records:
    """Read a delimited text file; `.gz`, byte-order marks, any line ends, delimiters and encodings.

    Args:
        asked: the columns that were named; told from the content where left out.
        words: whether a covariate holds words, by name; told from the content where left out.
        name: what errors call the file; its own name where left out.
        skip: leave out broken rows and count them.

    Raises:
        DataError: the file cannot be used; the row and the column are named.
    """
    asked = asked or Asked()
    file = TextFile(path, name or path.name, skip)
    sample = _sampled(file)
    if not sample:
        raise DataError(file.name, "is empty", "give a table with a header and rows")
    names = [cell.strip() for cell in sample[0].cells]
    if is_wide(names, asked) and names_series(Column.of(names[0], [row.cells[0] for row in sample[1:]])):
        return _wide(file, names, sample[1:])
    return _Reader(file, sample, asked, words or {}).records()


@dataclass
class _Numbers:
    """A column of numbers."""

    place: int
    comma: bool

    def read(self, cells: Sequence[str]) -> tuple[Array, dict[int, str]]:
        """Numbers, and what is wrong at which places."""
        return _checked(cells, self.comma)


@dataclass
class _Words:
    """A column of words; an id may not be missing."""

    place: int
    id: bool = False
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def read(self, cells: Sequence[str]) -> tuple[Array, dict[int, str]]:
        """Places of the words, and what is wrong at which places."""
        places = self.vocabulary.places(cells)
        absent = np.flatnonzero(np.isnan(places)).tolist() if self.id else []
        return places, dict.fromkeys(absent, "no id")


class _Chunk(NamedTuple):
    """Rows that were read: their numbers, their times, and their columns by place."""

    rows: NDArray[np.int64]
    times: Any
    columns: dict[int, Array]


class _Reader:
    """One pass to tell the columns, one to read them."""

    def __init__(self, file: TextFile, sample: list[Row], asked: Asked, words: dict[str, bool]) -> None:
        self.file = file
        first = sample[0].cells
        self.headed = not any(map(_is_data, first)) or all(map(is_missing, first))
        self.names = [cell.strip() for cell in first] if self.headed else _numbered(first)
        body = sample[1:] if self.headed else sample
        if not body:
            raise DataError(file.name, "has a header and no rows", "give a table with rows of data")
        self.sample = [[row.cells[k] for row in body] for k in range(len(self.names))]
        self.columns = [Column.of(name, cells) for name, cells in zip(self.names, self.sample, strict=True)]
        self.roles = choose(self.columns, file.name, asked)
        self.clock = self._clock()
        self.readers = list(self._readers(words))

    def records(self) -> Records:
        chunks = list(self._chunks())
        if not sum(len(chunk.rows) for chunk in chunks):
            found = f"all {self.file.refusals.count} rows are broken"
            raise DataError(self.file.name, found, f"correct them, first {self.file.refusals.first}")
        rows = np.concatenate([chunk.rows for chunk in chunks])
        cells = {reader.place: self._cells(reader, chunks) for reader in self.readers}
        roles = self.roles
        target, past, future, static = (
            tuple(cells[place] for place in places) for places in (roles.target, roles.past, roles.future, roles.static)
        )
        return Records(
            self.file.name, rows,
            np.concatenate([chunk.times for chunk in chunks]) if self.clock else None,
            self.clock.names if self.clock else (),
            self.clock.style.key if self.clock else "step",
            target, None if roles.id is None else cells[roles.id], past, future, static,
            (*roles.notes, *self._notes()), lambda: self._others(rows),
        )  # fmt: skip

    def _clock(self) -> Clock | None:
        if not self.roles.time:
            return None
        places = self.roles.time
        return Clock.told([self.names[k] for k in places], [self.sample[k] for k in places], self.file.name)

    def _readers(self, words: dict[str, bool]) -> Iterator[_Numbers | _Words]:
        """One for each column that is read; numbers where the model says so, or else the sample."""
        roles = self.roles
        if roles.id is not None:
            yield _Words(roles.id, id=True)
        for place in roles.target:
            yield self._numbers(place)
        for place in roles.covariates:
            wordy = words.get(self.names[place], self.columns[place].words)
            yield _Words(place) if wordy else self._numbers(place)

    def _numbers(self, place: int) -> _Numbers:
        return _Numbers(place, self.file.delimiter != "," and decimal_comma(self.sample[place]))

    def _cells(self, reader: _Numbers | _Words, chunks: list[_Chunk]) -> Cells:
        values = np.concatenate([chunk.columns[reader.place] for chunk in chunks])
        words = reader.vocabulary.words if isinstance(reader, _Words) else None
        return Cells(self.names[reader.place], values, words)

    def _blocks(self) -> Iterator[list[Row]]:
        rows = islice(self.file.rows(), int(self.headed), None)
        for first in rows:
            yield list(chain([first], islice(rows, CHUNK - 1)))

    def _chunks(self) -> Iterator[_Chunk]:
        for block in self._blocks():
            times, wrong = self._times(block)
            columns = {}
            for reader in self.readers:
                columns[reader.place], bad = reader.read([row.cells[reader.place] for row in block])
                wrong = {place: (reader.place, what) for place, what in bad.items()} | wrong
            keep = self._kept(block, wrong)
            numbers = np.array([row.number for row in block])[keep]
            yield _Chunk(numbers, times[keep], {place: values[keep] for place, values in columns.items()})

    def _times(self, block: list[Row]) -> tuple[Any, dict[int, tuple[int, str]]]:
        """Times of some rows, and where what is wrong with them; -1 stands for the columns of times."""
        if self.clock is None:
            return np.zeros(len(block), np.int64), {}
        cells = [[row.cells[place] for row in block] for place in self.roles.time]
        times, wrong = self.clock.read(cells), {}
        for place in np.flatnonzero(missing(times)).tolist():
            absent = all(is_missing(column[place]) for column in cells)
            wrong[place] = (-1, "no time" if absent else self.clock.words)
        return times, wrong

    def _kept(self, block: list[Row], wrong: dict[int, tuple[int, str]]) -> NDArray[np.bool_]:
        """Marks of the rows that are whole; the first broken one, in the file's order, is named."""
        keep = np.ones(len(block), bool)
        for place in sorted(wrong):
            keep[place] = False
            column, what = wrong[place]
            places = self.roles.time if column < 0 else (column,)
            cells = ",".join(block[place].cells[k] for k in places)
            _refuse(self.file, cells, what, block[place].number, ",".join(self.names[k] for k in places))
        return keep

    def _others(self, rows: NDArray[np.int64]) -> list[Cells]:
        """Columns of words without a role, in one more pass."""
        used = {*self.roles.time, *self.roles.covariates, *self.roles.target}
        readers = [_Words(k) for k, column in enumerate(self.columns) if column.words and k not in used]
        kept, parts = set(rows.tolist()), []
        for block in self._blocks() if readers else ():
            whole = [row for row in block if row.number in kept]
            columns = {reader.place: reader.read([row.cells[reader.place] for row in whole])[0] for reader in readers}
            parts.append(_Chunk(rows, None, columns))
        return [self._cells(reader, parts) for reader in readers]

    def _notes(self) -> Iterator[str]:
        if not self.headed:
            yield f"found no header: the columns are called {', '.join(self.names[:4])}"
        if self.clock and "/" in self.clock.style.words:
            yield f"read the times as {self.clock.style.words}"
        yield from self.file.lines.notes()


def _wide(file: TextFile, names: list[str], sample: list[Row]) -> Records:
    """A row is a series: its id, then its values, padded at the end."""
    comma = file.delimiter != "," and decimal_comma([cell for row in sample[:100] for cell in row.cells[1:]])
    found: dict[str, tuple[int, Array]] = {}
    for row in islice(file.rows(), 1, None):
        cells = row.cells[1 : _filled(row.cells)] or [""]
        values, bad = _checked(cells, comma)
        id = row.cells[0].strip()
        if is_missing(id):
            _refuse(file, row.cells[0], "no id", row.number, names[0])
        elif bad:
            place = min(bad)
            _refuse(file, cells[place], bad[place], row.number, names[place + 1])
        elif id in found:
            file.refusals.refuse(f"{id!r} stands also in row {found[id][0]}", "rename it", row.number, names[0])
        else:
            found[id] = row.number, values
    if not found:
        what = f"all {file.refusals.count} rows are broken" if file.refusals.count else "has a header and no rows"
        raise DataError(file.name, what, "give a table with rows of data")
    took = f"took each row as a series, its id from '{names[0]}', its values from '{names[1]}' on"
    records = Records(file.name, np.empty(0, np.int64), notes=(took, *file.lines.notes()))
    rows = np.array([row for row, _ in found.values()])
    return long([values for _, values in found.values()], rows, tuple(found), records)


def _filled(cells: Sequence[str]) -> int:
    """Cells up to the last that is not missing."""
    count = len(cells)
    while count and is_missing(cells[count - 1]):
        count -= 1
    return count


def _checked(cells: Sequence[str], comma: bool) -> tuple[Array, dict[int, str]]:
    """Numbers, and what is wrong at which places."""
    values, bad = numbers(cells, comma)
    wrong = dict.fromkeys(bad, "not a number")
    return values, wrong | dict.fromkeys(np.flatnonzero(np.abs(values) > LARGEST).tolist(), "beyond")


def _refuse(file: TextFile, cell: str, what: str, row: int, column: str) -> None:
    if what == "beyond":
        file.refusals.refuse(f"found {shown(cell)}, beyond {LARGEST:g}", "use larger units", row, column)
    else:
        file.refusals.refuse(f"found {shown(cell)}, which is {what}", "correct it", row, column)


def _sampled(file: TextFile) -> list[Row]:
    """The first rows: fewer where they are wide."""
    rows, cells = [], 0
    for row in islice(file.rows(), SAMPLE):
        rows.append(row)
        cells += len(row.cells)
        if cells > SAMPLED:
            break
    return rows


def _is_data(cell: str) -> bool:
    """Whether a cell of the first row looks like data and not like a name."""
    return is_number(cell) or is_date([cell])


def _numbered(cells: Sequence[str]) -> list[str]:
    return [f"column {k + 1}" for k in range(len(cells))]


@contextmanager
def spooled(stream: object = None) -> Iterator[Path]:
    """Standard input as a file for a while, because it is read twice; errors name it as what it is."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "standard-input")
        with path.open("wb") as file:
            shutil.copyfileobj(stream or sys.stdin.buffer, file)  # type: ignore[arg-type]
        yield path
