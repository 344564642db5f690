"""Trained networks, the n-grams beside them, and how far each is believed: what answers when a text is to be told.

log p(class | text) = a log mean over members of p_network(class | text) + b log p_ngrams(class | text) + constant
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.text.units import Text, Units
from ostinato.models.ngrams import Ngrams
from ostinato.tasks.classifying.calibration import Trust
from ostinato.tasks.classifying.plan import Plan
from ostinato.tasks.task import as_array

if TYPE_CHECKING:
    from torch import nn

    from ostinato.training import History

Array = NDArray[Any]

AT_ONCE = 256  # texts that are asked together
LEAST = 1e-12  # probability, so that its logarithm is a number


@dataclass
class Learnt:
    """What tells classes apart.

    Attributes:
        plan: the sizes.
        units: what texts are read by.
        classes: the labels, in order.
        counts: how many texts of each were learnt from.
        networks: the members.
        ngrams: the bag beside them; None where it was not wanted.
        trust: in both, found on texts that neither has learnt from.
        best: epochs after which the first network was best.
        history: of its training.
        vectors: words about pretrained vectors, for the report.
    """

    plan: Plan
    units: Units
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    networks: list[nn.Module] = field(default_factory=list)
    ngrams: Ngrams | None = None
    trust: Trust = field(default_factory=Trust)
    best: int = 1
    history: History | list[dict[str, Any]] = field(default_factory=list)
    vectors: str = ""

    @property
    def parameters(self) -> int:
        """Numbers that were learnt, in all networks and the n-grams."""
        bag = 0 if self.ngrams is None else self.ngrams.weights.size + self.ngrams.bias.size
        return bag + sum(p.numel() for network in self.networks for p in network.parameters())

    def ids(self, texts: Sequence[Text]) -> list[list[int]]:
        """Numbers of the units of each text that are read."""
        return [self.units.encode(text)[: self.plan.longest] for text in texts]

    def pieces(self, texts: Sequence[Text]) -> list[list[str]]:
        """The units of each text that are read, as they are written."""
        return [self.units.split(text)[: self.plan.longest] for text in texts]

    def log_probability(self, texts: Sequence[Text]) -> Array:
        """(texts, classes)."""
        network = self.of_networks(texts)
        return self.trust.mixed(network, self.of_ngrams(texts, network))

    def of_pieces(self, several: Sequence[list[str]]) -> Array:
        """log p of texts given as units, (texts, classes)."""
        words = self.plan.unit == "word"
        return self.log_probability([pieces if words else "".join(pieces) for pieces in several])

    def of_networks(self, texts: Sequence[Text]) -> Array:
        """log of the members' mean probability, before trust, (texts, classes)."""
        rows = self.ids(texts)
        mean = sum(probability(network, rows, len(self.classes)) for network in self.networks) / len(self.networks)
        return np.log(np.maximum(mean, LEAST))

    def of_ngrams(self, texts: Sequence[Text], like: Array) -> Array:
        """What the n-grams say, before trust; that all classes are alike where there are none."""
        if self.ngrams is None:
            return np.full_like(like, -np.log(len(self.classes)))
        return np.maximum(self.ngrams.log_probability(self.pieces(texts)), np.log(LEAST))

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain words and tensors that `of_file` takes."""
        tensors = {
            f"member.{k}.{name}": as_array(tensor)
            for k, network in enumerate(self.networks)
            for name, tensor in network.state_dict().items()
        }
        # A vocabulary may be larger than the words of a file's head are allowed to be.
        for name, plain in (("units", self.units.to_json()), ("classes", list(self.classes))):
            tensors[name] = np.frombuffer(json.dumps(plain).encode(), np.uint8).copy()
        if self.ngrams is not None:
            tensors |= {f"ngrams.{name}": tensor for name, tensor in self.ngrams.to_file().items()}
        words = {
            "plan": self.plan.model_dump(mode="json"), "trust": list(self.trust), "best": self.best,
            "counts": list(self.counts), "members": len(self.networks), "ngrams": self.ngrams is not None,
            "vectors": self.vectors,
        }  # fmt: skip
        return words, tensors

    @classmethod
    def of_file(cls, words: Mapping[str, Any], tensors: Mapping[str, Array]) -> Learnt:
        """What `to_file` gave; shapes are checked before any memory is taken.

        Raises:
            ValueError: the parts do not fit together.
        """
        plan, units = Plan.model_validate(words["plan"]), Units.from_json(_plain(tensors["units"]))
        classes = _plain(tensors["classes"])
        if not isinstance(classes, list) or len(set(classes)) < 2 or len(plan.weights) != len(classes):
            raise ValueError("the classes are not two or more names")
        network, grams = (float(w) for w in words["trust"])
        if not (np.isfinite(network + grams) and min(network, grams) >= 0):
            raise ValueError(f"trust must be two numbers from 0 up, found {words['trust']}")
        if not 1 <= int(words["members"]) <= len(tensors):
            raise ValueError(f"{words['members']} members are declared, {len(tensors)} tensors are there")
        counts = tuple(int(n) for n in words["counts"])
        if len(counts) != len(classes) or min(counts) < 0:
            raise ValueError(f"{len(counts)} counts of {len(classes)} classes")
        found = cls(plan, units, tuple(map(str, classes)), counts, trust=Trust(network, grams))
        found.networks = [_member(found, k, tensors) for k in range(int(words["members"]))]
        if words["ngrams"]:
            own = {name.removeprefix("ngrams."): t for name, t in tensors.items() if name.startswith("ngrams.")}
            found.ngrams = Ngrams.of_file(own, len(classes))
        found.best, found.vectors = int(words["best"]), str(words["vectors"])
        return found


def probability(network: nn.Module, rows: Sequence[Sequence[int]], classes: int) -> Array:
    """(rows, classes) of one network, float64; rows are numbers of units."""
    import torch

    from ostinato.data.text.batches import by_length, padded

    device = next(network.parameters()).device
    found = np.empty((len(rows), classes))
    network.eval()
    with torch.no_grad():
        for numbers in by_length([len(row) for row in rows], AT_ONCE):
            ids, lengths = padded([rows[k] for k in numbers])
            found[numbers] = network(ids.to(device), lengths).double().softmax(-1).cpu().numpy()
    return found


def build(found: Learnt, seed: int, vectors: Any = None) -> nn.Module:
    """A network of the plan, drawn from a seed; `vectors` (units, width) to begin with."""
    import torch

    from ostinato.models.classifier import Classifier

    plan = found.plan
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        return Classifier(
            len(found.units), len(found.classes), cell=plan.cell, hidden_size=plan.hidden_size,
            num_layers=plan.num_layers, bidirectional=plan.bidirectional, width=plan.width, pooling=plan.pooling,
            dropout=plan.dropout, unit_dropout=plan.unit_dropout, weights=plan.weights,
            pretrained=None if vectors is None else torch.from_numpy(vectors),
        )  # fmt: skip


def _member(found: Learnt, k: int, tensors: Mapping[str, Array]) -> nn.Module:
    """Member k, its shapes checked against the plan's first."""
    import torch

    own = {name.removeprefix(f"member.{k}."): t for name, t in tensors.items() if name.startswith(f"member.{k}.")}
    if found.plan.num_layers > len(own):
        raise ValueError(f"{found.plan.num_layers} layers are declared, {len(own)} tensors are there")
    with torch.device("meta"):
        wanted = {name: tuple(t.shape) for name, t in build(found, 0).state_dict().items()}
    there = {name: tensor.shape for name, tensor in own.items()}
    if wanted != there:
        name = sorted(wanted.items() ^ there.items())[0][0]
        raise ValueError(f"tensor {name!r} is {there.get(name)}, the network's is {wanted.get(name)}")
    network = build(found, found.plan.seed)
    network.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in own.items()})
    return network.eval()


def _plain(data: Array) -> Any:
    if data.dtype != np.uint8 or data.ndim != 1:
        raise ValueError("the units or classes are not text")
    return json.loads(data.tobytes().decode())
