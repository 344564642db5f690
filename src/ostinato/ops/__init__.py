"""torch ops over the kernels: one for a whole sequence, its backward, and the random masks.

On processors of Intel torch hands elementwise functions to a library that looks for its fastest code at a function's
first call. Where several threads make that call at once, one of them may get code of low accuracy for that call alone
(pytorch issue 188792: `tanh` was off by 4e-5), so that the same seed gave other numbers once in some hundred processes.
Each function is therefore called here first, by one thread, on one number.
"""

import torch

_ELEMENTWISE = (
    *("acos", "asin", "atan", "cos", "cosh", "erf", "erfc", "erfinv", "exp", "expm1", "lgamma"),
    *("log", "log10", "log1p", "log2", "sin", "sinh", "sqrt", "tan", "tanh"),
)


def _call_each_once() -> None:
    with torch.inference_mode():
        for dtype in (torch.float32, torch.float64):
            one = torch.full((1,), 0.5, dtype=dtype, device="cpu")
            for name in _ELEMENTWISE:
                getattr(torch, name)(one)


_call_each_once()
