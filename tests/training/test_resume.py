"""A resumed run is the uninterrupted one: weights bit for bit, and the same rows of history."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.training.small import Chunks, Rows, carried, error, net, same, squares, train, weights
from torch import nn

from ostinato import format
from ostinato.training import Callback, CheckpointError, checkpoint


class Interrupted(BaseException):
    """As Ctrl-C would be, after a step."""


class InterruptAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_end(self, logs):
        if logs["step"] == self.step:
            raise Interrupted


def _without_time(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def _interrupted(out, step, **changes):
    with pytest.raises(Interrupted):
        train(out=out, callbacks=[InterruptAt(step)], **changes)


def worse(model):
    """A validation loss that rises as the model learns: the first epoch is the best."""
    return 1 / error(model)


def overflowing(model, batch, state):
    """Times the scale of 65536 that it begins with, more than float16 holds."""
    total, count, state = squares(model, batch, state)
    return total * 1e3, count, state


RUNS = {
    "plain": {},
    "no validation": {"validate": None},
    "best epoch first": {"validate": worse, "checkpoint_every": 3},
    "mid-epoch": {"checkpoint_every": 1},
    "every three": {"checkpoint_every": 3},
    "adamw, cosine, warm-up": {"optimizer": "adamw", "schedule": "cosine", "warmup": 5, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "checkpoint_every": 3},
    "sgd": {"optimizer": "sgd", "checkpoint_every": 3},
    "plateau": {"schedule": "plateau", "plateau_patience": 2, "epochs": 7, "validate": worse, "checkpoint_every": 3},
    "plateau, by epochs": {"schedule": "plateau", "plateau_patience": 1, "epochs": 7, "validate": worse},
    "early stop": {"patience": 3, "epochs": 9, "validate": worse, "checkpoint_every": 3},
    "truncated BPTT": {"chunks": True, "checkpoint_every": 1},
    "truncated BPTT, LSTM": {"chunks": True, "checkpoint_every": 1, "cell": nn.LSTM},
    "weight norm and limit": {"weight_norm": True, "recurrent_norm_limit": 0.5, "checkpoint_every": 3},
    "bfloat16": {"precision": "bfloat16", "checkpoint_every": 1},
    "float16": {"precision": "float16", "checkpoint_every": 1, "objective": overflowing},
    "truncated BPTT in bfloat16": {"precision": "bfloat16", "chunks": True, "checkpoint_every": 1},
}


def _run(words, **more):
    """One run of the table, from a model of its own."""
    words = {"validate": error, **words}
    if words.pop("chunks", False):
        words |= {"batches": Chunks(), "objective": carried}
    return train(model=net(cell=words.pop("cell", None) or type(net().rnn)), **words, **more)


@pytest.mark.parametrize("words", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("step", [1, 8, 13])
def test_resumed_equals_uninterrupted(words, step, tmp_path):
    whole, history = _run(words)
    with pytest.raises(Interrupted):
        _run(words, out=tmp_path, callbacks=[InterruptAt(step)])
    resumed, rows = _run(words, out=tmp_path, resume=True)
    assert same(weights(resumed), weights(whole))
    assert _without_time(rows) == _without_time(history)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(rows)


def test_resumed_again_and_again_at_every_step(tmp_path):
    words = {"validate": error, "checkpoint_every": 1, "epochs": 2}
    whole, _ = train(**words)
    for step in range(1, 9):
        with pytest.raises(Interrupted):
            train(out=tmp_path, resume=True, callbacks=[InterruptAt(step)], **words)
    resumed, history = train(out=tmp_path, resume=True, **words)
    assert same(weights(resumed), weights(whole))
    assert [row["epoch"] for row in history] == [1, 2]


def test_at_most_one_interval_is_lost(tmp_path):
    seen = []

    class Steps(Callback):
        def on_batch_end(self, logs):
            seen.append(logs["step"])

    _interrupted(tmp_path, 9, checkpoint_every=3)
    train(out=tmp_path, resume=True, callbacks=[Steps()], checkpoint_every=3)
    assert seen[0] == 7  # the interruption came before the checkpoint of step 9


def test_the_models_own_start_does_not_matter_to_a_resumed_run(tmp_path):
    whole, _ = train()
    _interrupted(tmp_path, 2)
    resumed, _ = train(model=net(seed=99), out=tmp_path, resume=True)
    assert same(weights(resumed), weights(whole))


def test_resume_without_a_checkpoint_starts_anew(tmp_path):
    model, history = train(out=tmp_path / "new", resume=True)
    assert same(weights(model), weights(train()[0]))
    assert len(history) == 4


def test_a_finished_run_is_not_trained_again(tmp_path):
    class Never(Callback):
        def on_batch_end(self, logs):
            raise AssertionError("a step of a finished run")

    finished, history = train(out=tmp_path, validate=error)
    again, rows = train(model=net(seed=99), out=tmp_path, validate=error, resume=True, callbacks=[Never()])
    assert same(weights(again), weights(finished))
    assert list(rows) == list(history)


def test_epochs_may_grow(tmp_path):
    train(out=tmp_path, epochs=2, validate=error)
    grown, history = train(out=tmp_path, epochs=4, validate=error, resume=True)
    assert same(weights(grown), weights(train(epochs=4, validate=error)[0]))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]


class Clock(Callback):
    """A step takes 10 seconds, and nothing else takes any time."""

    now = 0.0

    def on_batch_end(self, logs):
        self.now += 10


def test_a_run_out_of_time_goes_on_inside_its_epoch_with_more(tmp_path, monkeypatch):
    whole, history = train(validate=error)
    clock = Clock()
    monkeypatch.setattr("ostinato.training.loop.time.monotonic", lambda: clock.now)
    _, partial = train(out=tmp_path, validate=error, time_limit=55, callbacks=[clock])
    assert [(row["epoch"], row["step"], row["seconds"]) for row in partial] == [(1, 4, 40), (2, 6, 60)]
    _, rows = train(model=net(seed=99), out=tmp_path, validate=error, time_limit=55, resume=True)
    assert _without_time(rows) == _without_time(partial)
    resumed, rows = train(out=tmp_path, validate=error, time_limit=1e9, resume=True)
    assert same(weights(resumed), weights(whole))
    assert _without_time(rows) == _without_time(history)


def test_validation_has_its_time_within_the_limit(monkeypatch):
    clock = Clock()

    def slow(model):
        clock.now += 25
        return error(model)

    monkeypatch.setattr("ostinato.training.loop.time.monotonic", lambda: clock.now)
    _, history = train(validate=slow, time_limit=120, callbacks=[clock])
    assert [(row["step"], row["seconds"]) for row in history] == [(4, 65), (7, 120)]


def test_without_resume_an_old_run_is_replaced(tmp_path):
    train(out=tmp_path, epochs=3)
    model, history = train(out=tmp_path, epochs=2, seed=1)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == len(history) == 2
    _interrupted(tmp_path, 1, epochs=2, seed=1)
    resumed, _ = train(out=tmp_path, epochs=2, seed=1, resume=True)
    assert same(weights(resumed), weights(model))


def test_what_a_killed_writer_left_is_swept(tmp_path):
    train(out=tmp_path)
    (tmp_path / ".0123456789abcdef.ostinato-tmp").write_bytes(b"half")
    train(out=tmp_path, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.ost", "history.jsonl"]


# Refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"seed": 1}, "was made with seed=0, this run has seed=1"),
        ({"learning_rate": 0.5}, "was made with learning_rate=0.01, this run has learning_rate=0.5"),
        ({"epochs": 3}, "was made for 4 epochs, this run has 3"),
        ({"batches": Rows(rows=40)}, "was made with batches an epoch: 4, this run has 7"),
        ({"model": net(hidden=9)}, "is of another model, or .*weight_ih_l0"),
    ],
)
def test_another_run_is_refused(words, text, tmp_path):
    train(out=tmp_path)
    before = (tmp_path / "checkpoint.ost").read_bytes()
    with pytest.raises(CheckpointError, match=text) as caught:
        train(out=tmp_path, resume=True, **words)
    assert str(tmp_path / "checkpoint.ost") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "checkpoint.ost").read_bytes() == before


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_checkpoint_is_named_and_left_as_it_is(damage, tmp_path):
    train(out=tmp_path)
    path = tmp_path / "checkpoint.ost"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    damaged = {"flip": bytes(raw), "cut": bytes(raw[:-9]), "empty": b"", "foreign": b"\x80pickle" * 9}[damage]
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=r"checkpoint\.ost: .*start anew with resume=False"):
        train(out=tmp_path, resume=True)
    assert path.read_bytes() == damaged


def test_a_model_file_is_no_checkpoint(tmp_path):
    format.write(tmp_path / "checkpoint.ost", {"w": np.ones(2)}, {"kind": "layer", "class": "GRU"})
    with pytest.raises(CheckpointError, match="is a layer, not a checkpoint"):
        train(out=tmp_path, resume=True)


def test_a_state_that_cannot_be_written_is_named(tmp_path):
    def odd(model, batch, state):
        total, count, _ = carried(model, batch, None)
        return total, count, {"h": {1, 2}}

    with pytest.raises(TypeError, match="ranks/0/carry/h is a set"):
        train(out=tmp_path, objective=odd, checkpoint_every=1)


# The file ---------------------------------------------------------------------------------------------------


def test_every_kind_of_leaf_comes_back(tmp_path):
    tree = {
        "moments": {0: torch.randn(3), 7: (torch.ones((), dtype=torch.float64), None)},
        "lists": [1, 2.5, "word", True, [], {}],
        "bytes": torch.arange(5, dtype=torch.uint8),
        "half": torch.randn(2, 3).bfloat16(),
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "a/b": {"c": torch.ones(1)},
        "a": {"b/c": torch.zeros(1)},
        "unlimited": float("inf"),
    }
    checkpoint.write(tmp_path / "c.ost", tree)
    found = checkpoint.read(tmp_path / "c.ost")
    assert repr(found) == repr(tree)
    assert found["moments"][7][0].dtype == torch.float64
    assert found["half"].dtype == torch.bfloat16
    found["turned"] += 1  # what comes back can be written to
