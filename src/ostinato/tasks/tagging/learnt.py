"""A trained tagger: a network, and what its numbers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.baselines.most_frequent_tag import MostFrequentTag
from ostinato.tasks.tagging.networks import build
from ostinato.tasks.tagging.plan import Plan
from ostinato.tasks.task import as_array

if TYPE_CHECKING:
    from ostinato.data.text.forms import Forms, Sentences
    from ostinato.models.tagger import WordTagger
    from ostinato.training import History

Tensors = dict[str, NDArray[Any]]

AT_ONCE = 128  # sentences that are tagged together at most
LONGEST = 200_000_000  # bytes of words in a model file


@dataclass
class Learnt:
    """A network that tags.

    Attributes:
        plan: its sizes.
        forms: words and letters by their numbers.
        kinds: the tags by theirs.
        network: what was trained.
        usual: each word's most frequent tag, the baseline that evaluate has without the data.
        best: the epoch that was best on what it was validated on.
        history: of training.
    """

    plan: Plan
    forms: Forms
    kinds: tuple[str, ...]
    network: WordTagger
    usual: MostFrequentTag
    best: int = 0
    history: History | list[dict[str, Any]] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """Numbers that were learnt."""
        return sum(p.numel() for p in self.network.parameters())

    def tags(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of each sentence."""
        return tagged(self.network, self.forms.read(sentences), self.kinds)

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], Tensors]:
        """What `of_file` takes apart again: plain words, and tensors."""
        tensors = {f"network.{name}": as_array(tensor) for name, tensor in self.network.state_dict().items()}
        tensors["forms"] = _packed(self.forms.to_json())
        tensors["usual"] = _packed(self.usual.to_json())
        return {"plan": self.plan.model_dump(mode="json"), "kinds": list(self.kinds), "best": self.best}, tensors

    @classmethod
    def of_file(cls, words: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Learnt:
        """What `to_file` gave; shapes are checked before any memory is taken.

        Raises:
            ValueError: the parts do not fit together.
        """
        from ostinato.data.text.forms import Forms

        plan, kinds = Plan.model_validate(words["plan"]), tuple(str(kind) for kind in words["kinds"])
        forms = Forms.from_json(_unpacked(tensors["forms"]))
        usual = MostFrequentTag.from_json(_unpacked(tensors["usual"]))
        return cls(plan, forms, kinds, _network(plan, forms, kinds, tensors), usual, int(words["best"]))


def tagged(network: WordTagger, sentences: Sentences, kinds: Sequence[str]) -> list[list[str]]:
    """What a network says of sentences, which are put together by their lengths."""
    import torch

    from ostinato.data.text.batches import by_length

    found: list[list[str]] = [[] for _ in range(len(sentences))]
    device = next(network.parameters()).device
    with torch.no_grad():
        for rows in by_length(sentences.lengths.tolist(), AT_ONCE):
            batch = {name: part.to(device) for name, part in sentences[rows].items()}
            told = network.predict(sentences.spelled(batch)).tolist()
            for row, numbers, n in zip(rows, told, batch["lengths"].tolist(), strict=True):
                found[row] = [kinds[k] for k in numbers[:n]]
    return found


def _network(plan: Plan, forms: Forms, kinds: Sequence[str], tensors: Mapping[str, NDArray[Any]]) -> WordTagger:
    """The network, its shapes checked against the plan's first."""
    import torch

    own = {name.removeprefix("network."): part for name, part in tensors.items() if name.startswith("network.")}
    if plan.num_layers > len(own):
        raise ValueError(f"{plan.num_layers} layers are declared, {len(own)} tensors are there")
    width = own["words.embedding.weight"].shape[-1]
    plan = plan.model_copy(update={"word_width": width})  # pretrained vectors bring their own
    with torch.device("meta"):
        wanted = {name: tuple(part.shape) for name, part in build(plan, forms, kinds).state_dict().items()}
    found = {name: part.shape for name, part in own.items()}
    if wanted != found:
        name = sorted(wanted.items() ^ found.items())[0][0]
        raise ValueError(f"tensor {name!r} is {found.get(name)}, the network's is {wanted.get(name)}")
    network = build(plan, forms, kinds)
    network.load_state_dict({name: torch.from_numpy(np.array(part)) for name, part in own.items()})
    return network.eval()


def _packed(plain: Any) -> NDArray[np.uint8]:
    """JSON as bytes: words are too many for the head of a model file."""
    return np.frombuffer(json.dumps(plain).encode(), np.uint8).copy()


def _unpacked(data: NDArray[Any]) -> Any:
    if data.dtype != np.uint8 or data.ndim != 1 or len(data) > LONGEST:
        raise ValueError("the words of the file are not text")
    return json.loads(data.tobytes().decode())
