"""Each word gets the tag that it had most often, whatever stands beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

Sentences = Sequence[Sequence[str]]


class MostFrequentTag:
    """ŷ[t] = argmax over tags of how often word t had the tag.

    A word that was never seen is looked up in lower case, and else gets the tag that words seen once mostly have.
    Of tags that are equally frequent the first in the alphabet is taken.

    Source: Charniak et al. (1993), Equations for Part-of-Speech Tagging.

    >>> tagger = MostFrequentTag().fit([["a", "dog"], ["a", "cat"]], [["DET", "NOUN"], ["DET", "NOUN"]])
    >>> tagger.predict([["A", "bird"]])
    [['DET', 'NOUN']]
    """

    name = "most_frequent_tag"

    def fit(self, words: Sentences, tags: Sentences) -> Self:
        """Count.

        Raises:
            ValueError: there are no words.
        """
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for word, tag in zip(chain.from_iterable(words), chain.from_iterable(tags), strict=True):
            counts[word][tag] += 1
        if not counts:
            raise ValueError(f"{self.name}: there are no words to count")
        once: Counter[str] = Counter()
        lower: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for word, own in counts.items():
            lower[word.lower()] += own
            if own.total() == 1:
                once += own
        self._tags = {word: _first(own) for word, own in {**lower, **counts}.items()}
        self._unknown = _first(once or sum(counts.values(), Counter[str]()))
        return self

    def predict(self, words: Sentences) -> list[list[str]]:
        """The tags of each sentence."""
        return [[self._tag(word) for word in sentence] for sentence in words]

    def knows(self, word: str) -> bool:
        """Whether it was there when tags were counted, in upper or lower case."""
        return word.lower() in self._tags

    def to_json(self) -> dict[str, Any]:
        """What was counted, in plain JSON; `from_json` is its inverse."""
        return {"tags": self._tags, "unknown": self._unknown}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """From `to_json`."""
        found = cls()
        found._tags = {str(word): str(tag) for word, tag in plain["tags"].items()}
        found._unknown = str(plain["unknown"])
        return found

    def _tag(self, word: str) -> str:
        return self._tags.get(word) or self._tags.get(word.lower(), self._unknown)


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda tag: (-counts[tag], tag))
