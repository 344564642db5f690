"""One row: a run on public data, what is read off it, and what others have published for the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUICK: dict[str, Any] = {"epochs": 1, "members": 1}  # options of a run that only shows that it runs
BASELINES = ("naive", "seasonal_naive", "naive2")  # of such a run

Measure = Callable[[Path, bool], dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """A run and its figures. Its command is its identity: a changed command is a row that is not measured yet.

    Attributes:
        name: on the command line and in figures.jsonl.
        command: what is run, DATA for the folder: words of a shell, or the Python that `measure` runs.
        split: what is held out, in words.
        metrics: the figures.
        measure: (data, quick) -> what metrics.json holds; None: `command` is typed.
        published: by metric, who has published what.
        source: where that stands.
        quick: options that make of the command one that only shows that it runs.
        known: by baseline and metric, values that must come out, to three digits; where they do not, the data or
            the metrics are others than the published ones, and nothing is recorded.
    """

    name: str
    command: str
    split: str
    metrics: tuple[str, ...]
    measure: Measure | None = None
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: str = ""
    quick: str = f"--epochs 1 --members 1 --baselines {','.join(BASELINES)}"
    known: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def said(self, quick: bool) -> str:
        """The command; that of a quick run is another, so that no quick figure passes for a real one.

        >>> Row("airline", "ostinato forecast DATA/airline.csv", "", ()).said(True)
        'ostinato forecast DATA/airline.csv --epochs 1 --members 1 --baselines naive,seasonal_naive,naive2'
        """
        if not quick:
            return self.command
        if self.measure is not None:
            return f"{self.command}  # quick"
        return f"{self.command} {self.quick}"

    def measured(self, data: Path, quick: bool) -> dict[str, Any]:
        """Run `measure` in this process."""
        if self.measure is None:
            raise ValueError(f"--child {self.name}: is a command of its own: run `{self.command}`")
        return self.measure(data, quick)

    def refused(self, found: Mapping[str, Any]) -> str:
        """Why what came out may not be recorded; "" where it may.

        >>> row = Row("a", "", "", ("mae",), known={"naive": {"mae": 2.0}})
        >>> row.refused({"metrics": {"mae": 1.0}, "baselines": {"naive": {"mae": 2.1}}})
        'the naive baseline has mae 2.100, known is 2.000: the data or the metrics are others than the published ones'
        """
        for metric in self.metrics:
            if found["metrics"].get(metric) is None:
                return f"there is no {metric} in what came out"
        for who, values in self.known.items():
            for metric, value in values.items():
                came = found["baselines"].get(who, {}).get(metric)
                if came is None or abs(came - value) > 0.0005 + 1e-9:
                    shown = "no" if came is None else f"{came:.3f}"
                    return (
                        f"the {who} baseline has {metric} {shown}, known is {value:.3f}: "
                        "the data or the metrics are others than the published ones"
                    )
        return ""
