"""Readers, windows and batches: from a person's data to tensors, sizes decided once."""

from ostinato.data.coding import Coded, Coding
from ostinato.data.errors import DataError
from ostinato.data.panel import Panel
from ostinato.data.read import read_panel, read_series
from ostinato.data.series import Series, carried

__all__ = ["Coded", "Coding", "DataError", "Panel", "Series", "carried", "read_panel", "read_series"]
