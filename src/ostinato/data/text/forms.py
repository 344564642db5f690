"""Sentences of words as numbers: each word by itself, in lower case, and by its letters, as it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.data.text.batches import padded
from ostinato.data.text.units import Units

MOST = 200_000  # words that have a vector of their own
LONGEST = 40  # letters of a word that are read: of longer ones, such as addresses, both ends


@dataclass(frozen=True)
class Forms:
    """What words and letters are called in numbers.

    Attributes:
        words: in lower case.
        letters: as they are written; None where words are not spelled.

    >>> forms = Forms.fit([["A", "dog"], ["a", "cat"]])
    >>> len(forms.words), len(forms.letters)
    (5, 9)
    """

    words: Units
    letters: Units | None

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[str]], *, spelled: bool = True, more: Iterable[str] = ()) -> Forms:
        """From the sentences that are learnt from.

        Args:
            spelled: whether letters are read too.
            more: words that are known besides, such as those that have a pretrained vector.
        """
        seen = [list(sentence) for sentence in sentences]
        known = [*seen, [*more]]
        letters = Units.fit("char", {word for sentence in seen for word in sentence}) if spelled else None
        return cls(Units.fit("word", known, size=MOST, lower=True), letters)

    def read(self, sentences: Sequence[Sequence[str]]) -> Sentences:
        """Sentences as numbers, ready for batches."""
        return Sentences(self, sentences)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; `from_json` is its inverse."""
        return {"words": self.words.to_json(), "letters": None if self.letters is None else self.letters.to_json()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Forms:
        """From `to_json`.

        Raises:
            ValueError: it is none.
        """
        letters = plain["letters"]
        return cls(Units.from_json(plain["words"]), None if letters is None else Units.from_json(letters))


class Sentences:
    """Sentences in numbers, of which batches are taken by the numbers of the rows.

    A batch is a dict: `words` (B, T), `written` (B, T) which word as it is written, `lengths` (B,); all int64, 0 past
    a sentence's end. `spelled` gives the letters of the written words that occur in it.

    Args:
        forms: what words and letters are called.
        sentences: each a list of words; of no words too.

    >>> sentences = Forms.fit([["A", "dog"], ["a"]]).read([["a", "dog"], ["A"]])
    >>> batch = sentences[[0, 1]]
    >>> batch["words"].tolist(), batch["lengths"].tolist()
    ([[2, 3], [2, 0]], [2, 1])
    """

    def __init__(self, forms: Forms, sentences: Sequence[Sequence[str]]) -> None:
        self.lengths = torch.tensor([len(sentence) for sentence in sentences], dtype=torch.int64)
        self._starts = self.lengths.cumsum(0) - self.lengths
        words = [word for sentence in sentences for word in sentence]
        self._words = torch.tensor(forms.words.encode(words), dtype=torch.int64)
        places: dict[str, int] = {"": 0}  # what stands in the padding has no letters
        self._written = torch.tensor([places.setdefault(word, len(places)) for word in words], dtype=torch.int64)
        spelled = [[] if forms.letters is None else forms.letters.encode(_short(word)) for word in places]
        letters, self._letter_counts = padded(spelled)
        self._letters = letters.to(torch.int32)

    def __len__(self) -> int:
        """Sentences."""
        return len(self.lengths)

    def __getitem__(self, numbers: Sequence[int] | Tensor) -> dict[str, Tensor]:
        """The batch of these sentences."""
        rows = torch.as_tensor(numbers, dtype=torch.int64)
        return {name: self.cut(flat, rows) for name, flat in (("words", self._words), ("written", self._written))} | {
            "lengths": self.lengths[rows]
        }

    def cut(self, flat: Tensor, rows: Tensor) -> Tensor:
        """One number a word, all sentences behind each other -> (B, T), 0 past a sentence's end."""
        lengths = self.lengths[rows]
        steps = torch.arange(max(1, int(lengths.max()) if len(rows) else 1))
        inside = steps < lengths[:, None]
        at = torch.where(inside, self._starts[rows, None] + steps, 0)
        return torch.where(inside, flat[at], 0) if len(flat) else torch.zeros_like(at)

    def spelled(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The batch, and `letters` (U, longest), `letter_counts` (U,) of the U words that occur in it, `places` (B, T)
        which of them stands where."""
        which, places = batch["written"].unique(return_inverse=True)
        counts = self._letter_counts[which.cpu()]
        letters = self._letters[which.cpu(), : max(1, int(counts.max()))].long()
        to = batch["words"].device
        return {**batch, "letters": letters.to(to), "letter_counts": counts.to(to), "places": places}


def _short(word: str) -> str:
    return word if len(word) <= LONGEST else word[: LONGEST // 2] + word[-LONGEST // 2 :]


def numbered(tags: Sequence[Sequence[str]], kinds: Sequence[str]) -> Tensor:
    """The tags of all sentences behind each other as numbers in `kinds`; -1 for a tag that is not among them."""
    ids = {kind: k for k, kind in enumerate(kinds)}
    return torch.from_numpy(np.array([ids.get(tag, -1) for row in tags for tag in row], dtype=np.int64))
