"""A group of the M3 competition: all its series in one model, measured on the competition's own test values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .row import BASELINES, QUICK

if TYPE_CHECKING:
    import pandas as pd

FILE = "forecast/m3_m1/M3.csv.gz"
FEW = 20  # series of a quick run


def measure(data: Path, quick: bool, *, group: str, horizon: int, season: int) -> dict[str, Any]:
    """What metrics.json would hold.

    Args:
        quick: one epoch on a few of the series.
        group: YEARLY, QUARTERLY, MONTHLY or OTHER.
    """
    import pandas as pd

    import ostinato as ost

    table = pd.read_csv(data / FILE)
    table = table[table["period"] == group]
    options: dict[str, Any] = QUICK | {"baselines": BASELINES} if quick else {}
    table = table[:FEW] if quick else table
    train, test = long(table, "train"), long(table, "test")
    model = ost.Forecaster(horizon=horizon, season=season, **options)
    return model.experiment(train, test=test, quiet=True).to_json()


def long(table: pd.DataFrame, part: str) -> pd.DataFrame:
    """unique_id, ds, y out of rows whose values stand in one cell, with spaces between; steps counted from 1.

    Args:
        table: series, train, test.
        part: "train", or "test", whose steps go on.
    """
    import pandas as pd

    values = [np.array(cell.split(), float) for cell in table[part]]
    before = [len(cell.split()) if part == "test" else 0 for cell in table["train"]]
    steps = [np.arange(1, len(y) + 1) + n for y, n in zip(values, before, strict=True)]
    ids = np.repeat(table["series"].to_numpy(), [len(y) for y in values])
    return pd.DataFrame({"unique_id": ids, "ds": np.concatenate(steps), "y": np.concatenate(values)})
