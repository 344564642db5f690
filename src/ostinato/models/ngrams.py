"""A text as the bag of its n-grams, and a softmax over them: what phrases say wherever they stand."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BUCKETS = 1 << 20  # that n-grams fall into by a checksum; two in one bucket count as one
NUMBERS = 2_000_000  # weights at most: with many classes fewer n-grams
STRENGTH = 10.0  # n / STRENGTH weighs |W|^2
STEPS = 100  # of the search at most
CLOSE = 1e-6  # largest gradient of the mean loss at which it ends: that of a rare n-gram is small from the start


class Ngrams:
    """p(class | text) = softmax(W x + b),   x[g] ~ (1 + log count(g)) log((1 + n) / (1 + n(g))),   |x| = 1,

    with W, b that make -sum log p(labels) + |W|^2 / (2 STRENGTH) least: a convex search that ends in one place.
    A recurrent network reads the order of words and learns slowly what a single rare phrase means; this knows nothing
    but phrases, and learns them at once. `tasks.classifying` weighs the two against each other.

    Args:
        columns: (n-grams,) the buckets that count, sorted.
        rarity: (n-grams,) log((1 + n) / (1 + n(g))) + 1.
        weights: (n-grams, classes) W.
        bias: (classes,) b.
        longest: units in an n-gram at most.

    Raises:
        ValueError: the parts do not fit together.

    Source: Wang and Manning (2012), Baselines and Bigrams; hashing: Weinberger et al. (2009).

    >>> texts = [["a", "good", "film"], ["a", "bad", "film"], ["so", "good"], ["so", "bad"]]
    >>> model = Ngrams.fit(texts, [1, 0, 1, 0], classes=2)
    >>> model.log_probability([["good"], ["bad"], []]).argmax(1).tolist()[:2]
    [1, 0]
    """

    def __init__(self, columns: Array, rarity: Array, weights: Array, bias: Array, longest: int) -> None:
        n = len(columns)
        if rarity.shape != (n,) or bias.ndim != 1 or weights.shape != (n, len(bias)) or not 1 <= longest <= 9:
            raise ValueError(f"{n} n-grams up to {longest}: rarity {rarity.shape}, weights {weights.shape}")
        if n and (columns.dtype.kind not in "iu" or (np.diff(columns.astype(np.int64)) <= 0).any()):
            raise ValueError("the n-grams' buckets are not whole numbers in order")
        self.columns, self.rarity, self.weights, self.bias, self.longest = columns, rarity, weights, bias, longest

    @classmethod
    def fit(
        cls,
        texts: Sequence[Sequence[str]],
        labels: Sequence[int] | Array,
        classes: int,
        *,
        longest: int = 2,
        weigh: Sequence[float] | None = None,
    ) -> Ngrams:
        """Learn from texts, each the units it is made of.

        Args:
            labels: (texts,) numbers of classes.
            longest: units in an n-gram at most.
            weigh: what each class counts for; None: 1.
        """
        from scipy.optimize import minimize

        counts = [_counted(text, longest) for text in texts]
        seen = np.zeros(BUCKETS, np.int64)
        for buckets, _ in counts:
            seen[buckets] += 1
        kept = np.argsort(-seen, kind="stable")[: max(1, NUMBERS // classes)]
        columns = np.sort(kept[seen[kept] > 0]).astype(np.int64)
        rarity = np.log((1 + len(texts)) / (1 + seen[columns])) + 1
        empty = cls(columns, rarity, np.zeros((len(columns), classes)), np.zeros(classes), longest)
        x, y = empty._rows(counts), np.asarray(labels)
        each = np.ones(len(y)) if weigh is None else np.asarray(weigh, float)[y]
        start = np.zeros((len(columns) + 1) * classes)
        loss = _Loss(x, y, each, classes)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "gtol": CLOSE}).x
        table = found.reshape(-1, classes).astype(np.float32)
        return cls(columns, rarity.astype(np.float32), table[:-1], table[-1], longest)

    def log_probability(self, texts: Sequence[Sequence[str]]) -> Array:
        """(texts, classes) of texts, each the units it is made of; n-grams that were never seen count nothing."""
        raw = self._rows([_counted(text, self.longest) for text in texts]) @ self.weights.astype(np.float64)
        return _log_softmax(raw + self.bias)

    def _rows(self, counts: Sequence[tuple[Array, Array]]) -> Any:
        """x, (texts, n-grams) sparse."""
        from scipy.sparse import csr_array

        buckets, often = (np.concatenate([each[k] for each in counts]) for k in (0, 1))
        rows = np.repeat(np.arange(len(counts)), [len(each) for each, _ in counts])
        place = np.searchsorted(self.columns, buckets).clip(max=max(0, len(self.columns) - 1))
        known = self.columns[place] == buckets if len(self.columns) else np.zeros(len(place), bool)
        rows, place = rows[known], place[known]
        values = (1 + np.log(often[known])) * self.rarity[place]
        size = np.sqrt(np.bincount(rows, values**2, len(counts)))
        return csr_array((values / size[rows], (rows, place)), shape=(len(counts), len(self.columns)))

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> dict[str, Array]:
        """Tensors that `of_file` takes."""
        sizes = np.array([self.longest], np.int64)
        return {
            "columns": self.columns, "rarity": self.rarity, "weights": self.weights, "bias": self.bias, "longest": sizes
        }  # fmt: skip

    @classmethod
    def of_file(cls, tensors: Mapping[str, Array], classes: int) -> Ngrams:
        """What `to_file` gave.

        Raises:
            ValueError: the parts do not fit together, or are of other classes.
        """
        columns, rarity, weights, bias, longest = (tensors[name] for name in _PARTS)
        if len(bias) != classes or longest.shape != (1,):
            raise ValueError(f"n-grams of {len(bias)} classes, the model has {classes}")
        return cls(columns, rarity, weights, bias, int(longest[0]))


_PARTS = ("columns", "rarity", "weights", "bias", "longest")


class _Loss:
    """-sum of log p(labels) + |W|^2 / (2 STRENGTH), and its gradient, over n."""

    def __init__(self, x: Any, y: Array, each: Array, classes: int) -> None:
        self.x, self.back, self.y, self.each, self.classes = x, x.T.tocsr(), y, each, classes

    def __call__(self, flat: Array) -> tuple[float, Array]:
        table, n = flat.reshape(-1, self.classes), len(self.y)
        weights, rows = table[:-1], np.arange(n)
        logs = _log_softmax(self.x @ weights + table[-1])
        value = -(self.each * logs[rows, self.y]).sum() + (weights**2).sum() / (2 * STRENGTH)
        error = np.exp(logs)
        error[rows, self.y] -= 1
        error *= self.each[:, None]
        gradient = np.concatenate([self.back @ error + weights / STRENGTH, error.sum(0, keepdims=True)])
        return float(value / n), (gradient / n).ravel()


def _counted(units: Sequence[str], longest: int) -> tuple[Array, Array]:
    """The buckets of a text's n-grams, and how often it has each."""
    found = [zlib.crc32(gram.encode("utf-8", "surrogatepass")) % BUCKETS for gram in _grams(units, longest)]
    return np.unique(np.array(found, np.int32), return_counts=True)


def _grams(units: Sequence[str], longest: int) -> Iterator[str]:
    """All runs of 1 to `longest` units, in lower case; the ends of the text count as units of longer ones."""
    low = [unit.lower() for unit in units]
    yield from low
    ends = ["\x02", *low, "\x03"] if low else []
    for size in range(2, longest + 1):
        yield from ("\x1f".join(ends[k : k + size]) for k in range(len(ends) - size + 1))


def _log_softmax(raw: Array) -> Array:
    high = raw - raw.max(1, keepdims=True)
    return np.asarray(high - np.log(np.exp(high).sum(1, keepdims=True)))
