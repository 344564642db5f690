"""The three tasks of text on the command line: what is wrong is said in one line, and nothing is lost."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from tests.shell import Shell

SMALL = ("--epochs", "1", "--hidden-size", "8", "--threads", "1", "--quiet", "--out", "out")


@pytest.fixture
def run(shell: Shell) -> Shell:
    reviews(Path("reviews.csv"), "good", "bad")
    tagged(Path("words.tsv"), "NOUN")
    Path("book.txt").write_text("it is a truth universally acknowledged\n" * 60)
    return shell


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


REFUSED: dict[str, tuple[str, list[str]]] = {
    "classify: one column": ("classify nolabel.csv", ["nolabel.csv: one column only", "such as 'one text"]),
    "classify: commas in .tsv": ("classify commas.tsv", ["one column only, such as 'text,label'", "a tab (.tsv)"]),
    "classify: labels once each": ("classify once.csv", ["each of the 40 labels occurs once, such as 'c0'", "--label"]),
    "classify: label not learnt": ("classify reviews.csv --test other.csv", ["'maybe'", "20 rows have such labels"]),
    "classify: too wide": ("classify reviews.csv --hidden-size 100000000", ["hidden_size='100000000'", "100000"]),
    "classify: too large a seed": ("classify reviews.csv --seed 99999999999999999999", ["seed='99999999999999999999'"]),
    "classify: no such cell": (
        "classify reviews.csv --cell nope",
        ["cell 'nope' is not registered; known: conv, "],
    ),
    "classify: infinite": ("classify reviews.csv --clip inf", ["clip='inf': should be a finite number"]),
    "classify: out in a file": (
        "classify reviews.csv --out book.txt/x",
        ["--out book.txt/x", "cannot be written into"],
    ),
    "tag: no number of a word": ("tag bad.conllu", ["bad.conllu, row 2: 'x' where a word has its number"]),
    "tag: vectors too large": ("tag words.tsv --vectors huge.vec", ["huge.vec, row 1: a number that is not finite"]),
    "generate: too short": ("generate ten.txt", ["ten.txt: 10 characters are too few", "give 200 or more"]),
    "generate: infinite": ("generate book.txt --temperature inf", ["temperature='inf': should be a finite number"]),
    "generate: byte pairs": ("generate book.txt --unit bpe --vocabulary 257", ["vocabulary=257", "258 or more"]),
    "generate: text by music": ("generate book.txt --test three.npz", ["three.npz: is music", "learnt from is text"]),
    "generate: music by text": ("generate three.npz --test book.txt", ["book.txt: is no piano roll", "is music"]),
    "generate: a prompt of music": ("generate three.npz --prompt hello", ["prompt='hello': music is frames"]),
    "generate: one piece": ("generate one.npz", ["one.npz: 1 piece cannot be divided", "three or more"]),
    "generate: an empty piece": ("generate empty.npz", ["empty.npz: 'b' is empty"]),
    "generate: cut short": ("generate cut.mat", ["cut.mat: no whole MATLAB file", "another copy"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_said_in_one_line(name: str, run: Shell) -> None:
    Path("nolabel.csv").write_text("text\n" + "".join(f"one text {k}\n" for k in range(20)))
    Path("commas.tsv").write_text(Path("reviews.csv").read_text())
    Path("once.csv").write_text("text,label\n" + "".join(f"a text {k},c{k}\n" for k in range(40)))
    reviews(Path("other.csv"), "good", "maybe")
    line = "\t_\tNOUN\t_\t_\t0\t_\t_\t_\n"
    Path("bad.conllu").write_text(f"1\tdogs{line}x\trun{line}\n1\tcats{line}")
    Path("huge.vec").write_text("dogs 1e39 1\nrun 1 2\n")
    Path("ten.txt").write_text("abcdefghij")
    roll = np.eye(8)
    np.savez("three.npz", a=roll, b=roll, c=roll)
    np.savez("one.npz", a=roll)
    np.savez("empty.npz", a=roll, b=roll[:0], c=roll)
    rolls(Path("whole.mat"))
    Path("cut.mat").write_bytes(Path("whole.mat").read_bytes()[:200])
    command, said = REFUSED[name]
    task, *words = command.split()
    found = run.refused(task, *SMALL, *words)
    for part in said:
        assert part in found


def rolls(path: Path) -> None:
    """A MATLAB file of three pieces."""
    from scipy.io import savemat

    cells = np.empty((1, 3), dtype=object)
    for k in range(3):
        cells[0, k] = np.eye(8)
    savemat(path, {"traindata": cells})


def test_three_pieces_of_music_are_enough(run: Shell) -> None:
    rolls(Path("THREE.MAT"))
    assert run("generate", "THREE.MAT", "--length", 4, *SMALL) == (0, "", "")
    assert len(Path("out/predictions.csv").read_text().splitlines()) == 5


def test_another_tasks_folder_is_not_gone_on_with_and_stays_whole(run: Shell) -> None:
    assert run("tag", "words.tsv", *SMALL).code == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    answer = run("generate", "book.txt", *SMALL, "--resume")
    assert answer.code == 2
    assert "checkpoint.ost: is of another network (WordTagger, this run trains Language)" in answer.err
    assert "--overwrite" in answer.err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


def test_want_of_memory_is_said_in_words(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr("ostinato.tasks.tag.Tagger.experiment", full)
    assert "not enough memory: a smaller --hidden-size" in run.refused("tag", "words.tsv", *SMALL)


def test_a_file_that_cannot_be_written_is_named(run: Shell) -> None:
    assert run("tag", "words.tsv", *SMALL).code == 0
    assert run.refused("predict", "out", "words.tsv", "--out", "out") == "ostinato: error: out: Is a directory\n"


def test_help_says_nothing_of_an_empty_default(run: Shell) -> None:
    assert "(default )" not in run("generate", "--help").out
