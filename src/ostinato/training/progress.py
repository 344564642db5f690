"""One progress line with the time left; where nobody watches a terminal, a plain line now and then."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from ostinato.training.loop import Trainer


class Line:
    """The line, on standard error; `quiet`: none. `label` says which of several networks it speaks of."""

    def __init__(self, quiet: bool, label: str = "") -> None:
        console = Console(stderr=True)
        self.label = f"{label}: " if label else ""
        self.quiet, self.every = quiet, 0.1 if console.is_terminal else 10.0
        self.status = console.status("training") if console.is_terminal and not quiet else None

    def begin(self, trainer: Trainer) -> None:
        self.shown = self.began = time.monotonic()
        self.first = trainer.at.step
        if self.status:
            self.status.start()

    def show(self, trainer: Trainer) -> None:
        """Say where training is, unless that was just said."""
        if self.quiet or time.monotonic() - self.shown < self.every:
            return
        self.shown = time.monotonic()
        if self.status:
            self.status.update(self._where(trainer))
        else:
            print(self._where(trainer), file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line that stays, above the one that moves."""
        if self.status:
            self.status.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.status:
            self.status.stop()

    def last(self, trainer: Trainer) -> None:
        """The one line that stays."""
        self.end()
        if not self.quiet:
            print(self.label + _summary(trainer), file=sys.stderr, flush=True)

    def _where(self, trainer: Trainer) -> str:
        at, settings, batches = trainer.at, trainer.settings, len(trainer.batches)
        loss = f", loss {at.loss / at.count:.4g}" if at.count else ""
        best = "" if at.best is None else f", best validation {at.best:.4g}"
        where = f"epoch {at.epoch + 1}/{settings.epochs}, batch {at.batch}/{batches}"
        return f"{self.label}{where}{loss}{best}, {_clock(self._left(trainer))} left"

    def _left(self, trainer: Trainer) -> float:
        at, settings = trainer.at, trainer.settings
        pace = (time.monotonic() - self.began) / max(1, at.step - self.first)
        left = pace * (settings.epochs * len(trainer.batches) - at.step)
        return left if settings.time_limit is None else min(left, settings.time_limit - trainer.seconds)


def _summary(trainer: Trainer) -> str:
    rows = trainer.history
    loss = f", loss {rows[-1]['loss']:.4g}" if rows and rows[-1]["loss"] is not None else ""
    best = min((row for row in rows if row.get("valid_loss") is not None), key=lambda r: r["valid_loss"], default=None)
    kept = "" if best is None else f", best validation {best['valid_loss']:.4g} in epoch {best['epoch']}"
    return f"trained {len(rows)} epochs in {_clock(trainer.seconds)}{loss}{kept}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=max(0, round(seconds))))
