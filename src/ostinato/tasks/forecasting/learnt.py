"""Trained networks of one plan, and the few numbers around them: what answers when a forecast is asked for.

y[t + h] = level + scale (base[h] + trust growth[h] head(network(window before t))[h]),  the mean over the members
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.data import Panel
from ostinato.data.covariates import Scaling
from ostinato.data.outlook import Outlook
from ostinato.tasks.forecasting.networks import build
from ostinato.tasks.forecasting.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ostinato.data.windows import Windows
    from ostinato.training import History

Array = NDArray[np.float64]

WIDER = 1.3  # what intervals are stretched by where nothing is known of their errors
HIGHEST = 230.0  # e to it is 1e100, beyond which no value is read
AT_ONCE = 2048  # windows that are asked together: what a prediction takes of memory does not grow with the data


class Forecast(NamedTuple):
    """Forecasts from several origins.

    Attributes:
        point: (origins, horizon).
        low, high: (levels, origins, horizon) the ends of the intervals; empty where the head has none.
    """

    point: Array
    low: Array
    high: Array

    def at(self, rows: Any) -> Forecast:
        """Those from some of the origins."""
        return Forecast(self.point[rows], self.low[:, rows], self.high[:, rows])


@dataclass
class Learnt:
    """Networks that forecast.

    Attributes:
        plan: their sizes.
        networks: the members, each drawn and trained from a seed of its own.
        views: which of the plan's views each member is of.
        shares: (views,) what each view counts in the mean; its members share it.
        scaling: of the covariates.
        log: whether the outlook works on logarithms.
        growth: (horizon,) how errors grow with the step ahead.
        widths: (levels,) what intervals are stretched by.
        trust: share of the correction that is believed: few data, little trust.
        best: (views,) epochs after which the first member of each was best on what it was validated on.
        history: of the first one's training.
    """

    plan: Plan
    networks: list[nn.Module]
    scaling: Scaling
    log: bool
    growth: Array
    widths: Array
    trust: float
    best: list[int]
    shares: list[float]
    views: list[int] = field(default_factory=list)
    history: History | list[dict[str, Any]] = field(default_factory=list)

    @property
    def weights(self) -> Array:
        """(members,) what each counts in the mean; the sum is 1."""
        each = np.array([self.shares[view] / self.views.count(view) for view in self.views])
        return each / each.sum()

    def drop_idle(self) -> None:
        """Let go of members that count nothing."""
        kept = [k for k, view in enumerate(self.views) if self.shares[view]]
        self.networks, self.views = [self.networks[k] for k in kept], [self.views[k] for k in kept]

    @property
    def parameters(self) -> int:
        """Numbers that were learnt, in all members."""
        return sum(p.numel() for network in self.networks for p in network.parameters())

    def forecast(self, panel: Panel, origins: NDArray[np.int64] | None = None) -> Forecast:
        """From each origin the next `horizon` values.

        All that is known at an origin is what lies before it; where an outlook is corrected, its seasons and
        weights are fitted to the whole series handed in, so that one cuts the series for an honest measure.

        Args:
            origins: (origins, 2) series and places; the ends of all series where left out.
        """
        import torch

        ends = [len(series) for series in panel]
        at = np.array([*enumerate(ends)]) if origins is None else origins
        known = ends if origins is None else _first(at, ends)
        windows = self.windows(panel, at, known)
        found = []
        with torch.no_grad():
            for part in torch.arange(len(at)).split(AT_ONCE):
                found.append(self._part(panel, windows, part))
        point, low, high = (np.concatenate(side, axis) for side, axis in zip(zip(*found), (0, 1, 1)))  # noqa: B905
        return _nested(_at_least_zero(panel, at, known, Forecast(point, low, high)))

    def windows(self, panel: Panel, origins: NDArray[np.int64], known: Sequence[int]) -> Windows:
        """The windows of a panel as the networks were taught to read them."""
        from ostinato.data.windows import Windows

        shape, outlooks = self.plan.shape, None
        if not self.plan.ways:
            outlooks = [Outlook.of(s, shape.horizon, list(shape.periods), self.log) for s in panel]
        return Windows(panel, shape, origins, known, self.scaling, outlooks, self.growth)

    def _part(self, panel: Panel, windows: Windows, rows: Tensor) -> Forecast:
        middle, low, high = self.ask(windows, rows)
        stretch = self.widths[: len(low), None, None]
        ends = middle[None], middle - stretch * (middle - low), middle + stretch * (high - middle)
        numbers = rows.numpy()
        level, scale = (part[numbers][:, None] for part in (windows.level, windows.scale))
        sides = [
            np.stack([restored(panel, windows, numbers, level + scale * d) for d in side]) for side in ends if len(side)
        ]
        none = np.empty((0, *middle.shape))
        return Forecast(sides[0][0], *(sides[1:] or (none, none)))

    def ask(self, windows: Windows, rows: Tensor, only: int | None = None) -> tuple[Array, Array, Array]:
        """In units of the window, the members' mean: median (rows, H), and the ends (levels, rows, H).

        Args:
            only: the view whose members are asked; all where left out.
        """
        import torch

        from ostinato.models import answers

        weights = self.weights if only is None else np.array([float(view == only) for view in self.views])
        device = next(self.networks[0].parameters()).device
        batch = {name: part.to(device) for name, part in windows[rows].items()}
        tails = [(1 - level / 100) / 2 for level in self.plan.levels]
        asked = [0.5, *tails, *(1 - tail for tail in tails)] if tails else []
        with torch.no_grad():
            said = sum(
                weight * answers(network, batch, asked, windows.growth, self.trust)
                for weight, network in zip(weights / weights.sum(), self.networks, strict=True)
                if weight
            )
        mean = np.asarray(said)  # (1 + 2 levels, rows, H)
        return mean[0], mean[1 : 1 + len(tails)], mean[1 + len(tails) :]

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What `restored` takes apart again: plain words, and tensors."""
        tensors = {
            f"member.{k}.{name}": np.ascontiguousarray(tensor.detach().cpu().numpy())
            for k, network in enumerate(self.networks)
            for name, tensor in network.state_dict().items()
        }
        words = {
            "plan": self.plan.model_dump(mode="json"), "scaling": self.scaling.model_dump(mode="json"),
            "log": self.log, "trust": self.trust, "best": self.best, "shares": self.shares, "views": self.views,
        }  # fmt: skip
        return words, tensors | {"growth": self.growth, "widths": self.widths}

    @classmethod
    def of_file(cls, words: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Learnt:
        """What `to_file` gave; shapes are checked before any memory is taken.

        Raises:
            ValueError: the parts do not fit together.
        """
        plan = Plan.model_validate(words["plan"])
        scaling = Scaling.model_validate(words["scaling"])
        if not len(scaling.mean) == len(scaling.size) == sum(plan.covariates):
            raise ValueError(f"scales of {len(scaling.mean)} covariates, the plan has {sum(plan.covariates)}")
        growth, widths = (np.array(tensors[name], dtype=np.float64) for name in ("growth", "widths"))
        if growth.shape != (plan.horizon,) or widths.shape != (len(plan.levels),):
            raise ValueError("growth and widths are not those of the plan")
        views, shares, best = _members(words, plan, len(tensors))
        networks = [_network(plan, k, view, tensors) for k, view in enumerate(views)]
        log, trust = bool(words["log"]), float(words["trust"])
        return cls(plan, networks, scaling, log, growth, widths, trust, best, shares, views)


def _members(words: Mapping[str, Any], plan: Plan, tensors: int) -> tuple[list[int], list[float], list[int]]:
    """The views of the members, and the shares and best epochs of the views."""
    views, best = ([int(number) for number in words[name]] for name in ("views", "best"))
    shares, kinds = [float(share) for share in words["shares"]], len(plan.views)
    if not 1 <= len(views) <= tensors:
        raise ValueError(f"{len(views)} members are declared, {tensors} tensors are there")
    if not all(0 <= view < kinds for view in views) or len(shares) != kinds or len(best) != kinds:
        raise ValueError(f"the plan has {kinds} views; the members' are {views}, shares {shares}, epochs {best}")
    if not all(0 <= share <= 1 for share in shares) or not any(shares[view] for view in views):
        raise ValueError(f"shares must be parts of 1 and some member must have one, found {shares}")
    return views, shares, best


def _network(plan: Plan, k: int, view: int, tensors: Mapping[str, NDArray[Any]]) -> nn.Module:
    """Member k, its shapes checked against the plan's first."""
    import torch

    own = {name.removeprefix(f"member.{k}."): t for name, t in tensors.items() if name.startswith(f"member.{k}.")}
    if plan.num_layers > len(own):
        raise ValueError(f"{plan.num_layers} layers are declared, {len(own)} tensors are there")
    with torch.device("meta"):
        wanted = {name: tuple(t.shape) for name, t in build(plan, 0, view=view).state_dict().items()}
    found = {name: tensor.shape for name, tensor in own.items()}
    if wanted != found:
        name = sorted(wanted.items() ^ found.items())[0][0]
        raise ValueError(f"tensor {name!r} is {found.get(name)}, the network's is {wanted.get(name)}")
    network = build(plan, plan.seed, view=view)
    network.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in own.items()})
    return network.eval()


def restored(panel: Panel, windows: Windows, rows: NDArray[np.int64], d: Array) -> Array:
    """From the windows' units back to the data's: seasons put on, logarithms undone; d (rows, H)."""
    outlooks = windows.outlooks
    which, places = windows.origins[rows, 0], windows.origins[rows, 1]
    if outlooks is None:
        return np.where(windows.logs[which][:, None], np.exp(np.minimum(d, HIGHEST)), d)
    found = np.empty_like(d)
    for k in np.unique(which):
        own = np.flatnonzero(which == k)
        found[own] = outlooks[k].restored(d[own], panel[k].start + places[own])
    return found


def _first(origins: NDArray[np.int64], ends: Sequence[int]) -> list[int]:
    """The first origin of each series; its end where there is none."""
    found = np.array(ends)
    np.minimum.at(found, origins[:, 0], origins[:, 1])
    return found.tolist()


def _at_least_zero(panel: Panel, origins: NDArray[np.int64], known: Sequence[int], found: Forecast) -> Forecast:
    """Cut off at 0 where no known value of the series lies below it."""
    lowest = [np.nanmin(series.values[:k], initial=np.inf) for series, k in zip(panel, known, strict=True)]
    least = np.where(np.array(lowest) >= 0, 0.0, -np.inf)[origins[:, 0]]
    return Forecast(*(np.maximum(part, least[:, None]) for part in found))


def _nested(found: Forecast) -> Forecast:
    """Intervals that hold the forecast and each other, the lower level within the higher."""
    low, high = found.low.copy(), found.high.copy()
    for k in range(len(low)):
        low[k] = np.minimum(low[k], low[k - 1] if k else found.point)
        high[k] = np.maximum(high[k], high[k - 1] if k else found.point)
    return Forecast(found.point, low, high)
