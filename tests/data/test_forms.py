"""Words and letters as numbers, and the batches that are cut of them."""

from __future__ import annotations

import torch

from ostinato.data.text.forms import LONGEST, Forms, numbered

SENTENCES = [["The", "dog", "barks"], [], ["the", "DOG"]]


def test_words_are_read_in_lower_case_and_letters_as_they_are() -> None:
    forms = Forms.fit(SENTENCES)
    sentences = forms.read(SENTENCES)
    batch = sentences[[0, 1, 2]]
    assert batch["lengths"].tolist() == [3, 0, 2]
    assert torch.equal(batch["words"][0, :2], batch["words"][2, :2])
    assert batch["words"][1].eq(0).all()
    spelled = sentences.spelled(batch)
    rows = spelled["letters"][spelled["places"]]  # (B, T, longest)
    counts = spelled["letter_counts"][spelled["places"]]
    assert counts.tolist() == [[3, 3, 5], [0, 0, 0], [3, 3, 0]]
    assert not torch.equal(rows[0, 0], rows[2, 0])  # The, the
    assert [forms.letters.decode(row) for row in rows[0]] == SENTENCES[0]


def test_letters_are_those_of_the_words_that_occur() -> None:
    sentences = Forms.fit(SENTENCES).read(SENTENCES)
    spelled = sentences.spelled(sentences[torch.tensor([2])])
    assert len(spelled["letters"]) == 2
    assert spelled["letters"].shape[1] == 3


def test_long_words_keep_both_ends() -> None:
    word = "http://" + "x" * 500 + ".org"
    forms = Forms.fit([[word]])
    spelled = forms.read([[word]]).spelled(forms.read([[word]])[[0]])
    text = forms.letters.decode(spelled["letters"][spelled["places"][0, 0]])
    assert len(text) == LONGEST
    assert (text[:7], text[-4:]) == ("http://", ".org")


def test_unknown_words_letters_and_tags() -> None:
    forms = Forms.fit(SENTENCES, more=["cat"])
    batch = forms.read([["cat", "žebra"]])[[0]]
    assert batch["words"][0, 0] > 1
    assert batch["words"][0, 1] == forms.words.unknown
    assert numbered([["A", "B"], ["C"]], ["A", "C"]).tolist() == [0, -1, 1]


def test_forms_come_back_from_json() -> None:
    for spelled in (True, False):
        forms = Forms.fit(SENTENCES, spelled=spelled)
        again = Forms.from_json(forms.to_json())
        assert again == forms
        assert (again.letters is None) == (not spelled)
