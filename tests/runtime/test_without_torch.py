"""A process in which torch cannot be imported: the runtime loads, predicts and streams."""

import subprocess
import sys
import textwrap

import numpy as np
import torch
from tests.runtime.conftest import layer_of

import ostinato as ost

CODE = """
    import sys
    for name in ("torch", "pandas", "scipy", "matplotlib"):
        sys.modules[name] = None  # an import of it is an error
    import numpy as np
    import ostinato.runtime as runtime
    x, y = np.load("x.npy"), np.load("y.npy")
    model = runtime.load("layer.ost")
    assert abs(model.predict(x) - y).max() < 1e-6
    stream = model.stream(batch=len(x))
    steps = np.stack([stream.step(x[:, t]).copy() for t in range(x.shape[1])], 1)
    assert abs(steps - y).max() < 1e-6
    stream.reset()
    assert (stream.step(x[:, 0]) == steps[:, 0]).all()
    try:
        runtime.load("x.npy")
    except runtime.FormatError as error:
        print(error)
    print(model)
    assert not [name for name, module in sys.modules.items() if name.startswith("torch") and module]
"""


def test_load_predict_and_stream_where_torch_is_not(kind, tmp_path):
    layer, x = layer_of(kind, 3, 20, num_layers=2), torch.randn(2, 30, 3)
    ost.save(layer, tmp_path / "layer.ost")
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "y.npy", layer(x)[0].numpy())
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert "x.npy: looks like a numpy array" in run.stdout
    assert f"Model(layer.ost: {kind.lower()} 3 -> 20 x 2)" in run.stdout
