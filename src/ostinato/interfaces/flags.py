"""Command-line options made from a task's typed fields: declared once, in the task."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

import typer

from ostinato.tasks.options import Options

_METAVARS = {int: "N", float: "X", str: "TEXT"}


def parameters(kind: type[Options]) -> list[inspect.Parameter]:
    """One parameter a field, the task's own before the shared ones; None means: not given."""
    fields = sorted(kind.model_fields.items(), key=lambda item: item[0] in Options.model_fields)
    return [_parameter(name, field, name in Options.model_fields) for name, field in fields]


def given(kind: type[Options], values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were said, as the constructor takes them.

    Raises:
        ValueError: a list or a time that is not written as one.

    >>> given(Options, {"epochs": "3", "time_limit": "20m", "cell": None})
    {'epochs': '3', 'time_limit': 1200.0}
    """
    said = {name: values[name] for name in kind.model_fields if values.get(name) is not None}
    for name, value in said.items():
        if name == "time_limit":
            said[name] = seconds(value)
        elif get_origin(_plain(kind.model_fields[name].annotation)) is tuple:
            said[name] = tuple(part.strip() for part in value.split(",") if part.strip())
    return said


def seconds(text: str) -> float:
    """90, 90s, 20m, 1h or 1h30m in seconds.

    Raises:
        ValueError: it is not written so.

    >>> seconds("1h30m"), seconds("45")
    (5400.0, 45.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise ValueError(f"--time-limit {text}: write it as 90s, 20m, 1h or 1h30m")
    return sum(float(number) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in parts)


def _parameter(name: str, field: Any, shared: bool) -> inspect.Parameter:
    plain = _plain(field.annotation)
    flag = f"--{name.replace('_', '-')}"
    panel = "Training" if shared else "Options"
    if plain is bool:
        both = flag if field.default is False else f"{flag}/--no-{flag[2:]}"
        option = typer.Option(both, help=field.description, show_default=False, rich_help_panel=panel)
        return _keyword(name, Annotated[Optional[bool], option])  # noqa: UP045 - typer reads this form everywhere
    usual = "" if field.default in (None, (), "") else f" (default {_shown(field.default)})"
    option = typer.Option(
        flag, help=field.description + usual, show_default=False, metavar=_metavar(plain), rich_help_panel=panel
    )
    return _keyword(name, Annotated[Optional[str], option])  # noqa: UP045


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _plain(annotation: Any) -> Any:
    """The type without `| None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _metavar(plain: Any) -> str:
    if get_origin(plain) is Literal:
        return "|".join(map(str, get_args(plain)))
    if get_origin(plain) is tuple:
        return "LIST"
    return _METAVARS.get(plain, "TEXT")


def _shown(value: Any) -> str:
    return ",".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)
