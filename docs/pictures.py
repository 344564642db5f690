"""Draws the pictures that the README and these pages show: `python docs/pictures.py`, as `make docs` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import ostinato as ost
from ostinato.data import builtin
from ostinato.interfaces.pictures import INK, OURS, drawn, on_paper, svg
from ostinato.tasks.outcome import Chart, Line

FOLDER = Path(__file__).parent / "pictures"
CURVES = Path(__file__).parents[1] / "benchmarks" / "curves"  # history.jsonl of runs that `make figures` made
DILATIONS, STEPS = (1, 2, 4), 16
DOT, LINE = "#c9cdd3", "#dfe2e6"


def main() -> None:
    """The sunspots' forecast, as the report has it; what a convolution sees; how Shakespeare was learnt."""
    outcome = ost.Forecaster().experiment(builtin.sunspots(), quiet=True)
    _write("sunspots", svg(outcome.charts[0]))
    _write("receptive_field", drawn(receptive_field, (9, 3.0), 0))
    _write("shakespeare", svg(learning("tinyshakespeare")))


def learning(run: str) -> Chart:
    """Loss by epoch, in training and on what was held back."""
    rows = [json.loads(line) for line in (CURVES / f"{run}.jsonl").read_text(encoding="utf-8").splitlines()]
    epochs, train, held = (np.array([row[name] for row in rows]) for name in ("epoch", "loss", "valid_loss"))
    lines = [Line("held back", held, "ours"), Line("training, with dropout", train)]
    return Chart("", "", epochs, lines, x_label="epoch", y_label="nats a character")


def receptive_field(figure: Any) -> None:
    """Steps as dots, a row a convolution of kernel size 2: what the last step of the top row comes from is coloured."""
    axes = figure.add_subplot()
    axes.set_axis_off()
    seen = {STEPS - 1}
    for row in range(len(DILATIONS), -1, -1):
        dilation = DILATIONS[row - 1] if row else 0
        axes.text(-0.8, row, f"dilation {dilation}" if row else "input", ha="right", va="center", color=INK)
        axes.scatter(range(STEPS), [row] * STEPS, s=55, zorder=3, c=[OURS if t in seen else DOT for t in range(STEPS)])
        ways = [(s, t) for t in range(STEPS) for s in (t, t - dilation) if s >= 0] if row else []
        for s, t in ways:
            colour, width, above = (OURS, 1.8, 2) if t in seen else (LINE, 0.8, 1)
            axes.plot([s, t], [row - 1, row], color=colour, linewidth=width, zorder=above)
        seen |= {t - dilation for t in seen}
    axes.set_xlim(-3.2, STEPS - 0.5)


def _write(name: str, picture: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(on_paper(picture), encoding="utf-8")


if __name__ == "__main__":
    main()
