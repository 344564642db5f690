"""How a recurrent layer's weights begin: torch's uniform, orthogonal, or identity."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ostinato.cells import GatedCell

Weights = dict[str, Tensor]


def uniform(cell: GatedCell, w: Weights) -> None:
    """torch's own: every entry uniform in +-1/sqrt(hidden_size)."""
    bound = 1 / math.sqrt(cell.hidden_size)  # not ** -0.5, whose last bit is another
    for name, tensor in w.items():
        if not name.startswith("norm"):
            nn.init.uniform_(tensor, -bound, bound)


def orthogonal(cell: GatedCell, w: Weights) -> None:
    """R orthogonal (Saxe 2014), W Glorot, gate by gate; biases 0, the forget gate's 1."""
    _blocks(cell, w, "weight_hh", _orthogonal)
    _blocks(cell, w, "weight_ih", nn.init.xavier_uniform_)
    _plain_rest(cell, w)


def identity(cell: GatedCell, w: Weights) -> None:
    """R the identity, W small, biases 0 (Le 2015, for relu)."""
    _blocks(cell, w, "weight_hh", nn.init.eye_)
    if "weight_ih" in w:
        nn.init.normal_(w["weight_ih"], std=0.001)
    _plain_rest(cell, w)


INITIALIZERS: dict[str, Callable[[GatedCell, Weights], None]] = {
    "uniform": uniform,
    "orthogonal": orthogonal,
    "identity": identity,
}


def reach_originals(layer: nn.Module, suffix: str, w: Weights) -> None:
    """What was drawn into a tensor that a parametrization or pruning makes at each call goes on to its originals."""
    for name, drawn in w.items():
        original = layer._parameters.get(f"{name}{suffix}_orig")  # torch.nn.utils.prune's name
        if parametrize.is_parametrized(layer, name + suffix):
            try:
                setattr(layer, name + suffix, drawn)  # torch asks each parametrization for its inverse
            except RuntimeError:  # it has none, as one that adds something: then what it adds to is drawn
                original = getattr(getattr(layer.parametrizations, name + suffix), "original", None)
        if original is not None:
            original.copy_(drawn)


def _blocks(cell: GatedCell, w: Weights, name: str, fill: Callable[[Tensor], Tensor]) -> None:
    for block in w[name].split(cell.hidden_size) if name in w else ():
        fill(block)


def _orthogonal(tensor: Tensor) -> Tensor:
    """As torch's, and for half precision too, which has no QR."""
    wide = torch.empty_like(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32))
    return tensor.copy_(nn.init.orthogonal_(wide))


def _plain_rest(cell: GatedCell, w: Weights) -> None:
    zeros, known = ("bias_ih", "bias_hh", "peephole"), ("weight_ih", "weight_hh", "weight_hr")
    for name in zeros:
        if name in w:
            nn.init.zeros_(w[name])
    uniform(cell, {name: v for name, v in w.items() if name not in (*zeros, *known)})  # a cell's own
    if "weight_hr" in w:
        _orthogonal(w["weight_hr"])
    if "f" in cell.gates and "bias_ih" in w:
        with torch.no_grad():
            w["bias_ih"].view(len(cell.gates), -1)[cell.gates.index("f")].fill_(1)
