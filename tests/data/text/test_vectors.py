"""Word vectors of others, from text files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ostinato.data import DataError
from ostinato.data.text import read_vectors

LINES = {"film": [0.5, -1.0, 2e-3], "Film": [9.0, 9.0, 9.0], "at name@x.org": [1.0, 2.0, 3.0], ",": [4.0, 5.0, 6.0]}
PLAIN = "".join(f"{word} {' '.join(map(str, numbers))}\n" for word, numbers in LINES.items())


@pytest.mark.parametrize(
    "content", [PLAIN, f"4 3\n{PLAIN}", PLAIN.replace("\n", " \n"), PLAIN.replace("\n", "\r\n"), f"{PLAIN}film 7 7 7\n"]
)
def test_files(tmp_path: Path, content: str) -> None:
    for path, raw in ((tmp_path / "v.txt", content.encode()), (tmp_path / "v.vec.gz", gzip.compress(content.encode()))):
        path.write_bytes(raw)
        vectors = read_vectors(path, ["<pad>", "film", "Film", "FILM", "at name@x.org", "dog"])
        expected = np.array([[0] * 3, LINES["film"], LINES["Film"], LINES["film"], LINES["at name@x.org"], [0] * 3])
        np.testing.assert_array_equal(vectors.values, expected.astype(np.float32))
        assert vectors.found.tolist() == [False, True, True, True, True, False]
        assert vectors.share == pytest.approx(4 / 6)
        assert (vectors.width, vectors.source) == (3, path.name)


BAD = {
    "empty": ("", "no vectors"),
    "header only": ("4 3\n", "no vectors"),
    "too narrow": ("film 1 2 3\ndog 1 2\n", "row 2: 2 numbers after 'dog', the first word has 3"),
    "words": ("film 1 x 3\n", "row 1: found '1 x 3'"),
    "not finite": ("film 1 nan 3\n", "row 1"),
    "binary": ("film 1 2 3\n\0\0\1\n", "row 2: a NUL byte"),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_files(tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    (tmp_path / "v.txt").write_text(content)
    with pytest.raises(DataError, match=words) as error:
        read_vectors(tmp_path / "v.txt", ["film", "dog"])
    assert str(error.value).startswith("v.txt")
