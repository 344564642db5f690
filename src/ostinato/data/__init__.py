"""Readers, windows and batches: from a person's data to tensors, sizes decided once."""

from ostinato.data.errors import DataError
from ostinato.data.read import read_series
from ostinato.data.series import Series

__all__ = ["DataError", "Series", "read_series"]
