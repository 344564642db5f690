"""What accelerate leaves alone, and the reason that it gives; its report."""

import pytest
import torch
from torch import nn

import ostinato as ost


class Mine(nn.LSTM):
    pass


def reason_of(module, name="0"):
    model = nn.Sequential(module)
    kinds = [type(m) for m in model.modules()]
    report = ost.accelerate(model)
    assert report.replaced == []
    assert [type(m) for m in model.modules()] == kinds
    return report.kept[name]


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_cells_are_kept(kind):
    assert f"{kind.__name__} takes one step a call" in reason_of(kind(3, 5))


def test_subclasses_are_kept():
    assert "Mine is a class of its own" in reason_of(Mine(3, 5))


def test_other_types_and_devices_are_kept():
    assert "no kernel for torch.bfloat16" in reason_of(nn.LSTM(3, 5, dtype=torch.bfloat16))
    assert "no kernel for the device meta" in reason_of(nn.GRU(3, 5, device="meta"))
    mixed = nn.GRU(3, 5)
    mixed.weight_hh_l0 = nn.Parameter(mixed.weight_hh_l0.double())
    assert "differ in type or device" in reason_of(mixed)


def test_a_forward_that_was_replaced_is_kept():
    layer = nn.LSTM(3, 5)
    layer.forward = lambda x, hx=None: (x, hx)
    assert "forward was replaced" in reason_of(layer)


def test_a_layer_that_is_compiled_by_itself_is_kept():
    layer = nn.LSTM(3, 5)
    layer.compile(backend="eager")
    assert "compiled by itself" in reason_of(layer)


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_quantized_and_scripted_modules_are_kept():
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 5)), {nn.LSTM})[0]
    scripted = torch.jit.script(nn.LSTM(3, 5))
    assert "is quantized" in reason_of(quantized)
    assert "scripted" in reason_of(scripted)


def test_ours_are_left_alone():
    model = nn.Sequential(ost.LSTM(3, 5), nn.LSTM(5, 5))
    first, second = ost.accelerate(model), ost.accelerate(model)
    assert first.replaced == ["1"]
    assert second.replaced == []
    assert second.kept == {}
    second.undo()
    assert isinstance(model[1], ost.LSTM)


def test_the_report_reads_well():
    model = nn.ModuleDict({"encoder": nn.LSTM(3, 5), "decoder": nn.GRUCell(3, 5), "mine": Mine(3, 5)})
    report = ost.accelerate(model)
    lines = str(report).splitlines()
    assert lines[0] == "1 of 3 recurrent modules of torch replaced"
    assert lines[1] == "  replaced  encoder"
    assert [line.split(":")[0] for line in lines[2:]] == ["  kept      decoder", "  kept      mine"]
    assert repr(report) == str(report)
    assert "(the module itself)" in str(ost.accelerate(nn.LSTM(3, 5)))


def test_what_is_no_module():
    with pytest.raises(TypeError, match=r"torch\.nn\.Module, found dict"):
        ost.accelerate({})


def test_a_layer_with_a_name_of_ours_on_it_is_kept():
    """m.residual = True would make ours add its input, which torch's does not."""
    model = nn.Sequential(nn.LSTM(5, 5, 2, batch_first=True), nn.GRU(5, 5, batch_first=True))
    model[0].residual = True
    model[1].note = "a name that is nobody's"
    report = ost.accelerate(model)
    assert report.replaced == ["1"]
    assert report.kept == {"0": "it has an attribute 'residual', which is a name of ours too: rename it"}
    assert type(model[0]) is nn.LSTM


def test_what_ours_would_not_take_is_kept_and_the_others_are_ours():
    empty = nn.LSTM(3, 5)
    for name in list(empty._parameters):
        del empty._parameters[name]
    model = nn.Sequential(nn.GRU(3, 8), nn.LSTM(3, 8, True), empty, nn.RNNBase("GRU", 3, 5))
    report = ost.accelerate(model)
    assert report.replaced == ["0"]
    assert list(report.kept) == ["1", "2", "3"]
    assert report.kept["1"] == "num_layers must be a whole number of at least 1, found True"
    assert report.kept["2"] == "it has no weights of its own"
    assert "none of RNN, LSTM and GRU" in report.kept["3"]
    report.undo()
    assert type(model[0]) is nn.GRU
