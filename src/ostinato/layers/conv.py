"""One-dimensional convolution over (batch, time, features): causal or not, with lengths and a state to carry on."""

from __future__ import annotations

import math
from typing import Any, TypeVar, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.cells.cell import check_size
from ostinato.ops import probes
from ostinato.ops.conv import convolve
from ostinato.sequence import Sequence, as_lengths, as_tensor

Steps = TypeVar("Steps", int, Tensor)


class Conv1d(nn.Module):
    """A window of `kernel_size` steps slides over the sequence; torch.nn.Conv1d with time before features.

        y[t] = b + sum over i of W_i x[s t + i d - before],    i = 0 .. kernel_size - 1

    with s the stride and d the dilation. `before` is the padding; of a causal layer it is d (kernel_size - 1), and
    nothing is padded after the end, so that y[t] sees x[s t] and what lies before it, never what comes after.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: as in torch.nn.Conv1d;
            padding is a number of zeros at both ends, "same" or "valid".
        causal: see above; it pads by itself, so that `padding` is left out.

    Shapes: x (batch, time, in_channels), or (time, in_channels); output (batch, steps, out_channels) with
    `steps(time)` steps, as many as x has where the layer is causal or padded to the same, and has no stride.
    `weight` (out_channels, in_channels / groups, kernel_size) and `bias` are named and laid out as torch has them.

    Raises:
        ValueError: an argument does not fit; it is named.

    Source: Waibel et al. (1989), Phoneme Recognition Using Time-Delay Neural Networks; causal and dilated:
    van den Oord et al. (2016), WaveNet.

    >>> layer = Conv1d(3, 8, kernel_size=5, dilation=2, causal=True)
    >>> x = torch.randn(4, 20, 3)
    >>> layer(x, lengths=[20, 1, 0, 7]).shape, layer.receptive_field
    (torch.Size([4, 20, 8]), 9)
    >>> first, state = layer(x[:, :6], layer.start(4))  # in chunks: the same numbers
    >>> second, state = layer(x[:, 6:], state)
    >>> torch.allclose(torch.cat([first, second], 1), layer(x), atol=1e-6)
    True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        causal: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        kernel_size, stride, dilation = _one(kernel_size), _one(stride), _one(dilation)
        in_channels, out_channels = check_size("in_channels", in_channels), check_size("out_channels", out_channels)
        kernel_size, stride = check_size("kernel_size", kernel_size), check_size("stride", stride)
        dilation, groups = check_size("dilation", dilation), check_size("groups", groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups={groups} must divide in_channels ({in_channels}) and out_channels ({out_channels})"
            )
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.dilation, self.groups, self.causal = stride, dilation, groups, bool(causal)
        self.padding = _one(padding)
        self._ends = self._zeros_at_ends()
        weight = torch.empty(out_channels, in_channels // groups, kernel_size, device=device, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    @property
    def receptive_field(self) -> int:
        """Steps of x that one step of the output sees, from the first to the last."""
        return self.dilation * (self.kernel_size - 1) + 1

    def reset_parameters(self) -> None:
        """Draw all weights anew as torch does: every entry uniform in +-1/sqrt(inputs of one output)."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def steps(self, time: Steps) -> Steps:
        """Steps of the output for so many steps of x: a number, or a tensor of them."""
        within = time + sum(self._ends) - self.receptive_field
        if isinstance(within, Tensor):
            return within.div(self.stride, rounding_mode="floor").add(1).clamp(min=0)
        return max(0, within // self.stride + 1)

    def start(self, batch: int | None = None) -> Tensor:
        """The state before the first step: zeros (batch, dilation x (kernel_size - 1), in_channels).

        Without a batch: that of an unbatched sequence.

        Raises:
            ValueError: the layer has no state: it is not causal, or has a stride.
        """
        self._must_carry()
        rows = () if batch is None else (batch,)
        return self.weight.new_zeros(*rows, self.receptive_field - 1, self.in_channels)

    @overload
    def forward(self, input: Tensor, state: None = None, *, lengths: Any = None) -> Tensor: ...
    @overload
    def forward(self, input: Tensor, state: Tensor, *, lengths: Any = None) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, input: Tensor, state: Tensor | None = None, *, lengths: Any = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Run the window over x; see the class for shapes.

        Args:
            input: x, under the name that torch.nn gives it.
            state: what came before x, as `start` or an earlier call gave it; then the state after x is
                returned too. It is the last steps of x, which the next chunk still sees.
            lengths: (batch,) integers, 0 allowed, any order, any device; for unbatched input a number. Each row
                gives what it would give alone: output is 0 past `steps(length)`, and what lies in the
                padding never matters. The state is that after each row's own last step.

        Raises:
            TypeError, ValueError: an argument does not fit; it is named.
        """
        x = input
        if not isinstance(x, Tensor):
            raise TypeError(f"input must be a tensor, found {type(x).__name__}")
        if x.dim() == 2:
            return self._unbatched(x, state, lengths)
        if x.dim() != 3 or x.shape[2] != self.in_channels:
            wanted = f"(batch, time, {self.in_channels}) or unbatched (time, {self.in_channels})"
            raise ValueError(f"x must be {wanted}, time before features; found {tuple(x.shape)}")
        counts = None if lengths is None else as_lengths(lengths, *x.shape[:2], known=probes.known()).to(x.device)
        x = Sequence(x, counts).clean().values
        if state is None:
            return self._convolved(F.pad(x, (0, 0, *self._ends)) if any(self._ends) else x, counts)
        joined = torch.cat([self._checked(state, x), x], 1)
        return self._convolved(joined, counts), self._last(joined, counts)

    def _unbatched(self, x: Tensor, state: Tensor | None, lengths: Any) -> Tensor | tuple[Tensor, Tensor]:
        count = None if lengths is None else as_tensor("lengths", lengths).reshape(-1)
        if state is None:
            return self(x[None], lengths=count)[0]
        y, end = self(x[None], state[None], lengths=count)
        return y[0], end[0]

    def _convolved(self, padded: Tensor, counts: Tensor | None) -> Tensor:
        missing = self.receptive_field - padded.shape[1]
        if missing > 0:  # a window wider than all there is: no step, and a gradient of 0
            padded = F.pad(padded, (0, 0, 0, missing))
        y = convolve(padded, self.weight, self.bias, self.stride, self.dilation, self.groups)
        y = y[:, :0] if missing > 0 else y
        return y if counts is None else Sequence(y, self.steps(counts)).clean().values

    # States and padding ------------------------------------------------------------------------

    def _checked(self, state: Tensor, x: Tensor) -> Tensor:
        self._must_carry()
        if not isinstance(state, Tensor):
            raise TypeError(f"state must be a tensor, found {type(state).__name__}; lengths go by name: lengths=")
        wanted = (x.shape[0], self.receptive_field - 1, self.in_channels)
        if state.shape != wanted:
            raise ValueError(f"state must be (batch, steps before, features) = {wanted}; found {tuple(state.shape)}")
        if state.dtype != x.dtype or state.device != x.device:
            raise ValueError(f"state is {state.dtype} on {state.device}, x is {x.dtype} on {x.device}: pass it .to(x)")
        return state

    def _last(self, joined: Tensor, counts: Tensor | None) -> Tensor:
        """What a next chunk still sees, (batch, steps before, features)."""
        before = self.receptive_field - 1
        if counts is None:
            return joined[:, joined.shape[1] - before :]
        places = counts[:, None] + torch.arange(before, device=joined.device)
        return joined.gather(1, places[..., None].expand(-1, -1, self.in_channels))

    def _must_carry(self) -> None:
        if not self.causal or self.stride != 1:
            why = "it has a stride" if self.causal else "it is not causal: it looks ahead"
            raise ValueError(f"state: this layer cannot go on from chunk to chunk: {why}")

    def _zeros_at_ends(self) -> tuple[int, int]:
        """Before the first step, and after the last."""
        more, padding = self.receptive_field - 1, self.padding
        if self.causal:
            if padding != 0:
                raise ValueError(
                    f"padding={padding!r}: a causal layer pads by itself, before the first step: leave it out"
                )
            return more, 0
        if padding == "same" and self.stride != 1:
            raise ValueError(f'padding="same" with stride={self.stride}: a stride has fewer steps: give a number')
        if padding == "same":
            return more // 2, more - more // 2
        if padding == "valid":
            return 0, 0
        if isinstance(padding, (bool, str)) or not isinstance(padding, int) or padding < 0:
            raise ValueError(f'padding must be a whole number of at least 0, "same" or "valid"; found {padding!r}')
        return padding, padding

    def arguments(self) -> dict[str, Any]:
        """What makes this layer again: `Conv1d(**layer.arguments())`."""
        words = "in_channels out_channels kernel_size stride padding dilation groups causal"
        return {word: getattr(self, word) for word in words.split()} | {"bias": self.bias is not None}

    def extra_repr(self) -> str:
        usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "causal": False}
        words = self.arguments()
        said = [f"{word}={words[word]!r}" for word, value in usual.items() if words[word] != value]
        return ", ".join([str(self.in_channels), str(self.out_channels), f"kernel_size={self.kernel_size}", *said])


def _one(size: Any) -> Any:
    """torch takes (5,) for 5."""
    return size[0] if isinstance(size, (tuple, list)) and len(size) == 1 else size
