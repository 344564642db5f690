"""Text or music out of a model, one step at a time: each step drawn from the law that the steps before it give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.layers import Recurrent
from ostinato.layers import files as layer_files
from ostinato.models.language import Language
from ostinato.models.stack import State
from ostinato.runtime.model import KINDS, Model


def sample(
    model: Language, prompt: Tensor, length: int, *, temperature: float = 1.0, top_k: int | None = None,
    top_p: float | None = None, seed: int = 0, never: tuple[int, ...] = (),
) -> Iterator[Any]:  # fmt: skip
    """`length` steps after a prompt, one by one as they are drawn.

    Args:
        model: in evaluation mode.
        prompt: tokens (time,) or frames (time, notes), one step at least.
        length: steps to draw.
        temperature, top_k, top_p: see `drawn`; of frames only the temperature counts.
        seed: the same seed draws the same steps.
        never: tokens that must not be drawn.

    Yields:
        tokens as int, frames as (notes,) arrays of 0 and 1.

    Raises:
        ValueError: an argument cannot be.

    >>> from ostinato.models.language import token_model
    >>> model = token_model(50, "gru", hidden_size=16, num_layers=1, embedding_size=8).eval()
    >>> list(sample(model, torch.tensor([3]), 5)) == list(sample(model, torch.tensor([3]), 5))
    True
    """
    check(temperature, top_k, top_p)
    if not len(prompt) or length < 0:
        raise ValueError(
            f"sampling takes a step to begin with and a length from 0 up, found {len(prompt)} and {length}"
        )
    generator = torch.Generator().manual_seed(seed)
    steps = Steps(model)
    with torch.inference_mode():
        raw = steps.read(prompt)
        for left in range(length, 0, -1):
            if model.head.name == "bernoulli":
                x = model.head.sample(raw / max(temperature, 1e-4), generator)
                yield x.numpy()
            else:
                x = drawn(_logits(model, raw, never), temperature, top_k, top_p, generator)
                yield int(x)
            if left > 1:
                raw = steps(x)


def check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse what cannot be.

    Raises:
        ValueError: temperature below 0 or not finite, top_k below 1, or top_p outside (0, 1].
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be at least 0 and finite, found {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], found {top_p}")


def drawn(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, generator: torch.Generator
) -> Tensor:
    """A token from logits (tokens,): p(k) ~ exp(logits[k] / temperature), among the likeliest ones alone.

    Args:
        temperature: below 1 likely tokens become likelier; 0 takes the likeliest.
        top_k: so many of the likeliest.
        top_p: the fewest of the likeliest whose probabilities sum to it (Holtzman 2020, nucleus sampling).

    >>> generator = torch.Generator().manual_seed(0)
    >>> drawn(torch.tensor([0.0, 3.0, 1.0]), 1.0, 1, None, generator), drawn(torch.zeros(3), 0.0, None, None, generator)
    (tensor(1), tensor(0))
    """
    if temperature == 0:
        return logits.argmax()
    scaled = logits.double() / temperature
    if top_k is not None and top_k < len(scaled):
        scaled = scaled.masked_fill(scaled < scaled.topk(top_k).values[-1], -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = scaled.softmax(0).sort(descending=True, stable=True)
        behind = ordered.cumsum(0) - ordered >= top_p  # what lies before it suffices
        scaled = scaled.index_fill(0, order[behind], -torch.inf)
    return torch.multinomial(scaled.softmax(0), 1, generator=generator)[0]


def _logits(model: Language, raw: Tensor, never: tuple[int, ...]) -> Tensor:
    told: Any = getattr(model.head, "log_probabilities", None)
    logits = raw if told is None else told(raw)
    return logits.index_fill(0, torch.tensor(never, dtype=torch.long), -torch.inf) if never else logits


class Steps:
    """A model on the CPU that takes one step at a time and keeps its state.

    Layers that have a kernel run as `runtime` streams, whose weights are packed once: a layer's own call packs
    them each time, which at one step costs many times the step.
    """

    def __init__(self, model: Language) -> None:
        self.model = model
        layers = [layer for layer in model.stack.layers if isinstance(layer, Recurrent)]
        served = all(layer.cell in KINDS for layer in layers)
        self._streams = [_stream(layer) for layer in layers] if served else []
        self._state: State | None = None

    def read(self, x: Tensor) -> Tensor:
        """All steps of x (time, ...): raw of the law after the last."""
        raw, self._state = self.model(x[None])
        if self._streams:
            for stream, state in zip(self._streams, self._state, strict=True):
                both = state if isinstance(state, tuple) else (state,)
                stream.state = tuple(s.numpy() for s in both)
        return raw[0, -1]

    def __call__(self, x: Tensor) -> Tensor:
        """One step more: raw of the law after it."""
        if not self._streams:
            raw, self._state = self.model(x[None, None], self._state)
            return raw[0, 0]
        y = self.model.inputs(x[None, None])[0].numpy()
        for stream in self._streams:
            y = stream.step(y)
        return self.model.head(self.model.project(torch.from_numpy(y)))[0]


def _stream(layer: Recurrent) -> Any:
    """A stream over a copy of a layer's weights."""
    manifest, tensors = layer_files.to_file(layer)
    copies = {name: np.array(tensor) for name, tensor in tensors.items()}
    return Model(manifest["arguments"], copies, "layer", threads=1).stream()
