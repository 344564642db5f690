"""torch's recurrent layers in a person's own model, made ours where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from ostinato.cells.loop import Stages
from ostinato.dispatch import unserved
from ostinato.layers.recurrent import GRU, LSTM, RNN, Recurrent

OURS: dict[type[nn.Module], type[Recurrent]] = {nn.RNN: RNN, nn.LSTM: LSTM, nn.GRU: GRU}
_ALIKE = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
# torch's second list of the same weights, for cuDNN: it would grow out of date, and is made anew on the way back.
_LISTS = ("_flat_weights", "_flat_weight_refs")
_ARGUMENTS = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")


class _Change(NamedTuple):
    """What it takes to make one layer torch's again."""

    part: Any
    kind: type[nn.Module]
    added: set[str]  # names of our attributes


@dataclass(frozen=True, repr=False)
class Acceleration:
    """What `accelerate` did.

    Attributes:
        replaced: names of the layers that are ours now, as `named_modules` has them ("" is the module itself).
        kept: the recurrent modules that stay as they were: name -> reason.
    """

    replaced: list[str]
    kept: dict[str, str]
    _changes: list[_Change] = field(default_factory=list)

    def undo(self) -> None:
        """Make every replaced layer torch's again, with the weights, mode and hooks that it has by now.

        A second call does nothing.
        """
        while self._changes:
            _give_back(self._changes.pop())

    def __str__(self) -> str:
        total = len(self.replaced) + len(self.kept)
        lines = [f"{len(self.replaced)} of {total} recurrent modules of torch replaced"]
        lines += [f"  replaced  {name or '(the module itself)'}" for name in self.replaced]
        lines += [f"  kept      {name or '(the module itself)'}: {reason}" for name, reason in self.kept.items()]
        return "\n".join(lines)

    __repr__ = __str__


def accelerate(module: nn.Module) -> Acceleration:
    """Make every torch.nn.RNN, LSTM and GRU inside `module` an `ost` layer, in place.

    Each layer stays the object that it is and computes the same: parameters, their names in the `state_dict`,
    mode, `batch_first`, hooks and parametrizations are untouched, so that optimizers, tied weights and
    references from elsewhere stay good. Only its class changes, and with it the code that runs. Dropout between
    layers draws other random numbers than torch does.

    What no kernel serves is kept, with the reason: cells that take one step a call, subclasses, quantized and scripted
    modules, other devices than the CPU, other types than float32 and float64.

    Returns:
        `.replaced`, `.kept` and `.undo()`; printed, it is a list of them.

    Raises:
        TypeError: not a torch.nn.Module.

    >>> model = nn.Sequential(nn.Embedding(10, 3), nn.LSTM(3, 8, batch_first=True), nn.LSTMCell(8, 8))
    >>> report = accelerate(model)
    >>> print(report)
    1 of 2 recurrent modules of torch replaced
      replaced  1
      kept      2: LSTMCell takes one step a call: there is no time loop to make faster
    >>> isinstance(model[1], LSTM)
    True
    >>> report.undo()
    >>> model[1]
    LSTM(3, 8, batch_first=True)
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"accelerate takes a torch.nn.Module, found {type(module).__name__}")
    done = Acceleration([], {})
    for name, part in list(module.named_modules()):
        if not _is_recurrent(part):
            continue
        if (reason := _why_kept(part)) is not None:
            done.kept[name] = reason
        else:
            done._changes.append(_take_over(part))
            done.replaced.append(name)
    return done


def _is_recurrent(part: nn.Module) -> bool:
    """torch's recurrent modules, the quantized and scripted ones too."""
    name = getattr(part, "original_name", type(part).__name__)  # scripted: the name it had
    foreign = isinstance(part, torch.jit.ScriptModule) or type(part).__module__.startswith("torch.")
    return isinstance(part, (nn.RNNBase, nn.RNNCellBase)) or (foreign and name in _ALIKE)


def _why_kept(part: nn.Module) -> str | None:
    kind = type_before_parametrizations(part)
    if kind not in OURS:
        return _why_other(part, kind)
    if "forward" in vars(part):
        return "its forward was replaced by hand"
    if part._compiled_call_impl is not None:
        return "it is compiled by itself: accelerate it first, then compile"
    tensors = {name: v for name, v in [*part.named_parameters(), *vars(part).items()] if isinstance(v, torch.Tensor)}
    if not tensors:
        return "it has no weights of its own"
    try:
        ours = _counterpart(part)
    except (TypeError, ValueError) as error:  # torch takes what ours does not
        return str(error)
    if taken := _of_both(part, ours, kind):
        return f"it has an attribute {taken[0]!r}, which is a name of ours too: rename it"
    return unserved(ours._cell(0), tensors, next(iter(tensors.values())).new_empty(0), Stages())


def _of_both(part: nn.Module, ours: Recurrent, kind: type[nn.Module]) -> list[str]:
    """What a person put on the layer under a name that ours reads as its own: it would change what is computed."""
    with torch.device("meta"):
        usual = vars(kind(1, 1)).keys() | set(dir(kind))
    return sorted(vars(part).keys() & ((vars(ours).keys() | set(dir(type(ours)))) - usual))


def _why_other(part: nn.Module, kind: type[nn.Module]) -> str:
    if isinstance(part, torch.jit.ScriptModule):
        return "a scripted module: its code is fixed; accelerate the module that it was made from"
    if kind in (nn.RNNCell, nn.LSTMCell, nn.GRUCell):
        return f"{kind.__name__} takes one step a call: there is no time loop to make faster"
    if kind is nn.RNNBase:
        return "RNNBase by itself is none of RNN, LSTM and GRU"
    if kind.__module__.startswith("torch."):
        return f"{kind.__module__}.{kind.__name__} is quantized, or made ready for it"
    return f"{kind.__qualname__} is a class of its own, which may compute something else"


def _counterpart(part: Any) -> Recurrent:
    """Our layer of the same arguments: without memory, and without a draw of random numbers."""
    arguments = {word: getattr(part, word) for word in _ARGUMENTS}
    if part.mode == "LSTM":
        arguments["proj_size"] = getattr(part, "proj_size", 0)  # those of torch before 1.8 have none
    elif part.mode != "GRU":
        arguments["nonlinearity"] = part.mode.removeprefix("RNN_").lower()
    with torch.device("meta"):
        ours = OURS[type_before_parametrizations(part)](**arguments)
    ours._spares_input = part.batch_first  # torch's layer turns x round, and so has a copy of its own
    return ours


def _take_over(part: nn.Module) -> _Change:
    """Make torch's layer ours."""
    ours, own, kind = _counterpart(part), vars(part), type_before_parametrizations(part)
    for name in _LISTS:
        own.pop(name, None)
    added = vars(ours).keys() - own.keys()
    # The arguments too: where they were numpy's numbers, a file takes Python's alone.
    own.update({name: vars(ours)[name] for name in (*added, *_ARGUMENTS)})
    _become(part, type(ours))
    return _Change(part, kind, added)


def _give_back(change: _Change) -> None:
    part, kind, added = change
    for name in added:
        delattr(part, name)
    _become(part, kind)
    part._init_flat_weights()


def _become(part: nn.Module, kind: type[nn.Module]) -> None:
    """Change the class; that of a parametrized module stands between, with a property for each tensor."""
    now = type(part)
    if now is not type_before_parametrizations(part):
        own = {name: value for name, value in vars(now).items() if name not in ("__module__", "__doc__")}
        kind = type(f"Parametrized{kind.__name__}", (kind,), own)
    part.__class__ = kind
