"""The training loop: decide nothing here that a recipe, a head or the settings could decide.

A step: loss sum and count from the objective, gradient of sum / count, clip, optimizer, norm limit.
Everything that the next step depends on is in the model, the optimizer, the scaler, the random streams,
the carried state and `Place`, and goes into the checkpoint.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ostinato import format
from ostinato.training import checkpoint, progress, snapshot, trees
from ostinato.training.finite import TrainingDiverged, as_json, bad_gradient, bad_loss, bad_weight
from ostinato.training.history import Callback, History
from ostinato.training.ranks import Ranks
from ostinato.training.settings import ONE_PASS, OPTIMIZERS, Settings
from ostinato.training.snapshot import Place
from ostinato.training.weights import Weight

Objective = Callable[[nn.Module, Any, Any], tuple[Tensor, Any, Any]]
Validate = Callable[[nn.Module], Any]

CHECKPOINT, HISTORY = "checkpoint.ost", "history.jsonl"


class Batches(Protocol):
    """What training reads: batches whose order depends on (seed, epoch) and nothing else.

    A batch is tensors, rows first, in tuples, lists, dicts or dataclasses.
    """

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int, first: int = 0) -> Iterable[Any]:
        """The batches of epoch `number` from batch `first` on, both counted from 0."""


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
    label: str = "",
) -> History:
    """Train a model in place: minimise sum / count of the objective over every batch.

    The model comes back in evaluation mode; with `validate`, with the weights of its best epoch. Under
    torchrun each process takes every n-th row of the same batch, and sum and count are those of all.

    Args:
        objective: (model, batch, state) -> (loss sum, count, new state or None). The new state goes,
            detached, into the epoch's next batch (truncated back-propagation through time); at the
            first it is None. What is random in it must come from torch's default generator.
        validate: model -> a loss, or a dict with "loss" and more; lower is better. Run after each epoch
            without gradients.
        out: folder for `checkpoint.ost` and `history.jsonl`, which are replaced; None: nothing is written.
        resume: go on from `out`'s checkpoint, exactly as if never interrupted; without one, start anew.
        quiet: no progress line.
        label: what the progress line begins with, where one of several networks is trained.

    Raises:
        TrainingDiverged: something is no longer finite; the last checkpoint is.
        CheckpointError: a checkpoint cannot be written or read, or is of other settings (epochs may grow,
            time_limit may change), batches or another model.
        ValueError: the arguments do not fit together.

    >>> class Points:
    ...     def __len__(self):
    ...         return 8
    ...
    ...     def epoch(self, number, first=0):
    ...         x = torch.linspace(-1, 1, 8)[:, None]
    ...         return [(x, 3 * x)] * (8 - first)
    >>> def squares(model, batch, state):
    ...     x, y = batch
    ...     return (model(x) - y).square().sum(), len(x), None
    >>> history = fit(nn.Linear(1, 1), Points(), squares, Settings(epochs=50, learning_rate=0.05), quiet=True)
    >>> len(history), history[-1]["loss"] < 1e-3
    (50, True)
    """
    trainer = Trainer(model, batches, objective, settings, validate, out, callbacks, quiet, label)
    with trainer.ready(resume):
        trainer.train()
    return trainer.history


class Trainer:
    """The loop and what it works on; arguments as of `fit`, which is how it is run.

    Attributes:
        model, settings, history, at: what is trained, how, its rows so far, and where it stands.
        stop: a callback sets it to end training.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        objective: Objective,
        settings: Settings,
        validate: Validate | None = None,
        out: str | os.PathLike[str] | None = None,
        callbacks: Iterable[Callback] = (),
        quiet: bool = False,
        label: str = "",
    ) -> None:
        if not len(batches):
            raise ValueError("there are no batches to train on: the data are empty")
        if validate is None and (settings.patience is not None or settings.schedule == "plateau"):
            raise ValueError("patience and schedule='plateau' go by a validation loss: give validate")
        self.model, self.batches, self.objective, self.settings = model, batches, objective, settings
        self.validate, self.callbacks, self.stop = validate, list(callbacks), False
        self.out = None if out is None else Path(out)
        self.history, self.at, self.best, self.carry = History(), Place(), None, None
        self.ranks = Ranks(settings.device)
        self.device = self.ranks.device
        self.precision = _precision(settings.precision, self.device)
        self.line = progress.Line(quiet or self.ranks.rank > 0, label)

    # Before and after ----------------------------------------------------------------------------

    @contextmanager
    def ready(self, resume: bool) -> Iterator[None]:
        """Everything in place for the next step; afterwards plain weights and the caller's random stream."""
        cuda = [self.device] if self.device.type == "cuda" else []
        self._normalized: list[Weight] = []
        with torch.random.fork_rng(cuda):
            try:
                self._prepare()
                self._begin(resume)
                self.line.begin(self)
                yield
            finally:
                self.line.end()
                self._fold()
                self.model.eval()

    def _prepare(self) -> None:
        settings = self.settings
        self.model.to(self.device)
        weights = Weight.all_of(self.model)
        self._limited = [w for w in weights if w.recurrent and settings.recurrent_norm_limit is not None]
        for weight in weights if settings.weight_norm else ():
            weight.normalize()
            self._normalized.append(weight)
        self.named = sorted((name, p) for name, p in self.model.named_parameters() if p.requires_grad)
        self.parameters = [p for _, p in self.named]
        kind: Any = OPTIMIZERS[settings.optimizer]
        # One pass over all numbers instead of ten: with an embedding of 14,000 words 1.5 ms a step instead of 13.
        fused = {"fused": True} if settings.optimizer in ONE_PASS and self.device.type == "cpu" else {}
        self.optimizer = kind(self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, **fused)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        seed = int(np.random.SeedSequence([settings.seed, self.ranks.rank]).generate_state(1)[0])
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _begin(self, resume: bool) -> None:
        """From the checkpoint, or from the start with a first checkpoint, so that a bad `out` is found now."""
        self._saved, self._since = (-1, 0), time.monotonic()
        found = None if self.out is None or not resume else self.out / CHECKPOINT
        resumed = found is not None and found.exists()
        if found is not None and resumed:
            snapshot.load(self, found)
            self._saved = (self.at.epoch, self.at.batch)
        if self.out is not None and self.ranks.rank == 0:
            try:
                self.out.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                todo = "name a folder that can be written into"
                raise checkpoint.CheckpointError(f"{self.out}: {error.strerror or error}: {todo}") from error
            with checkpoint.writing(self.out):
                format.sweep(self.out)
            checkpoint.rewrite(self.out / HISTORY, self.history)
        if not resumed:
            self.ranks.agree([*self.model.parameters(), *self.model.buffers()])
            self.save()

    def _fold(self) -> None:
        while self._normalized:
            self._normalized.pop(0).fold()

    # The loop ------------------------------------------------------------------------------------

    def train(self) -> None:
        """Epoch after epoch to the end, then the best weights."""
        self._tell("on_train_begin", {})
        while not self._finished():
            self._epoch()
        if self._saved != (self.at.epoch, self.at.batch):
            self.save()
        if self.at.batch:  # stopped inside an epoch: its checkpoint lets a resumed run take the rest
            self._close()
            self._tell("on_epoch_end", dict(self.history[-1]))
        if self.best is not None:
            self.model.load_state_dict(self.best)
        self._fold()
        self._tell("on_train_end", dict(self.history[-1]) if self.history else {})
        self.line.last(self)

    def _finished(self) -> bool:
        patience = self.settings.patience
        worn = patience is not None and self.at.stale >= patience
        return self.at.epoch >= self.settings.epochs or worn or self._must_stop()

    def _must_stop(self) -> bool:
        """Whether any process was told to stop or is out of time."""
        limit = self.settings.time_limit
        late = limit is not None and self.seconds + self.at.validation >= limit
        self.stop = self.ranks.sum(float(self.stop or late))[0] > 0
        return self.stop

    def _epoch(self) -> None:
        at, every = self.at, self.settings.checkpoint_every
        self.model.train()
        self._tell("on_epoch_begin", {"epoch": at.epoch + 1})
        for batch in self.batches.epoch(at.epoch, at.batch):
            if self._must_stop():
                break
            self._tell("on_batch_end", self._step(batch))
            self.line.show(self)
            if every and at.step % every == 0:
                self.save()
        whole = at.batch >= len(self.batches)
        if not whole and not self.stop:
            raise ValueError(f"epoch {at.epoch + 1} gave {at.batch} batches, len(batches) is {len(self.batches)}")
        if whole:
            self._close()
            at.epoch, at.batch, at.loss, at.count, at.norm, self.carry = at.epoch + 1, 0, 0.0, 0.0, 0.0, None
            if every is None:
                self.save()
            self._tell("on_epoch_end", dict(self.history[-1]))

    def _close(self) -> None:
        """The end of an epoch, or of the part of it that there was time for: validation, and its row."""
        at = self.at
        row: dict[str, Any] = {"epoch": at.epoch + 1, "step": at.step, "loss": at.loss / at.count if at.count else None}
        row |= self._validate()
        row |= {"learning_rate": self.optimizer.param_groups[0]["lr"], "gradient_norm": at.norm / at.batch}
        row |= {"seconds": round(self.seconds, 3)}
        self.history.append(as_json(row.items()))
        if self.out is not None and self.ranks.rank == 0:
            checkpoint.append(self.out / HISTORY, self.history[-1])

    # One step ------------------------------------------------------------------------------------

    def _step(self, batch: Any) -> dict[str, Any]:
        at = self.at
        loss, own = self._forward(self.ranks.share(batch))
        total, count = self.ranks.sum(0.0 if loss is None else float(loss.detach()), own)
        if not math.isfinite(total + count):
            self._refuse_bad_weights()
            raise self._diverged(bad_loss(batch))
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = self._learn(loss, count) if count > 0 else 0.0
        self.ranks.agree(self.model.buffers())
        at.batch, at.step = at.batch + 1, at.step + 1
        at.loss, at.count, at.norm = at.loss + total, at.count + count, at.norm + norm
        logs = {"epoch": at.epoch + 1, "batch": at.batch, "step": at.step, "loss": total / count if count else None}
        return as_json((logs | {"learning_rate": rate, "gradient_norm": norm}).items())

    def _forward(self, rows: Any) -> tuple[Tensor | None, float]:
        """The loss sum and count of this process's rows; None and 0 where none of them counts."""
        if rows is None:
            return None, 0.0
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            loss, count, state = self.objective(self.model, rows, self.carry)
        self.carry = trees.change(state, by=Tensor.detach)
        return (loss, float(count)) if count else (None, 0.0)

    def _learn(self, loss: Tensor | None, count: float) -> float:
        """One step down the gradient of sum / count; the gradient's norm before clipping."""
        self.optimizer.zero_grad(set_to_none=True)
        if loss is not None:
            self.scaler.scale(loss / count).backward()
        self.ranks.sum_gradients(self.parameters)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if not gradients:
            return 0.0
        self.scaler.unscale_(self.optimizer)
        norm = get_total_norm(gradients)
        self._check(norm)
        if self.settings.clip is not None:
            clip_grads_with_norm_(self.parameters, self.settings.clip, norm)
        self.scaler.step(self.optimizer)  # float16: not where the scaled gradient overflowed
        self.scaler.update()
        self._limit_norms()
        return float(norm)

    def _check(self, norm: Tensor) -> None:
        """A gradient that is not finite ends training; in float16 only once no smaller scale is left."""
        if not bool(norm.isfinite()) and not (self.scaler.is_enabled() and self.scaler.get_scale() >= 1):
            raise self._diverged(bad_gradient(self.named))

    def _limit_norms(self) -> None:
        largest = self.settings.recurrent_norm_limit
        if largest is None or not self._limited:
            return
        self._refuse_bad_weights()  # they have no singular values
        for weight in self._limited:
            weight.limit(largest)

    def _rate(self) -> float:
        """The learning rate of the next step: a function of the settings and the place alone."""
        settings, step = self.settings, self.at.step
        rate = settings.learning_rate * min(1.0, (step + 1) / max(1, settings.warmup))
        if settings.schedule == "cosine":
            total = settings.epochs * len(self.batches) - settings.warmup
            rate *= 0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0, step - settings.warmup) / max(1, total)))
        return rate * 0.5**self.at.halved

    # Validation ----------------------------------------------------------------------------------

    def _validate(self) -> dict[str, Any]:
        """Process 0 validates; all hear of it."""
        if self.validate is None:
            return {}
        began, scores = time.monotonic(), {}
        if self.ranks.rank == 0:
            self.model.eval()
            with torch.no_grad():
                found = self.validate(self.model)
            found = found if isinstance(found, Mapping) else {"loss": found}
            scores = {str(name): float(value) for name, value in found.items()}
        scores = self.ranks.gather(scores)[0]
        if "loss" not in scores:
            named = ", ".join(scores) or "nothing"
            raise ValueError(f"validate gave {named}: give a number, or a dict with loss")
        if not math.isfinite(scores["loss"]):
            self._refuse_bad_weights()
            raise self._diverged("the validation loss")
        self._judge(scores["loss"])
        self.at.validation = time.monotonic() - began
        return {f"valid_{name}": value for name, value in scores.items()}

    def _judge(self, score: float) -> None:
        at, settings = self.at, self.settings
        if at.best is None or score < at.best - settings.min_delta:
            at.best, at.stale = score, 0
            self.best = trees.change(self.model.state_dict(), by=lambda t: t.detach().clone())
            return
        at.stale += 1
        if settings.schedule == "plateau" and at.stale % settings.plateau_patience == 0:
            at.halved += 1

    # The checkpoint ------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint: all that the next step depends on, and nothing that is not finite."""
        if self.out is None:
            return
        self._refuse_bad_weights()
        self._saved = (self.at.epoch, self.at.batch)
        snapshot.save(self, self.out / CHECKPOINT)

    def _refuse_bad_weights(self) -> None:
        bad = bad_weight(self.named, self.optimizer)
        if bad is not None:
            raise self._diverged(bad)

    def _diverged(self, tensor: str) -> TrainingDiverged:
        return TrainingDiverged(self.at.epoch + 1, self.at.step + 1, tensor)

    def _tell(self, event: str, logs: dict[str, Any]) -> None:
        for callback in self.callbacks if self.ranks.rank == 0 else ():
            callback.trainer = self
            getattr(callback, event)(logs)

    @property
    def seconds(self) -> float:
        """Time spent in training, all resumed runs together."""
        return self.at.seconds + time.monotonic() - self._since


def _precision(wanted: str, device: torch.device) -> torch.dtype:
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    made_for_it = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if made_for_it else torch.float32
