"""Random masks from a counter: they depend on a key and a place, not on threads, order or padding.

Each number is a hash of (key, stream, sequence, step, unit); the key is one draw of torch's default
generator at each forward. The same place gets the same number however the work is cut or repeated.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ostinato import _kernels
from ostinato.ops import kernel, probes

_WORD = 0xFFFFFFFF


def draw_key() -> Tensor:
    """One draw of torch's default generator, as a scalar tensor (a graph of a compiler keeps it random)."""
    return torch.randint(0, 2**31 - 1, (), device="cpu")  # whatever the default device is


def _mix(v: Tensor) -> Tensor:
    """A 32-bit hash with low bias (Wellons 2018, "lowbias32"), in 64-bit integers."""
    v = (v ^ (v >> 16)) * 0x7FEB352D & _WORD
    v = (v ^ (v >> 15)) * 0x846CA68B & _WORD
    return v ^ (v >> 16)


def keep(key: Tensor, stream: int, shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
    """A mask of ones (kept, probability 1 - p) and zeros, in the type and on the device of `like`.

    Args:
        key: from `draw_key`.
        stream: what the mask is for; two streams of one key are independent.
        shape: (sequence, unit) or (sequence, step, unit): a number depends on its indices alone, so a
            longer batch has the shorter one's numbers in it.

    >>> key = torch.tensor(7)
    >>> small, large = (keep(key, 0, (2, t, 3), 0.5, torch.ones(1)) for t in (4, 9))
    >>> torch.equal(small, large[:, :4])
    True
    """
    v = _mix(key.to(like.device) + 0x9E3779B9 * (stream + 1) & _WORD)
    for axis, size in enumerate(shape):
        index = torch.arange(size, device=like.device).reshape(-1, *[1] * (len(shape) - axis - 1))
        v = _mix(v + 0x9E3779B9 * (index + 1) & _WORD)
    return (v >= int(p * 2**32)).to(like.dtype)


def scaled_mask(key: Tensor, stream: int, shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
    """A mask of 1 / (1 - p) where `keep` has ones: of the same numbers, made in one pass."""
    if p >= 1:
        return like.new_zeros(shape)
    if not (like.is_cpu and like.dtype in (torch.float32, torch.float64) and probes.known()):
        return keep(key, stream, shape, p, like) / (1 - p)
    mask = like.new_empty(shape)
    _kernels.mask(mask if kernel.LENDS else mask.numpy(), int(key), stream, p, torch.get_num_threads())
    return mask


def dropout(x: Tensor, key: Tensor, stream: int, p: float) -> Tensor:
    """x with entries set to 0 with probability p, the rest scaled by 1 / (1 - p) (Srivastava 2014)."""
    return x * scaled_mask(key, stream, tuple(x.shape), p, x)


class Zoneout(NamedTuple):
    """How much of the old state is kept, for each of its tensors (Krueger 2017).

    Attributes:
        rates: the parts that are kept.
        key: of the random masks (`draw_key`); None for the expectation.
        streams: one number for each mask.
    """

    rates: tuple[float, ...]
    key: Tensor | None = None
    streams: tuple[int, ...] = ()

    def parts(self, x: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor | float, ...]:
        """For each tensor of the state a number, or a mask (batch, time, size) of ones (kept) and zeros."""
        if self.key is None:
            return self.rates
        shapes = [(x.shape[0], x.shape[1], size) for size in sizes]
        places = zip(self.streams, shapes, self.rates, strict=True)
        return tuple(1 - keep(self.key, stream, shape, p, x) for stream, shape, p in places)
