"""ostinato: every recurrent cell and every sequence pattern, fast, on a person's own data.

Names are looked up when first used, so that `import ostinato` costs nothing and the floors that
know no torch (`ostinato.runtime`, `ostinato.format`, `ostinato.spec`) run where there is none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Cell": "cells",
    "Conv1d": "layers",
    "Forecaster": "tasks.forecast",
    "GRU": "layers",
    "GatedCell": "cells",
    "LSTM": "layers",
    "LanguageModel": "tasks.generate",
    "RNN": "layers",
    "Recurrent": "layers",
    "Sequence": "sequence",
    "Spec": "spec",
    "TextClassifier": "tasks.classify",
    "TCN": "models",
    "Tagger": "tasks.tag",
    "accelerate": "layers.accelerate",
    "load": "tasks.files",
    "save": "tasks.files",
    "scan": "dispatch",
    "trace": "insight.trace",
}
__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "TCN",
    "Cell",
    "Conv1d",
    "Forecaster",
    "GatedCell",
    "LanguageModel",
    "Recurrent",
    "Sequence",
    "Spec",
    "Tagger",
    "TextClassifier",
    "__version__",
    "accelerate",
    "load",
    "save",
    "scan",
    "trace",
]

if TYPE_CHECKING:
    from ostinato import runtime as runtime
    from ostinato.cells import Cell, GatedCell
    from ostinato.dispatch import scan
    from ostinato.insight.trace import trace
    from ostinato.layers import GRU, LSTM, RNN, Conv1d, Recurrent
    from ostinato.layers.accelerate import accelerate
    from ostinato.models import TCN
    from ostinato.sequence import Sequence
    from ostinato.spec import Spec
    from ostinato.tasks.classify import TextClassifier
    from ostinato.tasks.files import load, save
    from ostinato.tasks.forecast import Forecaster
    from ostinato.tasks.generate import LanguageModel
    from ostinato.tasks.tag import Tagger


def __getattr__(name: str) -> Any:
    if name == "runtime":
        return import_module("ostinato.runtime")
    if name not in _HOME:
        raise AttributeError(f"module 'ostinato' has no attribute {name!r}")
    try:
        return getattr(import_module(f"ostinato.{_HOME[name]}"), name)
    except ModuleNotFoundError as missing:
        if missing.name not in ("torch", f"ostinato.{_HOME[name]}"):
            raise
        raise ImportError(f"ostinato.{name} needs the whole of ostinato, and torch: pip install ostinato") from missing


def __dir__() -> list[str]:
    return sorted([*__all__, "runtime"])
