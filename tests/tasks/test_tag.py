"""Tagging end to end: what is learnt, what is answered, what is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import ostinato as ost
from ostinato import format
from ostinato.data import DataError
from ostinato.data.text.tagged import Tagged
from ostinato.format import FormatError
from ostinato.interfaces import report
from ostinato.interfaces.cli import main
from ostinato.metrics import spans
from ostinato.tasks.tagging import charts
from ostinato.tasks.task import NotFittedError
from ostinato.training import Callback

FIRST, LAST = ["Ann", "Bob", "Cara", "Dan"], ["Smith", "Jones", "Mills"]
PLACES = [["Paris"], ["New", "York"], ["Rome"], ["Los", "Angeles"]]
SMALL = {"hidden_size": 16, "epochs": 8, "seed": 3, "learning_rate": 0.02}


def names(count: int, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Who went where, in BIO: a name after "Mr" is a person even where it is a town's."""
    draw, words, tags = random.Random(seed), [], []
    for _ in range(count):
        person, place = [draw.choice(FIRST), *draw.choice([[], [draw.choice(LAST)]])], draw.choice(PLACES)
        if draw.random() < 0.3:
            person = ["Rome"]
        words.append(["Mr", *person, draw.choice(["went", "moved", "flew"]), "to", *place])
        tags.append(["O", "B-PER", *["I-PER"] * (len(person) - 1), "O", "O", "B-LOC", *["I-LOC"] * (len(place) - 1)])
    return words, tags


@pytest.fixture(scope="module")
def tagger() -> ost.Tagger:
    model = ost.Tagger(**SMALL)
    model.fit(names(80))
    return model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "names.tsv"
    rows = zip(*names(60), strict=True)
    path.write_text("\n\n".join("\n".join("\t".join(p) for p in zip(*row, strict=True)) for row in rows) + "\n")
    return path


def test_names_are_learnt_and_told_by_what_stands_beside_them(tagger: ost.Tagger) -> None:
    found = tagger.score(names(40, seed=9))
    assert found["f1"] == found["accuracy"] == found["exact_match"] == 1
    assert tagger.predict("Mr Rome flew to Rome") == [
        ("Mr", "O"), ("Rome", "B-PER"), ("flew", "O"), ("to", "O"), ("Rome", "B-LOC"),
    ]  # fmt: skip


def test_one_sentence_or_many_as_text_or_words(tagger: ost.Tagger, tmp_path: Path) -> None:
    words = ["Mr", "Ann", "moved", "to", "New", "York"]
    tags = tagger.predict(words)
    assert tags == ["O", "B-PER", "O", "O", "B-LOC", "I-LOC"]
    assert tagger.predict([words, ["Rome"], []])[0::2] == [tags, []]
    assert tagger.predict(" ".join(words)) == list(zip(words, tags, strict=True))
    path = tmp_path / "lines.txt"
    path.write_text("Mr Ann moved to New York\nMr Bob went to Rome\n")
    assert tagger.predict(path)[0] == list(zip(words, tags, strict=True))
    assert list(tagger.answer(path)) == ["sentence", "word", "predicted"]
    for wrong in (5, None, [5]):
        with pytest.raises(DataError, match="no sentence"):
            tagger.predict(wrong)
    with pytest.raises(DataError, match="'Mr Ann moved' in a list of words is a sentence: give sentences one by one"):
        tagger.predict(["Mr Ann moved", "Mr Bob"])


def test_batches_change_nothing(tagger: ost.Tagger) -> None:
    words, _ = names(30, seed=4)
    assert tagger.predict(words) == [tagger.predict(row) for row in words]


def test_a_saved_tagger_says_the_same(tagger: ost.Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "names.ost")
    again = ost.load(tmp_path / "names.ost")
    words, tags = names(30, seed=5)
    assert again.predict(words) == tagger.predict(words)
    assert again.get_params() == tagger.get_params()
    assert again.summary() == tagger.summary()
    assert "Tagger of 5 tags: B-LOC" in again.summary()
    assert again.evaluate((words, tags)).baselines["most_frequent_tag"]["accuracy"] < 1


def test_a_file_whose_parts_do_not_fit_is_refused(tagger: ost.Tagger, tmp_path: Path) -> None:
    manifest, tensors = tagger.to_file()
    path = tmp_path / "bad.ost"
    for name, wrong in (
        ("network.head.between", np.zeros((2, 2), np.float32)),
        ("forms", np.frombuffer(b"[1]", np.uint8)),
        ("usual", np.zeros(3, np.float32)),
    ):
        format.write(path, tensors | {name: wrong}, manifest)
        with pytest.raises(FormatError, match="is no whole tag model"):
            ost.load(path)


def test_an_impossible_tag_never_comes_out() -> None:
    words, tags = names(40)
    model = ost.Tagger(**SMALL | {"epochs": 1, "learning_rate": 1e-4})
    model.fit((words, tags))  # has learnt next to nothing
    random.seed(0)
    for row in model.predict([random.sample([word for row in words for word in row], 12) for _ in range(30)]):
        assert spans.scheme([row]) in ("bio", "")


def test_the_chain_is_for_spans_unless_asked_for() -> None:
    words, tags = names(30)
    for given, head, options in (
        (tags, "crf", {}),
        (tags, "softmax", {"head": "softmax"}),
        ([["W"] * (len(row) - 1) + ["E"] for row in tags], "softmax", {}),
        ([["W"] * (len(row) - 1) + ["E"] for row in tags], "crf", {"head": "crf"}),
    ):
        model = ost.Tagger(**SMALL | {"epochs": 1} | options)
        model.fit((words, given))
        assert model._learnt.network.head.name == head


@pytest.mark.parametrize("letters", ["lstm", "conv"])
def test_a_word_that_was_never_seen_is_told_by_its_letters(letters: str) -> None:
    draw = random.Random(1)
    stems = ["".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(3)) for _ in range(90)]
    words = [[stem + draw.choice(["ing", "ness"])] * 2 for stem in stems]
    tags = [["VERB" if row[0].endswith("ing") else "NOUN"] * 2 for row in words]
    model = ost.Tagger(letters=letters, **SMALL | {"epochs": 12})
    model.fit((words[:70], tags[:70]))
    found = model.score((words[70:], tags[70:]))
    assert found["accuracy"] == found["unknown_accuracy"]  # all of them are new
    assert found["accuracy"] > 0.9


def test_pretrained_vectors_tell_words_that_training_had_not(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    animals, tools = [f"animal{k}" for k in range(30)], [f"tool{k}" for k in range(30)]
    drawn = np.random.default_rng(0).normal(0, 0.1, (60, 4)) + np.repeat([[1, 0, 0, 0], [0, 1, 0, 0]], 30, 0)
    lines = [" ".join([word, *map(str, row)]) for word, row in zip(animals + tools, drawn, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    model = ost.Tagger(vectors=str(path), letters="none", **SMALL)
    known = [[word] for pair in zip(animals[:20], tools[:20], strict=True) for word in pair]
    model.fit((known, [["A"], ["T"]] * 20))
    assert model.predict(animals[20:] + tools[20:]) == ["A"] * 10 + ["T"] * 10


def test_the_same_seed_gives_the_same_numbers_at_any_number_of_threads() -> None:
    threads, found = torch.get_num_threads(), []
    for count in (1, 2):
        torch.set_num_threads(count)
        model = ost.Tagger(**SMALL | {"epochs": 1})
        model.fit(names(25))
        found.append(model.to_file()[1])
    torch.set_num_threads(threads)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    class Stopped(Callback):
        def on_batch_end(self, logs):
            self.trainer.stop = logs["step"] == 6

    data, options = names(40), SMALL | {"epochs": 3}
    whole = ost.Tagger(**options)
    whole.fit(data, out=tmp_path / "whole")
    broken = ost.Tagger(**options)
    broken.fit(data, out=tmp_path / "broken", callbacks=[Stopped()])
    resumed = ost.Tagger(**options)
    resumed.fit(data, out=tmp_path / "broken", resume=True)
    a, b, early = (model.to_file()[1] for model in (whole, resumed, broken))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not all(np.array_equal(a[name], early[name]) for name in a)


def test_an_experiment_measures_beside_the_baselines_and_shows_what_went_wrong(file: Path) -> None:
    model = ost.Tagger(**SMALL | {"epochs": 3})
    outcome = model.experiment(file, quiet=True)
    assert list(outcome.baselines) == ["hidden_markov", "most_frequent_tag", "feed_forward"]
    assert set(outcome.metrics) == {"precision", "recall", "f1", "accuracy", "exact_match"} | (
        {"unknown_accuracy"} & set(outcome.metrics)
    )
    assert len({len(column) for column in outcome.columns.values()}) == 1
    assert list(outcome.columns) == ["sentence", "word", "tag", "predicted"]
    right = np.array(outcome.columns["tag"]) == np.array(outcome.columns["predicted"])
    assert right.mean() == pytest.approx(outcome.metrics["accuracy"])
    json.dumps(outcome.to_json())
    page = report.render(outcome)
    assert "F1 of each kind of span" in page
    assert "What is taken for what" in page
    only = ost.Tagger(baselines="most_frequent_tag", **SMALL | {"epochs": 1}).experiment(file, quiet=True)
    assert list(only.baselines) == ["most_frequent_tag"]


def test_errors_are_shown_in_their_sentences(tagger: ost.Tagger) -> None:
    words, tags = names(10, seed=2)
    wrong = [["O"] * len(row) for row in tags]
    outcome = tagger.evaluate((words, wrong))
    passage = next(iter(outcome.charts)).passages[0]
    assert "Mr" not in passage.heading
    assert "B-PER, right is O" in passage.heading
    assert {weight for text, weight in passage.parts if text in ("Mr", "to")} == {0.0}
    assert min(weight for _, weight in passage.parts) == -1.0


def test_of_many_tags_those_with_the_most_mistakes_are_shown() -> None:
    frequent = [f"T{k}" for k in range(charts.MOST)]
    data = Tagged([["w"] * 3] * 41, [[tag] * 3 for tag in 2 * frequent] + [["RARE", "T0", "T0"]], "made up")
    told = [list(row) for row in data.tags]
    told[-1] = ["T0", "RARE", "T0"]
    found = charts._confusion(told, data)
    assert len(found.rows) == charts.MOST
    assert {"RARE", "T0"} <= set(found.rows)
    assert f"The {charts.MOST} of {charts.MOST + 1} tags with the most mistakes." in found.caption
    assert found.values[found.rows.index("RARE"), found.columns.index("T0")] == 1


def test_tags_that_training_had_not_count_as_errors_and_are_named(tagger: ost.Tagger) -> None:
    outcome = tagger.evaluate(([["Mr", "Ann"]], [["O", "B-SHIP"]]))
    assert outcome.metrics["accuracy"] == 0.5
    assert any("1 words have tags that training had not, and count as errors: B-SHIP" in note for note in outcome.notes)


def test_the_command_trains_predicts_and_evaluates(file: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as end:
        main(["tag", str(file), "--column", "1", "--hidden-size", "8", "--epochs", "2", "--quiet", "--out", str(out)])
    assert not end.value.code
    assert {path.name for path in out.iterdir()} >= {"model.ost", "metrics.json", "predictions.csv", "report.html"}
    for words, start in (
        (["predict", str(out), str(file)], "sentence,word,predicted\n1,Mr,"),
        (["evaluate", str(out), str(file), "--json"], '{\n  "task": "tag"'),
        (["show", str(out)], "Tagger of 5 tags: B-LOC, B-PER, I-LOC, I-PER, O"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert capsys.readouterr().out.startswith(start)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", {}, "bad.tsv: is empty"),
        ("Ann\tB-PER\nwent\tO\n\nBob\tB-PER\n", {"column": 5}, "column"),
        ("Ann\tB-PER\nwent\tO\n\nBob\tB-PER\n", {"column": "upos"}, "upos"),
        ("Ann\tX\nwent\tX\n\nBob\tX\n", {}, "every tag is 'X': give another column with --column"),
        ("Ann\tB-PER\nwent\tO\nBob\tB-PER\n", {}, "holds one sentence, of which none can be held out"),
        ("Ann\tB-PER\nwent\n\nBob\tB-PER\n", {}, "row 2"),
    ],
)
def test_bad_files_are_refused_in_words(tmp_path: Path, text: str, options: dict, said: str) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        ost.Tagger(**options).experiment(path, quiet=True)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "bad.tsv" in str(error.value)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(NotFittedError):
        ost.Tagger().predict("A dog")
    with pytest.raises(ValueError, match="no baseline is called 'hmm': there are hidden_markov"):
        ost.Tagger(baselines="hmm")
    with pytest.raises(ValueError, match="letters='rnn'"):
        ost.Tagger(letters="rnn")
    rows = [[f"w{k}"] for k in range(600)]
    with pytest.raises(DataError, match="too many for a chain"):
        ost.Tagger(head="crf").fit((rows, rows))
