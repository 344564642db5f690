"""The lines of a text file as text, whatever its packing, encoding and line ends, and what was wrong with them.

Nothing is held but the line at hand, so a file of any size can be read.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ostinato.data.errors import DataError

LONGEST = 1_000_000  # characters in a line

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a numpy array",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"PAR1": "a Parquet file without its suffix",
    b"\x7fELF": "a program",
    b"SQLite format": "a database",
}


def is_whole(text: str) -> bool:
    """Whether a text is characters and nothing else: bytes that are no UTF-8, and JSON's "\\ud800", are halves of them.

    >>> is_whole("naïve"), is_whole(b"na\\xefve".decode("utf-8", "surrogateescape"))
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass
class Refusals:
    """Broken rows of one source: an error at the first, or, with `skip`, left out and counted."""

    name: str
    skip: bool = False
    count: int = 0
    first: str | None = None

    def refuse(self, found: str, todo: str, row: int, column: str | None = None) -> None:
        """A broken row: an error, or one more that is left out.

        Raises:
            DataError: broken rows are not skipped.
        """
        error = DataError(
            self.name, found, f"{todo}, or leave such rows out with --on-bad skip", row=row, column=column
        )
        if not self.skip:
            raise error
        self.count += 1
        self.first = self.first or f"row {row}: {found}"

    def notes(self) -> Iterator[str]:
        """What was left out, if anything was."""
        if self.count:
            yield f"left out {self.count} broken rows (--on-bad skip), first {self.first}"


@dataclass
class Lines:
    """A text file, line by line with their ends, from the start as often as asked.

    Attributes:
        path: the file; `.gz` is told by its content.
        name: what errors call it.
        skip: broken lines are empty instead of an error, and counted.
        longest: characters in a line at most.
        todo: what to give instead of a file of another kind.
        delimiter: where set, errors say in which cell of a line something is.
        refusals: of the last reading.
        foreign: numbers of the lines that are not UTF-8 and were read as Windows-1252, in the last reading.
    """

    path: Path
    name: str
    skip: bool = False
    longest: int = LONGEST
    todo: str = "save the table as CSV"
    delimiter: str = ""
    refusals: Refusals = field(init=False)
    foreign: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.name, self.skip)

    def __iter__(self) -> Iterator[str]:
        """Decoded lines; a broken one is named, or left out as an empty line, so that numbers stay right.

        Raises:
            DataError: the file cannot be read as text; the line is named.
        """
        self.refusals.count, self.refusals.first = 0, None
        self.foreign.clear()
        number = 0
        with self._open() as file:
            while True:
                number += 1
                try:
                    line = file.readline(self.longest)
                except (OSError, EOFError, zlib.error, UnicodeError) as error:
                    raise self._unreadable(error, number) from error
                if not line:
                    return
                yield self._checked(line, number)

    def sample(self, count: int = 20) -> list[str]:
        """The first lines, as they come: what a file's form is told from."""
        with self._open() as file:
            try:
                return [file.readline(self.longest) for _ in range(count)]
            except (OSError, EOFError, zlib.error, UnicodeError) as error:
                raise self._unreadable(error, 1) from error

    def notes(self) -> Iterator[str]:
        """What was done to the lines of the last reading."""
        yield from self.encodings()
        yield from self.refusals.notes()

    def encodings(self) -> Iterator[str]:
        """Lines that are not UTF-8, if there were any."""
        if self.foreign:
            more = f", {len(self.foreign)} in all" if len(self.foreign) > 1 else ""
            yield f"read bytes that are not UTF-8 as Windows-1252, first in row {self.foreign[0]}{more}"

    def _checked(self, line: str, number: int) -> str:
        if len(line) >= self.longest and line[-1] not in "\r\n":
            raise DataError(self.name, f"a line of over {self.longest:,} characters", "give a text file", row=number)
        if "\0" in line:
            self.refusals.refuse(f"a NUL byte {self._place(line)}", "save the file anew as UTF-8 text", number)
            return "\n"
        return line if is_whole(line) else self._western(line, number)

    def _place(self, line: str) -> str:
        """Where the first NUL byte stands, and what it comes from where that is plain."""
        before = line[: line.index("\0")]
        if line[1::2].startswith("\0" * 4) or line[::2].startswith("\0" * 4):
            return f"at place {len(before) + 1} (UTF-16 without its mark?)"
        return f"in cell {1 + before.count(self.delimiter)}" if self.delimiter else f"at place {len(before) + 1}"

    def _western(self, line: str, number: int) -> str:
        """A line that is not UTF-8, as Windows-1252, of which Latin-1's letters are a part."""
        raw = line.encode("utf-8", "surrogateescape")
        try:
            text = raw.decode("cp1252")
        except UnicodeDecodeError as error:
            byte = f"byte 0x{raw[error.start]:02X} at place {error.start + 1} is neither UTF-8 nor Windows-1252"
            self.refusals.refuse(byte, "save the file anew as UTF-8 text", number)
            return "\n"
        self.foreign.append(number)
        return text

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
                raise DataError(self.name, f"looks like {kind}", self.todo)
        return file

    def _unreadable(self, error: Exception, row: int) -> DataError:
        if isinstance(error, UnicodeError):
            return DataError(self.name, "broken UTF-16", "save the file anew as UTF-8 text", row=row)
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            why = error.strerror or str(error)
            return DataError(self.name, f"cannot be read ({why})", "give the path of a file that can be read")
        return DataError(self.name, "the gzip archive is damaged or cut short", "take another copy", row=row)
