"""Streams: a stack of layers that takes one step at a time and keeps its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.runtime.arrays import Array, state_of


class Stream:
    """`batch` streams side by side; made by `Model.stream`. Packed weights and state live in C++.

    `step(x)` takes x (batch, input_size), any strides, and gives the top layer's output
    (batch, size of h): always the same array, which the next step writes again. Copy it to keep it.
    """

    def __init__(self, engine: Any, batch: int, layers: int, states: int) -> None:
        self._engine = engine
        self.batch, self._layers, self._states = batch, layers, states
        self.step = engine.step  # the call itself: a Python frame between would cost a tenth of a small step

    @property
    def state(self) -> tuple[Array, ...]:
        """h, or h and c, each (layers, batch, size): copies. May be set.

        The size is hidden_size; of h it is proj_size where the layer has a projection.

        Raises:
            ValueError: what it is set to is not of real numbers or does not fit; nothing was changed then.
        """
        return tuple(np.stack(each) for each in self._parts())

    @state.setter
    def state(self, value: Any) -> None:
        parts = self._parts()
        wanted = [(self._layers, *each[0].shape) for each in parts]
        for each, tensor in zip(parts, state_of(value, wanted, parts[0][0].dtype), strict=True):
            for part, row in zip(each, tensor, strict=True):
                part[...] = row

    def _parts(self) -> list[list[Array]]:
        """The memory of h, or of h and c, itself: of each layer (batch, size)."""
        return [[self._engine.state(k, i) for k in range(self._layers)] for i in range(self._states)]

    def reset(self, rows: int | Sequence[int] | Array | None = None) -> None:
        """Begin anew, from the learnt initial state or zeros: all streams, those named, or those marked.

        Args:
            rows: an index, several, or marks (batch,) bool.

        Raises:
            TypeError: rows are neither integers nor marks.
            ValueError: there is no such stream; none was reset then.
        """
        named = np.arange(self.batch) if rows is None else np.atleast_1d(np.asarray(rows))
        if named.dtype == bool and named.shape == (self.batch,):
            named = named.nonzero()[0]
        if named.dtype.kind not in "iu" and named.size:
            raise TypeError(f"rows must be integers, or {self.batch} marks, found {named.dtype} {named.shape}")
        for row in named.ravel().tolist():
            if not 0 <= row < self.batch:
                raise ValueError(f"row {row} is no stream of this batch of {self.batch}")
        for row in named.ravel().tolist():
            self._engine.reset(int(row))
