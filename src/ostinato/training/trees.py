"""Trees of tensors: batches and carried states, as nested tuples, lists, dicts and dataclasses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor


def change(tree: Any, by: Callable[[Tensor], Any]) -> Any:
    """The same tree with each tensor changed; leaves of other kinds stay.

    >>> import torch
    >>> change({"x": (torch.ones(2), "name")}, by=lambda t: t.sum().item())
    {'x': (2.0, 'name')}
    """
    if isinstance(tree, Tensor):
        return by(tree)
    if isinstance(tree, dict):
        return {key: change(value, by) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(change(value, by) for value in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(change(value, by) for value in tree)
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{f.name: change(getattr(tree, f.name), by) for f in fields(tree) if f.init})
    return tree


def leaves(tree: Any) -> list[Tensor]:
    """The tensors of a tree, in order."""
    found: list[Tensor] = []
    change(tree, by=found.append)
    return found
