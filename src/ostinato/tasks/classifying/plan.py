"""How large, how long, how many: what a classifier of texts is made with, by what the data are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from ostinato.tasks.classify import ClassifyOptions

FEW_WORDS = 2  # words that most texts have at most where they are names and other short things, read by letters
MOSTLY = 0.9
RARE_FROM = 20_000  # texts from which on a word that occurs once is not worth a vector
WEIGHED = 0.5  # the power of its rarity that a class counts for
READ = 400  # words of a text that are read; the 1,500 first letters
LETTERS = 1500
SMALL = 100_000  # letters up to which a network is half as wide


class Plan(BaseModel):
    """The sizes of a classifier, all decided.

    Attributes:
        unit: what a text is read by.
        least: how often a unit must occur to have a vector of its own.
        longest: units of a text that are read, from its beginning.
        width: of a unit's vector.
        cell, pooling, hidden_size, num_layers, bidirectional: of the network; `cell` may be "conv".
        dropout, unit_dropout: in training; of numbers, and of whole units.
        grams: units in an n-gram of the bag beside the networks.
        members: networks, from seeds of their own.
        weights: what each class counts for.
        epochs, patience, batch_size, learning_rate, clip, recurrent_norm_limit, weight_norm, seed, device: of training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["word", "char", "bpe"]
    least: int = Field(ge=1)
    longest: int = Field(ge=1)
    width: int = Field(ge=1, le=100_000)
    cell: str
    pooling: Literal["last", "max", "mean", "attention"]
    hidden_size: int = Field(ge=1, le=100_000)
    num_layers: int = Field(ge=1, le=1000)
    bidirectional: bool
    dropout: float = Field(ge=0, lt=1)
    unit_dropout: float = Field(ge=0, lt=1)
    grams: int = Field(ge=1, le=9)
    members: int = Field(ge=1, le=100)
    weights: tuple[float, ...]
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    clip: float | None
    recurrent_norm_limit: float | None
    weight_norm: bool
    seed: int
    device: str


def plan(texts: Sequence[str], labels: Sequence[str], classes: Sequence[str], options: ClassifyOptions) -> Plan:
    """What was said, and for the rest what suits texts of this number and length."""
    unit = options.unit or told_unit(texts)
    letters = unit == "char"
    longest = LETTERS if letters else READ
    size = sum(min(longest, len(text) if letters else text.count(" ") + 1) for text in texts)
    found: dict[str, Any] = _of_letters(size) if letters else _of_words(size)
    found |= {
        "unit": unit, "least": 1 if letters or len(texts) < RARE_FROM else 2, "longest": longest,
        "cell": options.cell, "pooling": options.pooling,
        "num_layers": options.num_layers, "bidirectional": options.bidirectional,
        "weights": class_weights(labels, classes, options.balance), "clip": options.clip,
        "recurrent_norm_limit": options.recurrent_norm_limit, "weight_norm": options.weight_norm,
        "seed": options.seed, "device": options.device,
    }  # fmt: skip
    said = ("hidden_size", "dropout", "epochs", "batch_size", "learning_rate", "members")
    found |= {name: getattr(options, name) for name in said if getattr(options, name) is not None}
    return Plan(**found)


def told_unit(texts: Sequence[str]) -> Literal["word", "char"]:
    """Letters for names and other short things, words for sentences.

    >>> told_unit(["Ahearn", "van Dyk"]), told_unit(["a film that is neither good nor bad"])
    ('char', 'word')
    """
    short = sum(len(text.split()) <= FEW_WORDS for text in texts)
    return "char" if short >= MOSTLY * len(texts) else "word"


def _of_words(size: int) -> dict[str, Any]:
    """Words learn by heart quickly: few epochs, much dropout; the more there are, the fewer."""
    return {
        "width": 100, "hidden_size": 100, "dropout": 0.5, "unit_dropout": 0.1, "grams": 2, "learning_rate": 2e-3,
        "epochs": _between(4, round(2_000_000 / size), 10), "patience": 2, "batch_size": 64,
        "members": 1 if size > 1_500_000 else 3,
    }  # fmt: skip


def _of_letters(size: int) -> dict[str, Any]:
    """Letters are few and each occurs often: many epochs."""
    return {
        "width": 48, "hidden_size": 128 if size > SMALL else 64, "dropout": 0.3, "unit_dropout": 0.0, "grams": 5,
        "learning_rate": 2e-3,
        "epochs": _between(3, round(1_700_000 / size), 15), "patience": 4, "batch_size": 64,
        "members": 1 if size > 1_500_000 else 3,
    }  # fmt: skip


def _between(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))


def class_weights(labels: Sequence[str], classes: Sequence[str], balance: bool) -> tuple[float, ...]:
    """1 for each class; to balance them w ~ (1 / count)^WEIGHED, its mean over the texts 1.

    >>> class_weights(["a"] * 9 + ["b"], ["a", "b"], balance=True)
    (0.8333333333333334, 2.5)
    """
    counts = Counter(labels)
    if not balance:
        return (1.0,) * len(classes)
    rarity = {label: (len(labels) / counts[label]) ** WEIGHED for label in classes}
    mean = sum(rarity[label] * counts[label] for label in classes) / len(labels)
    return tuple(rarity[label] / mean for label in classes)
