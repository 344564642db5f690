"""The report and the terminal: self-contained, well-formed, honest."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ostinato.interfaces import figures, folder, matrices, pictures, report, screen
from ostinato.tasks.outcome import Chart, Line, Matrix, Outcome, Passage, Reading


def chart(x: np.ndarray) -> Chart:
    y = np.linspace(1, 2, len(x))
    lines = [Line("truth", y, "truth"), Line("a<b", np.where(y > 1.5, y, np.nan), "ours"), Line("naive", y, "baseline")]
    return Chart(
        "Fan & truth", "See <here>.", x, lines, [("95 % interval", y - 1, y + 1)], [(x[3], "held out")], "t", "y"
    )


def outcome_of(**scores: float) -> Outcome:
    rows = {name: {"mae": score, "rmse": 2 * score} for name, score in scores.items()}
    return Outcome(
        task="forecast", data="<script>.csv", metrics={**rows.pop("ostinato"), "coverage_80": 0.75}, baselines=rows,
        best={"mae": "min", "rmse": "min"}, parameters=1234, seconds=1.5, epochs=3, seed=0,
        columns={"t": ["1"], "forecast": [float("nan")]}, notes=["filled <1> gap"], settings={"look_back": 12},
        charts=[chart(np.arange(8)), chart(np.arange("2024-01", "2024-09", dtype="M8[M]").astype("M8[us]"))],
        answer=(["t", "forecast"], [["1", "2"]]),
    )  # fmt: skip


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order, and collects what a page would fetch."""

    empty = frozenset(("meta", "br", "img", "link", "input", "hr"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.empty:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_one_whole_page() -> None:
    page = report.render(outcome_of(ostinato=1.0, naive=2.0))
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert all(link.startswith("#") for link in parser.fetched)
    assert "<script" not in page
    assert "&lt;script&gt;.csv" in page
    assert page.count("<svg") == 2
    assert "prefers-color-scheme: dark" in page


def test_pictures_take_the_colour_of_the_page_and_repeat() -> None:
    found = pictures.svg(chart(np.arange(8)))
    assert "currentColor" in found
    assert pictures.INK not in found
    assert found == pictures.svg(chart(np.arange(8)))
    head = re.match(r"<svg[^>]*>", found)
    assert head
    assert "viewBox" in head[0]
    assert " width=" not in head[0]


def matrix(size: int) -> Matrix:
    names = [f"<class {k}>" for k in range(size)]
    return Matrix("Confusion", "Rows are true.", names, names, np.diag(np.arange(size) + 1234), "true", "predicted")


def test_texts_and_matrices_stand_in_a_whole_page() -> None:
    reading = Reading(
        "Why", "Blue speaks for it.", [Passage("<1>", [("good <b>", 0.5), (" and ", 0.0), ("bad", -1.0)])]
    )
    page = report.render(replace(outcome_of(ostinato=1.0), charts=[chart(np.arange(8)), matrix(3), reading]))
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert page.count("<svg") == 2
    assert "good &lt;b&gt;</span>" in page
    assert "</span> and <span" in page
    assert page.index(figures.FOR) < page.index(figures.AGAINST)


def test_a_matrix_says_its_numbers_where_there_is_room() -> None:
    from matplotlib.figure import Figure

    for size, said in ((3, {"1,234", "0"}), (matrices.ROOM + 1, set())):
        matrices._draw(axes := Figure().add_subplot(), matrix(size))
        assert {text.get_text() for text in axes.texts} >= said
        assert bool(axes.texts) == bool(said)
        assert [label.get_text() for label in axes.get_xticklabels()] == list(matrix(size).columns)


@pytest.mark.parametrize("count", [2, 7, 16, 20])
@pytest.mark.parametrize("name", ["argument", "Ukrainian", "a rather long class name", "中文标签"])
def test_names_of_columns_do_not_run_into_each_other(
    count: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [f"{name} {k}" for k in range(count)]
    kept: list[Figure] = []

    def keep(draw: Callable[[Figure], None], size: tuple[float, float], number: int) -> str:
        kept.append(figure := Figure(figsize=size, layout="constrained"))
        draw(figure)
        return ""

    monkeypatch.setattr(matrices, "drawn", keep)
    matrices.svg(Matrix("", "", names, names, np.eye(count), "true", "predicted"))
    canvas = FigureCanvasAgg(kept[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*missing from font")
        canvas.draw()
    labels = kept[0].axes[0].get_xticklabels()
    assert len({label.get_text() for label in labels}) == count
    if labels[0].get_rotation() == 0:
        boxes = [label.get_window_extent() for label in labels]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    else:  # on a slant names lie beside each other where their columns are further apart than letters are high
        places = [label.get_window_extent().x1 for label in labels]
        assert min(np.diff(places)) * np.sin(np.pi / 4) > labels[0].get_fontsize() * canvas.figure.dpi / 72


def test_colours_of_a_matrix_go_by_its_rows_or_by_what_is_full() -> None:
    values = np.array([[1.0, 1.0], [0.0, 0.4]])
    rows = Matrix("", "", ["a", "b"], ["x", "y"], values)
    assert matrices._shares(rows).tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert matrices._shares(replace(rows, full=1.0)).tolist() == values.tolist()


@pytest.mark.filterwarnings("error")
def test_names_are_names_whatever_they_hold() -> None:
    for name in ("$x^{$", "costs $5 and $\\frac{1}$", "two\nlines", "中文", "a\x01b", "--><script>"):
        found = matrices.svg(Matrix("", "", [name, "b"], [name, "b"], np.eye(2)))
        parser = Balanced()
        parser.feed(found)
        assert parser.open == []
        assert "<script" not in found
    assert "中文" in matrices.svg(Matrix("", "", ["中文", "b"], ["中文", "b"], np.eye(2)))


def test_epochs_are_whole_numbers() -> None:
    from matplotlib.figure import Figure

    lines = [Line("loss", np.array([2.0, 1.0]), "plain")]
    pictures._draw(axes := Figure().add_subplot(), Chart("", "", np.array([1.0, 2.0]), lines))
    assert all(place == round(place) for place in axes.get_xticks())


def test_text_takes_the_place_of_the_table(tmp_path: Path) -> None:
    outcome = replace(outcome_of(ostinato=1.0), text="once upon a time")
    folder.write(tmp_path, outcome, report.render(outcome))
    assert (tmp_path / "predictions.txt").read_text() == "once upon a time"
    assert not (tmp_path / "predictions.csv").exists()
    folder.clear(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scores", "said"),
    [({"ostinato": 1.0, "naive": 2.0}, "number 1 of 2 with 1; next is naive with 2"),
     ({"ostinato": 3.0, "naive": 2.0, "drift": 4.0}, "number 2 of 3 with 3; best is naive with 2"),
     ({"ostinato": 3.0}, "number 1 of 1")],
)  # fmt: skip
def test_who_wins_is_said(scores: dict[str, float], said: str) -> None:
    assert said in screen.verdict(outcome_of(**scores))


def test_the_best_of_each_column_is_marked() -> None:
    page = report.render(outcome_of(ostinato=3.0, naive=2.0))
    naive = re.search(r"<tr><td>naive</td>.*?</tr>", page)
    ours = re.search(r"<tr class=ours>.*?</tr>", page)
    assert naive
    assert ours
    assert naive[0].count("class=best") == 2
    assert ours[0].count("class=best") == 0


def test_the_terminal_shows_the_table() -> None:
    text = io.StringIO()
    screen.show(outcome_of(ostinato=1.0, naive=2.0), None, Console(file=text, width=100))
    for word in ("ostinato", "naive", "filled <1> gap", "1,234 parameters", "0.75"):
        assert word in text.getvalue()


def test_what_is_not_finite_is_null_and_never_best() -> None:
    found = replace(outcome_of(ostinato=float("nan"), naive=2.0))
    assert found.to_json()["metrics"]["mae"] is None
    assert found.winner("mae") == "naive"
    assert folder.table(found.columns) == "t,forecast\n1,\n"


@pytest.mark.parametrize("step", ["15m", "h", "D", "7D", "30D", "365D"])
def test_dates_under_a_chart_do_not_run_into_each_other(step: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    size, unit = re.fullmatch(r"(\d*)(\w)", step).groups()
    every = np.timedelta64(int(size or 1), unit)
    pictures._draw(axes := figure.add_subplot(), chart(np.datetime64("2016-12-22T01") + np.arange(240) * every))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    assert len(boxes) >= 3
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
