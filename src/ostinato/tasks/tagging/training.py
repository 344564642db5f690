"""How a tagger learns: sentences of like length together, validated by what it is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ostinato.baselines.most_frequent_tag import MostFrequentTag
from ostinato.metrics import accuracy, spans
from ostinato.tasks.tagging.learnt import Learnt, tagged
from ostinato.tasks.tagging.networks import build
from ostinato.tasks.tagging.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor

    from ostinato.data.text.forms import Forms
    from ostinato.data.text.tagged import Tagged

Folder = str | os.PathLike[str] | None


def learn(
    data: Tagged, valid: Tagged | None, plan: Plan, *, network: str = "recurrent", vectors: Folder = None,
    out: Folder = None, time_limit: float | None = None, **how: Any,
) -> Learnt:  # fmt: skip
    """A tagger from its data, of the epoch that was best on `valid`.

    Args:
        valid: what decides which epoch was best; None: the last one is kept.
        network: "recurrent" or "feed_forward".
        vectors: file of pretrained vectors.
        out: folder of the checkpoints.
        how: resume, quiet, callbacks, label, as of `training.fit`.
    """
    import torch

    from ostinato import training
    from ostinato.data.text.forms import Forms
    from ostinato.data.text.vectors import read_vectors, words_in

    more = () if vectors is None else words_in(vectors)
    forms, kinds = Forms.fit(data.words, spelled=plan.letters != "none", more=more), data.kinds()
    counts = torch.from_numpy(forms.words.count(data.words))
    known = None if vectors is None else torch.from_numpy(read_vectors(vectors, forms.words.vocabulary).values)
    model = build(plan, forms, kinds, network=network, counts=counts, vectors=known)
    run = _Run(data, valid, forms, kinds, plan)
    history = training.fit(
        model, run.batches, run.objective, run.settings(time_limit), out=out,
        validate=run.validate if valid is not None else None, **how,
    )  # fmt: skip
    usual = MostFrequentTag().fit(data.words, data.tags)
    return Learnt(plan, forms, kinds, model, usual, _best(history), history)


class _Run:
    """What training reads, and how it is judged."""

    def __init__(self, data: Tagged, valid: Tagged | None, forms: Forms, kinds: Sequence[str], plan: Plan) -> None:
        from ostinato.data.text.batches import Buckets
        from ostinato.data.text.forms import numbered

        self.plan, self.kinds, self.valid = plan, kinds, valid
        self.sentences, self.numbers = forms.read(data.words), numbered(data.tags, kinds)
        self.held = None if valid is None else forms.read(valid.words)
        self.batches = Buckets(self.sentences.lengths, plan.batch_size, plan.seed, self._batch)

    def _batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        import torch

        return self.sentences[rows] | {"tags": self.sentences.cut(self.numbers, torch.tensor(rows))}

    def objective(self, model: Any, batch: dict[str, Tensor], state: Any) -> tuple[Tensor, Tensor, None]:
        given = self.sentences.spelled(batch)
        return (*model.head.loss(model(given), batch["tags"], model.inside(given)), None)

    def validate(self, model: Any) -> dict[str, float]:
        """1 - F1 of the spans where tags mark some, else 1 - accuracy: no loss, for a tag may be unknown here."""
        assert self.held is not None
        assert self.valid is not None
        told = tagged(model, self.held, self.kinds)
        found = {"accuracy": accuracy(*([tag for row in side for tag in row] for side in (told, self.valid.tags)))}
        if self.plan.scheme:
            found["f1"] = spans.span_scores(told, self.valid.tags)["f1"]
        return {"loss": 1 - found.get("f1", found["accuracy"])} | found

    def settings(self, time_limit: float | None) -> Any:
        from ostinato.training import Settings

        plan = self.plan
        return Settings(
            epochs=plan.epochs, learning_rate=plan.learning_rate, schedule="cosine", clip=plan.clip,
            recurrent_norm_limit=plan.recurrent_norm_limit, weight_norm=plan.weight_norm,
            patience=None if self.valid is None else plan.patience, seed=plan.seed, device=plan.device,
            time_limit=time_limit,
        )  # fmt: skip


def _best(history: Any) -> int:
    scored = [row for row in history if row.get("valid_loss") is not None]
    return int(min(scored, key=lambda row: row["valid_loss"])["epoch"]) if scored else len(history)
