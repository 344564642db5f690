"""What a head is: one output law that owns its width, its loss and its prediction (decisions/05-head.md)."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ostinato.layers.linear import Linear
from ostinato.registry import Registry, nearest

Levels = Iterable[float] | Tensor

_REGISTRY: Registry[Head] = Registry("head")


def names() -> list[str]:
    """The registered heads, as `--head` and `ostinato list` name them.

    >>> {"point", "softmax", "gaussian"} <= set(names())
    True
    """
    return sorted(_REGISTRY)


def get(name: str) -> type[Head]:
    """The head of that name.

    Raises:
        ValueError: no such head; the nearest name is given.

    >>> get("gausian")
    Traceback (most recent call last):
        ...
    ValueError: head 'gausian' is not registered; did you mean 'gaussian'?
    """
    return _REGISTRY.find(name)


def build(name: str, features: int, outputs: int, **options: Any) -> Head:
    """The head of that name, made; `build(h.name, h.features, h.outputs, **h.options())` makes h's twin.

    Raises:
        ValueError: no such head, or it has no such option; the nearest name is given.

    >>> build("quantile", 8, 1, levels=[0.1, 0.5, 0.9])
    Quantile(
      features=8, outputs=1, levels=[0.1, 0.5, 0.9]
      (project): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    kind = get(name)
    known = [key for key in inspect.signature(kind).parameters if key not in ("features", "outputs")]
    for option in options:
        if option not in known:
            raise ValueError(f"head {name!r} has no option {option!r}; {nearest(option, known)}")
    return kind(features, outputs, **options)


class Head(nn.Module):
    """An output law over `outputs` values, read off `features` by one dense layer: raw = W features + b.

    A law writes `cost` and `predict`, where it has them `quantiles` and `sample`, and is registered
    under `name` when its class is made. It decides nothing about the layers under it. A loss over
    whole sequences (CRF, CTC) overrides `loss` instead of `cost`.

    A head whose answer is a sequence says `over_time`: raw is then (..., time, features), and the steps of one
    sequence, the last axis but one, belong together.

    Args:
        features: width of what the layers below give out.
        outputs: values, classes or tokens that the law speaks of.
        width: raw numbers for each output.
        options: the law's own, in plain types that JSON can hold.

    Shapes: features (..., features), raw (..., outputs x width), target (..., outputs).

    Raises:
        ValueError: a size is not a whole number of at least 1.

    >>> class Poisson(Head):
    ...     '''p(y) = exp(y r - e^r) / y!, r = raw.'''
    ...
    ...     name = "doc-poisson"
    ...
    ...     def cost(self, raw, target):
    ...         return torch.nn.functional.poisson_nll_loss(raw, target, reduction="none")
    ...
    ...     def predict(self, raw):
    ...         return raw.exp()
    >>> head = build("doc-poisson", features=8, outputs=2)
    >>> total, count = head.loss(head(torch.zeros(4, 8)), torch.ones(4, 2))
    >>> int(count)
    8
    """

    name: ClassVar[str] = ""
    support: ClassVar[str] = "a finite number"
    over_time: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _REGISTRY.add(cls)

    def __init__(self, features: int, outputs: int, width: int = 1, **options: Any) -> None:
        super().__init__()
        for word, size in (("features", features), ("outputs", outputs)):
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{self.name} head: {word} must be a whole number of at least 1, found {size!r}")
        self.features, self.outputs, self.width = features, outputs, width
        self._options = options
        self.project = Linear(features, outputs * width)

    def options(self) -> dict[str, Any]:
        """What the head was made with, in plain types: a model file writes it and `build` reads it."""
        return dict(self._options)

    def forward(self, features: Tensor) -> Tensor:
        """raw = W features + b: (..., features) -> (..., outputs x width)."""
        return self.project(features)

    # The law ---------------------------------------------------------------------------------

    def cost(self, raw: Tensor, target: Tensor) -> Tensor:
        """-log p(target), or what stands for it, value by value: raw, target -> (..., outputs)."""
        raise TypeError(f"{type(self).__name__} has no cost(raw, target): write it, or override loss")

    def predict(self, raw: Tensor) -> Tensor:
        """The best single answer: raw -> (..., outputs)."""
        raise TypeError(f"{type(self).__name__} has no predict(raw)")

    def quantiles(self, raw: Tensor, levels: Levels) -> Tensor:
        """inf {y : P(Y <= y) >= level}, for each level in (0, 1): raw -> (..., outputs, levels)."""
        raise TypeError(self._lacks("quantiles"))

    def sample(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw for each row of raw, (..., outputs); for n draws hand in `raw.expand(n, *raw.shape)`."""
        raise TypeError(self._lacks("sample"))

    def supports(self, target: Tensor) -> Tensor:
        """Where target lies in the law's support, (..., outputs) bool."""
        return torch.isfinite(target)

    def weigh(self, target: Tensor) -> Tensor:
        """What each target counts for; 1 unless the law has weights."""
        return torch.ones_like(target, dtype=torch.promote_types(self.project.weight.dtype, torch.float32))

    # The loss --------------------------------------------------------------------------------

    def loss(
        self, raw: Tensor, target: Tensor, mask: Tensor | None = None, weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The sum of the costs and how many there are, so that whoever joins batches divides once.

        What lies under a False of the mask, NaN too, reaches neither value nor gradient. A target
        outside the law's support makes the loss NaN (`check` says it in words, once, before training).
        Half precision is summed in float32.

        Args:
            raw: what `forward` gave, (..., outputs x width).
            target: (..., outputs).
            mask: bool, True where the target counts; (..., outputs) or (...).
            weight: of the target's shape, finite: what each counts for, in the sum and in the count; 1 where left out.

        Raises:
            ValueError: target or mask has another shape, or mask is not bool.
        """
        raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
        parts = self.parts(raw)
        self._check_shape(parts, target)
        mask = self._mask(target, mask)
        # Before the computation: a NaN that where() drops afterwards still poisons the gradient.
        raw = torch.where(mask.unsqueeze(-1), parts, 0).reshape(raw.shape)
        target = torch.where(mask, target, 0)
        cost = self.cost(raw, target).to(raw.dtype).where(self.supports(target), torch.nan)
        counts = self.weigh(target).where(mask, 0)
        cost = cost.where(mask, 0)
        if weight is not None:
            cost, counts = weight * cost, weight * counts
        return _total(cost), _total(counts)

    def check(self, target: Tensor, mask: Tensor | None = None) -> None:
        """Refuse, in words, the first target outside the law's support; for all the data, once, before training.

        Raises:
            ValueError: the target's place and value, and what the law asks for.
        """
        wrong = self._mask(target, mask) & ~self.supports(target)
        if wrong.any():
            place = tuple(wrong.nonzero()[0].tolist())
            raise ValueError(f"{self.name} head: target{list(place)} is {target[place].item()}, not {self.support}")

    # Shapes ----------------------------------------------------------------------------------

    def parts(self, raw: Tensor) -> Tensor:
        """raw (..., outputs x width) -> (..., outputs, width)."""
        return raw.unflatten(-1, (self.outputs, self.width))

    def _check_shape(self, parts: Tensor, target: Tensor) -> None:
        if target.shape != parts.shape[:-1]:
            asked, found = tuple(parts.shape[:-1]), tuple(target.shape)
            hint = "; add the last axis with target.unsqueeze(-1)" if (*found, 1) == asked else ""
            raise ValueError(f"{self.name} head: raw asks for a target of shape {asked}, found {found}{hint}")

    def _mask(self, target: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return torch.ones_like(target, dtype=torch.bool)
        if mask.dtype != torch.bool:
            raise ValueError(f"{self.name} head: mask must be bool, found {mask.dtype}: pass mask.bool()")
        if mask.shape == target.shape:
            return mask
        if mask.shape == target.shape[:-1]:
            return mask.unsqueeze(-1).expand_as(target)
        shapes = f"{tuple(target.shape)} or {tuple(target.shape[:-1])}"
        raise ValueError(f"{self.name} head: mask must have shape {shapes}, found {tuple(mask.shape)}")

    def _levels(self, levels: Levels) -> list[float]:
        found = [float(level) for level in levels]
        for level in found:
            if not 0 < level < 1:
                raise ValueError(f"{self.name} head: levels lie between 0 and 1, both excluded; found {level}")
        return found

    def _lacks(self, method: str) -> str:
        able = [name for name, kind in sorted(_REGISTRY.items()) if getattr(kind, method) is not getattr(Head, method)]
        return f"the {self.name} head has no {method}(), it knows no whole law: use one of {', '.join(able)}"

    def extra_repr(self) -> str:
        """What is printed beside the class name."""
        sizes = {"features": self.features, "outputs": self.outputs}
        return ", ".join(f"{key}={value!r}" for key, value in (sizes | self._options).items())


def _total(x: Tensor) -> Tensor:
    """The sum, row by row first: torch shares one out among its threads from 32,768 numbers on, with other bits."""
    return x.flatten(1).sum(1).sum() if x.dim() > 1 else x.sum()
