"""A network that corrects the statistical outlook of one series: trained on windows, asked at origins.

    y[t + h] = outlook[t, h] + trust scale growth[h] network(window before t)[h]

Everything statistical (seasons, weights, scale) is fitted anew to whatever history is handed in; what
is learnt is the correction, which is told relative to that history's own level and pace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ostinato.data.outlook import Outlook
from ostinato.data.series import Series

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ostinato.data.windows import Windows
    from ostinato.training import Callback, History, Settings

Array = NDArray[np.float64]

FEW = 30  # observations at which half of the network's correction is believed
WIDER = 1.3  # what intervals are stretched by where nothing is known of their errors
BELIEF = 3.0  # forecasts of a whole horizon that this prior is worth
VALIDATION = 1000  # windows that a validation takes at most


class Plan(BaseModel):
    """Sizes, all decided: from the options where they say, else from the training data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon: int = Field(ge=1, le=100_000)
    season: int = Field(ge=1)
    periods: tuple[float, ...] = Field(max_length=8)
    look_back: int = Field(ge=1, le=100_000)
    cell: str
    head: str
    levels: tuple[float, ...] = Field(max_length=100)
    hidden_size: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    bidirectional: bool
    dropout: float = Field(ge=0, lt=1)
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    batches: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    clip: float | None
    recurrent_norm_limit: float | None
    weight_norm: bool
    seed: int = Field(ge=0)
    device: str
    gaps: bool

    @property
    def inputs(self) -> int:
        """Features of one step of a window, as `Windows` makes them."""
        from ostinato.data.frequency import near

        return 2 + 2 * sum(near(period) > 2 for period in self.periods) + self.gaps

    @property
    def quantiles(self) -> list[float]:
        """The levels of probability that intervals of `levels` percent need, and the median, rising."""
        tails = [(1 - level / 100) / 2 for level in self.levels]
        return sorted({round(p, 9) for tail in tails for p in (tail, 1 - tail)} | {0.5})


class Forecast(NamedTuple):
    """Forecasts from several origins.

    Attributes:
        point: (origins, horizon).
        low, high: (levels, origins, horizon) the ends of the intervals; empty where the head has none.
    """

    point: Array
    low: Array
    high: Array


@dataclass
class Corrector:
    """The trained network, and the few numbers around it.

    Attributes:
        plan: its sizes.
        model: the network, windows to raw.
        log: whether it works on logarithms.
        growth: (horizon,) how errors grow with the step ahead.
        widths: (levels,) what the network's intervals are stretched by.
        trust: share of the correction that is believed: few data, little trust.
        best: epochs after which it was best on what it was validated on.
        history: of training.
    """

    plan: Plan
    model: nn.Module
    log: bool
    growth: Array
    widths: Array
    trust: float
    best: int
    history: History | list[dict[str, Any]] = field(default_factory=list)

    # Training --------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        series: Series,
        known: int,
        plan: Plan,
        *,
        network: str = "recurrent",
        out: str | os.PathLike[str] | None = None,
        time_limit: float | None = None,
        resume: bool = False,
        quiet: bool = True,
        callbacks: Iterable[Callback] = (),
    ) -> Corrector:
        """Train on targets before the place `known`, validate on those from there on.

        Args:
            series: what there is.
            known: targets before it are learnt, those after it decide when to stop; len(series): no validation.
            network: "recurrent", or "feed_forward", which sees the same windows without a memory.
        """
        outlook = Outlook.of(series.head(known), plan.horizon, list(plan.periods))
        windows = _windows(series, outlook, plan, np.arange(_first(plan, known), len(series)))
        run = _Run(plan, windows, known)
        corrector = cls(
            plan, build(plan, network), outlook.log, windows.growth, np.full(len(plan.levels), WIDER),
            _trust(series.head(known)), plan.epochs,
        )  # fmt: skip
        corrector._train(run, out=out, time_limit=time_limit, resume=resume, quiet=quiet, callbacks=callbacks)
        if run.validates:
            corrector._stretch(run)
        return corrector

    def again(
        self, series: Series, *, out: str | os.PathLike[str] | None = None, time_limit: float | None = None,
        resume: bool = False, quiet: bool = True,
    ) -> Corrector | None:  # fmt: skip
        """A network trained anew on all of a series, for as many epochs as were best; None: out of time."""
        plan = self.plan
        outlook = Outlook.of(series, plan.horizon, list(plan.periods), self.log)
        windows = _windows(series, outlook, plan, np.arange(_first(plan, len(series)), len(series)))
        run = _Run(plan, windows, len(series))
        found = Corrector(plan, build(plan), outlook.log, windows.growth, self.widths, _trust(series), self.best)
        found._train(run, self.best, out=out, time_limit=time_limit, resume=resume, quiet=quiet, callbacks=())
        whole = len(found.history) >= self.best
        found.history = self.history
        return found if whole else None

    def _train(self, run: _Run, epochs: int | None = None, *, callbacks: Iterable[Callback], **where: Any) -> None:
        from ostinato import training

        ends = [_until(epochs)] if epochs is not None else []
        self.history = training.fit(
            self.model,
            run.batches(),
            run.objective,
            run.settings(where.pop("time_limit")),
            validate=run.validate if run.validates else None,
            callbacks=[*callbacks, *ends],
            **where,
        )
        scored = [row for row in self.history if row.get("valid_loss") is not None]
        if scored:
            self.best = int(min(scored, key=lambda row: row["valid_loss"])["epoch"])
        elif epochs is None:
            self.best = max(1, len(self.history))

    def _stretch(self, run: _Run) -> None:
        """Make intervals as wide as the errors on the validation part ask for, as far as it tells."""
        middle, gaps_low, gaps_high, target, mask = self._residuals(run)
        error = target - self.trust * middle
        count = mask.sum() / max(1.0, self.plan.horizon / 2)
        for k, level in enumerate(self.plan.levels):
            gap = np.where(error >= 0, gaps_high[k], gaps_low[k])
            ratios = (np.abs(error) / np.maximum(gap, 1e-6))[mask]
            wanted = np.log(max(float(np.quantile(ratios, level / 100)), 0.05))
            blended = (count * wanted + BELIEF * np.log(WIDER)) / (count + BELIEF)
            self.widths[k] = float(np.clip(np.exp(blended), 0.8, 3.0))

    def _residuals(self, run: _Run) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
        import torch

        with torch.no_grad():
            middle, low, high = self._ask(run.windows, run.valid)
        target = run.windows.target[run.valid].double().numpy()
        return middle, middle - low, high - middle, target, run.mask[run.valid].numpy()

    # Answers ---------------------------------------------------------------------------------

    def forecast(self, series: Series, origins: NDArray[np.int64] | None = None) -> Forecast:
        """From each origin (a place of the series; its end where left out) the next `horizon` values.

        All that is known at an origin is what lies before it, but for the outlook's seasons and
        weights, which are fitted to the whole series handed in.
        """
        import torch

        origins = np.array([len(series)]) if origins is None else origins
        outlook = Outlook.of(series, self.plan.horizon, list(self.plan.periods), self.log)
        windows = _windows(series, outlook, self.plan, origins, self.growth)
        with torch.no_grad():
            middle, low, high = self._ask(windows, torch.arange(len(origins)))
        size = windows.view.scale[:, None] * self.growth
        point = windows.view.base + size * self.trust * middle
        stretch = self.widths[: len(low), None, None]
        first = series.start + origins
        ends = [outlook.restored(d, first) for d in (point - size * stretch * (middle - low)).reshape(-1, *point.shape)]
        tops = [
            outlook.restored(d, first) for d in (point + size * stretch * (high - middle)).reshape(-1, *point.shape)
        ]
        found = Forecast(outlook.restored(point, first), np.array(ends), np.array(tops))
        return _nested(_at_least_zero(found) if (series.filled() >= 0).all() else found)

    def _ask(self, windows: Windows, numbers: Tensor) -> tuple[Array, Array, Array]:
        """The network's median (windows, horizon), and the ends of its intervals (levels, windows, horizon)."""
        import torch

        device = next(self.model.parameters()).device
        head: Any = self.model.head
        raws = []
        for part in numbers.split(1024):
            batch = windows[part]
            raws.append(self.model(batch["x"].to(device), batch.get("lengths")))
        raw = torch.cat(raws)
        if not self.plan.levels:
            middle = head.predict(raw).double().cpu().numpy()
            return middle, np.empty((0, *middle.shape)), np.empty((0, *middle.shape))
        tails = [(1 - level / 100) / 2 for level in self.plan.levels]
        asked = [0.5, *tails, *(1 - tail for tail in tails)]
        found = np.moveaxis(head.quantiles(raw, asked).double().cpu().numpy(), -1, 0)
        return found[0], found[1 : 1 + len(tails)], found[1 + len(tails) :]

    # The model file ---------------------------------------------------------------------------

    @classmethod
    def restored(cls, extra: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Corrector:
        """The corrector of a model file; shapes are checked before any memory is taken.

        Raises:
            ValueError: the parts do not fit together.
        """
        import torch

        plan = Plan.model_validate(extra["plan"])
        own = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
        if plan.num_layers > len(own):
            raise ValueError(f"{plan.num_layers} layers are declared, {len(own)} tensors are there")
        with torch.device("meta"):
            wanted = {name: tuple(t.shape) for name, t in build(plan).state_dict().items()}
        found = {name: tensor.shape for name, tensor in own.items()}
        if wanted != found:
            name = sorted(wanted.items() ^ found.items())[0][0]
            raise ValueError(f"tensor {name!r} is {found.get(name)}, the network's is {wanted.get(name)}")
        growth, widths = (np.array(tensors[name], dtype=np.float64) for name in ("growth", "widths"))
        if growth.shape != (plan.horizon,) or widths.shape != (len(plan.levels),):
            raise ValueError("growth and widths are not those of the plan")
        model = build(plan)
        model.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in own.items()})
        log, trust, best = bool(extra["log"]), float(extra["trust"]), int(extra["best"])
        return cls(plan, model.eval(), log, growth, widths, trust, best)


def build(plan: Plan, network: str = "recurrent") -> nn.Module:
    """The network of a plan, drawn from its seed; the caller's random stream stays as it was.

    Raises:
        ValueError: an unknown cell or head, or a head without intervals where `levels` asks for some.
    """
    import torch

    from ostinato import heads
    from ostinato.baselines import FeedForward
    from ostinato.models import Encoder, SequenceToVector

    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(plan.seed)
        if network == "feed_forward":
            encoder: Any = FeedForward(plan.inputs, plan.look_back, 2 * plan.hidden_size, dropout=plan.dropout)
            features = 2 * plan.hidden_size
        else:
            encoder = Encoder(
                plan.cell, plan.inputs, plan.hidden_size, plan.num_layers, plan.dropout, plan.bidirectional
            )
            features = encoder.features
        options: dict[str, Any] = {"levels": plan.quantiles} if plan.head == "quantile" else {}
        head = heads.build(plan.head, features, plan.horizon, **options)
        return SequenceToVector(encoder, head, plan.dropout, start=0.1)


class _Run:
    """What training reads: which windows, which of their targets."""

    def __init__(self, plan: Plan, windows: Windows, known: int) -> None:
        import torch

        self.plan, self.windows = plan, windows
        early = torch.from_numpy(windows.ahead < known)
        self.mask = windows.mask & ~early  # of validation
        windows.mask = windows.mask & early
        self.train = windows.mask.any(1).nonzero()[:, 0]
        valid = self.mask.any(1).nonzero()[:, 0]
        self.valid = valid[:: max(1, len(valid) // VALIDATION)]
        self.validates = len(valid) > 0

    def batches(self) -> Any:
        from ostinato.data.batches import TensorBatches

        plan = self.plan
        return TensorBatches(self.windows, plan.batch_size, plan.seed, most=plan.batches, among=self.train)

    def settings(self, time_limit: float | None) -> Settings:
        from ostinato.training import Settings

        plan = self.plan
        return Settings(
            epochs=plan.epochs, learning_rate=plan.learning_rate, schedule="cosine", clip=plan.clip,
            recurrent_norm_limit=plan.recurrent_norm_limit, weight_norm=plan.weight_norm,
            patience=plan.patience if self.validates else None, seed=plan.seed, device=plan.device,
            time_limit=time_limit,
        )  # fmt: skip

    @staticmethod
    def objective(model: Any, batch: dict[str, Any], state: Any) -> tuple[Any, Any, None]:
        raw = model(batch["x"], batch.get("lengths"))
        return (*model.head.loss(raw, batch["target"], batch["mask"]), None)

    def validate(self, model: Any) -> float:
        total, count = 0.0, 0.0
        device = next(model.parameters()).device
        for part in self.valid.split(1024):
            batch = self.windows[part]
            raw = model(batch["x"].to(device), batch.get("lengths"))
            own, seen = model.head.loss(raw, batch["target"].to(device), self.mask[part].to(device))
            total, count = total + float(own), count + float(seen)
        return total / count


def _windows(
    series: Series, outlook: Outlook, plan: Plan, origins: NDArray[np.int64], growth: Array | None = None
) -> Windows:
    """Windows with the growth that is given, or the one that their own targets before the outlook's end show."""
    from ostinato.data.windows import Windows, growth_of

    ones = np.ones(plan.horizon)
    windows = Windows(series, outlook, plan.look_back, origins, ones if growth is None else growth, plan.gaps)
    if growth is not None:
        return windows
    known = windows.mask.numpy() & (windows.ahead < outlook.length)
    growth = growth_of(windows.target.double().numpy(), known)
    return Windows(series, outlook, plan.look_back, origins, growth, plan.gaps)


def _first(plan: Plan, known: int) -> int:
    """The first origin: where there is much, after a whole window, else so that every step ahead has a target."""
    return max(2, min(plan.look_back, known // 3, known - plan.horizon - 1))


def _trust(series: Series) -> float:
    count = int(series.observed.sum())
    return count / (count + FEW)


def _until(epochs: int) -> Callback:
    from ostinato.training import Callback

    class Until(Callback):
        """Ends training after so many epochs, on the schedule of the longer run."""

        def on_epoch_begin(self, logs: dict[str, Any]) -> None:
            self.trainer.stop = logs["epoch"] > epochs

        def on_epoch_end(self, logs: dict[str, Any]) -> None:
            self.trainer.stop = logs["epoch"] >= epochs

    return Until()


def _at_least_zero(found: Forecast) -> Forecast:
    return Forecast(*(np.maximum(part, 0.0) for part in found))


def _nested(found: Forecast) -> Forecast:
    """Intervals that hold the forecast and each other, the lower level within the higher."""
    low, high = found.low.copy(), found.high.copy()
    for k in range(len(low)):
        low[k] = np.minimum(low[k], low[k - 1] if k else found.point)
        high[k] = np.maximum(high[k], high[k - 1] if k else found.point)
    return Forecast(found.point, low, high)
