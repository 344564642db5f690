"""Parquet files as pandas frames; what reads them is an extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ostinato.data.errors import DataError

SUFFIXES = (".parquet", ".pq")


def read_parquet(path: Path, name: str) -> Any:
    """The frame.

    Raises:
        DataError: pyarrow is not installed, or the file is none.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise DataError(name, "a Parquet file, which needs pyarrow", "pip install ostinato[parquet]") from error
    except (OSError, ValueError) as error:
        raise DataError(name, f"no Parquet file that can be read ({error})", "take another copy, or CSV") from error
