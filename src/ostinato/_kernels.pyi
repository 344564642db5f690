"""The fused kernels: plain pointers and sizes, no torch."""

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

def mask(out: object, key: int, stream: int, p: float, threads: int) -> None:
    """A dropout mask of one number a sequence and unit, or a step besides."""

def multiply(a: object, b: object, bias: object | None, threads: int) -> object | None:
    """
    bias + a b, with the same bits at any number of threads. None: no stride of a or b is 1, nothing was done.
    """

def fma_peak(threads: int, seconds: float) -> float:
    """
    Multiplications and additions a second that this machine reaches in registers alone, measured now.
    """

def poison(on: bool) -> None:
    """
    For tests: whether memory that is handed out is full of NaN, so that what is read before it is written shows.
    """

class StreamF32:
    """A stack of layers that takes one step at a time."""

    def __init__(self, batch: int, input: int, residual: bool) -> None: ...

    def add(self, kind: int, activation: int, part: tuple, options: object | None, start: tuple) -> None: ...

    def step(self, x: object | None) -> object: ...

    def reset(self, row: int) -> None: ...

    def state(self, layer: int, which: int) -> NDArray[numpy.float32]: ...

class StreamF64:
    """A stack of layers that takes one step at a time."""

    def __init__(self, batch: int, input: int, residual: bool) -> None: ...

    def add(self, kind: int, activation: int, part: tuple, options: object | None, start: tuple) -> None: ...

    def step(self, x: object | None) -> object: ...

    def reset(self, row: int) -> None: ...

    def state(self, layer: int, which: int) -> NDArray[numpy.float64]: ...

def straight(plan: tuple, threads: int, x: object, input: int, layer: object, own: dict, names: list, asked: bool) -> tuple | None:
    """
    A layer's stack forward, over whole sequences from zeros: (y, end states, None). Where it is asked and one of the tensors wants a gradient nothing is done: (None, None, the tensors as `forward` takes them). None: they need a closer look.
    """

def forward(plan: tuple, threads: int, tensors: tuple, y: object | None, keep: bool) -> tuple | None:
    """
    A stack of layers forward: (y, end h, end c or None, what a backward needs, where it is to be kept). `y`: room for the output. None: an input is not dense, nothing was done.
    """

def backward(plan: tuple, threads: int, tensors: tuple, y: object, kept: object | None, gradients: tuple, wanted: tuple, may_lose: bool) -> tuple | None:
    """
    A stack of layers backward, from the gradients of y, h and c: those of the tensors that are wanted, else None. `may_lose`: what was kept may be written over. None: an input is not dense, nothing was done.
    """
