"""What a layer is given, checked: each refusal names the argument and what was found."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import Parameter, signature
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ostinato.cells.cell import GatedCell
from ostinato.registry import nearest


def own_options(layer: str, kind: type[GatedCell], given: dict[str, Any], others: Iterable[str]) -> dict[str, Any]:
    """A cell's options: those that it knows, whether one is on said by True or False; `others` the layer has itself."""
    own = signature(kind).parameters
    usual = {word: p.default for word, p in own.items() if p.kind is Parameter.KEYWORD_ONLY and word != "own_weights"}
    if all(p.kind is not Parameter.VAR_KEYWORD for p in own.values()):
        for word in given.keys() - usual.keys():
            known = {*usual, *others} - {"cell", "options"}
            raise TypeError(f"{layer} has no argument {word!r}; {nearest(word, known)}")
    return {word: flag(word, v) if isinstance(usual.get(word), bool) else v for word, v in given.items()}


def alike(x: Tensor, name: str, s: Tensor) -> Tensor:
    """A state in the type of x: autocast hands out states of half precision, anything else is a slip."""
    if s.device != x.device or (s.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type)):
        raise ValueError(f"state {name} is {s.dtype} on {s.device}, x is {x.dtype} on {x.device}: pass it .to(x)")
    return s.to(x.dtype)


def flag(word: str, value: Any) -> bool:
    if value not in (True, False):
        raise ValueError(f"{word} must be True or False, found {value!r}")
    return bool(value)


def probability(word: str, p: float) -> float:
    if isinstance(p, bool) or not isinstance(p, Real) or not 0 <= p <= 1:
        raise ValueError(f"{word} must be a probability in 0..1, found {p!r}")
    return float(p)


def zoneout_of(zoneout: float | tuple[float, ...], cell: GatedCell) -> tuple[float, ...]:
    """One probability for each tensor of the state; of (p_h, p_c) a state without c takes the first."""
    states = cell.state_names
    each = zoneout if isinstance(zoneout, (tuple, list)) else (zoneout,) * len(states)
    if len(each) != max(2, len(states)) and len(each) != len(states):
        wanted = ", ".join(f"p_{name}" for name in states) if len(states) > 1 else "p_h, p_c"
        raise ValueError(f"zoneout must be one number or ({wanted}), found {zoneout!r}")
    return tuple(probability("zoneout", p) for p in each[: len(states)])
