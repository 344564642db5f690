"""The temporal convolutional network: what stands beside a recurrent one where each step may see only its past."""

from __future__ import annotations

import math
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ostinato.cells.cell import check_size
from ostinato.layers import Conv1d
from ostinato.layers.files import file_knows
from ostinato.layers.linear import Linear
from ostinato.ops import probes
from ostinato.sequence import Sequence, as_lengths

States = tuple[Tensor, ...]


@file_knows(sizes=("inputs", "hidden", "kernel_size"), parts="levels")
class TCN(nn.Module):
    """Residual blocks of two dilated causal convolutions each, dilations 1, 2, 4, ...

        y = relu(x + drop(relu(V * drop(relu(U * x)))))

    with * a convolution of weight norm whose window's steps lie `dilation` apart, and x through a dense layer where its
    width is another. Each step sees 1 + 2 (kernel_size - 1) (2^levels - 1) steps, itself and those before it.

    Args:
        inputs: features of one step.
        hidden: channels of every convolution; the width of the output.
        levels: blocks; see `TCN.levels_for`.
        kernel_size: steps of a window.
        dropout: of whole channels of a sequence.
        each_step: False: one output a sequence, that of its last step, 0 where it has none.
        causal: False: each step sees as many steps after it as before it (tagging), and there is no state.

    Shapes: x (batch, time, inputs), lengths (batch,) or None; output (batch, time, hidden), 0 past a sequence's end,
    or (batch, hidden). What lies in the padding, NaN too, never matters.

    Raises:
        ValueError: a size does not fit; it is named.

    Source: Bai, Kolter and Koltun (2018), An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
    Sequence Modeling, section 3.

    >>> network = TCN(inputs=3, hidden=16, levels=TCN.levels_for(look_back=50), dropout=0.1)
    >>> network(torch.randn(5, 100, 3), lengths=[100, 7, 0, 1, 50]).shape, network.features
    (torch.Size([5, 100, 16]), 16)
    >>> len(network.blocks), network.receptive_field
    (4, 61)
    >>> features, state = network(torch.randn(5, 7, 3), state=network.start(5))  # the next chunk goes on from it
    """

    def __init__(
        self, inputs: int, hidden: int, levels: int, kernel_size: int = 3, dropout: float = 0.0, *, causal: bool = True,
        each_step: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        inputs, hidden = check_size("inputs", inputs), check_size("hidden", hidden)
        levels, kernel_size = check_size("levels", levels), check_size("kernel_size", kernel_size)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be a probability in 0..1, below 1; found {dropout!r}")
        self.inputs, self.kernel_size, self.dropout, self.causal = inputs, kernel_size, float(dropout), bool(causal)
        self.features, self.each_step = hidden, bool(each_step)
        widths = [inputs] + [hidden] * levels
        self.blocks = nn.ModuleList(
            Block(widths[k], hidden, kernel_size, 2**k, dropout, causal=causal) for k in range(levels)
        )

    @staticmethod
    def levels_for(look_back: int, kernel_size: int = 3) -> int:
        """The fewest blocks that see so many steps.

        >>> [TCN.levels_for(steps) for steps in (1, 5, 6, 61, 62)], TCN.levels_for(62, kernel_size=5)
        ([1, 1, 2, 4, 5], 4)
        """
        check_size("look_back", look_back)
        if kernel_size < 2:
            raise ValueError(f"kernel_size must be at least 2 to see more than one step, found {kernel_size}")
        return max(1, math.ceil(math.log2((look_back - 1) / (2 * (kernel_size - 1)) + 1)))

    @property
    def receptive_field(self) -> int:
        """Steps that one step of the output sees."""
        return 1 + 2 * (self.kernel_size - 1) * (2 ** len(self.blocks) - 1)

    def start(self, batch: int) -> States:
        """The state before the first step: zeros, two tensors a block; see `Conv1d.start`."""
        return tuple(state for block in self._each() for state in block.start(batch))

    @overload
    def forward(self, x: Tensor, lengths: Any = None, state: None = None) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, lengths: Any, state: States) -> tuple[Tensor, States]: ...

    def forward(self, x: Tensor, lengths: Any = None, state: States | None = None) -> Tensor | tuple[Tensor, States]:
        """x (batch, time, inputs) -> (batch, time, hidden) or (batch, hidden); with a state, also that after x."""
        if x.dim() != 3 or x.shape[2] != self.inputs:
            raise ValueError(f"x must be (batch, time, {self.inputs}); found {tuple(x.shape)}")
        counts = None if lengths is None else as_lengths(lengths, *x.shape[:2], known=probes.known())
        x = Sequence(x, counts).clean().values
        if state is not None:
            y, state = self._carried(x, counts, state)
            return self._given(y, counts), state
        # Causal blocks see no padding: what they make of it is cut off at the end.
        within = None if self.causal else counts
        for block in self._each():
            x, _ = block(x, within)
        return self._given(x, counts)

    def _given(self, y: Tensor, counts: Tensor | None) -> Tensor:
        found = Sequence(y, counts)
        return found.clean().values if self.each_step else found.last()

    def _carried(self, x: Tensor, counts: Tensor | None, state: States) -> tuple[Tensor, States]:
        if len(state) != 2 * len(self.blocks):
            raise ValueError(f"state must be {2 * len(self.blocks)} tensors, two a block; found {len(state)}")
        ends: list[Tensor] = []
        for k, block in enumerate(self._each()):
            x, after = block(x, counts, state[2 * k : 2 * k + 2])
            ends += after
        return x, tuple(ends)

    def _each(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def arguments(self) -> dict[str, Any]:
        """What makes this network again: `TCN(**network.arguments())`."""
        own = {word: getattr(self, word) for word in ("inputs", "kernel_size", "dropout", "causal", "each_step")}
        return own | {"hidden": self.features, "levels": len(self.blocks)}


class Block(nn.Module):
    """y = relu(x + drop(relu(V * drop(relu(U * x))))), both convolutions of one dilation."""

    def __init__(
        self, inputs: int, hidden: int, kernel_size: int, dilation: int, dropout: float, *, causal: bool
    ) -> None:
        super().__init__()
        words: dict[str, Any] = {"dilation": dilation, "causal": causal, "padding": 0 if causal else "same"}
        self.first = weight_norm(Conv1d(inputs, hidden, kernel_size, **words))
        self.second = weight_norm(Conv1d(hidden, hidden, kernel_size, **words))
        self.drop = nn.Dropout2d(dropout)  # of (batch, channels, time, 1): a channel stays or goes as a whole
        self.match = Linear(inputs, hidden) if inputs != hidden else None

    def start(self, batch: int) -> States:
        """Zeros before both convolutions."""
        return self.first.start(batch), self.second.start(batch)

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: States = ()) -> tuple[Tensor, States]:
        """x (batch, time, inputs) -> (batch, time, hidden), and the state after it where one was given."""
        if state:
            y, begin = self.first(x, state[0], lengths=lengths)
            y, end = self.second(self._dropped(y), state[1], lengths=lengths)
            state = begin, end
        else:
            y = self.second(self._dropped(self.first(x, lengths=lengths)), lengths=lengths)
        kept = x if self.match is None else self.match(x)
        return torch.relu(kept + self._dropped(y)), state

    def _dropped(self, y: Tensor) -> Tensor:
        y = torch.relu(y)
        return self.drop(y.transpose(1, 2).unsqueeze(3)).squeeze(3).transpose(1, 2)
