"""Settings that cannot be are refused, with the nearest name; a resumed run's may differ in two."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from ostinato.training import Settings
from ostinato.training.settings import difference


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"optimizer": "adm"}, "optimizer='adm' .* did you mean 'adam'"),
        ({"optimizer": "SGD"}, "optimizer='SGD' .* adam, adamw, sgd, rmsprop"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"precision": "float8"}, "did you mean 'float"),
        ({"optimizer": ["adam"]}, "is not one of"),
        ({"weight_norm": "yes"}, "weight_norm='yes' is not one of True, False"),
        ({"learning_rate": -1e-3}, "learning_rate=-0.001 must be a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate='fast' must be"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be"),
        ({"learning_rate": None}, "learning_rate=None must be"),
        ({"time_limit": float("inf")}, "time_limit=inf must be"),
        ({"clip": 0}, "clip=0 must be"),
        ({"recurrent_norm_limit": -1}, "recurrent_norm_limit"),
        ({"epochs": 0}, "epochs=0 must be a whole number from 1 up"),
        ({"epochs": 2.5}, "epochs=2.5 must be a whole number"),
        ({"epochs": True}, "epochs=True must be"),
        ({"patience": 0}, "patience=0"),
        ({"seed": -1}, "seed=-1 must be a whole number from 0 up"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be a number from 0 up"),
        ({"checkpoint_every": 0}, "checkpoint_every=0"),
    ],
)
def test_a_value_that_cannot_be_is_refused(words, text):
    with pytest.raises(ValueError, match=text):
        Settings(**{"epochs": 1, **words})


def test_numbers_of_numpy_become_plain_ones():
    settings = Settings(epochs=np.int64(3), learning_rate=np.float32(0.5), clip=2)
    assert (type(settings.epochs), type(settings.learning_rate), type(settings.clip)) == (int, float, float)


def test_epochs_may_grow_and_the_time_limit_may_change():
    before = asdict(Settings(epochs=3))
    assert difference(before, Settings(epochs=3)) is None
    assert difference(before, Settings(epochs=9, time_limit=60)) is None
    assert "they may grow, not shrink" in difference(before, Settings(epochs=2))


@pytest.mark.parametrize("words", [{"seed": 1}, {"optimizer": "sgd"}, {"learning_rate": 0.1}, {"weight_norm": True}])
def test_any_other_difference_is_named(words):
    assert next(iter(words)) in difference(asdict(Settings(epochs=3)), Settings(epochs=3, **words))
