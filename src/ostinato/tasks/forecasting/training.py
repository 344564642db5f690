"""How a forecaster learns: first networks find when to stop, what views count, how wide errors are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data import Panel
from ostinato.data.covariates import Scaling
from ostinato.data.outlook import Outlook
from ostinato.tasks.forecasting.learnt import WIDER, Learnt
from ostinato.tasks.forecasting.networks import build
from ostinato.tasks.forecasting.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor

    from ostinato.data.windows import Windows
    from ostinato.training import Callback, Settings

Array = NDArray[np.float64]
Folder = str | os.PathLike[str] | None

FEW = 30  # observations at which half of a network's correction of an outlook is believed
BELIEF = 3.0  # forecasts of a whole horizon that the prior width of intervals is worth
SHARPNESS = 4  # powers of its squared error that a view counts less by
LEAST = 0.05  # share of a view below which it is let go
TINY = 1e-300
VALIDATION = 1000  # windows that a validation takes at most
MOST = 1_000_000  # windows that are held at once


def learn(
    panel: Panel, known: Sequence[int], plan: Plan, *, network: str = "recurrent", members: int = 1, look: str = "",
    out: Folder = None, time_limit: float | None = None, **how: Any,
) -> Learnt:  # fmt: skip
    """Learn targets before the places `known`, and stop by those after them, which also tell what each view counts.

    Args:
        panel: what there is.
        known: a place in each series; its length: nothing is left to stop by.
        network: "recurrent", or one of `networks.RIVALS`.
        members: networks, of all views in turn.
        look: what the progress line says before their numbers.
        out: folder of the first one's checkpoints; the others' lie in folders in it.
        how: resume, quiet, callbacks, as of `training.fit`.
    """
    found = _blank(panel, known, plan, _log(panel, known, plan))
    run, views = _Run(found, panel, known), len(plan.views)
    for k in range(members):
        own = None if out is None else Path(out, *[f"member-{k + 1}"] * (k > 0))
        limit = None if time_limit is None else time_limit / members
        model = build(plan, plan.seed + k, network, k % views)
        label = f"{look}network {k + 1} of {members}"
        history = run.train(model, k, out=own, time_limit=limit, label=label, **_only_first(how, k))
        found.networks.append(model)
        found.views.append(k % views)
        if k == 0:
            found.history, found.best = history, [_best(history, plan.epochs)] * views
        elif k < views:
            found.best[k] = _best(history, plan.epochs)
    if run.validates:
        found.shares = _shares(found, run)
        found.drop_idle()
        _stretch(found, run)
    return found


def again(
    found: Learnt, panel: Panel, *, members: int, network: str = "recurrent", out: Folder = None,
    time_limit: float | None = None, **how: Any,
) -> Learnt | None:  # fmt: skip
    """Networks trained anew on all of a panel, for as many epochs as were best; None: out of time.

    What views count and how wide intervals are is taken over: nothing is left to tell it by. A view has members
    as it counts; where the time does not suffice for all, those that are done answer.
    """
    plan, ends = found.plan, [len(series) for series in panel]
    fresh = replace(
        _blank(panel, ends, plan, found.log), widths=found.widths, best=found.best, history=found.history,
        shares=found.shares,
    )  # fmt: skip
    run = _Run(fresh, panel, ends)
    for k, view in enumerate(_dealt(found.shares, members)):
        own = None if out is None else Path(out, f"member-{k + 1}")
        limit = None if time_limit is None else time_limit / members
        model = build(plan, plan.seed + k, network, view)
        label = f"network {k + 1} of {members}"
        history = run.train(model, k, found.best[view], out=own, time_limit=limit, label=label, **_only_first(how, k))
        if len(history) < found.best[view]:
            break
        fresh.networks.append(model)
        fresh.views.append(view)
    return fresh if fresh.networks else None


def _dealt(shares: Sequence[float], members: int) -> list[int]:
    """The views of so many members, each time the one that has least for its share.

    >>> _dealt([0.4, 0.6, 0.0], 3)
    [1, 0, 1]
    """
    found: list[int] = []
    for _ in range(members):
        found.append(int(np.argmax([share / (found.count(view) + 1) for view, share in enumerate(shares)])))
    return found


def _only_first(how: dict[str, Any], k: int) -> dict[str, Any]:
    return how if k == 0 else {**how, "callbacks": ()}


def _best(history: Any, epochs: int) -> int:
    scored = [row for row in history if row.get("valid_loss") is not None]
    if scored:
        return int(min(scored, key=lambda row: row["valid_loss"])["epoch"])
    return max(1, min(len(history), epochs))


def _log(panel: Panel, known: Sequence[int], plan: Plan) -> bool:
    """Whether an outlook works on logarithms: as most of the series ask for."""
    if plan.ways:
        return False
    heads = panel.heads(known)
    votes = [Outlook.of(series, plan.horizon, list(plan.periods)).log for series in heads]
    return 2 * sum(votes) > len(votes)


def _blank(panel: Panel, known: Sequence[int], plan: Plan, log: bool) -> Learnt:
    widths = np.full(len(plan.levels), WIDER if not plan.ways else 1.0)
    growth = np.ones(plan.horizon)
    kinds = len(plan.views)
    return Learnt(
        plan, [], Scaling.of(panel, known), log, growth, widths, _trust(panel, known, plan), [plan.epochs] * kinds,
        [1 / kinds] * kinds,
    )  # fmt: skip


def _trust(panel: Panel, known: Sequence[int], plan: Plan) -> float:
    if plan.ways:
        return 1.0
    count = sum(int(series.observed[:k].sum()) for series, k in zip(panel, known, strict=True))
    return count / (count + FEW)


class _Run:
    """What training reads: which windows, which of their targets."""

    def __init__(self, found: Learnt, panel: Panel, known: Sequence[int]) -> None:
        import torch

        self.plan = plan = found.plan
        origins = _origins(panel, known, plan)
        self.windows = _windows(found, panel, known, origins)
        ends = np.array(known)[origins[:, 0]]
        last = origins[:, 1] + plan.horizon  # the place after a window's last target
        length = np.array([len(series) for series in panel])[origins[:, 0]]
        self.early = torch.from_numpy(ends - origins[:, 1])  # targets of a window that may be learnt
        self.learnt = torch.from_numpy(np.flatnonzero(origins[:, 1] < ends))
        valid = np.flatnonzero(np.minimum(last, length) > ends)
        self.valid = torch.from_numpy(valid[:: max(1, len(valid) // VALIDATION)])
        self.validates = len(valid) > 0

    def train(self, model: Any, member: int, epochs: int | None = None, *, out: Folder, **how: Any) -> Any:
        from ostinato import training
        from ostinato.data.batches import TensorBatches

        plan = self.plan
        batches = TensorBatches(
            _Learnt(self.windows, self.early), plan.batch_size, plan.seed + member, most=plan.batches, among=self.learnt
        )
        ends = [_until(epochs)] if epochs is not None else []
        callbacks: Iterable[Callback] = [*how.pop("callbacks", ()), *ends]
        return training.fit(
            model, batches, self.objective, self.settings(how.pop("time_limit"), member),
            validate=self.validate if self.validates else None, out=out, callbacks=callbacks, **how,
        )  # fmt: skip

    def settings(self, time_limit: float | None, member: int) -> Settings:
        from ostinato.training import Settings

        plan = self.plan
        return Settings(
            epochs=plan.epochs, learning_rate=plan.learning_rate, schedule="cosine", clip=plan.clip,
            recurrent_norm_limit=plan.recurrent_norm_limit, weight_norm=plan.weight_norm,
            patience=plan.patience if self.validates else None, seed=plan.seed + member, device=plan.device,
            time_limit=time_limit,
        )  # fmt: skip

    def objective(self, model: Any, batch: dict[str, Any], state: Any) -> tuple[Any, Any, None]:
        told = model(batch)
        target, mask, growth, weight = (told.like_base(batch[x]) for x in ("target", "mask", "growth", "weight"))
        # Beyond the horizon nothing counts, and growth is 0.
        error = (target - told.base) / growth.where(mask, 1)
        return (*model.head.loss(told.raw, error, mask, weight), None)

    def validate(self, model: Any) -> float:
        total, count = 0.0, 0.0
        device = next(model.parameters()).device
        rows = _Learnt(self.windows, self.early, after=True)
        for part in self.valid.split(1024):
            batch = {name: tensor.to(device) for name, tensor in rows[part].items()}
            own, seen, _ = self.objective(model, batch, None)
            total, count = total + float(own), count + float(seen)
        return total / count if count else 0.0


class _Learnt:
    """Windows whose mask holds the targets that may be learnt, or with `after` the others."""

    def __init__(self, windows: Windows, early: Tensor, after: bool = False) -> None:
        import torch

        self.windows, self.early, self.after = windows, early, after
        self.growth = torch.from_numpy(windows.growth).float()

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, numbers: Tensor) -> dict[str, Tensor]:
        import torch

        batch = self.windows[numbers]
        early = torch.arange(len(self.growth)) < self.early[numbers][:, None]
        mask = batch["mask"] & (~early if self.after else early)
        return {**batch, "mask": mask, "growth": self.growth.expand(len(numbers), -1)}


def _windows(found: Learnt, panel: Panel, known: Sequence[int], origins: NDArray[np.int64]) -> Windows:
    """The windows of a run; where an outlook is corrected, with the growth that its own errors show."""
    from ostinato.data.windows import Windows, growth_of

    plan = found.plan
    if plan.ways:
        return found.windows(panel, origins, known)
    shape = plan.shape
    heads = panel.heads(known)
    outlooks = [Outlook.of(series, shape.horizon, list(shape.periods), found.log) for series in heads]
    plain = Windows(panel, shape, origins, known, found.scaling, outlooks)
    errors, seen = plain.errors(known)
    found.growth = growth_of(errors, seen)
    return Windows(panel, shape, origins, known, found.scaling, outlooks, found.growth)


def _origins(panel: Panel, known: Sequence[int], plan: Plan) -> NDArray[np.int64]:
    """(windows, 2) each place of each series that has something before it and a target after it."""
    parts = []
    for k, (series, end) in enumerate(zip(panel, known, strict=True)):
        first = max(1, min(plan.look_back, end // 3, end - plan.horizon - 1))
        places = np.arange(first, len(series))
        parts.append(np.stack([np.full(len(places), k), places], 1))
    found = np.concatenate(parts)
    return found[:: max(1, len(found) // MOST)]


def _asked(found: Learnt, run: _Run, ask: Callable[[Tensor], Sequence[Array]]) -> tuple[Array, Array, list[Array]]:
    """On the validation part: targets, their weights, and what is answered, each (..., values)."""
    rows = _Learnt(run.windows, run.early, after=True)
    targets, weights, told = [], [], []
    for part in run.valid.split(1024):
        batch = rows[part]
        mask = batch["mask"].numpy()
        targets.append(batch["target"].double().numpy()[mask])
        weights.append(batch["weight"].double().numpy()[mask])
        told.append([side[..., mask] for side in ask(part)])
    sides = [np.concatenate(side, -1) for side in zip(*told, strict=True)]
    return np.concatenate(targets), np.concatenate(weights), sides


def _shares(found: Learnt, run: _Run) -> list[float]:
    """What each view is to count in the mean: w[k] ~ 1 / mse[k]^4 on the validation part, none below a twentieth.

    Views that err alike count alike, one that errs by half as much again hardly. Shares that make the error of the
    mean least were tried: what is left of them on other data is less than their noise costs.

    Source: Bates and Granger (1969), The Combination of Forecasts; Timmermann (2006), Forecast Combinations, 3.2.
    """
    shares, views = np.zeros(len(found.plan.views)), sorted(set(found.views))

    def each(part: Tensor) -> list[Array]:
        return [np.stack([found.ask(run.windows, part, only=view)[0] for view in views])]

    target, weight, (said,) = _asked(found, run, each)
    errors = np.mean(((said - target) * weight) ** 2, 1)
    # Relative to the best, which may be 0: it counts 1 before all are made to sum to 1.
    shares[views] = (np.fmax(errors.min(), TINY) / np.fmax(errors, TINY)) ** SHARPNESS
    shares[shares < LEAST * shares.sum()] = 0
    return (shares / shares.sum()).tolist()


def _stretch(found: Learnt, run: _Run) -> None:
    """Make intervals as wide as the errors on the validation part ask for, as far as it tells."""
    target, _, (middle, low, high) = _asked(found, run, lambda part: found.ask(run.windows, part))
    errors, upper, lower = target - middle, high - middle, middle - low
    if not len(errors):
        return
    count = len(errors) / max(1.0, found.plan.horizon / 2)
    for k, level in enumerate(found.plan.levels):
        gap = np.where(errors >= 0, upper[k], lower[k])
        ratios = np.abs(errors) / np.maximum(gap, 1e-6)
        wanted = np.log(max(float(np.quantile(ratios, level / 100)), 0.05))
        blended = (count * wanted + BELIEF * np.log(WIDER)) / (count + BELIEF)
        found.widths[k] = float(np.clip(np.exp(blended), 0.5, 3.0))


def _until(epochs: int) -> Callback:
    from ostinato.training import Callback

    class Until(Callback):
        """Ends training after so many epochs, on the schedule of the longer run."""

        def on_epoch_begin(self, logs: dict[str, Any]) -> None:
            self.trainer.stop = logs["epoch"] > epochs

        def on_epoch_end(self, logs: dict[str, Any]) -> None:
            self.trainer.stop = logs["epoch"] >= epochs

    return Until()
