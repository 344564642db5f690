"""What a recurrent network has to beat: one file a method. Each file here is found and registered."""

from importlib import import_module
from pkgutil import iter_modules

from ostinato.baselines.baseline import Baseline, get, names
from ostinato.baselines.feed_forward import FeedForward

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Baseline", "FeedForward", "get", "names"]
