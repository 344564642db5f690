"""The sizes of a tagger: told by the options where they say, else by the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ostinato.data import DataError
from ostinato.metrics import spans

if TYPE_CHECKING:
    from ostinato.data.text.tagged import Tagged
    from ostinato.tasks.tag import TagOptions

LARGE, MIDDLE = 100_000, 10_000  # words to learn from, from which on networks are wider
READ = 1_000_000  # words that are read in training, all epochs together
FEWEST, MOST = 15, 30  # epochs
MOST_TAGS = 500  # of a chain: it has a number for each pair of tags

Letters = Literal["lstm", "conv", "none"]


class Plan(BaseModel):
    """Sizes, all decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str
    hidden_size: int = Field(ge=1, le=100_000)
    num_layers: int = Field(ge=1, le=1_000)
    bidirectional: bool
    dropout: float = Field(ge=0, lt=1)
    letters: Letters
    word_width: int = Field(ge=1, le=100_000)
    letters_width: int = Field(ge=2, le=100_000)
    head: Literal["crf", "softmax"]
    scheme: str
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    clip: float | None
    recurrent_norm_limit: float | None
    weight_norm: bool
    seed: int = Field(ge=0)
    device: str


def plan(data: Tagged, options: TagOptions) -> Plan:
    """The sizes for these data.

    Raises:
        DataError: there are more tags than a chain can hold in pairs.
    """
    words, scheme = sum(map(len, data.words)), spans.scheme(data.tags)
    size = (words >= MIDDLE) + (words >= LARGE)
    hidden = options.hidden_size or (64, 128, 200)[size]
    epochs = options.epochs or min(MOST, max(FEWEST, READ // max(1, words)))
    dropout = (0.3, 0.4, 0.33)[size] if options.dropout is None else options.dropout
    rate = options.learning_rate or (5e-3, 3e-3, 2e-3)[size]
    return Plan(
        cell=options.cell, hidden_size=hidden, num_layers=options.num_layers or (1, 1, 2)[size],
        bidirectional=options.bidirectional, dropout=dropout, letters=options.letters,
        word_width=(50, 100, 100)[size], letters_width=(50, 100, 100)[size], head=_head(data, options, scheme),
        scheme=scheme, epochs=epochs, patience=max(5, epochs // 5), batch_size=options.batch_size or (8, 16, 32)[size],
        learning_rate=rate, clip=options.clip, weight_norm=options.weight_norm,
        recurrent_norm_limit=options.recurrent_norm_limit, seed=options.seed, device=options.device,
    )  # fmt: skip


def _head(data: Tagged, options: TagOptions, scheme: str) -> Literal["crf", "softmax"]:
    """A chain where tags mark spans: which follows which is a rule there."""
    kinds = len(data.kinds())
    if options.head == "crf" and kinds > MOST_TAGS:
        raise DataError(data.source, f"{kinds} tags are too many for a chain", "give --head softmax")
    return options.head or ("crf" if scheme and kinds <= MOST_TAGS else "softmax")
