"""The norms of input and recurrent weights: the texts' "normalise W" and "keep W below 1"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize


@dataclass(frozen=True)
class Weight:
    """One matrix weight_ih* or weight_hh* of a layer.

    Attributes:
        after: the layer's parameters that follow it; a folded weight goes back before them.
    """

    layer: nn.Module
    name: str
    parameter: nn.Parameter
    after: tuple[str, ...]

    @classmethod
    def all_of(cls, model: nn.Module) -> list[Weight]:
        """Those of every layer that are not parametrized already."""
        found = []
        for layer in model.modules():
            own = dict(layer.named_parameters(recurse=False))
            for i, (name, parameter) in enumerate(own.items()):
                if name.startswith(("weight_ih", "weight_hh")) and parameter.dim() == 2:
                    found.append(cls(layer, name, parameter, tuple(own)[i + 1 :]))
        return found

    @property
    def recurrent(self) -> bool:
        return self.name.startswith("weight_hh")

    @property
    def normalized(self) -> bool:
        return parametrize.is_parametrized(self.layer, self.name)

    def normalize(self) -> None:
        """W = g v / |v| from here on: a length and a direction for each row (Salimans and Kingma 2016).

        Raises:
            ValueError: a row is all zeros, which has no direction.
        """
        zero = ~self.parameter.detach().any(1)
        if bool(zero.any()):
            row = f"row {int(zero.nonzero()[0])} of {self.name}"
            raise ValueError(f"weight_norm: {row} is all zeros, which has no direction; draw it anew")
        parametrizations.weight_norm(self.layer, self.name)

    def fold(self) -> None:
        """The plain weight again: the parameter that it was, at the place that it had."""
        self.parameter.data = getattr(self.layer, self.name).detach().clone()
        parametrize.remove_parametrizations(self.layer, self.name)
        setattr(self.layer, self.name, self.parameter)
        for name in self.after:
            if not parametrize.is_parametrized(self.layer, name):
                parameter = getattr(self.layer, name)
                delattr(self.layer, name)
                setattr(self.layer, name, parameter)

    @torch.no_grad()
    def limit(self, largest: float) -> None:
        """R = R min(1, largest / |R|_2), for each gate's rows by themselves (Pascanu 2013).

        The spectral norm is exact, from the singular values. Of g v / |v| only g changes.
        """
        weight: Tensor = getattr(self.layer, self.name)
        gates = (-1, getattr(self.layer, "hidden_size", weight.shape[1]))
        exact = weight if weight.dtype == torch.float64 else weight.float()
        norms = torch.linalg.matrix_norm(exact.unflatten(0, gates), ord=2)
        rows = weight
        if self.normalized:
            parametrized: Any = self.layer.parametrizations
            rows = parametrized[self.name].original0
        rows.unflatten(0, gates).mul_((largest / norms).clamp(max=1)[:, None, None])
