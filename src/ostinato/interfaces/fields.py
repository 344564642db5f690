"""A picture of numbers, row by row from the bottom: a piano roll, a spectrogram."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.interfaces.pictures import OURS, drawn
from ostinato.tasks.outcome import Field

NAMED = 18  # rows that there is room to name


def svg(field: Field, number: int = 0) -> str:
    """The field as an <svg> element."""
    high = min(1.6 + 0.055 * len(field.rows), 6.0)
    return drawn(lambda figure: _draw(figure.add_subplot(), field), (8.0, high), number)


def _draw(axes: Any, field: Field) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    values = np.asarray(field.values, dtype=float)
    shades = LinearSegmentedColormap.from_list("ours", [(0.0, "#ffffff00"), (1.0, OURS)])
    top = max(float(values.max(initial=0.0)), 1e-12)
    axes.pcolormesh(values, cmap=shades, vmin=0, vmax=top, rasterized=False, linewidth=0, antialiased=False)
    places = range(0, len(field.rows), -(-len(field.rows) // NAMED))
    axes.set_yticks([k + 0.5 for k in places], [field.rows[k] for k in places], fontsize=8)
    axes.set(xlabel=field.column_label, ylabel=field.row_label)
    axes.tick_params(length=0)
