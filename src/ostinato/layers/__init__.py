"""Layers: recurrent stacks over any registered cell, at home in PyTorch."""

from ostinato.layers.recurrent import GRU, LSTM, RNN, Recurrent

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]
