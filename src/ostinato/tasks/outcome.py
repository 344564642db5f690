"""What an experiment found, in plain data: metrics.json, the tables and the report are made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ostinato.training import History

Array = NDArray[Any]


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: in the legend.
        y: values.
        role: "truth", "ours", "baseline" or "plain": the chart's colours go by it.
    """

    name: str
    y: Array
    role: str = "plain"


@dataclass(frozen=True)
class Chart:
    """A chart as data; whoever shows it draws it.

    Attributes:
        title, caption: the caption says what to see in it.
        x: (points,) numbers or datetime64, shared by all lines (NaN where a line has nothing to say).
        lines: what is drawn.
        bands: (name, low, high), the widest first.
        marks: places on x, with a word each, where something begins.
        x_label, y_label: with units.
    """

    title: str
    caption: str
    x: Array
    lines: Sequence[Line]
    bands: Sequence[tuple[str, Array, Array]] = ()
    marks: Sequence[tuple[Any, str]] = ()
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True)
class Matrix:
    """A table of numbers drawn as a field of colours: a confusion matrix, an attention.

    Attributes:
        title, caption: the caption says what to see in it.
        rows, columns: a name each.
        values: (rows, columns), 0 or more; whole numbers are shown as such.
        row_label, column_label: what rows and columns are.
        full: the value of the strongest colour; None: a row's sum.
    """

    title: str
    caption: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Array
    row_label: str = ""
    column_label: str = ""
    full: float | None = None


@dataclass(frozen=True)
class Field:
    """A picture of numbers: a piano roll, a spectrogram.

    Attributes:
        title, caption: the caption says what to see in it.
        values: (rows, columns), drawn from the first row at the bottom; 0 is empty, the largest is full.
        rows: a name each, the bottom one first.
        column_label, row_label: what columns and rows are.
    """

    title: str
    caption: str
    values: Array
    rows: Sequence[str]
    column_label: str = ""
    row_label: str = ""


@dataclass(frozen=True)
class Passage:
    """A text in pieces, each as strongly coloured as it weighs.

    Attributes:
        heading: what stands above it.
        parts: (piece of text, weight in [-1, 1]) in order, blanks included; 0 is not coloured.
    """

    heading: str
    parts: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Reading:
    """Texts of which some words are coloured: those that moved a decision, those that were wrong.

    Attributes:
        title, caption: the caption says what the colours of weights above and below 0 mean.
        passages: the texts.
    """

    title: str
    caption: str
    passages: Sequence[Passage]


@dataclass(frozen=True)
class Sample:
    """A baseline that was too slow for all of the data.

    Attributes:
        name: of the baseline.
        count, of, what: on how many of how many of what it was run.
        theirs, ours: the metrics of both, on those alone.
    """

    name: str
    count: int
    of: int
    what: str
    theirs: dict[str, float]
    ours: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """One experiment.

    Attributes:
        task, data: the command, and what the data are called.
        metrics: of the model on what was held out, named and scaled as in metrics.json.
        baselines: the same for each baseline.
        best: "min" or "max" for each metric that a table shows, in its order.
        parameters, seconds, epochs, seed: of the model, for metrics.json.
        columns: predictions.csv, column by column.
        text: predictions.txt, for a task that answers in text: it then takes the table's place.
        notes: what was done to the data and in training, each a sentence without a stop.
        settings: options and sizes as they were, in words.
        charts: pictures and texts for the report, the most telling first.
        history: of training.
        answer: the first lines of the prediction, for the terminal: header and rows of words.
        answer_title: what stands above them.
        samples: baselines that were run on a part of what was held out.
    """

    task: str
    data: str
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    best: Mapping[str, str]
    parameters: int
    seconds: float
    epochs: int
    seed: int
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    text: str = ""
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    charts: Sequence[Chart | Matrix | Field | Reading] = ()
    history: History | None = None
    answer: tuple[Sequence[str], Sequence[Sequence[str]]] = ((), ())
    answer_title: str = "First lines of the prediction"
    samples: Sequence[Sample] = ()

    def to_json(self) -> dict[str, Any]:
        """What metrics.json holds; a number that is not finite is null."""
        from ostinato import __version__

        found: dict[str, Any] = {"task": self.task, "data": self.data, "metrics": self.metrics}
        if self.samples:
            found["samples"] = {
                each.name: {each.what: each.count, "of": each.of, "metrics": each.theirs, "ostinato": each.ours}
                for each in self.samples
            }
        found |= {"baselines": self.baselines, "parameters": self.parameters, "seconds": round(self.seconds, 3)}
        found |= {"epochs": self.epochs, "seed": self.seed, "version": __version__}
        plain: dict[str, Any] = _plain(found)
        return plain

    @property
    def predictions(self) -> str:
        """The file that the prediction goes into."""
        return "predictions.txt" if self.text else "predictions.csv"

    def rows(self) -> list[tuple[str, dict[str, float]]]:
        """The table: ours first, then each baseline."""
        return [("ostinato", self.metrics), *self.baselines.items()]

    def winner(self, metric: str) -> str:
        """Which row is best by a metric, the first of equals."""
        scores = {name: row[metric] for name, row in self.rows() if np.isfinite(row.get(metric, np.nan))}
        choose = max if self.best.get(metric) == "max" else min
        return choose(scores, key=lambda name: scores[name]) if scores else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
