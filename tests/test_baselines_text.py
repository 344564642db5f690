"""The classical classifiers of texts against scikit-learn itself, and the network without memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from ostinato.baselines import MeanOfEmbeddings
from ostinato.baselines.majority import Majority
from ostinato.baselines.tfidf import Tfidf

TEXTS = ["a good film", "a bad film", "so very good!", "so very bad!", "good, good plot", "dull and bad"] * 4
LABELS = ["+", "-", "+", "-", "+", "-"] * 4


def test_majority_is_the_shares_of_the_labels() -> None:
    model = Majority().fit(["x"] * 5, ["b", "a", "b", "c", "b"])
    assert model.classes_ == ["a", "b", "c"]
    np.testing.assert_allclose(model.predict_proba(["anything", ""]), [[0.2, 0.6, 0.2]] * 2)


@pytest.mark.parametrize("unit", ["word", "char"])
def test_tfidf_is_the_pipeline_of_scikit_learn(unit: str) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    kind = {"analyzer": "char_wb", "ngram_range": (1, 5)}
    if unit == "word":
        kind = {"token_pattern": r"\w+|[^\w\s]", "ngram_range": (1, 2)}
    twin = make_pipeline(TfidfVectorizer(sublinear_tf=True, **kind), LogisticRegression(C=10)).fit(TEXTS, LABELS)
    model = Tfidf(unit).fit(TEXTS, LABELS)
    asked = ["good!", "a dull plot", "", "never seen"]
    np.testing.assert_allclose(model.predict_proba(asked), twin.predict_proba(asked), atol=1e-6)
    assert (model.name, model.classes_, model.notes) == (f"tfidf_{unit}", ["+", "-"], ())


def test_tfidf_says_that_its_search_was_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostinato.baselines.tfidf.STEPS", 1)
    assert Tfidf().fit(TEXTS, LABELS).notes == ("tfidf_word: its search was ended after 1 steps",)


def test_tfidf_of_many_classes_takes_fewer_ngrams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostinato.baselines.tfidf.WEIGHTS", 8)
    assert len(Tfidf().fit(TEXTS, LABELS)._vectors.vocabulary_) == 4


def test_tfidf_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="tfidf_word: no text holds a word or letter"):
        Tfidf().fit([" ", ""], ["a", "b"])
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ValueError, match=r"need scikit-learn: pip install ostinato\[text\]"):
        Tfidf().fit(TEXTS, LABELS)


def test_the_mean_of_embeddings_knows_no_order_and_no_padding() -> None:
    torch.manual_seed(0)
    network = MeanOfEmbeddings(20, 3, width=5, hidden_size=4, dropout=0.5).eval()
    ids, lengths = torch.randint(2, 20, (3, 6)), torch.tensor([6, 4, 0])
    found = network(ids, lengths)
    mean = network.embedding(ids[1, :4]).mean(0)
    torch.testing.assert_close(found[1], network.head(network.dense(mean).relu()))
    other = ids.clone()
    other[0], other[1, :4], other[1, 4:] = ids[0].flip(0), ids[1, [2, 0, 3, 1]], 7
    torch.testing.assert_close(network(other, lengths), found)
    torch.testing.assert_close(found[2], network.head(network.dense(torch.zeros(5)).relu()))
