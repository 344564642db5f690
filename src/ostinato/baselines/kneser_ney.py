"""Interpolated modified Kneser-Ney: the n-gram model that a neural language model has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

UNSEEN = -1  # the number of an n-gram that never occurred
CLASSES = 3  # discounts for counts of 1, 2, and 3 or more


class _Order(NamedTuple):
    """The n-grams of one length that occurred, as arrays over them and over their contexts.

    Attributes:
        keys: (grams,) context * vocabulary + last token, sorted; a gram's number is its place.
        shares: (grams,) max(count - D, 0) / total of its context.
        rest: (contexts,) what the discounts leave to the shorter contexts; 1 where nothing followed the context.
    """

    keys: Ids
    shares: Array
    rest: Array


class KneserNey:
    """n-grams whose every order is mixed with the one below, which counts in how many contexts a token occurs.

        p_n(w | c) = max(N(c w) - D[N(c w)], 0) / N(c .) + rest(c) p_{n-1}(w | c without its first token)
        rest(c)    = (D[1] N1(c .) + D[2] N2(c .) + D[3] N3+(c .)) / N(c .),    p_0(w) = 1 / vocabulary

    N is the count at the highest order, below it the number of different tokens before the n-gram; Nr(c .) is
    how many tokens followed c just r times. The discounts are D[r] = r - (r + 1) Y n[r + 1] / n[r] with
    Y = n[1] / (n[1] + 2 n[2]) and n[r] the n-grams with N = r; where those are too few to tell, 1/2 is taken.
    Tokens that never occurred share what is left at order 0. `KneserNey(1)` is the unigram model.

    Args:
        order: n; tokens seen before a token, and itself.

    Raises:
        ValueError: order is below 1.

    Source: Chen and Goodman (1998), An Empirical Study of Smoothing Techniques for Language Modeling, 3 and 5.

    >>> model = KneserNey(2).fit([0, 1, 0, 1, 0, 2], vocabulary=4)
    >>> model.probabilities([0]).sum().round(12), int(model.probabilities([0]).argmax())
    (np.float64(1.0), 1)
    """

    def __init__(self, order: int = 5) -> None:
        if order < 1:
            raise ValueError(f"kneser_ney: order must be at least 1, found {order}")
        self.order = order
        self._orders: list[_Order] = []
        self.vocabulary = 0

    def fit(self, tokens: ArrayLike, vocabulary: int) -> KneserNey:
        """Count.

        Args:
            tokens: (time,) numbers from 0 up, one text from its begin to its end.
            vocabulary: how many different tokens there are, seen or not.

        Raises:
            ValueError: tokens are empty, not in 0..vocabulary - 1, or no sequence of whole numbers.
        """
        text = _checked(tokens, vocabulary)
        if not len(text):
            raise ValueError("kneser_ney: there are no tokens to learn from")
        self.vocabulary = vocabulary
        numbered, grams = _numbered(text, vocabulary, min(self.order, len(text)))
        self._orders = []
        for n, (keys, _, counts) in enumerate(grams):
            if n + 1 < len(grams):
                counts = _continuations(numbered[n], grams[n + 1][1], len(keys))
            self._orders.append(_order(keys, counts, len(grams[n - 1][0]) if n else 1, vocabulary))
        return self

    def log_probabilities(self, tokens: ArrayLike, before: Sequence[int] = ()) -> Array:
        """log p of each token given those before it, (time,).

        Args:
            tokens: (time,).
            before: what stands before the first.

        Raises:
            RuntimeError: before fit.
            ValueError: tokens are not in the vocabulary.
        """
        self._fitted()
        history = list(before)[max(0, len(before) - self.order + 1) :]
        text = _checked([*history, *np.asarray(tokens).tolist()], self.vocabulary)
        p = np.full(len(text), 1 / self.vocabulary)
        context: Ids = np.zeros(len(text), np.int64)  # the number of the (n - 1)-gram before each token
        for order in self._orders:
            gram = _find(order.keys, context, text, self.vocabulary)
            known = context != UNSEEN
            share = np.where(gram != UNSEEN, order.shares[gram], 0.0)
            p = np.where(known, share + order.rest[context] * p, p)
            context = np.concatenate([[UNSEEN], gram[:-1]])
        return np.log(p)[len(history) :]

    def probabilities(self, before: Sequence[int] = ()) -> Array:
        """p of every token after some, (vocabulary,).

        Raises:
            RuntimeError, ValueError: as `log_probabilities`.
        """
        self._fitted()
        text = _checked(before, self.vocabulary)
        every = np.arange(self.vocabulary, dtype=np.int64)
        p = np.full(self.vocabulary, 1 / self.vocabulary)
        for n, order in enumerate(self._orders, 1):
            context = self._number(text[len(text) - n + 1 :]) if n - 1 <= len(text) else UNSEEN
            if context == UNSEEN:
                break
            gram = _find(order.keys, np.full(self.vocabulary, context), every, self.vocabulary)
            p = np.where(gram != UNSEEN, order.shares[gram], 0.0) + order.rest[context] * p
        return p

    def _number(self, gram: Ids) -> int:
        """The number of an n-gram, 0 for the empty one."""
        found = np.zeros(1, np.int64)
        for order, token in zip(self._orders, gram, strict=False):
            found = _find(order.keys, found, np.array([token]), self.vocabulary)
        return int(found[0])

    def _fitted(self) -> None:
        if not self._orders:
            raise RuntimeError("kneser_ney: call fit(tokens, vocabulary) first")


def _checked(tokens: ArrayLike, vocabulary: int) -> Ids:
    text = np.asarray(tokens)
    if text.size and (text.ndim != 1 or text.dtype.kind not in "iu"):
        raise ValueError(f"kneser_ney: tokens must be whole numbers (time,), found {text.dtype} {text.shape}")
    text = text.astype(np.int64).reshape(-1)
    wrong = np.flatnonzero((text < 0) | (text >= vocabulary))
    if len(wrong):
        raise ValueError(f"kneser_ney: token {wrong[0]} is {text[wrong[0]]}, not in 0..{vocabulary - 1}")
    return text


def _numbered(text: Ids, vocabulary: int, order: int) -> tuple[list[Ids], list[tuple[Ids, Ids, Ids]]]:
    """Every n-gram gets a number: its place among those that occurred.

    Returns:
        for each n: (time,) the number of the n-gram that ends at each token (UNSEEN at the first n - 1); and the
        keys of the n-grams, where each occurs first (its last token's place), and how often.
    """
    numbered, grams = [], []
    before: Ids = np.zeros(len(text), np.int64)
    for n in range(1, order + 1):
        keys, first, inverse, counts = np.unique(
            before[n - 1 :] * vocabulary + text[n - 1 :], return_index=True, return_inverse=True, return_counts=True
        )
        own = np.full(len(text), UNSEEN)
        own[n - 1 :] = inverse.reshape(-1)
        numbered.append(own)
        grams.append((keys, first + n - 1, counts))
        before = np.concatenate([[UNSEEN], own[:-1]])
    return numbered, grams


def _continuations(numbered: Ids, longer: Ids, grams: int) -> Ids:
    """How many different tokens stand before each n-gram: each longer one (by its last place) is one of them."""
    return np.bincount(numbered[longer], minlength=grams).astype(np.int64)


def _order(keys: Ids, counts: Ids, contexts: int, vocabulary: int) -> _Order:
    """Discounted shares, and what is left for the order below."""
    discounts = _discounts(counts)
    context, kind = keys // vocabulary, np.minimum(counts, CLASSES)
    total = np.bincount(context, weights=counts, minlength=contexts)
    left = np.bincount(context, weights=discounts[kind], minlength=contexts)
    size = np.maximum(total, 1.0)
    shares = np.maximum(counts - discounts[kind], 0.0) / size[context]
    return _Order(keys, shares, np.where(total > 0, left / size, 1.0))


def _discounts(counts: Ids) -> Array:
    """D for the counts 0, 1, 2, and 3 or more."""
    n = np.bincount(np.minimum(counts, CLASSES + 2), minlength=CLASSES + 3)[1 : CLASSES + 2].astype(float)
    if not n[:CLASSES].all():
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n[0] / (n[0] + 2 * n[1])
    rank = np.arange(1, CLASSES + 1)
    found = rank - (rank + 1) * y * n[1:] / n[:-1]
    # Few n-grams may ask for less than nothing, or for more than all.
    return np.concatenate([[0.0], np.clip(found, 0.1, rank - 0.1)])


def _find(keys: Ids, context: Ids, token: Ids, vocabulary: int) -> Ids:
    """The numbers of n-grams, each a context's number and a token; UNSEEN where the context or the n-gram is."""
    wanted = context * vocabulary + token
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((context != UNSEEN) & (keys[place] == wanted), place, UNSEEN)
