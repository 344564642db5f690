"""Predict and stream from a model file with numpy and the kernels alone: no torch.

>>> import tempfile, numpy, torch, ostinato as ost
>>> layer, path = ost.LSTM(3, 8).eval(), tempfile.mkdtemp() + "/layer.ost"
>>> ost.save(layer, path)
>>> model, x = load(path), numpy.ones((1, 5, 3), numpy.float32)
>>> whole, stream = model.predict(x), model.stream()
>>> steps = [stream.step(x[:, t]).copy() for t in range(5)]
>>> bool(numpy.allclose(whole[:, -1], steps[-1], atol=1e-6))
True
"""

from importlib.metadata import PackageNotFoundError, distribution
from warnings import warn

from ostinato.format import FormatError
from ostinato.runtime.model import Model, load
from ostinato.runtime.stream import Stream

__all__ = ["FormatError", "Model", "Stream", "load"]


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


if _installed("ostinato-runtime") and _installed("ostinato"):
    warn(
        "ostinato and ostinato-runtime are both installed and share their files: "
        "keep one (pip uninstall ostinato ostinato-runtime, then pip install ostinato)",
        stacklevel=2,
    )
