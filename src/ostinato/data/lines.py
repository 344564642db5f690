"""The rows of a delimited text file, one after the other: whatever its delimiter and quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ostinato.data.decoded import Lines, Refusals
from ostinato.data.errors import DataError, shown

DELIMITERS = ",;\t|"


class Row(NamedTuple):
    """One row: the number of the line that it begins on, from 1, and its cells."""

    number: int
    cells: list[str]


@dataclass
class TextFile:
    """A delimited text file: `rows()` reads it from the start, as often as asked.

    Attributes:
        path: the file; `.gz` is told by its content.
        name: what errors call it.
        skip: leave out rows that are broken instead of refusing the file, and count them.
        refusals: the rows that the last `rows()` left out.
        delimiter: what stands between cells; "" where there is one column.
    """

    path: Path
    name: str
    skip: bool = False
    delimiter: str = field(default="", init=False)
    lines: Lines = field(init=False)

    def __post_init__(self) -> None:
        self.lines = Lines(self.path, self.name, self.skip)
        self.delimiter = delimiter_of(self.lines.sample())
        self.lines.delimiter = self.delimiter or ","

    @property
    def refusals(self) -> Refusals:
        """Of the last reading."""
        return self.lines.refusals

    def rows(self) -> Iterator[Row]:
        """Each row that is not blank; the header too.

        Raises:
            DataError: a row is broken (NUL bytes, an open quote, too many or too few cells), and it is named.
        """
        width = 0
        for row in split_rows(self.lines, self.delimiter, self.name):
            if not any(cell.strip() for cell in row.cells):
                continue
            width = width or len(row.cells)
            cells = fitted(row.cells, width)
            if cells is None:
                counts = f"{len(row.cells)} cells, the first row has {width}"
                self.refusals.refuse(
                    f"found {counts} ({shown(self.delimiter.join(row.cells))})", "correct it", row.number
                )
                continue
            yield Row(row.number, cells)


def split_rows(lines: Iterable[str], delimiter: str, name: str, longest: int = 0) -> Iterator[Row]:
    """Lines into rows of cells; a cell in quotes may go over several lines.

    Args:
        longest: characters in a cell at most, where that is more than csv allows.

    Raises:
        DataError: a quote is not closed, or text follows one. Such a row is never skipped: an open quote may
            swallow all the rest.
    """
    counted = _Counted(iter(lines))
    reader = csv.reader(counted, delimiter=delimiter or ",", strict=True, skipinitialspace=True)
    begin = 1
    while True:
        try:
            cells = _next(reader, longest)
        except StopIteration:
            return
        except csv.Error as error:
            raise _quote(error, name, begin) from error
        yield Row(begin, cells)
        begin = counted.count + 1


def _next(reader: Iterator[list[str]], longest: int) -> list[str]:
    """The next row. The limit is the whole process's: it is as before when the row is read."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, longest))
    try:
        return next(reader)
    finally:
        csv.field_size_limit(before)


def _quote(error: csv.Error, name: str, row: int) -> DataError:
    if "unexpected end" in str(error) or "field larger" in str(error):
        return DataError(name, 'a quote (") opens and is not closed', "close it or take it away", row=row)
    return DataError(name, 'text follows a closing quote (")', 'write a quote within a cell as ""', row=row)


class _Counted:
    """Lines, and how many were taken."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines, self.count = lines, 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.count += 1
        return line


def delimiter_of(lines: list[str]) -> str:
    """The one that splits the most lines into the same number of cells; "" where there is one column.

    >>> delimiter_of(["a;b", "1,5;2", "3,5;4"])
    ';'
    """
    filled = [line for line in lines if line.strip()]
    best, score = "", 0
    for mark in DELIMITERS:
        counts = [_outside_quotes(line).count(mark) for line in filled]
        agreeing = sum(count == counts[0] for count in counts) if counts and counts[0] else 0
        if agreeing > score:
            best, score = mark, agreeing
    return best


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def fitted(cells: list[str], width: int) -> list[str] | None:
    """Cells of the header's width: commas too many at a line's end are nobody's; None where cells are missing."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells if len(cells) == width else None
