"""The classical taggers against their definitions written out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product
from math import log

import numpy as np
import pytest

from ostinato.baselines.hidden_markov import HiddenMarkov
from ostinato.baselines.most_frequent_tag import MostFrequentTag

RNG = np.random.default_rng(0)
WORDS = [[f"w{k}" for k in RNG.integers(0, 7, n)] for n in RNG.integers(1, 6, 60)]
TAGS = [[("A", "B", "C")[(int(word[1]) + RNG.integers(0, 2)) % 3] for word in row] for row in WORDS]


def test_each_word_gets_the_tag_that_it_had_most_often() -> None:
    tagger = MostFrequentTag().fit(WORDS, TAGS)
    pairs = Counter(pair for row in zip(WORDS, TAGS, strict=True) for pair in zip(*row, strict=True))
    for word in {word for row in WORDS for word in row}:
        best = max("ABC", key=lambda tag: (pairs[word, tag], -ord(tag)))
        assert tagger.predict([[word, word.upper()]]) == [[best, best]]  # upper case was never seen


def test_unknown_words_get_the_tag_of_words_seen_once() -> None:
    words, tags = [["the", "the", "the", "cat", "dog"]], [["DET", "DET", "DET", "NOUN", "NOUN"]]
    tagger = MostFrequentTag().fit(words, tags)
    assert tagger.predict([["bird"], []]) == [["NOUN"], []]
    assert tagger.knows("The")
    assert not tagger.knows("bird")
    assert MostFrequentTag.from_json(tagger.to_json()).predict([["bird", "THE"]]) == [["NOUN", "DET"]]
    with pytest.raises(ValueError, match="there are no words"):
        MostFrequentTag().fit([], [])


def test_the_markov_model_finds_the_best_of_all_paths() -> None:
    tagger = HiddenMarkov().fit(WORDS, TAGS)
    between, first, last = tagger._moves
    for row in WORDS[:25]:
        raw = np.array([tagger._emission(word) for word in row])

        def score(path: tuple[int, ...], raw: np.ndarray = raw) -> float:
            steps = sum(raw[t, k] for t, k in enumerate(path)) + first[path[0]] + last[path[-1]]
            return float(steps + sum(between[a, b] for a, b in pairwise(path)))

        best = max(product(range(3), repeat=len(row)), key=score)
        assert tagger.predict([row]) == [[tagger.tags[k] for k in best]]


def test_the_markov_models_chances_are_counted() -> None:
    tagger = HiddenMarkov().fit(WORDS, TAGS)
    shares = Counter(tag for row in TAGS for tag in row)
    pairs = Counter(pair for row in zip(WORDS, TAGS, strict=True) for pair in zip(*row, strict=True))
    expected = [log(max(pairs["w3", tag] / shares[tag], 1e-9)) for tag in tagger.tags]
    assert tagger._emission("w3") == pytest.approx(expected)
    between, first, last = (np.exp(part) for part in tagger._moves)
    assert first.sum() < 1 + 1e-9
    np.testing.assert_allclose(between.sum(1) + last, 1, atol=1e-9)  # from a tag to another, or to the end


def test_endings_tell_unknown_words() -> None:
    words = [["walking", "fast"], ["talking", "loud"], ["singing", "slow"], ["Paris"], ["London"]]
    tags = [["VERB", "ADV"], ["VERB", "ADV"], ["VERB", "ADV"], ["NAME"], ["NAME"]]
    tagger = HiddenMarkov().fit(words, tags)
    assert tagger.predict([["rowing", "hard"], ["Oslo"], []]) == [["VERB", "ADV"], ["NAME"], []]
