"""The options of a task, declared once: the constructor, the command line and get_params read them here."""

from __future__ import annotations

import difflib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

WIDEST, DEEPEST = 100_000, 1_000  # of a network: what is beyond is a slip of the hand, or ends in want of memory


class Options(BaseModel):
    """The words that all tasks share. None: by the size of the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cell: str = Field("gru", description="recurrent cell: gru, lstm, rnn, or one's own (`ostinato list`)")
    hidden_size: int | None = Field(None, ge=1, le=WIDEST, description="width of the state; by the size of the data")
    num_layers: int = Field(1, ge=1, le=DEEPEST, description="layers, one on the other")
    bidirectional: bool = Field(False, description="read in both directions")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="share of values dropped in training; by the data's size"
    )
    epochs: int | None = Field(None, ge=1, description="passes over the data at most; by the size of the data")
    batch_size: int | None = Field(None, ge=1, description="windows in a step of training; by the size of the data")
    learning_rate: float | None = Field(None, gt=0, description="step of the optimizer")
    clip: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    recurrent_norm_limit: float | None = Field(None, gt=0, description="largest spectral norm of recurrent weights")
    weight_norm: bool = Field(False, description="learn length and direction of weights apart")
    seed: int = Field(0, ge=0, lt=2**63, description="of all that is random: the same seed gives the same numbers")
    device: str = Field("auto", description="cpu, cuda, or auto")
    time_limit: float | None = Field(None, gt=0, description="training ends at the latest then, such as 90s, 20m, 1h")
    on_bad: Literal["error", "skip"] = Field("error", description="what becomes of broken rows; skip counts them")


def checked(kind: type[Options], words: dict[str, Any], owner: str) -> Options:
    """Options of a kind, or one line of what is wrong with them.

    Raises:
        TypeError: an unknown word; the nearest is given.
        ValueError: a value that cannot be.

    >>> checked(Options, {"hidden_sise": 8}, "Forecaster")
    Traceback (most recent call last):
        ...
    TypeError: Forecaster has no option 'hidden_sise': did you mean 'hidden_size'?
    """
    for word in words:
        if word not in kind.model_fields:
            near = difflib.get_close_matches(word, kind.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(kind.model_fields)}"
            raise TypeError(f"{owner} has no option {word!r}: {hint}")
    try:
        return kind(**words)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        said = first["msg"].removeprefix("Value error, ").removeprefix("Input ").partition(", unable")[0]
        raise ValueError(f"{name}={first['input']!r}: {said}") from None
