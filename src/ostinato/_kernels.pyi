"""The fused kernels: plain pointers and sizes, no torch."""

from typing import Annotated

import numpy
from numpy.typing import NDArray


def instruction_set() -> str:
    """The instruction set that was chosen."""

def saved_slots(kind: int) -> int:
    """Times hidden: what is kept of a step."""

def pooled_f32(a: int, b: int, c: int) -> NDArray[numpy.float32]:
    """An array (a, b, c) of float32 in memory that is used again."""

def pooled_f64(a: int, b: int, c: int) -> NDArray[numpy.float64]:
    """An array (a, b, c) of float64 in memory that is used again."""

class StreamF32:
    """A stack of layers that takes one step at a time."""

    def __init__(self, batch: int, input: int, residual: bool) -> None: ...

    def add(self, kind: int, activation: int, W: Annotated[NDArray, dict(device='cpu', writable=False)], R: Annotated[NDArray, dict(device='cpu', writable=False)], b_ih: Annotated[NDArray, dict(device='cpu', writable=False)] | None, b_hh: Annotated[NDArray, dict(device='cpu', writable=False)] | None, start: Annotated[NDArray, dict(device='cpu', writable=False)]) -> None: ...

    def step(self, x: Annotated[NDArray, dict(device='cpu', writable=False)]) -> object: ...

    def reset(self, row: int) -> None: ...

    def state(self, layer: int, which: int) -> NDArray[numpy.float32]: ...

class StreamF64:
    """A stack of layers that takes one step at a time."""

    def __init__(self, batch: int, input: int, residual: bool) -> None: ...

    def add(self, kind: int, activation: int, W: Annotated[NDArray, dict(device='cpu', writable=False)], R: Annotated[NDArray, dict(device='cpu', writable=False)], b_ih: Annotated[NDArray, dict(device='cpu', writable=False)] | None, b_hh: Annotated[NDArray, dict(device='cpu', writable=False)] | None, start: Annotated[NDArray, dict(device='cpu', writable=False)]) -> None: ...

    def step(self, x: Annotated[NDArray, dict(device='cpu', writable=False)]) -> object: ...

    def reset(self, row: int) -> None: ...

    def state(self, layer: int, which: int) -> NDArray[numpy.float64]: ...

def forward(kind: int, activation: int, x: Annotated[NDArray, dict(device='cpu', writable=False)], W: Annotated[NDArray, dict(device='cpu', writable=False)], R: Annotated[NDArray, dict(device='cpu', writable=False)], b_ih: Annotated[NDArray, dict(device='cpu', writable=False)] | None, b_hh: Annotated[NDArray, dict(device='cpu', writable=False)] | None, begin_h: Annotated[NDArray, dict(device='cpu', writable=False)] | None, begin_c: Annotated[NDArray, dict(device='cpu', writable=False)] | None, lengths: Annotated[NDArray, dict(device='cpu', writable=False)] | None, resets: Annotated[NDArray, dict(device='cpu', writable=False)] | None, restart_h: Annotated[NDArray, dict(device='cpu', writable=False)] | None, restart_c: Annotated[NDArray, dict(device='cpu', writable=False)] | None, mask: Annotated[NDArray, dict(device='cpu', writable=False)] | None, reverse: bool, threads: int, y: Annotated[NDArray, dict(device='cpu')], end_h: Annotated[NDArray, dict(device='cpu')] | None, end_c: Annotated[NDArray, dict(device='cpu')] | None, saved: Annotated[NDArray, dict(device='cpu')] | None) -> None:
    """
    A whole sequence forward, into y, the end states and what the backward needs.
    """

def backward(kind: int, activation: int, x: Annotated[NDArray, dict(device='cpu', writable=False)], W: Annotated[NDArray, dict(device='cpu', writable=False)], R: Annotated[NDArray, dict(device='cpu', writable=False)], b_ih: Annotated[NDArray, dict(device='cpu', writable=False)] | None, b_hh: Annotated[NDArray, dict(device='cpu', writable=False)] | None, begin_h: Annotated[NDArray, dict(device='cpu', writable=False)] | None, begin_c: Annotated[NDArray, dict(device='cpu', writable=False)] | None, lengths: Annotated[NDArray, dict(device='cpu', writable=False)] | None, resets: Annotated[NDArray, dict(device='cpu', writable=False)] | None, restart_h: Annotated[NDArray, dict(device='cpu', writable=False)] | None, restart_c: Annotated[NDArray, dict(device='cpu', writable=False)] | None, mask: Annotated[NDArray, dict(device='cpu', writable=False)] | None, reverse: bool, threads: int, y: Annotated[NDArray, dict(device='cpu', writable=False)], saved: Annotated[NDArray, dict(device='cpu', writable=False)] | None, dy: Annotated[NDArray, dict(device='cpu', writable=False)] | None, dend_h: Annotated[NDArray, dict(device='cpu', writable=False)] | None, dend_c: Annotated[NDArray, dict(device='cpu', writable=False)] | None, dx: Annotated[NDArray, dict(device='cpu')] | None, dW: Annotated[NDArray, dict(device='cpu')] | None, dR: Annotated[NDArray, dict(device='cpu')] | None, db_ih: Annotated[NDArray, dict(device='cpu')] | None, db_hh: Annotated[NDArray, dict(device='cpu')] | None, dbegin_h: Annotated[NDArray, dict(device='cpu')] | None, dbegin_c: Annotated[NDArray, dict(device='cpu')] | None, drestart_h: Annotated[NDArray, dict(device='cpu')] | None, drestart_c: Annotated[NDArray, dict(device='cpu')] | None) -> None:
    """A whole sequence backward, into the gradients that are asked for."""
