"""What a report shows, as HTML: a chart, a matrix, or texts with coloured words."""

from __future__ import annotations

from functools import singledispatch
from html import escape
from typing import Any

from ostinato.interfaces import fields, matrices, pictures
from ostinato.tasks.outcome import Chart, Field, Matrix, Passage, Reading

FOR, AGAINST = "47, 125, 225", "224, 131, 47"  # blue and orange: told apart by those who see no red or green


@singledispatch
def figure(shown: Any, number: int = 0) -> str:
    """The HTML of one thing in a report; `number` keeps names apart on a page.

    Raises:
        TypeError: nobody knows how to show it.
    """
    raise TypeError(f"a report does not know how to show {type(shown).__name__}")


@figure.register
def _(shown: Chart, number: int = 0) -> str:
    return pictures.svg(shown, number)


@figure.register
def _(shown: Matrix, number: int = 0) -> str:
    return matrices.svg(shown, number)


@figure.register
def _(shown: Field, number: int = 0) -> str:
    return fields.svg(shown, number)


@figure.register
def _(shown: Reading, number: int = 0) -> str:
    return "".join(map(_passage, shown.passages))


def _passage(passage: Passage) -> str:
    heading = f'<p class="heading">{escape(passage.heading)}</p>' if passage.heading else ""
    return heading + '<p class="passage">' + "".join(_piece(text, weight) for text, weight in passage.parts) + "</p>"


def _piece(text: str, weight: float) -> str:
    strength = min(abs(weight), 1.0)
    if strength < 0.02:
        return escape(text)
    colour = FOR if weight > 0 else AGAINST
    return f'<span style="background: rgba({colour}, {0.75 * strength:.2f})">{escape(text)}</span>'
