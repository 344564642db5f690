"""Draws the pictures that the README and these pages show: `python docs/pictures.py`, as `make docs` does."""

from __future__ import annotations

from pathlib import Path

import ostinato as ost
from ostinato.data import builtin
from ostinato.interfaces.pictures import on_paper, svg

FOLDER = Path(__file__).parent / "pictures"


def main() -> None:
    """The sunspots: forecast and truth of the held-out end, as the report of `ostinato forecast` has it."""
    outcome = ost.Forecaster().experiment(builtin.sunspots(), quiet=True)
    text = on_paper(svg(outcome.charts[0]))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "sunspots.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
