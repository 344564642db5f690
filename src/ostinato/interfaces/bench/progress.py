"""One line on the terminal while a bench runs: the row that was measured last, and the time left."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ostinato.interfaces.bench.row import Row


class Progress:
    """A context; says nothing where it is quiet or nobody looks at a terminal."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        columns: list[Any] = [
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        ]
        self._bar = Bar(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._task: Any = None

    def begin(self, count: int, threads: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(f"{threads} thread{'s' * (threads > 1)}", total=count)

    def step(self, row: Row) -> None:
        self._bar.update(self._task, advance=1, description=f"{row.cell} {row.what} {row.run}")

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
