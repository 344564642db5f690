"""The command line: one command a task, made from its typed fields, and what one does with a trained model.

Only the task that is called is imported, and torch only once it runs.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ostinato import __version__, tasks

STOPPED, REFUSED = 130, 2

_ABOUT = "Recurrent networks on your own data: train, forecast, compare, in one command."
_Text = Annotated[Optional[str], typer.Argument(show_default=False)]  # noqa: UP045 - typer reads this form everywhere


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` stand for those of the process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    application(words)(words, prog_name="ostinato")


def application(words: Sequence[str]) -> typer.Typer:
    """The commands; a task that the words do not name is there with its name and first line alone."""
    app = typer.Typer(
        help=_ABOUT, epilog=_lines(
            "ostinato demo", "ostinato forecast sales.csv --target units --horizon 14", "ostinato classify reviews.csv",
            "ostinato generate book.txt --unit char",
        ),
        add_completion=False, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
    )  # fmt: skip
    app.callback(help=_ABOUT)(_version)
    called = next((word for word in words if not word.startswith("-")), "")
    for name, task in tasks.found().items():
        if name == called:
            _add_task(app, name)
        else:
            app.command(name, help=task.about, rich_help_panel="Tasks")(_nothing)
    for command, examples in _MODELS:
        name = command.__name__.strip("_")
        app.command(name, epilog=_lines(*examples), rich_help_panel="Models and more")(command)
    return app


def _nothing() -> None:
    """Stands for a task that was not called."""


def _say_version(asked: bool) -> None:
    if asked:
        print(f"ostinato {__version__}")
        raise typer.Exit


def _version(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.", show_default=False),
    ] = False,
) -> None:
    """What stands before every command."""


def _lines(*examples: str) -> str:
    """Examples as typer shows them, a paragraph each."""
    return "\n\n".join(["[bold]Examples[/bold]", *examples])


# ---- a task


def _add_task(app: typer.Typer, name: str) -> None:
    from ostinato.interfaces import flags

    with _refusing():
        kind = tasks.get(name)
    examples = [f"{line}   [dim]{about}[/dim]" for line, about in kind.examples]

    def command(**values: Any) -> None:
        with _refusing(values):
            _run(name, values)

    data = _parameter("data", Annotated[Optional[Path], typer.Argument(help=kind.reads, show_default=False)])  # noqa: UP045
    _sign(command, [data, *flags.parameters(kind.Options), *_RUN])
    about = tasks.found()[name].about
    app.command(name, help=f"{about}\n\nWithout DATA: {kind.builtin}.", epilog=_lines(*examples))(command)


def _sign(command: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Give a function the parameters that typer is to make options of."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(name: str, kind: Any, about: str, default: Any = None, metavar: str | None = None) -> inspect.Parameter:
    option = typer.Option(
        f"--{name.replace('_', '-')}", help=about, show_default=False, metavar=metavar, rich_help_panel="Run"
    )
    return _parameter(name, Annotated[kind, option], default)


_RUN = [
    _option("test", Optional[Path], "measure on this file, not on a part of DATA", metavar="FILE"),  # noqa: UP045
    _option("valid", Optional[Path], "it decides when to stop; of a series it comes before --test", metavar="FILE"),  # noqa: UP045
    _option("out", Optional[Path], "folder of the results (default runs/TASK-DATE-TIME)", metavar="DIR"),  # noqa: UP045
    _option("overwrite", bool, "write into a folder that is not empty", False),
    _option("resume", bool, "go on from the folder's checkpoint", False),
    _option("threads", Optional[int], "CPU threads (default half of the cores)", metavar="N"),  # noqa: UP045
    _option("quiet", bool, "say nothing but errors", False),
    _option("json", bool, "say metrics.json and nothing else", False),
]


def _run(name: str, values: dict[str, Any]) -> None:
    """Train, measure, write everything into the folder, show it."""
    from ostinato.interfaces import flags, folder

    kind = tasks.get(name)
    task = kind(**flags.given(kind.Options, values))
    out = folder.chosen(values["out"], name, values["overwrite"], values["resume"])
    values["out"] = out  # an interrupted run says how to go on with it
    _threads(values["threads"])
    silent = values["quiet"] or values["json"]
    outcome = task.experiment(
        values["data"], test=values["test"], validation=values["valid"], out=out, resume=values["resume"],
        quiet=silent, callbacks=[_cleared(out)],
    )  # fmt: skip
    from ostinato.interfaces import report, screen

    task.save(out / "model.ost")  # first of all: what was learnt took longest
    page = report.render(outcome)
    folder.write(out, outcome, page)
    if values["json"]:
        print(json.dumps(outcome.to_json(), indent=2))
    elif not values["quiet"]:
        screen.show(outcome, out)


def _threads(count: int | None) -> None:
    """Half of the cores where nobody said: the networks are small, and the other half is often busy."""
    if count is not None and count < 1:
        raise ValueError(f"--threads {count}: give at least 1")
    import torch

    torch.set_num_threads(count or max(1, (os.cpu_count() or 2) // 2))


def _cleared(out: Path) -> Any:
    """Removes an earlier run's results once the data were read and training begins."""
    from ostinato.interfaces import folder
    from ostinato.training import Callback

    class Cleared(Callback):
        def on_train_begin(self, logs: dict[str, Any]) -> None:
            folder.clear(out)

    return Cleared()


# ---- a trained model


def _predict(
    model: Annotated[Path, typer.Argument(help="model.ost, or the folder of a run")],
    data: Annotated[Optional[Path], typer.Argument(help="as for training; - or nothing: standard input")] = None,  # noqa: UP045
    out: Annotated[Optional[Path], typer.Option(help="write to this file", show_default=False)] = None,  # noqa: UP045
) -> None:
    """Predict with a trained model: CSV, or text where the model writes, on standard output.

    Without DATA and with nothing on standard input a forecast goes on from the end of what was learnt from.
    """
    from ostinato.interfaces import folder

    with _refusing(), _given(data) as source:
        found = _load(model).answer(source)
        text = found if isinstance(found, str) else folder.table(found)
        if out is None:
            print(text, end="")
        else:
            from ostinato.format import replace_text

            replace_text(out, text)


def _evaluate(
    model: Annotated[Path, typer.Argument(help="model.ost, or the folder of a run")],
    data: Annotated[Path, typer.Argument(help="as for training; of a series: what comes after, or a whole history")],
    as_json: Annotated[bool, typer.Option("--json", help="numbers as JSON", show_default=False)] = False,
) -> None:
    """Measure a trained model on other data, beside the baselines."""
    with _refusing():
        outcome = _load(model).evaluate(data)
        if as_json:
            print(json.dumps(outcome.to_json(), indent=2))
            return
        from ostinato.interfaces import screen

        screen.show(outcome, None)


def _show(model: Annotated[Path, typer.Argument(help="model.ost, or the folder of a run")]) -> None:
    """Say what a model file holds."""
    with _refusing():
        from ostinato.tasks.files import load

        found = load(_file(model))
        print(found.summary() if hasattr(found, "summary") else repr(found))


def _list(
    kernels: Annotated[bool, typer.Option("--kernels", help="what runs each cell", show_default=False)] = False,
) -> None:
    """List tasks, cells, heads and baselines, as they are named in options and files."""
    with _refusing():
        if kernels:
            from ostinato import dispatch

            rows = [(str(name), str(how)) for name, how in dispatch.kernels()]
        else:
            from ostinato import baselines, cells, heads
            from ostinato.tasks.forecasting.networks import RIVALS

            rows = [("tasks", ", ".join(tasks.found())), ("cells", ", ".join(cells.names()))]
            rows += [("heads", ", ".join(heads.names())), ("baselines", ", ".join(baselines.names()))]
            rows += [("networks beside", ", ".join(RIVALS))]
        width = max(len(name) for name, _ in rows)
        for name, said in rows:
            print(f"{name:<{width}}  {said}")


def _demo(
    task: _Text = None,
    every: Annotated[bool, typer.Option("--all", help="every task", show_default=False)] = False,
) -> None:
    """Run a task on its built-in data: forecast, unless another is named."""
    with _refusing():
        if task is not None and every:
            raise ValueError("--all runs every task: leave the name out")
        names = list(tasks.found()) if every else [task or "forecast"]
        for name in names:
            kind = tasks.get(name)
            blank = dict.fromkeys(["data", *(p.name for p in _RUN), *kind.Options.model_fields])
            _run(name, blank | {"overwrite": False, "resume": False, "quiet": False, "json": False})


def _bench(
    only: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="tables (layers, lengths, options, models, streams), cells (rnn, lstm, gru); all by default; "
            "models only where no cell is named",
            metavar="LIST",
            show_default=False,
        ),
    ] = None,
    peers: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="torch, keras, onnxruntime, openvino, or none, for layers and streams (lengths and models always "
            "have torch beside them); by default all that are installed",
            metavar="LIST",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[str, typer.Option(help="numbers of threads, each measured by itself", metavar="LIST")] = "1,2",
    quick: Annotated[bool, typer.Option("--quick", help="few, small shapes: see that all works")] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="folder for speed.md, speed.json and the picture of the layers (default runs/bench-DATE-TIME)",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="say nothing but errors")] = False,
) -> None:
    """Time our layers beside other libraries': values and gradients first, then in turns.

    Use it alone on the machine. The whole takes about half an hour; the other libraries come with
    pip install 'ostinato\\[bench]'.
    """
    with _refusing():
        from ostinato.interfaces import folder
        from ostinato.interfaces.bench import command

        asked = command.plans(only, peers, threads, quick)
        to = out or folder.chosen(None, "bench", overwrite=False, resume=False)
        text, written = command.run(asked, to, quiet)
        if not quiet:
            print(text)
            print(f"\nwrote {to}: {', '.join(written)}")


_MODELS: list[tuple[Callable[..., None], tuple[str, ...]]] = [
    (_predict, ("ostinato predict runs/sales", "ostinato predict runs/sales/model.ost june.csv --out july.csv")),
    (_evaluate, ("ostinato evaluate runs/sales june.csv", "ostinato evaluate model.ost june.csv --json")),
    (_show, ("ostinato show runs/sales",)),
    (_list, ("ostinato list", "ostinato list --kernels")),
    (
        _bench,
        (
            "ostinato bench --quick",
            "ostinato bench --only layers,lstm --peers torch --threads 2",
            "ostinato bench --only options --out speed",
        ),
    ),
    (_demo, ("ostinato demo", "ostinato demo forecast", "ostinato demo --all")),
]


def _load(model: Path) -> Any:
    from ostinato.tasks.files import load

    found = load(_file(model))
    if not hasattr(found, "predict"):
        raise ValueError(f"{model}: holds a layer, which predicts nothing: give a trained task's model.ost")
    return found


def _file(model: Path) -> Path:
    return model / "model.ost" if model.is_dir() else model


@contextmanager
def _given(data: Path | None) -> Iterator[Path | None]:
    """The file to read: standard input is copied to one, because it is read twice."""
    if data is not None and str(data) != "-":
        yield data
        return
    if data is None and sys.stdin.isatty():
        yield None
        return
    from ostinato.data.points import spooled

    with spooled() as path:
        if data is not None and not path.stat().st_size:
            raise ValueError("standard input is empty: send what you would put into a file")
        yield path if path.stat().st_size else None


# ---- errors


@contextmanager
def _refusing(values: dict[str, Any] | None = None) -> Iterator[None]:
    """What goes wrong becomes one line on standard error and an exit status; OSTINATO_DEBUG=1 shows the traceback."""
    try:
        yield
    except KeyboardInterrupt:
        out = (values or {}).get("out")
        more = f": the same command with --out {out} --resume goes on from the last checkpoint" if out else ""
        print(f"\nostinato: stopped{more}", file=sys.stderr)
        raise typer.Exit(STOPPED) from None
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
    except (ValueError, TypeError, OSError, RuntimeError, ImportError, MemoryError) as error:
        if os.environ.get("OSTINATO_DEBUG"):
            traceback.print_exc()
        print(f"ostinato: error: {_said(error)}", file=sys.stderr)
        raise typer.Exit(REFUSED) from None


def _said(error: Exception) -> str:
    """What went wrong, on one line."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return "not enough memory: a smaller --hidden-size, --num-layers or --batch-size takes less"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    main()
