"""figures.jsonl: a line a figure, only ever appended to; and what a line says of where it was made."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from .row import Row

Line = dict[str, Any]


def read(path: Path) -> list[Line]:
    """All lines, oldest first; none where there is no file.

    Raises:
        ValueError: a line is no JSON object with a task, a row, a command and a metric; it is named.
    """
    if not path.exists():
        return []
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
            (line["task"], line["row"], line["command"], line["metric"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path.name}, line {number}: is no figure ({error}): take the line out") from error
        found.append(line)
    return found


def append(path: Path, lines: Sequence[Line]) -> None:
    """A row's lines in one write, so that a run that is ended leaves all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def newest(lines: Iterable[Line], task: str, row: Row, quick: bool) -> dict[str, Line]:
    """By metric the last line of a row as it is run today; {} where one is missing: the row is to be run."""
    command = row.said(quick)
    own = [line for line in lines if (line["task"], line["row"], line["command"]) == (task, row.name, command)]
    found = {line["metric"]: line for line in own if line["metric"] in row.metrics}
    return found if len(found) == len(row.metrics) else {}


def lines_of(task: str, row: Row, found: Mapping[str, Any], quick: bool, **run: Any) -> list[Line]:
    """What came out of a run, a line a metric.

    Args:
        found: what metrics.json holds.
        run: commit, seconds and machine.
    """
    where = {"task": task, "row": row.name, "command": row.said(quick), "commit": run["commit"], "seed": found["seed"]}
    when = {"seconds": round(run["seconds"], 1), "machine": run["machine"], "date": date.today().isoformat()}
    return [
        where
        | {"split": row.split, "metric": metric, "value": found["metrics"][metric]}
        | {"published": row.published.get(metric), "source": row.source if metric in row.published else ""}
        | {"beside": _beside(found["baselines"], metric)}
        | when
        for metric in row.metrics
    ]


def _beside(baselines: Mapping[str, Mapping[str, float | None]], metric: str) -> dict[str, float]:
    values = {name: scores.get(metric) for name, scores in baselines.items()}
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def commit(root: Path) -> str:
    """Which commit is checked out, as .git says; "" where that cannot be told. It says nothing of changes since."""
    git = root / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head[:12]
        name = head.removeprefix("ref: ")
        if (git / name).exists():
            return (git / name).read_text(encoding="utf-8").strip()[:12]
        packed = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split()[0][:12] for line in packed if line.endswith(f" {name}")), "")


def machine(threads: int) -> str:
    """The processor, how much of it was used, and the accelerator, where there is one."""
    import torch

    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8", errors="replace") if info.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    more = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {threads} of {os.cpu_count()} threads{more}"
