"""Bad input on the command line: one line that says where and what, exit status 2, and a folder as it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from tests.data.test_bad_files import BAD, PARQUET

import ostinato as ost
from ostinato.interfaces import cli
from ostinato.tasks.forecasting import measure

QUICK = ("--horizon", "7", "--season", "7", "--epochs", "1", "--hidden-size", "8", "--members", "1")
QUICK += ("--baselines", "naive", "--quiet", "--out", "out")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line within this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OSTINATO_DEBUG", raising=False)
    monkeypatch.setattr(measure, "SLOW", ())  # ARIMA and ETS run in processes of their own: seconds

    def command(*words: object) -> Answer:
        capfd.readouterr()
        with open(os.devnull) as nothing, monkeypatch.context() as patch:  # noqa: PTH123
            patch.setattr(sys, "stdin", nothing)
            with pytest.raises(SystemExit) as ended:
                cli.main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Answer(int(ended.value.code or 0), out, err)

    return command


def check(answer: Answer, *said: str) -> None:
    """Refused in one line of bearable length, and nothing else was said."""
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("ostinato: error: ")
    assert answer.err.endswith("\n")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    assert len(answer.err) < 450
    for word in said:
        assert word in answer.err


def flags(options: dict[str, Any]) -> list[str]:
    """A reader's options as a person types them."""
    words = []
    for name, value in options.items():
        words += [f"--{name}", value if isinstance(value, str) else ",".join(value)]
    return words


# ---- files that cannot be read ----------------------------------------------------------------------

READ = {name: case for name, case in BAD.items() if "coding" not in case[1]}  # a coding is a trained model's


@pytest.mark.parametrize("name", READ)
def test_broken_files_are_refused_in_one_line(name: str, run: Command) -> None:
    content, options, said = READ[name]
    Path("sales.csv").write_bytes(content)
    answer = run("forecast", "sales.csv", *flags(options), "--epochs", 1, "--out", "out")
    check(answer, "error: sales.csv", *said)
    assert [path.name for path in Path().iterdir()] == ["sales.csv"]


@pytest.mark.parametrize("name", PARQUET)
def test_broken_parquet_is_refused_in_one_line(name: str, run: Command) -> None:
    frame, options, said = PARQUET[name]
    frame.to_parquet("sales.parquet")
    answer = run("forecast", "sales.parquet", *flags(options), "--epochs", 1, "--out", "out")
    check(answer, "error: sales.parquet", *said)
    assert [path.name for path in Path().iterdir()] == ["sales.parquet"]


@pytest.mark.parametrize("option", ["--test", "--valid"])
@pytest.mark.parametrize("name", ["text among numbers", "time that is none", "NUL", "empty"])
def test_further_files_are_read_as_strictly(name: str, option: str, run: Command) -> None:
    content, _, said = BAD[name]
    write_files()
    Path("more.csv").write_bytes(content)
    before = sorted(Path().iterdir())
    words = {option: "more.csv"} | ({"--test": "later.csv"} if option == "--valid" else {})
    answer = run("forecast", "sales.csv", *(part for pair in words.items() for part in pair), *QUICK)
    check(answer, "error: more.csv", *said)
    assert sorted(Path().iterdir()) == before


def test_there_are_enough_broken_files() -> None:
    assert len(READ) + len(PARQUET) + len(TASK) >= 40
    assert sum("row " in " ".join(said) for _, _, said in [*READ.values(), *PARQUET.values()]) >= 30


# ---- what only the task can find --------------------------------------------------------------------


def _good() -> dict[str, pd.DataFrame]:
    steps, days = np.arange(50), pd.date_range("2024-01-01", periods=50).strftime("%Y-%m-%d")
    one = pd.DataFrame({"date": days, "units": 20 + 5 * np.sin(steps * 2 * np.pi / 7)})
    many = pd.concat([one.set_axis(["ds", "y"], axis=1).assign(unique_id=id) for id in "ab"])
    many = many.assign(price=many["y"] / 2, wind=np.tile(steps % 30 + 1.0, 2), city=many["unique_id"] + "town")
    early = many["ds"] < days[40]
    return {"sales": one[:40], "later": one[40:], "shops": many[early], "shops-later": many[~early]}


GOOD = {f"{name}.csv": frame.reset_index(drop=True) for name, frame in _good().items()}
TEXT = {name: frame.to_csv(index=False) for name, frame in GOOD.items()}


def write_files() -> None:
    """Good files: one series, several with covariates, and what comes later of each."""
    for name, text in TEXT.items():
        Path(name).write_text(text)


def changed(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """bad.csv: a good file with something wrong."""
    change(GOOD[name]).to_csv("bad.csv", index=False)


def monthly(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(date=pd.date_range("2024-03-01", periods=len(frame), freq="MS"))


def hourly(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(date=pd.date_range("2024-02-10", periods=len(frame), freq="h"))


COVARIATES = ("--target", "y", "--past", "wind", "--future", "price", "--static", "city")
LATER = (*COVARIATES, "--test", "bad.csv")

# name: the good file and what is wrong with it in bad.csv, the words, what the line must say
TASK: dict[str, tuple[tuple[str, Callable[[pd.DataFrame], pd.DataFrame]], tuple[str, ...], list[str]]] = {
    "too short": (
        ("sales.csv", lambda f: f[:14]),
        ("bad.csv",),
        ["error: bad.csv", "14 steps", "hold out 7", "--horizon 5 or less", "--test FILE"],
    ),
    "too short for any horizon": (("sales.csv", lambda f: f[:3]), ("bad.csv",), ["error: bad.csv", "give more data"]),
    "too short for the windows": (
        ("sales.csv", lambda f: f),
        ("bad.csv", "--windows", "6"),
        ["error: bad.csv", "hold out 42"],
    ),
    "horizon too long for all series": (
        ("shops.csv", lambda f: f),
        ("bad.csv", *COVARIATES, "--horizon", "30"),
        ["error: bad.csv", "--horizon 18 or less"],
    ),
    "horizon too long, with a test file": (
        ("sales.csv", lambda f: f[:8]),
        ("bad.csv", "--test", "later.csv"),
        ["error: bad.csv", "horizon of 5 or less"],
    ),
    "all of the test file missing": (
        ("later.csv", lambda f: f.assign(units=np.nan)),
        ("sales.csv", "--test", "bad.csv"),
        ["error: bad.csv", "'units'", "no values"],
    ),
    "all of a series missing in the test file": (
        ("shops-later.csv", lambda f: f.drop(columns="price").assign(y=f["y"].where(f["unique_id"] == "a"))),
        ("shops.csv", "--target", "y", "--test", "bad.csv"),
        ["error: bad.csv", "row 12", "'y'", "series 'b'", "--on-bad skip"],
    ),
    "test file that begins too early": (
        ("sales.csv", lambda f: f),
        ("sales.csv", "--test", "bad.csv"),
        ["error: bad.csv", "begins at 2024-01-01", "end at 2024-02-09"],
    ),
    "test file that overlaps validation": (
        ("later.csv", lambda f: f),
        ("sales.csv", "--valid", "later.csv", "--test", "bad.csv"),
        ["error: bad.csv", "begins at 2024-02-10", "end at 2024-02-19"],
    ),
    "test file of a finer frequency": (
        ("later.csv", hourly),
        ("sales.csv", "--test", "bad.csv"),
        ["error: bad.csv", "hourly", "daily"],
    ),
    "test file of another unit": (
        ("later.csv", lambda f: f.assign(date=range(len(f)))),
        ("sales.csv", "--test", "bad.csv"),
        ["error: bad.csv", "steps without dates", "daily"],
    ),
    "test file of another id": (
        ("shops-later.csv", lambda f: f.replace({"unique_id": {"b": "bb"}})),
        ("shops.csv", *LATER),
        ["error: bad.csv", "'bb'", "did you mean 'b'?"],
    ),
    "test file without ids": (
        ("shops-later.csv", lambda f: f[:10].drop(columns="unique_id")),
        ("shops.csv", *LATER),
        ["error: bad.csv", "which of the series", "--id"],
    ),
    "test file with ids for one series": (
        ("later.csv", lambda f: f.assign(unique_id="a")),
        ("sales.csv", "--test", "bad.csv"),
        ["error: bad.csv", "'a'", "not known"],
    ),
    "test file of another target": (
        ("later.csv", lambda f: f.rename(columns={"units": "unit"})),
        ("sales.csv", "--test", "bad.csv"),
        ["error: bad.csv", "row 1", "'units'", "did you mean 'unit'?"],
    ),
    "test file without what is known ahead": (
        ("shops-later.csv", lambda f: f.drop(columns="price")),
        ("shops.csv", *LATER),
        ["error: bad.csv", "'price'", "--future"],
    ),
    "test file without a past covariate": (
        ("shops-later.csv", lambda f: f.drop(columns="wind")),
        ("shops.csv", *LATER),
        ["error: bad.csv", "'wind'", "--past"],
    ),
    "test file without a static covariate": (
        ("shops-later.csv", lambda f: f.drop(columns="city")),
        ("shops.csv", *LATER),
        ["error: bad.csv", "'city'", "--static"],
    ),
    "words in a covariate of numbers": (
        ("shops-later.csv", lambda f: f.assign(price="dear")),
        ("shops.csv", *LATER),
        ["error: bad.csv", "row 2", "'price'", "'dear'", "not a number"],
    ),
    "covariate not there": (
        ("shops.csv", lambda f: f),
        ("bad.csv", "--target", "y", "--future", "prize"),
        ["error: bad.csv", "'prize'", "did you mean 'price'?"],
    ),
    "covariate in two roles": (
        ("shops.csv", lambda f: f),
        ("bad.csv", "--target", "y", "--future", "price", "--past", "price"),
        ["error: bad.csv", "'price'", "as past and as future"],
    ),
    "static covariate that changes": (
        ("shops.csv", lambda f: f),
        ("bad.csv", "--target", "y", "--static", "wind"),
        ["error: bad.csv", "row 3", "'wind'", "series 'a'"],
    ),
}


@pytest.mark.parametrize("name", TASK)
def test_what_only_the_task_can_find(name: str, run: Command) -> None:
    (source, change), words, said = TASK[name]
    write_files()
    changed(source, change)
    before = sorted(Path().iterdir())
    check(run("forecast", *QUICK, *words), *said)
    assert sorted(Path().iterdir()) == before


# What is found now, but only after training: nothing of it may be left behind.
LATE: dict[str, tuple[tuple[str, Callable[[pd.DataFrame], pd.DataFrame]], tuple[str, ...], list[str]]] = {
    "test file of a wider frequency": (
        ("later.csv", monthly),
        ("sales.csv", "--test", "bad.csv"),
        ["error: bad.csv", "frequency"],
    ),
    "test file of what is known ahead alone": (
        ("shops-later.csv", lambda f: f.drop(columns="y")),
        ("shops.csv", *LATER),
        ["error: bad.csv", "'y'"],
    ),
    "test file with rows ahead alone": (
        ("shops-later.csv", lambda f: f.assign(y=np.nan)),
        ("shops.csv", *LATER),
        ["error: bad.csv", "'y'"],
    ),
    "validation file with rows ahead alone": (
        ("shops-later.csv", lambda f: f[f["ds"] < "2024-02-15"].assign(y=np.nan)),
        ("shops.csv", *COVARIATES, "--valid", "bad.csv", "--test", "shops-later.csv"),
        ["error: bad.csv", "'y'"],
    ),
}


@pytest.mark.parametrize("name", LATE)
def test_what_only_the_task_can_find_before_it_trains(name: str, run: Command) -> None:
    (source, change), words, said = LATE[name]
    write_files()
    changed(source, change)
    before = sorted(Path().iterdir())
    check(run("forecast", *QUICK, *words), *said)
    assert sorted(Path().iterdir()) == before


def test_an_earlier_run_stays_whole(run: Command) -> None:
    """Bad input is found before anything of what --overwrite is to replace is touched."""
    write_files()
    Path("out").mkdir()
    for name in ("model.ost", "metrics.json", "predictions.csv", "report.html", "checkpoint.ost"):
        Path("out", name).write_text("old")
    Path("bad.csv").write_bytes(BAD["text among numbers"][0])
    for words in (("bad.csv",), ("sales.csv", "--test", "bad.csv"), ("sales.csv", "--horizon", "60")):
        check(run("forecast", *QUICK, *words, "--overwrite"))
        assert {path.read_text() for path in Path("out").iterdir()} == {"old"}
        assert len(list(Path("out").iterdir())) == 5


# ---- files for a trained model ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on shops.csv, with covariates."""
    here, back = tmp_path_factory.mktemp("model"), Path.cwd()
    os.chdir(here)
    try:
        write_files()
        task = ost.Forecaster(
            horizon=7, season=7, epochs=1, hidden_size=8, members=1, target="y", past="wind", future="price",
            static="city", baselines="naive",
        )  # fmt: skip
        task.fit("shops.csv")
        task.save("model.ost")
    finally:
        os.chdir(back)
    return here / "model.ost"


ASKED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], list[str]]] = {
    "too few rows ahead": (
        lambda f: f[f["ds"] < "2024-02-14"].drop(columns="y"),
        ["'price' of 'a' is not known at 2024-02-14", "7 steps ahead"],
    ),
    "a hole in what is known ahead": (
        lambda f: f.assign(y=np.nan, price=f["price"].where(f["ds"] != "2024-02-12")),
        ["'price' of 'a' is not known at 2024-02-12"],
    ),
    "values and nothing ahead of them": (lambda f: f, ["'price' of 'a' is not known at 2024-02-20"]),
    "without the covariate": (lambda f: f.drop(columns=["y", "price"]), ["'price'", "--future"]),
    "words": (lambda f: f.assign(price="dear"), ["row 2", "'price'", "'dear'"]),
    "a series that is not known": (
        lambda f: f[:10].assign(y=np.nan, unique_id="zz"),
        ["'zz'", "not known", "known are 'a', 'b'"],
    ),
    "a time that is none": (lambda f: f.assign(ds=f["ds"].where(f.index != 4, "soon")), ["row 6", "'ds'", "'soon'"]),
    "repeated times": (lambda f: pd.concat([f, f[:1]]), ["row 22", "'ds'", "series 'a'", "row 2", "--duplicates"]),
    "too short a history of a new series": (
        lambda f: f[:2].assign(unique_id="zz"),
        ["2 values of 'zz'", "at least 3"],
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_predict_refuses_in_one_line(name: str, model: Path, run: Command) -> None:
    change, said = ASKED[name]
    write_files()
    changed("shops-later.csv", change)
    check(run("predict", model, "bad.csv", "--out", "next.csv"), "error: bad.csv", *said)
    assert not Path("next.csv").exists()


MEASURED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], list[str]]] = {
    "text": (lambda f: f.assign(y=f["y"].astype(str).where(f.index != 2, "many")), ["row 4", "'y'", "'many'"]),
    "without the target": (lambda f: f.drop(columns=["y", "price"]), ["'price'"]),
    "too short a history": (lambda f: f[:8].assign(unique_id="zz"), ["8 steps", "give more"]),
    "without the covariate": (lambda f: f.drop(columns="price"), ["'price'", "--future"]),
}


@pytest.mark.parametrize("name", MEASURED)
def test_evaluate_refuses_in_one_line(name: str, model: Path, run: Command) -> None:
    change, said = MEASURED[name]
    write_files()
    changed("shops-later.csv", change)
    check(run("evaluate", model, "bad.csv"), "error: bad.csv", *said)


def test_predict_names_the_column_that_holds_no_times(model: Path, run: Command) -> None:
    write_files()
    changed("shops-later.csv", lambda f: f.assign(ds="soon"))
    check(run("predict", model, "bad.csv"), "error: bad.csv", "'ds'")


def test_evaluate_on_rows_ahead_alone_names_the_file(model: Path, run: Command) -> None:
    write_files()
    changed("shops-later.csv", lambda f: f.assign(y=np.nan))
    check(run("evaluate", model, "bad.csv"), "error: bad.csv", "'y'")
