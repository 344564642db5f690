"""Write text or music like a person's own, beside the n-grams: a language model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field, field_validator

from ostinato.data import DataError, builtin
from ostinato.data.rolls import is_rolls
from ostinato.data.text.plain import Plain
from ostinato.spec import Spec
from ostinato.tasks.generation.learnt import Learnt, Medium, learn
from ostinato.tasks.generation.music import Music, spelled
from ostinato.tasks.generation.texts import HELD, Texts
from ostinato.tasks.options import Options
from ostinato.tasks.outcome import Outcome
from ostinato.tasks.task import Arrays, Task

if TYPE_CHECKING:
    from typing_extensions import Self

    from ostinato.training import Callback, History

SHARE = 0.9  # of a time limit, for training
BUILTIN = {"epochs": 5, "hidden_size": 160}  # so that the built-in text is done in a minute


class GenerateOptions(Options):
    """What a language model needs to know; nothing has to be said."""

    unit: Literal["word", "bpe", "char"] | None = Field(
        None, description="what a text is divided into; words where they stand between blanks already, else characters"
    )
    prompt: str = Field("", description="what the sample begins with")
    length: int | None = Field(None, ge=0, description="units of the sample, or frames of music")
    temperature: float | None = Field(
        None, ge=0, description="of the sample: below 1 safer, above 1 wilder, 0 the likeliest; 0.8 of text, 1 of music"
    )
    top_k: int | None = Field(None, ge=1, description="draw from so many of the likeliest alone")
    top_p: float | None = Field(None, gt=0, le=1, description="draw from the likeliest that have this much in all")
    bptt: int | None = Field(
        None, ge=1, description="steps through which a gradient goes back; 35 words, 100 characters"
    )
    vocabulary: int | None = Field(None, ge=3, description="units at most; by the text")
    embedding_size: int | None = Field(None, ge=1, description="numbers for a unit; by the units")
    weight_dropout: float | None = Field(None, ge=0, lt=1, description="share of recurrent weights dropped in training")

    bidirectional: bool = Field(False, description="not here: a language model reads forwards alone")
    batch_size: int | None = Field(
        None, ge=1, description="places that are read side by side, or pieces; by the size of the data"
    )

    @field_validator("bidirectional")
    @classmethod
    def _forwards(cls, both: bool) -> bool:
        if both:
            raise ValueError("a language model reads forwards only: what comes next must not be seen")
        return both


class LanguageModel(Task):
    """Learns what comes next in a text, or in music, and writes on.

        p(text) = product over t of p(x[t] | x[1], ..., x[t - 1]),    read off a recurrent state that is never reset

    Units are words, byte pairs or characters. Training goes through contiguous columns of the text, the state
    carried from chunk to chunk; dropout is locked in time and on recurrent weights (AWD-LSTM, Merity 2018), words
    share their weights with the softmax, which groups the rare ones (Grave 2017). Piano rolls (.mat, .npz) are
    learnt frame by frame, with a Bernoulli law for each note.

    Args:
        options: the fields of `GenerateOptions` and `Options`, each with its meaning.

    Raises:
        TypeError, ValueError: an option is unknown or cannot be.

    >>> model = LanguageModel(hidden_size=16, epochs=1, unit="char")
    >>> history = model.fit("the cat sat on the mat and the rat sat on the cat\\n" * 20)
    >>> len(model.generate("the ", length=20))
    24
    >>> model.score("the rat sat on the mat\\n")["perplexity"] < 30
    True
    """

    name: ClassVar[str] = "generate"
    Options: ClassVar[type[Options]] = GenerateOptions
    options: GenerateOptions
    reads: ClassVar[str] = "text (.gz too), a folder of .txt files, or piano rolls: .mat, .npz"
    builtin: ClassVar[str] = "the help on Python's language, which ships with Python"
    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("ostinato generate", "learn Python's own help, and write more of it"),
        ('ostinato generate shakespeare.txt --prompt "ROMEO:" --length 500', "character by character"),
        (
            "ostinato generate train.txt --valid valid.txt --test test.txt --cell lstm --num-layers 2",
            "words, as in PTB",
        ),
        ("ostinato generate novels/ --unit bpe --temperature 0.9 --top-p 0.95", "byte pairs, out of a folder"),
        ("ostinato generate chorales.mat --length 120", "music: a new chorale"),
    )

    # scikit-learn's words -------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        *,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        quiet: bool = True,
    ) -> History:
        """Train.

        Args:
            data: path of a text, a folder of texts, a string, or piano rolls: a path or arrays (time, notes).
            validation: the same; it decides when to stop and is not learnt from. Left out: a twentieth of
                data, out of five places, or a tenth of the pieces.
            callbacks, out, resume, quiet: as of `training.fit`.

        Raises:
            DataError: the data cannot be used.
        """
        whole = self._read(data)
        held = None if validation is None else self._read(validation, whole)
        known, held = (whole, held) if held is not None else self._held_back(whole)
        self._learn(known, held, self.options, out=out, resume=resume, quiet=quiet, callbacks=callbacks)
        return self._learnt.history  # type: ignore[return-value]

    def generate(
        self,
        prompt: Any = None,
        length: int | None = None,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Any:
        """A prompt and what the model writes after it.

        Args:
            prompt: text; of music frames (time, notes). Left out: that of the options.
            length: units or frames to draw.
            temperature, top_k, top_p, seed: those of the options where left out.

        Returns:
            text; of music an array (time, notes) of 0 and 1.

        Raises:
            NotFittedError: before fit.
            TypeError, ValueError: an argument cannot be.
        """
        learnt: Learnt = self._fitted("_learnt")
        words = self.options
        music = isinstance(learnt.medium, Music)
        given = (None if music else words.prompt) if prompt is None else prompt
        if not (music or isinstance(given, str)):
            raise TypeError(f"the prompt must be text, found {type(given).__name__}: the model learnt from text")
        count = length if length is not None else words.length if words.length is not None else learnt.medium.length
        if not isinstance(count, Integral) or count < 0:
            raise ValueError(f"length must be a whole number from 0 up, found {count!r}")
        return learnt.draw(
            given, int(count), seed=words.seed if seed is None else seed,
            temperature=self.temperature_of(learnt) if temperature is None else temperature,
            top_k=words.top_k if top_k is None else top_k, top_p=words.top_p if top_p is None else top_p,
        )  # fmt: skip

    def temperature_of(self, learnt: Learnt) -> float:
        """That of the options, else the medium's own."""
        own = self.options.temperature
        return learnt.medium.temperature if own is None else own

    def predict(self, data: Any = None) -> Any:
        """`generate` after one prompt or several: text to text, a list of texts to a list."""
        if isinstance(data, (list, tuple)) and data and isinstance(data[0], str):
            return [self.generate(each) for each in data]
        return self.generate(data)

    def score(self, data: Any) -> dict[str, float]:
        """How well a text is foretold, each unit from all before it: perplexity, bits_per_character, nll; of music nll.

        Args:
            data: as of fit.
        """
        learnt: Learnt = self._fitted("_learnt")
        medium: Any = learnt.medium
        part = medium.part(self._measured(data))
        return dict(medium.metrics(medium.log_probabilities(learnt.network, part), part))

    def summary(self) -> str:
        """What was trained, in a few lines."""
        learnt: Learnt = self._fitted("_learnt")
        plan, medium = learnt.plan, learnt.medium
        tied = ", tied weights" if plan.tied else ""
        groups = f", rare units in {len(plan.cutoffs)} groups" if plan.cutoffs else ""
        return "\n".join(
            [
                f"LanguageModel of {plan.units:,} {'notes' if medium.kind == 'music' else medium.step + 's'}",
                f"{plan.num_layers} x {plan.cell} of {plan.hidden_size}, embedding {plan.embedding_size}{tied}{groups}",
                f"dropout {plan.dropout:.2f}, of recurrent weights {plan.weight_dropout:.2f}",
                f"{learnt.parameters:,} parameters",
            ]
        )

    # The command ------------------------------------------------------------------------------

    def experiment(
        self,
        data: Any = None,
        *,
        test: Any = None,
        validation: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        quiet: bool = False,
        callbacks: Iterable[Callback] = (),
    ) -> Outcome:
        """Hold out the last tenth (or `test`), learn from the rest, compare with n-grams or plain laws of notes."""
        from ostinato.tasks.generation.outcome import describe

        began, options = time.monotonic(), self.options
        if data is None:
            options = options.model_copy(update={k: v for k, v in BUILTIN.items() if getattr(options, k) is None})
        whole = self._read(data)
        before, held = self._held_out(whole, None if test is None else self._read(test, whole))
        given = getattr(whole, "valid", ()) if validation is None else ()
        if validation is not None:
            known, valid = before, self._read(validation, whole)
        elif given:
            known, valid = before, type(whole)(given, whole.source)
        else:
            known, valid = self._held_back(before)
        self._learn(known, valid, options, out=out, resume=resume, quiet=quiet, callbacks=callbacks)
        source = builtin.TOPICS if data is None else whole.source
        return describe(self, self._learnt, before, held, source, began)

    def evaluate(self, data: Any) -> Outcome:
        """A trained model on data as `score` takes them."""
        from ostinato.tasks.generation.outcome import describe

        began, learnt, held = time.monotonic(), self._fitted("_learnt"), self._measured(data)
        return describe(self, learnt, None, held, held.source, began)

    def answer(self, source: str | os.PathLike[str] | None) -> Mapping[str, Sequence[Any]] | str:
        """What the model writes after a file: text, or the frames of music by name."""
        learnt: Learnt = self._fitted("_learnt")
        if isinstance(learnt.medium, Music):
            start = None if source is None else self._read(source).pieces[0]
            return frames(self.generate(start))
        start = None if source is None else self._read(Path(source)).text.rstrip("\n")
        return str(self.generate(start)) + "\n"

    # The model file ---------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], Arrays]:
        """Manifest and tensors."""
        learnt: Learnt = self._fitted("_learnt")
        words, tensors = learnt.to_file()
        return self._manifest(Spec(outputs=learnt.plan.units).to_json(), words), tensors

    @classmethod
    def from_file(cls, manifest: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The model that `to_file` took apart, ready to write.

        Raises:
            KeyError, ValueError: the parts do not fit together.
        """
        task = cls(**manifest["arguments"])
        task._learnt = Learnt.of_file(manifest["extra"], tensors)
        return task

    # Steps ------------------------------------------------------------------------------------

    def _medium(self, data: Any) -> type[Texts] | type[Music]:
        """Texts or music: as was learnt, else by the data."""
        learnt = self.__dict__.get("_learnt")
        if learnt is not None and not is_rolls(data):
            return type(learnt.medium)
        arrays = isinstance(data, (list, tuple)) and len(data) > 0 and not isinstance(data[0], (str, os.PathLike))
        return Music if is_rolls(data) or arrays else Texts

    def _read(self, data: Any, like: Any = None) -> Any:
        """Data of any kind; of the same kind as what was read before.

        Raises:
            DataError: they cannot be used, or are of the other kind.
        """
        kind = self._medium(data if like is None else like)
        if like is not None and isinstance(data, (str, os.PathLike)) and is_rolls(data) != is_rolls(like):
            what, other = ("music", "text") if is_rolls(data) else ("no piano roll (.mat, .npz)", "music")
            raise DataError(Path(data).name, f"is {what}, and what is learnt from is {other}", "give the same")
        found = kind.read(data, self.options.on_bad)
        learnt = self.__dict__.get("_learnt")
        if learnt is not None and like is None and not isinstance(learnt.medium, kind):
            raise DataError(found.source, f"holds {kind.kind}, the model learnt {learnt.medium.kind}", "give the same")
        return found

    def _measured(self, data: Any) -> Any:
        """Data to measure on: of rolls that hold a test part, that part."""
        whole = self._read(data)
        apart = getattr(whole, "test", ())
        return type(whole)(apart, whole.source) if apart else whole

    def _divided(self, whole: Any) -> tuple[Any, Any]:
        """What may be learnt from, and what is measured on."""
        if isinstance(whole, Plain):
            return Texts.divide(whole, self.options.unit)
        return Music.divide(whole, HELD, self.options.seed)

    def _held_back(self, whole: Any) -> tuple[Any, Any]:
        """What is learnt from, and what tells when to stop."""
        if isinstance(whole, Plain):
            return Texts.hold_back(whole, self.options.unit)
        return Music.divide(whole, HELD, self.options.seed)

    def _held_out(self, whole: Any, test: Any) -> tuple[Any, Any]:
        """What may be learnt from, and what is measured on: of rolls the test part of the file, where it has one."""
        if test is not None:
            return whole, test
        apart = getattr(whole, "test", ())
        return (whole, type(whole)(apart, whole.source)) if apart else self._divided(whole)

    def _learn(self, known: Any, valid: Any, options: GenerateOptions, **how: Any) -> None:
        self.__dict__.pop("_learnt", None)
        kind = Texts if isinstance(known, Plain) else Music
        for name in ("unit", "prompt", "vocabulary", "embedding_size") if kind is Music else ():
            if getattr(options, name):
                raise ValueError(f"{name}={getattr(options, name)!r}: music is frames of notes: leave it out")
        medium: Medium = kind.learnt_from(known, options)
        each: Any = medium
        part = each.part(known)
        limit = None if options.time_limit is None else SHARE * options.time_limit
        self._learnt = learn(medium, each.plan(options, part), part, each.part(valid), time_limit=limit, **how)


def frames(roll: Any) -> dict[str, list[Any]]:
    """A piano roll as columns: the number of each frame, and its notes by name."""
    return {"frame": list(range(1, len(roll) + 1)), "notes": spelled(roll)}
