"""The language model: what it promises, on small texts and a little music, in few epochs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

import ostinato as ost
from ostinato import format
from ostinato.data import DataError
from ostinato.format import FormatError
from ostinato.interfaces import report
from ostinato.tasks.generation.music import named, segments, spelled
from ostinato.tasks.outcome import Field, Reading
from ostinato.tasks.task import NotFittedError
from ostinato.training import Callback

RANDOM = np.random.default_rng(0)
NOUNS, VERBS = ("cat", "dog", "rat", "bird"), ("saw", "heard", "met")
LINES = [f"the {RANDOM.choice(NOUNS)} {RANDOM.choice(VERBS)} the {RANDOM.choice(NOUNS)} ." for _ in range(160)]
TEXT = "\n".join(LINES) + "\n"
QUICK: dict[str, Any] = {"hidden_size": 16, "epochs": 5, "learning_rate": 0.02, "bptt": 12}


def pieces(count: int, seed: int = 0) -> list[np.ndarray]:
    """Two notes that are held for four frames and then change places."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        roll = np.zeros((int(random.integers(20, 40)), 5), np.uint8)
        for k in range(len(roll)):
            roll[k, (k // 4) % 2 * 2] = 1
        found.append(roll)
    return found


@pytest.fixture(scope="module")
def trained() -> ost.LanguageModel:
    model = ost.LanguageModel(**QUICK)
    model.fit(TEXT)
    return model


@pytest.fixture(scope="module")
def musician() -> ost.LanguageModel:
    model = ost.LanguageModel(**QUICK | {"epochs": 8, "dropout": 0.0, "bptt": 30})
    model.fit(pieces(20))
    return model


# ---- text


def test_units_are_words_where_blanks_divide_them(trained: ost.LanguageModel) -> None:
    assert trained._learnt.medium.codec.tokenised
    assert len(trained._learnt.medium.codec) == 2 + 10  # nine words and the line's end
    prose = ost.LanguageModel(**QUICK | {"epochs": 1})
    prose.fit("He said: yes, it is.\n" * 40)
    assert prose._learnt.medium.codec.units.kind == "char"


def test_it_learns_more_than_frequencies(trained: ost.LanguageModel) -> None:
    found = trained.score(TEXT)
    assert 1 < found["perplexity"] < 5  # by frequencies alone it is 8
    assert found["perplexity"] == pytest.approx(math.exp(found["nll"]))
    tokens = len(TEXT.split()) + len(LINES)
    assert found["bits_per_character"] == pytest.approx(found["nll"] * tokens / len(TEXT) / math.log(2))


def test_it_writes_on(trained: ost.LanguageModel) -> None:
    text = trained.generate("the cat", length=12)
    assert text.startswith("the cat ")
    assert set(text.split()) <= set(TEXT.split())
    assert trained.generate("the cat", length=12) == text
    assert trained.generate("the cat", length=60, seed=1, temperature=1.5) != trained.generate(
        "the cat", length=60, seed=2, temperature=1.5
    )
    assert trained.generate("the cat", length=0) == "the cat"
    assert trained.predict(["the dog", "the rat"]) == [trained.predict("the dog"), trained.predict("the rat")]
    assert trained.generate("the", length=1, temperature=0).split()[1] in NOUNS


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "num_layers": 2, "dropout": 0.3, "weight_dropout": 0.3},
        {"unit": "char", "weight_norm": True},
        {"unit": "bpe", "vocabulary": 270},
    ],
)
def test_one_seed_gives_the_same_numbers_at_one_thread_and_at_two(options: dict[str, Any]) -> None:
    if options.get("unit") == "bpe":
        pytest.importorskip("tokenizers")

    def once(threads: int, seed: int) -> tuple[Any, str]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            model = ost.LanguageModel(**QUICK | {"epochs": 1, "bptt": 30} | options, seed=seed)
            model.fit(TEXT[:2000])
            return model._learnt.to_file()[1], model.generate("the ", length=20)
        finally:
            torch.set_num_threads(before)

    (weights, text), (again, same), (other, _) = once(1, 0), once(2, 0), once(1, 1)
    assert text == same
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    assert any(not np.array_equal(weights[name], other[name]) for name in weights)


def test_a_stopped_run_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    class Stop(Callback):
        def on_batch_end(self, logs: dict[str, Any]) -> None:
            self.trainer.stop = logs["step"] == 5

    options = {**QUICK, "dropout": 0.3, "epochs": 2, "bptt": 40}
    whole, part, rest = (ost.LanguageModel(**options) for _ in range(3))
    whole.fit(TEXT, out=tmp_path / "whole")
    part.fit(TEXT, out=tmp_path / "part", callbacks=[Stop()])
    rest.fit(TEXT, out=tmp_path / "part", resume=True)
    for name, tensor in whole._learnt.to_file()[1].items():
        np.testing.assert_array_equal(tensor, rest._learnt.to_file()[1][name])
    assert whole._learnt.samples == rest._learnt.samples
    assert [epoch for epoch, _ in rest._learnt.samples] == [1, 2]


def test_saved_and_loaded_it_is_the_same(trained: ost.LanguageModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model.ost")
    twin = ost.load(tmp_path / "model.ost")
    assert twin.generate("the", length=20) == trained.generate("the", length=20)
    assert twin.score(TEXT) == trained.score(TEXT)
    assert twin.summary() == trained.summary()
    assert twin.get_params() == trained.get_params()
    manifest, tensors = trained.to_file()
    assert sum(tensor.size for tensor in tensors.values()) == trained._learnt.parameters
    json.dumps(manifest)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan, medium: plan.update(hidden_size=2**31 - 1),
        lambda plan, medium: plan.update(num_layers=10**9),
        lambda plan, medium: plan.update(cell="quantum"),
        lambda plan, medium: plan.update(units=99),
        lambda plan, medium: plan.pop("dropout"),
        lambda plan, medium: medium.update(kind="music", width=12),
        lambda plan, medium: medium["codec"]["units"].update(units=["a", "a"]),
        lambda plan, medium: medium.clear(),
    ],
)
def test_a_model_file_that_does_not_fit_together_is_refused(
    trained: ost.LanguageModel, tmp_path: Path, change: Any
) -> None:
    manifest, tensors = trained.to_file()
    manifest = json.loads(json.dumps(manifest))
    change(manifest["extra"]["plan"], manifest["extra"]["medium"])
    format.write(tmp_path / "bad.ost", tensors, manifest)
    with pytest.raises(FormatError, match=r"bad\.ost: is no whole generate model"):
        ost.load(tmp_path / "bad.ost")


def test_an_experiment_holds_the_end_out_and_shows_what_it_found() -> None:
    outcome = ost.LanguageModel(**QUICK, length=15).experiment(TEXT, quiet=True)
    assert set(outcome.metrics) == {"perplexity", "bits_per_character", "nll"}
    assert list(outcome.baselines) == ["kneser_ney", "unigram"]
    assert outcome.metrics["perplexity"] < outcome.baselines["unigram"]["perplexity"]
    assert next(iter(outcome.best)) == "perplexity"
    assert outcome.text.strip()
    held = len(TEXT[int(0.9 * len(TEXT)) :].split("\n", 1)[1].split())
    lines = TEXT[int(0.9 * len(TEXT)) :].count("\n") - 1
    assert any(f"held out {held + lines} words" in note for note in outcome.notes)
    readings = [chart for chart in outcome.charts if isinstance(chart, Reading)]
    titles = ["What it writes", "How surprising each was", "What it wrote while it learnt"]
    assert [reading.title for reading in readings] == titles
    weights = [weight for _, weight in readings[1].passages[0].parts]
    assert min(weights) < -0.05  # which noun comes is a surprise
    assert max(weights) == 0  # that a line ends after its stop is none
    assert "".join(piece for piece, _ in readings[1].passages[0].parts).replace("\n ", "\n") in TEXT
    assert "temperature 0.5" in report.render(outcome)


def test_files_of_ones_own_for_validation_and_test(tmp_path: Path) -> None:
    for name, lines in (("train", LINES[:100]), ("valid", LINES[100:130]), ("test", LINES[130:])):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    model = ost.LanguageModel(**QUICK)
    outcome = model.experiment(
        tmp_path / "train.txt", validation=tmp_path / "valid.txt", test=tmp_path / "test.txt", quiet=True
    )
    assert outcome.metrics == model.score(tmp_path / "test.txt")
    assert outcome.data == "train.txt"
    assert any(f"held out {30 * 7} words" in note for note in outcome.notes)  # six, and the line's end


def test_what_cannot_be_is_said_in_a_line(trained: ost.LanguageModel) -> None:
    with pytest.raises(NotFittedError, match="not trained yet"):
        ost.LanguageModel().generate()
    with pytest.raises(ValueError, match="reads forwards only"):
        ost.LanguageModel(bidirectional=True)
    with pytest.raises(DataError, match="10 characters are too few"):
        ost.LanguageModel(**QUICK).fit("too little\n")
    with pytest.raises(DataError, match="holds music, the model learnt text"):
        trained.score(ost.LanguageModel()._read(pieces(3)))
    with pytest.raises(ValueError, match="top_p"):
        trained.generate("the", top_p=1.5)


# ---- music


def test_music_is_learnt_and_written(musician: ost.LanguageModel) -> None:
    other = pieces(5, seed=1)
    found = musician.score(other)
    assert set(found) == {"nll"}
    assert found["nll"] < 0.6 * 5 * math.log(2)
    roll = musician.generate(other[0][:9], length=7)
    assert roll.shape == (16, 5)
    np.testing.assert_array_equal(roll[:9], other[0][:9])
    assert set(np.unique(roll)) <= {0, 1}
    assert musician.generate(length=11).shape == (11, 5)


def test_music_in_segments_is_the_music() -> None:
    piece = pieces(1)[0].astype(np.float32)
    cut = segments([piece], 8)
    np.testing.assert_array_equal(np.concatenate([y for _, y in cut]), piece)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in cut])[1:], piece[:-1])
    assert not cut[0][0][0].any()


def test_an_experiment_with_parts_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "music.mat"
    parts = {"traindata": pieces(12), "validdata": pieces(3, 1), "testdata": pieces(4, 2)}
    cells = {}
    for name, found in parts.items():
        cells[name] = np.empty(len(found), dtype=object)
        cells[name][:] = found
    savemat(path, cells)
    model = ost.LanguageModel(**QUICK, length=10)
    outcome = model.experiment(path, quiet=True)
    assert list(outcome.baselines) == ["note_repeats", "note_frequencies"]
    assert outcome.metrics == model.score(parts["testdata"]) == model.score(path)
    assert [chart.title for chart in outcome.charts if isinstance(chart, Field)] == [
        "What it writes",
        "What was held out",
    ]
    assert len(outcome.columns["notes"]) == 10
    assert "<svg" in report.render(outcome)
    model.save(tmp_path / "model.ost")
    np.testing.assert_array_equal(ost.load(tmp_path / "model.ost").generate(), model.generate())
    assert model.answer(path)["frame"][-1] == len(parts["traindata"][0]) + 10


def test_notes_have_names() -> None:
    roll = np.zeros((2, 88), np.float32)
    roll[0, [39, 43]] = 1
    assert spelled(roll) == ["C4 E4", "-"]
    assert named(128)[60] == "C4"


@pytest.mark.parametrize("prompt", [5, 2.5, ["a", 1], b"the"])
def test_a_prompt_that_is_no_text_is_named(trained: ost.LanguageModel, prompt: Any) -> None:
    with pytest.raises(TypeError, match=f"the prompt must be text, found {type(prompt).__name__}"):
        trained.generate(prompt)


@pytest.mark.parametrize("length", [-1, "ten", 2.5])
def test_a_length_that_cannot_be_is_named(trained: ost.LanguageModel, length: Any) -> None:
    with pytest.raises(ValueError, match="length must be a whole number from 0 up"):
        trained.generate("the", length=length)
