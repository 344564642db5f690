"""The classifier of texts: what it promises, on small made-up texts, in few epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import ostinato as ost
from ostinato.data import DataError
from ostinato.data.text.labelled import Labelled, read_labelled
from ostinato.format import FormatError
from ostinato.tasks.classify import TextClassifier, _parted
from ostinato.tasks.classifying.plan import class_weights, plan, told_unit
from ostinato.tasks.outcome import Chart, Matrix, Reading
from ostinato.tasks.task import NotFittedError
from ostinato.training import Callback

FILLING = ("the", "film", "is", "plot", "was", "so", "very", "quite", "really", "here", "there", "and", "with")
QUICK: dict[str, Any] = {"epochs": 4, "members": 1, "hidden_size": 12, "learning_rate": 0.02, "batch_size": 16}


def reviews(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Good or bad by a word, unless "not" stands before it: order matters."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        words = random.choice(FILLING, random.integers(2, 7)).tolist()
        good, turned = random.random() < 0.5, random.random() < 0.3
        said = ["not"] * turned + ["fine" if good else "dull"]
        place = int(random.integers(0, len(words) + 1))
        texts.append(" ".join([*words[:place], *said, *words[place:]]))
        labels.append("yes" if good != turned else "no")
    return texts, labels


def names(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    kinds = {"x": ("ov", "ski"), "y": ("elli", "ino"), "z": ("sen",)}
    labels = random.choice(list(kinds), n).tolist()
    stems = ["".join(random.choice(list("abdklmnrt"), 4)) for _ in range(n)]
    return [stem + str(random.choice(kinds[label])) for stem, label in zip(stems, labels, strict=True)], labels


@pytest.fixture(scope="module")
def trained() -> TextClassifier:
    model = ost.TextClassifier(**QUICK | {"epochs": 6})  # after four it hangs on the seed whether it has learnt "not"
    model.fit(reviews(400))
    return model


def test_a_text_has_a_label_and_a_list_has_several(trained: TextClassifier) -> None:
    assert trained.classes_.tolist() == ["no", "yes"]
    assert trained.predict("a fine plot") == "yes"
    assert trained.predict(["a fine plot", "so not fine", "dull"]) == ["yes", "no", "no"]
    assert trained.predict([]) == []
    one, several = trained.predict_proba("a fine plot"), trained.predict_proba(["a fine plot", "dull"])
    assert one.shape == (2,)
    assert several.shape == (2, 2)
    np.testing.assert_allclose(several.sum(1), 1)
    np.testing.assert_allclose(several[0], one, rtol=1e-5)


def test_it_reads_order_and_scores_what_it_has_not_seen(trained: TextClassifier) -> None:
    found = trained.score(reviews(200, seed=1))
    assert set(found) == {"accuracy", "macro_f1", "f1", "auroc", "nll", "calibration_error"}
    assert found["accuracy"] > 0.95
    assert found["calibration_error"] < 0.1
    turned = [(f"the film is not {word}", f"not the film is {word}") for word in ("fine", "dull")]
    assert all(trained.predict(before) != trained.predict(after) for before, after in turned)


def test_empty_and_unknown_texts_have_an_answer(trained: TextClassifier) -> None:
    p = trained.predict_proba(["", "   ", "zyxw vuts", "\U0001f600"])
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(p[0], p[1])


@pytest.mark.parametrize("options", [
    {}, {"cell": "conv", "pooling": "mean"}, {"cell": "lstm", "num_layers": 2, "pooling": "attention"},
    {"unit": "bpe", "pooling": "last", "bidirectional": False}, {"unit": "char", "cell": "rnn"},
])  # fmt: skip
def test_one_seed_gives_the_same_numbers_at_any_number_of_threads(options: dict[str, Any]) -> None:
    def once(seed: int, threads: int) -> np.ndarray:
        torch.set_num_threads(threads)
        try:
            model = TextClassifier(**QUICK | {"epochs": 1}, **options, seed=seed)
            model.fit(reviews(120))
            return model.predict_proba(["a fine plot", "not fine"])
        finally:
            torch.set_num_threads(1)

    first = once(0, 1)
    torch.rand(5)  # the caller's random stream is no part of it
    np.testing.assert_array_equal(first, once(0, 2))
    assert (first != once(1, 1)).any()


def test_a_saved_model_answers_as_before(trained: TextClassifier, tmp_path: Path) -> None:
    trained.save(tmp_path / "model.ost")
    again = ost.load(tmp_path / "model.ost")
    texts = reviews(50, seed=2)[0]
    np.testing.assert_array_equal(again.predict_proba(texts), trained.predict_proba(texts))
    assert again.summary() == trained.summary()
    assert "TextClassifier of 2 classes: no, yes" in again.summary()
    assert again.get_params() == trained.get_params()


@pytest.mark.parametrize("options", [
    {"cell": "conv"}, {"unit": "bpe", "members": 2}, {"ngrams": False, "pooling": "attention"}
])  # fmt: skip
def test_models_of_other_kinds_come_back_too(options: dict[str, Any], tmp_path: Path) -> None:
    model = TextClassifier(**QUICK | {"epochs": 1} | options)
    model.fit(reviews(80))
    model.save(tmp_path / "model.ost")
    texts = reviews(10, seed=2)[0]
    np.testing.assert_array_equal(ost.load(tmp_path / "model.ost").predict_proba(texts), model.predict_proba(texts))


def test_a_file_whose_parts_do_not_fit_is_refused(trained: TextClassifier, tmp_path: Path) -> None:
    from ostinato import format

    manifest, tensors = trained.to_file()
    broken: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"classes": np.frombuffer(b'["a"]', np.uint8)}),
        ({}, {"classes": np.zeros(3)}),
        ({}, {"units": np.frombuffer(b'{"kind": "word"}', np.uint8)}),
        ({}, {"ngrams.bias": np.zeros(5, np.float32)}),
        ({}, {"member.0.head.project.bias": np.zeros(9, np.float32)}),
        ({"trust": [-1.0, 0.0]}, {}),
        ({"members": 10**9}, {}),
        ({"counts": [1]}, {}),
    ]
    for words, parts in broken:
        extra = manifest["extra"] | words
        format.write(tmp_path / "broken.ost", tensors | parts, manifest | {"extra": extra})
        with pytest.raises(FormatError, match="is no whole classify model"):
            ost.load(tmp_path / "broken.ost")


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    data = reviews(150)

    class Killed(Callback):
        def on_batch_end(self, logs: dict[str, Any]) -> None:
            if logs["step"] == 11:
                raise KeyboardInterrupt

    options = QUICK | {"members": 2, "epochs": 3}
    whole = TextClassifier(**options)
    whole.fit(data, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        TextClassifier(**options).fit(data, out=tmp_path / "cut", callbacks=[Killed()])
    resumed = TextClassifier(**options)
    resumed.fit(data, out=tmp_path / "cut", resume=True)
    np.testing.assert_array_equal(resumed.predict_proba(data[0]), whole.predict_proba(data[0]))


def test_nothing_that_is_measured_on_is_learnt_or_chosen_by() -> None:
    texts, labels = reviews(60, seed=1)
    other = ["no" if label == "yes" else "yes" for label in labels]
    found = []
    for given in (labels, other):
        model = TextClassifier(**QUICK | {"epochs": 1})
        model.experiment(reviews(120), test=(texts, given), quiet=True)
        found.append(model.predict_proba(texts))
    np.testing.assert_array_equal(*found)


def test_equal_texts_stay_on_one_side() -> None:
    texts, labels = reviews(100)
    data = Labelled(texts * 3, labels * 3, "list")
    train, held = _parted(data, 0.2, 0)
    assert not set(train.texts) & set(held.texts)
    assert 0.1 < len(held) / len(data) < 0.3


def test_experiment_stands_beside_the_baselines(tmp_path: Path) -> None:
    model = TextClassifier(**QUICK, learning_curve=True)
    found = model.experiment(reviews(300), quiet=True, out=tmp_path)
    assert set(found.baselines) == {"majority", "tfidf_word", "tfidf_char", "feed_forward"}
    assert all(set(row) == set(found.metrics) for row in found.baselines.values())
    assert found.metrics["accuracy"] > found.baselines["majority"]["accuracy"]
    assert next(iter(found.best)) == "accuracy"
    assert list(found.columns) == ["text", "label", "predicted", "probability"]
    right = [a == b for a, b in zip(found.columns["label"], found.columns["predicted"], strict=True)]
    assert found.metrics["accuracy"] == pytest.approx(np.mean(right))
    assert len(right) == pytest.approx(60, abs=6)
    matrix, reading, *rest = found.charts
    assert isinstance(matrix, Matrix)
    assert isinstance(reading, Reading)
    assert matrix.values.sum() == len(right)
    assert np.trace(matrix.values) == sum(right)
    assert [chart.title for chart in rest if isinstance(chart, Chart)] == [
        "Training", "Are probabilities honest", "How much the amount of data matters",
    ]  # fmt: skip
    assert json.loads(json.dumps(found.to_json()))["task"] == "classify"
    assert any("240 texts" in note or "learnt from" in note for note in found.notes)


def test_the_reading_is_what_leaving_out_changes(trained: TextClassifier) -> None:
    from ostinato.tasks.classifying.charts import _passage

    text = "the film is not fine"
    p = trained.predict_proba(text)
    passage = _passage(trained._learnt, text, "no", p, "why")
    assert "".join(piece for piece, _ in passage.parts).split() == text.split()
    k, words = int(p.argmax()), text.split()
    falls = []
    for gone in range(len(words)):
        rest = " ".join(words[:gone] + words[gone + 1 :])
        falls.append(np.log(p[k]) - np.log(trained.predict_proba(rest)[k]))
    expected = np.array(falls) / np.abs(falls).max()
    np.testing.assert_allclose([weight for _, weight in passage.parts], expected, atol=1e-4)
    assert words[int(np.argmax(expected))] == "not"


def test_evaluate_and_answer(trained: TextClassifier, tmp_path: Path) -> None:
    texts, labels = reviews(40, seed=3)
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "more.csv", index=False)
    found = trained.evaluate(tmp_path / "more.csv")
    assert found.metrics == pytest.approx(trained.score((texts, labels)))
    assert set(found.baselines) == {"majority"}
    answer = trained.answer(tmp_path / "more.csv")
    assert isinstance(answer, dict)
    assert list(answer) == ["text", "predicted", "probability"]
    assert answer["text"] == texts
    assert answer["predicted"] == trained.predict(texts)
    (tmp_path / "lines.txt").write_text("a fine plot\nso dull\n")
    assert trained.answer(tmp_path / "lines.txt")["predicted"] == ["yes", "no"]  # type: ignore[call-overload, index]


def test_letters_for_names_and_words_for_sentences() -> None:
    texts, labels = names(300)
    model = TextClassifier(**QUICK | {"epochs": 8})
    model.fit((texts, labels))
    assert model._learnt.plan.unit == "char"
    assert model.score(names(100, seed=1))["accuracy"] > 0.9
    assert told_unit(["Anna", "Li Wei", "de la Cruz", *["Bo"] * 20]) == "char"
    assert told_unit(reviews(10)[0]) == "word"


def test_sizes_go_by_the_data_unless_they_are_said() -> None:
    texts, labels = reviews(50)
    small, large = (plan(texts * n, labels * n, ("no", "yes"), TextClassifier().options) for n in (1, 2000))
    assert small.epochs > large.epochs
    assert (small.members, large.members) == (3, 3)
    said = plan(texts, labels, ("no", "yes"), TextClassifier(epochs=7, hidden_size=5, dropout=0.1, members=2).options)
    assert (said.epochs, said.hidden_size, said.dropout, said.members) == (7, 5, 0.1, 2)


def test_balance_weighs_rare_classes() -> None:
    labels = ["a"] * 90 + ["b"] * 10
    assert class_weights(labels, ["a", "b"], balance=False) == (1.0, 1.0)
    weights = class_weights(labels, ["a", "b"], balance=True)
    assert weights[1] / weights[0] == pytest.approx(3)
    assert (90 * weights[0] + 10 * weights[1]) / 100 == pytest.approx(1)
    model = TextClassifier(**QUICK | {"epochs": 1}, balance=True)
    model.fit(reviews(80))
    assert model._learnt.networks[0].head.weights is not None


def test_pretrained_vectors_are_taken_and_said(tmp_path: Path) -> None:
    lines = [f"{word} {' '.join(f'{x:.3f}' for x in np.random.default_rng(k).normal(size=6))}"
             for k, word in enumerate([*FILLING, "fine", "dull"])]  # fmt: skip
    (tmp_path / "vectors.txt").write_text("\n".join(lines))
    model = TextClassifier(**QUICK | {"epochs": 1}, vectors=str(tmp_path / "vectors.txt"))
    model.fit(reviews(80))
    assert model._learnt.plan.width == 6
    assert "vectors.txt: vectors of" in model.summary()
    with pytest.raises(DataError, match="missing.txt"):
        TextClassifier(**QUICK, vectors=str(tmp_path / "missing.txt")).fit(reviews(80))


def test_what_cannot_be_is_said_in_a_line(trained: TextClassifier) -> None:
    with pytest.raises(NotFittedError):
        TextClassifier().predict("text")
    with pytest.raises(DataError, match="give texts of two classes at least"):
        TextClassifier(**QUICK).fit((["a b c d"] * 20, ["x"] * 20))
    with pytest.raises(DataError, match="3 texts: give at least 8"):
        TextClassifier(**QUICK).fit((["a", "b", "c"], ["x", "y", "x"]))
    with pytest.raises(DataError, match="'maybe' .* was not learnt; known are no, yes"):
        trained.score((["a fine plot", "dull"], ["yes", "maybe"]))
    with pytest.raises(DataError, match="was not learnt"):
        TextClassifier(**QUICK).fit(reviews(40), validation=(["what"], ["other"]))
    with pytest.raises(ValueError, match="cell 'gruu' is not registered; did you mean 'gru'"):
        TextClassifier(**QUICK, cell="gruu").fit(reviews(40))
    with pytest.raises(ValueError, match="give a file, or texts on standard input"):
        trained.answer(None)
    with pytest.raises(TypeError, match="did you mean 'pooling'"):
        TextClassifier(poling="max")


def test_rows_with_strange_labels_can_be_left_out() -> None:
    model = TextClassifier(**QUICK | {"epochs": 1}, on_bad="skip")
    found = model.experiment(reviews(100), test=(["a fine plot", "dull", "so so"], ["yes", "no", "maybe"]), quiet=True)
    assert len(found.columns["text"]) == 2
    assert any("left out 1 rows with a label that was not learnt, such as 'maybe'" in note for note in found.notes)


def test_test_and_validation_files_are_taken_as_they_are(tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("valid", 1), ("test", 2)):
        texts, labels = reviews(80, seed)
        pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    model = TextClassifier(**QUICK)
    found = model.experiment(
        tmp_path / "train.tsv", validation=tmp_path / "valid.tsv", test=tmp_path / "test.tsv", quiet=True
    )
    assert found.columns["text"] == read_labelled(tmp_path / "test.tsv").texts
    assert model._learnt.counts == tuple(reviews(80)[1].count(name) for name in ("no", "yes"))
    assert any("those of test.tsv" in note for note in found.notes)


def test_it_can_be_cloned_as_scikit_learn_does() -> None:
    from sklearn.base import clone

    model = TextClassifier(**QUICK, pooling="mean")
    assert clone(model).get_params() == model.get_params()
