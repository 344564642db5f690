"""Published protocols of classifying texts that no command line says: cross-validation, and small training parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MR = "textcls/mr/rt-polarity.all.gz"
SMS = "textcls/sms_spam/sms.tsv"
SEED = 0  # of folds and parts
QUICK: dict[str, Any] = {"epochs": 1, "members": 1, "hidden_size": 8}
QUICKLY = 2  # folds or draws of a quick run


def crossed(data: Path, quick: bool, *, folds: int) -> dict[str, Any]:
    """What metrics.json would hold of sentence polarity: means over folds, each measured on once.

    Args:
        quick: small networks, one epoch, and only some of the folds.
    """
    from ostinato.data.text.labelled import read_labelled

    whole = read_labelled(data / MR)
    order = np.random.default_rng(SEED).permutation(len(whole))
    found = []
    for k in range(QUICKLY if quick else folds):
        held = np.sort(order[k::folds])
        found.append(_experiment(whole, np.setdiff1d(order, held), held, quick))
    return mean(found)


def drawn(data: Path, quick: bool, *, share: float, draws: int) -> dict[str, Any]:
    """What metrics.json would hold of messages of which a part, class by class, is held out: means over draws.

    Args:
        share: that is held out.
    """
    from ostinato.data.text.labelled import read_labelled
    from ostinato.data.text.split import holdout

    whole = read_labelled(data / SMS)
    parts = (
        holdout(len(whole), share, SEED + k, groups=whole.texts, labels=whole.labels)
        for k in range(QUICKLY if quick else draws)
    )
    return mean([_experiment(whole, train, held, quick) for train, held in parts])


def mean(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each metric over experiments, also of the baselines that were run in all of them.

    >>> one = {"metrics": {"accuracy": 0.5}, "baselines": {"majority": {"accuracy": 0.25}}, "seed": 0}
    >>> two = {"metrics": {"accuracy": 1.0}, "baselines": {}, "seed": 0}
    >>> mean([one, two])
    {'metrics': {'accuracy': 0.75}, 'baselines': {}, 'seed': 0}
    """
    names = [name for name in found[0]["baselines"] if all(name in each["baselines"] for each in found)]
    return {
        "metrics": _mean([each["metrics"] for each in found]),
        "baselines": {name: _mean([each["baselines"][name] for each in found]) for name in names},
        "seed": found[0]["seed"],
    }


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in scores])) for name in scores[0]}


def _experiment(whole: Any, train: Any, held: Any, quick: bool) -> dict[str, Any]:
    import ostinato as ost

    parts = [whole.pick(np.asarray(rows).tolist()) for rows in (train, held)]
    (texts, labels), test = ((each.texts, each.labels) for each in parts)
    model = ost.TextClassifier(**QUICK if quick else {})
    return model.experiment((texts, labels), test=test, quiet=True).to_json()
