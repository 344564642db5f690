"""Plain text, whole: what a language model reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ostinato.data.errors import DataError
from ostinato.data.text.source import opened

LONGEST_PATH = 1_000  # characters; a longer string is a text


@dataclass(frozen=True)
class Plain:
    """A text.

    Attributes:
        text: with line ends as \\n.
        source: what errors call it.
        notes: what was done, each a sentence without a stop.
    """

    text: str
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.text)


def read_plain(
    source: str | os.PathLike[str] | Plain | Sequence[str | os.PathLike[str]], *, on_bad: str = "error"
) -> Plain:
    """A text out of a file, several, or a string.

    Args:
        source: path of a text file, `.gz` too; of a folder, whose .txt files follow each other by name; a list of
            these. A string with a line end in it, or longer than a path can be, is the text itself.
        on_bad: "skip" leaves out lines that cannot be read, and counts them.

    Raises:
        DataError: it cannot be read as text, or is empty.

    >>> read_plain("one line\\nand one more\\n").text
    'one line\\nand one more\\n'
    """
    if isinstance(source, Plain):
        return source
    if isinstance(source, str) and ("\n" in source or len(source) > LONGEST_PATH):
        return _checked(source.replace("\r\n", "\n").replace("\r", "\n"), "text", ())
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source), on_bad)
    parts = [read_plain(each, on_bad=on_bad) for each in source]
    notes = [f"{part.source}: {note}" for part in parts for note in part.notes]
    names = ", ".join(part.source for part in parts[:3]) + ", ..." * (len(parts) > 3)
    return _checked("\n".join(part.text for part in parts), names, notes)


def _from_path(path: Path, on_bad: str) -> Plain:
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.is_file() and ".txt" in each.suffixes)
        if not files:
            raise DataError(path.name, "a folder without .txt files", "give text files")
        return read_plain(files, on_bad=on_bad)
    file = opened(path, on_bad)
    return _checked("\n".join([*file.lines, ""]), file.name, file.notes())


def _checked(text: str, source: str, notes: Sequence[str]) -> Plain:
    if not text.strip():
        raise DataError(source, "is empty", "give text")
    return Plain(text, source, tuple(notes))
