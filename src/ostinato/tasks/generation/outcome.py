"""What a language model's experiment found: figures, a sample, and pictures of how it reads and learnt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostinato.tasks.generation.learnt import Learnt
from ostinato.tasks.generation.music import Music, named, spelled
from ostinato.tasks.generation.texts import SHOWN, Texts
from ostinato.tasks.outcome import Chart, Field, Line, Outcome, Passage, Reading

if TYPE_CHECKING:
    from ostinato.tasks.generate import LanguageModel

Array = NDArray[np.float64]

TEMPERATURES = (0.5, 0.8, 1.0)
SHOWN_EPOCHS = 8
FIRST_LINES = 12
ROLL = 160  # frames of a picture
NATS = 1.0  # a unit less surprising than this is not coloured


def describe(task: LanguageModel, learnt: Learnt, before: Any, held: Any, data: str, began: float) -> Outcome:
    """The outcome of an experiment, or of measuring a trained model on other data.

    Args:
        before: what was learnt from, for the baselines; None: they are left out.
        held: what is measured on.
        began: time.monotonic() at the start.
    """
    medium: Any = learnt.medium
    part = medium.part(held)
    log_p = medium.log_probabilities(learnt.network, part)
    others = {} if before is None else medium.baselines(medium.part(before), part)
    sample = task.generate()
    music = isinstance(medium, Music)
    columns: dict[str, list[Any]] = (
        {"frame": list(range(1, len(sample) + 1)), "notes": spelled(sample)} if music else {}
    )
    notes = [*(held if before is None else before).notes, *medium.notes(part), *_notes(learnt, part, log_p, before)]
    return Outcome(
        task="generate", data=data, metrics=medium.metrics(log_p, part), baselines=others, best=medium.best,
        parameters=learnt.parameters, seconds=time.monotonic() - began, epochs=len(learnt.history),
        seed=learnt.plan.seed, columns=columns, text="" if music else f"{sample}\n", notes=tuple(notes),
        settings=_settings(learnt), charts=tuple(_charts(task, learnt, part, log_p, others, sample)),
        history=learnt.history or None,  # type: ignore[arg-type]
        answer=_answer(sample, music), answer_title="What it writes",
    )  # fmt: skip


def _notes(learnt: Learnt, part: Any, log_p: Array, before: Any) -> Iterator[str]:
    plan, medium = learnt.plan, learnt.medium
    count = f"{len(log_p):,} {medium.step}s"
    if before is None:
        yield f"measured on {count}; the n-grams or laws of notes that stand beside training need what was learnt from"
        return
    carried = "piece by piece" if medium.kind == "music" else "the state carried from the first to the last"
    yield f"held out {count}, {carried}: nothing was learnt or chosen by them"
    if learnt.history:
        yield f"the weights of epoch {learnt.best} of {len(learnt.history)} were kept, the best on what was held back"
    if plan.cutoffs:
        first = ", ".join(f"{cut:,}" for cut in plan.cutoffs)
        yield f"the softmax has the rare units in groups from number {first} on; its probabilities are exact"


def _settings(learnt: Learnt) -> dict[str, Any]:
    said = learnt.plan.model_dump()
    said["cutoffs"] = ", ".join(map(str, learnt.plan.cutoffs)) or "none"
    if learnt.medium.kind == "music":
        del said["embedding_size"], said["tied"], said["cutoffs"], said["word_dropout"]
    return said | {"best epoch": learnt.best}


def _answer(sample: Any, music: bool) -> tuple[list[str], list[list[str]]]:
    """The first lines for the terminal."""
    lines = spelled(sample) if music else str(sample).split("\n")
    return [""], [[line[:110]] for line in lines[:FIRST_LINES] if line.strip()]


# ---- pictures


def _charts(
    task: LanguageModel, learnt: Learnt, part: Any, log_p: Array, others: dict[str, dict[str, float]], sample: Any
) -> Iterator[Chart | Reading | Field]:
    medium = learnt.medium
    if isinstance(medium, Music):
        yield roll_picture(np.asarray(sample)[:ROLL], "What it writes", "A new piece, drawn frame by frame.")
        yield roll_picture(part.pieces[0][:ROLL], "What was held out", "The first piece that it was measured on.")
    else:
        yield _samples(task, task.temperature_of(learnt), sample)
        yield surprises(medium, part, log_p)
    if len(learnt.history) > 1:
        yield _curve(learnt, others)
    if learnt.samples:
        yield _growth(learnt)


def _samples(task: LanguageModel, own: float, sample: str) -> Reading:
    passages = [Passage(f"temperature {own:g}", [(sample, 0.0)])]
    passages += [
        Passage(f"temperature {t:g}", [(str(task.generate(temperature=t)), 0.0)]) for t in TEMPERATURES if t != own
    ]
    caption = "Each drawn unit by unit from the same random numbers; at low temperatures it dares less."
    return Reading("What it writes", caption, passages)


def surprises(medium: Texts, part: Any, log_p: Array) -> Reading:
    """The begin of a text, each unit coloured by how unlikely the model held it."""
    count = 2 * SHOWN[medium.codec.units.kind]
    pieces = medium.codec.pieces(part.ids[:count].tolist())
    most = np.log(len(medium.codec))
    weights = -np.clip((-log_p[:count] - NATS) / max(most - NATS, 1e-9), 0, 1)
    caption = (
        f"The begin of what was held out. The stronger a {medium.step} is coloured, the less likely it was held "
        "after all that stands before it; what is not coloured was foreseen."
    )
    return Reading("How surprising each was", caption, [Passage("", list(zip(pieces, weights.tolist(), strict=True)))])


def roll_picture(roll: Any, title: str, caption: str) -> Field:
    """A piano roll as a picture, cut to the notes that sound."""
    sounding = np.flatnonzero(roll.any(0))
    low, high = (int(sounding[0]), int(sounding[-1]) + 1) if len(sounding) else (0, 1)
    names = named(roll.shape[1])[low:high]
    return Field(title, f"{caption} Time goes to the right.", roll[:, low:high].T, names, "frame", "note")


def _curve(learnt: Learnt, others: dict[str, dict[str, float]]) -> Chart:
    epochs = np.array([row["epoch"] for row in learnt.history], dtype=float)
    lines = [
        Line("training", _column(learnt.history, "loss"), "plain"),
        Line("validation", _column(learnt.history, "valid_loss"), "ours"),
    ]
    best = min(others, key=lambda name: others[name]["nll"], default=None)
    if best is not None:
        level = np.full(len(epochs), others[best]["nll"])
        lines.append(Line(f"{best.replace('_', ' ')}, held out", level, "baseline"))
    step = learnt.medium.step
    caption = (
        f"Nats a {step} over the epochs. Training is measured with dropout, so it may lie above the validation; the "
        "weights of the best validation are kept."
    )
    return Chart("Training", caption, epochs, lines, (), [(float(learnt.best), "best")], "epoch", f"nats a {step}")


def _growth(learnt: Learnt) -> Reading:
    rows = learnt.samples
    chosen = sorted({int(k) for k in np.linspace(0, len(rows) - 1, min(len(rows), SHOWN_EPOCHS)).round()})
    passages = [Passage(f"after epoch {rows[k][0]}", [(rows[k][1], 0.0)]) for k in chosen]
    return Reading("What it wrote while it learnt", "A little text after each epoch.", passages)


def _column(history: Any, name: str) -> Array:
    return np.array([np.nan if row.get(name) is None else row[name] for row in history], dtype=float)
