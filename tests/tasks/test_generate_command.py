"""`ostinato generate` from end to end: a run's folder, then predict, evaluate and show on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ostinato.interfaces.cli import main

LINES = (
    "".join(f"the {animal} sat on the {place}.\n" for animal in ("cat", "dog", "owl") for place in ("mat", "log")) * 8
)


def ran(*words: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert left.value.code == 0


def test_a_run_and_what_follows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(LINES)
    ran(
        "generate", str(text), "--out", str(out), "--hidden-size", "12", "--epochs", "2", "--bptt", "40",
        "--prompt", "the ", "--length", "30", "--threads", "1",
    )  # fmt: skip
    said = capsys.readouterr()
    assert "after epoch 2 it writes:" in said.err
    assert "kneser_ney" in said.out
    assert len((out / "predictions.txt").read_text()) == len("the ") + 30 + 1
    found = json.loads((out / "metrics.json").read_text())
    assert found["task"] == "generate"
    assert set(found["metrics"]) == {"perplexity", "bits_per_character", "nll"}
    assert "What it writes" in (out / "report.html").read_text()
    assert [json.loads(line)["epoch"] for line in (out / "samples.jsonl").read_text().splitlines()] == [1, 2]

    prompt = tmp_path / "prompt.txt"
    prompt.write_text("the owl\n")
    ran("predict", str(out), str(prompt))
    assert capsys.readouterr().out.startswith("the owl")
    ran("evaluate", str(out), str(text), "--json")
    assert json.loads(capsys.readouterr().out)["metrics"]["perplexity"] > 1
    ran("show", str(out))
    assert "LanguageModel of" in capsys.readouterr().out
