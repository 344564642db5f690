"""The command line from end to end, as a person or a script meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.shell import Shell

from ostinato.tasks.forecasting import measure

MONTHS = np.arange(96)
SALES = 100 + MONTHS / 2 + 20 * np.sin(MONTHS * np.pi / 6) + np.random.default_rng(0).normal(size=96)


@pytest.fixture
def run(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(measure, "SLOW", ())  # ARIMA and ETS run in processes of their own: seconds
    frame = pd.DataFrame({"month": pd.period_range("2015-01", periods=96, freq="M").astype(str), "units": SALES})
    frame[:84].to_csv("sales.csv", index=False)
    frame[84:].to_csv("later.csv", index=False)
    return shell


def test_forecast_writes_everything(run: Shell) -> None:
    answer = run("forecast", "sales.csv", "--horizon", 12, "--epochs", 2, "--out", "out")
    assert answer.code == 0
    assert "forecast of units: 2022-01 " in answer.err  # before the baselines, which may take their time
    for word in (
        "took 'month' as time and 'units' as target",
        "seasonal_naive",
        "feed_forward",
        "by mae ostinato",
        "2022-01",
    ):
        assert word in answer.out
    found = json.loads(Path("out/metrics.json").read_text())
    assert list(found) == ["task", "data", "metrics", "baselines", "parameters", "seconds", "epochs", "seed", "version"]
    assert (found["task"], found["data"], found["epochs"], found["seed"]) == ("forecast", "sales.csv", 2, 0)
    assert {"naive", "seasonal_naive", "drift", "feed_forward"} <= set(found["baselines"])
    assert {"mae", "mse", "smape", "mase", "coverage"} <= set(found["metrics"])
    table = pd.read_csv("out/predictions.csv")
    assert table["part"].tolist() == ["held out"] * 12 + ["ahead"] * 12
    assert table["month"].iloc[-1] == "2022-12"
    error = float((table["actual"] - table["forecast"])[:12].abs().mean())
    assert error == pytest.approx(found["metrics"]["mae"], rel=1e-6)
    assert len(Path("out/history.jsonl").read_text().splitlines()) == 2
    page = Path("out/report.html").read_text()
    assert page.count("<svg") == 4
    assert "sales.csv" in page


def test_a_trained_model_predicts_evaluates_and_is_shown(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("forecast", "sales.csv", "--horizon", 6, "--epochs", 2, "--out", "out", "--quiet") == (0, "", "")
    written = pd.read_csv("out/predictions.csv").query("part == 'ahead'")
    from_end = run("predict", "out").out
    lines = from_end.splitlines()
    assert lines[0] == "month,forecast,lower_80,upper_80,lower_95,upper_95"
    assert [line.split(",")[0] for line in lines[1:]] == written["month"].tolist()
    assert [float(line.split(",")[1]) for line in lines[1:]] == pytest.approx(written["forecast"].tolist())
    assert run("predict", "out/model.ost", "later.csv").out.splitlines()[1].startswith("2023-01,")
    with open("later.csv") as piped:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", piped)
        assert run("predict", "out", "-").out == run("predict", "out", "later.csv").out
    assert run("predict", "out", "later.csv", "--out", "next.csv").out == ""
    assert Path("next.csv").read_text().startswith("month,forecast")
    measured = json.loads(run("evaluate", "out", "later.csv", "--json").out)
    assert measured["metrics"]["mae"] < measured["baselines"]["naive"]["mae"]
    assert "seasonal_naive" in run("evaluate", "out", "later.csv").out
    assert "HAS learnt" in run("evaluate", "out", "sales.csv").out
    assert "Forecaster of 'units'" in run("show", "out").out


def test_json_alone(run: Shell) -> None:
    answer = run("forecast", "sales.csv", "--horizon", 6, "--epochs", 1, "--json", "--levels", "50", "--threads", 1)
    found = json.loads(answer.out)
    assert answer.err == ""
    assert "coverage_50" in found["metrics"]
    folders = list(Path("runs").iterdir())
    assert len(folders) == 1
    assert folders[0].name.startswith("forecast-2")


def test_a_folder_that_is_not_empty_is_refused(run: Shell) -> None:
    Path("out").mkdir()
    Path("out/report.html").write_text("old")
    refused = run("forecast", "sales.csv", "--epochs", 1, "--out", "out")
    assert refused.code == 2
    assert refused.err.startswith("ostinato: error: --out out: is not empty")
    assert Path("out/report.html").read_text() == "old"
    assert (
        run("forecast", "sales.csv", "--horizon", 6, "--epochs", 1, "--out", "out", "--overwrite", "--quiet").code == 0
    )
    assert "<svg" in Path("out/report.html").read_text()
    assert run("forecast", "sales.csv", "--resume").err.startswith("ostinato: error: --resume")
    assert "is a file" in run("forecast", "sales.csv", "--out", "sales.csv").err


def test_resume_ends_as_if_never_stopped(run: Shell) -> None:
    words = ("forecast", "sales.csv", "--horizon", 6, "--epochs", 3, "--quiet", "--out")
    assert run(*words, "whole").code == 0
    assert run(*words, "cut", "--resume").code == 0  # nothing there: anew
    assert run(*words, "cut", "--resume").code == 0  # finished: nothing to do
    assert Path("whole/predictions.csv").read_text() == Path("cut/predictions.csv").read_text()
    other = run(*words, "cut", "--resume", "--learning-rate", 0.5)
    assert other.code == 2
    assert "learning_rate" in other.err
    assert Path("whole/predictions.csv").read_text() == Path("cut/predictions.csv").read_text()


REFUSED: dict[str, tuple[list[str], list[str]]] = {
    "no file": (["forecast", "absent.csv"], ["absent.csv"]),
    "text": (["forecast", "text.csv"], ["text.csv", "row 3", "'units'", "'two'"]),
    "short": (["forecast", "sales.csv", "--horizon", "60"], ["--horizon 40 or less"]),
    "target": (["forecast", "sales.csv", "--target", "unit"], ["did you mean 'units'"]),
    "horizon": (["forecast", "sales.csv", "--horizon", "many"], ["horizon='many'"]),
    "levels": (["forecast", "sales.csv", "--levels", "80,high"], ["levels"]),
    "cell": (["forecast", "sales.csv", "--cell", "gruu"], ["did you mean 'gru'"]),
    "frequency": (["forecast", "sales.csv", "--freq", "fortnight"], ["'fortnight'"]),
    "time limit": (["forecast", "sales.csv", "--time-limit", "soon"], ["--time-limit soon"]),
    "threads": (["forecast", "sales.csv", "--threads", "0"], ["--threads 0"]),
    "valid alone": (["forecast", "sales.csv", "--valid", "later.csv"], ["--test"]),
    "test before": (["forecast", "later.csv", "--test", "sales.csv", "--horizon", "2"], ["sales.csv", "begins at"]),
    "no model": (["predict", "absent.ost"], ["absent.ost"]),
    "no model file": (["show", "sales.csv"], ["sales.csv"]),
    "device": (["forecast", "sales.csv", "--device", "abacus"], ["abacus"]),
    "demo": (["demo", "forcast"], ["did you mean 'forecast'"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_said_in_one_line(name: str, run: Shell) -> None:
    words, said = REFUSED[name]
    Path("text.csv").write_text("month,units\n2024-01,1\n2024-02,two\n2024-03,3\n")
    before = sorted(Path().rglob("*"))
    answer = run(*words, *(["--out", "out"] if words[0] == "forecast" else []))
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("ostinato: error: ")
    assert answer.err.count("\n") == 1
    for word in said:
        assert word in answer.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["forecast", "--horizn", "3"], "--horizon"),
        (["forcast"], "forecast"),
        (["forecast", "a.csv", "b.csv"], "b.csv"),
    ],
)
def test_unknown_words_name_the_nearest(words: list[str], said: str, run: Shell) -> None:
    answer = run(*words)
    assert answer.code == 2
    assert said in answer.err


def test_broken_rows_may_be_left_out(run: Shell) -> None:
    lines = Path("sales.csv").read_text().splitlines()
    lines[20] = "2016-08,unknown"
    Path("sales.csv").write_text("\n".join(lines))
    assert run("forecast", "sales.csv", "--epochs", 1, "--out", "out").code == 2
    answer = run("forecast", "sales.csv", "--epochs", 1, "--out", "out", "--on-bad", "skip")
    assert answer.code == 0
    assert "left out 1 broken rows" in answer.out


@pytest.mark.parametrize("command", ["forecast", "predict", "evaluate", "show", "list", "demo"])
def test_every_help_has_examples(command: str, run: Shell) -> None:
    answer = run(command, "--help")
    assert answer.code == 0
    assert f"ostinato {command}" in answer.out.partition("Examples")[2]


def test_list(run: Shell) -> None:
    found = run("list").out
    for word in ("forecast", "gru", "quantile", "seasonal_naive"):
        assert word in found
    assert "instruction set" in run("list", "--kernels").out


# ---- in processes of their own ------------------------------------------------------------------------

HIDDEN = """
import builtins, sys
real = builtins.__import__
def refuse(name, *rest):
    if name.split(".")[0] in {"torch", "pandas", "matplotlib", "scipy"}:
        raise ImportError(f"{name} is hidden")
    return real(name, *rest)
builtins.__import__ = refuse
from ostinato.interfaces.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("words", [["--help"], ["forecast", "--help"], ["predict", "--help"], ["--version"], []])
def test_help_needs_neither_torch_nor_pandas(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", HIDDEN, *words], capture_output=True, text=True, timeout=60)
    assert "hidden" not in done.stderr
    assert done.returncode == (0 if words else 2)
    assert "ostinato" in done.stdout + done.stderr


def test_an_interrupt_says_how_to_go_on(tmp_path: Path) -> None:
    pd.DataFrame({"units": SALES}).to_csv(tmp_path / "sales.csv", index=False)
    words = ["forecast", "sales.csv", "--horizon", "6", "--epochs", "100000", "--hidden-size", "64", "--out", "out"]
    # A high validation loss never ends it: only the interrupt does.
    code = "import sys; from ostinato.interfaces.cli import main; main(sys.argv[1:])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--learning-rate", "1e-12"],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    history = tmp_path / "out" / "history.jsonl"
    while time.monotonic() < deadline and not (history.exists() and history.stat().st_size):
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert "--out out --resume" in err
    assert not (tmp_path / "out" / "metrics.json").exists()
