"""One recipe a file: reader, Spec, pattern, head, metric, baselines. Each file here that holds a task is found.

Names and first lines are read without running anything, so that `ostinato --help` costs no import.
"""

from __future__ import annotations

import ast
import difflib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ostinato.tasks.task import Task


class Found(NamedTuple):
    """A task's file, its class, and what it does in a line."""

    module: str
    kind: str
    about: str


def found() -> dict[str, Found]:
    """The tasks by their names on the command line.

    >>> found()["forecast"].kind
    'Forecaster'
    """
    tasks = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        about = (ast.get_docstring(tree) or "").partition("\n")[0]
        for node in tree.body:
            name = _name(node)
            if isinstance(node, ast.ClassDef) and name:
                tasks[name] = Found(path.stem, node.name, about)
    return tasks


def get(name: str) -> type[Task]:
    """The task of that name; only files of this folder are imported.

    Raises:
        ValueError: no such task; the nearest name is given.

    >>> get("forcast")
    Traceback (most recent call last):
        ...
    ValueError: there is no task 'forcast': did you mean 'forecast'?
    """
    tasks = found()
    if name not in tasks:
        near = difflib.get_close_matches(name.lower(), tasks, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(tasks)}"
        raise ValueError(f"there is no task {name!r}: {hint}")
    kind: type[Task] = getattr(import_module(f"{__name__}.{tasks[name].module}"), tasks[name].kind)
    return kind


def _name(node: ast.stmt) -> str:
    """The `name = "..."` in the body of a class, as a ClassVar or plain."""
    for line in getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        value = getattr(line, "value", None)
        if any(isinstance(t, ast.Name) and t.id == "name" for t in targets) and isinstance(value, ast.Constant):
            return str(value.value)
    return ""
