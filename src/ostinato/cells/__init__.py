"""One file a cell: its equation, its citation, its step. Each file here is found and registered."""

from importlib import import_module
from pkgutil import iter_modules

from ostinato.cells.cell import Cell, GatedCell, Gates, State, Weights, get, names

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Cell", "GatedCell", "Gates", "State", "Weights", "get", "names"]
