"""The network of a plan."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from ostinato.tasks.forecasting.plan import Plan


RIVALS = ("feed_forward", "tcn")


def build(plan: Plan, seed: int, network: str = "recurrent", view: int = 0) -> nn.Module:
    """A network, drawn from a seed; the caller's random stream stays as it was.

    Args:
        network: "recurrent", or one of RIVALS: the same windows, dense layers or convolution in memory's place.
        view: which of `plan.views` it weighs.

    Raises:
        ValueError: an unknown cell or head, or a head without intervals where `levels` asks for some.
    """
    import torch

    from ostinato import heads

    levels: dict[str, Any] = {"levels": plan.quantiles} if plan.head == "quantile" else {}
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        if network in RIVALS:
            return _rival(plan, view, network, partial(heads.build, plan.head, outputs=plan.horizon, **levels))
        if plan.decoding == "recursive":
            return _recursive(plan, levels)
        return {"direct": _direct, "segments": _segments}[plan.decoding](plan, view, levels)


def _clock(plan: Plan) -> int:
    return plan.shape.clock


def _rest(plan: Plan, view: int) -> dict[str, Any]:
    ways = plan.views[view]
    return {"ahead": plan.horizon * plan.covariates[1], "still": 1 + plan.covariates[2], "ways": ways}


def _rival(plan: Plan, view: int, network: str, head: Any) -> nn.Module:
    from ostinato.baselines import FeedForward
    from ostinato.models import TCN
    from ostinato.models.forecasters import Direct

    inputs, steps = plan.segment * plan.inputs + _clock(plan), plan.look_back // plan.segment
    encoder: nn.Module
    if network == "tcn":
        levels = TCN.levels_for(steps)
        encoder = TCN(inputs, plan.hidden_size, levels, dropout=plan.dropout, each_step=False)
    else:
        encoder = FeedForward(inputs, steps, 2 * plan.hidden_size, dropout=plan.dropout)
    return Direct(encoder, head, segment=plan.segment, dropout=plan.dropout, **_rest(plan, view))


def _direct(plan: Plan, view: int, levels: dict[str, Any]) -> nn.Module:
    from ostinato import heads
    from ostinato.models import Encoder
    from ostinato.models.forecasters import Direct

    width = plan.segment * plan.inputs + _clock(plan)
    encoder = Encoder(plan.cell, width, plan.hidden_size, plan.num_layers, plan.dropout, plan.bidirectional)
    head = partial(heads.build, plan.head, outputs=plan.horizon, **levels)
    return Direct(encoder, head, segment=plan.segment, dropout=plan.dropout, **_rest(plan, view))


def _segments(plan: Plan, view: int, levels: dict[str, Any]) -> nn.Module:
    from ostinato import heads
    from ostinato.models.forecasters import Segments

    head = partial(heads.build, plan.head, outputs=plan.segment, **levels)
    return Segments(
        plan.cell, plan.hidden_size, plan.num_layers, head, segment=plan.segment, horizon=plan.horizon,
        inputs=plan.inputs, clock=_clock(plan), dropout=plan.dropout, bidirectional=plan.bidirectional,
        **_rest(plan, view) | {"ahead": plan.covariates[1]},
    )  # fmt: skip


def _recursive(plan: Plan, levels: dict[str, Any]) -> nn.Module:
    from ostinato import heads
    from ostinato.models.recursive import Recursive

    return Recursive(
        plan.cell, plan.hidden_size, plan.num_layers, partial(heads.build, plan.head, outputs=1, **levels),
        inputs=plan.inputs, clock=_clock(plan), ahead=plan.covariates[1], still=1 + plan.covariates[2],
        season=plan.season, dropout=plan.dropout,
    )  # fmt: skip
