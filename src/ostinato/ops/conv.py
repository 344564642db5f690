"""Convolution over (batch, time, features) as it lies in memory, its weights' gradient as one product.

    y[t] = b + sum over i of W_i x[s t + i d]

torch.nn.functional.conv1d wants time last and turns a batch of sequences round, there and back. The same numbers are a
picture of height 1 with its channels last, which is how they already lie. oneDNN, which convolves float32 on the CPU,
shares the sum over a batch out among its threads, so that the last bits of the weights' gradient would depend on how
many there are: that gradient is a product of windows here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ostinato.ops import probes
from ostinato.ops.products import linear, product

FEW = 4  # features below which turning them round costs less than so narrow a picture


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, dilation: int = 1, groups: int = 1
) -> Tensor:
    """x (batch, time, inputs), weight (outputs, inputs / groups, width) -> (batch, steps, outputs), without padding.

    With a stride or groups the gradients are torch's own, whose last bits may depend on the number of threads.

    >>> convolve(torch.ones(2, 9, 3), torch.ones(5, 3, 2), None, dilation=4).shape
    torch.Size([2, 5, 5])
    """
    if stride != 1 or groups != 1 or not _served(x):
        y = F.conv1d(x.transpose(1, 2), weight, bias, stride=stride, dilation=dilation, groups=groups)
        return y.transpose(1, 2)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Convolve.apply(x, weight, bias, dilation)
    return _plain(x, weight, bias, dilation)


def _served(x: Tensor) -> bool:
    known = x.dtype in (torch.float32, torch.float64) and x.device.type == "cpu"
    return known and probes.known() and not torch.is_autocast_enabled("cpu")


def windows(x: Tensor, width: int, dilation: int = 1) -> Tensor:
    """(batch, time, features) -> (batch, steps, width x features): what each step of a convolution sees.

    >>> windows(torch.arange(5.0).view(1, 5, 1), width=2, dilation=3)
    tensor([[[0., 3.],
             [1., 4.]]])
    """
    steps = x.shape[1] - dilation * (width - 1)
    return torch.cat([x[:, i * dilation : i * dilation + steps] for i in range(width)], -1)


class _Convolve(torch.autograd.Function):
    """y of x on the CPU. The backward is made of torch's operations, so that it has one too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return _plain(x, weight, bias, dilation).data  # torch lets no one write over what is a view made in here

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (grad,), d = ctx.saved_tensors, grads, ctx.dilation
        if probes.batched(grad):
            return *_by_torch(grad, x, weight, d, ctx.needs_input_grad[:3]), None
        width, by_x, by_weight, by_bias = weight.shape[2], None, None, None
        if ctx.needs_input_grad[0]:
            more = d * (width - 1)
            by_x = convolve(F.pad(grad, (0, 0, more, more)), weight.transpose(0, 1).flip(2), None, dilation=d)
        if ctx.needs_input_grad[1]:
            sums = product(grad.flatten(0, 1).t(), windows(x, width, d).flatten(0, 1))
            by_weight = sums.unflatten(1, (width, -1)).transpose(1, 2)
        if ctx.needs_input_grad[2]:
            by_bias = grad.flatten(0, 1).sum(0)
        return by_x, by_weight, by_bias, None


def _by_torch(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: int, wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """The gradients as torch makes them: of many at once, of which our products know nothing."""
    by_x, by_weight, by_bias = torch.ops.aten.convolution_backward(
        grad.transpose(1, 2), x.transpose(1, 2), weight, [weight.shape[0]],
        [1], [0], [dilation], False, [0], 1, list(wanted),
    )  # fmt: skip
    return by_x.transpose(1, 2) if wanted[0] else None, by_weight, by_bias


def _plain(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """Whichever way is the quickest; torch's own convolution of float64 has other bits at other threads."""
    if weight.shape[2] == 1 or x.dtype == torch.float64:
        return linear(windows(x, weight.shape[2], dilation), weight.transpose(1, 2).flatten(1), bias)
    if x.shape[2] < FEW:
        return F.conv1d(x.transpose(1, 2), weight, bias, dilation=dilation).transpose(1, 2)
    picture = x.transpose(1, 2).unsqueeze(2)  # (B, C, 1, T), channels last
    y = F.conv2d(picture, weight.unsqueeze(2), bias, dilation=(1, dilation))
    return y.squeeze(2).transpose(1, 2)
