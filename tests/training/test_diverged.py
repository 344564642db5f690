"""A number that is not finite ends training within one step, by name, and reaches no checkpoint."""

from __future__ import annotations

import math

import pytest
import torch
from tests.training.small import Rows, error, net, squares, train

from ostinato.training import Callback, TrainingDiverged, checkpoint, trees


class Spoil(Callback):
    """After a step, write a bad number into one parameter."""

    def __init__(self, step: int, value: float = math.nan, name: str = "rnn.weight_hh_l1") -> None:
        self.step, self.value, self.name = step, value, name

    def on_batch_end(self, logs):
        if logs["step"] == self.step:
            self.trainer.model.get_parameter(self.name).data[1, 2] = self.value


def _finite_checkpoint(out):
    tree = checkpoint.read(out / "checkpoint.ost")
    return all(bool(leaf.isfinite().all()) for leaf in trees.leaves(tree))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("every", [None, 1])
def test_a_bad_parameter_is_named_within_one_step(value, every, tmp_path):
    with pytest.raises(TrainingDiverged, match=r"epoch 2, step 7: rnn\.weight_hh_l1 is not finite") as caught:
        train(callbacks=[Spoil(6, value)], out=tmp_path, checkpoint_every=every)
    assert (caught.value.epoch, caught.value.step, caught.value.tensor) == (2, 7, "rnn.weight_hh_l1")
    assert _finite_checkpoint(tmp_path)


def test_a_bad_parameter_is_not_written_at_the_end_of_an_epoch(tmp_path):
    with pytest.raises(TrainingDiverged, match=r"rnn\.weight_hh_l1"):
        train(callbacks=[Spoil(8)], out=tmp_path)
    assert _finite_checkpoint(tmp_path)
    assert checkpoint.read(tmp_path / "checkpoint.ost")["place"]["step"] == 4


def test_a_bad_parameter_is_named_by_validation_too():
    with pytest.raises(TrainingDiverged, match=r"step 5: rnn\.weight_hh_l1 is not finite"):
        train(callbacks=[Spoil(4)], validate=error)


def test_a_bad_number_in_the_data_is_said_to_be_there():
    rows = Rows()
    rows.x[3, 2, 0] = math.nan
    with pytest.raises(TrainingDiverged, match="the loss, and some of the batch's values, is not finite"):
        train(batches=rows)


def test_a_bad_loss_of_good_numbers_is_the_loss():
    def bad(model, batch, state):
        total, count, state = squares(model, batch, state)
        return total / 0 if model.steps_left < 0 else total, count, state

    model = net()
    model.steps_left = -1
    with pytest.raises(TrainingDiverged, match="epoch 1, step 1: the loss is not finite"):
        train(model=model, objective=bad)


def test_a_bad_gradient_of_a_good_loss_is_named_and_changes_nothing(tmp_path):
    model = net()
    before = model.dense.weight.detach().clone()

    def bad(model, batch, state):
        total, count, state = squares(model, batch, state)
        return total + (model.dense.bias * 0).sqrt().sum(), count, state  # d sqrt(0) is infinite, times 0: NaN

    with pytest.raises(TrainingDiverged, match=r"step 1: the gradient of dense\.bias is not finite"):
        train(model=model, objective=bad, out=tmp_path)
    assert torch.equal(model.dense.weight, before)
    assert _finite_checkpoint(tmp_path)


def test_a_norm_that_overflows_is_named():
    def steep(model, batch, state):
        return sum((p * 1e30).sum() for p in model.parameters()), 1, None

    with pytest.raises(TrainingDiverged, match="the norm of the gradient is not finite"):
        train(objective=steep)


def test_an_optimizer_that_overflows_is_named(tmp_path):
    def steep(model, batch, state):
        return model.dense.bias.sum() * 1e25, 1, None

    with pytest.raises(TrainingDiverged, match=r"the optimizer's exp_avg_sq of dense\.bias is not finite"):
        train(objective=steep, clip=None, out=tmp_path, checkpoint_every=1)
    assert _finite_checkpoint(tmp_path)


def test_a_limit_on_norms_meets_a_bad_parameter_with_its_name():
    def far(model, batch, state):
        return sum((p * 1e15).sum() for p in model.parameters()), 1, None

    with pytest.raises(TrainingDiverged, match=r"step 1: dense\.bias is not finite"):
        train(objective=far, clip=None, optimizer="sgd", learning_rate=1e30, recurrent_norm_limit=1.0)


def test_exploding_is_found(tmp_path):
    with pytest.raises(TrainingDiverged):
        train(optimizer="sgd", learning_rate=1e20, clip=None, epochs=50, out=tmp_path, checkpoint_every=1)
    assert _finite_checkpoint(tmp_path)


def test_in_float16_training_ends_once_no_scale_is_left():
    def bad(model, batch, state):
        total, count, state = squares(model, batch, state)
        return total + (model.dense.bias * 0).sqrt().sum(), count, state

    with pytest.raises(TrainingDiverged, match=r"the gradient of dense\.bias"):
        train(objective=bad, precision="float16", epochs=50)


def test_a_validation_loss_that_is_not_finite_is_named():
    with pytest.raises(TrainingDiverged, match="the validation loss is not finite"):
        train(validate=lambda model: math.inf)


def test_the_resumed_run_diverges_the_same(tmp_path):
    for resume in (False, True):
        with pytest.raises(TrainingDiverged) as caught:
            train(callbacks=[Spoil(6)], out=tmp_path, resume=resume)
        assert caught.value.step == 7
