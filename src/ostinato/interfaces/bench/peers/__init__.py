"""The libraries that stand beside ours, by the names that `--peers` takes; absent ones are said to be absent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import NamedTuple, Protocol, cast

from ostinato.interfaces.bench.row import Row
from ostinato.interfaces.bench.work import Contestant, Work


class Peer(NamedTuple):
    """A library: the name in tables, what must be installed for it, and the module here that runs it."""

    title: str
    needs: tuple[str, ...]
    module: str

    def missing(self) -> str | None:
        """What is not installed, or None."""
        absent = [name for name in self.needs if find_spec(name) is None]
        return f"{' and '.join(absent)} not installed" if absent else None

    def said(self) -> str:
        """Name and version, or that it is absent."""
        if (missing := self.missing()) is not None:
            return f"{self.title}: absent ({missing}; pip install 'ostinato[bench]')"
        return f"{self.title} ({', '.join(f'{name} {version(name)}' for name in self.needs)})"

    def contestant(self, work: Work) -> Contestant:
        return cast(_Module, import_module(f"{__name__}.{self.module}")).contestant(work)


class _Module(Protocol):
    def contestant(self, work: Work) -> Contestant: ...


PEERS = {
    "torch": Peer("torch.nn", ("torch",), "torch_nn"),
    "keras": Peer("Keras on JAX", ("keras", "jax"), "keras_jax"),
    "onnxruntime": Peer("ONNX Runtime", ("onnxruntime", "onnx"), "onnx_runtime"),
    "openvino": Peer("OpenVINO", ("openvino", "onnx"), "open_vino"),
}


def beside(rows: Sequence[Row], asked: Iterable[str]) -> list[Peer]:
    """Those that have a column in some row, and those that were asked to stand beside these and are not installed."""
    columns = {who for row in rows for who in row.seconds}
    open_to_all = any(row.part in ("layers", "streams") for row in rows)
    wanted = [PEERS[word] for word in asked] if open_to_all else []
    there = [peer for peer in PEERS.values() if any(who.startswith(peer.title) for who in columns)]
    return [peer for peer in PEERS.values() if peer in there or (peer in wanted and peer.missing())]


def named(words: Iterable[str] | None) -> dict[str, Peer]:
    """The peers of these names; all where none are given.

    Raises:
        ValueError: there is no such peer.

    >>> list(named(["torch"])), named(["none"])
    (['torch'], {})
    """
    wanted = list(PEERS) if words is None else [word for word in words if word != "none"]
    for word in wanted:
        if word not in PEERS:
            raise ValueError(f"--peers {word}: choose from {', '.join(PEERS)}, or none")
    return {word: PEERS[word] for word in wanted}
