"""The three tasks of text on the command line: what is wrong is said in one line, and nothing is lost."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ostinato.interfaces import cli

SMALL = ("--epochs", "1", "--hidden-size", "8", "--threads", "1", "--quiet", "--out", "out")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """The command line within this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd

    def __call__(self, *words: object) -> Answer:
        self.capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        out, err = self.capfd.readouterr()
        return Answer(int(ended.value.code or 0), out, err)

    def refused(self, *words: object) -> str:
        """What stands on standard error where a command is refused, in one line, and leaves no file behind."""
        before = sorted(Path().rglob("*"))
        answer = self(*words)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("ostinato: error: ")
        assert answer.err.count("\n") == 1
        assert sorted(Path().rglob("*")) == before
        return answer.err


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OSTINATO_DEBUG", raising=False)
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115, PTH123 - closed with the process
    reviews(Path("reviews.csv"), "good", "bad")
    tagged(Path("words.tsv"), "NOUN")
    Path("book.txt").write_text("it is a truth universally acknowledged\n" * 60)
    return Shell(capfd)


def reviews(path: Path, good: str, bad: str) -> None:
    """A table of forty texts of two classes."""
    draw = random.Random(0)
    rows = [("what a fine film", good) if k % 2 else ("what a dull film", bad) for k in range(40)]
    lines = [f'{text} {draw.randint(0, 99)},"{label}"' for text, label in rows]
    path.write_text("\n".join(["text,label", *lines]), encoding="utf-8")


def tagged(path: Path, noun: str) -> None:
    """Twenty sentences of two words."""
    path.write_text(f"dogs\t{noun}\nrun\tVERB\n\n" * 20, encoding="utf-8")


def test_labels_that_look_like_mathematics_are_names(run: Shell) -> None:
    reviews(Path("money.csv"), "$x^{$", "costs $5 and $\\frac{1}$")
    assert run("classify", "money.csv", *SMALL) == (0, "", "")
    tagged(Path("money.tsv"), "$\\frac$")
    assert run("tag", "money.tsv", *SMALL, "--overwrite") == (0, "", "")


def test_a_report_that_fails_costs_no_model(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from ostinato.interfaces import report

    def broken(outcome: object) -> str:
        raise ValueError("no ink")

    monkeypatch.setattr(report, "render", broken)
    assert run("tag", "words.tsv", *SMALL).code == 2
    assert run("predict", "out", "words.tsv").out.startswith("sentence,word,predicted\n1,dogs,")
