"""Charts as SVG pictures for a page of any background: what is black takes the page's own colour."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ostinato.tasks.outcome import Chart, Line

INCH = 6.44  # rem: 9 inches are a page
INK, OURS = "#010203", "#2f7de1"  # INK becomes currentColor
_MISSING = "missing from font"
OTHERS = ("#e0832f", "#2fa37a", "#b06fd0", "#c9a227")
_STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.edgecolor": INK, "axes.labelcolor": INK,
    "xtick.color": INK, "ytick.color": INK, "text.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "text.parse_math": False,
}  # fmt: skip


def svg(chart: Chart, number: int = 0) -> str:
    """The chart as an <svg> element, without a fixed size; `number` keeps names apart on a page."""
    labels = {"xlabel": chart.x_label, "ylabel": chart.y_label}
    return drawn(lambda figure: _draw(figure.add_subplot(**labels), chart), (9, 3.6), number)


def drawn(draw: Callable[[Any], None], size: tuple[float, float], number: int) -> str:
    """What `draw` puts on a figure of that size in inches, as an <svg> element."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", f".*{_MISSING}")
            found = _saved(draw, size, number, "path")
    except UserWarning:  # letters that our font lacks: the reader's own fonts have them
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f".*{_MISSING}")
            found = _saved(draw, size, number, "none")
    found = found[found.index("<svg") :].replace(INK, "currentColor")
    found = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", found, count=1)
    # A page stretches its pictures: one that is narrower than a page must not be blown up.
    wide = f'role="img" style="max-width: {size[0] * INCH:g}rem"'
    found = re.sub(r'(<svg[^>]*?) height="[^"]*"', rf"\1 {wide}", found, count=1)
    return re.sub(r"<metadata>.*?</metadata>", "", found, flags=re.DOTALL)


def _saved(draw: Callable[[Any], None], size: tuple[float, float], number: int, letters: str) -> str:
    """The figure as matplotlib writes it; letters as a "path", or as text ("none")."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": f"ostinato-{number}", "svg.fonttype": letters}):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return text.getvalue()


def on_paper(picture: str) -> str:
    """The same on a light ground, in black: a file of its own, which a page of any colour may show."""
    text = picture.replace("currentColor", "#1d2126")
    begin = text.index(">", text.index("<svg")) + 1
    return text[:begin] + '<rect width="100%" height="100%" fill="#fdfdfc"/>' + text[begin:]


def _draw(axes: Any, chart: Chart) -> None:
    x = chart.x.astype("M8[us]") if chart.x.dtype.kind == "M" else chart.x
    if chart.x.dtype.kind == "M":
        _dated(axes)
    for k, (name, low, high) in enumerate(chart.bands):
        axes.fill_between(x, low, high, color=OURS, alpha=0.14 + 0.12 * k, linewidth=0, label=name)
    others = iter(OTHERS * 3)
    for line in chart.lines:
        color = {"truth": INK, "ours": OURS, "plain": INK}.get(line.role) or next(others)
        _line(axes, x, line, color)
    for place, word in chart.marks:
        axes.axvline(place, color=INK, alpha=0.4, linewidth=0.8, linestyle=":")
        axes.annotate(word, (place, 1), xycoords=("data", "axes fraction"), xytext=(4, -2), textcoords="offset points",
                      va="top", fontsize=8, alpha=0.7)  # fmt: skip
    if chart.x.dtype.kind != "M" and np.all(chart.x == np.round(chart.x)):
        axes.xaxis.get_major_locator().set_params(integer=True)  # there is no epoch 1.5
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)


def _dated(axes: Any) -> None:
    """Few dates, each saying only what the one before it has not said: whole dates would run into each other."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    places = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(places))


def _line(axes: Any, x: Any, line: Line, color: str) -> None:
    known = int(np.isfinite(line.y).sum())
    marker = "." if known <= 60 and line.role in ("ours", "truth") else None
    dashed = "--" if line.role == "baseline" else "-"
    axes.plot(x, line.y, color=color, linestyle=dashed, linewidth=1.3, marker=marker, markersize=4, label=line.name)
