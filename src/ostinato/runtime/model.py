"""A recurrent layer from a model file, run on numpy arrays by the kernels."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np

from ostinato import _kernels, format
from ostinato.format import FormatError
from ostinato.runtime.arrays import Array, array, real, state_of
from ostinato.runtime.forks import threads_here
from ostinato.runtime.stream import Stream

KINDS = {"rnn": 0, "lstm": 1, "gru": 2}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
ACTIVATIONS = {"tanh": 0, "relu": 1, "sigmoid": 2, "identity": 3}
# The options that only one cell has, and what they are when they are not said.
OPTIONS: dict[str, dict[str, Any]] = {
    "rnn": {"layer_norm": False, "nonlinearity": "tanh"},
    "lstm": {"layer_norm": False, "peephole": False, "coupled_gates": False, "proj_size": 0},
    "gru": {"layer_norm": False, "reset_after": True},
}
SIZES = ("input_size", "hidden_size", "num_layers")
LARGEST = 2**31 - 1  # of a size, as a Spec has it
FLAGS = ("bias", "bidirectional", "residual", "learn_initial_state")
# What only training and torch's own order of axes ask for: known, and of no use here.
UNUSED = ("batch_first", "dropout", "recurrent_dropout", "weight_dropout", "initializer")
CLASSES = {"Recurrent": None, "RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}  # None: of any cell


def load(path: str | os.PathLike[str], threads: int | None = None) -> Model:
    """A model file, ready to predict and stream.

    Args:
        threads: at most so many; all cores where left out. In a forked child always one: OpenMP's threads do not
            survive a fork, and whoever calls them there waits for ever.

    Raises:
        FormatError: the file is damaged, is no recurrent layer, or has an option that needs torch.
        ValueError: threads is no number of them.
    """
    if threads is not None:
        _check_count("threads", threads)
    manifest, tensors = format.read(path)
    if manifest.get("kind") != "layer":
        raise FormatError(
            f"{path}: holds a {short(manifest.get('kind'))}, and the runtime serves recurrent layers "
            "(RNN, LSTM, GRU): load it with `ostinato.load`, which needs torch"
        )
    return Model(_arguments(path, manifest), tensors, str(path), int(threads or os.cpu_count() or 1))


def _check_count(word: str, count: Any) -> None:
    """Refuse here what the kernels would refuse in words of their own, and later."""
    if type(count) is bool or not isinstance(count, (int, np.integer)) or not 1 <= count <= LARGEST:
        raise ValueError(f"{word} must be a whole number of at least 1, found {count!r}")


def _arguments(path: str | os.PathLike[str], manifest: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = manifest["arguments"]
    _one_of(path, arguments, "cell", KINDS)
    _check_class(path, manifest["class"], arguments["cell"])
    _check_words(path, arguments)
    for word in SIZES:
        if type(arguments.get(word)) is not int or not 1 <= arguments[word] <= LARGEST:
            found = short(arguments.get(word))
            raise FormatError(f"{path}: {word} is {found}, not a whole number from 1 to {LARGEST}")
    options = OPTIONS[arguments["cell"]]
    for word in (*FLAGS, *(word for word, usual in options.items() if type(usual) is bool)):
        if type(arguments.get(word, False)) is not bool:
            raise FormatError(f"{path}: {word} is {short(arguments[word])}, not true or false")
    width = arguments.get("proj_size", 0)
    if type(width) is not int or not 0 <= width < arguments["hidden_size"]:
        raise FormatError(f"{path}: proj_size is {short(width)}, not in 0..hidden_size - 1")
    if arguments.get("layer_norm", False) and not arguments.get("reset_after", True):
        raise FormatError(f"{path}: layer_norm with reset_after=False is no cell that there is")
    _zoneout(path, arguments)
    if "nonlinearity" in arguments:
        _one_of(path, arguments, "nonlinearity", ACTIVATIONS)
    return arguments


def _check_class(path: str | os.PathLike[str], name: str, cell: str) -> None:
    """As `ostinato.load` does."""
    if name not in CLASSES:
        raise FormatError(f"{path}: class {short(name)} is none of {', '.join(CLASSES)}: load it with `ostinato.load`")
    if CLASSES[name] not in (None, cell):
        raise FormatError(f"{path}: class {name} has the cell {CLASSES[name]!r}, the file says {cell!r}")


def _check_words(path: str | os.PathLike[str], arguments: dict[str, Any]) -> None:
    """No word is passed over: a later version's option would change what the layer computes."""
    cell, others = arguments["cell"], {word for each in OPTIONS.values() for word in each}
    for word in sorted(arguments.keys() - {"cell", "zoneout", *SIZES, *FLAGS, *UNUSED, *OPTIONS[cell]}):
        if word in others:
            raise FormatError(f"{path}: a {cell} has no {word}")
        raise FormatError(f"{path}: the argument {short(word)} is none that this ostinato knows: upgrade ostinato")


def _zoneout(path: str | os.PathLike[str], arguments: dict[str, Any]) -> tuple[float, float]:
    """How much of h and c is kept, by expectation."""
    found = arguments.get("zoneout", 0.0)
    both = found if isinstance(found, list) else [found, found]
    if len(both) not in (1, 2) or not all(type(p) in (int, float) and 0 <= p <= 1 for p in both):
        raise FormatError(f"{path}: zoneout is {short(found)}, not one or two probabilities")
    return float(both[0]), float(both[-1])


def _one_of(path: str | os.PathLike[str], arguments: dict[str, Any], word: str, known: Iterable[str]) -> None:
    if arguments.get(word) not in list(known):  # a list: what a file holds may have no hash
        found = short(arguments.get(word))
        raise FormatError(f"{path}: {word} is {found}, none of {', '.join(known)}: load it with `ostinato.load`")


@dataclass(frozen=True)
class Weights:
    """One layer and direction: its tensors in the order of the kernels' parts, and the state it begins from."""

    parts: tuple[Array | None, ...]
    start: tuple[Array, ...]  # h, or h and c


class Model:
    """A stack of recurrent layers without torch; made by `load`.

    Attributes:
        input_size, hidden_size, num_layers, bidirectional: as the layer had them.
    """

    def __init__(self, arguments: dict[str, Any], tensors: dict[str, Array], path: str, threads: int) -> None:
        self.input_size: int = arguments["input_size"]
        self.hidden_size: int = arguments["hidden_size"]
        self.num_layers: int = arguments["num_layers"]
        self.bidirectional: bool = arguments.get("bidirectional", False)
        self.bias: bool = arguments.get("bias", True)
        self.residual: bool = arguments.get("residual", False)
        self._options: dict[str, Any] = {
            word: arguments.get(word, usual) for word, usual in OPTIONS[arguments["cell"]].items()
        }
        self._sizes = (self._options.get("proj_size") or self.hidden_size, self.hidden_size)
        self._sizes = self._sizes[: 2 if arguments["cell"] == "lstm" else 1]
        self._learnt: bool = arguments.get("learn_initial_state", False)
        self.cell: str = arguments["cell"]
        self._kind, self._activation = KINDS[self.cell], ACTIVATIONS[self._options.get("nonlinearity", "tanh")]
        self._path, self._threads = path, threads
        before = not self._options.get("reset_after", True)
        self._flags = (self._options.get("coupled_gates", False), before, _zoneout(path, arguments), None, 0)
        self._weights = self._read(dict(tensors))

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64, as the file has it."""
        return self._weights[0][0].start[0].dtype

    def predict(self, x: Any, state: Any = None, *, lengths: Any = None) -> Array:
        """The layer's output over whole sequences.

        Args:
            x: (batch, time, input_size), any real type and strides; complex is refused.
            state: h, or (h, c), each (layers x directions, batch, size).
            lengths: (batch,) integers; output is 0 past them.

        Returns:
            (batch, time, directions x size of h).

        Raises:
            ValueError: an argument is not of real numbers or does not fit; it is named.
        """
        return self.run(x, state, lengths=lengths)[0]

    def run(self, x: Any, state: Any = None, *, lengths: Any = None) -> tuple[Array, tuple[Array, ...]]:
        """As `predict`, with the state after the last step."""
        x = real("x", x, self.dtype)
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(f"x must be (batch, time, {self.input_size}), found {x.shape}")
        counts = self._lengths(lengths, x)
        begin, ends = self._begin(state, x.shape[0]), []
        for k, layer in enumerate(self._weights):
            outputs = []
            for d, w in enumerate(layer):
                row = k * len(layer) + d
                y, end = self._scan(w, x, [s[row] for s in begin], counts, d == 1)
                outputs.append(y)
                ends.append(end)
            y = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, -1)
            x = y + x if self.residual and k and y.shape == x.shape else y
        return x, tuple(np.stack(each) for each in zip(*ends, strict=True))

    def stream(self, batch: int = 1) -> Stream:
        """`batch` streams that take one step at a time, side by side.

        Raises:
            ValueError: batch is no number of streams, or the layer reads backwards too, which no stream can.
            MemoryError: there is no room for so many.
        """
        _check_count("batch", batch)
        if self.bidirectional:
            raise ValueError("a bidirectional layer reads the end first: it cannot stream; use predict(x)")
        try:
            engine = self._engine(int(batch))
        except MemoryError:  # the kernels' own says no more than std::bad_alloc
            taken = f"{int(batch) * self.num_layers * sum(self._sizes) * self.dtype.itemsize / 1e9:.1f} GB"
            raise MemoryError(f"batch={batch}: the states of so many streams take {taken}: ask for fewer") from None
        return Stream(engine, batch, self.num_layers, len(self._sizes))

    def _engine(self, batch: int) -> Any:
        kind = _kernels.StreamF64 if self.dtype == np.float64 else _kernels.StreamF32
        engine = kind(batch, self.input_size, self.residual)
        for (w,) in self._weights:
            engine.add(self._kind, self._activation, w.parts, self._flags, w.start)
        return engine

    # What is in the file -------------------------------------------------------------------------

    def _read(self, tensors: dict[str, Array]) -> list[list[Weights]]:
        """Every tensor that the arguments declare, checked; none may be left over."""
        gates = GATES[self.cell]
        suffixes = ["", "_reverse"] if self.bidirectional else [""]
        if self.num_layers * len(suffixes) > len(tensors):
            raise FormatError(f"{self._path}: {self.num_layers} layers are declared, {len(tensors)} tensors are there")
        types = sorted({str(tensor.dtype) for tensor in tensors.values()})
        if types not in (["float32"], ["float64"]):
            raise FormatError(f"{self._path}: the tensors are {', '.join(types)}; the runtime has float32 or float64")
        rows, layers, out = self.num_layers * len(suffixes), [], self._sizes[0]
        names = ("h0", "c0")[: len(self._sizes)]
        starts = [
            self._take(tensors, n, (rows, size)) if self._learnt else None
            for n, size in zip(names, self._sizes, strict=True)
        ]
        for k in range(self.num_layers):
            layer, width = [], self.input_size if k == 0 else out * len(suffixes)
            for d, suffix in enumerate(suffixes):
                parts = self._parts(tensors, f"_l{k}{suffix}", gates * self.hidden_size, width)
                row, W = k * len(suffixes) + d, parts[0]
                assert W is not None
                start = tuple(
                    np.zeros(n, W.dtype) if s is None else np.ascontiguousarray(s[row])
                    for s, n in zip(starts, self._sizes, strict=True)
                )
                layer.append(Weights(parts, start))
            layers.append(layer)
        if tensors:
            raise FormatError(f"{self._path}: tensor {min(tensors)!r} is not the layer's")
        return layers

    def _parts(self, tensors: dict[str, Array], suffix: str, rows: int, width: int) -> tuple[Array | None, ...]:
        """W, R, biases, no mask, peephole, projection, gains and shifts of the norms, no key."""
        take, H, out, options = partial(self._take, tensors), self.hidden_size, self._sizes[0], self._options
        biases = [take(f"bias_{side}{suffix}", (rows,)) if self.bias else None for side in ("ih", "hh")]
        peephole = take("peephole" + suffix, (3, H)) if options.get("peephole") else None
        projection = take("weight_hr" + suffix, (out, H)) if options.get("proj_size") else None
        widths = {"norm": H} if self.cell == "rnn" else {"norm_ih": rows, "norm_hh": rows}
        widths |= {"norm_c": H} if self.cell == "lstm" else {}
        norms: list[Array | None] = [
            take(f"{name}{suffix}.{part}", (size,)) if options.get("layer_norm") else None
            for name, size in widths.items()
            for part in ("weight", "bias")
        ]
        W, R = take("weight_ih" + suffix, (rows, width)), take("weight_hh" + suffix, (rows, out))
        return W, R, *biases, None, peephole, projection, *norms, *[None] * (6 - len(norms)), None

    def _take(self, tensors: dict[str, Array], name: str, shape: tuple[int, ...]) -> Array:
        if name not in tensors:
            raise FormatError(f"{self._path}: tensor {name!r} is missing")
        found = tensors.pop(name)
        if found.shape != shape:
            raise FormatError(f"{self._path}: tensor {name!r} has the shape {found.shape}, declared is {shape}")
        return np.ascontiguousarray(found)

    # One layer, one direction ----------------------------------------------------------------------

    def _scan(
        self, w: Weights, x: Array, state: list[Array], lengths: Array | None, reverse: bool
    ) -> tuple[Array, tuple[Array, ...]]:
        h, c = (*state, None)[:2]
        plan = (self._kind, self._activation, reverse, 1, 1, self._flags)
        tensors, threads = (x, h, c, None, None, lengths, None, *w.parts), threads_here(self._threads)
        made = _kernels.forward(plan, threads, tensors, None, False)
        assert made is not None  # every array here is dense
        y, end_h, end_c, _ = made
        return y, (end_h,) if end_c is None else (end_h, end_c)

    def _begin(self, state: Any, batch: int) -> list[Array]:
        """Each tensor of the state (layers x directions, batch, hidden), as given or as learnt."""
        rows = self.num_layers * (2 if self.bidirectional else 1)
        if state is None:
            starts = [np.stack(each) for each in zip(*(w.start for layer in self._weights for w in layer), strict=True)]
            return [np.repeat(start[:, None], batch, 1) for start in starts]  # (rows, batch, size)
        return state_of(state, [(rows, batch, size) for size in self._sizes], self.dtype)

    @staticmethod
    def _lengths(lengths: Any, x: Array) -> Array | None:
        if lengths is None:
            return None
        found = array("lengths", f"{x.shape[0]} integers", lengths)
        whole = found.dtype.kind in "iu" or not found.size  # an empty list has no type
        if found.shape != (x.shape[0],) or not whole:
            raise ValueError(f"lengths must be {x.shape[0]} integers, found {found.dtype} {found.shape}")
        if found.size and (found.min() < 0 or found.max() > x.shape[1]):
            raise ValueError(f"lengths must lie in 0..{x.shape[1]}, found {found.min()}..{found.max()}")
        return np.ascontiguousarray(found, np.int64)

    def __repr__(self) -> str:
        return (
            f"Model({Path(self._path).name}: {self.cell} {self.input_size} -> {self.hidden_size} x {self.num_layers})"
        )
