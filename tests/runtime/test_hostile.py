"""Layer files that declare what is not there: one exception type, at once and without memory."""

import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from tests.runtime.conftest import layer_of

import ostinato as ost
from ostinato import format, runtime
from ostinato.layers import files

HUGE = 10**9
ARGUMENTS = [
    {"hidden_size": HUGE},
    {"hidden_size": 2**62},
    {"hidden_size": 10**15},
    {"hidden_size": -4},
    {"hidden_size": 0},
    {"hidden_size": True},
    {"hidden_size": 4.0},
    {"hidden_size": "4"},
    {"hidden_size": [4]},
    {"hidden_size": None},
    {"hidden_size": 5},
    {"input_size": HUGE},
    {"input_size": -1},
    {"input_size": False},
    {"num_layers": 10**6},
    {"num_layers": 10**30},
    {"num_layers": -1},
    {"num_layers": 0},
    {"num_layers": True},
    {"num_layers": 1.0},
    {"num_layers": 2},
    {"cell": "perceptron"},
    {"cell": "os.system"},
    {"cell": ["lstm"]},
    {"cell": {"lstm": 1}},
    {"cell": None},
    {"cell": "gru"},
    {"bidirectional": True},
    {"bias": False},
    {"learn_initial_state": True},
    {"proj_size": HUGE},
    {"proj_size": "x" * 10_000},
    {"peephole": True},
    {"zoneout": [0.1, 0.2, 0.3]},
    {"zoneout": "nan"},
    {"nonlinearity": "tanh; rm"},
    {"nonlinearity": ["tanh"]},
    {"reset_after": False},
    {"own_weights": True},
    {"surprise": 1},
    {"device": "cuda:99"},
    {"device": "nowhere"},
    {"dtype": "float64"},
]
# These make a layer for torch, or are asked of it alone.
TORCH_ALONE = [
    {"dropout": 2},
    {"dropout": "0.5"},
    {"dropout": None},
    {"initializer": "__import__"},
    {"initializer": []},
]
RUNTIME_ALONE = [{"bidirectional": "false"}, {"bias": 1}, {"residual": "no"}, {"learn_initial_state": []}]


def words_of(given):
    return "-".join(f"{k}={str(v)[:12]}" for k, v in given.items())


def hostile(path, changes, tensors=None):
    """A file with the right hash whose manifest lies."""
    manifest, own = files.to_file(layer_of("LSTM", 3, 4))
    manifest["arguments"] |= changes
    format.write(path, own if tensors is None else tensors(own), {"version": "0", **manifest})
    return path


def refuse(read, path):
    begin = time.process_time()
    with pytest.raises(format.FormatError) as caught:
        read(path)
    assert time.process_time() - begin < 2
    words = str(caught.value)
    assert words.startswith(f"{path}: ")
    assert len(words) < len(str(path)) + 400
    return words


@pytest.mark.parametrize("changes", [*ARGUMENTS, *RUNTIME_ALONE], ids=words_of)
def test_the_runtime_refuses(changes, tmp_path):
    refuse(runtime.load, hostile(tmp_path / "layer.ost", changes))


@pytest.mark.parametrize("changes", [*ARGUMENTS, *TORCH_ALONE], ids=words_of)
def test_ost_load_refuses(changes, tmp_path):
    refuse(ost.load, hostile(tmp_path / "layer.ost", changes))


@pytest.mark.parametrize("read", [runtime.load, ost.load], ids=["runtime", "ost"])
@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (lambda own: own | {"extra": np.ones(1, np.float32)}, "'extra'"),
        (lambda own: {k: v for k, v in own.items() if k != "bias_hh_l0"}, "'bias_hh_l0'"),
        (lambda own: own | {"weight_hh_l0": own["weight_hh_l0"].T.copy()}, "'weight_hh_l0'"),
        (lambda own: own | {"bias_ih_l0": own["bias_ih_l0"].astype(np.float64)}, "float32.*float64"),
        (lambda own: {k: v.astype(np.int64) for k, v in own.items()}, "int64"),
        (lambda own: {}, "tensors are there|the tensors are"),
    ],
)
def test_tensors_that_are_not_the_layers(read, tensors, words, tmp_path):
    with pytest.raises(format.FormatError, match=words):
        read(hostile(tmp_path / "layer.ost", {}, tensors))


@pytest.mark.parametrize("read", [runtime.load, ost.load], ids=["runtime", "ost"])
def test_another_kind_of_file(read, tmp_path):
    manifest = {"version": "0", "kind": "checkpoint", "class": "LSTM", "arguments": {}}
    format.write(tmp_path / "other.ost", {"w": np.ones(2)}, manifest)
    assert "'checkpoint'" in refuse(read, tmp_path / "other.ost")
    assert "class" in refuse(read, _of_class(tmp_path / "named.ost", "os.system"))


@pytest.mark.parametrize("read", [runtime.load, ost.load], ids=["runtime", "ost"])
def test_a_class_that_does_not_go_with_the_cell(read, tmp_path):
    """The tensors would not tell: they are those of the cell."""
    path = _of_class(tmp_path / "layer.ost", "RNN", "GRU")
    assert "class RNN has the cell 'rnn', the file says 'gru'" in refuse(read, path)


def test_a_word_that_is_unknown_is_named_and_one_of_another_cell_is_told_apart(tmp_path):
    words = refuse(runtime.load, hostile(tmp_path / "later.ost", {"attention": "none"}))
    assert "the argument 'attention' is none that this ostinato knows: upgrade ostinato" in words
    words = refuse(runtime.load, hostile(tmp_path / "escapes.ost", {"\x1b[2J" * 1000: 1}))
    assert words.isprintable()
    assert "a lstm has no nonlinearity" in refuse(runtime.load, hostile(tmp_path / "of.ost", {"nonlinearity": "tanh"}))


def test_every_word_that_a_layer_has_is_known(tmp_path):
    """Whatever of its arguments a user sets: what `ost.save` writes is served."""
    training = {"dropout": 0.1, "recurrent_dropout": 0.1, "weight_dropout": 0.1, "zoneout": 0.1}
    both = {"num_layers": 2, "residual": True, "learn_initial_state": True, "initializer": "orthogonal"}
    own = {
        "RNN": {"nonlinearity": "relu", "layer_norm": True},
        "LSTM": {"peephole": True, "coupled_gates": True, "layer_norm": True, "proj_size": 2},
        "GRU": {"reset_after": False, "layer_norm": False},
    }
    for kind, options in own.items():
        options |= {**training, **both, "batch_first": False, "bias": False, "bidirectional": True}
        for layer in (layer_of(kind, 3, 4, **options), ost.Recurrent(kind.lower(), 3, 4, **options)):
            ost.save(layer, tmp_path / "layer.ost")
            assert runtime.load(tmp_path / "layer.ost").cell == kind.lower()


def _of_class(path, name, kind="LSTM"):
    manifest, own = files.to_file(layer_of(kind, 3, 4))
    format.write(path, own, {"version": "0", **manifest, "class": name})
    return path


CODE = """
    import resource, sys
    import ostinato as ost
    from ostinato import format, layers, runtime
    ost.LSTM(1, 1)
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 30),) * 2)  # a matrix of the declared size would not fit
    for path in sys.argv[1:]:
        for read in (runtime.load, ost.load):
            try:
                read(path)
            except format.FormatError:
                continue
            sys.exit(f"{path} was taken")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory is taken")
def test_huge_sizes_cost_no_memory(tmp_path):
    huge = [{"hidden_size": HUGE}, {"input_size": HUGE}, {"num_layers": 10**6}, {"hidden_size": 60_000}]
    huge += [{"hidden_size": 60_000, "learn_initial_state": True, "initializer": "orthogonal"}]
    paths = [hostile(tmp_path / f"{i}.ost", changes) for i, changes in enumerate(huge)]
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE), *map(str, paths)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_a_weight_of_nan_is_the_users_own_and_comes_back_as_it_was(tmp_path):
    layer = layer_of("GRU", 3, 4)
    layer.weight_ih_l0[0, 0] = torch.nan
    ost.save(layer, tmp_path / "layer.ost")
    assert torch.isnan(ost.load(tmp_path / "layer.ost").weight_ih_l0[0, 0])
    assert np.isnan(runtime.load(tmp_path / "layer.ost").predict(np.ones((1, 1, 3)))).any()
