"""How a classifier learns: networks that stop by texts held back, n-grams beside them, and what each is worth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.text.labelled import Labelled
from ostinato.data.text.units import Units
from ostinato.models.ngrams import Ngrams
from ostinato.tasks.classifying.calibration import Trust, tempered, trusted
from ostinato.tasks.classifying.learnt import Learnt, build
from ostinato.tasks.classifying.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ostinato.training import History, Settings

Array = NDArray[Any]
Folder = str | os.PathLike[str] | None


def learn(
    train: Labelled, valid: Labelled, plan: Plan, classes: Sequence[str], *, vectors: str | None = None,
    ngrams: bool = True, out: Folder = None, time_limit: float | None = None, **how: Any,
) -> Learnt:  # fmt: skip
    """Learn from one part, stop by the other, which also tells how far networks and n-grams are believed.

    Args:
        train, valid: texts and labels; all labels are among `classes`.
        vectors: file of pretrained vectors.
        ngrams: whether to weigh a bag of n-grams beside the networks.
        out: folder of the first network's checkpoints; the others' lie in folders in it.
        time_limit: seconds for the networks.
        how: resume, quiet, callbacks, as of `training.fit`.
    """
    units = Units.fit(plan.unit, train.texts, least=plan.least, lower=plan.unit == "word")
    found = Learnt(plan, units, tuple(classes), tuple(train.labels.count(name) for name in classes))
    begin = None
    if vectors is not None:
        begin, found = _pretrained(found, vectors)
    run = Run(found, train, valid)
    for k in range(plan.members):
        own = None if out is None else Path(out, *[f"member-{k + 1}"] * (k > 0))
        limit = None if time_limit is None else time_limit / plan.members
        network = build(found, plan.seed + k, begin)
        label = f"network {k + 1} of {plan.members}"
        only = how if k == 0 else {**how, "callbacks": ()}
        history = run.train(network, plan.seed + k, out=own, time_limit=limit, label=label, **only)
        found.networks.append(network)
        if k == 0:
            found.history, found.best = history, best(history)
    if ngrams:
        found.ngrams = Ngrams.fit(
            found.pieces(train.texts), run.train_rows.target, len(classes), longest=plan.grams, weigh=plan.weights
        )
    found.trust = _trust(found, valid, run.valid_rows.target)
    return found


def best(history: Sequence[dict[str, Any]]) -> int:
    """The epoch with the lowest validation loss; the last where there was no validation."""
    scored = [row for row in history if row.get("valid_loss") is not None]
    return int(min(scored, key=lambda row: row["valid_loss"])["epoch"]) if scored else max(1, len(history))


def _pretrained(found: Learnt, path: str) -> tuple[Array, Learnt]:
    """Vectors of the units out of a file, and the plan with their width."""
    from ostinato.data.text.vectors import read_vectors

    vectors = read_vectors(path, found.units.vocabulary)
    said = f"{vectors.source}: vectors of {vectors.share:.0%} of {len(found.units):,} units, {vectors.width} wide"
    return vectors.values, replace(found, plan=found.plan.model_copy(update={"width": vectors.width}), vectors=said)


def _trust(found: Learnt, valid: Labelled, target: Array) -> Trust:
    network = found.of_networks(valid.texts)
    ngrams = found.of_ngrams(valid.texts, network)
    trust = trusted(network, ngrams, target)
    return trust if found.ngrams is not None else Trust(trust.network, 0.0)


class Rows:
    """Texts as numbers: of units, and of classes."""

    def __init__(self, found: Learnt, data: Labelled) -> None:
        places = {name: k for k, name in enumerate(found.classes)}
        self.ids = found.ids(data.texts)
        self.target: Array = np.array([places[label] for label in data.labels], np.int64)
        self.lengths = [len(row) for row in self.ids]

    def batch(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Rows side by side."""
        import torch

        from ostinato.data.text.batches import padded

        ids, lengths = padded([self.ids[k] for k in numbers])
        return {"ids": ids, "lengths": lengths, "target": torch.from_numpy(self.target[list(numbers)])}


class Run:
    """What training reads, how it is done, and what it is judged by."""

    def __init__(self, found: Learnt, train: Labelled, valid: Labelled) -> None:
        self.plan = found.plan
        self.train_rows, self.valid_rows = Rows(found, train), Rows(found, valid)

    def train(self, network: nn.Module, seed: int, *, time_limit: float | None = None, **how: Any) -> History:
        """Train one network in place."""
        from ostinato import training
        from ostinato.data.text.batches import Buckets

        rows, plan = self.train_rows, self.plan
        batches = Buckets(rows.lengths, plan.batch_size, seed, rows.batch)
        return training.fit(
            network, batches, objective, self.settings(seed, time_limit), validate=self.validate, **how
        )  # fmt: skip

    def settings(self, seed: int, time_limit: float | None) -> Settings:
        """The plan's, as training takes them."""
        from ostinato.training import Settings

        plan = self.plan
        return Settings(
            epochs=plan.epochs, learning_rate=plan.learning_rate, schedule="cosine", clip=plan.clip,
            recurrent_norm_limit=plan.recurrent_norm_limit, weight_norm=plan.weight_norm, patience=plan.patience,
            seed=seed, device=plan.device, time_limit=time_limit,
        )  # fmt: skip

    def validate(self, network: Any) -> dict[str, float]:
        """Loss at the best temperature and share right, on what is held back."""
        from ostinato.data.text.batches import by_length

        rows, device = self.valid_rows, next(network.parameters()).device
        raw = np.empty((len(rows.target), network.head.outputs))
        for numbers in by_length(rows.lengths, 4 * self.plan.batch_size):
            batch = {name: tensor.to(device) for name, tensor in rows.batch(numbers).items()}
            raw[numbers] = network(batch["ids"], batch["lengths"]).double().cpu().numpy()
        right = float((raw.argmax(1) == rows.target).mean())
        return {"loss": tempered(raw, rows.target), "accuracy": right}


def objective(network: Any, batch: dict[str, Tensor], state: Any) -> tuple[Any, Any, None]:
    """The head's loss, as `training.fit` asks for it."""
    return (*network.head.loss(network(batch["ids"], batch["lengths"]), batch["target"]), None)
