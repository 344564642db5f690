"""A text as the numbers that a language model reads, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ostinato.data.text.split import joined, words_of
from ostinato.data.text.units import UNKNOWN, Kind, Units

EOS = "<eos>"
SAMPLE = 200_000  # characters that tell whether words are divided already
DIVIDED = 0.97  # of the marks in a text that is divided into words stand between blanks
MARKS = frozenset('.,;:!?"()')


class Codec:
    """Units of a text that goes on and on: words with a mark at each line's end, characters, or byte pairs.

    Attributes:
        units: the vocabulary.
        tokenised: words are what stands between blanks, because the text was divided already (as the Penn
            Treebank is); else as `words_of` finds them.
        start: the number that stands for what lies before a text: a line's end.

    >>> codec = Codec.fit("word", "to be or not to be\\n")
    >>> codec.decode(codec.encode("not to be\\nor"))
    'not to be\\nor'
    """

    def __init__(self, units: Units, tokenised: bool = False) -> None:
        self.units, self.tokenised = units, tokenised
        self.start = units.encode([EOS] if units.kind == "word" else "\n")[0]

    @classmethod
    def fit(cls, kind: Kind, text: str, *, size: int | None = None, least: int = 1) -> Codec:
        """The units of a text; `size` and `least` as of `Units.fit`."""
        tokenised = kind == "word" and divided(text)
        written: Any = words(text, tokenised) if kind == "word" else text
        return cls(Units.fit(kind, [written], size=size, least=least), tokenised)

    def __len__(self) -> int:
        return len(self.units)

    def encode(self, text: str) -> list[int]:
        """Numbers of a text; of words, a line's end is one too."""
        if self.units.kind != "word":
            return self.units.encode(text)
        return self.units.encode(words(text, self.tokenised))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of numbers."""
        if self.units.kind != "word":
            return self.units.decode(ids)
        lines: list[list[str]] = [[]]
        for k in ids:
            word = self.units.vocabulary[k]
            if word == EOS:
                lines.append([])
            else:
                lines[-1].append(word)
        return "\n".join(" ".join(line) if self.tokenised else joined(line) for line in lines)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Each unit as it is shown, blanks and line ends too: joined, they are a text."""
        if self.units.kind == "char":
            return [self.units.decode([k]) for k in ids]
        found: list[str] = []
        for k in ids:
            text = self.decode([k]) if self.units.kind == "word" else self.units.decode([k])
            blank = self.units.kind == "word" and found and not found[-1].endswith("\n") and text != "\n"
            found.append(f" {text}" if blank else text)
        return found

    def unknown(self, ids: Iterable[int]) -> float:
        """Which share of numbers stands for units that are not in the vocabulary."""
        numbers = list(ids)
        return numbers.count(self.units.unknown) / max(1, len(numbers))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; `from_json` is its inverse."""
        return {"units": self.units.to_json(), "tokenised": self.tokenised}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Codec:
        """From `to_json`.

        Raises:
            ValueError, KeyError: it is none.
        """
        return cls(Units.from_json(plain["units"]), bool(plain["tokenised"]))


def words(text: str, tokenised: bool) -> list[str]:
    """The words of a text with `<eos>` at the end of each line; a last line without an end has none.

    >>> words("so it is.\\nor", tokenised=False)
    ['so', 'it', 'is', '.', '<eos>', 'or']
    """
    found: list[str] = []
    for line in text.split("\n"):
        found += line.split() if tokenised else words_of(line)
        found.append(EOS)
    return found[:-1]


def divided(text: str) -> bool:
    """Whether words and marks stand between blanks already: `<unk>` says so, or that marks touch no word.

    >>> divided("he said , no .\\n"), divided("He said, no.\\n")
    (True, False)
    """
    part = text[:SAMPLE]
    if f" {UNKNOWN} " in part:
        return True
    marked = [word for word in part.split() if not MARKS.isdisjoint(word)]
    alone = sum(len(word) == 1 for word in marked)
    return bool(marked) and alone >= DIVIDED * len(marked)


def usual_unit(text: str) -> Kind:
    """Words where the text is divided into them already, else characters."""
    return "word" if divided(text) else "char"
