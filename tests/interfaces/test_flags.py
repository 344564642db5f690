"""Options of the command line come from the task's fields, all of them, once."""

from __future__ import annotations

import pytest

import ostinato as ost
from ostinato.interfaces import flags
from ostinato.interfaces.cli import main
from ostinato.tasks.forecast import Forecaster, ForecastOptions


def test_every_field_is_an_option() -> None:
    assert {p.name for p in flags.parameters(ForecastOptions)} == set(ForecastOptions.model_fields)
    assert next(iter(flags.parameters(ForecastOptions))).name == "horizon"  # the task's own come first


def test_words_become_values() -> None:
    said = flags.given(
        ForecastOptions, {"horizon": "12", "levels": "95, 50", "time_limit": "2m", "bidirectional": True}
    )
    model = Forecaster(**said)
    assert (model.horizon, model.levels, model.time_limit, model.bidirectional) == (12, (50, 95), 120, True)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("0.5h", 1800)])
def test_times(text: str, seconds: float) -> None:
    assert flags.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1x", "m", "-5", "1h x"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="--time-limit"):
        flags.seconds(text)


def test_what_is_on_by_itself_can_be_turned_off(tmp_path) -> None:
    path = tmp_path / "tags.tsv"
    path.write_text("a\tX\nb\tY\n\n" * 4)
    words = f"tag {path} --no-bidirectional --hidden-size 4 --epochs 1 --quiet --out {tmp_path / 'run'}"
    with pytest.raises(SystemExit):
        main(words.split())
    model = ost.load(tmp_path / "run" / "model.ost")
    assert not model._learnt.network.encoder.recurrent.bidirectional
