"""Plain text, whole."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ostinato.data import DataError
from ostinato.data.text import read_plain


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffOne\r\n\r\n  two\r\n".encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress("naïve".encode("latin-1")))
    assert read_plain(tmp_path / "a.txt").text == "One\n\n  two\n"
    packed = read_plain(str(tmp_path / "b.txt.gz"))
    assert (packed.text, packed.source) == ("naïve\n", "b.txt.gz")
    assert "Windows-1252" in packed.notes[0]
    folder = read_plain(tmp_path)
    assert folder.text == "One\n\n  two\n\nnaïve\n"
    assert folder.source == "a.txt, b.txt.gz"
    assert folder.notes == (f"b.txt.gz: {packed.notes[0]}",)
    assert read_plain([tmp_path / "b.txt.gz", tmp_path / "a.txt"]).text.startswith("naïve\n\nOne")
    assert read_plain(folder) is folder


def test_a_string_with_lines_is_the_text() -> None:
    assert read_plain("to be\r\nor not").text == "to be\nor not"
    assert len(read_plain("word " * 300)) == 1500
    with pytest.raises(DataError, match="cannot be read"):
        read_plain("to be or not to be")


def test_what_lines_are_is_not_meddled_with(tmp_path: Path) -> None:
    """Separators that Python's splitlines would divide at are part of a line."""
    (tmp_path / "a.txt").write_text("one\u2028two\x85three\x0cfour\n")
    assert read_plain(tmp_path / "a.txt").text == "one\u2028two\x85three\x0cfour\n"


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.txt: is empty"):
        read_plain(tmp_path / "a.txt")


def test_lines_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntw\0o\nthree\n")
    with pytest.raises(DataError, match=r"a\.txt, row 2: a NUL byte at place 3"):
        read_plain(tmp_path / "a.txt")
    plain = read_plain(tmp_path / "a.txt", on_bad="skip")
    assert plain.text == "one\n\nthree\n"
    assert "left out 1 broken" in plain.notes[0]
