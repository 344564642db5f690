"""What a task is: an estimator with typed options that a command line, a report and a model file can be made from."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ostinato import format
from ostinato.format import FormatError
from ostinato.tasks.options import Options, checked
from ostinato.tasks.outcome import Outcome

if TYPE_CHECKING:
    from typing_extensions import Self

    from ostinato.training import Callback, History

Arrays = dict[str, NDArray[Any]]


class NotFittedError(RuntimeError):
    """A task was asked before it was fitted."""


class Task:
    """The estimator: fit, predict, score, summary, save, get_params, set_params.

    A subclass has a `name` (its command), its `Options`, and writes what is refused here. Options
    are keywords of the constructor and attributes of the task.

    Attributes:
        name: the command.
        Options: the typed fields.
        reads: what DATA is, in words.
        builtin: what the built-in data are, in words.
        examples: command lines for its help, with what they do.
        options: the values.
    """

    name: ClassVar[str] = ""
    Options: ClassVar[type[Options]] = Options
    reads: ClassVar[str] = ""
    builtin: ClassVar[str] = ""
    examples: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # What editors and scikit-learn show: the fields, as keywords.
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter(name, keyword, default=field.default, annotation=field.annotation)
            for name, field in cls.Options.model_fields.items()
        ]
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]

    def __init__(self, **options: Any) -> None:
        self.options = checked(self.Options, options, type(self).__name__)

    def __getattr__(self, name: str) -> Any:
        if name in type(self).Options.model_fields and "options" in self.__dict__:
            return getattr(self.options, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __repr__(self) -> str:
        plain = type(self).Options.model_fields
        said = [f"{key}={value!r}" for key, value in self.get_params().items() if value != plain[key].default]
        return f"{type(self).__name__}({', '.join(said)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options by name, as scikit-learn asks for them; `deep` changes nothing here."""
        return {name: getattr(self.options, name) for name in type(self).Options.model_fields}

    def set_params(self, **options: Any) -> Self:
        """Change options; they count from the next fit on.

        Raises:
            TypeError, ValueError: as the constructor.
        """
        self.options = checked(type(self).Options, self.get_params() | options, type(self).__name__)
        return self

    # What a recipe writes --------------------------------------------------------------------

    def fit(self, data: Any, *, validation: Any = None, callbacks: Iterable[Callback] = ()) -> History:
        """Train on data; `validation` decides when to stop, a part of the data where it is left out."""
        raise TypeError(f"{type(self).__name__} has no fit(data)")

    def predict(self, data: Any = None) -> Any:
        """What the task answers to data."""
        raise TypeError(f"{type(self).__name__} has no predict(data)")

    def score(self, data: Any) -> dict[str, float]:
        """The metrics on data that were not learnt from."""
        raise TypeError(f"{type(self).__name__} has no score(data)")

    def summary(self) -> str:
        """What was trained, in a few lines."""
        raise TypeError(f"{type(self).__name__} has no summary()")

    def experiment(
        self,
        data: Any,
        *,
        test: Any = None,
        validation: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        quiet: bool = False,
        callbacks: Iterable[Callback] = (),
    ) -> Outcome:
        """Train, evaluate on a held-out split beside the baselines, and be ready to predict: what the command runs."""
        raise TypeError(f"{type(self).__name__} has no experiment(data)")

    def evaluate(self, data: Any) -> Outcome:
        """A trained model on data as `score` takes them, beside the baselines: what `ostinato evaluate` runs."""
        raise TypeError(f"{type(self).__name__} has no evaluate(data)")

    def answer(self, source: str | os.PathLike[str] | None) -> Mapping[str, Sequence[Any]] | str:
        """What `ostinato predict` writes of a file: the columns of a table, or text.

        Args:
            source: a file; None where nothing was given.
        """
        raise TypeError(f"{type(self).__name__} has no answer(source)")

    # The model file --------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file that `ost.load` reads; whole or not at all.

        Raises:
            NotFittedError: before fit.
            OSError: the disk is full or failing; an old file stays.
        """
        manifest, tensors = self.to_file()
        format.write(path, tensors, manifest)

    def to_file(self) -> tuple[dict[str, Any], Arrays]:
        """Manifest and tensors of the model file."""
        raise TypeError(f"{type(self).__name__} has no to_file()")

    @classmethod
    def from_file(cls, manifest: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The task that `to_file` took apart; `manifest` and `tensors` as `format.read` gives them."""
        raise TypeError(f"{cls.__name__} has no from_file(manifest, tensors)")

    def _manifest(self, spec: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
        arguments = self.options.model_dump(mode="json")
        return {"kind": "task", "class": self.name, "arguments": arguments, "spec": spec, "extra": dict(extra)}

    def _fitted(self, name: str) -> Any:
        """Something that fit leaves behind.

        Raises:
            NotFittedError: it has not.
        """
        found = self.__dict__.get(name)
        if found is None:
            raise NotFittedError(f"{type(self).__name__} is not trained yet: call fit(data), or ost.load a saved one")
        return found


def as_array(tensor: Any) -> NDArray[Any]:
    """A tensor of a module's state as numpy, on the CPU."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def from_file(path: str, manifest: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Task:
    """The task that a model file holds, in the state in which it was saved.

    Raises:
        FormatError: the file names no task of this version, or its parts do not fit together.
    """
    from ostinato import tasks

    name = manifest.get("class")
    if name not in tasks.found():
        known = ", ".join(tasks.found())
        raise FormatError(f"{path}: holds the task {name!r}, this version has {known}: install a newer ostinato")
    try:
        return tasks.get(str(name)).from_file(manifest, tensors)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise FormatError(f"{path}: is no whole {name} model ({type(error).__name__}: {said})") from error
