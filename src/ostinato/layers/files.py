"""A layer to a model file and back; shapes are checked before any memory is taken."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from reprlib import repr as short
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ostinato.format import FormatError
from ostinato.layers.conv import Conv1d
from ostinato.layers.recurrent import GRU, LSTM, RNN, Recurrent


class Kind(NamedTuple):
    """What can be in a file.

    Attributes:
        made: the class; an object of it gives the `arguments()` that make it again.
        sizes: words among them that must be sizes.
        parts: the word that says how many parts it has; each of them has a tensor.
    """

    made: type[Any]
    sizes: tuple[str, ...]
    parts: str | None


KINDS: dict[str, Kind] = {}
LARGEST = 2**31 - 1  # of a size, as a Spec has it
Tensors = dict[str, NDArray[Any]]
M = TypeVar("M", bound=type[nn.Module])


def file_knows(sizes: tuple[str, ...], parts: str | None = None) -> Callable[[M], M]:
    """Let files name this class; see `Kind`."""

    def known(made: M) -> M:
        KINDS.setdefault(made.__name__, Kind(made, sizes, parts))  # there already: its module was loaded anew
        return made

    return known


for _kind in (Recurrent, RNN, LSTM, GRU):
    file_knows(("input_size", "hidden_size"), "num_layers")(_kind)
file_knows(("in_channels", "out_channels", "kernel_size", "dilation"))(Conv1d)


def storable(module: object) -> bool:
    """Whether this is what files know of, or a class made from it."""
    return isinstance(module, tuple(kind.made for kind in KINDS.values()))


def to_file(layer: Any) -> tuple[dict[str, Any], Tensors]:
    """Manifest and tensors of a layer; parametrizations (weight norm) are folded into plain weights."""
    kind = type(layer).__bases__[0] if is_parametrized(layer) else type(layer)
    if kind.__name__ not in KINDS or KINDS[kind.__name__].made is not kind:
        raise TypeError(f"{kind.__name__} is not a layer that a file can name: save one of {', '.join(KINDS)}")
    arguments = layer.arguments()
    names = _on_meta(kind, arguments).state_dict()  # the layer's own may hold a parametrization's parts
    state = {name: attrgetter(name)(layer).detach().cpu() for name in names}
    if any(tensor.dtype == torch.bfloat16 for tensor in state.values()):
        raise TypeError("a bfloat16 layer: numpy has no such type: save layer.float()")
    manifest = {"kind": "layer", "class": kind.__name__, "arguments": arguments}
    return manifest, {name: tensor.contiguous().numpy() for name, tensor in state.items()}


def from_file(path: str, manifest: dict[str, Any], tensors: Tensors) -> nn.Module:
    """The layer, in evaluation mode, as every model is that comes from a file.

    Raises:
        FormatError: the arguments make no layer, or its tensors are not those of the file.
    """
    layer = _declared(path, manifest, len(tensors))
    wanted = {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if wanted != found:
        name = sorted(wanted.items() ^ found.items())[0][0]
        raise FormatError(f"{path}: tensor {name!r} is {found.get(name)}, the layer's is {wanted.get(name)}")
    types = {tensor.dtype for tensor in tensors.values()}
    if any(t.kind != "f" for t in types) or len(types) != 1:
        raise FormatError(f"{path}: the layer's tensors must be of one floating type, found {sorted(map(str, types))}")
    layer.load_state_dict({n: torch.from_numpy(np.array(t)) for n, t in tensors.items()}, assign=True)
    for parameter in layer.parameters():
        parameter.requires_grad_(True)
    return layer.eval()


def _declared(path: str, manifest: dict[str, Any], tensors: int) -> nn.Module:
    """The layer that the manifest declares, without memory (on the meta device)."""
    kind, arguments = manifest.get("class"), manifest.get("arguments")
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(arguments, dict):
        raise FormatError(f"{path}: class {short(kind)} is none of {', '.join(KINDS)}")
    _check_sizes(path, KINDS[kind], arguments, tensors)
    if where := sorted(arguments.keys() & {"device", "dtype"}):
        raise FormatError(f"{path}: {', '.join(where)}: not a file's to say")
    try:
        layer = _on_meta(KINDS[kind].made, arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise FormatError(f"{path}: the arguments make no {kind}: {str(error)[:200]}") from None
    if isinstance(layer, Recurrent) and layer.cell != arguments.get("cell"):
        raise FormatError(
            f"{path}: class {kind} has the cell {layer.cell!r}, the file says {short(arguments.get('cell'))}"
        )
    return layer


def _check_sizes(path: str, kind: Kind, arguments: dict[str, Any], tensors: int) -> None:
    """No layer is made, not even without memory, of sizes that cannot be."""
    parts = arguments.get(kind.parts or "", 0)
    if not isinstance(parts, int) or parts > tensors:
        raise FormatError(f"{path}: {short(parts)} layers are declared, {tensors} tensors are there")
    for word in kind.sizes:
        if not isinstance(arguments.get(word), int) or arguments[word] > LARGEST:
            raise FormatError(f"{path}: {word} is {short(arguments.get(word))}, no size of a layer")


def _on_meta(kind: type[Any], arguments: dict[str, Any]) -> nn.Module:
    own = {word: value for word, value in arguments.items() if word != "cell" or kind is Recurrent}
    with torch.device("meta"):
        return kind(**own)
