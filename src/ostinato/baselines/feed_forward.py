"""The network without memory: a fixed window of steps, flattened, through dense layers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ostinato.layers.linear import Linear
from ostinato.sequence import Sequence, as_lengths


class FeedForward(nn.Module):
    """h[0] = the last `window` steps side by side; h[k] = relu(W[k] h[k - 1] + b[k]); the output is the last h.

    It stands where a recurrent encoder stands, before the same head, batches and training: what the
    recurrent network does better, memory does. It sees nothing older than its window; where a sequence
    is shorter, zeros come before it.

    Args:
        inputs: features of one step.
        window: steps seen at once.
        hidden_size: width of each layer and of the output.
        num_layers: dense layers.
        dropout: between the layers.
        each_step: False: one output a sequence, from its last window; True: one output a step, from the
            window that slides along with it (tagging, language models).
        ahead: with each_step, how many steps of the window lie in the step's future.

    Shapes: x (batch, time, inputs); output (batch, hidden_size), or with each_step (batch, time, hidden_size),
    0 past a sequence's end. What lies in the padding, NaN too, never matters.

    Raises:
        ValueError: a size does not fit; it is named.

    Source: Sejnowski and Rosenberg (1987), Parallel Networks that Learn to Pronounce English Text.

    >>> encoder = FeedForward(inputs=3, window=24)
    >>> encoder(torch.randn(5, 100, 3)).shape
    torch.Size([5, 64])
    >>> encoder(torch.randn(2, 7, 3), lengths=[7, 0]).shape
    torch.Size([2, 64])
    >>> FeedForward(3, window=5, each_step=True, ahead=2)(torch.randn(5, 100, 3)).shape
    torch.Size([5, 100, 64])
    """

    def __init__(
        self,
        inputs: int,
        window: int,
        hidden_size: int = 64,
        num_layers: int = 2,
        *,
        dropout: float = 0.0,
        each_step: bool = False,
        ahead: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"inputs": inputs, "window": window, "hidden_size": hidden_size, "num_layers": num_layers}
        for word, size in sizes.items():
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"FeedForward: {word} must be a whole number of at least 1, found {size!r}")
        most = window - 1 if each_step else 0
        if not 0 <= ahead <= most:
            raise ValueError(f"FeedForward: ahead must lie in 0..{most} (above 0 only with each_step), found {ahead}")
        self.inputs, self.window, self.hidden_size = inputs, window, hidden_size
        self.each_step, self.ahead = each_step, ahead
        self.layers = nn.Sequential()
        for k in range(num_layers):
            if k and dropout:
                self.layers.append(nn.Dropout(dropout))
            self.layers.append(Linear(hidden_size if k else window * inputs, hidden_size))
            self.layers.append(nn.ReLU())

    @property
    def features(self) -> int:
        """Width of the output."""
        return self.hidden_size

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """x (batch, time, inputs), lengths (batch,) -> (batch, hidden) or (batch, time, hidden)."""
        if x.dim() != 3 or x.shape[-1] != self.inputs:
            raise ValueError(f"FeedForward: x must be (batch, time, {self.inputs}), found {tuple(x.shape)}")
        ends = None if lengths is None else as_lengths(lengths, *x.shape[:2])
        windows = self._windows(Sequence(x, ends).clean().values)
        if self.each_step:
            output = self.layers(windows[:, 1:].flatten(-2))
            return Sequence(output, ends).clean().values
        if ends is None:
            return self.layers(windows[:, -1].flatten(-2))
        rows = torch.arange(len(x), device=x.device)
        return self.layers(windows[rows, ends.to(x.device)].flatten(-2))

    def _windows(self, x: Tensor) -> Tensor:
        """(batch, time + 1, window, inputs): number k ends with step k - 1 + ahead, oldest step first."""
        padded = F.pad(x, (0, 0, self.window - self.ahead, self.ahead))
        return padded.unfold(1, self.window, 1).transpose(-1, -2)  # a view: nothing is copied until a layer reads
