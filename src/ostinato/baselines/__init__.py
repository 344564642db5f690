"""What a recurrent network has to beat: one file a method. Each file here is found and registered."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from ostinato.baselines.baseline import Baseline, get, names

if TYPE_CHECKING:
    from ostinato.baselines.feed_forward import FeedForward
    from ostinato.baselines.mean_of_embeddings import MeanOfEmbeddings

_NETWORKS = {"FeedForward": "feed_forward", "MeanOfEmbeddings": "mean_of_embeddings"}

for _module in iter_modules(__path__):
    if _module.name not in _NETWORKS.values():  # they need torch, which the processes of `budget` do without
        import_module(f"{__name__}.{_module.name}")

__all__ = ["Baseline", "FeedForward", "MeanOfEmbeddings", "get", "names"]


def __getattr__(name: str) -> Any:
    if name not in _NETWORKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NETWORKS[name]}"), name)
