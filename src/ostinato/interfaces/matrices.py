"""A table of numbers as a field of colours, with the numbers in it where there is room."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.interfaces.pictures import INK, OURS, drawn
from ostinato.tasks.outcome import Matrix

ROOM = 24  # columns from which on numbers would be too small to read
LONGEST = 18  # letters of a name


def svg(matrix: Matrix, number: int = 0) -> str:
    """The matrix as an <svg> element; a row is coloured by its own shares, so that rare classes are seen too."""
    high = min(1.6 + 0.3 * len(matrix.rows), 14.0)
    wide = min(2.6 + 0.45 * len(matrix.columns), 9.0)
    return drawn(lambda figure: _draw(figure.add_subplot(), matrix), (max(wide, 3.5), high), number)


def _draw(axes: Any, matrix: Matrix) -> None:
    shares = _shares(matrix.values)
    rows, columns = shares.shape
    for i in range(rows):
        for j in range(columns):
            _cell(axes, i, j, shares[i, j], _said(matrix.values[i, j]) if columns <= ROOM else "")
    axes.set(xlim=(0, columns), ylim=(rows, 0), xlabel=matrix.column_label, ylabel=matrix.row_label)
    slant = 0 if sum(len(_short(name)) for name in matrix.columns) < 7 * columns else 90
    axes.set_xticks(np.arange(columns) + 0.5, [_short(name) for name in matrix.columns], rotation=slant, fontsize=8)
    axes.set_yticks(np.arange(rows) + 0.5, [_short(name) for name in matrix.rows], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _cell(axes: Any, i: int, j: int, share: float, said: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((j + 0.03, i + 0.03), 0.94, 0.94, facecolor=OURS, alpha=0.04 + 0.8 * share, linewidth=0))
    if said:
        axes.text(
            j + 0.5, i + 0.5, said, ha="center", va="center", fontsize=7.5, color=INK, alpha=0.35 + 0.65 * (share > 0)
        )


def _shares(values: Any) -> Any:
    values = np.asarray(values, dtype=float)
    return values / np.maximum(values.sum(1, keepdims=True), 1e-12)


def _said(value: Any) -> str:
    return f"{value:,.0f}" if float(value) == round(float(value)) else f"{value:.2f}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
