"""`ostinato bench`: what it refuses, how it times, and that no time is told of other numbers."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
import torch
from tests.shell import Shell

from ostinato import _kernels
from ostinato.interfaces.bench import clock, command, page, parts, peers, picture
from ostinato.interfaces.bench.loop import by_the_loop
from ostinato.interfaces.bench.peers import graph, torch_nn
from ostinato.interfaces.bench.row import OURS, Row
from ostinato.interfaces.bench.work import RUNS, Contestant, DiffersError, Shape, check, layer_runs
from ostinato.layers import Recurrent


def rows() -> list[Row]:
    found = []
    for threads, run_, scale in ((1, "forward", 1.0), (1, "train", 2.0), (2, "forward", 0.5)):
        for what in ("1, 2, 3, 4", "5, 6, 7, 8"):
            seconds = {OURS: 0.001 * scale, "torch.nn": 0.004 * scale, "ONNX Runtime": 0.002 * scale}
            ratios = {"torch.nn": 4.0, "ONNX Runtime": 2.0 if what[0] == "1" else 0.5}
            if run_ == "train":
                del seconds["ONNX Runtime"], ratios["ONNX Runtime"]
            found.append(Row("layers", "GRU", what, run_, threads, seconds, ratios, 91.4))
    found.append(Row("streams", "GRU", "1 x 32, hidden 64", "step", 1, {OURS: 4e-6}, {}, rate={OURS: 250_000.0}))
    return found


ABOUT = {
    "processor": "Abacus", "cores": 2, "kernels": "plain", "python": "3.11", "ostinato": "0", "date": "2026-01-01",
    "peers": ["torch.nn (torch 2)"], "quick": False,
}  # fmt: skip


def test_a_small_bench_from_end_to_end(shell: Shell) -> None:
    answer = shell(
        "bench", "--quick", "--only", "streams,lengths,rnn", "--peers", "torch", "--threads", 1, "--out", "out"
    )
    assert answer.code == 0, answer.err
    assert {path.name for path in Path("out").iterdir()} == {"speed.md", "speed.json"}  # a picture is of plain layers
    assert "Beside it: torch.nn (torch " in Path("out/speed.md").read_text()
    assert answer.out.endswith("wrote out: speed.md, speed.json\n")
    text = Path("out/speed.md").read_text()
    assert "A quick run" in text
    assert "| RNN | lengths 10..60 of 16, 60, 32, 64 | train |" in text
    assert "| RNN | 100 x 32, hidden 64 | step |" in text
    assert "torch.nn packed" in answer.out
    found = json.loads(Path("out/speed.json").read_text())
    assert [row["run"] for row in found["rows"]] == ["forward", "train"] * 2 + ["step"] * 2
    assert all(seconds > 0 for row in found["rows"] for seconds in row["seconds"].values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "layer"), "--only layer: choose from layers, lengths, options, models, streams, rnn, lstm, gru"),
        (("--peers", "tensorflow"), "--peers tensorflow: choose from torch, keras, onnxruntime, openvino, or none"),
        (("--threads", "two"), "--threads two: give whole numbers"),
        (("--threads", "4096", "--quick"), "this process may use"),
        (("--only", "models,lstm", "--quick"), "nothing is left to measure"),
        (("--only", "streams", "--threads", "2", "--quick"), "nothing is left to measure"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(shell: Shell, words: tuple[str, ...], said: str) -> None:
    answer = shell("bench", *words, "--out", "out")
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("out/speed.md").exists()


def test_help_has_examples(shell: Shell) -> None:
    answer = shell("bench", "--help")
    for word in ("--quick", "--only", "--peers", "--threads", "--out", "ostinato bench --only layers,lstm", "[bench]"):
        assert word in answer.out


def test_all_take_part_in_every_round_and_nobody_is_always_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "SAMPLE", 0.0)
    monkeypatch.setattr(clock, "WAKING", 0.0)
    calls: list[tuple[str, int]] = []
    runs = {who: (lambda turn, who=who: calls.append((who, turn))) for who in (OURS, "a", "b")}
    between = count()
    times = clock.in_turns(runs, rounds=6, between=lambda: next(between))  # type: ignore[arg-type]
    timed = calls[3 * clock.WARM_UP :]
    assert next(between) == 6
    for k in range(6):
        one = timed[3 * k : 3 * k + 3]
        assert {who for who, _ in one} == {OURS, "a", "b"}
        assert {turn for _, turn in one} == {k}  # each takes the same input
    assert [timed[3 * k][0] for k in range(6)] == [OURS, "a", "b"] * 2
    assert all(len(each) == 6 for each in times.rounds.values())


class Hand:
    """A clock moved by hand: what a busy machine does to the real one is not what is tested."""

    def __init__(self) -> None:
        self.now = self.worked = self.others_stop = 0.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.worked

    def sleep(self, seconds: float) -> None:
        self.worked += min(seconds, max(0.0, self.others_stop - self.now))
        self.now += seconds


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(clock, "time", hand)
    return hand


@pytest.mark.parametrize(("share", "rounds"), [(0.4, 9), (0.6, clock.FEW)])
def test_slow_rows_get_fewer_rounds(share: float, rounds: int, hand: Hand) -> None:
    each = share * clock.SLOW
    found = clock.in_turns({OURS: lambda _: hand.sleep(each), "a": lambda _: hand.sleep(each)}, rounds=9)
    assert len(found.rounds[OURS]) == rounds


def test_short_runs_are_repeated_and_one_interruption_changes_nothing(hand: Hand) -> None:
    calls = count()
    each = clock.SAMPLE / 50

    def interrupted(_: int) -> None:
        hand.sleep(3 * clock.SAMPLE if next(calls) == clock.WARM_UP - 1 else each)

    found = clock.in_turns({OURS: interrupted}, rounds=2)
    awake = math.ceil(clock.AWAKE / each)  # a run this short is made before its clock starts
    assert next(calls) == pytest.approx(clock.WARM_UP + 2 * (awake + 50), abs=2)  # the clock's own sums are rounded
    assert found.rounds[OURS] == pytest.approx([each, each])


@pytest.mark.parametrize(("spins", "waits"), [(0.0, 1), (0.95, 2), (2.5, 4), (1e9, clock.PAUSES)])
def test_nobody_begins_while_anothers_threads_work(spins: float, waits: int, hand: Hand) -> None:
    spun = spins * clock.PAUSE
    began: list[float] = []

    def spinning(_: int) -> None:
        hand.sleep(2 * clock.WAKING)
        hand.others_stop = hand.now + spun

    def next_one(_: int) -> None:
        began.append(hand.now - hand.others_stop + spun)
        hand.sleep(2 * clock.WAKING)

    clock.in_turns({"a": spinning, OURS: next_one}, rounds=1)
    assert began[clock.WARM_UP :] == pytest.approx([waits * clock.PAUSE])


@pytest.mark.parametrize("seconds", [clock.SAMPLE / 10, clock.SAMPLE * 2])
def test_each_waits_for_the_others_threads_and_wakes_its_own(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(clock, "AWAKE", 0.0)
    monkeypatch.setattr(clock.time, "sleep", lambda seconds: said.append("pause"))
    monkeypatch.setattr(clock, "_timed", lambda run, turn, repeats: said.append("clock") or seconds)
    clock.in_turns({OURS: lambda _: said.append("ours"), "a": lambda _: said.append("a")}, rounds=1)
    assert said[2 * clock.WARM_UP :] == ["pause", "ours", "clock", "pause", "a", "clock"]


def test_a_short_run_is_made_until_its_core_is_awake(hand: Hand) -> None:
    began: list[float] = []
    each = 0.4 * clock.AWAKE

    def run(_: int) -> None:
        began.append(hand.now)
        hand.sleep(each)

    clock.in_turns({OURS: run}, rounds=1)
    waking = began[clock.WARM_UP :]
    assert [after - waking[0] for after in waking[:4]] == pytest.approx([0, each, 2 * each, 3 * each])
    assert len(waking) == 3 + 1


@pytest.mark.parametrize(
    "script", sorted(Path(__file__).parents[2].glob("benchmarks/*.py")), ids=lambda path: path.name
)
def test_scripts_of_make_bench_start(script: Path) -> None:
    answer = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_ratios_are_of_one_round_and_then_the_median() -> None:
    times = clock.Times({OURS: [1.0, 10.0, 1.0], "a": [2.0, 20.0, 50.0]})
    assert times.ratios() == {"a": 2.0}
    assert times.seconds() == {OURS: 1.0, "a": 20.0}
    assert times.percent(50.0, [100.0, 10.0, 50.0]) == 50.0


def test_no_time_is_told_of_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    y, g = torch.randn(2, 3), {"x": torch.randn(4)}
    ours = Contestant({}, lambda: y, lambda: g)
    check("same", ours, Contestant({}, lambda: y + 1e-6, lambda: {"x": g["x"] + 1e-5}))
    for theirs in (y + 0.01, y[:1], y * torch.nan):
        with pytest.raises(DiffersError, match="wrong: the output"):
            check("wrong", ours, Contestant({}, lambda v=theirs: v))  # type: ignore[misc]
    with pytest.raises(DiffersError, match="the gradient of x differs by"):
        check("wrong", ours, Contestant({}, lambda: y, lambda: {"x": -g["x"]}))
    monkeypatch.setattr(torch_nn, "layer_runs", _halved)
    with pytest.raises(DiffersError, match=r"torch\.nn, RNN 1, 100, 32, 64: the output differs"):
        next(parts.rows(parts.Plan(("layers",), ("RNN",), ("torch",), quick=True, rounds=1)))


def _halved(layer: torch.nn.Module, work: object) -> Contestant:
    """A peer that answers something else."""
    made = layer_runs(layer, work)  # type: ignore[arg-type]
    return Contestant(made.runs, lambda: made.values() / 2, made.gradients)


def test_only_those_with_a_column_stand_beside_us() -> None:
    def names(found: list[Row], *asked: str) -> list[str]:
        return [peer.title for peer in peers.beside(found, asked)]

    assert names(rows(), "torch") == ["torch.nn", "ONNX Runtime"]
    padded = Row("lengths", "GRU", "what", "train", 1, {OURS: 1.0, "torch.nn padded": 2.0}, {"torch.nn padded": 2.0})
    assert names([padded]) == ["torch.nn"]
    assert names([padded], "keras") == ["torch.nn"]


def test_absent_peers_are_said_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "keras", peers.Peer("Keras on JAX", ("no_such_library",), "keras_jax"))
    assert "Keras on JAX: absent (no_such_library not installed; pip install" in peers.PEERS["keras"].said()
    assert [peer.title for peer in peers.beside(rows()[-1:], ["torch", "keras"])] == ["Keras on JAX"]
    row = next(parts.rows(parts.Plan(("layers",), ("RNN",), ("keras",), quick=True, rounds=1)))
    assert row.notes == {"Keras on JAX": "no_such_library not installed"}
    assert list(row.seconds) == [OURS]
    assert row.percent is not None
    assert row.percent > 0


def test_the_loop_is_the_same_layer_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = Recurrent("lstm", 3, 5, 2, bidirectional=True, peephole=True), torch.randn(2, 6, 3)
    expected = layer(x)[0]
    monkeypatch.setattr(_kernels, "forward", None)
    torch.testing.assert_close(by_the_loop(layer)(x)[0], expected)
    assert by_the_loop(layer).weight_hh_l0 is layer.weight_hh_l0


def test_operations_are_those_of_the_products() -> None:
    """LSTM 64, 50, 512, 512 forward: 2 x 4 x 512 x 3200 x 1024."""
    from ostinato.interfaces.bench.parts.layers import work_of

    work = work_of("LSTM", Shape(2, 5, 3, 7), 1)
    assert [work.operations(run_) for run_ in RUNS] == [2 * 4 * 7 * 10 * n for n in (10, 27, 30)]


def test_the_peak_is_a_number_of_this_world() -> None:
    one = _kernels.fma_peak(1, 0.002)
    assert 1e9 < one < 1e13
    with pytest.raises(ValueError, match=r"threads must be in 1\.\.64"):
        _kernels.fma_peak(0, 0.001)


def test_tables_and_page() -> None:
    text = page.tables(rows())
    assert "| GRU | 1, 2, 3, 4 | forward | 1 | 91 | 4 (4.00) | 2 (2.00) |" in text
    assert "| GRU | 5, 6, 7, 8 | train | 2 | 91 | 8 (4.00) | - |" in text
    assert "| ONNX Runtime | forward | 2 | 1.00 | 0.50 (GRU 5, 6, 7, 8) |" in text  # the mean of 2 and a half
    assert text.index("### 1 thread\n") < text.index("### 2 threads") < text.index("## Streams")
    assert "| GRU | 1 x 32, hidden 64 | step | 4<br>250,000/s |" in text
    full = page.render(rows(), ABOUT, "pictures/speed.svg")
    assert "Abacus, 2 cores, kernels plain" in full
    assert "![The time of each peer divided by ours, shape by shape](pictures/speed.svg)" in full
    assert "quick" not in full
    assert "A quick run" in page.render(rows(), ABOUT | {"quick": True}, None)


def test_the_picture_shows_every_shape_on_a_ground_of_its_own() -> None:
    drawn = picture.svg(rows())
    assert drawn is not None
    assert drawn.startswith("<svg")
    assert "currentColor" not in drawn
    assert '<rect width="100%"' in drawn
    assert picture.svg([row for row in rows() if row.part == "streams"]) is None
    assert len(drawn) > len(picture.svg(rows()[:1]) or "")


def test_plans() -> None:
    everything = command.plans(None, None, "1,2", quick=False)
    assert [plan.threads for plan in everything] == [1, 2]
    assert everything[0].parts == parts.PARTS
    assert everything[0].rounds == 15
    assert parts.count(everything[0]) > parts.count(everything[1]) > 100  # streams are for one thread
    assert command.plans("gru", "none", "1", quick=True)[0].peers == ()


@pytest.mark.parametrize("kind", parts.CELLS)
def test_the_onnx_model_is_the_layer(kind: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from ostinato.interfaces.bench.peers.onnx_runtime import Bound

    layer, shape = getattr(torch.nn, kind)(3, 5, batch_first=True), Shape(2, 4, 3, 5)
    x = torch.randn(2, 4, 3)
    session = runtime.InferenceSession(graph.model(kind, layer, shape), providers=["CPUExecutionProvider"])
    y = session.run(["Y"], {"X": x.transpose(0, 1).contiguous().numpy()})[0][:, 0]
    expected = layer(x)[0].detach().transpose(0, 1)
    torch.testing.assert_close(torch.from_numpy(y), expected, rtol=0, atol=1e-5)
    bound = Bound(kind, layer, Shape(2, 1, 3, 5))
    for t in range(4):
        step = bound.step(x[:, t].numpy()).reshape(2, 5).copy()
        torch.testing.assert_close(torch.from_numpy(step), expected[t], rtol=0, atol=1e-5)
