"""The commonest class, whatever the text says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import Self


class Majority:
    """p(class) = its share of the training labels, for every text alike.

    What a classifier has to beat before anything else is said of it: where nine in ten messages are wanted ones,
    this is right in nine of ten cases.

    Attributes:
        classes_: the labels, sorted.
        notes: what the report should say.

    >>> Majority().fit(["good", "fine", "bad"], ["yes", "yes", "no"]).predict_proba(["well"]).round(2).tolist()
    [[0.33, 0.67]]
    """

    name = "majority"

    def __init__(self) -> None:
        self.classes_: list[str] = []
        self.notes: tuple[str, ...] = ()

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> Self:
        """Count labels; texts are not read."""
        counts = Counter(labels)
        self.classes_ = sorted(counts)
        self._shares = np.array([counts[label] / len(labels) for label in self.classes_])
        return self

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]:
        """(texts, classes), rows all the same."""
        return np.tile(self._shares, (len(texts), 1))
