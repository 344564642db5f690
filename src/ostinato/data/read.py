"""Any source of one series: a file, a frame, an array, or a series that was read already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ostinato.data.errors import DataError
from ostinato.data.frames import read_frame
from ostinato.data.points import Points, read_csv
from ostinato.data.series import Series, regular

DUPLICATES = ("mean", "last")


def read_series(
    source: Any,
    *,
    name: str | None = None,
    time: str | None = None,
    target: str | None = None,
    freq: str | None = None,
    duplicates: str | None = None,
    on_bad: str = "error",
) -> Series:
    """One series on its grid of time, out of whatever holds it.

    Args:
        source: path of a CSV (`.gz` too) or Parquet file, pandas or polars frame, array, or Series.
        name: what errors call it.
        time, target: columns, told from the content where left out.
        freq: spacing of the grid, such as "D", "15min"; inferred where left out.
        duplicates: "mean" or "last" where a time may occur more than once.
        on_bad: "skip" leaves out broken rows of a text file and counts them in `notes`.

    Raises:
        DataError: in one line, what is wrong, where, and what to do.

    >>> import numpy as np
    >>> read_series(np.arange(5.0)).frequency.words
    'steps without dates'
    """
    if isinstance(source, Series):
        return source
    if isinstance(source, (str, os.PathLike)):
        points = _file(Path(source), name, time, target, on_bad == "skip")
    else:
        points = read_frame(source, time=time, target=target)
    return regular(points, freq, duplicates)


def _file(path: Path, name: str | None, time: str | None, target: str | None, skip: bool) -> Points:
    if path.suffix.lower() not in (".parquet", ".pq"):
        return read_csv(path, name=name, time=time, target=target, skip=skip)
    import pandas as pd

    label = name or path.name
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise DataError(label, "a Parquet file, which needs pyarrow", "pip install ostinato[parquet]") from error
    except (OSError, ValueError) as error:
        raise DataError(label, f"no Parquet file that can be read ({error})", "take another copy, or CSV") from error
    return read_frame(frame, time=time, target=target)
