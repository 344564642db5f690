"""Names of cells, heads and baselines: a class is registered when it is made, and found by its name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Generic, TypeVar

Kind = TypeVar("Kind")


def nearest(word: object, known: Iterable[str]) -> str:
    """What to say of a word that nobody knows: the nearest known one, or all of them.

    >>> nearest("ltsm", ["gru", "lstm"])
    "did you mean 'lstm'?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(word).lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"


class Registry(dict[str, type[Kind]], Generic[Kind]):
    """Classes of one sort by the `name` that each has.

    Args:
        sort: what they are called in errors.
    """

    def __init__(self, sort: str) -> None:
        super().__init__()
        self.sort = sort

    def add(self, kind: type[Kind]) -> None:
        """Register a class under its `name`; one without a name is a step on the way to others.

        Raises:
            ValueError: another class has that name.
        """
        name = str(getattr(kind, "name", ""))
        if not name:
            return
        there = super().get(name)
        owner, own = (f"{k.__module__}.{k.__qualname__}" for k in (there or kind, kind))
        if owner != own:  # the same class again is a module that was loaded anew
            raise ValueError(f"{self.sort} {name!r} is registered already, by {owner}: give this one another name")
        self[name] = kind

    def find(self, name: str) -> type[Kind]:
        """The class of that name.

        Raises:
            ValueError: there is none; the nearest name is given.
        """
        if name not in self:
            raise ValueError(f"{self.sort} {name!r} is not registered; {nearest(name, self)}")
        return self[name]
