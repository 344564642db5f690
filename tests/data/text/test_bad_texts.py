"""Every way in which a file of texts may be broken: one line that names the file and the row."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ostinato.data import DataError
from ostinato.data.text import read_labelled, read_plain, read_sentences, read_tagged, read_texts

GOOD = [f"text number {k},{'xy'[k % 2]}" for k in range(9)]
CYRILLIC = "Привет, как дела сегодня?"
JAPANESE = "これは日本語です,x\n".encode("shift-jis")


def rows(**changed: str) -> bytes:
    """A good table, some of its lines changed: row=text, the header is row1."""
    lines = ["text,label", *GOOD]
    for row, text in changed.items():
        lines[int(row.removeprefix("row")) - 1] = text
    return ("\n".join(lines) + "\n").encode()


# name: file, content, options, what the line must say
BAD: dict[str, tuple[str, bytes, dict[str, Any], list[str]]] = {
    "empty": ("a.csv", b"", {}, ["a.csv", "is empty"]),
    "blank lines only": ("a.csv", b"\n \n\n", {}, ["is empty"]),
    "header only": ("a.csv", b"text,label\n", {}, ["header (text, label)", "no rows"]),
    "too few cells": ("a.csv", rows(row4="one"), {}, ["row 4", "1 cells", "2"]),
    "too many cells": ("a.csv", rows(row4="one,two,x"), {}, ["row 4", "3 cells", "quotes"]),
    "a cell more in a tsv": ("a.tsv", b"text\tlabel\na\tx\nb\ty\tz\n", {}, ["row 3", "3 cells"]),
    "no label": ("a.csv", rows(row5="one,"), {}, ["row 5", "'label'", "no label", "--on-bad skip"]),
    "no text": ("a.csv", rows(row5=" ,x"), {}, ["row 5", "'text'", "no text"]),
    "NUL": ("a.csv", rows(row3="a\0b,x"), {}, ["row 3", "NUL", "place 2"]),
    "UTF-16 without its mark": ("a.csv", rows().decode().encode("utf-16-le"), {}, ["row 1", "UTF-16 without its mark"]),
    "broken UTF-16": ("a.csv", rows().decode().encode("utf-16")[:-1], {}, ["broken UTF-16"]),
    "Cyrillic in one byte": ("a.all", f"0 {CYRILLIC}\n1 {CYRILLIC}\n".encode("cp1251"), {}, ["row 1", "UTF-8"]),
    "no encoding at all": ("a.csv", rows() + b"caf\x81,x\n", {}, ["row 11", "byte 0x81 at place 4"]),
    "Japanese in Shift-JIS": ("a.csv", rows() + JAPANESE, {}, ["row 11", "neither UTF-8"]),
    "open quote": ("a.csv", rows(row6='"text,x'), {}, ["row 6", "quote"]),
    "text after a quote": ("a.csv", rows(row6='"text" of it,x'), {}, ["row 6", "quote"]),
    "column not there": ("a.csv", rows(), {"text": "txt"}, ["'txt'", "did you mean 'text'"]),
    "label not there": ("a.csv", rows(), {"label": "kind"}, ["'kind'", "text, label", "--label"]),
    "a column twice": ("a.csv", b"text,label,label\na,x,y\nb,z,w\n", {"label": "label"}, ["2 columns 'label'"]),
    "text and label the same": ("a.csv", rows(), {"text": "label", "label": "label"}, ["as text and as label"]),
    "which is the text": (
        "a.csv",
        b"one,two,kind\n" + b"".join(b"some words %d,other word %d,%c\n" % (k, k, 120 + k % 2) for k in range(9)),
        {},
        ["text cannot be told", "'one'", "'two'", "--text"],
    ),
    "which is the label": (
        "a.csv",
        b"text,how,what\n" + b"".join(b"words %d,%d,%d\n" % (k, k % 2, k % 3) for k in range(12)),
        {},
        ["label cannot be told", "'how'", "'what'", "--label"],
    ),
    "no label anywhere": ("a.csv", b"text\none\ntwo\n", {}, ["one column only, such as 'one'", "a text and a label"]),
    "plain lines": ("a.txt", b"one thing\nquite another\nand so on\nwithout end\n", {}, ["neither a table nor lines"]),
    "broken JSON": ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": \n', {}, ["row 2", "no JSON object"]),
    "JSON that is no object": ("a.jsonl", b'{"text": "a", "label": 1}\n3\n', {}, ["row 2", "no object"]),
    "JSON far too deep": ("a.jsonl", b"[" * 100_000 + b"\n", {}, ["is no JSON"]),
    "JSON without keys": ("a.jsonl", b"{}\n", {}, ["holds no object"]),
    "JSON null": ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": null, "label": 1}\n', {}, ["row 2", "no text"]),
    "half of a character": ("a.jsonl", b'{"text": "\\ud800", "label": 1}\n', {}, ["row 1", "surrogate"]),
    "zip": ("a.csv", b"PK\x03\x04" + b"x" * 40, {}, ["zip archive or an Excel workbook", "give a text file"]),
    "picture": ("a.csv", b"\x89PNG\r\n" + b"x" * 40, {}, ["a picture"]),
    "gzip cut short": ("a.csv.gz", gzip.compress(rows() * 50)[:-20], {}, ["gzip"]),
    "no Parquet": ("a.parquet", rows(), {}, ["Parquet"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_line_says_it(tmp_path: Path, name: str) -> None:
    file, content, options, words = BAD[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_labelled(tmp_path / file, **options)
    said = str(error.value)
    assert said.startswith(file)
    assert "\n" not in said
    assert [word for word in words if word not in said] == [], said


SKIPPED = [
    "too few cells", "too many cells", "a cell more in a tsv", "no label", "no text", "NUL", "no encoding at all",
    "broken JSON", "JSON that is no object", "JSON null",
]  # fmt: skip


@pytest.mark.parametrize("name", SKIPPED)
def test_a_broken_row_can_be_left_out(tmp_path: Path, name: str) -> None:
    file, content, options, _ = BAD[name]
    (tmp_path / file).write_bytes(content)
    data = read_labelled(tmp_path / file, **options, on_bad="skip")
    assert len(data) == content.strip().count(b"\n") - (not file.endswith(".jsonl")), "all but the header and one"
    assert "left out 1 broken rows (--on-bad skip), first row" in data.notes[-1]


def test_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\na,\nb,\n")
    with pytest.raises(DataError, match="all 2 rows are broken"):
        read_labelled(tmp_path / "a.csv", on_bad="skip", label="label")
    (tmp_path / "b.csv").write_bytes(rows().decode().encode("utf-16-le"))
    with pytest.raises(DataError, match="all .* lines are broken"):
        read_labelled(tmp_path / "b.csv", on_bad="skip")


def test_not_there(tmp_path: Path) -> None:
    for read in (read_labelled, read_tagged, read_plain):
        with pytest.raises(DataError, match=r"gone\.txt: cannot be read \(No such file"):
            read(str(tmp_path / "gone.txt"))
    for read in (read_texts, read_sentences):
        with pytest.raises(DataError, match="cannot be read"):
            read(tmp_path / "gone.txt")


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder without texts"):
        read_labelled(tmp_path)
    with pytest.raises(DataError, match="is a folder"):
        read_texts(tmp_path)
    with pytest.raises(DataError, match=r"folder without \.txt"):
        read_plain(tmp_path)
    (tmp_path / "Dutch.txt").write_text("\n")
    with pytest.raises(DataError, match=r"Dutch\.txt: is empty"):
        read_labelled(tmp_path)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (3, "int"),
        ([("a", "x"), "b"], "row 1"),
        ((["a", "b"], ["x"]), "2 texts and 1 labels"),
        ([("a", "x"), ("b", None)], "row 1: no label"),
        ([("a", "x"), (None, "x")], "row 1: no text"),
        ([(1, "x")], "row 0"),
        ([], "is empty"),
        (pd.DataFrame({"text": [], "label": []}), "no rows"),
        (pd.DataFrame({"text": ["a", None], "label": [1, 2]}), "row 1, column 'text'"),
    ],
)
def test_what_a_session_holds(source: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_labelled(source)


def test_half_of_a_character_to_be_labelled(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(BAD["half of a character"][1])
    with pytest.raises(DataError, match=r"row 1, column 'text': half of a character"):
        read_texts(tmp_path / "a.jsonl")


def test_on_bad_is_one_of_two(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="error or skip"):
        read_labelled(tmp_path / "a.csv", on_bad="ignore")


# Tags --------------------------------------------------------------------------------------------

U = "1\tA\ta\tDET\tDT\t_\t0\troot\t_\t_\n"
BAD_TAGS: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    "too few cells": ("a.conllu", U + "2\tdog\tdog\n", {}, ["row 2", "3 cells", "10"]),
    "no number": ("a.conllu", U + U.replace("1", "x", 1), {}, ["row 2"]),
    "no tag": ("a.conllu", U + U.replace("DET", "_"), {}, ["row 2", "no tag"]),
    "no word": ("a.conllu", U + U.replace("A", " ", 1), {}, ["row 2", "no word"]),
    "no such column": ("a.conllu", U, {"column": "pos"}, ["'pos'", "upos"]),
    "no such place": ("a.txt", "A DET\ndog NOUN\n", {"column": 2}, ["column 2", "0 to 1"]),
    "one column": ("a.txt", "A\ndog\n", {}, ["one column only"]),
    "a cell more": ("a.txt", "A\tDET\ndog\tNOUN\na\tb\tc\n", {}, ["row 3", "3 cells", "2"]),
    "comments only": ("a.conllu", "# nothing\n", {}, ["no words"]),
}


@pytest.mark.parametrize("name", BAD_TAGS)
def test_one_line_says_what_is_wrong_with_tags(tmp_path: Path, name: str) -> None:
    file, content, options, words = BAD_TAGS[name]
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError) as error:
        read_tagged(tmp_path / file, **options)
    said = str(error.value)
    assert said.startswith(file)
    assert [word for word in words if word not in said] == [], said


def test_a_broken_sentence_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(f"{U}\n{U}2\tbad\n3\tbad\n\n{U}")
    data = read_tagged(path, on_bad="skip")
    assert len(data) == 2
    assert data.notes[-1].startswith("left out 1 broken rows (--on-bad skip), first row 4")
    path.write_text(f"{U}2\tbad\n")
    with pytest.raises(DataError, match="all 1 sentences are broken"):
        read_tagged(path, on_bad="skip")
