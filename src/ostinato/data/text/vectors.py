"""Word vectors that others have trained, from the text files of GloVe, word2vec and fastText."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostinato.data.decoded import Lines
from ostinato.data.errors import DataError, shown

LONGEST = 100_000_000  # characters in a line


@dataclass(frozen=True)
class Vectors:
    """Vectors of a vocabulary.

    Attributes:
        values: (words, width) float32, zeros where the file has no vector.
        found: (words,) whether it has.
        source: the file's name.
    """

    values: NDArray[np.float32]
    found: NDArray[np.bool_]
    source: str

    @property
    def share(self) -> float:
        """Of the words, how many the file has."""
        return float(self.found.mean()) if len(self.found) else 0.0

    @property
    def width(self) -> int:
        """Numbers of one vector."""
        return self.values.shape[1]


def read_vectors(path: str | os.PathLike[str], vocabulary: Sequence[str]) -> Vectors:
    """The vectors of these words, out of a text file: a word and its numbers on each line, blanks between.

    A first line of two whole numbers (how many words, how wide) is passed over; `.gz` is read as it is. A word that
    the file lacks takes the vector of its lower case. Only the words asked for are kept, so that a file of any size
    can be read; where a word comes twice, its first vector holds.

    Raises:
        DataError: a line is not as wide as the first, or holds something that is no number; it is named.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "vectors.txt"
    ...     _ = file.write_text("2 3\\ngood 1 0 0\\nfilm 0 1 .5\\n")
    ...     vectors = read_vectors(file, ["<unk>", "Film"])
    >>> vectors.values.tolist(), vectors.share
    ([[0.0, 0.0, 0.0], [0.0, 1.0, 0.5]], 0.5)
    """
    name = Path(path).name
    places: dict[str, list[int]] = {}
    for k, word in enumerate(vocabulary):
        for written in {word, word.lower()}:
            places.setdefault(written, []).append(k)
    values, best = None, np.zeros(len(vocabulary), dtype=np.int8)  # 1: found in lower case, 2: as it is
    for number, word, cells, width in _entries(Path(path), name):
        if values is None:
            values = np.zeros((len(vocabulary), width), dtype=np.float32)
        for k in places.get(word, ()):
            match = 1 + (vocabulary[k] == word)
            if match > best[k]:
                values[k], best[k] = _numbers(cells, name, number), match
    if values is None:
        raise DataError(name, "holds no vectors", "give lines of a word and its numbers")
    return Vectors(values, best > 0, name)


def words_in(path: str | os.PathLike[str], most: int = 100_000) -> list[str]:
    """The first words that a file has vectors for, which are the most frequent as such files are made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "vectors.txt"
    ...     _ = file.write_text("good 1 0 0\\nfilm 0 1 .5\\n")
    ...     words_in(file)
    ['good', 'film']
    """
    return [word for _, word, _, _ in islice(_entries(Path(path), Path(path).name), most)]


def _entries(path: Path, name: str) -> Iterator[tuple[int, str, str, int]]:
    """Line number, word, its numbers as text and how many, of each line but a header; all are as wide as the first."""
    width = 0
    for number, line in enumerate(Lines(path, name, longest=LONGEST, todo="give a text file of vectors"), 1):
        word, _, cells = line.replace("\t", " ").rstrip().partition(" ")
        count = cells.count(" ") + 1
        if not cells or (number == 1 and count == 1 and word.isdecimal() and cells.isdecimal()):
            continue
        width = width or count
        if count < width:
            found = f"{count} numbers after {shown(word)}, the first word has {width}"
            raise DataError(name, found, "take another copy", row=number)
        if count > width:  # GloVe's largest file has words that hold blanks themselves
            head, *tail = line.rstrip().rsplit(" ", width)
            word, cells = head, " ".join(tail)
        yield number, word, cells, width


def _numbers(cells: str, name: str, number: int) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # what is too large is refused below
            vector = np.array(cells.split(" "), dtype=np.float64).astype(np.float32)
    except ValueError as error:
        found = f"found {shown(cells)}, which is not all numbers"
        raise DataError(name, found, "take another copy", row=number) from error
    if not np.isfinite(vector).all():
        raise DataError(name, "a number that is not finite", "take another copy", row=number)
    return vector
