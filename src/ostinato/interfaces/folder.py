"""The folder of a run: refused before it is touched, filled whole file by whole file."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ostinato.format import replace_text
from ostinato.tasks.outcome import Outcome

RESULTS = ("model.ost", "metrics.json", "predictions.csv", "predictions.txt", "report.html")


def chosen(out: Path | None, task: str, overwrite: bool, resume: bool) -> Path:
    """The folder to write into; nothing is made yet.

    Raises:
        ValueError: it is a file, or is not empty and neither --overwrite nor --resume was said.
    """
    if out is None:
        if resume:
            raise ValueError("--resume goes on with a run: say which with --out DIR")
        return _fresh(Path("runs"), task)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: is a file: name a folder")
    if not (overwrite or resume) and out.is_dir() and any(out.iterdir()):
        raise ValueError(f"--out {out}: is not empty: say --overwrite, --resume, or another folder")
    there = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"--out {out}: {there} cannot be written into: name another folder")
    return out


def _fresh(parent: Path, task: str) -> Path:
    stem = f"{task}-{datetime.now():%Y%m%d-%H%M%S}"
    names = [stem, *(f"{stem}-{k}" for k in range(2, 1000))]
    return next(parent / name for name in names if not (parent / name).exists())


def clear(folder: Path) -> None:
    """Remove the results of an earlier run, so that no file of it stands beside those of a new one."""
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)


def write(folder: Path, outcome: Outcome, report: str) -> None:
    """metrics.json, predictions and report.html; the model is saved by its task."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / outcome.predictions, outcome.text or table(outcome.columns))
    replace_text(folder / "report.html", report)
    replace_text(folder / "metrics.json", json.dumps(outcome.to_json(), indent=2, allow_nan=False) + "\n")


def table(columns: Mapping[str, Sequence[Any]]) -> str:
    """Columns as CSV; numbers in ten digits, nothing where there is none.

    >>> print(table({"t": ["1", "2"], "y": [0.1, float("nan")]}), end="")
    t,y
    1,0.1
    2,
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    return text.getvalue()


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.10g}" if math.isfinite(value) else ""
