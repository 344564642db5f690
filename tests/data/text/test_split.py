"""Words and back, and rows held out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.text import holdout, joined, words_of

pieces = st.sampled_from(
    [*"aZé9 '’-.,:;!?)(@#<>/\n", "n't", "'s", "l'", " ", "我", "か", "न", "\u093f", "👍", "\u200d", "www."]
)
texts = st.one_of(st.text(max_size=40), st.lists(pieces, max_size=20).map("".join))

WORDS = {
    "Don't you dare...": ["Do", "n't", "you", "dare", "..."],
    "I can't; he'll, we'd've.": ["I", "ca", "n't", ";", "he", "'ll", ",", "we", "'d", "'ve", "."],
    "O'Brien’s re-imagining": ["O'Brien", "’s", "re-imagining"],
    "l'homme qu'il a vu": ["l'", "homme", "qu'", "il", "a", "vu"],
    "do n't -lrb- it 's -rrb-": ["do", "n't", "-lrb-", "it", "'s", "-rrb-"],
    "T&C's": ["T", "&", "C", "'s"],
    "£5,000.50 (1.5kg)!!!": ["£", "5,000.50", "(", "1.5", "kg", ")", "!!!"],
    "Mr. X of the U.S. in the '90s.": ["Mr.", "X", "of", "the", "U.S.", "in", "the", "'90s", "."],
    "see https://a.org/b?c=1, me@x.org": ["see", "https://a.org/b?c=1", ",", "me@x.org"],
    "@bob #tag :-) <br /><unk>": ["@bob", "#tag", ":-)", "<br />", "<unk>"],
    "नमस्ते दुनिया": ["नमस्ते", "दुनिया"],
    "我喜欢 カナ": ["我", "喜", "欢", "カ", "ナ"],
    "nai\u0308ve 👍🏽 👨‍👩‍👧": ["nai\u0308ve", "👍🏽", "👨‍👩‍👧"],
    "": [],
    " \t\n": [],
}


@pytest.mark.parametrize("text", WORDS)
def test_words(text: str) -> None:
    assert words_of(text) == WORDS[text]


@given(texts)
def test_nothing_but_blanks_is_lost(text: str) -> None:
    assert "".join("".join(words_of(text)).split()) == "".join(text.split())


NATURAL = [
    "Don't", "it's", "we'd've", "l'homme", "qu'il", "re-imagining", "O'Brien's", "U.S.", "Mr.", "1,234.5", "1.5kg",
    "'90s", "@bob", "#tag", ":-)", "我喜", "カナ", "नमस्ते", "https://a.org/b", "me@x.org", "<unk>", "-lrb-", "n't", "'s",
    "T&C's", "(so)", '"so"', "rock'n'roll", "...", "!!", "--", "👍🏽", "a/b", "dogs'",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NATURAL), st.sampled_from(["", ",", ".", "!", "?", ")", '"']))))
def test_words_with_blanks_between_stay(pieces: list[tuple[str, str]]) -> None:
    words = words_of(" ".join("".join(piece) for piece in pieces))
    assert words_of(" ".join(words)) == words


@pytest.mark.parametrize("unit", ["a", "1.", "a.", "<", "'", "-", "a'", "@a", ":", "<a ", "\u093f", "https://."])
def test_a_long_run_of_anything(unit: str) -> None:
    """Would not end if any part of the pattern took quadratic time."""
    assert "".join("".join(words_of(unit * 100_000)).split()) == unit.strip() * 100_000


def test_all_combining_marks_are_known() -> None:
    import sys
    import unicodedata

    marks = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]
    assert all(words_of(f"a{mark}b") == [f"a{mark}b"] for mark in marks)


def test_shown_text() -> None:
    text = "It's good (so-so), isn't it? Yes!"
    assert joined(words_of(text)) == text
    assert joined([]) == ""


# Held out ----------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.integers(0, 5), st.integers(1, 4), st.booleans())
@settings(max_examples=100)
def test_every_row_is_on_one_side(n: int, share: float, seed: int, classes: int, grouped: bool) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n).tolist()
    groups = random.integers(0, 10, n).tolist() if grouped else None
    train, test = holdout(n, share, seed, groups, labels)
    assert sorted([*train, *test]) == list(range(n))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    if groups is not None:
        assert not {groups[k] for k in train} & {groups[k] for k in test}
        assert len(test) > 0 or len(set(groups)) == 1
    else:
        assert set(labels) == {labels[k] for k in train}, "every class is learnt"
        assert len(test) > 0 or len(set(labels)) == n


def test_classes_keep_their_shares() -> None:
    labels = ["a"] * 800 + ["b"] * 150 + ["c"] * 50
    _, test = holdout(1000, 0.2, 3, labels=labels)
    assert Counter(labels[k] for k in test) == {"a": 160, "b": 30, "c": 10}


def test_groups_keep_shares_nearly() -> None:
    groups = [k // 5 for k in range(1000)]
    labels = [k // 5 % 4 for k in range(1000)]
    _, test = holdout(1000, 0.2, 0, groups, labels)
    counts = Counter(labels[k] for k in test)
    assert len(counts) == 4
    assert all(abs(count - 50) <= 5 for count in counts.values())


def test_the_seed_decides() -> None:
    assert (holdout(100, 0.3, 1)[1] == holdout(100, 0.3, 1)[1]).all()
    assert (holdout(100, 0.3, 1)[1] != holdout(100, 0.3, 2)[1]).any()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"share": 0}, "share"), ({"share": 1}, "share"), ({"share": 0.5, "labels": "ab"}, "labels")],
)
def test_arguments_that_do_not_fit(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        holdout(**{"n": 10, "seed": 0, **arguments})  # type: ignore[arg-type]
