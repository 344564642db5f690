"""Word vectors that others have trained, from the text files of GloVe, word2vec and fastText."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostinato.data.decoded import Lines
from ostinato.data.errors import DataError, shown


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
    wanted = {word: [k] for k, word in enumerate(vocabulary)}
    low: dict[str, list[int]] = {}
    for k, word in enumerate(vocabulary):
        low.setdefault(word.lower(), []).append(k)
    rows: dict[int, tuple[bool, NDArray[np.float32]]] = {}
    width = 0
    for number, line in enumerate(Lines(Path(path), name, todo="give a text file of vectors"), 1):
        word, *cells = line.rstrip().split(" ")
        if not cells or (number == 1 and _is_header(word, cells)):
            continue
        width = width or len(cells)
        exact, others = wanted.get(word, ()), low.get(word, ())
        if len(cells) != width:
            word, cells = _with_blanks(line, width, name, number)
        if exact or others:
            vector = _numbers(cells, name, number)
            for k in others:
                rows.setdefault(k, (False, vector))
            for k in exact:
                if k not in rows or not rows[k][0]:
                    rows[k] = (True, vector)
    if not width:
        raise DataError(name, "holds no vectors", "give lines of a word and its numbers")
    values, found = np.zeros((len(vocabulary), width), dtype=np.float32), np.zeros(len(vocabulary), dtype=np.bool_)
    for k, (_, vector) in rows.items():
        values[k], found[k] = vector, True
    return Vectors(values, found, name)


def _is_header(word: str, cells: Sequence[str]) -> bool:
    return len(cells) == 1 and word.isdecimal() and cells[0].isdecimal()


def _with_blanks(line: str, width: int, name: str, number: int) -> tuple[str, list[str]]:
    """GloVe's largest file has words that hold blanks themselves."""
    cells = line.rstrip().split(" ")
    if len(cells) <= width:
        found = f"{len(cells) - 1} numbers after {shown(cells[0])}, the lines before have {width}"
        raise DataError(name, found, "take another copy", row=number)
    return " ".join(cells[:-width]), cells[-width:]


def _numbers(cells: Sequence[str], name: str, number: int) -> NDArray[np.float32]:
    try:
        vector = np.array(cells, dtype=np.float32)
    except ValueError as error:
        found = f"found {shown(' '.join(cells))}, which is not all numbers"
        raise DataError(name, found, "take another copy", row=number) from error
    if not np.isfinite(vector).all():
        raise DataError(name, "a number that is not finite", "take another copy", row=number)
    return vector
