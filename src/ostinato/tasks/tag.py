"""Tag the words of sentences: parts of speech, names, corrections, beside the classical taggers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field, field_validator

from ostinato.spec import Spec
from ostinato.tasks.options import Options
from ostinato.tasks.outcome import Outcome
from ostinato.tasks.tagging.learnt import Learnt
from ostinato.tasks.tagging.measure import BASELINES, baselines, scores
from ostinato.tasks.tagging.outcome import describe, predictions, summary
from ostinato.tasks.tagging.plan import Letters, plan
from ostinato.tasks.task import Arrays, Task

if TYPE_CHECKING:
    from typing_extensions import Self

    from ostinato.data.text.tagged import Tagged
    from ostinato.training import Callback, History

HELD = 0.1  # of the sentences: to measure on, and of the rest to stop by
FEW = 20  # sentences below which none is spared to stop by
SHARES = {"fit": 0.75, "feed_forward": 0.2}  # of a time limit
KEPT = "the saved model is the measured one"


class TagOptions(Options):
    """What a tagger needs to know; nothing has to be said."""

    cell: str = Field("lstm", description="recurrent cell: gru, lstm, rnn, or one's own (`ostinato list`)")
    num_layers: int | None = Field(  # type: ignore[assignment]  # wider than where one layer is the rule
        None, ge=1, description="layers, one on the other; by the size of the data"
    )
    bidirectional: bool = Field(True, description="read in both directions")
    batch_size: int | None = Field(None, ge=1, description="sentences in a step of training; by the size of the data")
    column: str | None = Field(None, description="of the tags: upos, xpos, ... in CoNLL-U, or its place from 0")
    letters: Letters = Field("lstm", description="what reads words by their letters: lstm, conv, none")
    head: Literal["crf", "softmax"] | None = Field(None, description="crf: tags in a chain, where they mark spans")
    vectors: str | None = Field(None, description="file of pretrained word vectors (GloVe, word2vec text)")
    baselines: tuple[str, ...] = Field((), description="those to stand beside it; all where left out")

    @field_validator("column", mode="before")
    @classmethod
    def _place(cls, column: Any) -> Any:
        return None if column is None else str(column)

    @field_validator("baselines", mode="before")
    @classmethod
    def _known(cls, names: Any) -> Any:
        names = () if names is None else (names,) if isinstance(names, str) else tuple(names)
        for name in names:
            if name not in BASELINES:
                raise ValueError(f"no baseline is called {name!r}: there are {', '.join(BASELINES)}")
        return names


class Tagger(Task):
    """A tag for each word, by a recurrent network that reads a sentence from both ends.

        x[t] = [E[w_t]; letters(w_t)];   h[t] = [forwards(x)[t]; backwards(x)[t]];   tags from head(h)

    Args:
        options: the fields of `TagOptions` as keywords; what is left out is decided by the size of the data.

    Source: Huang, Xu and Yu (2015), Bidirectional LSTM-CRF Models for Sequence Tagging; Plank, Søgaard and Goldberg
    (2016), Multilingual Part-of-Speech Tagging with Bidirectional LSTM Models.

    >>> words = [["a", "dog", "runs"], ["the", "cat", "sleeps"]] * 20
    >>> tagger = Tagger(hidden_size=8, epochs=5, letters="none", learning_rate=0.05)
    >>> history = tagger.fit((words, [["DET", "NOUN", "VERB"]] * 40))
    >>> tagger.predict("the dog sleeps")
    [('the', 'DET'), ('dog', 'NOUN'), ('sleeps', 'VERB')]
    >>> tagger.predict([["a", "cat"]])
    [['DET', 'NOUN']]
    """

    name: ClassVar[str] = "tag"
    Options: ClassVar[type[Options]] = TagOptions
    options: TagOptions
    reads: ClassVar[str] = "CoNLL-U, or lines of a word and its tags (.gz too)"
    builtin: ClassVar[str] = "source of Python's standard library, tagged by Python's own tokenizer and parser"
    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("ostinato tag", "the built-in Python source"),
        ("ostinato tag train.conllu --valid dev.conllu --test test.conllu", "parts of speech"),
        ("ostinato tag names.tsv --column 1", "names, B-PER I-PER O, in the second column"),
    )

    def fit(
        self,
        data: Any,
        *,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        quiet: bool = True,
    ) -> History:
        """Train on sentences with tags.

        Args:
            data: a file, a pair (words, tags) of lists of lists, or sentences of pairs (word, tag).
            validation: the same; it decides which epoch is kept. A tenth of the data where left out.

        Raises:
            DataError: what is wrong, where, and what to do.
        """
        train, valid = self._parts(self._read(data), validation)
        how: dict[str, Any] = {"out": out, "resume": resume, "quiet": quiet, "callbacks": callbacks}
        self._learn(train, valid, self.options.time_limit, how)
        history: Any = self._learnt.history
        return history

    def predict(self, data: Any = None) -> Any:
        """The tags of one sentence or of many.

        Args:
            data: a string, divided into words here -> pairs (word, tag); a list of strings, the words of one
                sentence -> its tags; a list of such lists -> a list of tags for each; a Path of a file -> pairs
                (word, tag) for each of its sentences.

        Raises:
            NotFittedError: before fit.
            DataError: it is none of these.
        """
        from ostinato.data import DataError
        from ostinato.data.text.tagged import read_sentences

        learnt: Learnt = self._fitted("_learnt")
        if not isinstance(data, (os.PathLike, Iterable)):
            raise DataError(type(data).__name__, "is no sentence", "give a string, a list of words, or a list of those")
        if isinstance(data, (str, os.PathLike)):
            words = read_sentences(data)
            told = [list(zip(*pair, strict=True)) for pair in zip(words, learnt.tags(words), strict=True)]
            return told[0] if isinstance(data, str) else told
        if isinstance(data, (list, tuple)) and data and all(isinstance(word, str) for word in data):
            return learnt.tags([_one_sentence(data)])[0]
        return learnt.tags(read_sentences(data))

    def score(self, data: Any) -> dict[str, float]:
        """How good the tags are on sentences that were not learnt from.

        Returns:
            accuracy of words, unknown_accuracy of those never seen in training, exact_match of whole sentences; and
            precision, recall, f1 of spans where the training's tags mark some, else macro_f1 over tags. A tag that
            training had not counts as an error.
        """
        learnt, held = self._fitted("_learnt"), self._read(data)
        return scores(learnt.tags(held.words), held, learnt)

    def summary(self) -> str:
        """What was trained, in a few lines."""
        return summary(self._fitted("_learnt"))

    # The command ------------------------------------------------------------------------------

    def experiment(
        self,
        data: Any = None,
        *,
        test: Any = None,
        validation: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        quiet: bool = False,
        callbacks: Iterable[Callback] = (),
    ) -> Outcome:
        """Train, and measure on `test`, or on a tenth of the sentences held out at random, beside the baselines."""
        from ostinato.data import builtin

        began = time.monotonic()
        whole = self._read(builtin.python_source() if data is None else data)
        learnt_from, held, note = self._split(whole, test)
        train, valid = self._parts(learnt_from, validation)
        limit = self.options.time_limit
        how: dict[str, Any] = {"out": out, "resume": resume, "quiet": quiet, "callbacks": callbacks}
        self._learn(train, valid, limit and SHARES["fit"] * limit, how)
        rival = self._rival(train, valid, limit and SHARES["feed_forward"] * limit, quiet)
        learnt = self._learnt
        others = baselines(train, held.words, learnt, rival, self.options.baselines)
        notes = (*whole.notes, f"learnt from {len(train)} sentences, {sum(map(len, train.words)):,} words", note, KEPT)
        told = learnt.tags(held.words)
        return describe(learnt, told, others, held, name=whole.source, notes=notes, began=began)

    def evaluate(self, data: Any) -> Outcome:
        """A trained model on sentences with tags, beside the most frequent tag of each word."""
        began, learnt, held = time.monotonic(), self._fitted("_learnt"), self._read(data)
        others = {"most_frequent_tag": learnt.usual.predict(held.words)}
        notes = (*held.notes, f"measured on {len(held)} sentences, {sum(map(len, held.words)):,} words")
        return describe(learnt, learnt.tags(held.words), others, held, name=held.source, notes=notes, began=began)

    def answer(self, source: str | os.PathLike[str] | None) -> Mapping[str, Sequence[Any]] | str:
        """Columns sentence, word, predicted: of a file of sentences, one a line, or of words, one a line.

        Raises:
            ValueError: there is no file.
        """
        from ostinato.data.text.tagged import read_sentences

        if source is None:
            raise ValueError("there is nothing to tag: give a file, or sentences on standard input")
        words = read_sentences(Path(source))
        return predictions(words, self._fitted("_learnt").tags(words))

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], Arrays]:
        """Manifest and tensors: the network, its words, letters and tags."""
        learnt: Learnt = self._fitted("_learnt")
        words, tensors = learnt.to_file()
        spec = Spec(outputs=len(learnt.kinds), classes=learnt.kinds)
        return self._manifest(spec.to_json(), words), tensors

    @classmethod
    def from_file(cls, manifest: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The tagger that `to_file` took apart.

        Raises:
            ValueError: the parts do not fit together.
        """
        task = cls(**manifest["arguments"])
        task._learnt = Learnt.of_file(manifest["extra"], tensors)
        return task

    # Steps ------------------------------------------------------------------------------------

    def _read(self, source: Any) -> Tagged:
        from ostinato.data.text.tagged import read_tagged

        column = self.options.column
        place = int(column) if column is not None and column.isdecimal() else column
        return read_tagged(source, column=place, on_bad=self.options.on_bad)

    def _split(self, whole: Tagged, test: Any) -> tuple[Tagged, Tagged, str]:
        """What may be learnt from, what is held out, and a sentence about it."""
        if test is not None:
            held = self._read(test)
            return whole, held, f"measured on {held.source}, {len(held)} sentences"
        learnt_from, held = _held_out(whole, self.options.seed)
        return learnt_from, held, f"measured on {len(held)} sentences, drawn at random and learnt from by nobody"

    def _parts(self, data: Tagged, validation: Any) -> tuple[Tagged, Tagged | None]:
        """What is learnt from, and what decides which epoch is kept."""
        if validation is not None:
            return data, self._read(validation)
        return (data, None) if len(data) < FEW else _held_out(data, self.options.seed + 1)

    def _learn(self, train: Tagged, valid: Tagged | None, limit: float | None, how: dict[str, Any]) -> None:
        from ostinato.tasks.tagging.training import learn

        sizes = plan(train, self.options)
        self._learnt = learn(train, valid, sizes, vectors=self.options.vectors, time_limit=limit, **how)

    def _rival(self, train: Tagged, valid: Tagged | None, limit: float | None, quiet: bool) -> Learnt | None:
        """The feed-forward network on the same words, trained for as many epochs; None where it was not asked for."""
        from ostinato.tasks.tagging.training import learn

        if self.options.baselines and "feed_forward" not in self.options.baselines:
            return None
        how: dict[str, Any] = {"network": "feed_forward", "quiet": quiet, "time_limit": limit, "label": "feed-forward"}
        sizes = self._learnt.plan.model_copy(update={"epochs": max(1, len(self._learnt.history))})
        return learn(train, valid, sizes, vectors=self.options.vectors, **how)


def _held_out(data: Tagged, seed: int) -> tuple[Tagged, Tagged]:
    from ostinato.data import DataError
    from ostinato.data.text.split import holdout

    if len(data) < 2:
        raise DataError(data.source, "holds one sentence, of which none can be held out", "give more, or --test FILE")
    rest, held = holdout(len(data), max(HELD, 1 / len(data)), seed)
    return data.pick(rest.tolist()), data.pick(held.tolist())


def _one_sentence(words: Sequence[str]) -> list[str]:
    """Words, not sentences: one that holds blanks is taken for a mistake."""
    from ostinato.data import DataError

    for word in words:
        if len(word.split()) > 1:
            todo = "give sentences one by one, or as lists of words"
            raise DataError("list", f"{word!r} in a list of words is a sentence", todo)
    return list(words)
