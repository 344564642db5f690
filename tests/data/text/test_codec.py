"""Codecs: a text comes back; how words are told; what a model file keeps."""

from __future__ import annotations

import pytest

from ostinato.data.text.codec import Codec, divided, usual_unit, words

PROSE = 'He said, "It is late." She did not answer.\nThe clock (an old one) struck ten.\n'
TREEBANK = "he said it was <unk> \n the clock struck N \n"


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_characters_and_byte_pairs_come_back_exactly(kind: str) -> None:
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    codec = Codec.fit(kind, PROSE * 3)  # type: ignore[arg-type]
    ids = codec.encode(PROSE)
    assert codec.decode(ids) == PROSE
    assert "".join(codec.pieces(ids)) == PROSE
    assert Codec.from_json(codec.to_json()).encode(PROSE) == ids


def test_words_of_a_divided_text_come_back() -> None:
    codec = Codec.fit("word", TREEBANK)
    assert codec.tokenised
    ids = codec.encode(TREEBANK)
    assert codec.decode(ids) == "he said it was <unk>\nthe clock struck N\n"
    assert codec.unknown(ids) == pytest.approx(1 / len(ids))
    assert len(ids) == 11  # nine words and two line ends
    twin = Codec.from_json(codec.to_json())
    assert (twin.encode(TREEBANK), twin.tokenised, twin.start) == (ids, True, codec.start)


def test_words_of_prose_are_split_and_joined() -> None:
    codec = Codec.fit("word", PROSE)
    assert not codec.tokenised
    assert codec.decode(codec.encode("The clock struck ten.\nShe did not")) == "The clock struck ten.\nShe did not"
    assert words("so .\n\nno", tokenised=True) == ["so", ".", "<eos>", "<eos>", "no"]


def test_what_is_not_known_is_one_unit() -> None:
    codec = Codec.fit("char", "abc\n")
    assert codec.encode("aZ") == [codec.encode("a")[0], codec.units.unknown]
    assert codec.start == codec.encode("\n")[0]
    assert Codec.fit("char", "abc").start == codec.units.unknown


def test_whether_words_are_divided_is_told_from_the_text() -> None:
    assert divided(TREEBANK)
    assert divided("no , it is not . but why ?\n")
    assert not divided(PROSE)
    assert not divided("no marks at all\n")
    assert [usual_unit(text) for text in (TREEBANK, PROSE)] == ["word", "char"]
