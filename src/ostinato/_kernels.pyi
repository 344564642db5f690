"""The fused kernels: plain pointers and sizes, no torch."""

from typing import Annotated

import numpy
from numpy.typing import NDArray


def instruction_set() -> str:
    """The instruction set that was chosen."""

def saved(kind: int, reset_before: bool, projected: bool, normed: bool, zoned: bool) -> tuple[int, int]:
    """What is kept of a step: (times hidden, numbers beside)."""

def kept_numbers(steps: int, width: int, layers: int, directions: int, above: int) -> int:
    """
    How many numbers a forward keeps for its backward, of which `width` for each step and row; `above` is y's width.
    """

def mask(out: object, key: int, stream: int, p: float) -> None:
    """A dropout mask of one number a sequence and unit."""

def multiply(a: object, b: object, bias: object | None, out: object, threads: int) -> bool:
    """
    out = bias + a b, with the same bits at any number of threads. False: no stride of a or b is 1, nothing was done.
    """

def fma_peak(threads: int, seconds: float) -> float:
    """
    Multiplications and additions a second that this machine reaches in registers alone, measured now.
    """

def pooled_f32(size: int) -> NDArray[numpy.float32]:
    """So many float32 in memory that is used again."""

def pooled_f64(size: int) -> NDArray[numpy.float64]:
    """So many float64 in memory that is used again."""

class StreamF32:
    """A stack of layers that takes one step at a time."""

    def __init__(self, batch: int, input: int, residual: bool) -> None: ...

    def add(self, kind: int, activation: int, part: tuple, options: object | None, start: tuple) -> None: ...

    def step(self, x: Annotated[NDArray, dict(device='cpu', writable=False)]) -> object: ...

    def reset(self, row: int) -> None: ...

    def state(self, layer: int, which: int) -> NDArray[numpy.float32]: ...

class StreamF64:
    """A stack of layers that takes one step at a time."""

    def __init__(self, batch: int, input: int, residual: bool) -> None: ...

    def add(self, kind: int, activation: int, part: tuple, options: object | None, start: tuple) -> None: ...

    def step(self, x: Annotated[NDArray, dict(device='cpu', writable=False)]) -> object: ...

    def reset(self, row: int) -> None: ...

    def state(self, layer: int, which: int) -> NDArray[numpy.float64]: ...

def forward(kind: int, activation: int, reverse: bool, layers: int, directions: int, threads: int, x: object, h: object | None, c: object | None, restart_h: object | None, restart_c: object | None, lengths: object | None, resets: object | None, parts: tuple, options: object | None, y: object, end_h: object | None, end_c: object | None, kept: object | None) -> bool:
    """
    A stack of layers forward, into y, the end states and what a backward needs. False: an input is not dense, nothing was done.
    """

def backward(kind: int, activation: int, reverse: bool, layers: int, directions: int, threads: int, x: object, h: object | None, c: object | None, restart_h: object | None, restart_c: object | None, lengths: object | None, resets: object | None, parts: tuple, options: object | None, y: object, kept: object | None, dy: object | None, dend_h: object | None, dend_c: object | None, dx: object | None, dbegin_h: object | None, dbegin_c: object | None, drestart_h: object | None, drestart_c: object | None, dparts: tuple, may_lose: bool) -> bool:
    """
    A stack of layers backward, into the gradients that are asked for; False as forward's. `may_lose`: what was kept may be written over.
    """
