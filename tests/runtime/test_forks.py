"""A child that is forked after its parent predicted on several threads: it answers, and the same."""

import subprocess
import sys
import textwrap

import pytest
import torch
from tests.runtime.conftest import layer_of

import ostinato as ost

CODE = """
    import os, signal, sys
    import numpy as np
    import ostinato.runtime as runtime
    model, x = runtime.load("layer.ost", threads=2), np.ones((40, 50, 8), np.float32)
    y = model.predict(x)  # the pool is there from now on
    child = os.fork()
    if not child:
        signal.alarm(20)  # ends the child where it waits in C, too
        if sys.argv[1] == "new":
            model = runtime.load("layer.ost", threads=2)
        os._exit(0 if (model.predict(x) == y).all() else 1)
    _, status = os.waitpid(child, 0)
    assert (model.predict(x) == y).all()  # the parent goes on as before
    sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("model", ["old", "new"])
def test_a_forked_child_predicts(model, tmp_path):
    torch.manual_seed(0)
    ost.save(layer_of("LSTM", 8, 64), tmp_path / "layer.ost")
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE), model], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr or "the child hung"
