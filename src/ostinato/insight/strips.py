"""A picture of many units over time: one strip a quantity, red above 0 and blue below; gates from white to dark."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def strips(named: Mapping[str, NDArray[Any]], gates: Collection[str] = ()) -> Figure:
    """Each array (time, units) as a strip, all on one axis of time; what is not finite is grey.

    Those of `gates` that lie within 0..1 are drawn on that scale, from white (shut) to dark (open).

    >>> strips({"h": np.zeros((7, 3))}).axes[0].get_xlabel()
    'time'
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 0.6 + 1.1 * len(named)), layout="constrained")
    rows = figure.subplots(len(named), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(rows, named.items(), strict=True):
        finite = values[np.isfinite(values)]
        share = name in gates and ((finite >= 0) & (finite <= 1)).all()
        largest = 1.0 if share else np.abs(finite).max(initial=0) or 1.0
        # Left alone, NaN would be white, as 0 is.
        colors = colormaps["Purples" if share else "RdBu_r"].with_extremes(bad="grey")
        lowest = 0.0 if share else -largest
        picture = axes.imshow(values.T, aspect="auto", interpolation="nearest", cmap=colors, vmin=lowest, vmax=largest)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        figure.colorbar(picture, ax=axes, pad=0.01)
    rows[-1].set_xlabel("time")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
