"""The rows of a text file, one after the other: whatever its packing, encoding, line ends and quotes.

Nothing is held but the row at hand, so a file of any size can be read.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from ostinato.data.errors import DataError, shown

LONGEST = 1_000_000  # characters in a line
DELIMITERS = ",;\t|"

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a numpy array",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"SQLite format": "a database",
}


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
        skipped: how many rows the last `rows()` left out, and the first of them with the reason.
        foreign: the first line that is not UTF-8 and was read as Windows-1252, or None.
    """

    path: Path
    name: str
    skip: bool = False
    skipped: int = 0
    first_skipped: str | None = None
    foreign: int | None = None
    delimiter: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.delimiter = _delimiter(self._sample())

    def rows(self) -> Iterator[Row]:
        """Each row that is not blank; the header too.

        Raises:
            DataError: a row is broken (NUL bytes, an open quote, too many or too few cells), and it is named.
        """
        self.skipped, self.first_skipped, self.foreign = 0, None, None
        width = 0
        for row in self._split():
            if not any(cell.strip() for cell in row.cells):
                continue
            width = width or len(row.cells)
            cells = _fitted(row.cells, width)
            if cells is None:
                counts = f"{len(row.cells)} cells, the first row has {width}"
                self.refuse(f"found {counts} ({shown(self.delimiter.join(row.cells))})", "correct it", row.number)
                continue
            yield Row(row.number, cells)

    def refuse(self, found: str, todo: str, row: int, column: str | None = None) -> None:
        """A broken row: an error, or one more that is left out."""
        error = DataError(
            self.name, found, f"{todo}, or leave such rows out with --on-bad skip", row=row, column=column
        )
        if not self.skip:
            raise error
        self.skipped += 1
        self.first_skipped = self.first_skipped or f"row {row}: {found}"

    def _split(self) -> Iterator[Row]:
        lines = _Counted(self._lines())
        reader = csv.reader(lines, delimiter=self.delimiter or ",", strict=True, skipinitialspace=True)
        begin = 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._quote(error, begin) from error
            yield Row(begin, cells)
            begin = lines.count + 1

    def _quote(self, error: csv.Error, row: int) -> DataError:
        """What csv found wrong. Such a row is never skipped: an open quote may swallow all the rest."""
        if "unexpected end" in str(error) or "field larger" in str(error):
            return DataError(self.name, 'a quote (") opens and is not closed', "close it or take it away", row=row)
        return DataError(self.name, 'text follows a closing quote (")', 'write a quote within a cell as ""', row=row)

    def _lines(self) -> Iterator[str]:
        """Decoded lines; a broken one is named, or left out as an empty line, so that numbers stay right."""
        number = 0
        with self._open() as file:
            while True:
                number += 1
                try:
                    line = file.readline(LONGEST)
                except (OSError, EOFError, zlib.error, UnicodeError) as error:
                    raise self._unreadable(error, number) from error
                if not line:
                    return
                yield self._checked(line, number)

    def _checked(self, line: str, number: int) -> str:
        if len(line) >= LONGEST and line[-1] not in "\r\n":
            raise DataError(self.name, f"a line of over {LONGEST:,} characters", "give a text file", row=number)
        if "\0" in line:
            column = 1 + line[: line.index("\0")].count(self.delimiter or ",")
            self.refuse(f"a NUL byte in cell {column}", "save the file anew as UTF-8 text", number)
            return "\n"
        if not line.isascii() and any("\ud800" <= letter <= "\udfff" for letter in line):
            self.foreign = self.foreign or number
            return line.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
        return line

    def _open(self) -> IO[str]:
        binary = self._binary()
        start = binary.peek(4)[:4]
        encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
        errors = "strict" if encoding == "utf-16" else "surrogateescape"
        return io.TextIOWrapper(binary, encoding, errors, newline="")

    def _binary(self) -> io.BufferedReader | gzip.GzipFile:
        try:
            if self.path.is_dir():
                raise DataError(self.name, "is a folder", "give a file")
            file = self.path.open("rb")
        except OSError as error:
            raise self._unreadable(error, 0) from error
        start = file.peek(16)
        if start[:2] == b"\x1f\x8b":
            return gzip.GzipFile(fileobj=file)
        for mark, kind in _FOREIGN.items():
            if start.startswith(mark):
                raise DataError(self.name, f"looks like {kind}", "save the table as CSV")
        return file

    def _unreadable(self, error: Exception, row: int) -> DataError:
        if isinstance(error, UnicodeError):
            return DataError(self.name, "broken UTF-16", "save the file anew as UTF-8 text", row=row)
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            why = error.strerror or str(error)
            return DataError(self.name, f"cannot be read ({why})", "give the path of a file that can be read")
        return DataError(self.name, "the gzip archive is damaged or cut short", "take another copy", row=row)

    def _sample(self) -> list[str]:
        """The first lines, as they come: what the delimiter is told from."""
        with self._open() as file:
            try:
                return [file.readline(LONGEST) for _ in range(20)]
            except (OSError, EOFError, zlib.error, UnicodeError) as error:
                raise self._unreadable(error, 1) from error


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


def _delimiter(lines: list[str]) -> str:
    """The one that splits the most lines into the same number of cells; "" where there is one column.

    >>> _delimiter(["a;b", "1,5;2", "3,5;4"])
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


def _fitted(cells: list[str], width: int) -> list[str] | None:
    """Cells of the header's width: commas too many at a line's end are nobody's; None where cells are missing."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells if len(cells) == width else None
