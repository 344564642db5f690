"""The questions to torch that have no public answer, asked in one place."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

# The tensor itself; for what a functorch transform that has ended left behind, the one that has its memory.
alive = torch._C._functorch.unwrap_if_dead


def transforming() -> bool:
    """Whether a functorch transform (vmap, grad, jvp) or forward-mode AD is running.

    A kernel behind an autograd.Function or a custom op would answer a jvp with 0, without a word.
    """
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def compiling() -> bool:
    """Whether operations are being recorded (torch.compile, torch.export, torch.jit.trace, make_fx, fake tensors).

    What a kernel writes behind torch's back is in no record: only an operation that torch knows is.
    """
    return torch.compiler.is_compiling() or torch._C._is_tracing() or torch._C._len_torch_dispatch_stack() > 0


def batched(tensor: Tensor | None) -> bool:
    """Whether this is a batch of gradients, as `torch.autograd.grad(is_grads_batched=True)` hands them in.

    That is vmap before functorch: `transforming` does not see it.
    """
    return tensor is not None and torch._C._functorch.is_legacy_batchedtensor(tensor)


def known() -> bool:
    """Whether the values of tensors can be asked for here: neither `compiling` nor `transforming`, in one piece."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._is_tracing()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
    )
