"""Published-data runs of words: rows that can be typed, protocols, and a run of each task on made-up files."""

from __future__ import annotations

import doctest
import gzip
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.figures import classify, command, generate, ledger, page, tag, texts

import ostinato as ost
from ostinato import tasks

TASKS = {"classify": classify, "tag": tag, "generate": generate}
ROWS = [(name, row) for name, home in TASKS.items() for row in home.ROWS]


@pytest.mark.parametrize(("task", "row"), ROWS, ids=[row.name for _, row in ROWS])
def test_every_row_can_be_typed_and_says_where_figures_stand(task: str, row: Any) -> None:
    assert bool(row.published) == bool(row.source)
    assert set(row.published) <= set(row.metrics)
    if row.measure is not None:
        return
    known = {"--" + name.replace("_", "-") for name in tasks.get(task).Options.model_fields} | {"--valid", "--test"}
    said = shlex.split(row.said(quick=True))
    assert said[:2] == ["ostinato", task]
    assert {word for word in said if word.startswith("--")} <= known
    paths = [word for word in said if word.startswith("DATA/")]
    assert said[2] == paths[0]
    assert row.said(quick=False) == row.command != row.said(quick=True)


def test_names_are_told_once() -> None:
    assert set(command.TASKS) == {*TASKS, "forecast"}
    names = [row.name for _, row in ROWS]
    assert len(set(names)) == len(names)


def test_the_docstrings_hold() -> None:
    done = doctest.testmod(texts)
    assert done.attempted
    assert not done.failed


# ---- Protocols


class Spy:
    """Stands for a classifier: what it is given, and answers that differ from call to call."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[str], list[str]]] = []

    def __call__(self, **options: Any) -> Spy:
        self.options = options
        return self

    def experiment(self, data: Any, *, test: Any, quiet: bool) -> Any:
        self.seen.append((data[0], test[0]))
        score = {"accuracy": float(len(self.seen)), "f1": 0.5}
        answer = {"metrics": score, "baselines": {"majority": score, str(len(self.seen)): score}, "seed": 7}
        return type("Outcome", (), {"to_json": lambda self: answer})()


def test_each_fold_is_measured_once_and_learnt_from_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{k % 2} text number {k}" for k in range(57)]
    (tmp_path / texts.MR).parent.mkdir(parents=True)
    (tmp_path / texts.MR).write_bytes(gzip.compress("\n".join(rows).encode()))
    spy = Spy()
    monkeypatch.setattr(ost, "TextClassifier", spy, raising=False)
    found = texts.crossed(tmp_path, False, folds=10)
    held = [text for _, test in spy.seen for text in test]
    assert sorted(held) == sorted(row[2:] for row in rows)
    for train, test in spy.seen:
        assert len(test) in (5, 6)
        assert sorted(train + test) == sorted(held)
    assert found == {
        "metrics": {"accuracy": 5.5, "f1": 0.5}, "baselines": {"majority": {"accuracy": 5.5, "f1": 0.5}}, "seed": 7
    }  # fmt: skip
    again = [list(test) for _, test in spy.seen]
    spy.seen = []
    texts.crossed(tmp_path, False, folds=10)
    assert [list(test) for _, test in spy.seen] == again


def test_of_spam_three_tenths_are_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{'spam' if k % 5 == 0 else 'ham'}\tmessage {k} of mine" for k in range(200)]
    (tmp_path / texts.SMS).parent.mkdir(parents=True)
    (tmp_path / texts.SMS).write_text("\n".join(["label\ttext", *rows, *rows[:30]]))
    spy = Spy()
    monkeypatch.setattr(ost, "TextClassifier", spy, raising=False)
    found = texts.drawn(tmp_path, False, share=0.7, draws=3)
    for train, test in spy.seen:
        assert not set(train) & set(test)
        assert len(train) + len(test) == 230
        assert 0.6 < len(test) / 230 < 0.8
    assert len({tuple(test) for _, test in spy.seen}) == 3
    assert found["metrics"]["accuracy"] == 2.0


# ---- Runs


def run(folder: Path, task: str, row: str) -> list[dict[str, Any]]:
    """One quick run of a row, as a person would start it: the lines that it leaves."""
    words = ["--task", task, "--data", str(folder), "--out", str(folder / "out"), "--threads", "1", "--quick"]
    assert command.main([*words, "--only", row]) == 0
    return ledger.read(folder / "out/benchmarks/figures.jsonl")


def test_a_classifier_is_run_recorded_and_shown(tmp_path: Path) -> None:
    rng, names = np.random.default_rng(0), tmp_path / "textcls/names18"
    names.mkdir(parents=True)
    for language, letters in (("Ayish", "aei"), ("Ouish", "oux")):
        lines = {"".join(rng.choice(list(letters + "nrt"), size=6)) for _ in range(60)}
        (names / f"{language}.txt").write_text("\n".join(sorted(lines)))
    lines = run(tmp_path, "classify", "names18")
    assert [line["metric"] for line in lines] == ["accuracy", "macro_f1"]
    assert {"majority", "feed_forward"} <= set(lines[0]["beside"])
    shown = (tmp_path / "out/docs/figures-classify.md").read_text()
    assert "| data | metric | ostinato | published | majority | best classical | feed-forward | seconds |" in shown
    assert "| names18 | accuracy |" in shown


def test_a_tagger_is_run_and_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "tagging/ud_english_ewt"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", 40), ("dev", 10), ("test", 10)):
        text = ""
        for _ in range(count):
            words = rng.choice(["dog/NOUN", "cat/NOUN", "runs/VERB", "sees/VERB", "the/DET"], size=5)
            rows = [word.split("/") for word in words]
            text += "".join(f"{k}\t{w}\t{w}\t{t}\t_\t_\t0\troot\t_\t_\n" for k, (w, t) in enumerate(rows, 1)) + "\n"
        (folder / f"en_ewt-ud-{name}.conllu.gz").write_bytes(gzip.compress(text.encode()))
    (line,) = run(tmp_path, "tag", "ewt-upos")
    assert (line["metric"], line["published"]) == ("accuracy", {"Stanza": 0.954})
    assert line["beside"] == {"most_frequent_tag": 1.0}


def test_a_language_model_is_run_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "lm/tinyshakespeare").mkdir(parents=True)
    (tmp_path / "lm/tinyshakespeare/input.txt").write_text("to be or not to be, that is the question.\n" * 60)
    lines = {line["metric"]: line for line in run(tmp_path, "generate", "tinyshakespeare")}
    assert set(lines) == {"nll", "bits_per_character"}
    assert lines["bits_per_character"]["value"] == pytest.approx(lines["nll"]["value"] / np.log(2))
    assert lines["nll"]["published"] == {"nanoGPT": 1.4697}
    assert {"unigram", "kneser_ney"} <= set(lines["nll"]["beside"])


def test_more_is_better_where_it_is() -> None:
    line = {"metric": "accuracy", "beside": {"majority": 0.5, "tfidf_word": 0.8, "feed_forward": 0.9}}
    assert page.best(line) == ("tfidf_word", 0.8)
    assert page.best(line | {"metric": "nll"}) == ("majority", 0.5)
