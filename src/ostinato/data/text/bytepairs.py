"""Byte pairs: frequent runs of bytes are one unit, and every text can be written with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BYTES = 256


class BytePairs:
    """Sennrich et al. 2016 over the bytes of UTF-8, words divided as in GPT-2 (Radford et al. 2019).

    Only the vocabulary and the merges are kept: what they are applied with is always the same, so a file says
    nothing but these.

    Attributes:
        vocabulary: units by their number, each byte written as the printable character GPT-2 gives it.
        merges: pairs in the order in which they are merged.
    """

    def __init__(self, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        self.vocabulary, self.merges = tuple(vocabulary), tuple(merges)
        self._tokenizer = _tokenizer(self.vocabulary, self.merges)

    @classmethod
    def fit(cls, texts: Iterable[str], size: int, least: int = 1) -> BytePairs:
        """The units of these texts, `size` at most, bytes included, of pairs that occur `least` times or more.

        Raises:
            ValueError: size is below 256, or the library is not installed.
        """
        if size < BYTES:
            raise ValueError(f"byte pairs need a size of at least {BYTES} and the special units, found {size}")
        library = _library()
        tokenizer = _tokenizer((), ())
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=max(2, least),
            show_progress=False,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        )
        tokenizer.train_from_iterator(texts, trainer)
        learnt = json.loads(tokenizer.to_str())["model"]
        vocabulary = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
        return cls(vocabulary, [_pair(merge) for merge in learnt["merges"]])

    def encode(self, text: str) -> list[int]:
        """Numbers of the units, from 0."""
        return list(self._tokenizer.encode(text).ids)

    def split(self, text: str) -> list[str]:
        """The units as text; a unit that ends within a character shows as the replacement character."""
        return [self._tokenizer.decode([k]) for k in self.encode(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these numbers."""
        return str(self._tokenizer.decode(list(ids)))

    def to_json(self) -> dict[str, Any]:
        """Vocabulary and merges."""
        return {"units": list(self.vocabulary), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> BytePairs:
        """From `to_json`.

        Raises:
            ValueError: it is none.
        """
        units, merges = [str(unit) for unit in plain["units"]], [_pair(pair) for pair in plain["merges"]]
        known = set(units)
        if not known >= set(_library().pre_tokenizers.ByteLevel.alphabet()):
            raise ValueError("byte pairs without all 256 bytes")
        for left, right in merges:
            if not {left, right, left + right} <= known:
                raise ValueError(f"the merge of {left!r} and {right!r} is not of the vocabulary")
        return cls(units, merges)


def _pair(written: Any) -> tuple[str, str]:
    """A merge, as a pair or, as older releases of the library write it, with a blank between."""
    left, right = written.split(" ") if isinstance(written, str) else written
    return str(left), str(right)


def _tokenizer(vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]) -> Any:
    library = _library()
    model = library.models.BPE(vocab={unit: k for k, unit in enumerate(vocabulary)}, merges=list(merges))
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    return tokenizer


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError("byte pairs need the library tokenizers: pip install ostinato[text]") from error
    return tokenizers
