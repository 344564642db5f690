"""One file an output law: its equation, its citation, its loss. Each file here is found and registered."""

from importlib import import_module
from pkgutil import iter_modules

from ostinato.heads.head import Head, build, get, names

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Head", "build", "get", "names"]
