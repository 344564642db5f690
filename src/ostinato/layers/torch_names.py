"""What code for torch.nn's recurrent layers asks of ours: lists of the weights, and the kind in torch's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from ostinato.cells import GatedCell
from ostinato.dispatch import named


class TorchNames(nn.Module):
    """Attributes of torch.nn.RNNBase, made of a layer's own cells and weights.

    >>> from ostinato.layers import LSTM
    >>> LSTM(3, 8)._all_weights
    [['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']]
    """

    cell: str
    options: dict[str, Any]
    proj_size = 0
    _each: Callable[[], Iterator[tuple[GatedCell, str]]]  # every cell and its weights' suffix, in torch's order

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each layer and direction, as torch.nn has them: for code that draws them by itself."""
        return [list(cell.collect(self, suffix).values()) for cell, suffix in self._each()]

    def flatten_parameters(self) -> None:
        """Nothing to do: for code written for torch.nn, whose GPU layers want it."""

    @property
    def mode(self) -> str:
        """The kind of layer in torch's words, such as "LSTM" and "RNN_TANH"."""
        kind = self.cell.upper()
        return f"RNN_{self.options.get('nonlinearity', 'tanh').upper()}" if kind == "RNN" else kind

    @property
    def _all_weights(self) -> list[list[str]]:
        return [[named(name, suffix) for name in cell.collect(self, suffix)] for cell, suffix in self._each()]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [w for row in self.all_weights for w in row]

    @_flat_weights.setter
    def _flat_weights(self, weights: list[Tensor]) -> None:
        for name, w in zip(self._flat_weights_names, weights, strict=True):
            if self._parameters.get(name, vars(self).get(name, w)) is not w:  # what is made of others is made anew
                raise ValueError(f"_flat_weights: weights are taken by name, and {name} is another tensor: set that")
