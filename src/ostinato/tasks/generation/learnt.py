"""A trained language model: its network, what it knows of texts or music, and how it came about."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.text.codec import Codec
from ostinato.tasks.generation.music import Music
from ostinato.tasks.generation.plan import PATIENCE, Plan
from ostinato.tasks.generation.texts import Texts

if TYPE_CHECKING:
    from ostinato.models.language import Language
    from ostinato.training import Callback, History

Medium = Texts | Music


@dataclass
class Learnt:
    """What fit leaves behind.

    Attributes:
        medium: texts or music.
        plan: sizes.
        network: in evaluation mode, on the CPU.
        history: of training.
        samples: (epoch, what was drawn after it).
    """

    medium: Medium
    plan: Plan
    network: Language
    history: History | list[dict[str, Any]] = field(default_factory=list)
    samples: list[tuple[int, str]] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """Numbers that were learnt."""
        return sum(p.numel() for p in self.network.parameters())

    @property
    def best(self) -> int:
        """The epoch whose weights were kept."""
        scored = [row for row in self.history if row.get("valid_loss") is not None]
        return int(min(scored, key=lambda row: row["valid_loss"])["epoch"]) if scored else len(self.history)

    def draw(self, prompt: Any, length: int, *, seed: int, **how: Any) -> Any:
        """A prompt and `length` steps after it, as the medium writes them; `how` as of `models.sampling.sample`."""
        from ostinato.models.sampling import sample

        medium: Any = self.medium
        steps = sample(self.network, medium.prompt(prompt), length, seed=seed, never=medium.never, **how)
        return medium.written(prompt, steps)

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Plain words, and tensors; a weight that two parts share is there once."""
        words = {"medium": self.medium.to_json(), "plan": self.plan.model_dump(mode="json")}
        parameters = dict(self.network.named_parameters())  # which names what is shared once
        tensors = {name: np.ascontiguousarray(p.detach().cpu().numpy()) for name, p in parameters.items()}
        return words, tensors

    @classmethod
    def of_file(cls, words: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Learnt:
        """What `to_file` gave; shapes are checked before any memory is taken.

        Raises:
            KeyError, ValueError: the parts do not fit together.
        """
        import torch

        told, plan = words["medium"], Plan(**words["plan"])
        medium: Medium = Music(told["width"]) if told["kind"] == "music" else Texts(Codec.from_json(told["codec"]))
        if plan.units != (len(medium.codec) if isinstance(medium, Texts) else medium.width):
            raise ValueError(f"the network has {plan.units} units, the file names another number")
        if plan.num_layers > len(tensors):
            raise ValueError(f"{plan.num_layers} layers are declared, {len(tensors)} tensors are there")
        with torch.device("meta"):
            blank = medium.network(plan)
        wanted = {name: tuple(p.shape) for name, p in blank.named_parameters()}
        found = {name: tensor.shape for name, tensor in tensors.items()}
        if wanted != found:
            name = sorted(wanted.items() ^ found.items())[0][0]
            raise ValueError(f"tensor {name!r} is {found.get(name)}, the network's is {wanted.get(name)}")
        network = medium.network(plan)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(torch.from_numpy(np.array(tensors[name])))
        return cls(medium, plan, network.eval())


def learn(
    medium: Medium, plan: Plan, part: Any, valid: Any, *, out: str | os.PathLike[str] | None = None,
    resume: bool = False, quiet: bool = True, callbacks: Iterable[Callback] = (), time_limit: float | None = None,
) -> Learnt:  # fmt: skip
    """Train a network of a plan.

    Args:
        part: what to learn from.
        valid: what tells when to stop.
        out, resume, quiet, callbacks, time_limit: as of `training.fit`.
    """
    import torch

    from ostinato import training
    from ostinato.tasks.generation.live import Samples

    kind: Any = medium
    with torch.random.fork_rng([]):
        torch.manual_seed(plan.seed)
        network = kind.network(plan)
    kind.begin(network, part)
    found = Learnt(medium, plan, network)
    settings = training.Settings(
        epochs=plan.epochs, learning_rate=plan.learning_rate, schedule="cosine", clip=plan.clip,
        recurrent_norm_limit=plan.recurrent_norm_limit, weight_norm=plan.weight_norm, patience=PATIENCE,
        seed=plan.seed, device=plan.device, time_limit=time_limit,
    )  # fmt: skip

    def validate(model: Any) -> dict[str, float]:
        nll = -float(np.mean(kind.log_probabilities(model, valid, quick=True)))
        return {"loss": nll} if medium.kind == "music" else {"loss": nll, "perplexity": math.exp(min(nll, 50.0))}

    watching = Samples(found, out, resume)
    found.history = training.fit(
        network, kind.batches(plan, part), kind.objective, settings, validate=validate, out=out, resume=resume,
        quiet=quiet, callbacks=[*callbacks, watching],
    )  # fmt: skip
    network.to("cpu")
    found.samples = watching.samples
    return found
