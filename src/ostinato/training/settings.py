"""How to train, as plain values: checked when made, and compared when a run is resumed."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
ONE_PASS = ("adam", "adamw", "sgd")  # torch has their step as one pass, with the same bits at any number of threads
SCHEDULES = ("constant", "cosine", "plateau")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")

_OPTIONAL = ("clip", "recurrent_norm_limit", "patience", "time_limit", "checkpoint_every")
_FREE = ("epochs", "time_limit")  # what a resumed run may set anew


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        epochs: passes over the batches.
        learning_rate, weight_decay: as in torch.optim.
        optimizer: "adam", "adamw", "sgd" (no momentum) or "rmsprop".
        schedule: "constant", "cosine" (to 0 at the last step) or "plateau" (halved each time that
            `plateau_patience` epochs brought no better validation loss).
        warmup: steps over which the learning rate first rises in a line.
        clip: largest norm of the whole gradient; None: off (Pascanu 2013).
        recurrent_norm_limit: after each step R of every gate is scaled so that its spectral norm is at
            most this: below 1, a gradient through time can only shrink; None: off (Pascanu 2013).
        weight_norm: W = g v / |v|, row by row, on input and recurrent weights; folded into plain weights
            when training ends (Salimans 2016).
        patience: end after so many epochs without a better validation loss; None: off.
        min_delta: by how much it must be lower to count as better.
        seed: of all that is random in training. The caller's own random stream stays as it was.
        device: "auto" (CUDA, else CPU), or torch's name for one.
        precision: "auto" is float32 on a CPU, bfloat16 on a GPU made for it; what is not float32 is autocast.
        time_limit: seconds, all resumed runs together; of validation, what it took last is allowed for. None: off.
        checkpoint_every: steps from one checkpoint to the next; None: one at the end of each epoch.

    Raises:
        ValueError: a value that cannot be; of a name, the nearest one is given.

    >>> Settings(epochs=5, optimizer="adm")
    Traceback (most recent call last):
        ...
    ValueError: optimizer='adm' is not one of adam, adamw, sgd, rmsprop; did you mean 'adam'?
    """

    epochs: int
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: int = 0
    plateau_patience: int = 3
    clip: float | None = 1.0
    recurrent_norm_limit: float | None = None
    weight_norm: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    time_limit: float | None = None
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        self._one_of("optimizer", OPTIMIZERS)
        self._one_of("schedule", SCHEDULES)
        self._one_of("precision", PRECISIONS)
        self._one_of("weight_norm", (True, False))
        for name in ("epochs", "plateau_patience", "patience", "checkpoint_every"):
            self._number(name, int, 1, "a whole number from 1 up")
        for name in ("warmup", "seed"):
            self._number(name, int, 0, "a whole number from 0 up")
        for name in ("learning_rate", "clip", "recurrent_norm_limit", "time_limit"):
            self._number(name, float, math.ulp(0.0), "a number above 0")
        for name in ("weight_decay", "min_delta"):
            self._number(name, float, 0, "a number from 0 up")

    def _one_of(self, name: str, known: Iterable[Any]) -> None:
        value, known = getattr(self, name), list(known)
        if value not in known:
            words = [str(word) for word in known]
            near = difflib.get_close_matches(str(value), words, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{name}={value!r} is not one of {', '.join(words)}{hint}")

    def _number(self, name: str, kind: type[int] | type[float], least: float, wanted: str) -> None:
        value = getattr(self, name)
        if value is None and name in _OPTIONAL:
            return
        known: Any = numbers.Integral if kind is int else numbers.Real
        if isinstance(value, bool) or not isinstance(value, known) or not least <= value < math.inf:
            raise ValueError(f"{name}={value!r} must be {wanted}")
        object.__setattr__(self, name, kind(value))  # numpy's numbers become Python's, as a checkpoint holds them


def difference(before: dict[str, Any], now: Settings) -> str | None:
    """Why a run with the settings `before` cannot go on with those of `now`, in words; None: it can.

    >>> difference(asdict(Settings(epochs=5)), Settings(epochs=9)) is None
    True
    >>> difference(asdict(Settings(epochs=5)), Settings(epochs=9, clip=None))
    'was made with clip=1.0, this run has clip=None'
    """
    for name, value in asdict(now).items():
        if name not in _FREE and (name not in before or before[name] != value):
            return f"was made with {name}={before.get(name, 'unknown')!r}, this run has {name}={value!r}"
    if before.get("epochs", 0) > now.epochs:
        return f"was made for {before['epochs']} epochs, this run has {now.epochs}: they may grow, not shrink"
    return None
