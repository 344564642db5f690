"""Layers: recurrent stacks over any registered cell and convolution, at home in PyTorch."""

from ostinato.layers.conv import Conv1d
from ostinato.layers.recurrent import GRU, LSTM, RNN, Recurrent

__all__ = ["GRU", "LSTM", "RNN", "Conv1d", "Recurrent"]
