"""Texts with labels out of whatever holds them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ostinato.data import DataError
from ostinato.data.text import Labelled, read_labelled, read_texts

ROWS = [("a fine, fine film", "good"), ('"dull", they said', "bad"), ("naïve — but good", "good"), ("no.", "bad")]
TEXTS, LABELS = [text for text, _ in ROWS], [label for _, label in ROWS]


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def table(mark: str = ",", header: str = "text,label", rows: list[tuple[str, str]] = ROWS) -> str:
    lines = [mark.join((quoted(text), label)) for text, label in rows]
    return "\n".join([header.replace(",", mark), *lines] if header else lines) + "\n"


FORMS: dict[str, tuple[str, str]] = {
    "csv": ("a.csv", table()),
    "csv without a header": ("a.csv", table(header="")),
    "csv with CRLF": ("a.csv", table().replace("\n", "\r\n")),
    "csv with a BOM": ("a.csv", "\ufeff" + table()),
    "csv with semicolons": ("a.csv", table(";")),
    "csv with blank lines": ("a.csv", "\n" + table().replace("\n", "\n\n")),
    "csv without a suffix": ("train", table()),
    "csv by another name": ("a.txt", table(header="review,sentiment")),
    "csv with names of its own": ("a.csv", table(header="verdict on it,how")),
    "csv with more columns": (
        "a.csv",
        "id,text,label\n" + "".join(f"{k},{quoted(text)},{label}\n" for k, (text, label) in enumerate(ROWS)),
    ),
    "tsv with quotes": ("a.tsv", table("\t")),
    "tsv without quotes": ("a.tsv", "label\ttext\n" + "".join(f"{label}\t{text}\n" for text, label in ROWS)),
    "tsv without header and suffix": ("train.all", "".join(f"{label}\t{text}\n" for text, label in ROWS)),
    "JSON lines": ("a.jsonl", "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)),
    "JSON lines without a suffix": (
        "train",
        "".join(json.dumps({"label": label, "sentence": text}) + "\n" for text, label in ROWS),
    ),
    "a JSON list": ("a.json", json.dumps([{"text": text, "label": label} for text, label in ROWS], indent=1)),
    "label text": ("stsa.binary.train", "".join(f"{label} {text}\n" for text, label in ROWS)),
    "fastText": ("train.txt", "".join(f"__label__{label} {text}\n" for text, label in ROWS)),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path: Path, form: str, packed: bool) -> None:
    name, text = FORMS[form]
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    data = read_labelled(path)
    assert (data.texts, data.labels, data.source) == (TEXTS, LABELS, path.name)
    assert read_labelled(str(path)).texts == TEXTS
    assert read_texts(path, labels=("good", "bad", "__label__good", "__label__bad")) == TEXTS or "header" in form


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(table().encode(encoding))
    data = read_labelled(path)
    assert data.texts == TEXTS
    said = [note for note in data.notes if "Windows-1252" in note]
    assert said == (["read bytes that are not UTF-8 as Windows-1252, first in row 4"] if encoding == "cp1252" else [])


def test_every_line_of_another_encoding_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "rt.all"
    path.write_bytes("".join(f"{k % 2} a naïve film\n" for k in range(20)).encode("latin-1"))
    data = read_labelled(path)
    assert data.texts == ["a naïve film"] * 20
    assert "first in row 1, 20 in all" in data.notes[0]


def test_what_was_taken_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,review,stars,who\n1,good one,5,ann\n2,bad one,1,bob\n3,fair one,5,ann\n")
    assert read_labelled(path).notes == ("took text from column 'review' and label from column 'stars'",)
    asked = read_labelled(path, text="review", label="who")
    assert (asked.labels, asked.notes) == (["ann", "bob", "ann"], ())
    assert read_labelled(path, text="1", label="2").labels == ["5", "1", "5"]


def test_columns_by_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{k},what someone wrote about number {k},{'xy'[k % 2]}" for k in range(10)]
    path.write_text("\n".join(["key,what,which", *rows]))
    data = read_labelled(path)
    assert data.texts[3] == "what someone wrote about number 3"
    assert data.labels[:2] == ["x", "y"]


def test_one_file_a_class(tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    (folder / "Dutch.txt").write_text("Aalst\n\nvan Dijk \n")
    (folder / "Irish.txt.gz").write_bytes(gzip.compress("Ó Néill\n".encode()))
    (folder / "LICENSE").write_text("words\n")
    (folder / ".hidden.txt").write_text("words\n")
    data = read_labelled(folder)
    assert (data.texts, data.labels) == (["Aalst", "van Dijk", "Ó Néill"], ["Dutch", "Dutch", "Irish"])
    assert data.source == "names"
    assert "2 files" in data.notes[0]


def test_one_folder_a_class(tmp_path: Path) -> None:
    for label, texts in (("pos", ["good\nfilm", "fine"]), ("neg", ["dull"])):
        (tmp_path / label).mkdir()
        for k, text in enumerate(texts):
            (tmp_path / label / f"{k}.txt").write_text(text)
    data = read_labelled(tmp_path)
    assert (data.texts, data.labels) == (["dull", "good\nfilm", "fine"], ["neg", "pos", "pos"])


def frames() -> list[object]:
    plain = {"text": TEXTS, "label": LABELS}
    return [pd.DataFrame(plain), pl.DataFrame(plain), (TEXTS, LABELS), ROWS, (np.array(TEXTS), np.array(LABELS))]


@pytest.mark.parametrize("place", range(5))
def test_what_a_session_holds(place: int) -> None:
    data = read_labelled(frames()[place])
    assert (data.texts, data.labels) == (TEXTS, LABELS)


def test_two_pairs_are_no_texts_and_labels() -> None:
    assert read_labelled([["a", "x"], ["b", "y"]]).texts == ["a", "b"]
    assert read_labelled((["a", "b"], ["x", "y"])).texts == ["a", "b"]
    assert read_labelled((("a", "x"), ("b", "y"))).texts == ["a", "b"]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": TEXTS, "label": [1, 0, 1, 0]}).to_parquet(path)
    assert read_labelled(path).labels == ["1", "0", "1", "0"]
    assert read_texts(path) == TEXTS


def test_labels_are_text_whatever_they_were() -> None:
    frame = pd.DataFrame({"text": list("abc"), "label": [1.0, 2.0, 1.0]})
    assert read_labelled(frame).labels == ["1", "2", "1"]
    assert read_labelled(list(zip("abc", [0, 1, 1], strict=True))).labels == ["0", "1", "1"]


def test_a_text_of_a_megabyte(tmp_path: Path) -> None:
    long = "word " * 250_000 + "end"
    for name, content in (
        ("a.csv", f'text,label\n"{long}, yes",x\nb,y\n'),
        ("a.tsv", f"text\tlabel\n{long}, yes\tx\nb\ty\n"),
        ("a.jsonl", json.dumps({"text": f"{long}, yes", "label": "x"}) + '\n{"text": "b", "label": "y"}\n'),
        ("a.all", f"x {long}, yes\ny b\nx c\ny d\n"),
    ):
        (tmp_path / name).write_text(content)
        assert read_labelled(tmp_path / name).texts[:2] == [f"{long}, yes", "b"], name


def test_a_cell_over_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\r\n"one\r\ntwo",x\r\nthree,\r\n')
    with pytest.raises(DataError, match=r"row 4, column 'label': no label"):
        read_labelled(path)
    assert read_labelled(path, on_bad="skip").texts == ["one\ntwo"]


@pytest.mark.parametrize(("missing", "taken"), [(1, True), (4, True), (6, False)])
def test_few_rows_without_a_label_are_no_mistake(tmp_path: Path, missing: int, taken: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "one,\n" * missing + "two,x\nthree,y\n" * ((100 - missing) // 2))
    if not taken:
        with pytest.raises(DataError, match=r"row 2, column 'label': no label"):
            read_labelled(path)
        return
    data = read_labelled(path)
    assert len(data) == (100 - missing) // 2 * 2
    assert any(f"left out {missing} of " in note and "first row 2" in note for note in data.notes)


def test_pick_and_classes() -> None:
    data = Labelled(["a", "b", "c"], ["10", "9", "x"], "list")
    assert data.pick([2, 0]).texts == ["c", "a"]
    assert data.classes() == ("9", "10", "x")
    with pytest.raises(DataError, match="two classes"):
        data.pick([0]).classes()
    assert len(data) == 3


# Without labels ----------------------------------------------------------------------------------


def test_texts_of_a_session() -> None:
    assert read_texts("a.csv") == ["a.csv"], "a string is a text, whatever it looks like"
    assert read_texts(["one", ""]) == ["one", ""]
    assert read_texts(pd.DataFrame({"review": ["x", "y"]})) == ["x", "y"]
    assert read_texts(pd.Series(["x", "y"])) == ["x", "y"]
    with pytest.raises(DataError, match="int"):
        read_texts([3])


def test_plain_lines_stand_beside_their_answers(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    path.write_text("one, two\n\nthree, four\n\n\n")
    assert read_texts(path) == ["one, two", "", "three, four"]
    path.write_text("0 a film\n1 a play\n")
    assert read_texts(path) == ["0 a film", "1 a play"]
    assert read_texts(path, labels=("0", "1")) == ["a film", "a play"]
    assert read_texts(path, labels=("0",)) == ["0 a film", "1 a play"]


def test_texts_of_a_table_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text('id,review\n1,"good, good"\n2,bad\n')
    assert read_texts(path) == ["good, good", "bad"]
    assert read_texts(path, text="id") == ["1", "2"]
    (tmp_path / "one.csv").write_text("what people said\nthis\nthat\n")
    assert read_texts(tmp_path / "one.csv", text="what people said") == ["this", "that"]


# Tables as they are met ----------------------------------------------------------------------------

MET: dict[str, tuple[str, list[str], list[str]]] = {
    "spam.csv: columns without a name": (
        "v1,v2,,,\n" + "".join(f"{'ham' if k % 2 else 'spam'},this is message {k},,,\n" for k in range(8)),
        ["this is message 0"],
        ["spam"],
    ),
    "AG news: no header, title and text": (
        "".join(f'"{k % 3 + 1}","Title {k}","A longer description of it, number {k}"\n' for k in range(9)),
        ["A longer description of it, number 0"],
        ["1"],
    ),
    "sentiment140: sorted by label, a column that is always the same": (
        "".join(f'"{k // 3000 * 4}","{k}","NO_QUERY","who{k}","tweet about things, {k}"\n' for k in range(6000)),
        ["tweet about things, 0"],
        ["0"],
    ),
    "disasters: more columns": (
        "id,keyword,location,text,target\n" + "".join(f"{k},,here,fire at number {k},{k % 2}\n" for k in range(6)),
        ["fire at number 0"],
        ["0"],
    ),
}


@pytest.mark.parametrize("name", MET)
def test_tables_as_they_are_met(tmp_path: Path, name: str) -> None:
    content, texts, labels = MET[name]
    (tmp_path / "a.csv").write_text(content)
    data = read_labelled(tmp_path / "a.csv")
    assert (data.texts[:1], data.labels[:1]) == (texts, labels)
    assert len(data) == content.count("\n") - (not content.startswith('"'))


def test_the_first_text_of_a_column_without_header_is_kept(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("no good\nfine\n")
    assert read_texts(tmp_path / "new.csv") == ["no good", "fine"]


@pytest.mark.parametrize("source", [None, 5])
def test_what_holds_no_texts_is_refused_in_words(source: object) -> None:
    with pytest.raises(DataError, match="holds no texts: give a string, or a list of strings"):
        read_texts(source)
