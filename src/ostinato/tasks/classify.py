"""Classify texts: sentiment, topic, language, spam; with honest probabilities, beside the classical classifiers."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ostinato.data import DataError, builtin
from ostinato.data.errors import shown
from ostinato.data.text.labelled import Labelled, read_labelled, read_texts
from ostinato.data.text.split import holdout
from ostinato.spec import Spec
from ostinato.tasks.classifying.learnt import Learnt
from ostinato.tasks.classifying.measure import feed_forward, known, positive, rivals, scores
from ostinato.tasks.classifying.outcome import Measured, describe, held_words, summary
from ostinato.tasks.classifying.plan import plan
from ostinato.tasks.options import Options
from ostinato.tasks.outcome import Outcome
from ostinato.tasks.task import Arrays, Task

if TYPE_CHECKING:
    from typing_extensions import Self

    from ostinato.training import Callback, History

TEST, VALID = 0.2, 0.1  # shares held out to measure on, and to stop by
FIT, RIVAL, CURVE = 0.6, 0.1, 0.2  # of a time limit; the rest is for reading, the classical baselines and the report
PARTS = (0.125, 0.25, 0.5)  # of the texts, for the learning curve
LEAST = 8  # texts that anything can be learnt from


class ClassifyOptions(Options):
    """What a classification needs to know; nothing has to be said."""

    kind: Literal["text"] = Field("text", description="what is classified")
    text: str | None = Field(None, description="column of the texts, by name or place from 0; told from the data")
    label: str | None = Field(None, description="column of the labels; told from the data")
    unit: Literal["word", "char", "bpe"] | None = Field(
        None, description="what texts are read by; letters for names, words for sentences"
    )
    cell: str = Field("gru", description="recurrent cell: gru, lstm, rnn, one's own (`ostinato list`), or conv")
    pooling: Literal["last", "max", "mean", "attention"] = Field("max", description="from steps to one vector")
    bidirectional: bool = Field(True, description="read in both directions")
    batch_size: int | None = Field(None, ge=1, description="texts in a step of training; by the size of the data")
    vectors: str | None = Field(None, description="file of pretrained word vectors: GloVe's or word2vec's text format")
    balance: bool = Field(False, description="let rare classes count more in training")
    members: int | None = Field(None, ge=1, le=100, description="networks whose mean answers; by the size of the data")
    ngrams: bool = Field(True, description="weigh a bag of n-grams beside the networks")
    learning_curve: bool = Field(False, description="also learn from 1/8, 1/4 and 1/2 of the texts, for the report")


class TextClassifier(Task):
    """Tells the class of a text, and how sure it is.

        log p(class | text) = a log p_network + b log p_ngrams + constant,   p_network = softmax(W pool(encoder(x)))

    Recurrent networks read a text in both directions, by words or by letters; beside them stands a bag of n-grams,
    which knows nothing of order and learns rare phrases at once. How far each is believed (a, b) is found on texts
    that neither has learnt from, so that probabilities are as often right as they say.

    Args:
        options: the fields of `ClassifyOptions` and `Options`, each with its meaning.

    Attributes:
        classes_: the labels, as words, in the order of the columns of `predict_proba`.

    Raises:
        TypeError, ValueError: an option is unknown or cannot be.

    >>> texts = ["what a good film", "so very good", "what a bad film", "so very bad"] * 8
    >>> model = TextClassifier(epochs=2, members=1)
    >>> history = model.fit((texts, ["yes", "yes", "no", "no"] * 8))
    >>> model.predict("good"), model.predict(["good", "bad"]), model.classes_.tolist()
    ('yes', ['yes', 'no'], ['no', 'yes'])
    """

    name: ClassVar[str] = "classify"
    Options: ClassVar[type[Options]] = ClassifyOptions
    options: ClassifyOptions
    reads: ClassVar[str] = "CSV, TSV or JSON lines with a text and a label, `label text` lines, or a folder (.gz too)"
    builtin: ClassVar[str] = "surnames to languages (from faker)"
    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("ostinato classify", "tell the language of a surname, with data that come with it"),
        ("ostinato classify reviews.csv --text review --label stars", "columns by name"),
        ("ostinato classify train.tsv.gz --valid dev.tsv --test test.tsv", "the splits of a benchmark"),
        ("ostinato classify reviews.csv --cell lstm --pooling attention --vectors glove.txt", "another network"),
        ('echo "what a film" | ostinato predict runs/reviews', "ask the trained model"),
    )

    # scikit-learn's words -------------------------------------------------------------------

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
        """Train.

        Args:
            data: path, pandas or polars frame, (texts, labels), or pairs (text, label); labels become words.
            validation: the same, of texts that decide when to stop and are not learnt from; a tenth of data where
                left out.
            callbacks: see `ostinato.training.Callback`; of the first network.
            out: folder for checkpoints and history.jsonl, which `resume` goes on from.
            quiet: no progress line.

        Raises:
            DataError: the data cannot be used, or hold one class only.
        """
        train, valid = self._stopping(self._read(data), validation)
        how: dict[str, Any] = {"out": out, "resume": resume, "quiet": quiet, "callbacks": callbacks}
        self._learnt = self._learn(train, valid, time_limit=self.options.time_limit, **how)
        history: History = self._learnt.history  # type: ignore[assignment]
        return history

    def _learn(self, train: Labelled, valid: Labelled, **how: Any) -> Learnt:
        from ostinato.tasks.classifying.training import learn

        classes, words = train.classes(), self.options
        sizes = plan(train.texts, train.labels, classes, words)
        valid = known(valid, classes, words.on_bad == "skip")
        return learn(train, valid, sizes, classes, vectors=words.vectors, ngrams=words.ngrams, **how)

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The labels, in the order of the columns of `predict_proba`."""
        learnt: Learnt = self._fitted("_learnt")
        return np.array(learnt.classes)

    def predict(self, data: Any = None) -> Any:
        """The label of a text, or a list of labels of several.

        Args:
            data: a string is a text; a list of texts; a `Path` of a file; a frame.
        """
        p, classes = self.predict_proba(data), self._fitted("_learnt").classes
        return classes[int(p.argmax())] if p.ndim == 1 else [classes[k] for k in p.argmax(1)]

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """Probabilities: (classes,) of one text, (texts, classes) of several; columns as in `classes_`.

        An empty text, or one of unknown words alone, gets what is likely without any.
        """
        learnt: Learnt = self._fitted("_learnt")
        texts = read_texts(data, text=self.options.text, on_bad=self.options.on_bad, labels=learnt.classes)
        p = np.exp(learnt.log_probability(texts)) if texts else np.empty((0, len(learnt.classes)))
        return np.asarray(p[0] if isinstance(data, str) else p)

    def score(self, data: Any) -> dict[str, float]:
        """How well texts with labels are told.

        Returns:
            accuracy, macro_f1, nll, calibration_error (of 15 bins), and where there are two classes f1 and auroc of
            the one that was rarer in training.

        Raises:
            DataError: a label that was not learnt.
        """
        learnt: Learnt = self._fitted("_learnt")
        held = self._known(data)
        p = np.exp(learnt.log_probability(held.texts))
        return scores(p, learnt.classes, held.labels, positive(learnt.classes, learnt.counts))

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
        """Hold out a part (or `test`), train, and compare with the baselines on it."""
        from ostinato.tasks.classifying.training import Run

        began, limit = time.monotonic(), self.options.time_limit
        whole = builtin.names() if data is None else self._read(data)
        whole.classes()
        train, held, how = self._held_out(whole, test)
        train, valid = self._stopping(train, validation)
        held = known(held, train.classes(), self.options.on_bad == "skip")
        training: dict[str, Any] = {"out": out, "resume": resume, "quiet": quiet, "callbacks": callbacks}
        self._learnt = learnt = self._learn(train, valid, time_limit=limit and FIT * limit, **training)
        if not quiet:
            print(f"{_shown(held.texts[0])}: {self.predict(held.texts[0])} (now the baselines)", file=sys.stderr)
        others, said = rivals(train, held, learnt.classes)
        run = Run(learnt, train, known(valid, learnt.classes, True))
        others.append(feed_forward(learnt, run, held, limit and RIVAL * limit))
        curve = self._curve(train, valid, held, limit)
        read = dict.fromkeys((*whole.notes, *valid.notes, *held.notes))
        notes = [*read, held_words(train, valid, held, how), *said]
        return describe(Measured(learnt, held, others, began, notes, curve))

    def evaluate(self, data: Any) -> Outcome:
        """A trained model on texts with labels, beside the commonest class of its training."""
        from ostinato.tasks.classifying.measure import Rival

        began, learnt = time.monotonic(), self._fitted("_learnt")
        held = self._known(data)
        shares = np.array(learnt.counts) / sum(learnt.counts)
        majority = Rival("majority", np.tile(shares, (len(held), 1)))
        return describe(Measured(learnt, held, [majority], began, held.notes))

    def answer(self, source: str | os.PathLike[str] | None) -> Mapping[str, Sequence[Any]]:
        """What `ostinato predict` writes: each text, its label, and the probability of that.

        Raises:
            ValueError: no file was given.
        """
        if source is None:
            raise ValueError("nothing to classify: give a file, or texts on standard input, one a line")
        learnt: Learnt = self._fitted("_learnt")
        texts = read_texts(Path(source), text=self.options.text, on_bad=self.options.on_bad, labels=learnt.classes)
        p = self.predict_proba(texts)
        predicted = [learnt.classes[k] for k in p.argmax(1)]
        return {"text": texts, "predicted": predicted, "probability": p.max(1).tolist()}

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], Arrays]:
        """Manifest and tensors: networks, n-grams, units, and how far each is believed."""
        learnt: Learnt = self._fitted("_learnt")
        words, tensors = learnt.to_file()
        spec = Spec(inputs=len(learnt.units), outputs=len(learnt.classes))
        return self._manifest(spec.to_json(), words), tensors

    @classmethod
    def from_file(cls, manifest: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The classifier that `to_file` took apart, ready to predict.

        Raises:
            ValueError: the parts do not fit together.
        """
        task = cls(**manifest["arguments"])
        task._learnt = Learnt.of_file(manifest["extra"], tensors)
        return task

    # Steps ------------------------------------------------------------------------------------

    def _read(self, source: Any) -> Labelled:
        words = self.options
        data = read_labelled(source, text=words.text, label=words.label, on_bad=words.on_bad)
        if len(data) < LEAST:
            raise DataError(data.source, f"{len(data)} texts", f"give at least {LEAST}")
        if len(set(data.labels)) == len(data):
            found = f"each of the {len(data)} labels occurs once, such as {shown(data.labels[0])}"
            raise DataError(data.source, found, "say with --label which column they are in, --text is the other")
        return data

    def _more(self, source: Any) -> Labelled:
        """A further source: that it holds few texts, or one class, is no fault."""
        words = self.options
        return read_labelled(source, text=words.text, label=words.label, on_bad=words.on_bad)

    def _known(self, source: Any) -> Labelled:
        return known(self._more(source), self._fitted("_learnt").classes, self.options.on_bad == "skip")

    def _held_out(self, whole: Labelled, test: Any) -> tuple[Labelled, Labelled, str]:
        """What may be learnt from, what is measured on, and how the two were parted."""
        if test is not None:
            held = self._more(test)
            return whole, held, f"those of {held.source}"
        train, held = _parted(whole, TEST, self.options.seed)
        return train, held, f"drawn at random, class by class, equal texts on one side (--seed {self.options.seed})"

    def _stopping(self, train: Labelled, validation: Any) -> tuple[Labelled, Labelled]:
        """What is learnt from, and what training stops by."""
        train.classes()
        return _parted(train, VALID, self.options.seed + 1) if validation is None else (train, self._more(validation))

    def _curve(self, train: Labelled, valid: Labelled, held: Labelled, limit: float | None) -> list[tuple[int, float]]:
        """How the accuracy grows with the data: (texts learnt from, accuracy)."""
        if not self.options.learning_curve:
            return []
        order = np.random.default_rng(self.options.seed).permutation(len(train))
        found = []
        for share in PARTS:
            part = train.pick(np.sort(order[: max(LEAST, round(share * len(train)))]).tolist())
            if set(part.labels) == set(train.labels):
                learnt = self._learn(part, valid, time_limit=limit and CURVE * limit / len(PARTS), quiet=True)
                right = np.array(learnt.classes)[learnt.log_probability(held.texts).argmax(1)] == held.labels
                found.append((len(part), float(right.mean())))
        right = self.classes_[self._learnt.log_probability(held.texts).argmax(1)] == held.labels
        return [*found, (len(train), float(right.mean()))]


def _parted(data: Labelled, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """Two parts, class by class; equal texts are not torn apart, or the second would hold what is known by heart.

    Raises:
        DataError: a part would be empty.
    """
    train, held = holdout(len(data), share, seed, groups=data.texts, labels=data.labels)
    if not len(held):  # a few texts, said over and over
        train, held = holdout(len(data), share, seed, labels=data.labels)
    if not len(held) or len({data.labels[k] for k in train}) < 2:
        found = f"{len(data)} texts of {len(set(data.labels))} classes are too few to hold {share:.0%} out"
        raise DataError(data.source, found, "give more, or --valid FILE and --test FILE")
    return data.pick(train.tolist()), data.pick(held.tolist())


def _shown(text: str) -> str:
    short = " ".join(text.split())
    return repr(short if len(short) <= 50 else short[:47] + "...")
