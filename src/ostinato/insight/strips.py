"""A picture of many units over time: one strip a quantity, red above 0 and blue below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def strips(named: Mapping[str, NDArray[Any]]) -> Figure:
    """Each array (time, units) as a strip, all on one axis of time; what is not finite is grey.

    >>> strips({"h": np.zeros((7, 3))}).axes[0].get_xlabel()
    'time'
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    colors = colormaps["RdBu_r"].with_extremes(bad="grey")  # left alone, NaN would be white, as 0 is
    figure = Figure(figsize=(8, 0.6 + 1.1 * len(named)), layout="constrained")
    rows = figure.subplots(len(named), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(rows, named.items(), strict=True):
        largest = np.abs(values[np.isfinite(values)]).max(initial=0) or 1
        picture = axes.imshow(
            values.T, aspect="auto", interpolation="nearest", cmap=colors, vmin=-largest, vmax=largest
        )
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        figure.colorbar(picture, ax=axes, pad=0.01)
    rows[-1].set_xlabel("time")
    return figure
