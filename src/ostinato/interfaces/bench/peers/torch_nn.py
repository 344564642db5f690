"""torch.nn's own layers."""

from __future__ import annotations

from ostinato.interfaces.bench.work import Contestant, Work, layer_runs


def contestant(work: Work) -> Contestant:
    return layer_runs(work.layer, work)
