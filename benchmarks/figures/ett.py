"""ETTh1 as the literature measures it: every window of the test part, all seven columns, standardised values.

y = (x - mean) / deviation of the training rows;    mse = mean (ŷ - y)² over columns, windows and steps
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .row import QUICK

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

FILE = "forecast/ett/ETTh1.csv.gz"
SPLIT = (8640, 2880, 2880)  # rows to learn from, to stop by, to measure on: 12, 4 and 4 months
LOOK_BACK = 96
DAY = 24
QUICKLY = 100  # a quick run measures on each so many windows


def measure(data: Path, quick: bool, *, horizon: int, split: tuple[int, int, int] = SPLIT) -> dict[str, Any]:
    """What metrics.json would hold: mse and mae of ours, of naive and of seasonal naive, on the same windows.

    Args:
        quick: one epoch, and only some of the windows.
    """
    import pandas as pd

    import ostinato as ost
    from ostinato.data import read_panel

    frame = standardised(pd.read_csv(data / FILE), split)
    columns = [name for name in frame.columns if name != "date"]
    train, valid = frame[: split[0]], frame[split[0] : split[0] + split[1]]
    options = QUICK if quick else {}
    model = ost.Forecaster(horizon=horizon, look_back=LOOK_BACK, time="date", target=columns, **options)
    model.fit(train, validation=valid)
    if not model._learnt.plan.ways:  # an outlook is fitted to all of a series, and so would see what it is to tell
        raise ValueError(f"{FILE}: {split[0]} training rows are too few to forecast from within: give the whole file")
    panel = read_panel(frame, time="date", target=columns)
    places = origins(split, horizon)[:: QUICKLY if quick else 1]
    at = np.stack([np.zeros_like(places), places], 1)
    told: dict[str, list[Array]] = {"ostinato": [], "naive": [], "seasonal_naive": []}
    truth = []
    for series in panel:  # a column at a time is as much as memory should hold
        alone = replace(panel, series=(series,))
        truth.append(ahead(series.values, places, horizon))
        told["ostinato"].append(model._learnt.forecast(alone, at).point)
        told["naive"].append(repeated(series.values, places, horizon, 1))
        told["seasonal_naive"].append(repeated(series.values, places, horizon, DAY))
    scored = {who: _errors(points, truth) for who, points in told.items()}
    return {"metrics": scored.pop("ostinato"), "baselines": scored, "seed": model.seed}


def standardised(frame: pd.DataFrame, split: tuple[int, int, int]) -> pd.DataFrame:
    """The rows of the three parts, each column by mean and deviation of its training rows.

    Raises:
        ValueError: the file has fewer rows.
    """
    if len(frame) < sum(split):
        raise ValueError(f"{FILE}: has {len(frame)} rows, the split takes {sum(split)}: give the whole file")
    frame = frame[: sum(split)].copy()
    columns = frame.columns.drop("date")
    train = frame[columns][: split[0]]
    frame[columns] = (frame[columns] - train.mean()) / train.std(ddof=0)
    return frame


def origins(split: tuple[int, int, int], horizon: int) -> NDArray[np.int64]:
    """Places whose `horizon` targets all lie in the test part; what is looked back on may lie before it.

    >>> origins((5, 2, 4), 3)
    array([7, 8])
    """
    return np.arange(split[0] + split[1], sum(split) - horizon + 1)


def ahead(y: Array, places: NDArray[np.int64], horizon: int) -> Array:
    """(places, horizon) what follows on each place."""
    return np.lib.stride_tricks.sliding_window_view(y, horizon)[places]


def repeated(y: Array, places: NDArray[np.int64], horizon: int, season: int) -> Array:
    """(places, horizon) the last season before each place, again and again; a season of 1: the last value.

    >>> repeated(np.arange(6.0), np.array([4]), 3, 2)
    array([[2., 3., 2.]])
    """
    found: Array = y[places[:, None] - season + np.arange(horizon) % season]
    return found


def _errors(told: list[Array], truth: list[Array]) -> dict[str, float]:
    """Each column has as many windows, so that the mean of the columns' means is that of all."""
    off = [points - y for points, y in zip(told, truth, strict=True)]
    return {
        "mse": float(np.mean([np.square(e).mean() for e in off])),
        "mae": float(np.mean([np.abs(e).mean() for e in off])),
    }
