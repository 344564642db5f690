"""Sentences with tags, and without."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ostinato.data import DataError
from ostinato.data.text import Tagged, read_sentences, read_tagged

CONLLU = """\
# sent_id = 1
# text = Don't go, #you!
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_

# sent_id = 2
1\t#you\tyou\tPRON\tPRP\t_\t0\troot\t_\t_
2\tNew York\tNew York\tPROPN\tNNP\t_\t1\tvocative\t_\t_
"""
WORDS = [["Do", "n't", "go"], ["#you", "New York"]]


@pytest.mark.parametrize("name", ["a.conllu", "a.conllu.gz", "a.txt"])
def test_conllu(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(CONLLU.encode()) if name.endswith("gz") else CONLLU.encode())
    data = read_tagged(path)
    assert (data.words, data.tags) == (WORDS, [["AUX", "PART", "VERB"], ["PRON", "PROPN"]])
    assert data.notes == ("took tags from column upos",)
    for column in ("xpos", "XPOS", 4, "4"):
        assert read_tagged(path, column=column).tags == [["VB", "RB", "VB"], ["PRP", "NNP"]]
    assert read_tagged(str(path), column="deprel").tags[0] == ["aux", "advmod", "root"]
    assert read_sentences(path) == WORDS


COLUMNS = {
    "tabs": "#cats\tO\n@bob\tB-person\n.\tO\n\nNew York\tB-place\n",
    "tabs and blanks at ends": "#cats\tO\t\n@bob\tB-person \n.\tO\n\t\nNew York\tB-place\n\n\n",
    "CRLF": "#cats\tO\r\n@bob\tB-person\r\n.\tO\r\n\r\nNew York\tB-place\r\n",
    "comments": "# a comment\n#cats\tO\n@bob\tB-person\n.\tO\n\n# another one\nNew York\tB-place\n",
}


@pytest.mark.parametrize("form", COLUMNS)
def test_columns(tmp_path: Path, form: str) -> None:
    path = tmp_path / "train.annotated"
    path.write_bytes(COLUMNS[form].encode())
    data = read_tagged(path)
    assert data.words == [["#cats", "@bob", "."], ["New York"]]
    assert data.tags == [["O", "B-person", "O"], ["B-place"]]
    assert read_sentences(path) == data.words


def test_conll_2003(tmp_path: Path) -> None:
    path, begin = tmp_path / "eng.train", "-DOCSTART- -X- O O\n\n"
    path.write_text(f"{begin}EU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\n{begin}Peter NNP I-NP I-PER\n")
    assert read_tagged(path).tags == [["I-ORG", "O"], ["I-PER"]]
    assert read_tagged(path, column=1).tags == [["NNP", "VBZ"], ["NNP"]]
    assert read_sentences(path) == [["EU", "rejects"], ["Peter"]]


def test_pairs_and_lists() -> None:
    sentences = [[("a", "DET"), ("dog", "NOUN")], [("no", "INTJ")]]
    words, tags = [["a", "dog"], ["no"]], [["DET", "NOUN"], ["INTJ"]]
    assert read_tagged(sentences).words == words
    assert read_tagged([[list(pair) for pair in sentence] for sentence in sentences]).tags == tags
    assert read_tagged((words, tags)).tags == tags
    data = read_tagged(sentences)
    assert read_tagged(data) is data
    assert data.kinds() == ("DET", "INTJ", "NOUN")
    assert data.pick([1]).words == [["no"]]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ((["a"], [["DET"], ["X"]]), "1 sentences and tags for 2"),
        (([["a", "b"]], [["DET"]]), "2 words and 1 tags"),
        ([["a", "dog"]], "no words with tags"),
        ([], "0 sentences"),
        (3, "no words with tags"),
    ],
)
def test_lists_that_do_not_fit(source: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_tagged(source)


def test_one_tag_only() -> None:
    with pytest.raises(DataError, match="every tag is 'O'"):
        Tagged([["a"]], [["O"]], "list").kinds()


def test_sentences_to_tag(tmp_path: Path) -> None:
    assert read_sentences("Don't go.") == [["Do", "n't", "go", "."]]
    assert read_sentences(["Don't go.", ["Do", "not"]]) == [["Do", "n't", "go", "."], ["Do", "not"]]
    path = tmp_path / "new.txt"
    path.write_text("Two words\n\nAnd now three, mind\nfour\n")
    assert read_sentences(path) == [["Two", "words"], ["And", "now", "three", ",", "mind"], ["four"]]
    path.write_text("hello world\nsee you\n")
    assert read_sentences(path) == [["hello", "world"], ["see", "you"]], "lines, not columns"
    path.write_text("A\ndog\n\nNo\n")
    assert read_sentences(path) == [["A", "dog"], ["No"]], "a word a line, a blank line after each sentence"
    with pytest.raises(DataError, match="int"):
        read_sentences([3])
