"""Matrix products whose bits do not depend on the number of threads, as those of a BLAS may: its own sums in order.

A BLAS shares a long sum out among its threads where the result is small, on some machines and not on others. On the
CPU the products of dense layers, heads and convolutions run in a kernel that adds in the order of k; elsewhere, in
recorded graphs and under transforms they are torch's own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ostinato.ops import kernel, probes


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b: (..., inputs), (outputs, inputs), (outputs,) -> (..., outputs).

    >>> linear(torch.ones(4, 3, 2), torch.ones(5, 2), torch.zeros(5)).shape
    torch.Size([4, 3, 5])
    """
    if not _served(x, weight, bias):
        return torch.nn.functional.linear(x, weight, bias)
    y = _product(x.reshape(x.shape[:-1].numel(), x.shape[-1]), weight.t(), bias)
    return y.view(*x.shape[:-1], weight.shape[0])


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b: (rows, inner), (inner, columns) -> (rows, columns).

    >>> product(torch.ones(4, 3), torch.ones(3, 2))[0]
    tensor([3., 3.])
    """
    return _product(a, b, None) if _served(a, b, None) else a @ b


def _served(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Whether the kernel takes these tensors, here."""
    all_of = [a, b] if bias is None else [a, b, bias]
    known = a.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu") and probes.known()
    return known and all(v.is_cpu and v.dtype == a.dtype and not (v.is_neg() or probes.batched(v)) for v in all_of)


def _product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad or (bias is not None and bias.requires_grad)):
        made: Tensor = _Product.apply(a, b, bias)
        return made
    return kernel.multiply(a, b, bias)


class _Product(torch.autograd.Function):
    """a b + bias. The backward is made of products again, so that it has one too."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(a, b)
        return kernel.multiply(a, b, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (a, b), (g,) = ctx.saved_tensors, grads
        by_a, by_b, by_bias = ctx.needs_input_grad
        ones = g.new_ones(1, g.shape[0]) if by_bias else None
        return (
            product(g, b.t()) if by_a else None,
            product(a.t(), g) if by_b else None,
            None if ones is None else product(ones, g)[0],
        )
