"""The lines of a file of texts, all of them in memory, and what form they have: a table, JSON, labelled lines, ..."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ostinato.data.decoded import Lines, Refusals
from ostinato.data.errors import DataError

LONGEST = 200_000_000  # characters in a line: a book may stand on one
WESTERN = 0.4  # of the letters at most beyond ASCII in lines read as Windows-1252; more in other scripts

Form = Literal["comma", "tab", "json", "conllu", "lines"]

_SUFFIXES: dict[str, Form] = {
    ".csv": "comma",
    ".tsv": "tab",
    ".tab": "tab",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".conllu": "conllu",
    ".conllup": "conllu",
}


@dataclass(frozen=True)
class Source:
    """A file as it was read.

    Attributes:
        name: what errors call it.
        form: told by the suffix (under `.gz`); "lines" where that says nothing.
        lines: without their ends; blank ones too, so that the place of a line is its number less 1.
        refusals: takes broken rows.
        read: what was done to the lines, in sentences.
    """

    name: str
    form: Form
    lines: list[str]
    refusals: Refusals
    read: tuple[str, ...]

    def notes(self) -> tuple[str, ...]:
        """What was done so far, broken rows left out too."""
        return (*self.read, *self.refusals.notes())

    def filled(self) -> Iterator[tuple[int, str]]:
        """Lines that are not blank, with their numbers."""
        return ((number, line) for number, line in enumerate(self.lines, 1) if line.strip())


def opened(path: str | os.PathLike[str], on_bad: str = "error", name: str | None = None) -> Source:
    """Read a file of text.

    Raises:
        DataError: it cannot be read as text, or is empty; the line is named.
        ValueError: on_bad is another word.
    """
    if on_bad not in ("error", "skip"):
        raise ValueError(f"on_bad is error or skip: got {on_bad!r}")
    path = Path(path)
    name = name or path.name
    file = Lines(path, name, on_bad == "skip", LONGEST, "give a text file")
    lines = [line.rstrip("\r\n") for line in file]
    if not any(line.strip() for line in lines):
        if file.refusals.count:
            broken = f"all {file.refusals.count} lines are broken"
            raise DataError(name, broken, f"save the file anew as UTF-8 text, first {file.refusals.first}")
        raise DataError(name, "is empty", "give a file with texts")
    _refuse_other_scripts(file, lines)
    return Source(name, form_of(path), lines, file.refusals, tuple(file.encodings()))


def form_of(path: Path) -> Form:
    """By the suffix.

    >>> form_of(Path("train.TSV.gz")), form_of(Path("stsa.binary.train"))
    ('tab', 'lines')
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return _SUFFIXES.get(suffixes[-1], "lines") if suffixes else "lines"


def _refuse_other_scripts(file: Lines, lines: list[str]) -> None:
    """Windows-1252 gives a letter to nearly any byte: where most are beyond ASCII, the text is of another script."""
    letters = [c for number in file.foreign for c in lines[number - 1] if not c.isspace()]
    beyond = sum(not c.isascii() for c in letters)
    if beyond > max(8, WESTERN * len(letters)):
        found = "bytes that are neither UTF-8 nor a Western encoding (Cyrillic, Greek, Chinese, ...?)"
        raise DataError(file.name, found, "save the file anew as UTF-8", row=file.foreign[0])
