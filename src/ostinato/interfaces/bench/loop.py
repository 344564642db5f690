"""The same layer by its cell's plain loop, in operations of torch: what people write where no kernel is."""

from __future__ import annotations

from ostinato.cells.loop import run_gated
from ostinato.layers import Recurrent


def by_the_loop(layer: Recurrent) -> Recurrent:
    """A twin that shares the layer's parameters and random numbers, and has no kernel."""
    twin: Recurrent = object.__new__(type(layer))
    vars(twin).update(vars(layer), _run=run_gated, _plan=None)
    return twin
