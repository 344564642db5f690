"""Published-data runs: what is measured, refused, kept and shown; on files that are made up and tiny."""

from __future__ import annotations

import doctest
import json
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.figures import command, ett, forecast, ledger, m3, page
from benchmarks.figures import row as rows
from benchmarks.figures.row import Row
from rich.console import Console

from ostinato import metrics
from ostinato.tasks.forecast import ForecastOptions
from ostinato.tasks.forecasting.learnt import Forecast, Learnt

NAMED = {row.name: row for row in forecast.ROWS}


def words(folder: Path, *more: str) -> list[str]:
    """Of a command that writes into a folder of the test."""
    return ["--task", "forecast", "--data", str(folder), "--out", str(folder / "out"), "--threads", "1", *more]


def written(folder: Path) -> list[dict[str, Any]]:
    return ledger.read(folder / "out/benchmarks/figures.jsonl")


def shampoo(folder: Path) -> None:
    """A file like shampoo.csv, made up."""
    y = 100 + np.arange(36) * 5 + np.random.default_rng(0).normal(size=36) * 20
    months = [f"{year}-{month:02d}" for year in (1, 2, 3) for month in range(1, 13)]
    (folder / "forecast/classic").mkdir(parents=True)
    table = pd.DataFrame({"Month": months, "Sales": y.round(1)})
    table.to_csv(folder / "forecast/classic/shampoo.csv", index=False)


def answering(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> list[str]:
    """Rows answer what they are given here, out of real processes: JSON, or words on standard error. Who was asked."""
    asked: list[str] = []

    def typed(row: Row, *_: Any) -> list[str]:
        asked.append(row.name)
        answer = answers[row.name]
        if isinstance(answer, str):
            return [sys.executable, "-c", f"import sys; sys.exit({answer!r})"]
        return [sys.executable, "-c", f"print({json.dumps(answer)!r})"]

    monkeypatch.setattr(command, "typed", typed)
    return asked


def came(value: float, **baselines: float) -> dict[str, Any]:
    return {"metrics": {"mae": value}, "baselines": {name: {"mae": v} for name, v in baselines.items()}, "seed": 0}


# ---- runs


def test_a_command_is_run_recorded_and_not_run_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shampoo(tmp_path)
    assert command.main(words(tmp_path, "--only", "shampoo", "--quick")) == 0
    (line,) = written(tmp_path)
    told = json.loads((tmp_path / "out/runs/figures/shampoo/metrics.json").read_text())
    assert list(line) == [
        "task", "row", "command", "commit", "seed", "split", "metric", "value", "published", "source", "beside",
        "seconds", "machine", "date",
    ]  # fmt: skip
    assert (line["row"], line["metric"], line["value"]) == ("shampoo", "mae", told["metrics"]["mae"])
    assert line["beside"] == {name: scores["mae"] for name, scores in told["baselines"].items()}
    assert "naive" in line["beside"]
    assert line["command"].startswith("ostinato forecast DATA/forecast/classic/shampoo.csv --horizon 6")
    assert str(tmp_path) not in json.dumps(line)
    assert f"| shampoo | mae | {line['value']:.4g} | - |" in (tmp_path / "out/docs/figures-forecast.md").read_text()
    capfd.readouterr()
    assert command.main(words(tmp_path, "--only", "shampoo", "--quick")) == 0
    assert "is there" in capfd.readouterr().err
    assert len(written(tmp_path)) == 1


def test_a_failure_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = answering(monkeypatch, {"airline": "first line\nairline.csv: is not there", "births": came(7.0)})
    assert command.main(words(tmp_path, "--only", "births,airline")) == 1
    assert asked == ["airline", "births"]
    assert "figures: airline: not recorded: exit status 1: airline.csv: is not there" in capfd.readouterr().err
    assert [line["row"] for line in written(tmp_path)] == ["births"]
    assert command.main(words(tmp_path, "--only", "births,airline")) == 1
    assert asked[2:] == ["airline"]  # what failed is tried again, what is there is not


def test_again_adds_a_line_and_the_newest_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"births": came(7.0, naive=9.0)}
    answering(monkeypatch, answers)
    assert command.main(words(tmp_path, "--only", "births")) == 0
    answers["births"] = came(6.5, naive=9.0)
    assert command.main(words(tmp_path, "--only", "births", "--again")) == 0
    assert [line["value"] for line in written(tmp_path)] == [7.0, 6.5]
    text = (tmp_path / "out/docs/figures-forecast.md").read_text()
    assert "| births | mae | 6.5 | - | - | 9 naive |" in text


def test_m4_is_refused_where_its_baselines_come_out_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = {
        "metrics": dict.fromkeys(NAMED["m4-hourly"].metrics, 0.5), "seed": 0,
        "baselines": {"seasonal_naive": {"smape": 13.9123, "mase": 1.1928}, "naive2": {"smape": 18.3834, "mase": 2.4}},
    }  # fmt: skip
    answering(monkeypatch, {"m4-hourly": answer})
    assert command.main(words(tmp_path, "--only", "m4-hourly")) == 1
    assert "the naive2 baseline has mase 2.400, known is 2.395" in capfd.readouterr().err
    assert written(tmp_path) == []
    answer["baselines"]["naive2"]["mase"] = 2.3954  # type: ignore[index]
    assert command.main(words(tmp_path, "--only", "m4-hourly")) == 0
    assert [line["metric"] for line in written(tmp_path)] == ["owa", "smape", "mase", "coverage_80", "coverage_95"]
    del answer["baselines"]["naive2"]  # type: ignore[attr-defined]
    assert "naive2" in NAMED["m4-hourly"].refused(answer)


def test_a_metric_that_did_not_come_out_is_refused() -> None:
    row = Row("a", "", "", ("mae", "direction"))
    assert row.refused({"metrics": {"mae": 1.0, "direction": None}, "baselines": {}}) == (
        "there is no direction in what came out"
    )


def test_the_words_of_a_process(tmp_path: Path) -> None:
    given = Namespace(task="forecast", data=tmp_path, threads=3, quick=False)
    typed = command.typed(NAMED["stocks"], given, tmp_path / "out")
    file = str(tmp_path / "forecast/stocks/stocks_ohlcv_5.csv.gz")
    assert typed[1:9] == ["-m", "ostinato.interfaces.cli", "forecast", file, "--id", "Ticker", "--target", "Adj Close"]
    assert typed[-3:] == ["--threads", "3", "--json"]
    again = command.typed(NAMED["ett-h1-96"], given, tmp_path / "out")
    assert again[1] == str(command.SCRIPT)
    assert again[-4:] == ["--child", "ett-h1-96", "--threads", "3"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--only", "shampo"), "did you mean 'shampoo'?"),
        (("--only", "xyzzy"), "there are m4-hourly"),
    ],
)
def test_an_unknown_row_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert command.main(words(tmp_path, *more)) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--data", "nowhere"], ["--data", ".", "--quick"], ["--data", ".", "--threads", "0"]])
def test_what_cannot_be_is_refused(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--task", "forecast", *more])
    assert ended.value.code == 2
    assert "figures: error: --" in capsys.readouterr().err


# ---- rows


def test_rows_have_names_of_their_own_and_commands_that_are_options() -> None:
    assert len(NAMED) == len(forecast.ROWS)
    known = {f"--{name.replace('_', '-')}" for name in ForecastOptions.model_fields} | {"--test"}
    for row in forecast.ROWS:
        assert set(row.published) <= set(row.metrics)
        assert bool(row.published) == bool(row.source)
        if row.measure is None:
            said = shlex.split(row.said(quick=True))
            assert said[:2] == ["ostinato", "forecast"]
            assert {word for word in said if word.startswith("--")} <= known
            assert said[2].startswith("DATA/forecast/")


@pytest.mark.parametrize("module", [rows, page, ett])
def test_the_docstrings_hold(module: Any) -> None:
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed


# ---- ETTh1

SPLIT = (600, 120, 60)  # enough to learn from that no outlook is fitted to the whole series


def ett_file(folder: Path, steps: int) -> Path:
    """A file like ETTh1.csv.gz: hours, and two columns instead of seven."""
    rng, hours = np.random.default_rng(0), np.arange(steps)
    frame = pd.DataFrame({"date": pd.date_range("2016-07-01", periods=steps, freq="h").astype(str)})
    for k, name in enumerate(("HUFL", "OT")):
        frame[name] = 10 + 3 * np.sin(hours * np.pi / 12 + k) + rng.normal(size=steps)
    (folder / "forecast/ett").mkdir(parents=True)
    frame.to_csv(folder / ett.FILE, index=False)
    return folder


def test_ett_is_measured_on_every_test_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, horizon, seen = SPLIT, 30, []
    frame = ett.standardised(pd.read_csv(ett_file(tmp_path, 800) / ett.FILE), split)
    y = frame[["HUFL", "OT"]].to_numpy()

    def oracle(self: Learnt, panel: Any, origins: Any) -> Forecast:
        """Half a unit beside the truth, which is looked up by series and place."""
        column = ["HUFL", "OT"].index(panel[0].name)
        seen.extend((column, place) for _, place in origins.tolist())
        return Forecast(np.array([y[place : place + horizon, column] + 0.5 for _, place in origins]), None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(Learnt, "forecast", oracle)
    monkeypatch.setattr(ett, "QUICKLY", 1)
    found = ett.measure(tmp_path, True, horizon=horizon, split=split)
    assert found["metrics"] == pytest.approx({"mse": 0.25, "mae": 0.5})
    places = range(720, 780 - horizon + 1)
    assert sorted(seen) == [(column, place) for column in (0, 1) for place in places]
    last = np.array([[y[p : p + horizon, c] - y[p - 1, c] for p in places] for c in (0, 1)])
    assert found["baselines"]["naive"] == pytest.approx({"mse": np.square(last).mean(), "mae": np.abs(last).mean()})
    day = [[y[p + h, c] - y[p + h - 24 * (1 + h // 24), c] for p in places for h in range(horizon)] for c in (0, 1)]
    assert found["baselines"]["seasonal_naive"]["mae"] == pytest.approx(np.abs(day).mean())


def test_ett_networks_answer_from_what_lies_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ett, "QUICKLY", 1)
    found = ett.measure(ett_file(tmp_path, 800), True, horizon=60, split=SPLIT)
    assert 0 < found["metrics"]["mse"] < 3  # a variance of 1, and one window a column
    frame = ett.standardised(pd.read_csv(tmp_path / ett.FILE), SPLIT)
    other = frame.copy()
    other.loc[720:, ["HUFL", "OT"]] += 1000.0
    told: list[np.ndarray[Any, Any]] = []
    plain = Learnt.forecast
    monkeypatch.setattr(Learnt, "forecast", lambda *a: told.append(plain(*a).point) or plain(*a))
    for table in (frame, other):
        table.to_csv(tmp_path / ett.FILE, index=False)
        ett.measure(tmp_path, True, horizon=60, split=SPLIT)
    np.testing.assert_array_equal(told[0], told[2])
    np.testing.assert_array_equal(told[1], told[3])


def test_ett_wants_enough_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="200 training rows are too few"):
        ett.measure(ett_file(tmp_path, 400), True, horizon=24, split=(200, 60, 60))


def test_ett_is_standardised_by_its_training_rows(tmp_path: Path) -> None:
    raw = pd.read_csv(ett_file(tmp_path, 800) / ett.FILE)
    found = ett.standardised(raw, SPLIT)
    assert len(found) == 780
    train = found[["HUFL", "OT"]].to_numpy()[:600]
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(train.std(0), 1)
    raw.loc[600:, "OT"] += 50
    np.testing.assert_array_equal(ett.standardised(raw, SPLIT)["OT"][:600], found["OT"][:600])
    with pytest.raises(ValueError, match="has 800 rows, the split takes 801"):
        ett.standardised(raw, (600, 120, 81))


# ---- M3


def test_m3_is_measured_on_its_own_test_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lengths, horizon = (40, 63, 55), 8
    train = [100 + np.cumsum(rng.normal(size=n)).round(2) for n in lengths]
    test = [y[-1] + np.cumsum(rng.normal(size=horizon)).round(2) for y in train]
    table = pd.DataFrame({
        "series": ["N2830", "N2831", "N2832"], "type": "MICRO", "period": "OTHER", "n": lengths, "h": horizon,
        "train": [" ".join(f"{v:.2f}" for v in y) for y in train],
        "test": [" ".join(f"{v:.2f}" for v in y) for y in test],
    })  # fmt: skip
    far = table[:1].assign(series="N0001", period="YEARLY", train="1 900 1 900 1 900 1", test="900 1 900 1 900 1")
    (tmp_path / "forecast/m3_m1").mkdir(parents=True)
    pd.concat([far, table]).to_csv(tmp_path / m3.FILE, index=False)
    found = m3.measure(tmp_path, True, group="OTHER", horizon=horizon, season=1)
    wanted = np.mean([metrics.smape(np.full(horizon, y[-1]), z) for y, z in zip(train, test, strict=True)])
    assert found["baselines"]["naive"]["smape"] == pytest.approx(wanted)
    assert 0 < found["metrics"]["smape"] < 20


def test_m3_tables_become_long_ones() -> None:
    table = pd.DataFrame({"series": ["a", "b"], "train": ["1 2.5", "3"], "test": ["4", "5 6"]})
    assert m3.long(table, "train").to_numpy().tolist() == [["a", 1, 1.0], ["a", 2, 2.5], ["b", 1, 3.0]]
    assert m3.long(table, "test").to_numpy().tolist() == [["a", 3, 4.0], ["b", 2, 5.0], ["b", 3, 6.0]]


# ---- what is kept and shown


def lines(row: Row, **scores: float) -> list[dict[str, Any]]:
    found = {
        "metrics": scores,
        "baselines": {"naive": {"mae": 3.0, "direction": 0.0}, "drift": {"mae": None}},
        "seed": 4,
    }
    return ledger.lines_of("forecast", row, found, False, commit="abc", seconds=12.34, machine="a machine")


def test_a_row_is_there_when_its_command_and_all_metrics_are() -> None:
    row = Row("a", "ostinato forecast DATA/a.csv", "", ("mae", "direction"))
    both = lines(row, mae=1.0, direction=0.5)
    assert {name: line["value"] for name, line in ledger.newest(both, "forecast", row, False).items()} == {
        "mae": 1.0, "direction": 0.5,
    }  # fmt: skip
    assert both[0]["beside"] == {"naive": 3.0}
    assert ledger.newest(both[:1], "forecast", row, False) == {}
    assert ledger.newest(both, "forecast", row, True) == {}
    assert ledger.newest(both, "classify", row, False) == {}
    changed = Row("a", "ostinato forecast DATA/a.csv --season 7", "", ("mae", "direction"))
    assert ledger.newest(both, "forecast", changed, False) == {}


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    assert ledger.read(file) == []
    row = Row("a", "ostinato forecast DATA/a.csv", "", ("mae",))
    ledger.append(file, lines(row, mae=1.0))
    with file.open("a") as more:
        more.write('{"task": "forecast", "row"')
    with pytest.raises(ValueError, match=r"figures.jsonl, line 2: is no figure .*: take the line out"):
        ledger.read(file)


def test_the_commit_is_read_wherever_git_keeps_it(tmp_path: Path) -> None:
    assert ledger.commit(tmp_path) == ""
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert ledger.commit(tmp_path) == ""
    (git / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'1' * 40} refs/heads/main2\n{'2' * 40} refs/heads/main\n"
    )
    assert ledger.commit(tmp_path) == "2" * 12
    (git / "refs/heads/main").write_text("3" * 40 + "\n")
    assert ledger.commit(tmp_path) == "3" * 12
    (git / "HEAD").write_text("4" * 40 + "\n")
    assert ledger.commit(tmp_path) == "4" * 12


def test_the_page_shows_ours_beside_published_and_the_best_classical(tmp_path: Path) -> None:
    row = Row(
        "a", "ostinato forecast DATA/a.csv", "the last week", ("mae", "direction"),
        published={"mae": {"Somebody": 1.25}}, source="Somebody (1999)",
    )  # fmt: skip
    found = {
        "metrics": {"mae": 2.0, "direction": 0.5}, "seed": 4,
        "baselines": {
            "seasonal_naive": {"mae": 4.0, "direction": 0.7}, "drift": {"mae": 3.0, "direction": 0.6},
            "feed_forward": {"mae": 1.0, "direction": 0.9}, "outlook": {"mae": 0.5, "direction": 1.0},
        },
    }  # fmt: skip
    run = {"commit": "abc", "seconds": 12.34, "machine": "a machine"}
    kept = {"a": ledger.newest(ledger.lines_of("forecast", row, found, False, **run), "forecast", row, False)}
    text = page.page("forecast", (row, NAMED["airline"]), kept, forecast.SHEET)
    assert "| a | mae | 2 | 1.25 Somebody | 4 | 3 drift | 1 | 12.3 |" in text
    assert "| a | direction | 0.5 | - | 0.7 | 0.7 seasonal_naive | 0.9 | 12.3 |" in text
    assert "| a | `ostinato forecast DATA/a.csv` | the last week | 4 | abc |" in text
    assert "- a: Somebody (1999)." in text
    assert "airline" not in text
    console = Console(width=120, record=True, file=(tmp_path / "screen").open("w"))
    page.show(kept, forecast.SHEET, console)
    assert "1.25 Somebody" in console.export_text()
