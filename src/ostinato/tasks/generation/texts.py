"""Texts as a language model learns them: units, chunks, what is measured, what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ostinato import metrics
from ostinato.data import DataError, builtin
from ostinato.data.text.codec import Codec, divided, usual_unit
from ostinato.data.text.plain import Plain, read_plain
from ostinato.tasks.generation.plan import Plan, text_plan

if TYPE_CHECKING:
    from torch import Tensor

    from ostinato.models.language import Language

Array = NDArray[np.float64]

HELD, HELD_BACK = 0.1, 0.05  # shares: of a text, for the test; of the rest, to tell when to stop
PLACES = 5  # that what is held back to stop by is taken from: only near its end a text is like its end
BYTES = 258  # units that byte pairs begin with: the bytes, and those that stand for padding and the unknown
LEAST = 200  # characters that can be learnt from
RARE = 2  # a word that occurs less is unknown, so that the unknown is learnt too
ORDERS = {"word": 5, "bpe": 5, "char": 7}  # of the n-grams beside it
COLUMNS = 8  # pieces in which a validation reads
SHOWN = {"word": 150, "bpe": 250, "char": 700}  # units of samples and readings in a report


@dataclass(frozen=True)
class Part:
    """A text as numbers.

    Attributes:
        ids: (time,).
        characters: of the text, for bits a character.
        source: what errors call it.
        notes: what was done to it.
    """

    ids: Tensor
    characters: int
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


class Texts:
    """Texts in units of a codec. Its twin is `Music`.

    Attributes:
        codec: units and numbers.
        step: what a unit is called.
        best: the table's columns.
    """

    kind: ClassVar[str] = "text"
    temperature: ClassVar[float] = 0.8  # of samples: an untempered law writes too many slips

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.step = {"word": "word", "bpe": "byte pair", "char": "character"}[codec.units.kind]
        self.best = {"perplexity": "min", "bits_per_character": "min"}
        if codec.units.kind == "char":
            self.best = {"bits_per_character": "min", "nll": "min", "perplexity": "min"}

    @staticmethod
    def read(source: Any, on_bad: str) -> Plain:
        """A text, whole; the built-in one for None."""
        return builtin.topics() if source is None else read_plain(source, on_bad=on_bad)

    @staticmethod
    def divide(whole: Plain, unit: str | None) -> tuple[Plain, Plain]:
        """The text up to its last tenth, and that: what comes after all that was learnt from.

        Raises:
            DataError: the text is too short.
        """
        text = _enough(whole)
        place = _line_end(text, int(len(text) * (1 - HELD)), unit or usual_unit(text))
        return Plain(text[:place], whole.source, whole.notes), Plain(text[place:], whole.source)

    @staticmethod
    def hold_back(whole: Plain, unit: str | None) -> tuple[Plain, Plain]:
        """A text without a twentieth of it, and that, out of the middle of each fifth.

        Texts drift: without its last twentieth a model would know less of what comes after it.

        Raises:
            DataError: the text is too short.
        """
        text, kept, held, done = _enough(whole), "", "", 0
        unit, length = unit or usual_unit(text), len(text) / PLACES
        for k in range(PLACES):
            begin, end = (_line_end(text, int((k + 0.5 + side * HELD_BACK / 2) * length), unit) for side in (-1, 1))
            kept, held, done = kept + text[done:begin], held + text[begin:end], end
        if not held.strip() and unit != "char":  # lines are too long to be left whole
            return Texts.hold_back(whole, "char")
        return Plain(kept + text[done:], whole.source, whole.notes), Plain(held, whole.source)

    @classmethod
    def learnt_from(cls, text: Plain, options: Any) -> Texts:
        """The units of a text."""
        kind = options.unit or usual_unit(text.text)
        if kind == "bpe" and options.vocabulary is not None and options.vocabulary < BYTES:
            raise ValueError(f"vocabulary={options.vocabulary}: byte pairs need {BYTES} or more: every byte is a unit")
        least = RARE if kind == "word" and not divided(text.text) else 1
        return cls(Codec.fit(kind, text.text, size=options.vocabulary, least=least))

    def part(self, text: Plain) -> Part:
        """A text as numbers."""
        import torch

        ids = torch.tensor(self.codec.encode(text.text), dtype=torch.long)
        if len(ids) < 2:
            raise DataError(text.source, "holds no text to speak of", "give more")
        return Part(ids, len(text.text), text.source, text.notes)

    def plan(self, options: Any, part: Part) -> Plan:
        """Sizes by the data."""
        from ostinato.heads.adaptive_softmax import usual_cutoffs

        cutoffs = usual_cutoffs(self._counts(part).tolist())
        return text_plan(options, len(self.codec), len(part), tuple(cutoffs))

    def network(self, plan: Plan) -> Language:
        """The network of a plan, drawn from torch's default generator."""
        from ostinato.models.language import token_model

        return token_model(
            plan.units, plan.cell, plan.hidden_size, plan.num_layers, embedding_size=plan.embedding_size,
            tied=plan.tied, cutoffs=plan.cutoffs, dropout=plan.dropout, input_dropout=plan.input_dropout,
            word_dropout=plan.word_dropout, weight_dropout=plan.weight_dropout,
        )  # fmt: skip

    def begin(self, network: Language, part: Part) -> None:
        """Let the head begin with how frequent units are."""
        from ostinato.models.language import begin_at_frequencies

        begin_at_frequencies(network, self._counts(part))

    def batches(self, plan: Plan, part: Part) -> Any:
        """What training reads."""
        from ostinato.data.text.streams import Columns

        return Columns(part.ids, plan.batch_size, plan.steps, plan.seed)

    @staticmethod
    def objective(model: Any, batch: Mapping[str, Tensor], state: Any) -> tuple[Any, Any, Any]:
        """Truncated back-propagation: a chunk's loss, and the state that the next chunk goes on from."""
        return model.loss(batch["x"], batch["y"], state)

    def log_probabilities(self, network: Language, part: Part, quick: bool = False) -> Array:
        """log p of each unit given all before it; `quick`: the text in a few pieces side by side."""
        from ostinato.models.language import log_probabilities

        columns = min(COLUMNS, max(1, len(part) // 500)) if quick else 1
        ids = part.ids.to(next(network.parameters()).device)
        return log_probabilities(network, ids, self.codec.start, columns)

    def metrics(self, log_p: Array, part: Part) -> dict[str, float]:
        """perplexity and nll a unit, bits_per_character."""
        nll = metrics.nll(log_p)
        bits = nll * len(log_p) / (part.characters * float(np.log(2)))
        return {"perplexity": metrics.perplexity(log_p), "bits_per_character": bits, "nll": nll}

    def baselines(self, known: Part, part: Part) -> dict[str, dict[str, float]]:
        """n-grams and frequencies that learnt from `known`, on `part`."""
        from ostinato.baselines.kneser_ney import KneserNey

        orders = {"kneser_ney": ORDERS[self.codec.units.kind], "unigram": 1}
        return {
            name: self.metrics(
                KneserNey(order).fit(known.ids.numpy(), len(self.codec)).log_probabilities(part.ids.numpy()), part
            )
            for name, order in orders.items()
        }

    # In use ---------------------------------------------------------------------------------------

    @property
    def length(self) -> int:
        """Units that are written where nobody says how many."""
        return SHOWN[self.codec.units.kind]

    def prompt(self, text: str) -> Tensor:
        """What a sample goes on from: a line's end, then the prompt."""
        import torch

        return torch.tensor([self.codec.start, *self.codec.encode(text)], dtype=torch.long)

    @property
    def never(self) -> tuple[int, ...]:
        """Units that are no text."""
        return (self.codec.units.padding, self.codec.units.unknown)

    def written(self, prompt: str, steps: Iterable[int]) -> str:
        """A prompt and what was drawn after it."""
        if self.codec.units.kind == "word":
            return self.codec.decode([*self.codec.encode(prompt), *steps])
        return prompt + self.codec.decode(steps)

    def notes(self, part: Part) -> list[str]:
        """What a reader of the figures should know."""
        units = self.codec.units
        how = "as they stand between blanks" if self.codec.tokenised else "as the default splitter finds them"
        found = [f"units are {self.step}s{f', {how}' if units.kind == 'word' else ''}: {len(units):,} of them"]
        share = self.codec.unknown(part.ids.tolist())
        if share:
            found.append(f"{share:.2%} of what was measured is not in the vocabulary and counts as one unknown unit")
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"kind": self.kind, "codec": self.codec.to_json()}

    def _counts(self, part: Part) -> NDArray[np.int64]:
        return np.bincount(part.ids.numpy(), minlength=len(self.codec))


def _enough(whole: Plain) -> str:
    if len(whole.text) < LEAST:
        found = f"{len(whole.text.rstrip())} characters are too few to learn from"
        raise DataError(whole.source, found, f"give {LEAST} or more, besides what is held out")
    return whole.text


def _line_end(text: str, place: int, unit: str) -> int:
    """A place in a text, moved to where a line ends unless units are characters."""
    end = text.find("\n", place) + 1
    return end if unit != "char" and 0 < end < len(text) else place
