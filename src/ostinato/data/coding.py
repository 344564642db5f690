"""Covariates as numbers: a number stays what it is, a word becomes a place among the known ones.

    x[k] = 1 where the cell holds category k, else 0

The categories are those of the file that was trained on and are kept with the model, so that a column
means the same in every later file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ostinato.data.numbers import is_missing

Array = NDArray[np.float64]

MOST = 32  # categories of a column


@dataclass(frozen=True)
class Cells:
    """A column as it came.

    Attributes:
        name: of the column.
        values: (rows,), numbers, or places in `words`; NaN where missing.
        words: what the places stand for; None: the values are numbers.
    """

    name: str
    values: Array
    words: tuple[str, ...] | None = None

    def word(self, place: int) -> str:
        """What one cell says."""
        value = float(self.values[place])
        return f"{value:.15g}" if self.words is None else self.words[int(value)]


class Vocabulary:
    """Words and their places, in order of appearance; it grows with every chunk of a file.

    >>> Vocabulary().places(["NW", "", "SE", "NW"]).tolist()
    [0.0, nan, 1.0, 0.0]
    """

    def __init__(self) -> None:
        self._places: dict[str, float] = {}

    @property
    def words(self) -> tuple[str, ...]:
        """All that have appeared."""
        return tuple(self._places)

    def places(self, cells: Sequence[str]) -> Array:
        """The place of each cell's word, NaN where it is missing."""
        known, found = self._places, np.empty(len(cells))
        for k, cell in enumerate(cells):
            word = cell.strip()
            place = known.get(word)
            if place is None:
                place = np.nan if is_missing(word) else known.setdefault(word, float(len(known)))
            found[k] = place
        return found


class Coded(BaseModel):
    """How one column becomes numbers.

    Attributes:
        name: of the column.
        categories: the words it may hold, sorted; none: it holds numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    categories: Annotated[tuple[str, ...], Field(max_length=MOST)] = ()

    @classmethod
    def fit(cls, cells: Cells) -> Coded:
        """From the column of the file that is trained on."""
        if cells.words is None:
            return cls(name=cells.name)
        known = cells.values[~np.isnan(cells.values)].astype(np.int64)
        counts = np.bincount(known, minlength=len(cells.words)).tolist()
        ranked = sorted((-count, word) for count, word in zip(counts, cells.words, strict=True) if count)
        # In the order of the alphabet: how frequent they are in what is held out must not matter.
        return cls(name=cells.name, categories=tuple(sorted(word for _, word in ranked[:MOST])))

    @property
    def width(self) -> int:
        """Numbers that a cell becomes."""
        return len(self.categories) or 1

    def apply(self, cells: Cells) -> Array:
        """(rows, width): zeros for a word that was not known, NaN everywhere for a missing cell.

        >>> wind = Cells("wind", np.array([0.0, 1.0, 2.0, np.nan]), ("NW", "SE", "cv"))
        >>> Coded(name="wind", categories=("SE", "NW")).apply(wind).tolist()
        [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [nan, nan]]
        """
        if not self.categories:
            return cells.values[:, None]
        place = {word: k for k, word in enumerate(self.categories)}
        own = np.array([*(place.get(word, -1) for word in cells.words or ()), -1])
        missing = np.isnan(cells.values)
        found = own[np.where(missing, -1, cells.values).astype(np.int64)]
        coded = (found[:, None] == np.arange(self.width)).astype(np.float64)
        coded[missing] = np.nan
        return coded


class Coding(BaseModel):
    """How the covariates of a model become numbers, column by column.

    >>> Coding.model_validate(Coding(past=(Coded(name="wind"),)).model_dump(mode="json")).past[0].width
    1
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    past: tuple[Coded, ...] = ()
    future: tuple[Coded, ...] = ()
    static: tuple[Coded, ...] = ()

    @classmethod
    def fit(cls, past: Sequence[Cells], future: Sequence[Cells], static: Sequence[Cells]) -> Coding:
        """From the columns of the file that is trained on."""
        found = (tuple(Coded.fit(cells) for cells in columns) for columns in (past, future, static))
        return cls(**dict(zip(("past", "future", "static"), found, strict=True)))

    def words(self) -> dict[str, bool]:
        """Whether each column holds words."""
        return {coded.name: bool(coded.categories) for coded in (*self.past, *self.future, *self.static)}


def coded(columns: Sequence[Coded], cells: Sequence[Cells], rows: int) -> Array | None:
    """All columns of one kind side by side, (rows, widths together); NaN for one that is not there, None for none."""
    if not columns:
        return None
    found = {column.name: column for column in cells}
    return np.concatenate(
        [
            column.apply(found[column.name]) if column.name in found else np.full((rows, column.width), np.nan)
            for column in columns
        ],
        axis=1,
    )
