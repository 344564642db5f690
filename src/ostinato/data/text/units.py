"""Texts as numbers: a vocabulary of words, characters or byte pairs, learnt from a person's own texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ostinato.data.text.bytepairs import BytePairs
from ostinato.data.text.split import joined, words_of

Kind = Literal["word", "char", "bpe"]
Text = str | Sequence[str]  # as it is written, or its words

PADDING, UNKNOWN = "<pad>", "<unk>"
MOST = {"word": 50_000, "char": 5_000, "bpe": 8_000}  # units at most where no size is asked for
LEAST_PAIRS = 512  # units of byte pairs: 256 are the bytes themselves


class Units:
    """What a network reads and writes: each unit of text has a number.

    Number 0 fills up short rows (`padding`), 1 stands for all that is not known (`unknown`), then come `extra`
    units that no text is ever read as, such as a begin and an end, then those of the texts from the most frequent on.

    - "word": as `words_of` divides a text; a text that was divided already is taken as it is.
    - "char": letters and all else, blanks too.
    - "bpe": byte pairs (Sennrich et al. 2016, over bytes as in GPT-2): frequent words are one unit, rare ones
      several, and nothing is ever unknown; decode(encode(text)) is the text.

    Attributes:
        kind: "word", "char" or "bpe".
        vocabulary: the units; a unit's place is its number.
        lower: whether texts are read in lower case.
        extras: numbers of the extra units.

    >>> units = Units.fit("word", ["a good film", "a bad film"])
    >>> units.vocabulary, units.encode("a fine film")
    (('<pad>', '<unk>', 'a', 'film', 'bad', 'good'), [2, 1, 3])
    >>> Units.from_json(units.to_json()).decode([2, 5, 3])
    'a good film'
    """

    padding, unknown = 0, 1

    def __init__(
        self,
        kind: Kind,
        vocabulary: Sequence[str],
        *,
        lower: bool = False,
        extra: Sequence[str] = (),
        pairs: BytePairs | None = None,
    ) -> None:
        self.kind, self.vocabulary, self.lower, self.extra = kind, tuple(vocabulary), lower, tuple(extra)
        self._pairs = pairs
        _check(self)
        self._first = 2 + len(self.extra)
        self._read = {unit: k for k, unit in enumerate(self.vocabulary) if k >= self._first}
        self.extras: Mapping[str, int] = {unit: 2 + k for k, unit in enumerate(self.extra)}

    @classmethod
    def fit(
        cls,
        kind: Kind,
        texts: Iterable[Text],
        *,
        size: int | None = None,
        least: int = 1,
        lower: bool = False,
        extra: Sequence[str] = (),
    ) -> Units:
        """The units of these texts.

        Args:
            kind: "word", "char" or "bpe".
            texts: each a string or a list of words.
            size: units at most, all together; left out: by the size of the texts.
            least: how often a unit must occur.
            lower: read everything in lower case.
            extra: units of one's own, such as ("<s>", "</s>"), with the numbers from 2 on.

        Raises:
            ValueError: no such kind, or size leaves no room for any unit.
        """
        if kind not in get_args(Kind):
            raise ValueError(f"unit is word, char or bpe, found {kind!r}")
        special = (PADDING, UNKNOWN, *extra)
        if kind == "bpe":
            written = [_written(text, lower) for text in texts]
            pairs = BytePairs.fit(written, _usual_pairs(written) if size is None else size - len(special), least)
            return cls(kind, (*special, *pairs.vocabulary), lower=lower, extra=extra, pairs=pairs)
        counts = Counter(unit for text in texts for unit in _divided(kind, text, lower))
        room = MOST[kind] if size is None else size - len(special)
        if room < 1:
            raise ValueError(f"size={size} leaves no room: {len(special)} units are taken ({', '.join(special)})")
        ranked = sorted((-count, unit) for unit, count in counts.items() if count >= least and unit not in special)
        return cls(kind, (*special, *(unit for _, unit in ranked[:room])), lower=lower, extra=extra)

    def __len__(self) -> int:
        """How many units there are, padding and unknown too."""
        return len(self.vocabulary)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Units) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.kind, self.vocabulary, self.lower))

    def encode(self, text: Text) -> list[int]:
        """Numbers of a text's units; a list of words gives one number a word for "word", else is joined by blanks."""
        if self._pairs is not None:
            return [self._first + k for k in self._pairs.encode(_written(text, self.lower))]
        return [self._read.get(unit, self.unknown) for unit in self.split(text)]

    def split(self, text: Text) -> list[str]:
        """The units of a text, known or not, as they are shown."""
        if self._pairs is not None:
            return self._pairs.split(_written(text, self.lower))
        return _divided(self.kind, text, self.lower)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these numbers; padding and extra units are left out.

        Raises:
            ValueError: a number that no unit has.
        """
        numbers = [int(k) for k in ids]
        wrong = [k for k in numbers if not 0 <= k < len(self)]
        if wrong:
            raise ValueError(f"{wrong[0]} is no unit: there are {len(self)}")
        if self._pairs is not None:
            return self._pairs.decode([k - self._first for k in numbers if k >= self._first])
        found = [self.vocabulary[k] for k in numbers if k == self.unknown or k >= self._first]
        return joined(found) if self.kind == "word" else "".join("\ufffd" if c == UNKNOWN else c for c in found)

    def count(self, texts: Iterable[Text]) -> NDArray[np.int64]:
        """(units,) how often each occurs in these texts."""
        counts = np.zeros(len(self), dtype=np.int64)
        for text in texts:
            np.add.at(counts, self.encode(text), 1)
        return counts

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, for a model file; `from_json` is its inverse."""
        plain: dict[str, Any] = {"kind": self.kind, "lower": self.lower, "extra": list(self.extra)}
        if self._pairs is not None:
            return plain | self._pairs.to_json()
        return plain | {"units": list(self.vocabulary[self._first :])}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Units:
        """From `to_json`; nothing but this is read.

        Raises:
            ValueError: it is none.
        """
        try:
            kind, lower, extra = plain["kind"], plain["lower"], [str(unit) for unit in plain["extra"]]
            special = (PADDING, UNKNOWN, *extra)
            if kind == "bpe":
                pairs = BytePairs.from_json(plain)
                return cls("bpe", (*special, *pairs.vocabulary), lower=bool(lower), extra=extra, pairs=pairs)
            return cls(cast(Kind, kind), (*special, *map(str, plain["units"])), lower=bool(lower), extra=extra)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no units of text: {error}") from error


def _check(units: Units) -> None:
    if units.kind not in get_args(Kind):
        raise ValueError(f"unit is word, char or bpe, found {units.kind!r}")
    if units.vocabulary[: 2 + len(units.extra)] != (PADDING, UNKNOWN, *units.extra):
        raise ValueError(f"a vocabulary begins with {', '.join((PADDING, UNKNOWN, *units.extra))}")
    # Byte pairs may spell a special unit as well: that is another number, and decodes to its letters.
    own = units.vocabulary[2 + len(units.extra) :] if units.kind == "bpe" else units.vocabulary
    if len(set(own)) < len(own):
        twice = next(unit for unit, count in Counter(own).items() if count > 1)
        raise ValueError(f"the unit {twice!r} stands twice in the vocabulary")


def _written(text: Text, lower: bool) -> str:
    whole = text if isinstance(text, str) else " ".join(text)
    return whole.lower() if lower else whole


def _divided(kind: Kind, text: Text, lower: bool) -> list[str]:
    if kind == "char":
        return list(_written(text, lower))
    if isinstance(text, str):
        return words_of(_written(text, lower))
    return [word.lower() for word in text] if lower else list(text)


def _usual_pairs(texts: Sequence[str]) -> int:
    """Pairs by the size of the texts: about one a hundred characters, so that each is met often enough to be learnt."""
    return min(MOST["bpe"], max(LEAST_PAIRS, sum(map(len, texts)) // 100))
