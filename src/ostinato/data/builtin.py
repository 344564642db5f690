"""Data that come with packages which are installed anyway; nothing is fetched."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ostinato.data.errors import DataError

SUNSPOTS = "sunspots (built in: yearly means from 1700, SILSO, from statsmodels)"


def sunspots() -> Path:
    """The yearly sunspot numbers that statsmodels carries, found without importing it.

    Raises:
        DataError: statsmodels is not installed, or came without its data.

    >>> sunspots().name
    'sunspots.csv'
    """
    found = find_spec("statsmodels")
    folder = Path(found.origin).parent if found and found.origin else None
    path = folder / "datasets" / "sunspots" / "sunspots.csv" if folder else None
    if path is None or not path.exists():
        missing = "statsmodels and its data are not installed"
        raise DataError("sunspots", missing, "pip install statsmodels, or give a file")
    return path
