"""Rare words weigh more than common ones, and a line is drawn between the classes: TF-IDF + logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import Self

MOST = 100_000  # n-grams, the commonest; with many classes fewer, that there be no more than
WEIGHTS = 4_000_000  # of them: the search holds twenty times as many numbers
STEPS = 100  # of the search at most
STRENGTH = 10.0  # scikit-learn's C; on rows of norm 1 the usual 1 holds the weights back too much


class Tfidf:
    """x[g] = (1 + log count(g)) log((1 + n) / (1 + n(g))) + ..., rows of norm 1; p = softmax(W x + b).

    n-grams g of one or two words, or of one to five characters within words. It knows of order only what two
    neighbouring words tell, learns in seconds, and is hard to beat where texts are few or long.

    Args:
        unit: "word" or "char".

    Attributes:
        classes_: the labels, sorted.
        notes: what the report should say.

    Raises:
        ValueError: scikit-learn is not installed; or no text holds an n-gram.

    Source: Salton and Buckley (1988), Term-Weighting Approaches; scikit-learn's TfidfVectorizer, LogisticRegression.

    >>> model = Tfidf("word").fit(["a good film", "a bad film", "so good", "so bad"], ["+", "-", "+", "-"])
    >>> [model.classes_[row.argmax()] for row in model.predict_proba(["good good", "quite bad"])]
    ['+', '-']
    """

    def __init__(self, unit: Literal["word", "char"] = "word") -> None:
        self.unit, self.name = unit, f"tfidf_{unit}"
        self.notes: tuple[str, ...] = ()
        self.classes_: list[str] = []

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> Self:
        """Learn weights."""
        linear, text, unfinished = _sklearn()
        kind: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (1, 5)}
        if self.unit == "word":
            # Words of one letter and marks count too, which scikit-learn's own pattern leaves out.
            kind = {"token_pattern": r"\w+|[^\w\s]", "ngram_range": (1, 2)}
        most = min(MOST, WEIGHTS // len(set(labels)))
        self._vectors = text.TfidfVectorizer(sublinear_tf=True, max_features=most, dtype=np.float64, **kind)
        try:
            rows = self._vectors.fit_transform(texts)
        except ValueError as error:
            raise ValueError(f"{self.name}: no text holds a word or letter ({error})") from error
        self._model = linear.LogisticRegression(C=STRENGTH, max_iter=STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", unfinished)  # that it stopped is said in `notes`
            self._model.fit(rows, labels)
        self.classes_ = [str(label) for label in self._model.classes_]
        if int(self._model.n_iter_.max()) >= STEPS:
            self.notes = (f"{self.name}: its search was ended after {STEPS} steps",)
        return self

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]:
        """(texts, classes)."""
        return np.asarray(self._model.predict_proba(self._vectors.transform(texts)))


def _sklearn() -> tuple[Any, Any, type[Warning]]:
    try:
        from sklearn import linear_model
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.feature_extraction import text
    except ImportError as error:
        raise ValueError("TF-IDF and logistic regression need scikit-learn: pip install ostinato[text]") from error
    return linear_model, text, ConvergenceWarning
