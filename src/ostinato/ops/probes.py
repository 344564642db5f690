"""The two questions to torch that have no public answer, asked in one place."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad


def transforming() -> bool:
    """Whether a functorch transform (vmap, grad, jvp) or forward-mode AD is running.

    A kernel behind an autograd.Function or a custom op would answer a jvp with 0, without a word.
    """
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def compiling() -> bool:
    """Whether torch.compile or torch.export is making a graph."""
    return torch.compiler.is_compiling()
