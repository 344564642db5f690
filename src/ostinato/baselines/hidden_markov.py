"""The hidden Markov model of tagging: which tag follows which, which words a tag brings forth, and endings of words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[np.float64]
Sentences = Sequence[Sequence[str]]

RARE, ENDING = 10, 10  # words seen so often at most show what endings tell; letters of an ending at most
SMALL = 1e-9  # of a chance that was never met
AT_ONCE = 256  # sentences that are tagged together


class HiddenMarkov:
    """ŷ = argmax over y of prod_t P(y_t | y_{t-1}) P(w_t | y_t), found by Viterbi's algorithm.

        P(b | a) = l2 c(a, b) / c(a) + l1 c(b) / N            l by deleted interpolation
        P(w | t) = c(w, t) / c(t);  of unknown words ~ P(t | ending) / P(t)
        P(t | ending of i letters) = (c(t, ending) / c(ending) + h P(t | ending of i - 1 letters)) / (1 + h)

    Endings are learnt from rare words, those with a capital letter apart; h is the deviation of the tags' shares.

    Source: Brants (2000), TnT, A Statistical Part-of-Speech Tagger; with pairs of tags in place of triples.

    >>> tagger = HiddenMarkov().fit([["the", "dog", "runs"], ["dogs", "run"]], [["D", "N", "V"], ["N", "V"]])
    >>> tagger.predict([["the", "cat", "runs"]])
    [['D', 'N', 'V']]
    """

    name = "hidden_markov"

    def fit(self, words: Sentences, tags: Sentences) -> Self:
        """Count.

        Raises:
            ValueError: there are no words.
        """
        self.tags = sorted(set(chain.from_iterable(tags)))
        if not self.tags:
            raise ValueError(f"{self.name}: there are no words to count")
        ids = {tag: k for k, tag in enumerate(self.tags)}
        rows = [[ids[tag] for tag in sentence] for sentence in tags if sentence]
        self._shares = np.bincount(list(chain.from_iterable(rows)), minlength=len(ids)).astype(float)
        self._moves = _moves(rows, self._shares)
        seen: defaultdict[str, Array] = defaultdict(lambda: np.zeros(len(ids)))
        for word, tag in zip(chain.from_iterable(words), chain.from_iterable(tags), strict=True):
            seen[word][ids[tag]] += 1
        self._words = {word: np.log(np.maximum(counts / self._shares, SMALL)) for word, counts in seen.items()}
        self._endings = _endings(seen)
        self._unknown: dict[str, Array] = {}
        return self

    def predict(self, words: Sentences) -> list[list[str]]:
        """The tags of each sentence."""
        found: list[list[str]] = []
        for first in range(0, len(words), AT_ONCE):
            found += self._some(words[first : first + AT_ONCE])
        return found

    def _some(self, words: Sentences) -> list[list[str]]:
        import torch

        from ostinato.ops.chain import Moves, best_path

        lengths = [len(sentence) for sentence in words]
        raw = np.zeros((len(words), max([1, *lengths]), len(self.tags)))
        for row, sentence in enumerate(words):
            for t, word in enumerate(sentence):
                raw[row, t] = self._emission(word)
        paths = best_path(torch.from_numpy(raw), Moves(*map(torch.from_numpy, self._moves)), torch.tensor(lengths))
        return [[self.tags[k] for k in row[:n]] for row, n in zip(paths.tolist(), lengths, strict=True)]

    def _emission(self, word: str) -> Array:
        """log P(word | tag), (tags,); of an unknown word but for a number that all tags share."""
        if word in self._words:
            return self._words[word]
        if word not in self._unknown:
            chances = _by_ending(word, self._endings, self._shares)
            self._unknown[word] = np.log(np.maximum(chances, SMALL)) - np.log(self._shares)
        return self._unknown[word]


def _moves(rows: list[list[int]], shares: Array) -> tuple[Array, Array, Array]:
    """log P from tag to tag, from the beginning to a tag, and from a tag to the end."""
    outside = len(shares)
    pairs = np.zeros((outside + 1, outside + 1))
    for row in rows:
        np.add.at(pairs, ([outside, *row], [*row, outside]), 1)
    single = pairs.sum(0)
    weights = _interpolation(pairs, single)
    chances = weights[1] * pairs / pairs.sum(1, keepdims=True) + weights[0] * single / single.sum()
    logs = np.log(np.maximum(chances, SMALL))
    return logs[:-1, :-1].copy(), logs[-1, :-1].copy(), logs[:-1, -1].copy()


def _interpolation(pairs: Array, single: Array) -> Array:
    """How much single tags and pairs count: each pair, left out itself, votes for what foretells it better."""
    before, total = pairs.sum(1, keepdims=True), single.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        by_pair = np.nan_to_num((pairs - 1) / (before - 1), nan=0.0, posinf=0.0, neginf=0.0)
    by_single = np.broadcast_to((single - 1) / max(total - 1, 1), pairs.shape)
    better = by_pair > by_single
    votes = np.array([pairs[~better].sum(), pairs[better].sum()])
    return votes / votes.sum()


def _endings(seen: dict[str, Array]) -> dict[str, Array]:
    """How often each ending of rare words had each tag; endings of capitalised words are marked by a ^ before them."""
    found: dict[str, Array] = {}
    for word, counts in seen.items():
        if counts.sum() <= RARE:
            for ending in _endings_of(word):
                found[ending] = found[ending] + counts if ending in found else counts
    return found


def _endings_of(word: str) -> list[str]:
    """From none of its letters to ENDING of them."""
    mark = "^" if word[:1].isupper() else ""
    return [mark + word[len(word) - i :] for i in range(min(len(word), ENDING) + 1)]


def _by_ending(word: str, endings: dict[str, Array], shares: Array) -> Array:
    """P(tag | ending), (tags,), from the shortest ending to the longest that was seen."""
    chances = shares / shares.sum()
    spread = float(np.std(chances, ddof=1)) if len(chances) > 1 else 1.0
    for ending in _endings_of(word):
        if ending not in endings:
            break
        counts = endings[ending]
        chances = (counts / counts.sum() + spread * chances) / (1 + spread)
    return chances
