"""Streams: a stack of layers that takes one step at a time and keeps its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Stream:
    """`batch` streams side by side; made by `Model.stream`. Packed weights and state live in C++.

    `step(x)` takes x (batch, input_size), any strides, and gives the top layer's output
    (batch, hidden_size): always the same array, which the next step writes again. Copy it to keep it.
    """

    def __init__(self, engine: Any, batch: int, layers: int, states: int) -> None:
        self._engine = engine
        self.batch, self._layers, self._states = batch, layers, states
        self.step = engine.step  # the call itself: a Python frame between would cost a tenth of a small step

    @property
    def state(self) -> tuple[Array, ...]:
        """h, or h and c, each (layers, batch, hidden_size): copies. May be set."""
        return tuple(np.stack([self._engine.state(k, i) for k in range(self._layers)]) for i in range(self._states))

    @state.setter
    def state(self, value: Any) -> None:
        given = value if isinstance(value, (tuple, list)) else (value,)
        wanted = (self._layers, *self._engine.state(0, 0).shape)
        if len(given) != self._states or any(np.shape(s) != wanted for s in given):
            raise ValueError(f"the state has {self._states} tensor(s) {wanted}, found {[np.shape(s) for s in given]}")
        for i, tensor in enumerate(given):
            for k in range(self._layers):
                self._engine.state(k, i)[...] = tensor[k]

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
