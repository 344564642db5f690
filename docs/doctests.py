"""For the documentation's builder: a doctest in a docstring becomes a block of code."""

import re
from typing import Any

import griffe

_RUN = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fences each run of lines that begins with >>> and goes on to the next empty line."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring and ">>>" in obj.docstring.value:
            obj.docstring.value = _RUN.sub(lambda run: f"```pycon\n{run[0]}\n```", obj.docstring.value)
