"""Two processes started by torchrun train to the weights of one, to rounding; and to the same weights twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.training import ranks_child
from tests.training.small import error, train

from ostinato.training import CheckpointError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes had in the end, by run; and the folder they wrote into."""
    folder = tmp_path_factory.mktemp("ranks")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    done = subprocess.run(
        [*torchrun, ranks_child.__file__, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [_runs(folder / f"{rank}.npz") for rank in range(2)], folder


def _runs(path: Path) -> dict[str, dict[str, np.ndarray]]:
    runs: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as file:
        for name, array in file.items():
            run, _, tensor = name.partition("/")
            runs.setdefault(run, {})[tensor] = array
    return runs


def _equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_both_processes_end_with_the_same_weights(two):
    (first, second), _ = two
    assert first.keys() == second.keys()
    weights = first.keys() - {"draws", "refused"}
    assert [run for run in weights if not _equal(first[run], second[run])] == []


@pytest.mark.parametrize("name", ranks_child.COMPARED)
def test_two_processes_agree_with_one_to_rounding(name, two):
    (found, _), _ = two
    expected = ranks_child.compared(name)
    assert found[name].keys() == expected.keys()
    for tensor, array in expected.items():
        np.testing.assert_allclose(found[name][tensor], array, rtol=2e-4, atol=2e-5, err_msg=tensor)


def test_two_processes_train_to_the_same_weights_twice_with_dropout_on(two):
    (found, _), _ = two
    assert _equal(found["dropout"], found["again"])


def test_each_process_has_random_numbers_of_its_own(two):
    first, second = (found["draws"]["draws"] for found in two[0])
    assert len(first) == len(second) == 4
    assert not set(first) & set(second)


@pytest.mark.parametrize("kind", ["rows", "chunks"])
def test_two_processes_resume_inside_an_epoch_bit_for_bit(kind, two):
    (found, _), folder = two
    assert _equal(found[f"{kind}, resumed"], found[f"{kind}, whole"])
    assert len((folder / kind / "history.jsonl").read_text().splitlines()) == 4


def test_one_process_does_not_go_on_from_the_checkpoint_of_two(two):
    _, folder = two
    with pytest.raises(CheckpointError, match="was made with processes: 2, this run has 1"):
        train(out=folder / "rows", resume=True, validate=error, patience=9)


def test_a_batch_whose_tensors_have_other_rows_is_refused(two):
    for found in two[0]:
        assert "its tensors have [5, 6] of them" in str(found["refused"]["ValueError"])
