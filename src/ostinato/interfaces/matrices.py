"""A table of numbers as a field of colours, with the numbers in it where there is room."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np

from ostinato.interfaces.pictures import INK, OURS, drawn
from ostinato.tasks.outcome import Matrix

ROOM = 24  # columns from which on numbers would be too small to read
LONGEST = 18  # letters of a name
POINTS = 8  # size of names
MARGIN = 2.2  # inches that the names of rows may take


def svg(matrix: Matrix, number: int = 0) -> str:
    """The matrix as an <svg> element; a row is coloured by its own shares, so that rare classes are seen too.

    Names that would run into each other are written on a slant.
    """
    wide = max(min(2.6 + 0.45 * len(matrix.columns), 9.0), 3.5)
    longest = max(map(_inches, map(_short, matrix.columns)))
    slant = 45 if longest > (wide - MARGIN) / len(matrix.columns) else 0
    high = min(1.6 + 0.3 * len(matrix.rows), 14.0) + (0.7 * longest if slant else 0)
    return drawn(lambda figure: _draw(figure.add_subplot(), matrix, slant), (wide, high), number)


def _draw(axes: Any, matrix: Matrix, slant: int = 0) -> None:
    shares = _shares(matrix)
    rows, columns = shares.shape
    for i in range(rows):
        for j in range(columns):
            _cell(axes, i, j, shares[i, j], _said(matrix.values[i, j]) if columns <= ROOM else "")
    axes.set(xlim=(0, columns), ylim=(rows, 0), xlabel=matrix.column_label, ylabel=matrix.row_label)
    # On a slant a name ends under its column; upright it stands in the middle.
    placed: dict[str, Any] = {"rotation": slant, "ha": "right", "rotation_mode": "anchor"} if slant else {}
    axes.set_xticks(np.arange(columns) + 0.5, [_short(name) for name in matrix.columns], fontsize=POINTS, **placed)
    axes.set_yticks(np.arange(rows) + 0.5, [_short(name) for name in matrix.rows], fontsize=POINTS)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _cell(axes: Any, i: int, j: int, share: float, said: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((j + 0.03, i + 0.03), 0.94, 0.94, facecolor=OURS, alpha=0.04 + 0.8 * share, linewidth=0))
    if said:
        axes.text(
            j + 0.5, i + 0.5, said, ha="center", va="center", fontsize=7.5, color=INK, alpha=0.35 + 0.65 * (share > 0)
        )


def _shares(matrix: Matrix) -> Any:
    values = np.asarray(matrix.values, dtype=float)
    return values / (matrix.full or np.maximum(values.sum(1, keepdims=True), 1e-12))


def _said(value: Any) -> str:
    """A number in as much room as a cell has.

    >>> _said(3), _said(0.5), _said(9_876), _said(25_123)
    ('3', '0.50', '9,876', '25k')
    """
    if value >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:,.0f}" if float(value) == round(float(value)) else f"{value:.2f}"


def _short(name: str) -> str:
    """A name on one line; of a long one its two ends, since many differ in the last letters alone.

    >>> _short("a rather long class name 17")
    'a rather lo…ame 17'
    """
    line = " ".join(name.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 7] + "…" + line[-6:]


def _inches(name: str) -> float:
    """About as long as a name is, a blank after it included: letters of East Asia are square."""
    square = sum(unicodedata.east_asian_width(letter) in "WF" for letter in name)
    return POINTS / 72 * (square + 0.62 * (len(name) - square + 1))
