"""Training: one loop for every recipe, bit-exact to resume, alone or under torchrun (decisions/06).

A step is: loss sum and count from the recipe's objective, gradient of sum / count, clip, optimizer, norm
limit. `fit` is the face, `Trainer` the loop; the small parts above them each keep one promise.
"""

from __future__ import annotations

import atexit
import difflib
import json
import math
import numbers
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import safetensors.numpy
import torch
import torch.distributed as dist
from rich.console import Console
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm, parametrizations, parametrize

from ostinato import format

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Objective = Callable[[nn.Module, Any, Any], tuple[Tensor, Any, Any]]
Validate = Callable[[nn.Module], Any]

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
SCHEDULES = ("constant", "cosine", "plateau")
PRECISIONS = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CHECKPOINT, HISTORY = "checkpoint.ost", "history.jsonl"


class CheckpointError(RuntimeError):
    """A checkpoint or history file could not be written or read, or belongs to another run; it is named."""


class TrainingDiverged(RuntimeError):  # noqa: N818 - what happened, as Python's own StopIteration
    """A loss, gradient or parameter is no longer finite.

    Attributes: epoch and step (over all epochs), both counted from 1, and the name of the tensor.
    """

    def __init__(self, epoch: int, step: int, tensor: str, found: str) -> None:
        super().__init__(
            f"training diverged in epoch {epoch}, step {step}: {found}; try a smaller learning_rate or clip, "
            "and look for bad values in the data"
        )
        self.epoch, self.step, self.tensor = epoch, step, tensor


@dataclass(frozen=True)
class Settings:
    """How to train; checked when made, and again by the checkpoint that a run resumes from.

    Args:
        epochs: passes over the batches.
        learning_rate, optimizer, weight_decay: as torch.optim's; "adam", "adamw", "sgd" or "rmsprop".
        schedule: "constant", "cosine" (to 0 at the last step) or "plateau" (halved each time
            `plateau_patience` epochs brought nothing better); all after `warmup` steps of linear rise.
        clip: largest norm of the whole gradient (Pascanu 2013); None: off.
        recurrent_norm_limit: after each step every gate's R is scaled so that its spectral norm is at most
            this; below 1 a gradient through time can only shrink.
        weight_norm: W = g v / |v|, row by row, on input and recurrent weights (Salimans 2016), folded into
            plain weights when training ends.
        patience: end after so many epochs without a validation loss better by `min_delta`.
        seed: of everything random in training; the caller's own random stream is left as it was.
        device: "auto" (CUDA, else CPU) or torch's name for one.
        precision: "auto" is float32 on a CPU, bfloat16 on a GPU that has it; all but float32 use autocast.
        time_limit: seconds, over all resumed runs; validation is begun early enough to fit in.
        checkpoint_every: steps between checkpoints; None: at the end of each epoch.

    Raises:
        ValueError: a value that cannot be; the nearest name is given.

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
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            self._one_of(name, list(known))
        for name, least in (("epochs", 1), ("plateau_patience", 1), ("patience", 1), ("checkpoint_every", 1)):
            self._number(name, numbers.Integral, lambda n, least=least: n >= least, f"a whole number from {least} up")
        for name in ("seed", "warmup"):
            self._number(name, numbers.Integral, lambda n: n >= 0, "a whole number from 0 up")
        for name in ("learning_rate", "clip", "recurrent_norm_limit", "time_limit"):
            self._number(name, numbers.Real, lambda n: n > 0, "a number above 0")
        for name in ("weight_decay", "min_delta"):
            self._number(name, numbers.Real, lambda n: n >= 0, "a number from 0 up")

    def _one_of(self, name: str, known: list[str]) -> None:
        value = getattr(self, name)
        if value not in known:
            near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{name}={value!r} is not one of {', '.join(known)}{hint}")

    def _number(self, name: str, kind: type, good: Callable[[Any], bool], wanted: str) -> None:
        value = getattr(self, name)
        if value is None and name in ("clip", "recurrent_norm_limit", "patience", "time_limit", "checkpoint_every"):
            return
        if not isinstance(value, kind) or isinstance(value, bool) or not (math.isfinite(value) and good(value)):
            raise ValueError(f"{name}={value!r} must be {wanted}")
        object.__setattr__(self, name, int(value) if kind is numbers.Integral else float(value))


class Batches(Protocol):
    """What training reads: batches whose order is a function of (seed, epoch) alone.

    A batch is tensors, rows first, in tuples, lists, dicts or dataclasses.
    """

    def __len__(self) -> int: ...

    def epoch(self, number: int, first: int = 0) -> Iterable[Any]:
        """The batches of epoch `number` from batch `first` on; both are counted from 0."""
        ...


class Callback:
    """Something that watches training, in Keras's manner; `self.trainer.stop = True` ends it.

    Each method gets `logs`, a dict of plain numbers. Under torchrun callbacks run on rank 0 alone.
    """

    trainer: Trainer

    def on_train_begin(self, logs: dict[str, Any]) -> None: ...
    def on_epoch_begin(self, logs: dict[str, Any]) -> None: ...
    def on_batch_end(self, logs: dict[str, Any]) -> None: ...
    def on_epoch_end(self, logs: dict[str, Any]) -> None: ...
    def on_train_end(self, logs: dict[str, Any]) -> None: ...


class History(list[dict[str, Any]]):
    """One plain dict a finished epoch: epoch, step, loss, valid_loss, learning_rate, gradient_norm, seconds.

    >>> History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]).to_frame()["loss"].min()
    0.25
    """

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row an epoch."""
        import pandas as pd

        return pd.DataFrame(list(self))

    def plot(self) -> Figure:
        """The losses over the epochs, as a matplotlib figure; no display is needed."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.add_subplot(xlabel="epoch", ylabel="loss")
        for name, label in (("loss", "training"), ("valid_loss", "validation")):
            points = [(row["epoch"], row[name]) for row in self if row.get(name) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=label)
        if axes.lines:
            axes.legend()
        return figure


def fit(
    model: nn.Module,
    batches: Batches,
    objective: Objective,
    settings: Settings,
    *,
    validate: Validate | None = None,
    out: str | os.PathLike[str] | None = None,
    callbacks: Iterable[Callback] = (),
    resume: bool = False,
    quiet: bool = False,
) -> History:
    """Train `model` in place; it comes back in evaluation mode, with its best weights where validated.

    Args:
        objective: (model, batch, state) -> (loss sum, count, new state or None). The gradient is that of
            sum / count over all processes. The state goes, detached, into the next batch of the epoch
            (truncated back-propagation through time) and is None at its first.
        validate: model -> loss, or a dict with "loss" and more; run after each epoch without gradients.
        out: folder of `checkpoint.ost` and `history.jsonl`; None: nothing is written.
        resume: go on from `out`'s checkpoint, bit for bit; starts anew where there is none.
        quiet: no progress line.

    Raises:
        TrainingDiverged: something is no longer finite; the last checkpoint is.
        CheckpointError: a checkpoint cannot be written, read, or belongs to other settings (epochs may
            grow, time_limit may change) or another model.
        ValueError: the arguments do not fit together.

    >>> class Line:
    ...     def __len__(self):
    ...         return 8
    ...
    ...     def epoch(self, number, first=0):
    ...         x = torch.linspace(-1, 1, 8)[:, None]
    ...         return [(x, 3 * x)] * (8 - first)
    >>> def squares(model, batch, state):
    ...     x, y = batch
    ...     return (model(x) - y).square().sum(), len(x), None
    >>> history = fit(nn.Linear(1, 1), Line(), squares, Settings(epochs=50, learning_rate=0.05), quiet=True)
    >>> len(history), history[-1]["loss"] < 1e-3
    (50, True)
    """
    trainer = Trainer(model, batches, objective, settings, validate, out, callbacks, quiet)
    with trainer.random_stream():
        try:
            trainer.begin(resume)
            trainer.train()
        finally:
            trainer.end()
    return trainer.history


# Trees of tensors: batches, carried states, checkpoints -------------------------------------------


def _map(change: Callable[[Tensor], Any], tree: Any) -> Any:
    """The same tree with each tensor changed; leaves of other kinds stay."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _map(change, value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_map(change, value) for value in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(_map(change, value) for value in tree)
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{f.name: _map(change, getattr(tree, f.name)) for f in fields(tree) if f.init})
    return tree


def _leaves(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _map(found.append, tree)
    return found


def _pack(tree: Any, tensors: dict[str, np.ndarray], path: str = "") -> Any:
    """The tree as JSON; its tensors go into `tensors`, under their paths."""
    if isinstance(tree, Tensor):
        whole = tree.detach().cpu().contiguous()
        half = whole.dtype == torch.bfloat16  # numpy has no such type
        tensors[path] = (whole.view(torch.int16) if half else whole).numpy()
        return {"tensor": path, "bfloat16": half}
    if isinstance(tree, dict):  # pairs, because an optimizer counts its parameters with integer keys
        return {"dict": [[key, _pack(value, tensors, f"{path}/{key}")] for key, value in tree.items()]}
    if type(tree) in (list, tuple):
        items = [_pack(value, tensors, f"{path}/{i}") for i, value in enumerate(tree)]
        return items if isinstance(tree, list) else {"tuple": items}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"{path.strip('/')} holds a {type(tree).__name__}: a checkpoint carries tensors and plain values")


def _unpack(node: Any, tensors: Mapping[str, np.ndarray]) -> Any:
    """The inverse of `_pack`."""
    if isinstance(node, list):
        return [_unpack(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    if "tensor" in node:
        whole = torch.from_numpy(np.array(tensors[node["tensor"]]))  # a copy: what was read may be read-only
        return whole.view(torch.bfloat16) if node["bfloat16"] else whole
    if "tuple" in node:
        return tuple(_unpack(item, tensors) for item in node["tuple"])
    return {key: _unpack(value, tensors) for key, value in node["dict"]}


def _arrays(tree: Any) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    return {"tree": format.pack_json(_pack(tree, tensors)), **tensors}


def _tree(arrays: Mapping[str, np.ndarray]) -> Any:
    return _unpack(format.unpack_json(arrays["tree"]), arrays)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint as plain dicts, lists and tensors.

    Raises:
        CheckpointError: the file is damaged, or no checkpoint.
    """
    try:
        manifest, arrays = format.read(path)
    except format.FormatError as error:
        raise CheckpointError(f"{error}; it cannot be resumed from: use resume=False to start anew") from error
    if manifest.get("kind") != "checkpoint":
        raise CheckpointError(f"{path}: is a {manifest.get('kind')}, not a checkpoint")
    return _tree(arrays)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise CheckpointError(f"{path}: could not be written ({why}); what was there before is whole") from error


# Norms of weights ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Weight:
    """One weight_ih or weight_hh of a layer, and how its norm is kept."""

    layer: nn.Module
    attribute: str
    parameter: nn.Parameter

    @classmethod
    def all_of(cls, model: nn.Module) -> list[_Weight]:
        return [
            cls(layer, name, parameter)
            for layer in model.modules()
            for name, parameter in layer.named_parameters(recurse=False)
            if name.startswith(("weight_ih", "weight_hh"))
        ]

    def normalize(self) -> None:
        """W = g v / |v| from here on, a length and a direction for each row."""
        if not bool(self.parameter.detach().flatten(1).any(1).all()):
            raise ValueError(f"weight_norm: {self.attribute} has a row of zeros, which has no direction; draw it anew")
        parametrizations.weight_norm(self.layer, self.attribute)

    def fold(self) -> None:
        """The plain weight again, in the parameter and at the place it had."""
        order = [name for name, _ in self.parameter_order()]
        self.parameter.data = getattr(self.layer, self.attribute).detach().clone()
        parametrize.remove_parametrizations(self.layer, self.attribute)
        setattr(self.layer, self.attribute, self.parameter)

    @torch.no_grad()
    def limit(self, largest: float) -> None:
        """R_gate *= min(1, largest / |R_gate|_2), for each gate's block of rows."""
        weight = getattr(self.layer, self.attribute)
        gates = (-1, getattr(self.layer, "hidden_size", weight.shape[1]))
        exact = weight if weight.dtype in (torch.float32, torch.float64) else weight.float()
        norms = torch.linalg.matrix_norm(exact.unflatten(0, gates), ord=2)
        scaled = self.layer.parametrizations[self.attribute].original0 if self.normalized else weight
        scaled.unflatten(0, gates).mul_((largest / norms).clamp(max=1)[:, None, None])
