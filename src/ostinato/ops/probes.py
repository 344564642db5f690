"""The questions to torch that have no public answer, asked in one place."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling

# The tensor itself; for what a functorch transform that has ended left behind, the one that has its memory.
alive = torch._C._functorch.unwrap_if_dead

# Names at hand: each dot on the way to a question costs as much as the question.
_recorded, _modes = torch._C._is_tracing, torch._C._len_torch_dispatch_stack
_transform, _any_autocast = torch._C._functorch.peek_interpreter_stack, torch._C._is_any_autocast_enabled
_batched = torch._C._functorch.is_legacy_batchedtensor


def transforming() -> bool:
    """Whether a functorch transform (vmap, grad, jvp) or forward-mode AD is running.

    A kernel behind an autograd.Function or a custom op would answer a jvp with 0, without a word.
    """
    return _transform() is not None or forward_ad._current_level >= 0


def compiling() -> bool:
    """Whether operations are being recorded (torch.compile, torch.export, torch.jit.trace, make_fx, fake tensors).

    What a kernel writes behind torch's back is in no record: only an operation that torch knows is.
    """
    return is_compiling() or _recorded() or _modes() > 0


def autocast() -> bool:
    """Whether torch.autocast is on for the processor."""
    return _any_autocast() and torch.is_autocast_enabled("cpu")


def batched(tensor: Tensor | None) -> bool:
    """Whether this is a batch of gradients, as `torch.autograd.grad(is_grads_batched=True)` hands them in.

    That is vmap before functorch: `transforming` does not see it.
    """
    return tensor is not None and _batched(tensor)


def known() -> bool:
    """Whether the values of tensors can be asked for here: neither `compiling` nor `transforming`, in one piece."""
    return not (
        is_compiling() or _recorded() or _modes() > 0 or _transform() is not None or forward_ad._current_level >= 0
    )
